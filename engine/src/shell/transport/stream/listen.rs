//! Work for one connection while the peer of another is listened to.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::StreamReader;
use crate::shell::transport::deadlines::ShutTarget;

/// The result of work during which a peer was listened to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WatchedResult<T> {
    /// The work's result.
    pub(crate) done: T,
    /// The peer has left, or broke the protocol and was told so.
    pub(crate) lost: bool,
}

impl StreamReader<'_> {
    /// Runs `work`; if that takes long, listens to the peer meanwhile. `watched` is shut down if the peer
    /// is lost.
    pub(crate) async fn run_while_listening<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = T>>,
        watched: Option<ShutTarget>,
    ) -> WatchedResult<T> {
        let (mut waited, mut lost) = (false, None);
        let done = {
            let mut hearing = pin!(self.listen(watched));
            poll_fn(|context| {
                let done = work.as_mut().poll(context);
                if done.is_pending() && lost.is_none() {
                    waited = true;
                    if let Poll::Ready(heard) = hearing.as_mut().poll(context) {
                        lost = Some(heard);
                    }
                }
                done
            })
            .await
        };
        let left = waited && self.reader.end_watch() && watched.is_some();
        WatchedResult { done, lost: left || lost == Some(true) }
    }

    /// Runs `receive` beside `work`, and listens to the peer if `work` takes longer.
    pub(crate) async fn receive_during<R, T>(
        &mut self,
        receive: impl AsyncFnOnce(&mut Self) -> R,
        work: Pin<&mut impl Future<Output = T>>,
    ) -> (R, T) {
        let received = Cell::new(None);
        let side = pin!(async {
            received.set(Some(receive(self).await));
            self.listen(None).await;
        });
        let both = pin!(async {
            let done = work.await;
            (poll_fn(|_| received.take().map_or(Poll::Pending, Poll::Ready)).await, done)
        });
        run_beside(side, both).await
    }

    /// Ends the watch that listening began; did the peer leave during it?
    #[must_use]
    pub(crate) fn end_watch(&self) -> bool {
        self.reader.end_watch()
    }

    /// Waits until `is_over`, which is asked whenever the task is woken, or until the wait has taken so long
    /// that there may be something to read.
    pub(crate) async fn wait_patiently(&self, is_over: impl Fn() -> bool) {
        self.reader.wait_patiently(None, is_over).await;
    }

    /// Listens to the peer until nothing more can be kept; true if the peer is lost, and then `watched` was
    /// shut down. May be dropped at any time.
    pub(crate) async fn listen(&mut self, watched: Option<ShutTarget>) -> bool {
        self.reader.listen(self.security, self.buffers, watched).await
    }
}

/// Runs `work` to its end. `side` runs beside it, is polled first, and is abandoned when `work` is done.
pub(crate) async fn run_beside<T>(
    mut side: Pin<&mut impl Future<Output = ()>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> T {
    let mut over = false;
    poll_fn(move |context| {
        if !over {
            over = side.as_mut().poll(context).is_ready();
        }
        work.as_mut().poll(context)
    })
    .await
}
