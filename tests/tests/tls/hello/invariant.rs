//! What has to hold for any first bytes of a TLS client. The seeds and the fuzz target call it.

use ferrule_engine::tls::handshake::hello::{self, Hello, HelloError, HelloReader};
use rustls::server::Acceptor;

/// We read the same names, protocols, suites and groups as rustls, or refuse; the cut of the bytes
/// changes nothing; and what is whole to rustls does not make us wait.
pub(crate) fn client_hello(bytes: &[u8]) {
    let ours = hello::read(bytes);
    assert_eq!(in_pieces(bytes, 1), ours, "byte by byte");
    assert_eq!(in_pieces(bytes, 100), ours, "in pieces of 100");
    let Some(theirs) = by_rustls(bytes) else { return };
    match ours {
        Ok(Some(ours)) => assert_eq!(ours, theirs),
        Ok(None) => panic!("we wait for more than {theirs:?}"),
        Err(_) => {}
    }
}

fn in_pieces(bytes: &[u8], size: usize) -> Result<Option<Hello>, HelloError> {
    let mut reader = HelloReader::default();
    let mut result = reader.read(&[]);
    let mut end = 0;
    while end < bytes.len() && matches!(result, Ok(None)) {
        end = bytes.len().min(end + size);
        result = reader.read(&bytes[..end]);
    }
    result
}

/// What rustls reads; `None` if it refuses, or waits.
pub(crate) fn by_rustls(flight: &[u8]) -> Option<Hello> {
    let mut acceptor = Acceptor::default();
    let mut rest = flight;
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).ok()? == 0 {
            return None;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Err(_) => return None,
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return Some(Hello {
                    sni: hello.server_name().map(hello::normal_name),
                    ciphers: hello.cipher_suites().iter().map(|suite| (*suite).into()).collect(),
                    curves: hello
                        .named_groups()
                        .unwrap_or_default()
                        .iter()
                        .map(|group| (*group).into())
                        .collect(),
                });
            }
        }
    }
    None
}
