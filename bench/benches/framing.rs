//! Framing: from parsed fields to where the body ends.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ferrule_engine::wire::framing::{request_body, response_body};
use ferrule_engine::wire::head::{
    Method, RequestHead, ResponseHead, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 32 * 1024, fields_max: 100 };

/// Ten fields that say nothing about the body, before the one that does.
fn head(first: &str, last: &str) -> Vec<u8> {
    let fields: String = (0..10).map(|n| format!("X-Field-{n}: some value {n}\r\n")).collect();
    format!("{first}\r\n{fields}{last}\r\n").into_bytes()
}

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    for (name, last) in [
        ("none", ""),
        ("length", "Content-Length: 1048576\r\n"),
        ("chunked", "Transfer-Encoding: chunked\r\n"),
    ] {
        let bytes = head("POST / HTTP/1.1", last);
        let mut request = RequestHead::default();
        let parsed = parse_request(&bytes, bytes.len(), LIMITS, &mut request);
        assert!(parsed.is_ok());
        group.bench_function(format!("request_{name}"), |bencher| {
            bencher.iter(|| request_body(request.view(black_box(&bytes))));
        });
        let bytes = head("HTTP/1.1 200 OK", last);
        let mut response = ResponseHead::default();
        let parsed = parse_response(&bytes, bytes.len(), LIMITS, &mut response);
        assert!(parsed.is_ok());
        group.bench_function(format!("response_{name}"), |bencher| {
            bencher.iter(|| response_body(response.view(black_box(&bytes)), Method::Get));
        });
    }
    group.finish();
}

criterion_group!(benches, framing);
criterion_main!(benches);
