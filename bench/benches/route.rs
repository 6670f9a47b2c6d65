//! Host, path and method to route, over tables of different sizes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use ferrule_bench::input;
use ferrule_config::model::{HostPattern, Route, UriPattern};
use ferrule_engine::plan::{HostBuf, LookupResult, RouteTable};
use ferrule_engine::wire::head::Method;

/// Ten routes a host: exact paths, prefixes and nested prefixes.
fn routes(count: usize) -> Vec<Route> {
    (0..count)
        .map(|at| {
            let (host, kind) = (at / 10, at % 10);
            let uri = match kind {
                0..=4 => UriPattern::Exact(format!("/service/{host}/item/{kind}")),
                5..=8 => UriPattern::Prefix(format!("/service/{host}/{}", "deep/".repeat(kind))),
                _ => UriPattern::Prefix("/".to_owned()),
            };
            let mut route = input::route(uri);
            route.hosts = vec![match host % 3 {
                0 => HostPattern::Wildcard(format!("h{host}.example.com")),
                _ => HostPattern::Exact(format!("h{host}.example.com")),
            }];
            route
        })
        .collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("route");
    for count in [10, 100, 1000, 10_000] {
        let table = RouteTable::build(&routes(count));
        let host = (count / 10 - 1) / 3 * 3;
        let mut name_buf = HostBuf::default();
        for (kind, name, path) in [
            ("prefix", format!("x.h{host}.example.com"), format!("/service/{host}/deep/deep/x")),
            ("exact", format!("x.h{host}.example.com"), format!("/service/{host}/item/3")),
            ("unknown", "nowhere.example.org".to_owned(), "/".to_owned()),
        ] {
            let found = table.lookup(
                name_buf.read(name.as_bytes()),
                path.as_bytes(),
                Method::Get,
                &mut |_| true,
            );
            assert_eq!(found == LookupResult::NotFound, kind == "unknown", "{kind}");
            group.bench_function(BenchmarkId::new(kind, count), |bencher| {
                bencher.iter(|| {
                    table.lookup(
                        black_box(name_buf.name()),
                        black_box(path.as_bytes()),
                        Method::Get,
                        &mut |_| true,
                    )
                });
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
