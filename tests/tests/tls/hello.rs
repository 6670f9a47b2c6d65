//! Our reader of the first message against rustls's own, on real hellos, in every fragmentation.
#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ferrule_engine::tls::handshake::hello::{self, Hello, HelloError, HelloReader};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

mod invariant;

use invariant::by_rustls;

/// The first flight of a rustls client.
fn from_rustls(name: &str, protocols: &[&str]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut out = Vec::new();
    client.write_tls(&mut out).expect("memory");
    out
}

/// The first flight of `openssl s_client` with these options.
fn from_openssl(options: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let (mut stream, _) = listener.accept().expect("a client");
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("a record");
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).expect("a record");
    drop(stream);
    child.kill().and_then(|()| child.wait()).expect("openssl ends");
    [&head[..], &body].concat()
}

/// The same message in records of this many bytes.
fn fragmented(flight: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let len = u16::try_from(piece.len()).expect("a record").to_be_bytes();
        [&[22, 3, 1], &len[..], piece].concat()
    };
    flight[5..].chunks(size).flat_map(record).collect()
}

/// Every seed of the fuzz target is also a case.
#[test]
fn client_hello_seeds_hold() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join("client_hello");
    let files = std::fs::read_dir(seeds).expect("seeds");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let bytes = std::fs::read(file.expect("a seed").path()).expect("a seed");
        invariant::client_hello(&bytes);
    };
    assert!(files.map(read).count() >= 5);
}

#[test]
fn we_read_what_rustls_reads_in_every_fragmentation() {
    let flights = [
        from_rustls("Some.Example", &[]),
        from_rustls("some.example", &["h2"]),
        from_rustls("some.example", &["h2", "http/1.1"]),
        from_rustls("192.0.2.1", &["http/1.1"]),
        from_openssl(&["-servername", "Open.SSL.example"]),
        from_openssl(&["-noservername", "-alpn", "h2,http/1.1"]),
        from_openssl(&["-servername", "192.0.2.1"]),
        from_openssl(&["-servername", "dot.example."]),
        from_openssl(&["-servername", "x.example", "-tls1_2", "-alpn", "h2"]),
        from_openssl(&["-servername", "not a name"]),
    ];
    for flight in flights {
        for size in [1, 2, 7, 100, 16_384] {
            let pieces = fragmented(&flight, size);
            let theirs = by_rustls(&pieces);
            assert_eq!(hello::read(&pieces).ok().flatten(), theirs, "in records of {size}");
            let mut reader = HelloReader::default();
            for end in 0..pieces.len() {
                assert_eq!(reader.read(&pieces[..end]), Ok(None), "after {end} bytes");
            }
            assert_eq!(reader.read(&pieces).ok().flatten(), theirs, "byte for byte");
        }
    }
}

#[test]
fn what_we_accept_from_broken_bytes_rustls_reads_alike() {
    let flight = from_rustls("some.example", &["http/1.1"]);
    for at in 0..flight.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = flight.clone();
            broken[at] ^= flip;
            // We may take more than rustls does, for it decides; but never read something else.
            if let (Ok(Some(ours)), Some(theirs)) = (hello::read(&broken), by_rustls(&broken)) {
                assert_eq!(ours, theirs, "byte {at} ^ {flip:#x}");
            }
        }
    }
}

#[test]
fn what_is_no_hello_is_told_apart() {
    let mut other = from_rustls("a.example", &[]);
    other[5] = 2;
    let mut endless_records = [&[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 16_380]].concat();
    for _ in 0..5 {
        endless_records.extend_from_slice(&[22, 3, 3, 0x40, 0]);
        endless_records.extend_from_slice(&[0; 16_384]);
    }
    type Expected = Result<Option<Hello>, HelloError>;
    let table: [(&[u8], Expected); 10] = [
        (b"", Ok(None)),
        (b"\x16", Ok(None)),
        (b"GET / HTTP/1.1\r\n\r\n", Err(HelloError::PlainHttp)),
        (b"\r\nGET /", Err(HelloError::PlainHttp)),
        (b"\x80\x2e\x01", Err(HelloError::NotTls)),
        (b"\x16\x02", Err(HelloError::NotTls)),
        (b"\x15\x03\x01\x00\x02\x02\x28", Err(HelloError::NotTls)),
        (b"\x16\x03\x01\x00\x00", Err(HelloError::Malformed)),
        (&other, Err(HelloError::Unexpected)),
        (&endless_records, Err(HelloError::TooLarge)),
    ];
    for (bytes, expected) in table {
        assert_eq!(hello::read(bytes), expected, "{:?}", &bytes[..bytes.len().min(16)]);
    }
}
