//! A place where one thread leaves the newest value of something for another.
//!
//! A look is one load; the lock is taken only when something new is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The newest value posted, for one reader that looks often and takes rarely.
#[derive(Debug)]
pub struct Mailbox<T> {
    /// How many were posted. Written under the lock, so a reader that holds it sees a matching pair.
    number: AtomicU64,
    newest: Mutex<Option<Arc<T>>>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { number: AtomicU64::new(0), newest: Mutex::new(None) }
    }
}

impl<T> Mailbox<T> {
    /// Replaces what is there. One nobody took is lost: only the newest counts.
    pub fn post(&self, value: Arc<T>) {
        let old = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let number = self.number.load(Ordering::Relaxed);
            self.number.store(number.wrapping_add(1), Ordering::Release);
            newest.replace(value)
        };
        // Outside the lock: freeing a whole generation takes long.
        drop(old);
    }

    /// How many were posted so far.
    pub fn posted(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The newest value, if it is another one than at the last call with this `seen` (0 at first).
    pub fn changed(&self, seen: &mut u64) -> Option<Arc<T>> {
        if self.number.load(Ordering::Acquire) == *seen {
            return None;
        }
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = self.number.load(Ordering::Relaxed);
        newest.clone()
    }

    /// As [`Mailbox::changed`], and leaves nothing behind: for what is large, and read once.
    pub fn take(&self, seen: &mut u64) -> Option<Arc<T>> {
        if self.number.load(Ordering::Acquire) == *seen {
            return None;
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = self.number.load(Ordering::Relaxed);
        newest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_gives_each_value_once() {
        let mailbox = Mailbox::default();
        let mut seen = 0;
        assert!(mailbox.changed(&mut seen).is_none());
        mailbox.post(Arc::new(1));
        assert_eq!(mailbox.changed(&mut seen).as_deref(), Some(&1));
        assert!(mailbox.changed(&mut seen).is_none());
        mailbox.post(Arc::new(2));
        mailbox.post(Arc::new(3));
        assert_eq!(mailbox.changed(&mut seen).as_deref(), Some(&3));
        assert!(mailbox.changed(&mut seen).is_none());
    }

    #[test]
    fn what_is_taken_is_gone() {
        let (mailbox, mut seen) = (Mailbox::default(), 0);
        let value = Arc::new(1);
        mailbox.post(Arc::clone(&value));
        assert_eq!(mailbox.take(&mut seen).as_deref(), Some(&1));
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(mailbox.take(&mut seen).is_none() && mailbox.changed(&mut 0).is_none());
        mailbox.post(Arc::new(2));
        assert_eq!(mailbox.take(&mut seen).as_deref(), Some(&2));
    }

    #[test]
    fn readers_keep_their_own_count() {
        let mailbox = Mailbox::default();
        mailbox.post(Arc::new(1));
        let (mut one, mut other) = (0, 0);
        assert!(mailbox.changed(&mut one).is_some());
        assert!(mailbox.changed(&mut other).is_some());
    }

    #[test]
    fn a_reader_on_another_thread_never_goes_back_and_sees_the_last() {
        const LAST: u64 = 20_000;
        let mailbox = Arc::new(Mailbox::default());
        let posting = Arc::clone(&mailbox);
        let poster = std::thread::spawn(move || {
            for value in 1..=LAST {
                posting.post(Arc::new((value, value.wrapping_mul(3))));
            }
        });
        let (mut seen, mut newest) = (0, 0);
        loop {
            let over = poster.is_finished();
            if let Some(pair) = mailbox.changed(&mut seen) {
                assert!(pair.0 > newest, "{} after {newest}", pair.0);
                assert_eq!(pair.1, pair.0.wrapping_mul(3));
                newest = pair.0;
            } else if over {
                break;
            }
        }
        poster.join().unwrap();
        assert_eq!(newest, LAST);
    }
}
