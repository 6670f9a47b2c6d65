//! The boundary around each connection: a panic ends that connection and nothing else.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose panics are caught; boxed, so that its size does not inline into every task.
pub(crate) struct Guarded<'a, T>(Pin<Box<dyn Future<Output = T> + 'a>>);

/// It panicked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

impl<'a, T> Guarded<'a, T> {
    /// Guards `future`.
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What a connection shares with its core is single fields behind cells, never left half
        // changed over a call that could panic; the connection's own state is dropped with it.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value() {
        let outcome =
            crate::shell::transport::driver::block_on(crate::setup::Driver::Epoll, 64, async {
                Guarded::new(async { panic!("by a test") }).await
            });
        assert_eq!(outcome.unwrap(), Err::<(), _>(Panicked));
    }
}
