//! What operators want, until it is done: each wish stands here once, however often it was uttered.
//!
//! Two threads take from here. The one that watches over the cores takes what has to work whatever
//! becomes of files: to stop, and to open the logs anew. The one that reads files takes reloads, and looks
//! at files when that is due: no number of wishes puts that off. Whoever is told to end reloads no more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::control::process::clock;

/// What is said to whoever wants a reload during a drain.
pub(crate) const TOO_LATE: &str = "no reload during a drain";

/// For the thread that watches over the cores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// `SIGTERM`, `SIGQUIT`, `SIGINT`: drain, then end. A second one: end at once.
    Stop,
    /// `SIGUSR1`: open the log files anew.
    ReopenLogs,
    /// A reload was asked for when it was too late for one.
    TooLate,
}

/// For the thread that reads files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Job {
    /// See which files have changed.
    Look,
    /// Load the configuration again, and tell those who wait for it.
    Reload(Vec<u64>),
    /// Close the doors and go.
    End,
}

/// How far the thread that reads files is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Progress {
    /// It reads what the process starts with.
    #[default]
    Starting,
    /// It looks after files.
    Serving,
    /// It is gone.
    Ended,
}

/// How long the thread that reads files is needed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Stay {
    #[default]
    Serving,
    /// Told to stop: no more reloads, but files are looked at.
    Ending,
    /// It is to go.
    Dismissed,
}

/// Wishes that are open.
#[derive(Debug, Default)]
pub struct Orders {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wishes {
    /// Orders to stop that nobody has taken yet.
    stops: u32,
    stay: Stay,
    reopen: bool,
    too_late: bool,
    reload: bool,
    /// Those who wait for the next reload.
    waiting: Vec<u64>,
    progress: Progress,
}

impl Wishes {
    fn order(&mut self) -> Option<Order> {
        if self.stops > 0 {
            self.stops -= 1;
            return Some(Order::Stop);
        }
        if std::mem::take(&mut self.reopen) {
            return Some(Order::ReopenLogs);
        }
        std::mem::take(&mut self.too_late).then_some(Order::TooLate)
    }

    /// What is due comes before what is wanted; both get their turn, because what is due once is not due
    /// again at once.
    fn job(&mut self, now: Instant, look_due: Instant) -> Option<Job> {
        if self.stay == Stay::Dismissed {
            return Some(Job::End);
        }
        if now >= look_due {
            return Some(Job::Look);
        }
        std::mem::take(&mut self.reload).then(|| Job::Reload(std::mem::take(&mut self.waiting)))
    }

    fn stop(&mut self) {
        self.stops = self.stops.saturating_add(1);
        self.stay = self.stay.max(Stay::Ending);
        self.reload = false;
    }

    fn reload(&mut self, ticket: Option<u64>) -> bool {
        if self.stay >= Stay::Ending {
            self.too_late |= ticket.is_none();
            return false;
        }
        self.reload = true;
        self.waiting.extend(ticket);
        true
    }
}

impl Orders {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn utter<R>(&self, wish: impl FnOnce(&mut Wishes) -> R) -> R {
        let done = wish(&mut self.wishes());
        self.changed.notify_all();
        done
    }

    /// To drain and end; once more, to end at once.
    pub fn stop(&self) {
        self.utter(Wishes::stop);
    }

    /// To open the log files anew.
    pub fn reopen_logs(&self) {
        self.utter(|wishes| wishes.reopen = true);
    }

    /// To load the configuration again, with the number of whoever waits for that. False if the process
    /// is about to end.
    pub(crate) fn reload(&self, ticket: Option<u64>) -> bool {
        self.utter(|wishes| wishes.reload(ticket))
    }

    /// Has anybody been told to stop?
    pub(crate) fn is_ending(&self) -> bool {
        self.wishes().stay >= Stay::Ending
    }

    /// Those who wait for a reload that will not come.
    pub(crate) fn disappointed(&self) -> Vec<u64> {
        std::mem::take(&mut self.wishes().waiting)
    }

    /// Waits for an order until then.
    pub(crate) fn next_order(&self, until: Instant) -> Option<Order> {
        self.wait(Some(until), |wishes, _| wishes.order())
    }

    /// Waits for something to do with files; to look at them is due then.
    pub(crate) fn next_job(&self, look_due: Instant) -> Job {
        // At that time at the latest there is a job.
        self.wait(Some(look_due), |wishes, now| wishes.job(now, look_due)).unwrap_or(Job::Look)
    }

    /// Waits until the thread that reads files has what the process starts with, or somebody is told to
    /// stop.
    pub(crate) fn started(&self) -> Progress {
        let over = |wishes: &mut Wishes, _| {
            let over = wishes.progress != Progress::Starting || wishes.stay >= Stay::Ending;
            over.then_some(wishes.progress)
        };
        self.wait(None, over).unwrap_or_default()
    }

    /// Waits until the thread that reads files is gone. Is it, by then?
    pub(crate) fn ended(&self, until: Instant) -> bool {
        let gone = |wishes: &mut Wishes, _| (wishes.progress == Progress::Ended).then_some(());
        self.wait(Some(until), gone).is_some()
    }

    /// The thread that reads files is there now.
    pub(crate) fn reached(&self, progress: Progress) {
        self.utter(|wishes| wishes.progress = progress);
    }

    /// Where is it?
    pub(crate) fn progress(&self) -> Progress {
        self.wishes().progress
    }

    /// The thread that reads files is to go.
    pub(crate) fn dismiss(&self) {
        self.utter(|wishes| wishes.stay = Stay::Dismissed);
    }

    fn wait<T>(
        &self,
        until: Option<Instant>,
        mut take: impl FnMut(&mut Wishes, Instant) -> Option<T>,
    ) -> Option<T> {
        let mut wishes = self.wishes();
        loop {
            let now = clock::monotonic();
            let taken = take(&mut wishes, now);
            if taken.is_some() || until.is_some_and(|until| now >= until) {
                return taken;
            }
            let rest = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(wishes, rest);
            wishes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(500);

    /// What an operator, a script or a stranger at the admin socket may send, in any order.
    fn utter(wishes: &mut Wishes, which: u32) {
        match which % 4 {
            0 => wishes.reopen = true,
            1 => drop(wishes.reload(None)),
            2 => drop(wishes.reload(Some(u64::from(which)))),
            _ => {}
        }
    }

    /// A cheap sequence that is the same in every run.
    fn next(seed: &mut u32) -> u32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *seed >> 8
    }

    /// However many wishes there are, and however long each takes: files are looked at when that is due,
    /// late by the one job that was under way; and what is wanted is done between two looks.
    #[test]
    fn no_number_of_wishes_puts_off_a_look_nor_a_look_a_wish() {
        for mut seed in 0..200 {
            let mut now = clock::monotonic();
            let mut wishes = Wishes::default();
            let (mut due, mut wanted_since) = (now + EVERY, None);
            for _ in 0..500 {
                for _ in 0..next(&mut seed) % 5 {
                    utter(&mut wishes, next(&mut seed));
                }
                if wishes.reload {
                    wanted_since.get_or_insert(now);
                }
                let takes = Duration::from_millis(u64::from(next(&mut seed) % 1_000));
                match wishes.job(now, due) {
                    Some(Job::Look) => {
                        assert!(now - due <= Duration::from_secs(1), "{:?} late", now - due);
                        now += takes;
                        due = now + EVERY;
                    }
                    Some(Job::Reload(_)) => {
                        let waited = wanted_since.take().map(|since| now - since);
                        assert!(waited.is_some_and(|waited| waited <= Duration::from_secs(1)));
                        assert!(wishes.waiting.is_empty() && !wishes.reload, "all of them at once");
                        now += takes;
                    }
                    Some(Job::End) => unreachable!("nobody was dismissed"),
                    None => now = due,
                }
            }
        }
    }

    #[test]
    fn to_stop_goes_before_everything_and_ends_reloads() {
        let orders = Orders::default();
        let now = clock::monotonic();
        for ticket in 0..300 {
            assert!(orders.reload(Some(ticket)));
            orders.reopen_logs();
        }
        orders.stop();
        assert!(!orders.reload(None) && !orders.reload(Some(300)));
        orders.stop();
        let taken: Vec<_> = std::iter::from_fn(|| orders.next_order(now)).collect();
        assert_eq!(taken, [Order::Stop, Order::Stop, Order::ReopenLogs, Order::TooLate]);
        assert_eq!(orders.disappointed().len(), 300);
        assert_eq!(orders.next_job(now), Job::Look, "and files are looked at still");
        orders.dismiss();
        assert_eq!(orders.next_job(now + EVERY), Job::End);
    }

    #[test]
    fn a_thousand_reloads_are_one() {
        let orders = Orders::default();
        let later = clock::monotonic() + EVERY;
        for ticket in 0..1_000 {
            assert!(orders.reload((ticket < 2).then_some(ticket)));
        }
        assert_eq!(orders.next_job(later), Job::Reload(vec![0, 1]));
        assert!(orders.wishes().job(clock::monotonic(), later).is_none());
    }

    /// The thread that reads files hangs in a file system that has gone away: it never gets anywhere.
    #[test]
    fn a_stop_does_not_wait_for_files() {
        let orders = Orders::default();
        orders.stop();
        assert_eq!(orders.started(), Progress::Starting);
        assert_eq!(orders.next_order(clock::monotonic()), Some(Order::Stop));
        assert!(!orders.ended(clock::monotonic()));
    }
}
