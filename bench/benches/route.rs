//! Host, path and method to route, over tables of different sizes, under both orders.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use ferrule_bench::input;
use ferrule_config::model::{
    Condition, HostPattern, ParamPath, PathPiece, Route, Router, Test, UriPattern,
};
use ferrule_config::template::Variable;
use ferrule_engine::plan::{HostBuf, LookupResult, RouteTable};
use ferrule_engine::wire::head::Method;

/// Ten routes a host: exact paths, prefixes and nested prefixes, one of them with a condition; where the path
/// comes first, two of them with parameters.
fn routes(count: usize, router: Router) -> Vec<Route> {
    (0..count)
        .map(|at| {
            let (host, kind) = (at / 10, at % 10);
            let uri = match kind {
                0..=4 => UriPattern::Exact(format!("/service/{host}/item/{kind}")),
                5..=6 if router.is_path_first() => with_parameter(host, kind),
                5..=8 => UriPattern::Prefix(format!("/service/{host}/{}", "deep/".repeat(kind))),
                _ => UriPattern::Prefix("/".to_owned()),
            };
            let mut route = input::route(uri);
            route.hosts = vec![match host % 3 {
                0 => HostPattern::Wildcard(format!("h{host}.example.com")),
                _ => HostPattern::Exact(format!("h{host}.example.com")),
            }];
            if kind == 8 {
                let test = Test::Is("1".to_owned());
                route.when = Some(Condition::Test(Variable::Arg("beta".to_owned()), test));
            }
            route
        })
        .collect()
}

/// `/service/7/deep/deep/:id` and the like.
fn with_parameter(host: usize, kind: usize) -> UriPattern {
    let front = format!("/service/{host}/{}", "deep/".repeat(kind - 3));
    let mut pieces = vec![PathPiece::Text(front), PathPiece::Segment("id".to_owned())];
    if kind == 6 {
        pieces.push(PathPiece::Text("/edit".to_owned()));
    }
    UriPattern::Params(ParamPath { pieces })
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (order, router) in [
        ("route", Router::RadixtreeHostUri),
        ("route-path-first", Router::RadixtreeUriWithParameter),
    ] {
        let mut group = criterion.benchmark_group(order);
        for count in [10, 100, 1000, 10_000] {
            let table = RouteTable::build(&routes(count, router), router);
            let host = (count / 10 - 1) / 3 * 3;
            let mut name_buf = HostBuf::default();
            for (kind, name, path) in [
                (
                    "prefix",
                    format!("x.h{host}.example.com"),
                    format!("/service/{host}/deep/deep/x"),
                ),
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
    }
    criterion.final_summary();
}
