//! What a reload costs that has 1,000 upstreams of 100 nodes: reading and checking the file, the plan, and what one
//! core builds of it.

#![expect(clippy::expect_used, reason = "a bench that cannot run shall stop")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use ferrule_config::Config;
use ferrule_engine::exchange::balance::Balancer;
use ferrule_engine::plan::Plan;

const UPSTREAMS: u32 = 1_000;
const NODES: u32 = 100;

/// A route for each upstream.
fn text() -> String {
    let mut text = String::from("listen = [{ address = '0.0.0.0:80' }]\n");
    for upstream in 0..UPSTREAMS {
        let _ = write!(
            text,
            "[[routes]]\nuri = '/r{upstream}/*'\nupstream_id = 'u{upstream}'\n\
             [[upstreams]]\nid = 'u{upstream}'\nnodes = {{ "
        );
        for node in 0..NODES {
            let [_, a, b, c] = (upstream * NODES + node).to_be_bytes();
            let _ = write!(text, "'10.{a}.{b}.{c}:80' = 1, ");
        }
        text.push_str("}\n");
    }
    text
}

fn read(text: String) -> Config {
    let draft = ferrule_config::read_text(Path::new("/bench.toml"), text, &|_| None);
    let draft = draft.expect("a configuration");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    draft.config
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("reload");
    group.measurement_time(Duration::from_secs(10));
    let text = text();
    group.bench_function("file", |bencher| {
        bencher.iter_batched(
            || text.clone(),
            |text| read(black_box(text)),
            BatchSize::PerIteration,
        );
    });
    let config = read(text);
    group.bench_function("plan", |bencher| bencher.iter(|| Plan::build(black_box(&config))));
    let plan = Plan::build(&config);
    group.bench_function("balancers", |bencher| {
        bencher.iter(|| {
            let upstreams = plan.upstreams().iter();
            upstreams.map(|upstream| Balancer::new(&upstream.balance, 7)).collect::<Vec<_>>()
        });
    });
    group.finish();
    criterion.final_summary();
}
