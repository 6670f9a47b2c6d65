//! An admitted request to the head that goes upstream.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;

use criterion::Criterion;

mod input;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut connection = input::Connection::new();
    let admission = connection.admit();
    let mut out = Vec::with_capacity(4096);
    criterion.bench_function("rewrite", |bencher| {
        bencher.iter(|| connection.rewrite(black_box(&admission), &mut out));
    });
    criterion.final_summary();
}
