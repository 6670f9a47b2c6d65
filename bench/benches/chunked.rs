//! Chunked bodies of 64 KiB in chunks from tiny to large, read from one buffer.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::framing::BodyLength;
use ferrule_engine::wire::write::{CHUNK_END, LAST_CHUNK, chunk_head};

const BODY_BYTES: usize = 64 * 1024;

/// A whole body in chunks of `size`.
fn body(size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in vec![b'x'; BODY_BYTES].chunks(size) {
        chunk_head(chunk.len(), &mut out);
        out.extend_from_slice(chunk);
        out.extend_from_slice(CHUNK_END);
    }
    out.extend_from_slice(LAST_CHUNK);
    out
}

/// Reads a whole body and counts its data.
fn read(mut rest: &[u8]) -> usize {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let mut data = 0;
    while let Ok(step) = reader.step(rest) {
        data += step.data.len();
        rest = rest.get(step.consumed..).unwrap_or_default();
        if step.done || step.consumed == 0 {
            break;
        }
    }
    data
}

fn chunked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked");
    group.throughput(Throughput::Bytes(BODY_BYTES as u64));
    for size in [16, 512, 16 * 1024, BODY_BYTES] {
        let bytes = body(size);
        assert_eq!(read(&bytes), BODY_BYTES);
        group.bench_function(format!("read_{size}"), |bencher| {
            bencher.iter(|| read(black_box(&bytes)));
        });
    }
    let mut out = Vec::with_capacity(BODY_BYTES);
    group.bench_function("write_heads", |bencher| {
        bencher.iter(|| {
            out.clear();
            for len in 1..=256_usize {
                chunk_head(black_box(len * 97), &mut out);
            }
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, chunked);
criterion_main!(benches);
