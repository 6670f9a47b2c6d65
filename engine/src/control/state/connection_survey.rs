//! Asks the cores for their open connections.
//!
//! In: which ones. Out: the oldest of all cores. A core answers between two of its rounds; one that is busy or lost
//! does not hold up the answer of the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::control::process::clock;
use crate::report::connection_list::{
    ConnectionList, ConnectionQuestion, ListedConnection, PLACES_PER_SECOND,
};
use crate::setup::CoreLink;

/// How long the cores may take beside what their tables take: a busy one has few rounds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that they may take.
const PATIENCE_MAX: Duration = Duration::from_secs(50);
/// How often control checks whether they have answered.
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// How far the answers of each core were read. Locked while the cores are asked, so that one thread at a time asks.
#[derive(Debug, Default)]
pub(crate) struct ConnectionSurvey(Mutex<Vec<u64>>);

/// An open connection, and its core.
#[derive(Debug)]
pub(crate) struct FoundConnection {
    /// Which core.
    pub(crate) core: u32,
    /// It.
    pub(crate) connection: ListedConnection,
}

/// What the cores have answered.
#[derive(Debug, Default)]
pub(crate) struct SurveyResult {
    /// How many connections are open.
    pub(crate) open: usize,
    /// How many of them were asked for.
    pub(crate) matching: usize,
    /// Cores that have not answered.
    pub(crate) unanswered: Vec<u32>,
    /// The oldest of those that were asked for, the oldest first.
    pub(crate) oldest: Vec<FoundConnection>,
}

impl ConnectionSurvey {
    /// Asks these cores.
    pub(crate) fn ask(
        &self,
        links: &[Arc<CoreLink>],
        question: ConnectionQuestion,
    ) -> SurveyResult {
        let limit = question.limit;
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.resize(links.len(), 0);
        let question = Arc::new(question);
        for link in links {
            link.connection_questions.post(Arc::clone(&question));
        }
        let started = clock::monotonic();
        let patience = patience(links);
        let mut result = SurveyResult::default();
        let mut waiting: Vec<usize> = (0..links.len()).collect();
        while !waiting.is_empty() && started.elapsed() < patience {
            waiting.retain(|at| {
                let (Some(link), Some(cursor)) = (links.get(*at), cursors.get_mut(*at)) else {
                    return false;
                };
                match link.connection_lists.take(cursor) {
                    // One that answers somebody who waits no more.
                    Some(list) if list.question != link.connection_questions.posted() => true,
                    Some(list) => {
                        result.add(link.core, &list);
                        false
                    }
                    None => true,
                }
            });
            if !waiting.is_empty() {
                std::thread::park_timeout(CHECK_EVERY);
            }
        }
        let cores = waiting.iter().filter_map(|at| links.get(*at));
        result.unanswered = cores.map(|link| link.core).collect();
        result.oldest.sort_by_key(|found| std::cmp::Reverse(found.connection.age));
        result.oldest.truncate(limit);
        result
    }
}

/// A core looks at a slice of its table in each tick; a busy one has half as many of them.
fn patience(links: &[Arc<CoreLink>]) -> Duration {
    let places = links.iter().map(|link| link.connection_places()).max().unwrap_or(0);
    (PATIENCE + Duration::from_secs(places / PLACES_PER_SECOND as u64) * 2).min(PATIENCE_MAX)
}

impl SurveyResult {
    fn add(&mut self, core: u32, list: &ConnectionList) {
        self.open += list.open;
        self.matching += list.matching;
        let oldest = list.oldest.iter().cloned();
        self.oldest.extend(oldest.map(|connection| FoundConnection { core, connection }));
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::report::connection_list::ConnectionState;

    fn open(serial: u64, age: u64) -> ListedConnection {
        ListedConnection {
            serial,
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            listener: SocketAddr::from(([127, 0, 0, 1], 2)),
            age: Duration::from_secs(age),
            state: ConnectionState::Idle,
            requests: 0,
            session: None,
        }
    }

    #[test]
    fn the_oldest_of_all_cores_come_first_and_late_answers_are_not_mixed_in() {
        let links: Vec<_> = (0..2).map(|core| Arc::new(CoreLink::new(core))).collect();
        let survey = ConnectionSurvey::default();
        // To a question that nobody waits for any more.
        let stale = ConnectionList { matching: 9, ..ConnectionList::default() };
        links[0].connection_lists.post(Arc::new(stale));
        let answering = links.clone();
        let answerer = std::thread::spawn(move || {
            for (at, link) in answering.iter().enumerate() {
                let mut seen = 0;
                while link.connection_questions.changed(&mut seen).is_none() {
                    std::thread::yield_now();
                }
                let oldest = vec![open(1, 10 + at as u64), open(2, 5)];
                let list = ConnectionList { question: seen, open: 3, matching: 2, oldest };
                link.connection_lists.post(Arc::new(list));
            }
        });
        let question = ConnectionQuestion { limit: 3, ..ConnectionQuestion::default() };
        let result = survey.ask(&links, question);
        answerer.join().unwrap();
        assert_eq!((result.open, result.matching, result.unanswered.len()), (6, 4, 0));
        let ages: Vec<u64> =
            result.oldest.iter().map(|found| found.connection.age.as_secs()).collect();
        assert_eq!(ages, [11, 10, 5]);
        assert_eq!(result.oldest[0].core, 1);
        let left = links.iter().filter(|link| link.connection_lists.changed(&mut 0).is_some());
        assert_eq!(left.count(), 0, "what was told is kept by nobody");
    }

    #[test]
    fn large_tables_have_as_long_as_they_take() {
        let links = [1, 2].map(|core| Arc::new(CoreLink::new(core)));
        assert_eq!(patience(&links), PATIENCE);
        links[1].set_connection_places(PLACES_PER_SECOND as u64 * 6);
        assert!(patience(&links) >= PATIENCE + Duration::from_secs(6));
        links[0].set_connection_places(u64::MAX);
        assert_eq!(patience(&links), PATIENCE_MAX);
    }
}
