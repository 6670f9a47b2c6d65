//! What a limit costs a request that it lets pass: from the bytes of its key to the answer.
//!
//! `binding` is a limit that every request meets, so that its core asks the others each time; the rest do not
//! bind.
#![expect(clippy::expect_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ferrule_engine::limits::{CoreLimits, LimitAnswer, Limits};
use ferrule_engine::plan::{LimitId, Plan};

/// Cores that share the limits.
const CORES: usize = 4;
/// Between two requests.
const PAUSE_NS: u64 = 1_000;

/// A configuration with one limit.
fn plan(line: &str) -> Plan {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[routes]]\nuri = '/*'\n\
         upstream.nodes = {{ 'a:1' = 1 }}\nlimits.{line}\n"
    );
    let draft = ferrule_config::read_text(Path::new("/bench.toml"), text, &|_| None);
    let draft = draft.expect("a configuration");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    Plan::build(&draft.config)
}

#[expect(clippy::disallowed_methods, reason = "times of limits are counted from here")]
fn started() -> Instant {
    Instant::now()
}

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    group.measurement_time(Duration::from_secs(3));
    for (name, line) in [
        ("requests", "requests = { count = 1000000000, window = \"1m\", key = \"$remote_addr\" }"),
        (
            "sliding",
            "requests = { count = 1000000000, window = \"1m\", window_type = \"sliding\", key = \"$remote_addr\" }",
        ),
        (
            "rate",
            "rate = { rate = 100000000, burst = 10000000, nodelay = true, key = \"$remote_addr\" }",
        ),
        ("connections", "connections = { connections = 1000000, key = \"$remote_addr\" }"),
        ("binding", "requests = { count = 1, window = \"1m\", key = \"$remote_addr\" }"),
    ] {
        let shared = Arc::new(Limits::of(&plan(line), &Limits::default(), started(), CORES));
        let core = CoreLimits::new(&shared, 0);
        let mut now = 1_u64;
        let mut at = 0_usize;
        let keys: Vec<_> = (0..100).map(|number| format!("192.0.2.{number}")).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now += PAUSE_NS;
                at = (at + 1) % keys.len();
                let answer = core.ask(LimitId(0), black_box(keys[at].as_bytes()), now);
                matches!(answer, Some(LimitAnswer::Passes { .. }))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, limits);
criterion_main!(benches);
