//! An allocator that counts what the data cores ask for, and passes everything on.
//!
//! A thread that allocates for the first time while [`started_here_are_cores`] runs belongs to a data
//! core; all other threads are the test's, or control's, and are not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Passes everything on to the system's allocator.
pub(crate) struct Counting;

static STARTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Unknown,
    Core,
    Other,
}

thread_local! {
    // `const` and without a destructor: reading it allocates nothing.
    static ROLE: Cell<Role> = const { Cell::new(Role::Unknown) };
}

/// Threads that begin while `start` runs are data cores.
pub(crate) fn started_here_are_cores<T>(start: impl FnOnce() -> T) -> T {
    not_a_core();
    STARTING.store(true, Ordering::SeqCst);
    let value = start();
    STARTING.store(false, Ordering::SeqCst);
    value
}

/// The calling thread is none.
pub(crate) fn not_a_core() {
    ROLE.with(|role| role.set(Role::Other));
}

/// Allocations of the data cores so far, and their bytes.
pub(crate) fn allocated() -> (u64, u64) {
    (ALLOCATIONS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst))
}

fn count(bytes: usize) {
    // A thread that is just ending has no thread locals any more, and is of no interest.
    let role = ROLE.try_with(|role| {
        if role.get() == Role::Unknown {
            let starting = STARTING.load(Ordering::SeqCst);
            role.set(if starting { Role::Core } else { Role::Other });
        }
        role.get()
    });
    if role == Ok(Role::Core) {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        BYTES.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

// SAFETY: every method passes its arguments unchanged to `System`, which keeps the contract; counting
// neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, and `System` has the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` through one of the other methods, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the pointer came from `System` through one of the other methods, with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
