//! Heads: finding the end, parsing, and the target. Bytes per second, and time per head.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrule_engine::wire::error::WireError;
use ferrule_engine::wire::head::{
    HeadScan, RequestHead, ResponseHead, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;
use ferrule_engine::wire::span::Span;
use ferrule_engine::wire::target::{normalise_path, request_authority, request_target};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 32 * 1024, fields_max: 100 };

/// What a load generator or a service sends.
const SMALL: &[u8] = b"GET /api/v1/items?id=42 HTTP/1.1\r\nHost: api.example.com\r\n\
    User-Agent: client/1.0\r\nAccept: */*\r\n\r\n";

/// What a browser sends.
const BROWSER: &[u8] = b"GET /shop/catalogue/items/list.html?page=2&sort=price HTTP/1.1\r\n\
    Host: www.example.com\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\nReferer: https://www.example.com/shop/catalogue/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=3f1c9a0e7b6d4c2f8e5a1b0c9d8e7f6a; theme=dark; consent=yes; basket=17\r\n\r\n";

/// What an application server answers.
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 512\r\nConnection: keep-alive\r\n\
    ETag: \"5e8c-1b2\"\r\nCache-Control: no-store\r\n\r\n";

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    for (name, bytes) in [("small", SMALL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("scan_{name}"), |bencher| {
            bencher.iter(|| HeadScan::default().advance(black_box(bytes), LIMITS));
        });
        let mut head = RequestHead::default();
        group.bench_function(format!("parse_{name}"), |bencher| {
            bencher.iter(|| parse_request(black_box(bytes), bytes.len(), LIMITS, &mut head));
        });
        let mut path = Vec::new();
        group.bench_function(format!("target_{name}"), |bencher| {
            bencher.iter(|| -> Result<usize, WireError> {
                let target = request_target(head.view(black_box(bytes)))?;
                let authority = request_authority(head.view(bytes), &target)?;
                path.clear();
                normalise_path(target.path.of(bytes), &mut path)?;
                Ok(path.len() + authority.map_or(0, Span::len))
            });
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("response");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    let mut head = ResponseHead::default();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| parse_response(black_box(RESPONSE), RESPONSE.len(), LIMITS, &mut head));
    });
    group.finish();
}

criterion_group!(benches, requests, responses);
criterion_main!(benches);
