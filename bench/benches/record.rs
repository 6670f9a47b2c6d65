//! One TLS 1.3 record sealed and opened, by our record layer and by rustls.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrule_bench::records::{Ours, Theirs};

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for size in [256, 16 * 1024] {
        let plain = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        let (mut ours, mut theirs) = (Ours::new(), Theirs::new());
        assert_eq!((ours.round(&plain), theirs.round(&plain)), (size, size));
        group.bench_function(format!("ours_{size}"), |bencher| {
            bencher.iter(|| ours.round(black_box(&plain)));
        });
        group.bench_function(format!("rustls_{size}"), |bencher| {
            bencher.iter(|| theirs.round(black_box(&plain)));
        });
    }
    // What sealing from another buffer costs beside sealing in the same one: a copy of this length.
    let (from, mut to) = (vec![7; 16 * 1024], vec![0; 16 * 1024]);
    group.bench_function("copy_16384", |bencher| {
        bencher.iter(|| {
            to.copy_from_slice(black_box(&from));
            black_box(to.last().copied())
        });
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
