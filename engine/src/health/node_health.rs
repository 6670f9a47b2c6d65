//! The health of one node, shared by all cores.
//!
//! While a node works, a try costs two relaxed loads. What fails counts in one word, and the node moves in
//! another one, by compare and swap: of several cores that see the same, one makes the change.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::changes::{ChangeKind, Changes, NodeChanged};
use super::place::{Failures, Place, PlaceMode};
use super::rules::{FailureKind, Meaning, Rules};
use super::standing::{Admin, AdminOrder, Checked, Moment, Standing};

/// The health of one node.
#[derive(Debug, Default)]
pub struct NodeHealth {
    /// [`Failures`], packed.
    failures: AtomicU64,
    /// [`Place`], packed.
    place: AtomicU64,
    /// [`Admin`], as a number.
    admin: AtomicU8,
    /// The operator's order ends with the next configuration.
    until_reload: AtomicBool,
    /// An active check fails.
    check_fails: AtomicBool,
    /// Why it does. No data core uses it.
    check_reason: Mutex<Option<Box<str>>>,
    /// How often the node was set aside, each time that it stayed so included.
    ejections: AtomicU64,
    changes: OnceLock<Box<Changes>>,
}

/// What a node's health is, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeStatus {
    /// In one word.
    pub state: &'static str,
    /// Why: the last change, or what an active check said.
    pub why: Option<String>,
    /// Since when, in Unix seconds, if it has ever changed.
    pub since: Option<u64>,
    /// When it is asked again, as [`now_ms`](super::NodeStates::now_ms) has it.
    pub until_ms: Option<u64>,
    /// How often it was set aside, each time that it stayed so included.
    pub ejections: u64,
}

impl FailureKind {
    const fn change(self) -> ChangeKind {
        match self {
            Self::Tcp => ChangeKind::TcpFailures,
            Self::Timeout => ChangeKind::Timeouts,
            Self::Http => ChangeKind::HttpFailures,
        }
    }
}

impl NodeHealth {
    pub(super) fn place(&self) -> Place {
        Place::of(self.place.load(Ordering::Relaxed))
    }

    /// What an operator wants of it.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::of(self.admin.load(Ordering::Relaxed))
    }

    /// By its answers and checks alone; what an operator wants is not in it.
    pub(super) fn standing(&self, now_ms: u64) -> Standing {
        if self.check_fails.load(Ordering::Relaxed) {
            return Standing::SetAside;
        }
        self.place().standing(now_ms)
    }

    /// Does nothing speak against it but perhaps an operator?
    pub(super) fn is_healthy(&self) -> bool {
        self.place().mode == PlaceMode::Usable && !self.check_fails.load(Ordering::Relaxed)
    }

    /// Is it asked, as far as that depends on it alone?
    #[must_use]
    pub fn takes_part(&self) -> bool {
        self.is_enabled() && self.is_healthy()
    }

    /// Does the operator let it take part?
    pub(super) fn is_enabled(&self) -> bool {
        self.admin.load(Ordering::Relaxed) == Admin::Enabled as u8
    }

    /// Does neither an operator nor an active check speak against it?
    pub(super) fn may_be_last_resort(&self) -> bool {
        self.is_enabled() && !self.check_fails.load(Ordering::Relaxed)
    }

    /// Works, and has worked before: the path of nearly every request.
    pub(super) fn goes_on_working(&self, meaning: Meaning) -> bool {
        if meaning != Meaning::Works || self.place().mode != PlaceMode::Usable {
            return false;
        }
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        true
    }

    /// A try has ended. `Some` if the node has moved: with the change, if its state is another one.
    pub(super) fn tried(
        &self,
        meaning: Meaning,
        rules: &Rules,
        when: Moment,
        spared: Spared,
    ) -> Option<Option<ChangeKind>> {
        let mut packed = self.place.load(Ordering::Relaxed);
        loop {
            let place = Place::of(packed);
            let due = when.now_ms >= place.at_ms;
            let draw = draw(packed, when.now_ms);
            let next = match (place.mode, meaning) {
                (PlaceMode::Usable, Meaning::Fails(kind)) => {
                    if !self.is_too_much(kind, rules, when) || spared == Spared::OnlyNode {
                        return None;
                    }
                    place.set_aside(rules, when.now_ms, 0, draw)
                }
                (PlaceMode::Usable, Meaning::Works | Meaning::Nothing) => return None,
                // What was under way says nothing about now. Nor does what a node answers in a panic bring it
                // back early: it is asked anyway, and one that answers now and then would come and go.
                (PlaceMode::SetAside, _) if !due => return None,
                (PlaceMode::SetAside, Meaning::Nothing) => return None,
                (PlaceMode::SetAside | PlaceMode::Probing, Meaning::Fails(_)) => {
                    place.again(rules, when.now_ms, draw)
                }
                (PlaceMode::SetAside | PlaceMode::Probing, Meaning::Works) => {
                    place.answered(rules, when.now_ms)
                }
                (PlaceMode::Probing, Meaning::Nothing) => place.unsaid(when.now_ms),
            };
            match self.swap(packed, next) {
                Ok(()) => {
                    self.failures.store(0, Ordering::Relaxed);
                    return Some(self.moved(place, next, meaning, when));
                }
                // While it was usable, another core has done the same; the failure is counted.
                Err(_) if place.mode == PlaceMode::Usable => return None,
                Err(other) => packed = other,
            }
        }
    }

    /// It does worse than the others, and that took `when.took_ms` to find out. The change, if it was usable.
    pub(super) fn set_aside(
        &self,
        kind: ChangeKind,
        rules: &Rules,
        when: Moment,
    ) -> Option<ChangeKind> {
        let packed = self.place.load(Ordering::Relaxed);
        let place = Place::of(packed);
        if place.mode != PlaceMode::Usable {
            return None;
        }
        let draw = draw(packed, when.now_ms);
        self.swap(packed, place.set_aside(rules, when.now_ms, when.took_ms, draw)).ok()?;
        self.failures.store(0, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        self.note(kind, when.unix_seconds);
        Some(kind)
    }

    /// What the move from one place to another is called, if the node's state is another one.
    fn moved(&self, from: Place, to: Place, meaning: Meaning, when: Moment) -> Option<ChangeKind> {
        let kind = match (from.mode, meaning) {
            (PlaceMode::Usable, Meaning::Fails(kind)) => Some(kind.change()),
            (_, Meaning::Works) if to.mode == PlaceMode::Usable => Some(ChangeKind::Answered),
            _ => None,
        };
        if matches!(meaning, Meaning::Fails(_)) {
            self.ejections.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(kind) = kind {
            self.note(kind, when.unix_seconds);
        }
        kind
    }

    fn is_too_much(&self, kind: FailureKind, rules: &Rules, when: Moment) -> bool {
        let began = when.now_ms.saturating_sub(when.took_ms);
        let count = |packed: u64| Failures::of(packed).with(kind, rules, began, when.now_ms);
        let counted = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
            Some(count(packed).packed())
        });
        let before = counted.unwrap_or_default();
        count(before).count(kind) >= rules.limit(kind)
    }

    /// Takes the place of the one request that is sent to a node whose time is over. False if another one has it.
    pub(super) fn take_probe(&self, rules: &Rules, now_ms: u64) -> bool {
        let packed = self.place.load(Ordering::Relaxed);
        let place = Place::of(packed);
        self.standing(now_ms) == Standing::Probe
            && self.swap(packed, place.probed(rules, now_ms)).is_ok()
    }

    fn swap(&self, from: u64, to: Place) -> Result<(), u64> {
        let to = to.packed();
        self.place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    /// What an active check says. The change, if that is news.
    pub(super) fn set_checked(&self, checked: Checked, unix_seconds: u64) -> Option<ChangeKind> {
        let fails = matches!(checked, Checked::Unhealthy(_));
        let reason = match checked {
            Checked::Healthy => None,
            Checked::Unhealthy(reason) => Some(reason),
        };
        *self.check_reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        if self.check_fails.swap(fails, Ordering::Relaxed) == fails {
            return None;
        }
        if !fails {
            // It passes several times in a row: as good as a request that is answered.
            let back = Place::default();
            self.place.store(back.packed(), Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        let kind = if fails { ChangeKind::CheckFailed } else { ChangeKind::CheckPassed };
        self.note(kind, unix_seconds);
        Some(kind)
    }

    /// What an operator wants. The change, if that is news.
    pub(super) fn set_admin(&self, order: AdminOrder, unix_seconds: u64) -> Option<ChangeKind> {
        self.until_reload.store(order.until_reload, Ordering::Relaxed);
        if self.admin.swap(order.admin as u8, Ordering::Relaxed) == order.admin as u8 {
            return None;
        }
        self.note(order.admin.change(), unix_seconds);
        Some(order.admin.change())
    }

    /// Another configuration is put in force: orders that were for this one are over.
    pub(super) fn end_orders(&self) {
        if self.until_reload.swap(false, Ordering::Relaxed) {
            self.admin.store(Admin::Enabled as u8, Ordering::Relaxed);
        }
    }

    /// A node that goes on under other checks: what an operator wants of it is all that is kept.
    pub(super) fn renewed(&self) -> Self {
        Self {
            admin: AtomicU8::new(self.admin.load(Ordering::Relaxed)),
            until_reload: AtomicBool::new(self.until_reload.load(Ordering::Relaxed)),
            ..Self::default()
        }
    }

    fn note(&self, kind: ChangeKind, unix_seconds: u64) {
        let changes = self.changes.get_or_init(Box::default);
        changes.push(NodeChanged { unix_seconds, kind });
    }

    /// The last changes, in no order.
    pub fn last_changes(&self) -> impl Iterator<Item = NodeChanged> + '_ {
        self.changes.get().into_iter().flat_map(|changes| changes.last())
    }

    /// How often it has changed in which way; nothing if it never has.
    pub fn change_counts(&self) -> impl Iterator<Item = (ChangeKind, u64)> + '_ {
        self.changes.get().into_iter().flat_map(|changes| changes.counts())
    }

    /// Why an active check fails.
    #[must_use]
    pub fn check_reason(&self) -> Option<Box<str>> {
        self.check_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For people and metrics.
    #[must_use]
    pub fn status(&self, now_ms: u64) -> NodeStatus {
        let place = self.place();
        let last = self.last_changes().max_by_key(|change| change.unix_seconds);
        let reason = self.check_reason();
        let by_place = match place.mode {
            PlaceMode::Usable => "usable",
            PlaceMode::Probing if now_ms < place.at_ms => "probing",
            PlaceMode::SetAside | PlaceMode::Probing => "set-aside",
        };
        let state = match self.admin() {
            Admin::Draining => "draining",
            Admin::Disabled => "disabled",
            Admin::Enabled if self.check_fails.load(Ordering::Relaxed) => "unhealthy",
            Admin::Enabled => by_place,
        };
        let until = state == "set-aside" && place.mode == PlaceMode::SetAside;
        NodeStatus {
            state,
            why: reason.map(String::from).or_else(|| last.map(|last| last.kind.word().to_owned())),
            since: last.map(|last| last.unix_seconds),
            until_ms: until.then_some(place.at_ms),
            ejections: self.ejections.load(Ordering::Relaxed),
        }
    }
}

/// Is a node asked whatever its health?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spared {
    No,
    /// It is the only one.
    OnlyNode,
    /// Too few nodes are healthy.
    Panic,
}

/// A number for the jitter.
fn draw(packed: u64, now_ms: u64) -> u64 {
    let mixed = (packed ^ now_ms).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}
