//! Rounds of the driver: how a task that could go on at once lets everything else go first.
//!
//! The runtime puts a task that wakes itself at the front of its queue, and looks for events and timers
//! only now and then while that is not empty: such a task goes before the others, not behind them. So
//! whoever steps back here is woken by an event. One byte is sent over a pair of sockets of the core's
//! own; when the driver tells of it, it has told of everything else that was ready, and timers had
//! their time.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::unix::net::UnixStream as Socket;
use std::task::{Poll, Waker};
use std::time::Duration;

use monoio::io::AsyncReadRent;

use super::kernel::{UnixStream, sleep, spawn};

/// Without a pair of sockets: the shortest time in which the runtime looks at everything.
const NAP: Duration = Duration::from_millis(1);

thread_local! {
    static ROUNDS: Rounds = const { Rounds::new() };
}

/// Those of one core who wait for the next round.
struct Rounds {
    /// Told when somebody begins to wait.
    signal: OnceCell<Socket>,
    number: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Rounds {
    const fn new() -> Self {
        Self { signal: OnceCell::new(), number: Cell::new(0), waiting: RefCell::new(Vec::new()) }
    }

    /// False if nobody would be woken.
    fn wait(&self, waker: &Waker) -> bool {
        let Some(mut signal) = self.signal.get() else { return false };
        let mut waiting = self.waiting.borrow_mut();
        // Of several, the first one signals.
        if waiting.is_empty() && !matches!(signal.write(&[0]), Ok(1)) {
            return false;
        }
        waiting.push(waker.clone());
        true
    }

    fn begin(&self) {
        self.number.set(self.number.get().wrapping_add(1));
        let mut woken = self.waiting.take();
        woken.drain(..).for_each(Waker::wake);
        // The memory serves the next round.
        self.waiting.replace(woken);
    }
}

/// Makes this core's rounds; `polled` if its driver wants sockets that do not block.
///
/// # Errors
/// The kernel's. Whoever lets others go first sleeps then.
pub(crate) fn open_rounds(polled: bool) -> io::Result<()> {
    let (signal, heard) = Socket::pair()?;
    signal.set_nonblocking(true)?;
    heard.set_nonblocking(polled)?;
    let heard = UnixStream::from_std(heard)?;
    // A core opens them once.
    if ROUNDS.with(|rounds| rounds.signal.set(signal)).is_ok() {
        spawn(begin_rounds(heard));
    }
    Ok(())
}

async fn begin_rounds(mut signal: UnixStream) {
    let mut received = vec![0; 8];
    loop {
        let heard;
        (heard, received) = signal.read(received).await;
        ROUNDS.with(Rounds::begin);
        if !matches!(heard, Ok(1..)) {
            return;
        }
    }
}

/// Lets everything go first that is ready to run: tasks, connections, timers.
pub(crate) async fn next_round() {
    let mut joined = None;
    let heard = poll_fn(|context| {
        ROUNDS.with(|rounds| {
            let now = rounds.number.get();
            match joined {
                None if !rounds.wait(context.waker()) => return Poll::Ready(false),
                None => joined = Some(now),
                // Woken by something else, it waits on.
                Some(joined) if joined == now => {}
                Some(_) => return Poll::Ready(true),
            }
            Poll::Pending
        })
    });
    if !heard.await {
        // Boxed: it is rare, and would make every task larger.
        Box::pin(sleep(NAP)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use ferrule_config::model::IoDriver;

    use super::*;
    use crate::setup::Driver;
    use crate::shell::transport::driver;

    /// Three tasks that could always go on, one that waits for a socket, and one for a timer.
    async fn crowd(polled: bool, opened: bool) {
        if opened {
            open_rounds(polled).unwrap();
        }
        let over = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new([0_u32; 3]));
        for number in 0..3 {
            let (over, turns) = (Rc::clone(&over), Rc::clone(&turns));
            spawn(async move {
                while !over.get() {
                    let mut all = turns.get();
                    all[number] += 1;
                    turns.set(all);
                    next_round().await;
                }
            });
        }
        let (ours, mut theirs) = Socket::pair().unwrap();
        ours.set_nonblocking(polled).unwrap();
        let mut ours = UnixStream::from_std(ours).unwrap();
        for _ in 0..50 {
            theirs.write_all(b"x").unwrap();
            let before = turns.get();
            let (read, _) = ours.read(vec![0; 1]).await;
            assert_eq!(read.unwrap(), 1);
            for (before, after) in before.into_iter().zip(turns.get()) {
                assert!(after - before <= 3, "{before} to {after} turns, and a socket waits");
            }
        }
        sleep(Duration::from_millis(5)).await;
        let [first, second, third] = turns.get();
        assert!(first.abs_diff(second) <= 1 && second.abs_diff(third) <= 1, "{:?}", turns.get());
        over.set(true);
    }

    #[test]
    fn who_could_always_go_on_lets_sockets_and_timers_go_first() {
        for wanted in [IoDriver::Epoll, IoDriver::Auto] {
            let driver = driver::choose(wanted, 64).unwrap();
            for opened in [true, false] {
                // Rounds are a thread's own.
                let run = move || {
                    driver::block_on(driver, 64, crowd(driver == Driver::Epoll, opened)).unwrap();
                };
                std::thread::spawn(run).join().unwrap();
            }
        }
    }
}
