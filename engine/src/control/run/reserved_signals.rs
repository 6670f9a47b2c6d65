//! Ignores the signals that the C library keeps for itself. One of the places with unsafe code.

use std::io;

/// glibc cancels threads with the first and changes their user with the second (`nptl(7)`); neither is done
/// here. Its `sigaction` refuses both, so nobody else could catch them, and their default action is to end
/// the process.
const RESERVED: [libc::c_int; 2] = [32, 33];

/// Ignores them from now on.
///
/// # Errors
/// The kernel's.
pub(super) fn ignore() -> io::Result<()> {
    // The kernel's `struct sigaction` (`asm-generic/signal.h`): handler, flags, restorer, mask. Longer than
    // any architecture's.
    let action: [usize; 8] = [libc::SIG_IGN, 0, 0, 0, 0, 0, 0, 0];
    let mask_bytes = 8_usize;
    for signal in RESERVED {
        // SAFETY: the kernel reads the action, which is at least as long as its own type, and writes
        // nothing, because there is no place for the old one. A signal that is ignored runs no code.
        #[expect(unsafe_code, reason = "rustix and libc have no safe form of it")]
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                action.as_ptr(),
                std::ptr::null_mut::<usize>(),
                mask_bytes,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
