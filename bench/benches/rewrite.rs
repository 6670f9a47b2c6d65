//! An admitted request to the head that goes upstream.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;

use criterion::Criterion;
use ferrule_config::template::Variable;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

mod input;

const VALUES: [Variable; 10] = [
    Variable::SslClientVerify,
    Variable::SslClientFingerprint,
    Variable::SslClientSerial,
    Variable::SslClientSDn,
    Variable::SslClientIDn,
    Variable::SslClientFingerprintSha256,
    Variable::SslClientSpkiSha256,
    Variable::SslClientVStart,
    Variable::SslClientVEnd,
    Variable::SslClientXfcc,
];

/// A connection of a verified client, with the first so many of these identity headers.
fn identified(headers: usize) -> input::Connection {
    let mut config = input::config();
    config.routes[0].headers.clear();
    let wanted = VALUES.into_iter().take(headers);
    config.identity_headers =
        wanted.map(|value| input::header(&format!("X-{}", value.name()), value)).collect();
    let leaf = CertificateDer::from_pem_slice(include_bytes!("certificates/v3-p256.crt")).unwrap();
    input::Connection::of(&config, &[&leaf])
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut connection = input::Connection::new();
    let admission = connection.admit();
    let mut out = Vec::with_capacity(4096);
    criterion.bench_function("rewrite", |bencher| {
        bencher.iter(|| connection.rewrite(black_box(&admission), &mut out));
    });
    // Rendered once per connection, ten cost a request what three do: one copy.
    for headers in [0, 3, 10] {
        let mut connection = identified(headers);
        let admission = connection.admit();
        criterion.bench_function(&format!("rewrite/{headers} identity headers"), |bencher| {
            bencher.iter(|| connection.rewrite(black_box(&admission), &mut out));
        });
    }
    criterion.final_summary();
}
