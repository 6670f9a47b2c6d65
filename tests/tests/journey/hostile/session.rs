//! TLS clients that stall, lie and leave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Script, Upstream, echo, now, on_both_drivers, poll, raw, tls,
};
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
};

use super::{Mutual, descriptors, drip, pause, read_all, socket};

/// A client past its TLS 1.3 handshake that writes its records itself.
struct Forger {
    socket: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    fn new(mutual: &Mutual) -> Self {
        let mut config = tls::client(Some(&mutual.client), &[&TLS13]);
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("a.test").expect("a server name");
        let mut session = ClientConnection::new(config.into(), name).expect("a session");
        let mut socket = socket(mutual.port());
        while session.is_handshaking() || session.wants_write() {
            session.complete_io(&mut socket).expect("a handshake");
        }
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.tls13());
        let secrets = session.dangerous_extract_secrets().expect("what was asked for");
        let (sequence, keys) = secrets.tx;
        let parts = match keys {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Some((key, iv)),
            _ => None,
        };
        let (key, iv) = parts.expect("a suite of TLS 1.3");
        let encrypter = suite.expect("TLS 1.3").aead_alg.encrypter(key, iv);
        Self { socket, encrypter, sequence }
    }

    fn send(&mut self, typ: ContentType, payload: &[u8]) {
        let version = ProtocolVersion::TLSv1_2;
        let message = OutboundPlainMessage { typ, version, payload: payload.into() };
        let record = self.encrypter.encrypt(message, self.sequence).expect("a record").encode();
        self.sequence += 1;
        self.socket.write_all(&record).expect("a connection");
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

on_both_drivers! {
    /// Every byte of every flight in a segment of its own.
    fn a_handshake_in_one_byte_segments_succeeds(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        for version in [&TLS12, &TLS13] {
            let (mut session, mut socket) = (mutual.session(version), socket(mutual.port()));
            session.writer().write_all(GET).expect("room");
            let mut answer = Vec::new();
            loop {
                while session.wants_write() {
                    let mut flight = Vec::new();
                    session.write_tls(&mut flight).expect("memory");
                    flight.iter().for_each(|byte| socket.write_all(&[*byte]).expect("a connection"));
                }
                let read = session.read_tls(&mut socket).expect("a connection");
                session.process_new_packets().expect("a session");
                let ended = session.reader().read_to_end(&mut answer).is_ok();
                if ended || read == 0 {
                    break;
                }
            }
            let answer = String::from_utf8(answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("X-Client: CN=me"), "{answer}");
        }
    }

    /// Neither silence nor a byte now and then buys more than the handshake's own time.
    fn an_unfinished_hello_is_given_up(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        let mut hello = Vec::new();
        mutual.session(&TLS13).write_tls(&mut hello).expect("memory");
        let mut silent = socket(mutual.port());
        silent.write_all(&hello[..hello.len() - 1]).expect("a connection");
        let started = now();
        assert_eq!(silent.read(&mut [0; 16]).expect("an orderly end"), 0);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());

        let mut slow = socket(mutual.port());
        slow.write_all(&hello[..5]).expect("a connection");
        let took = drip(&mut slow, Duration::from_secs(5));
        assert!(took < Duration::from_secs(4), "{took:?}");
    }

    /// The client is told by an alert, in TLS 1.3 too, where it believes that the handshake is over.
    fn a_refused_client_sees_an_alert(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "handshake", &upstream);
        let foreign = Authority::new("foreign").client("stranger");
        for version in [&TLS12, &TLS13] {
            for (leaf, alerts) in [
                (None, [AlertDescription::CertificateRequired, AlertDescription::HandshakeFailure]),
                (Some(&foreign), [AlertDescription::UnknownCA; 2]),
            ] {
                let dial = Dial::with(Some("a.test"), leaf, &[version]);
                let error = dial.get(mutual.port(), "a.test", "/").expect_err("no such client");
                let alert = raw::alert(&error);
                assert!(alert.is_some_and(|alert| alerts.contains(&alert)), "{version:?}: {error:?}");
            }
        }
        let dial = Dial::as_client("a.test", &mutual.client);
        assert_eq!(dial.get(mutual.port(), "a.test", "/").expect("an answer").status(), 200);
    }

    /// A record that does not open ends the session with an alert; nobody else notices.
    fn garbage_behind_the_handshake_is_an_alert(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        for version in [&TLS12, &TLS13] {
            let mut other = mutual.open(version);
            for (garbage, alert) in [
                (&b"\x17\x03\x03\x00\x20GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..], AlertDescription::BadRecordMac),
                (b"\x17\x03\x03\xff\xff", AlertDescription::RecordOverflow),
                (b"GET / HTTP/1.1\r\n\r\n", AlertDescription::UnexpectedMessage),
            ] {
                let mut open = mutual.open(version);
                open.sock.write_all(garbage).expect("a connection");
                let (_, end) = read_all(&mut open);
                let error = end.expect_err("not an orderly end");
                let seen = raw::alert(&error);
                assert_eq!(seen, Some(alert), "{version:?}: {error:?}");
            }
            other.write_all(GET).expect("a connection");
            assert!(read_all(&mut other).0.starts_with(b"HTTP/1.1 200"));
        }
        assert_eq!(upstream.seen().len(), 2, "only the whole requests");
    }

    /// Who says goodbye behind its request still gets the answer; what follows is nobody's.
    fn a_goodbye_behind_the_request_does_not_take_the_answer(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        for version in [&TLS12, &TLS13] {
            for more in [&b""[..], b"\x17\x03\x03\x00\x05abcde", b"GET / HTTP/1.1\r\n\r\n"] {
                let mut open = mutual.open(version);
                open.conn.writer().write_all(b"GET /bye HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("room");
                open.conn.send_close_notify();
                let mut bytes = Vec::new();
                while open.conn.wants_write() {
                    open.conn.write_tls(&mut bytes).expect("memory");
                }
                bytes.extend(more);
                open.sock.write_all(&bytes).expect("a connection");
                let (answer, end) = read_all(&mut open);
                assert!(answer.starts_with(b"HTTP/1.1 200"), "{version:?} {more:?} {end:?}");
            }
            // TCP's goodbye alone is enough too.
            let mut open = mutual.open(version);
            open.write_all(b"GET /fin HTTP/1.1\r\nHost: a.test\r\n\r\n").expect("a connection");
            open.sock.shutdown(Shutdown::Write).expect("a connection");
            let (answer, _) = read_all(&mut open);
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{version:?}");
        }
    }

    fn a_client_may_change_its_keys(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        let mut open = ferrule_tests::Conversation::new(mutual.open(&TLS13));
        for round in 0..10 {
            open.stream.conn.refresh_traffic_keys().expect("TLS 1.3");
            let body = "b".repeat(20_000);
            let head = format!("POST /{round} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len());
            open.send(head.as_bytes()).expect("a connection");
            open.stream.conn.refresh_traffic_keys().expect("TLS 1.3");
            open.send(body.as_bytes()).expect("a connection");
            let answer = open.response("POST").expect("an answer");
            assert_eq!(answer.status(), 200, "{round}");
        }
        // Without end and without a request in between it is an attack: rustls bounds it.
        let mut refused = false;
        for _ in 0..1_000 {
            refused |= open.stream.conn.refresh_traffic_keys().is_err();
            refused |= open.send(b"").is_err();
            if refused {
                break;
            }
        }
        let dial = Dial::as_client("a.test", &mutual.client);
        assert_eq!(dial.get(mutual.port(), "a.test", "/").expect("an answer").status(), 200);
    }

    /// Half a handshake message behind the handshake, and an answer while it is half.
    fn half_a_message_does_no_harm(driver) {
        let late: Script = Arc::new(|client| {
            if client.talk.head().is_ok_and(|head| head.is_some()) {
                pause(300);
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let upstream = Upstream::plain(late);
        let mutual = Mutual::start(driver, "http", &upstream);
        for half in [&b"\x18"[..], b"\x18\0\0", b"\x18\0\0\x01\0\x18\0", b"\x04\0\xff\xff", b"\xff\xff\xff\xff\xff"] {
            let mut forger = Forger::new(&mutual);
            forger.send(ContentType::ApplicationData, b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc");
            pause(50);
            forger.send(ContentType::Handshake, half);
            let (answer, _) = read_all(&mut forger.socket);
            assert!(!answer.is_empty(), "neither an answer nor an alert to {half:?}: {}", mutual.gateway.log());
        }
        let log = mutual.gateway.log();
        assert!(!log.contains("panic"), "{log}");
    }

    /// Clients that reset or leave within a handshake cost nothing that stays.
    fn clients_that_leave_leave_nothing_behind(driver) {
        let upstream = Upstream::plain(echo());
        let mutual = Mutual::start(driver, "http", &upstream);
        let dial = Dial::as_client("a.test", &mutual.client);
        assert_eq!(dial.get(mutual.port(), "a.test", "/").expect("an answer").status(), 200);
        pause(300);
        let before = descriptors(&mutual.gateway);
        let mut hello = Vec::new();
        mutual.session(&TLS13).write_tls(&mut hello).expect("memory");
        for round in 0..100 {
            let mut gone = socket(mutual.port());
            gone.write_all(&hello[..hello.len() * (round % 10) / 9]).expect("a connection");
            if round % 2 == 0 {
                rustix::net::sockopt::set_socket_linger(&gone, Some(Duration::ZERO)).expect("an option");
            }
        }
        let after = poll(Duration::from_secs(8), || {
            let open = descriptors(&mutual.gateway);
            (open <= before).then_some(open)
        });
        assert!(after.is_some(), "{before} descriptors before, {} after", descriptors(&mutual.gateway));
    }
}
