//! Which node is checked next: by time, and so many of an upstream and of all at once.
//!
//! A node that is due waits in its upstream's lane until the lane, and all lanes together, have room. Lanes
//! take turns, so that an upstream whose nodes all time out does not hold up the checks of another one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Index of an upstream's lane.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LaneId(pub u32);

/// Nodes are numbered from 0, as they were added; times are milliseconds.
#[derive(Debug, Default)]
pub struct CheckSchedule {
    due: BinaryHeap<Reverse<DueCheck>>,
    /// The lane of each node.
    lane_of: Vec<LaneId>,
    lanes: Vec<Lane>,
    /// The lanes in which a node waits and that have room.
    ready: VecDeque<LaneId>,
    under_way: u32,
    at_once: u32,
}

/// Earlier ones are smaller.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct DueCheck {
    due_ms: u64,
    node: u32,
}

#[derive(Debug, Default)]
struct Lane {
    limit: u32,
    under_way: u32,
    waiting: VecDeque<u32>,
    /// It stands in `ready`.
    listed: bool,
}

impl CheckSchedule {
    /// No nodes yet; so many checks at once, at most.
    #[must_use]
    pub fn new(at_once: u32) -> Self {
        Self { at_once, ..Self::default() }
    }

    /// A lane for the nodes of one upstream, with so many checks at once.
    pub fn add_lane(&mut self, limit: u32) -> LaneId {
        self.lanes.push(Lane { limit: limit.max(1), ..Lane::default() });
        LaneId(u32::try_from(self.lanes.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// One more node. Without a time, its check is under way.
    pub fn add(&mut self, lane: LaneId, due_ms: Option<u64>) -> u32 {
        let node = u32::try_from(self.lane_of.len()).unwrap_or(u32::MAX);
        self.lane_of.push(lane);
        match due_ms {
            Some(due_ms) => self.due.push(Reverse(DueCheck { due_ms, node })),
            None => {
                self.under_way += 1;
                if let Some(lane) = self.lanes.get_mut(lane.0 as usize) {
                    lane.under_way += 1;
                }
            }
        }
        node
    }

    /// The next node to check now; its check is under way from now on.
    pub fn start(&mut self, now_ms: u64) -> Option<u32> {
        while let Some(Reverse(DueCheck { due_ms, node })) = self.due.peek().copied()
            && due_ms <= now_ms
        {
            self.due.pop();
            let lane = self.lane_of(node)?;
            self.lane(lane)?.waiting.push_back(node);
            self.list(lane);
        }
        self.start_waiting()
    }

    /// Likewise, of the nodes that wait already: where a check has ended, its place is taken at once, and those that
    /// become due are looked for less often.
    pub fn start_waiting(&mut self) -> Option<u32> {
        if self.under_way >= self.at_once {
            return None;
        }
        let id = self.ready.pop_front()?;
        let lane = self.lane(id)?;
        lane.listed = false;
        let node = lane.waiting.pop_front()?;
        lane.under_way += 1;
        self.under_way += 1;
        self.list(id);
        Some(node)
    }

    /// A check has ended; when the next one of this node is due.
    pub fn end(&mut self, node: u32, due_ms: u64) {
        let Some(id) = self.lane_of(node) else { return };
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(lane) = self.lane(id) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
        self.due.push(Reverse(DueCheck { due_ms, node }));
        self.list(id);
    }

    /// When the next node is due, of those that do not wait already.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.due.peek().map(|Reverse(check)| check.due_ms)
    }

    fn lane_of(&self, node: u32) -> Option<LaneId> {
        self.lane_of.get(node as usize).copied()
    }

    fn lane(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(id.0 as usize)
    }

    /// Puts a lane behind the others, if a node waits in it, it has room, and it is not there already.
    fn list(&mut self, id: LaneId) {
        let Some(lane) = self.lane(id) else { return };
        if !lane.listed && !lane.waiting.is_empty() && lane.under_way < lane.limit {
            lane.listed = true;
            self.ready.push_back(id);
        }
    }
}

/// Spreads checks, so that those that began together do not stay together.
#[derive(Clone, Debug)]
pub struct CheckJitter(u64);

impl CheckJitter {
    /// Any seed will do.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64
    const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Milliseconds to the first check: within one interval, and within a second, so that what can never pass
    /// is told at once.
    pub fn first_ms(&mut self, interval: Duration) -> u64 {
        self.draw() % milliseconds(interval).clamp(1, 1_000)
    }

    /// Milliseconds to the next check: the interval, and up to a tenth more.
    pub fn next_ms(&mut self, interval: Duration) -> u64 {
        let interval = milliseconds(interval);
        interval.saturating_add(self.draw() % (interval / 10 + 1))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_when_they_are_due_and_in_turn() {
        let mut schedule = CheckSchedule::new(100);
        let lane = schedule.add_lane(10);
        let [late, early] = [20, 10].map(|due| schedule.add(lane, Some(due)));
        assert_eq!((schedule.start(9), schedule.next_due_ms()), (None, Some(10)));
        assert_eq!((schedule.start(15), schedule.start(15)), (Some(early), None));
        schedule.end(early, 25);
        assert_eq!((schedule.start(30), schedule.start(30)), (Some(late), Some(early)));
        assert_eq!((schedule.start(99), schedule.next_due_ms()), (None, None));
    }

    #[test]
    fn a_slow_upstream_holds_up_no_other_one() {
        let mut schedule = CheckSchedule::new(3);
        let [slow, quick] = [2, 2].map(|limit| schedule.add_lane(limit));
        for _ in 0..100 {
            schedule.add(slow, Some(0));
        }
        let other = schedule.add(quick, Some(1));
        let started: Vec<_> = std::iter::from_fn(|| schedule.start(1)).collect();
        assert_eq!(started.len(), 3, "two of the slow ones, and the other");
        assert!(started.contains(&other));
        schedule.end(other, 2);
        assert_eq!(schedule.start(2), Some(other), "the slow lane is full");
    }

    #[test]
    fn a_check_under_way_takes_its_place_at_once() {
        let mut schedule = CheckSchedule::new(10);
        let lane = schedule.add_lane(1);
        let old = schedule.add(lane, None);
        let new = schedule.add(lane, Some(0));
        assert_eq!(schedule.start(5), None);
        schedule.end(old, 50);
        assert_eq!((schedule.start(5), schedule.start(5)), (Some(new), None));
    }

    #[test]
    fn a_place_that_is_free_is_for_those_who_wait() {
        let mut schedule = CheckSchedule::new(10);
        let lane = schedule.add_lane(1);
        let [first, second] = [0, 0].map(|due| schedule.add(lane, Some(due)));
        let late = schedule.add(lane, Some(3));
        assert_eq!((schedule.start(1), schedule.start(1)), (Some(first), None));
        schedule.end(first, 9);
        assert_eq!(schedule.start_waiting(), Some(second));
        schedule.end(second, 9);
        assert_eq!(schedule.start_waiting(), None, "nobody has looked for who is due");
        assert_eq!(schedule.start(5), Some(late));
    }

    /// Whatever the order: the limits hold, no node is checked twice at a time, and none is forgotten.
    #[test]
    fn limits_hold_and_nobody_starves() {
        for seed in 1..100 {
            let mut jitter = CheckJitter::new(seed);
            let mut schedule = CheckSchedule::new(5);
            let lanes = [1, 2, 7].map(|limit| schedule.add_lane(limit));
            let nodes: Vec<_> = (0..30).map(|at| schedule.add(lanes[at % 3], Some(0))).collect();
            let (mut under_way, mut checks) = (Vec::new(), vec![0; nodes.len()]);
            for now in 0..2_000 {
                while let Some(node) = schedule.start(now) {
                    assert!(!under_way.contains(&node));
                    under_way.push(node);
                    checks[node as usize] += 1;
                }
                assert!(under_way.len() <= 5);
                for (lane, limit) in [1, 2, 7].into_iter().enumerate() {
                    let of = under_way.iter().filter(|node| **node as usize % 3 == lane);
                    assert!(of.count() <= limit);
                }
                if !under_way.is_empty() && !jitter.draw().is_multiple_of(3) {
                    let at = usize::try_from(jitter.draw()).unwrap() % under_way.len();
                    let wait = jitter.next_ms(Duration::from_millis(20));
                    schedule.end(under_way.swap_remove(at), now + wait);
                }
            }
            assert!(checks.iter().all(|count| *count > 10), "{checks:?}");
        }
    }

    #[test]
    fn times_are_spread() {
        let mut jitter = CheckJitter::new(1);
        let second = Duration::from_secs(1);
        let next: Vec<_> = (0..1_000).map(|_| jitter.next_ms(second)).collect();
        assert!(next.iter().all(|wait| (1_000..=1_100).contains(wait)));
        let first: Vec<_> = (0..1_000).map(|_| jitter.first_ms(second * 60)).collect();
        assert!(first.iter().all(|wait| *wait < 1_000));
        let spread = |waits: &[u64]| waits.iter().max().unwrap() - waits.iter().min().unwrap();
        assert!(spread(&next) > 90 && spread(&first) > 900);
    }
}
