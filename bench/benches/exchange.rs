//! All decisions of one request and its response: parse, admit, rewrite, parse, deliver.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;

use criterion::Criterion;
use ferrule_engine::exchange::response::{Asked, ResponseStep, admit_response, client_head};
use ferrule_engine::wire::head::{ResponseHead, parse_response};

mod input;

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 22:55:28 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 128\r\nConnection: keep-alive\r\n\
    ETag: \"0123\"\r\n\r\n";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut connection = input::Connection::new();
    let limits = connection.plan.head_limits();
    let mut head = ResponseHead::default();
    let mut out = Vec::with_capacity(4096);
    criterion.bench_function("exchange/request", |bencher| {
        bencher.iter(|| {
            let admission = connection.admit();
            connection.rewrite(&admission, &mut out);
        });
    });
    let admission = connection.admit();
    let asked = Asked {
        upgrade: false,
        method: admission.method,
        version: admission.version,
        keep_alive: admission.keep_alive,
        interims: 0,
        http_date: input::NOW.http_date,
        continue_wanted: false,
        trailers: None,
        via: None,
        request_id: None,
    };
    criterion.bench_function("exchange/response", |bencher| {
        bencher.iter(|| {
            out.clear();
            parse_response(black_box(RESPONSE), RESPONSE.len(), limits, &mut head).unwrap();
            let step = admit_response(RESPONSE, &head, &asked).unwrap();
            if let ResponseStep::Final(delivery) = step {
                client_head(RESPONSE, &head, &delivery, &asked, &mut out);
            }
            step
        });
    });
    criterion.final_summary();
}
