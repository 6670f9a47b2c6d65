//! All decisions of one request and its response: parse, admit, rewrite, parse, deliver.

use criterion::Criterion;
use ferrule_bench::exchange::Exchange;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut exchange = Exchange::new();
    criterion.bench_function("exchange/request", |bencher| bencher.iter(|| exchange.request()));
    criterion.bench_function("exchange/response", |bencher| bencher.iter(|| exchange.response()));
    // Ten identity headers cost a whole exchange what none do, but for one longer copy.
    for headers in [0, 3, 10] {
        let mut exchange = Exchange::identified(headers);
        let name = format!("exchange/{headers} identity headers");
        criterion.bench_function(&name, |bencher| bencher.iter(|| exchange.whole()));
    }
    criterion.final_summary();
}
