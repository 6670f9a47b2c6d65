//! The journal of a run: every request, what became of it, and what must never happen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use super::fate::Outage;
use super::message::BodyFraming;
use super::setting::Setting;
use crate::simulation::network::world;

/// One request, before it is sent.
#[derive(Clone, Debug)]
pub(super) struct PlannedRequest {
    pub(super) id: u64,
    pub(super) method: &'static str,
    /// HTTP/1.1, else 1.0.
    pub(super) modern: bool,
    pub(super) framing: BodyFraming,
    pub(super) body_len: usize,
    pub(super) expect: bool,
    /// It says that it is the last.
    pub(super) last: bool,
}

impl PlannedRequest {
    pub(super) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }
}

/// What a client got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RequestOutcome {
    /// A node's answer, whole.
    Delivered,
    /// Ferrule's own answer.
    Own(u16),
    /// An answer that was cut, visibly.
    Cut,
    /// The end of the connection.
    Nothing,
    /// It was sent after the last answer of its connection.
    Void,
}

/// What is known of a request.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
struct RequestRecord {
    ask: PlannedRequest,
    /// Nodes that saw its head.
    seen: u32,
    faults: Vec<&'static str>,
    /// The answer of the last node that saw it was malformed.
    malformed: bool,
    /// A node has answered before it had read all of it.
    early: bool,
    /// Its client has read the head of an answer.
    heard: bool,
    /// All of it was sent at once, so that Ferrule holds it.
    held: bool,
    /// Its client has got an interim response.
    hinted: bool,
    /// A node has sent something of an answer.
    spoken: bool,
    /// When its client began to send it.
    began: Option<Duration>,
    outcome: Option<RequestOutcome>,
}

/// The entries of one run.
#[derive(Debug, Default)]
pub(super) struct JournalEntries {
    entries: BTreeMap<u64, RequestRecord>,
    /// What must not have happened.
    pub(super) violations: Vec<String>,
    /// What happened, for whoever reads a failure.
    pub(super) story: Vec<String>,
    pub(super) delivered: usize,
    /// What has befallen nodes while they were asked.
    pub(super) met: BTreeSet<Outage>,
    troubles: Vec<Trouble>,
}

/// A time in which nodes failed.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// Its end; `None` while it lasts.
    ended: Option<Duration>,
}

/// How long nodes that have failed may still be noticed: connections that died with them are.
const AFTERMATH: Duration = Duration::from_secs(2);

/// The journal of a run, shared by all peers.
#[derive(Clone, Debug, Default)]
pub(super) struct RunJournal(Rc<RefCell<JournalEntries>>);

impl RunJournal {
    pub(super) fn violation(&self, what: String) {
        self.tell(&format!("VIOLATION: {what}"));
        self.0.borrow_mut().violations.push(what);
    }

    pub(super) fn tell(&self, what: &str) {
        let now = world::now();
        self.0.borrow_mut().story.push(format!("{:9.3} {what}", now.as_secs_f64()));
    }

    pub(super) fn asks(&self, ask: &PlannedRequest) {
        let entry = RequestRecord {
            ask: ask.clone(),
            seen: 0,
            faults: Vec::new(),
            malformed: false,
            early: false,
            heard: false,
            held: ask.framing == BodyFraming::Missing && ask.is_idempotent(),
            hinted: false,
            spoken: false,
            began: None,
            outcome: None,
        };
        self.0.borrow_mut().entries.insert(ask.id, entry);
    }

    /// Nodes fail from now on.
    pub(super) fn trouble_begins(&self) {
        self.0.borrow_mut().troubles.push(Trouble { ended: None });
    }

    /// All nodes work from now on.
    pub(super) fn trouble_ends(&self) {
        if let Some(trouble) = self.0.borrow_mut().troubles.last_mut() {
            trouble.ended = Some(world::now());
        }
    }

    /// This has befallen a node while it was asked.
    pub(super) fn meets(&self, outage: Outage) {
        self.0.borrow_mut().met.insert(outage);
    }

    /// A client begins to send this request; `whole`: all of it at once.
    pub(super) fn sends(&self, id: u64, whole: bool) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.began = Some(world::now());
            entry.held |= whole && entry.ask.is_idempotent();
        }
    }

    /// Its client gets an interim response.
    pub(super) fn hints(&self, id: u64) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.hinted = true;
        }
    }

    /// A node sends something of an answer to it.
    pub(super) fn speaks(&self, id: u64) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.spoken = true;
        }
    }

    /// May the answer to this request have been cut, because nodes fail?
    pub(super) fn may_be_cut(&self, id: u64) -> bool {
        let book = self.0.borrow();
        let Some(entry) = book.entries.get(&id) else { return false };
        !entry.faults.is_empty() || (entry.spoken && book.troubles_of(entry) > 0)
    }

    /// A node has read the head of a request, which may be sent to so many more.
    pub(super) fn seen(&self, id: u64, retries: usize) -> Result<PlannedRequest, String> {
        let mut book = self.0.borrow_mut();
        let Some(entry) = book.entries.get_mut(&id) else {
            return Err(format!("{id:016x} was never asked"));
        };
        entry.seen += 1;
        // What the nodes before this one did is not what the client gets.
        entry.malformed = false;
        // At each node once more on a fresh connection, if one from the pool had gone.
        let most = if entry.ask.is_idempotent() { 2 * (retries + 1) } else { 1 };
        if entry.seen as usize > most {
            return Err(format!("{} {id:016x} was seen {} times", entry.ask.method, entry.seen));
        }
        if entry.outcome == Some(RequestOutcome::Void) {
            return Err(format!("{id:016x} was forwarded behind the last answer"));
        }
        Ok(entry.ask.clone())
    }

    /// A node answers this request before it has read all of it.
    pub(super) fn early(&self, id: u64) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.early = true;
        }
    }

    /// Has a node answered this request before it had read all of it?
    pub(super) fn was_early(&self, id: u64) -> bool {
        self.0.borrow().entries.get(&id).is_some_and(|entry| entry.early)
    }

    /// Its client has read the head of an answer.
    pub(super) fn hears(&self, id: u64) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.heard = true;
        }
    }

    /// Has the client of this request read the head of an answer?
    pub(super) fn is_heard(&self, id: u64) -> bool {
        self.0.borrow().entries.get(&id).is_some_and(|entry| entry.heard)
    }

    /// A node does something wrong with this request.
    pub(super) fn fault(&self, id: u64, what: &'static str, malformed: bool) {
        if let Some(entry) = self.0.borrow_mut().entries.get_mut(&id) {
            entry.faults.push(what);
            entry.malformed |= malformed;
        }
    }

    /// A client knows what became of its request; `why` says how it has misbehaved itself, if it has.
    pub(super) fn ends(
        &self,
        id: u64,
        outcome: RequestOutcome,
        setting: &Setting,
        why: Option<&str>,
    ) {
        self.tell(&format!("client: {id:016x} {outcome:?} {}", why.unwrap_or_default()));
        let finding = {
            let mut book = self.0.borrow_mut();
            book.delivered += usize::from(outcome == RequestOutcome::Delivered);
            let Some(entry) = book.entries.get_mut(&id) else { return };
            entry.outcome = Some(outcome);
            let entry = entry.clone();
            match why {
                None if setting.has_outages() => {
                    entry.judge_in_outages(outcome, book.troubles_of(&entry))
                }
                _ => entry.judge(outcome, setting, why.is_some()),
            }
        };
        if let Some(finding) = finding {
            self.violation(format!("{id:016x} {finding}"));
        }
    }

    /// Closes the journal; a request without an outcome is a violation.
    pub(super) fn close(&self) -> JournalEntries {
        let mut book = self.0.take();
        let open = book.entries.values().filter(|entry| entry.outcome.is_none()).count();
        if open > 0 {
            book.violations.push(format!("{open} requests have come to nothing"));
        }
        book
    }
}

impl JournalEntries {
    /// Requests in it.
    pub(super) fn asks(&self) -> usize {
        self.entries.len()
    }

    /// In how many times of trouble was this request under way, up to now?
    fn troubles_of(&self, entry: &RequestRecord) -> usize {
        let began = entry.began.unwrap_or_default();
        let lasts =
            |trouble: &&Trouble| trouble.ended.is_none_or(|ended| began < ended + AFTERMATH);
        self.troubles.iter().filter(lasts).count()
    }
}

impl RequestRecord {
    /// As [`judge`](Self::judge), where nodes fail for a while: two at most in each of the times of trouble in which
    /// this request was under way.
    fn judge_in_outages(&self, outcome: RequestOutcome, troubles: usize) -> Option<String> {
        let Self { ask, faults, held, hinted, spoken, .. } = self;
        let excused = troubles > 0 || !faults.is_empty();
        match outcome {
            RequestOutcome::Delivered if self.malformed => {
                Some(format!("was delivered in spite of {faults:?}"))
            }
            RequestOutcome::Delivered if self.seen == 0 => {
                Some("was answered by nobody".to_owned())
            }
            RequestOutcome::Void if self.seen > 0 => Some("was forwarded, and is void".to_owned()),
            RequestOutcome::Delivered | RequestOutcome::Void => None,
            RequestOutcome::Own(status) if *held && !hinted && troubles < 2 => {
                Some(format!("was answered {status}, and good nodes were left: {ask:?}"))
            }
            RequestOutcome::Own(502 | 504) if excused => None,
            RequestOutcome::Own(status) => Some(format!("was answered {status}: {ask:?}")),
            RequestOutcome::Cut if *held && !spoken => {
                Some("was cut, and no node had answered".to_owned())
            }
            RequestOutcome::Cut if excused => None,
            RequestOutcome::Cut => Some("was cut without a fault".to_owned()),
            RequestOutcome::Nothing => Some("was not answered".to_owned()),
        }
    }

    /// Why this outcome is a violation, if it is one.
    fn judge(
        &self,
        outcome: RequestOutcome,
        setting: &Setting,
        misbehaved: bool,
    ) -> Option<String> {
        let faults = &self.faults;
        let ask = &self.ask;
        match outcome {
            RequestOutcome::Delivered if self.malformed => {
                Some(format!("was delivered in spite of {faults:?}"))
            }
            RequestOutcome::Delivered if self.seen == 0 => {
                Some("was answered by nobody".to_owned())
            }
            RequestOutcome::Void if self.seen > 0 => Some("was forwarded, and is void".to_owned()),
            RequestOutcome::Delivered | RequestOutcome::Void => None,
            RequestOutcome::Own(500) => Some("was answered 500".to_owned()),
            _ if misbehaved => None,
            RequestOutcome::Own(status) => {
                let pure = ask.framing == BodyFraming::Missing && ask.is_idempotent();
                let well = match status {
                    413 => setting.body_max.is_some_and(|max| ask.body_len > max),
                    502 => {
                        !faults.is_empty() || setting.connects_fail || (setting.idle_ends && !pure)
                    }
                    503 => setting.no_room,
                    504 => !faults.is_empty() || setting.connects_fail,
                    _ => false,
                };
                (!well).then(|| format!("was answered {status}, faults {faults:?}: {ask:?}"))
            }
            // The answer had begun when the body turned out to be too large.
            RequestOutcome::Cut if setting.body_max.is_some_and(|max| ask.body_len > max) => None,
            // Whoever has no room ends idle connections: a request on its way there meets a reset, which may
            // overtake the orderly end.
            RequestOutcome::Cut if setting.no_room && self.seen == 0 => None,
            RequestOutcome::Cut if faults.is_empty() => Some("was cut without a fault".to_owned()),
            RequestOutcome::Cut => None,
            // Whoever has no room ends idle connections.
            RequestOutcome::Nothing if setting.no_room => None,
            RequestOutcome::Nothing => Some("was not answered".to_owned()),
        }
    }
}
