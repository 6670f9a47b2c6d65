//! What a client that cannot be served is told, byte for byte, and the words that the log has for it.
//!
//! Every refusal is an alert that arrives: never a reset, never silence.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Setup, poll, raw, scratch, shell, tls,
};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConnection, SupportedProtocolVersion};

mod second_hello;

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@lenient@"
tls = true
fallback_sni = "x"

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"
client.verify = "optional"

[[ssls]]
sni = "old"
cert = "server.crt"
key = "server.key"
ssl_protocols = ["TLSv1.2"]

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:9" = 1 }
"#;

const UNEXPECTED_MESSAGE: u8 = 10;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const DECODE_ERROR: u8 = 50;
const PROTOCOL_VERSION: u8 = 70;
const MISSING_EXTENSION: u8 = 109;
const UNRECOGNIZED_NAME: u8 = 112;

/// Runs it on both drivers and both record layers.
fn on_both(case: impl Fn(&Gateway, &Leaf)) {
    for driver in [Driver::IoUring, Driver::Epoll] {
        for fast in [true, false] {
            let scratch = scratch();
            let (gateway, leaf) = start(scratch.path(), driver, fast);
            case(&gateway, &leaf);
        }
    }
}

fn start(dir: &Path, driver: Driver, fast: bool) -> (Gateway, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["x", "old"]).write(dir, "server");
    (Setup::new(dir, driver, CONFIG).fast_path(fast).start(), authority.client("me"))
}

/// Does `act` until the log has `word`: it has five lines a second for each cause.
fn logged(gateway: &Gateway, word: &str, act: impl Fn()) {
    act();
    let has = || gateway.log().contains(word).then_some(());
    let soon = poll(Duration::from_millis(200), has);
    let found = soon.or_else(|| {
        poll(PATIENCE, || {
            act();
            poll(Duration::from_millis(200), has)
        })
    });
    assert!(found.is_some(), "no {word}: {}", gateway.log());
}

/// A `ClientHello`, before it is bytes.
#[derive(Clone)]
struct Draft {
    legacy_version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
}

fn shorts(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).expect("short").to_be_bytes()[..], content].concat()
}

const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const SCHEMES: u16 = 13;
const VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

impl Draft {
    fn tls12() -> Self {
        let mut draft = Self {
            legacy_version: 0x0303,
            ciphers: vec![0xc02b, 0xc02f],
            extensions: vec![
                (GROUPS, vector16(&shorts(&[0x001d, 0x0017]))),
                (SCHEMES, vector16(&shorts(&[0x0403, 0x0804, 0x0401]))),
            ],
        };
        draft.name(b"x");
        draft
    }

    fn tls13() -> Self {
        let mut draft = Self::tls12();
        draft.ciphers = vec![0x1301];
        draft.extensions.push((VERSIONS, vec![2, 3, 4]));
        let share = [&[0, 0x1d, 0, 32][..], &[9; 32]].concat();
        draft.extensions.push((KEY_SHARE, vector16(&share)));
        draft
    }

    fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(other, _)| *other != kind);
        self
    }

    fn with(mut self, kind: u16, content: Vec<u8>) -> Self {
        self = self.without(kind);
        self.extensions.push((kind, content));
        self
    }

    fn name(&mut self, name: &[u8]) {
        let entry = [&[0][..], &vector16(name)].concat();
        self.extensions.retain(|(kind, _)| *kind != SERVER_NAME);
        self.extensions.insert(0, (SERVER_NAME, vector16(&entry)));
    }

    fn named(mut self, name: &[u8]) -> Self {
        self.name(name);
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (kind, content) in &self.extensions {
            extensions.extend_from_slice(&kind.to_be_bytes());
            extensions.extend_from_slice(&vector16(content));
        }
        let body = [
            &self.legacy_version.to_be_bytes()[..],
            &[7; 32],
            &[0],
            &vector16(&shorts(&self.ciphers)),
            &[1, 0],
            &vector16(&extensions),
        ]
        .concat();
        message(1, &body)
    }

    fn bytes(&self) -> Vec<u8> {
        records(22, &self.message(), 16_384)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[kind, len[1], len[2], len[3]][..], body].concat()
}

fn records(kind: u8, content: &[u8], size: usize) -> Vec<u8> {
    let record = |piece: &[u8]| [&[kind, 3, 3][..], &vector16(piece)].concat();
    content.chunks(size).flat_map(record).collect()
}

/// Sends these bytes, and reads all that comes until the end.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("up");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.write_all(bytes).expect("a connection that takes bytes");
    let mut all = Vec::new();
    socket.read_to_end(&mut all).expect("an end, and no reset");
    all
}

fn fatal(alert: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, alert]
}

fn large(len: usize) -> Vec<u8> {
    let padding = vec![0; 16_000];
    let mut draft = Draft::tls13();
    // The length of all extensions is 16 bits, so the message itself is made longer than it may be.
    draft.extensions.push((21, padding));
    let body = [draft.message(), vec![0; len]].concat();
    records(22, &message(1, body.get(4..).expect("a header")), 16_384)
}

/// A case, its bytes, the alert, and a word of the log.
#[derive(Clone)]
struct Case(&'static str, Vec<u8>, u8, &'static str);

/// First records that are none of a handshake, or begin another message.
fn strangers() -> Vec<Case> {
    let finished = records(22, &message(20, &[0; 32]), 99);
    let cases: [(&str, &[u8]); 6] = [
        ("a zero type", &[0, 3, 3, 0, 1, 0]),
        ("a change of ciphers", &[20, 3, 3, 0, 1, 1]),
        ("an empty alert", &[21, 3, 3, 0, 0]),
        ("data", &[23, 3, 3, 0, 1, 0]),
        ("a heartbeat", &[24, 3, 3, 0, 3, 1, 0, 0]),
        ("a Finished", &finished),
    ];
    let word = "is no ClientHello";
    cases.map(|(name, bytes)| Case(name, bytes.to_vec(), UNEXPECTED_MESSAGE, word)).into()
}

fn of_old_versions() -> Vec<Case> {
    let old = |legacy_version, draft| Draft { legacy_version, ..draft }.bytes();
    let (ssl, none) = ("before TLS 1.0", "no protocol version in common");
    vec![
        Case("SSL 3.0", old(0x0300, Draft::tls12()), PROTOCOL_VERSION, ssl),
        Case("SSL 3.0, TLS 1.3", old(0x0300, Draft::tls13()), PROTOCOL_VERSION, ssl),
        Case("SSL 2.0", old(0x0002, Draft::tls12()), PROTOCOL_VERSION, ssl),
        Case("TLS 1.1", old(0x0302, Draft::tls12()), PROTOCOL_VERSION, none),
    ]
}

fn with_nothing_in_common() -> Vec<Case> {
    let suites = |ciphers: &[u16], draft| Draft { ciphers: ciphers.to_vec(), ..draft }.bytes();
    let listing = |draft: Draft, kind, value| draft.with(kind, vector16(&shorts(&[value]))).bytes();
    let lacking = |kind| Draft::tls13().without(kind).bytes();
    let (suite, word) = ("no cipher suite in common", "without signature_algorithms");
    vec![
        Case("no suite", suites(&[0x002f, 0xc013], Draft::tls12()), HANDSHAKE_FAILURE, suite),
        Case("no suite of 1.3", suites(&[0x1304], Draft::tls13()), HANDSHAKE_FAILURE, suite),
        Case("RSA, not ECDSA", suites(&[0xc02f], Draft::tls12()), HANDSHAKE_FAILURE, suite),
        Case("no scheme", listing(Draft::tls12(), SCHEMES, 0x0201), HANDSHAKE_FAILURE, "in common"),
        Case(
            "no group",
            listing(Draft::tls13(), GROUPS, 0x0100),
            HANDSHAKE_FAILURE,
            "exchange group",
        ),
        Case("no key share", lacking(KEY_SHARE), MISSING_EXTENSION, word),
        Case("no groups", lacking(GROUPS), MISSING_EXTENSION, word),
        Case("no schemes", lacking(SCHEMES), MISSING_EXTENSION, word),
        Case(
            "another name",
            Draft::tls12().named(b"y").bytes(),
            UNRECOGNIZED_NAME,
            "unknown server",
        ),
    ]
}

fn too_long() -> Vec<Case> {
    let record = [&[22, 3, 1, 0x40, 1][..], &vec![0; 16_385]].concat();
    vec![
        Case("a long record", record, RECORD_OVERFLOW, "longer than 16 KiB"),
        Case("a long hello", large(70_000), DECODE_ERROR, "longer than 32 KiB"),
        Case("a hello of a megabyte", large(900_000), DECODE_ERROR, "longer than 32 KiB"),
    ]
}

#[test]
fn a_first_flight_that_cannot_be_served_gets_its_alert_and_its_words() {
    let table = [strangers(), of_old_versions(), with_nothing_in_common(), too_long()].concat();
    on_both(|gateway, _| {
        for Case(case, bytes, alert, word) in &table {
            let tell = || assert_eq!(answer(gateway.port("front"), bytes), fatal(*alert), "{case}");
            logged(gateway, word, tell);
        }
        // Where the server has spoken already.
        let dial = Dial::with(Some("x"), None, &[&TLS13]);
        let dial = dial.only(|scheme| scheme == rustls::SignatureScheme::ED25519);
        logged(gateway, "no signature scheme in common", || {
            let error = dial.connect(gateway.port("front")).expect_err("no scheme");
            assert_eq!(raw::alert(&error), Some(AlertDescription::HandshakeFailure));
        });
        // Where TLS 1.3 is off, its extensions are nobody's business.
        let bytes = Draft::tls13().without(KEY_SHARE).named(b"old").bytes();
        assert_eq!(answer(gateway.port("front"), &bytes), fatal(PROTOCOL_VERSION));
    });
}

#[test]
fn a_name_that_is_none_is_an_unknown_name() {
    let long = [b'a'; 300];
    let names: [(&[u8], &str); 7] = [
        (b"x:443", "sni=\"x:443\""),
        (b"*.x", "sni=\"*.x\""),
        ("\u{fc}ber.x".as_bytes(), r#"sni="\\xc3\\xbcber.x""#),
        (b"\xff\x00\"", r#"sni="\\xff\\x00"#),
        (b"", "sni=\"\""),
        (b"x x", "sni=\"x x\""),
        (&long, "sni=\"aaaaaaaaaa"),
    ];
    on_both(|gateway, _| {
        for draft in [Draft::tls12(), Draft::tls13()] {
            for (name, word) in names {
                let bytes = draft.clone().named(name).bytes();
                logged(gateway, word, || {
                    let told = answer(gateway.port("front"), &bytes);
                    assert_eq!(told, fatal(UNRECOGNIZED_NAME), "{name:?}");
                });
                // With a fallback, in any fragmentation.
                for size in [1, 3, 16_384] {
                    let mut bytes = records(22, &draft.clone().named(name).message(), size);
                    bytes.extend_from_slice(&[24, 3, 3, 0, 1, 0]);
                    let told = answer(gateway.port("lenient"), &bytes);
                    assert_eq!(told.first_chunk(), Some(&[22, 3, 3]), "{name:?} {told:?}");
                    assert_eq!(told.get(5), Some(&2), "a ServerHello for {name:?}");
                }
            }
        }
        let bytes = Draft::tls13().named(b"y:1").bytes();
        let lenient = gateway.port("lenient");
        logged(
            gateway,
            r#"sni="y:1" reason="bad-server-name" detail="the server name is not a name"#,
            || {
                answer(lenient, &[&bytes[..], &[24, 3, 3, 0, 1, 0]].concat());
            },
        );
    });
}

/// Both ends hash the same messages, whatever rustls was shown.
#[test]
fn a_client_under_a_name_that_is_none_is_served_by_the_fallback() {
    on_both(|gateway, leaf| {
        let scratch = scratch();
        leaf.write(scratch.path(), "client");
        let port = gateway.port("lenient");
        // The last ones have a key of a group that we do not have, and are asked for another.
        for (version, name) in [
            ("1_2", "test.com:443"),
            ("1_3", "*.x"),
            ("1_2", "\u{fc}.x"),
            ("1_3", "a b"),
            ("1_3 -groups P-521:P-256", "*.x"),
            ("1_3 -groups P-521:X25519", "a:1"),
        ] {
            let mut script = String::new();
            for session in ["-sess_out s.pem", "-sess_in s.pem"] {
                let _ = writeln!(
                    script,
                    "(printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'; sleep 0.3) | \
                     timeout 9 openssl s_client -connect 127.0.0.1:{port} -servername '{name}' -tls{version} \
                     -cert client.crt -key client.key -ign_eof {session} 2>&1 || true"
                );
            }
            let text = shell(scratch.path(), &script);
            assert_eq!(text.matches("HTTP/1.1 502").count(), 2, "{name}: {text}");
            assert!(text.contains("\nReused, "), "{name}: {text}");
        }
    });
}

/// A client that has read the server's first flight, and has its own second one ready.
fn half_way(
    gateway: &Gateway,
    version: &'static SupportedProtocolVersion,
) -> (TcpStream, ClientConnection) {
    let config = Arc::new(tls::client(None, &[version]));
    let mut client = ClientConnection::new(config, "x".try_into().expect("a name")).expect("good");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.port("front")));
    let mut socket = TcpStream::connect(address).expect("up");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    client.write_tls(&mut socket).expect("a socket");
    while !client.wants_write() {
        client.read_tls(&mut socket).expect("a flight");
        client.process_new_packets().expect("a good flight");
    }
    (socket, client)
}

/// The alert that comes next.
fn next_alert(socket: &mut TcpStream, client: &mut ClientConnection) -> AlertDescription {
    loop {
        assert_ne!(client.read_tls(socket).expect("no reset"), 0, "an end without an alert");
        match client.process_new_packets() {
            Ok(_) => {}
            Err(rustls::Error::AlertReceived(alert)) => return alert,
            Err(other) => assert_eq!(other.to_string(), "an alert"),
        }
    }
}

#[test]
fn a_record_that_does_not_belong_there_is_an_unexpected_message() {
    let finished = records(22, &message(20, &[0; 12]), 99);
    let strangers: [(&str, &[u8]); 5] = [
        ("a zero type", &[0, 3, 3, 0, 1, 0]),
        ("an empty alert", &[21, 3, 3, 0, 0]),
        ("an empty handshake", &[22, 3, 3, 0, 0]),
        ("a heartbeat", &[24, 3, 3, 0, 3, 1, 0, 0]),
        ("a plaintext Finished", &finished),
    ];
    on_both(|gateway, _| {
        logged(gateway, "a record that does not belong there", || {
            half_way(gateway, &TLS13).0.write_all(strangers[0].1).expect("a socket");
        });
        for version in [&TLS12, &TLS13] {
            for (case, bytes) in strangers {
                let (mut socket, mut client) = half_way(gateway, version);
                socket.write_all(bytes).expect("a socket");
                let alert = next_alert(&mut socket, &mut client);
                assert_eq!(alert, AlertDescription::UnexpectedMessage, "{case} {version:?}");
                // Behind the handshake, too.
                let mut raw = Dial::with(Some("x"), None, &[version])
                    .connect(gateway.port("front"))
                    .expect("a handshake");
                let raw::Line::Tls(stream) = &mut raw.stream else { continue };
                stream.sock.write_all(bytes).expect("a socket");
                let mut byte = [0];
                let error = stream.read(&mut byte).expect_err("an alert");
                let alert = raw::alert(&error);
                if case != "a plaintext Finished" || version.version == TLS13.version {
                    assert_eq!(
                        alert,
                        Some(AlertDescription::UnexpectedMessage),
                        "{case} {version:?}"
                    );
                }
            }
        }
    });
}

/// The alerts of faults for which rustls has none, where nothing is protected yet and where all is.
#[test]
fn what_goes_wrong_half_way_is_told() {
    let warning = [21, 3, 3, 0, 2, 1, 90];
    let piece = |kind| vec![22, 3, 3, 0, 1, kind];
    let rows: [(&SupportedProtocolVersion, Vec<u8>, u8); 6] = [
        (&TLS12, [piece(16), warning.to_vec()].concat(), UNEXPECTED_MESSAGE),
        (&TLS12, [piece(16), records(20, &[1], 1)].concat(), UNEXPECTED_MESSAGE),
        (&TLS12, warning.repeat(5), UNEXPECTED_MESSAGE),
        (&TLS12, [22, 3, 3, 0x48, 1].into(), RECORD_OVERFLOW),
        (&TLS13, [20, 3, 3, 0, 1, 1].repeat(3), UNEXPECTED_MESSAGE),
        (&TLS13, [23, 3, 3, 0x41, 1].into(), RECORD_OVERFLOW),
    ];
    on_both(|gateway, _| {
        for (version, bytes, alert) in &rows {
            let (mut socket, mut client) = half_way(gateway, version);
            socket.write_all(bytes).expect("a socket");
            let told = next_alert(&mut socket, &mut client);
            assert_eq!(u8::from(told), *alert, "{version:?} {bytes:?}");
        }
    });
}

#[test]
fn a_certificate_message_that_is_too_long_gets_an_alert() {
    on_both(|gateway, leaf| {
        let mut long = leaf.clone();
        long.cert_pem = long.cert_pem.repeat(400);
        for version in [&TLS12, &TLS13] {
            let dial = Dial::with(Some("x"), Some(&long), &[version]);
            let error = dial.get(gateway.port("front"), "x", "/").expect_err("too long");
            assert!(raw::alert(&error).is_some(), "{version:?}: {error} {}", gateway.log());
        }
    });
}
