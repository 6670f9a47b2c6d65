//! The pool held against simple models, over long runs.

use ferrule_config::model::KeepalivePool;

use super::pool::tests::{self, identity, idle};
use super::pool::{Pool, Walk};

const LIMITS: KeepalivePool = KeepalivePool { size: 64, ..tests::LIMITS };

/// What comes and goes while a walk rests hides nobody from it.
#[test]
fn a_walk_that_rests_sees_everybody_who_stays() {
    for seed in 1..200_u64 {
        let mut pool = Pool::new(seed);
        let keys: Vec<_> = (0..3).map(|port| pool.key(&identity("u", port))).collect();
        let mut state = seed;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % most
        };
        let mut stay: Vec<u32> = (0..30).collect();
        for connection in 0..30 {
            pool.put(keys[below(3)], idle(connection), &LIMITS, 0);
        }
        let (mut walk, mut seen, mut next) = (Walk::default(), Vec::new(), 30);
        while pool.look(&mut walk, |_, idle| {
            seen.push(idle.connection);
            idle.connection % 7 != 0
        }) == Some(())
        {
            if below(2) == 0 {
                if let Some(taken) = pool.take(keys[below(3)], 0) {
                    stay.retain(|connection| *connection != taken.connection);
                }
            } else if next < 60 {
                pool.put(keys[below(3)], idle(next), &LIMITS, 0);
                next += 1;
            }
        }
        for connection in &stay {
            let times = seen.iter().filter(|seen| *seen == connection).count();
            assert_eq!(times, 1, "{connection}, seed {seed}");
        }
        let mut left = Vec::new();
        pool.clear(|connection| left.push(connection));
        assert!(!left.iter().any(|left| seen.contains(left) && left % 7 == 0));
    }
}

/// Against a simple model, over a long run.
#[test]
fn the_lists_agree_with_a_plain_vector() {
    let mut pool = Pool::new(1);
    let keys: Vec<_> = (0..4).map(|port| pool.key(&identity("u", port))).collect();
    let limits = KeepalivePool { size: 8, ..LIMITS };
    let mut model: Vec<(usize, u32, u64)> = Vec::new();
    let mut state = 7_u64;
    for step in 0..5000_u32 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (key, now_ms) = ((state >> 33) as usize % 4, u64::from(step));
        match (state >> 40) % 8 {
            0..=3 => {
                let evicted = (model.len() == 8).then(|| model.remove(0).1);
                model.push((key, step, now_ms + 100));
                assert_eq!(pool.put(keys[key], idle(step), &limits, now_ms), evicted);
            }
            4..=6 => {
                let newest = model.iter().rposition(|entry| entry.0 == key && entry.2 > now_ms);
                let wanted = newest.map(|at| model.remove(at).1);
                assert_eq!(pool.take(keys[key], now_ms).map(|idle| idle.connection), wanted);
            }
            _ => {
                let mut closed = Vec::new();
                pool.expire(now_ms, |connection| {
                    closed.push(connection);
                    true
                });
                let (over, left) = model.iter().partition(|entry| entry.2 <= now_ms);
                model = left;
                let over: Vec<(usize, u32, u64)> = over;
                assert_eq!(closed, over.iter().map(|entry| entry.1).collect::<Vec<_>>());
            }
        }
        assert_eq!(pool.len(), model.len());
    }
}
