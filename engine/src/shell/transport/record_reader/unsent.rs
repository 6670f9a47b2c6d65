//! What TLS has queued leaves as soon as there is room, although nobody has anything else to send.
//!
//! A peer that does not read what it was sent may have filled its connection to the last byte. An answer of
//! TLS, as a `KeyUpdate` or an alert, finds no room then, and no send is under way that would take it along.
//! So whoever waits for that peer's bytes waits for its room as well.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;

use crate::shell::transport::net::{Descriptor, ReadHalf};
use crate::shell::transport::tls::Security;

/// Sends what is queued, and ends.
pub(super) type UnsentTask<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Sends what TLS has queued when there is room beside `half`; `None` if nothing is queued, or the sending
/// half is about to take it along. Boxed: it is rare, and would make every task larger.
pub(super) fn send_unsent<'a>(
    half: &ReadHalf,
    descriptor: Descriptor,
    security: &'a RefCell<Security>,
) -> Option<UnsentTask<'a>> {
    if !security.borrow().has_unsent() {
        return None;
    }
    let room = half.send_room();
    Some(Box::pin(async move {
        while room.wait().await.is_ok() {
            let mut security = security.borrow_mut();
            let before = security.tls_output.pending.len();
            security.send_pending(descriptor);
            // A connection that has room and takes nothing is over; its reader hears of that.
            if !security.has_unsent() || security.tls_output.pending.len() >= before {
                return;
            }
        }
    }))
}

/// Drives `work` to its end, and `unsent` beside it.
pub(super) async fn drive_beside<T>(
    mut unsent: Option<UnsentTask<'_>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(move |context| {
        if unsent.as_mut().is_some_and(|unsent| unsent.as_mut().poll(context).is_ready()) {
            unsent = None;
        }
        work.as_mut().poll(context)
    })
    .await
}
