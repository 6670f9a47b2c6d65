//! Cores that are threads, which ask one limit at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ferrule_config::model::{
    BucketRule, ConcurrencyRule, LimitRule, RequestLimit, Route, WindowRule, WindowType,
};
use ferrule_config::template::{Piece, Template, Variable};

use super::{CoreLimits, LimitAnswer, LimitCount, Limits};
use crate::plan::{LimitId, Plan, fixture};

const CORES: u32 = 4;
const KEYS: u64 = 100;
const SECOND: u64 = 1_000_000_000;

fn limit(rule: LimitRule) -> RequestLimit {
    RequestLimit {
        numbers: Vec::new(),
        place: ferrule_config::Place::default(),
        field: String::new(),
        group: None,
        key: Template { pieces: vec![Piece::Variable(Variable::RemoteAddr)] },
        status: 503,
        message: None,
        rule,
        store: None,
    }
}

fn plan(limits: Vec<RequestLimit>) -> Plan {
    let mut config = fixture::config();
    config.routes = vec![Route { limits, ..fixture::route(&[], &["/*"]) }];
    Plan::build(&config)
}

fn window(count: u32) -> LimitRule {
    let (window, window_type) = (Duration::from_secs(60), WindowType::Fixed);
    LimitRule::Requests(WindowRule { count, window, window_type, show_headers: true })
}

fn connections(connections: u32) -> LimitRule {
    LimitRule::Connections(ConcurrencyRule {
        connections,
        burst: 0,
        delay: Duration::ZERO,
        only_use_default_delay: false,
    })
}

#[expect(clippy::disallowed_methods, reason = "times are counted from here; none is compared")]
fn shared(rule: LimitRule) -> Arc<Limits> {
    let plan = plan(vec![limit(rule)]);
    Arc::new(Limits::of(&plan, &Limits::default(), Instant::now(), CORES as usize))
}

/// Runs `work` on every core at once, with what it is to work on and its number.
fn on_all_cores(limits: &Arc<Limits>, work: impl Fn(&CoreLimits, u32) + Sync) {
    thread::scope(|scope| {
        for core in 0..CORES {
            let work = &work;
            scope.spawn(move || work(&CoreLimits::new(limits, core), core));
        }
    });
}

fn passes(answer: Option<&LimitAnswer>) -> bool {
    matches!(answer, Some(LimitAnswer::Passes { .. }))
}

/// A million requests of a hundred keys on four cores, of which half may pass: no key gets more than its limit, and
/// none less than 99 of a hundred of it.
#[test]
fn a_million_requests_are_counted_within_one_in_a_hundred() {
    const MAY: u32 = 5_000;
    let limits = shared(window(MAY));
    let passed: Vec<_> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
    on_all_cores(&limits, |core, _| {
        for at in 0..1_000_000 / u64::from(CORES) {
            let key = at % KEYS;
            if passes(core.ask(LimitId(0), &key.to_be_bytes(), SECOND).as_ref()) {
                passed[usize::try_from(key).unwrap()].fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let all: Vec<_> = passed.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(all.iter().all(|count| (MAY * 99 / 100..=MAY).contains(count)), "{all:?}");
    let limit = limits.get(LimitId(0)).unwrap();
    let refused = limit.count(LimitCount::Refused);
    assert_eq!(refused + u64::from(all.iter().sum::<u32>()), 1_000_000);
    assert_eq!(limit.keys(), 100);
}

/// Small limits are exact, whichever cores ask.
#[test]
fn a_small_limit_is_exact() {
    let limits = shared(window(50));
    let passed = AtomicU32::new(0);
    on_all_cores(&limits, |core, _| {
        for _ in 0..1_000 {
            let answer = core.ask(LimitId(0), b"one", SECOND);
            passed.fetch_add(u32::from(passes(answer.as_ref())), Ordering::Relaxed);
        }
    });
    assert_eq!(passed.into_inner(), 50);
}

/// Twice as many as may, for a while of a clock that all cores share.
#[test]
fn a_rate_is_kept_by_all_cores_together() {
    let limits = shared(LimitRule::Rate(BucketRule {
        rate_thousandths: 20_000_000,
        burst_thousandths: 500_000,
        nodelay: true,
    }));
    let (clock, passed) = (AtomicU64::new(SECOND), AtomicU64::new(0));
    on_all_cores(&limits, |core, _| {
        for _ in 0..50_000 {
            let now = clock.fetch_add(25_000, Ordering::Relaxed);
            let answer = core.ask(LimitId(0), b"one", now);
            passed.fetch_add(u64::from(passes(answer.as_ref())), Ordering::Relaxed);
        }
    });
    // 5 s at 20,000 per second; times of several cores are not in order.
    let may = 5 * 20_000 + 500;
    let passed = passed.into_inner();
    assert!(passed <= may * 101 / 100 && passed >= may * 95 / 100, "{passed} of {may}");
}

#[test]
fn places_are_never_more_than_the_limit_and_all_come_back() {
    const MAY: u32 = 3;
    let limits = shared(connections(MAY));
    let (held, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    on_all_cores(&limits, |core, number| {
        let mut own = Vec::new();
        for at in 0..20_000_u32 {
            match core.ask(LimitId(0), b"one", SECOND) {
                Some(LimitAnswer::Passes { permit: Some(permit), .. }) => {
                    assert!(held.fetch_add(1, Ordering::SeqCst) < MAY);
                    own.push(permit);
                }
                _ => drop(refused.fetch_add(1, Ordering::Relaxed)),
            }
            if at % (number + 2) == 0
                && let Some(permit) = own.pop()
            {
                held.fetch_sub(1, Ordering::SeqCst);
                permit.end(2 * SECOND);
            }
        }
        held.fetch_sub(u32::try_from(own.len()).unwrap(), Ordering::SeqCst);
    });
    assert!(refused.into_inner() > 0);
    assert_eq!(limits.get(LimitId(0)).unwrap().keys(), 0, "nothing is under way");
}

/// Cores keep places of a large limit, and what they keep is less than one in a hundred: all others are there for
/// whoever asks, never more are under way than may, and whoever ends gives all back.
#[test]
fn places_that_cores_keep_are_few_and_come_back() {
    const MAY: u32 = 4_000;
    let limits = shared(connections(MAY));
    let limit = limits.get(LimitId(0)).unwrap();
    let held = AtomicU32::new(0);
    on_all_cores(&limits, |core, number| {
        let mut own = Vec::new();
        for at in 0..50_000_u32 {
            // Some at once, and of several keys.
            let key = (at / 100 % 3).to_be_bytes();
            if let Some(LimitAnswer::Passes { permit: Some(permit), .. }) =
                core.ask(LimitId(0), &key, SECOND)
            {
                if key == [0; 4] {
                    assert!(held.fetch_add(1, Ordering::SeqCst) < MAY);
                }
                own.push((key, permit));
            }
            if at % 97 > number {
                continue;
            }
            for (key, permit) in own.drain(..) {
                if key == [0; 4] {
                    held.fetch_sub(1, Ordering::SeqCst);
                }
                drop(permit);
            }
        }
        let gone = own.iter().filter(|(key, _)| *key == [0; 4]).count();
        held.fetch_sub(u32::try_from(gone).unwrap(), Ordering::SeqCst);
    });
    assert_eq!(limit.keys(), 0, "nothing is under way, and no core is there to keep any");
    // All that the others do not keep is there for one.
    let cores: Vec<_> = (0..CORES).map(|number| CoreLimits::new(&limits, number)).collect();
    for core in &cores {
        let many: Vec<_> = (0..100).map(|_| core.ask(LimitId(0), b"one", SECOND)).collect();
        assert!(many.iter().all(|answer| passes(answer.as_ref())));
    }
    let mut all = Vec::new();
    while let Some(answer @ LimitAnswer::Passes { .. }) = cores[0].ask(LimitId(0), b"one", SECOND) {
        all.push(answer);
    }
    let kept = MAY as usize - all.len();
    assert!(kept > 0 && kept < MAY as usize / 100, "{kept}");
    drop(cores);
    assert_eq!(limit.keys(), 1, "what is under way outlives its core's table");
    drop(all);
    assert_eq!(limit.keys(), 0);
}

/// What is known goes on where the limit says the same, and as many cores share it.
#[test]
#[expect(clippy::disallowed_methods, reason = "times are counted from here; none is compared")]
fn a_reload_takes_over_what_stays() {
    let build = |rules: &[LimitRule], before: &Limits, cores: usize| {
        let plan = plan(rules.iter().copied().map(limit).collect());
        Arc::new(Limits::of(&plan, before, Instant::now(), cores))
    };
    let is_left = |limits: &Arc<Limits>| {
        let answer = CoreLimits::new(limits, 0).ask(LimitId(0), b"one", SECOND);
        passes(answer.as_ref())
    };
    let first = build(&[window(1)], &Limits::default(), 1);
    assert!(is_left(&first) && !is_left(&first));
    let same = build(&[window(1), connections(9)], &first, 1);
    assert!(!is_left(&same));
    assert!(is_left(&build(&[window(2)], &same, 1)), "it says something else");
    assert!(is_left(&build(&[window(1)], &same, 2)), "the leases are others");
    assert!(!is_left(&build(&[window(1)], &same, 1)));
}

/// What a core holds goes on with the limit, however often another generation takes over and whatever is still under
/// way: the last one gets every place that nobody has, and no request is lost with a lease.
#[test]
fn a_handover_strands_nothing_that_a_core_holds() {
    const MAY: usize = 4_000;
    const HANDOVERS: usize = 50;
    let next = |limits: &Arc<Limits>, before: &CoreLimits| {
        let core = CoreLimits::new(limits, 0);
        core.go_on(before);
        core
    };
    let limits = shared(connections(4_000));
    let mut core = CoreLimits::new(&limits, 0);
    let mut old = Vec::new();
    for _ in 0..HANDOVERS {
        // One stays under way, two end, and their places are kept.
        let many: Vec<_> = (0..3).map(|_| core.ask(LimitId(0), b"one", SECOND)).collect();
        assert!(many.iter().all(|answer| passes(answer.as_ref())));
        old.extend(many.into_iter().next());
        core = next(&limits, &core);
    }
    let mut all = Vec::new();
    while let Some(answer @ LimitAnswer::Passes { .. }) = core.ask(LimitId(0), b"one", SECOND) {
        all.push(answer);
    }
    assert_eq!(all.len() + old.len(), MAY, "places were lost");
    // What ends late is there for the next requests, as well.
    old.clear();
    let more = (0..HANDOVERS + 1).filter(|_| {
        let answer = core.ask(LimitId(0), b"one", SECOND);
        let is_more = passes(answer.as_ref());
        all.extend(answer);
        is_more
    });
    assert_eq!(more.count(), HANDOVERS);
    drop((all, core));
    assert_eq!(limits.get(LimitId(0)).unwrap().keys(), 0);

    let limits = shared(window(5_000));
    let mut core = CoreLimits::new(&limits, 0);
    let mut passed = 0;
    while passes(core.ask(LimitId(0), b"one", SECOND).as_ref()) {
        passed += 1;
        if passed % 10 == 0 {
            core = next(&limits, &core);
        }
    }
    assert_eq!(passed, 5_000, "a lease was lost");
    // A limit of its own has nothing to go on with.
    let other = shared(connections(4_000));
    assert!(passes(next(&other, &core).ask(LimitId(0), b"one", SECOND).as_ref()));
}

/// However many keys a client makes up, those that are counted stay counted.
#[test]
fn made_up_keys_are_counted_together() {
    let limits = shared(window(2));
    let core = CoreLimits::new(&limits, 0);
    let ask = |key: u32| {
        let answer = core.ask(LimitId(0), &key.to_be_bytes(), SECOND);
        passes(answer.as_ref())
    };
    assert!(ask(0) && ask(0) && !ask(0));
    let passed = (1..200_000).filter(|key| ask(*key)).count();
    let limit = limits.get(LimitId(0)).unwrap();
    assert!(limit.keys() <= super::table::SHARED_KEYS_MAX);
    // Each of the 64 parts of the table has a crowd of its own, which two may pass.
    assert!(passed <= limit.keys() + 2 * 64, "{passed}");
    assert!(limit.count(LimitCount::Crowded) > 100_000);
    assert!(!ask(0), "it is not forgotten");
}
