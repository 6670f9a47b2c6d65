//! What a circuit breaker costs a request of a route that has one: whether it is sent, and how it was answered.
#![expect(clippy::expect_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use ferrule_engine::health::Breakers;
use ferrule_engine::plan::{Plan, RouteId};

const TEXT: &str = "listen = [{ address = '0.0.0.0:80' }]\n[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n\
                    api_breaker = { break_response_code = 503, unhealthy = { http_statuses = [500, 502, 503] } }\n";

fn breakers(criterion: &mut Criterion) {
    let draft = ferrule_config::read_text(Path::new("/bench.toml"), TEXT.to_owned(), &|_| None);
    let draft = draft.expect("a configuration");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let breakers = Breakers::of(&Plan::build(&draft.config), &Breakers::default());
    let mut group = criterion.benchmark_group("breaker");
    for (name, status) in [("answered well", 200), ("fails now and then", 503)] {
        let mut now = 1_u64;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now += 1;
                let breaker = breakers.get(black_box(RouteId(0))).expect("the route has one");
                let broken = breaker.state.broken_for_ms(|| now);
                let status = if now.is_multiple_of(100) { status } else { 200 };
                (broken, breaker.state.answered(&breaker.rules, black_box(status), || now))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, breakers);
criterion_main!(benches);
