//! An admitted request to the head that goes upstream.

use criterion::Criterion;
use ferrule_bench::exchange::Exchange;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut exchange = Exchange::new();
    criterion.bench_function("rewrite", |bencher| bencher.iter(|| exchange.rewrite()));
    // Rendered once per connection, ten cost a request what three do: one copy.
    for headers in [0, 3, 10] {
        let mut exchange = Exchange::identified(headers);
        let name = format!("rewrite/{headers} identity headers");
        criterion.bench_function(&name, |bencher| bencher.iter(|| exchange.rewrite()));
    }
    criterion.final_summary();
}
