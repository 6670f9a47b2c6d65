//! A handshake's share of certificates: one leaf rendered, and one chain judged.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;

use criterion::Criterion;
use ferrule_engine::identity::{
    ClientIdentity, ClientPolicy, ClientValue, IdentityPlan, Verdict, verify_client,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A moment at which all of them are valid.
const NOW: i64 = 1_830_000_000;

const THREE: [ClientValue; 3] = [ClientValue::Fingerprint, ClientValue::Serial, ClientValue::SDn];
const SEVEN_MORE: [ClientValue; 7] = [
    ClientValue::IDn,
    ClientValue::SDnLegacy,
    ClientValue::VStart,
    ClientValue::VEnd,
    ClientValue::EscapedCert,
    ClientValue::SpkiSha256,
    ClientValue::San,
];

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let rsa_root = der(include_str!("../certificates/rsa-root.crt"));
    let rsa_leaf = der(include_str!("../certificates/v1-rsa.crt"));
    let ec_root = der(include_str!("../certificates/p256-root.crt"));
    let ec_leaf = der(include_str!("../certificates/v3-p256.crt"));
    let policy = ClientPolicy::new(&[rsa_root, ec_root], 1, true).unwrap();
    let mut wanted = IdentityPlan::default();
    for (name, values) in [("of/3 values", &THREE[..]), ("of/10 values", &SEVEN_MORE)] {
        values.iter().for_each(|value| wanted.add(*value));
        let chain = [ec_leaf.as_slice()];
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| ClientIdentity::of(black_box(&chain), Verdict::Success, &wanted));
        });
    }
    for (name, leaf) in [("judge/v1 RSA", &rsa_leaf), ("judge/v3 P-256", &ec_leaf)] {
        let chain = [leaf.as_slice()];
        assert_eq!(verify_client(&chain, &policy, NOW), Verdict::Success);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| verify_client(black_box(&chain), &policy, NOW));
        });
    }
    criterion.final_summary();
}
