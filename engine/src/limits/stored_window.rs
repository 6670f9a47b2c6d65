//! One key of a window that several gateways count together: what is offered to the store, and what is made of
//! its answer.
//!
//! A gateway never sends what has come since, but all that it has taken in the window: what is sent twice, or
//! whose answer is lost, is not counted twice, and a store that has forgotten everything is told everything
//! again. So each gateway has a count of its own in the store, and the sum of the others comes back.

use ring::digest;

use super::window::{RequestWindow, WindowState};

/// No count of a store is larger, and no time in milliseconds: what Lua counts exactly.
const NUMBER_MAX: u64 = 1 << 53;

/// By what a store knows the key of a request: half of its SHA-256, so that no client's name stands there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyName(pub [u8; 16]);

impl KeyName {
    fn of(key: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, key);
        let mut name = Self::default();
        name.0.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        name
    }
}

/// What all cores know of one key, and where that is in the store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct StoredWindow {
    window: WindowState,
    name: Option<KeyName>,
    /// The store's window, by when it ends there; holds for the window that ends at `known_ends` here.
    store_ends_ms: u64,
    known_ends: u64,
    /// It was asked for since it was last offered.
    asked: bool,
}

/// What the store is told of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreOffer {
    /// The hash that it is known by here.
    pub key: u64,
    /// Its name in the store.
    pub name: KeyName,
    /// When the window ends there, in milliseconds of the store's clock; 0 is not known yet.
    pub ends_ms: u64,
    /// What was taken here in that window.
    pub used: u64,
    /// When the window ends here.
    ends: u64,
}

/// What the store says of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreCount {
    ends_ms: u64,
    left_ms: u64,
    own: u64,
    others: u64,
    before: u64,
}

impl StoreCount {
    /// When its window ends there, how long that is from now, what it has of this gateway and of the others, and
    /// what all had in the window before; `None` if no store that tells the truth says so.
    #[must_use]
    pub fn read(numbers: [i64; 5], rule: &RequestWindow) -> Option<Self> {
        let mut read = [0; 5];
        for (to, from) in read.iter_mut().zip(numbers) {
            *to = u64::try_from(from).ok().filter(|number| *number <= NUMBER_MAX)?;
        }
        let [ends_ms, left_ms, own, others, before] = read;
        let holds = ends_ms > 0 && left_ms > 0 && left_ms <= rule.window_ms();
        holds.then_some(Self { ends_ms, left_ms, own, others, before })
    }
}

impl StoredWindow {
    /// The window of this key, which a core asks for.
    pub(super) fn ask(&mut self, key: &[u8]) -> &mut WindowState {
        self.name.get_or_insert_with(|| KeyName::of(key));
        self.asked = true;
        &mut self.window
    }

    /// From when on it says nothing any more.
    pub(super) const fn forgotten_at(&self, rule: &RequestWindow) -> u64 {
        self.window.forgotten_at(rule)
    }

    /// What the store is to be told, if it was asked for since.
    pub(super) fn offer(&mut self, key: u64, now: u64) -> Option<StoreOffer> {
        let name = self.name.filter(|_| self.asked && now < self.window.ends)?;
        self.asked = false;
        let WindowState { ends, used, .. } = self.window;
        let ends_ms = if self.known_ends == ends { self.store_ends_ms } else { 0 };
        Some(StoreOffer { key, name, ends_ms, used, ends })
    }

    /// The store was not told, or has not answered: it is offered again.
    pub(super) const fn withdraw(&mut self) {
        self.asked = true;
    }

    /// Takes over what the store has answered to an offer.
    pub(super) fn adopt(
        &mut self,
        rule: &RequestWindow,
        offer: &StoreOffer,
        count: &StoreCount,
        now: u64,
    ) {
        if self.window.ends != offer.ends {
            // A new one has begun here meanwhile.
            return;
        }
        let since = self.window.used.saturating_sub(offer.used);
        let ends = now.saturating_add(count.left_ms.saturating_mul(1_000_000));
        let mut window = WindowState {
            ends,
            length: self.window.length,
            used: count.own.saturating_add(since),
            others: count.others,
            before: if rule.is_sliding() { count.before } else { 0 },
        };
        if offer.ends_ms == count.ends_ms {
            // Within a window counts only grow: a store that knows less has forgotten.
            window.others = window.others.max(self.window.others);
            window.before = window.before.max(self.window.before);
        } else if offer.ends_ms == 0 && rule.is_sliding() {
            // A new window, and the store may have forgotten the one before.
            window.before = window.before.max(self.window.before);
        }
        self.window = window;
        (self.known_ends, self.store_ends_ms) = (ends, count.ends_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use ferrule_config::model::{WindowRule, WindowType};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::window::WindowLease;

    const SECOND: u64 = 1_000_000_000;
    const INTERVAL: u64 = SECOND / 10;

    fn rule(count: u32, window_type: WindowType) -> RequestWindow {
        let window = Duration::from_secs(1);
        RequestWindow::of(&WindowRule { count, window, window_type, show_headers: true }, 1)
            .heard_every(Duration::from_nanos(INTERVAL))
    }

    /// What the script does for one key, in Rust.
    #[derive(Default)]
    struct ModelStore {
        ends_ms: u64,
        before: u64,
        counts: HashMap<usize, u64>,
    }

    impl ModelStore {
        fn tell(
            &mut self,
            rule: &RequestWindow,
            gateway: usize,
            offer: &StoreOffer,
            now: u64,
        ) -> StoreCount {
            let (now, window) = (now / 1_000_000, rule.window_ms());
            if now >= self.ends_ms {
                let next_to = rule.is_sliding() && self.ends_ms > 0 && now < self.ends_ms + window;
                let known = offer.ends_ms > now && offer.ends_ms <= now + window;
                (self.before, self.ends_ms) = match (next_to, known) {
                    (true, _) => (self.counts.values().sum(), self.ends_ms + window),
                    (false, true) => (0, offer.ends_ms),
                    (false, false) => (0, now + window),
                };
                self.counts.clear();
            }
            let own = self.counts.entry(gateway).or_default();
            if offer.ends_ms == 0 || offer.ends_ms > now {
                *own = offer.used.max(*own);
            }
            let own = *own;
            let others = self.counts.values().sum::<u64>() - own;
            let numbers = [self.ends_ms, self.ends_ms - now, own, others, self.before];
            StoreCount::read(numbers.map(|number| i64::try_from(number).unwrap()), rule).unwrap()
        }
    }

    struct Gateways {
        rule: RequestWindow,
        store: ModelStore,
        windows: Vec<StoredWindow>,
        leases: Vec<WindowLease>,
    }

    impl Gateways {
        fn new(rule: RequestWindow, count: usize) -> Self {
            let (windows, leases) =
                (vec![StoredWindow::default(); count], vec![WindowLease::default(); count]);
            Self { rule, store: ModelStore::default(), windows, leases }
        }

        fn passes(&mut self, gateway: usize, now: u64) -> bool {
            let window = &mut self.windows[gateway];
            self.leases[gateway]
                .ask(&self.rule, now, |with| with(window.ask(b"key"), u64::MAX))
                .passes
        }

        /// Tells the store, whose answer may be lost.
        fn exchange(&mut self, gateway: usize, now: u64, lost: bool) {
            let window = &mut self.windows[gateway];
            let Some(offer) = window.offer(7, now) else { return };
            let count = self.store.tell(&self.rule, gateway, &offer, now);
            if lost { window.withdraw() } else { window.adopt(&self.rule, &offer, &count, now) }
        }
    }

    #[test]
    fn what_one_has_let_pass_the_other_does_not() {
        let mut all = Gateways::new(rule(10, WindowType::Fixed), 2);
        let now = SECOND;
        assert_eq!((0..10).filter(|_| all.passes(0, now)).count(), 10);
        all.exchange(0, now, false);
        assert!(all.passes(1, now), "it has heard of nothing yet");
        all.exchange(1, now, false);
        assert!(!all.passes(1, now));
        // Both have the window of the first.
        let (ends, reset) = (now + SECOND, now + SECOND - SECOND / 4);
        assert!(!all.passes(1, reset) && all.passes(1, ends));
    }

    /// What is lost on the way back is told again, and counted once.
    #[test]
    fn an_answer_that_is_lost_counts_nothing_twice() {
        let mut all = Gateways::new(rule(10, WindowType::Fixed), 2);
        assert_eq!((0..4).filter(|_| all.passes(0, SECOND)).count(), 4);
        (0..5).for_each(|_| all.exchange(0, SECOND, true));
        all.exchange(0, SECOND, false);
        assert!(all.passes(1, SECOND));
        all.exchange(1, SECOND, false);
        assert_eq!((0..9).filter(|_| all.passes(1, SECOND)).count(), 5);
    }

    /// Whatever a store has forgotten, it is told again, with the window that it belongs to; also if somebody who
    /// knows of nothing comes first, and begins another.
    #[test]
    fn a_store_that_has_forgotten_everything_is_told_again() {
        for stranger_first in [false, true] {
            let mut all = Gateways::new(rule(10, WindowType::Fixed), 3);
            let (now, later) = (SECOND, SECOND + SECOND / 2);
            for gateway in [0, 1] {
                assert_eq!((0..4).filter(|_| all.passes(gateway, now)).count(), 4);
                all.exchange(gateway, now, false);
            }
            all.store = ModelStore::default();
            let begins = if stranger_first {
                assert!(all.passes(2, later));
                all.exchange(2, later, false);
                later
            } else {
                now
            };
            for gateway in [0, 1, 0] {
                all.passes(gateway, later);
                all.exchange(gateway, later, false);
            }
            assert_eq!(all.store.ends_ms, (begins + SECOND) / 1_000_000);
            assert!(all.store.counts.values().sum::<u64>() >= 10);
            assert!(!all.passes(0, later));
        }
    }

    #[test]
    fn no_store_says_this() {
        let rule = rule(10, WindowType::Fixed);
        assert!(StoreCount::read([1_000, 1_000, 0, 0, 0], &rule).is_some());
        for lie in [
            [0, 1_000, 0, 0, 0],
            [1_000, 0, 0, 0, 0],
            [1_000, 1_001, 0, 0, 0],
            [1_000, 1_000, -1, 0, 0],
            [1_000, 1_000, 0, i64::MAX, 0],
            [1_000, 1_000, 0, 0, i64::MIN],
            [i64::MAX, 1_000, 0, 0, 0],
        ] {
            assert_eq!(StoreCount::read(lie, &rule), None, "{lie:?}");
        }
    }

    proptest! {
        /// However requests come and answers are lost: in a window no more pass than may, but for what gateways let
        /// pass that the others have not heard of. That is what came since a gateway's last exchange but one, as
        /// that of another may lie between.
        #[test]
        fn no_more_pass_than_may_and_what_is_not_heard_of(
            count in 1_u32..200,
            gateways in 1_usize..4,
            asks in prop::collection::vec((0_usize..4, 0_u64..SECOND / 50, 0_u8..20), 1..800),
        ) {
            let long = WindowRule {
                count,
                window: Duration::from_secs(3_600),
                window_type: WindowType::Fixed,
                show_headers: true,
            };
            let long = RequestWindow::of(&long, 1).heard_every(Duration::from_nanos(INTERVAL));
            let mut all = Gateways::new(long, gateways);
            let (mut now, mut synced, mut passed) = (SECOND, SECOND, 0);
            // Of each gateway: since its last exchange, in the interval before that, and the most of both.
            let mut unheard = vec![[0_u64; 3]; gateways];
            for (gateway, pause, luck) in asks {
                now += pause;
                if now - synced >= INTERVAL {
                    synced = now;
                    for (one, [since, last, _]) in unheard.iter_mut().enumerate() {
                        all.exchange(one, now, luck == 0);
                        if luck > 0 {
                            (*last, *since) = (*since, 0);
                        }
                    }
                }
                let gateway = gateway % gateways;
                if all.passes(gateway, now) {
                    passed += 1;
                    let [since, last, most] = &mut unheard[gateway];
                    *since += 1;
                    *most = (*most).max(*since + *last);
                }
                let may = u64::from(count) + unheard.iter().map(|[.., most]| most).sum::<u64>();
                prop_assert!(passed <= may, "{passed} of {may}");
            }
        }
    }
}
