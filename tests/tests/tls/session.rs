//! A TLS session of the gateway against hostile records, without a socket.
//!
//! rustls keeps offsets into the bytes it was shown while half a handshake message is there, and
//! panics when it is shown others. The session must never do that, whatever it sends in between.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise, with its text"
)]

use std::io::Write as _;
use std::sync::Arc;

use ferrule_engine::shell::transport::buffers::{Buffer, BufferPool, BufferSize};
use ferrule_engine::shell::transport::tls::{HandshakeProgress, Opened, Session, TlsOutput};
use ferrule_tests::{Authority, tls};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConnection, ConnectionTrafficSecrets};

/// Both ends of a finished handshake.
struct Ends {
    client: ClientConnection,
    session: Session,
    said: TlsOutput,
    input: Buffer,
    buffers: BufferPool,
}

impl Ends {
    fn shaken() -> Self {
        let authority = Authority::new("a");
        let server = tls::server(&authority.server(&["a.test"]), None);
        let mut config = tls::client(None, &[&rustls::version::TLS13]);
        config.enable_secret_extraction = true;
        let name = ServerName::try_from("a.test").expect("as made here");
        let buffers = BufferPool::default();
        let mut ends = Self {
            client: ClientConnection::new(Arc::new(config), name).expect("as made here"),
            session: Session::Server(Box::new(
                UnbufferedServerConnection::new(server).expect("as made here"),
            )),
            said: TlsOutput::default(),
            input: buffers.rent(BufferSize::Body),
            buffers,
        };
        while ends.client.is_handshaking() || ends.client.wants_write() {
            ends.hear();
            let progress =
                ends.session.handshake(&mut ends.input, &mut ends.said).expect("as made here");
            ends.tell();
            if progress == HandshakeProgress::Done && !ends.client.wants_write() {
                break;
            }
        }
        ends
    }

    /// The client's bytes reach the session's buffer.
    fn hear(&mut self) {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).expect("as made here");
        }
        assert_eq!(self.input.append(&bytes), bytes.len());
    }

    /// What the session has pending reaches the client.
    fn tell(&mut self) {
        let bytes = std::mem::take(&mut self.said.pending);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).expect("as made here");
            self.client.process_new_packets().expect("as made here");
        }
    }

    /// The client's keys, to write records that no client would.
    fn into_forger(self) -> (Forger, Session, TlsOutput, Buffer, BufferPool) {
        let secrets = self.client.dangerous_extract_secrets().expect("as made here");
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
            panic!("the first suite of both is AES-256-GCM");
        };
        let key =
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("as made here"));
        let mut base = [0; 12];
        base.copy_from_slice(iv.as_ref());
        (Forger { key, base, sequence }, self.session, self.said, self.input, self.buffers)
    }
}

/// Seals records by hand (RFC 8446, section 5.2).
struct Forger {
    key: LessSafeKey,
    base: [u8; 12],
    sequence: u64,
}

impl Forger {
    fn record(&mut self, content_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut nonce = self.base;
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        self.sequence += 1;
        let mut inner = payload.to_vec();
        inner.push(content_type);
        let length = u16::try_from(inner.len() + 16).expect("as made here").to_be_bytes();
        let header = [0x17, 3, 3, length[0], length[1]];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(header), &mut inner)
            .expect("as made here");
        [&header[..], &inner].concat()
    }
}

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A KeyUpdate that asks for one in return.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];

#[test]
fn what_a_client_sends_is_opened_and_answered() {
    let mut ends = Ends::shaken();
    ends.client.writer().write_all(b"hello").expect("as made here");
    ends.hear();
    let mut seen = Vec::new();
    let opened = ends
        .session
        .open_next(&mut ends.input, &mut ends.said, |data| seen.extend_from_slice(data));
    assert_eq!((opened.expect("as made here"), &seen[..]), (Opened::Data(()), &b"hello"[..]));
    let mut output = ends.buffers.rent(BufferSize::Record);
    ends.session.seal(b"answer", &mut ends.said, &mut output).expect("as made here");
    let mut rest = output.filled();
    while !rest.is_empty() {
        ends.client.read_tls(&mut rest).expect("as made here");
    }
    let state = ends.client.process_new_packets().expect("as made here");
    assert_eq!(state.plaintext_bytes_to_read(), 6);
}

/// The buffer with the first half may be with the kernel when the answer is sealed.
#[test]
fn sealing_and_closing_with_half_a_message_pending_do_not_panic() {
    for cut in 1..KEY_UPDATE.len() {
        let (mut forger, mut session, mut said, mut input, buffers) = Ends::shaken().into_forger();
        let (first, second) = KEY_UPDATE.split_at(cut);
        input.append(&forger.record(HANDSHAKE, first));
        assert_eq!(
            session.open_next(&mut input, &mut said, |_| ()).expect("as made here"),
            Opened::More
        );

        let mut output = buffers.rent(BufferSize::Record);
        session.seal(b"an answer in between", &mut said, &mut output).expect("as made here");
        assert!(!output.is_empty());

        input.append(&forger.record(HANDSHAKE, second));
        assert_eq!(
            session.open_next(&mut input, &mut said, |_| ()).expect("as made here"),
            Opened::More
        );
        session.queue_close_notify(&mut said);
        assert!(!said.pending.is_empty());
    }
}

/// Half a record at the end of a read, too.
#[test]
fn half_a_record_behind_half_a_message_does_not_panic() {
    let (mut forger, mut session, mut said, mut input, buffers) = Ends::shaken().into_forger();
    input.append(&forger.record(HANDSHAKE, &KEY_UPDATE[..2]));
    let rest = forger.record(HANDSHAKE, &KEY_UPDATE[2..]);
    let (first, second) = rest.split_at(rest.len() / 2);
    input.append(first);
    assert_eq!(
        session.open_next(&mut input, &mut said, |_| ()).expect("as made here"),
        Opened::More
    );
    let mut output = buffers.rent(BufferSize::Record);
    session.seal(b"x", &mut said, &mut output).expect("as made here");
    input.append(second);
    assert_eq!(
        session.open_next(&mut input, &mut said, |_| ()).expect("as made here"),
        Opened::More
    );
    session.seal(b"x", &mut said, &mut output).expect("as made here");
}

/// Records of a handshake message that never ends are kept, but not for ever. (TLS 1.2 lets empty ones
/// pile up beside application data.)
#[test]
fn a_message_that_never_ends_holds_no_memory_for_ever() {
    let (mut forger, mut session, mut said, mut input, _) = Ends::shaken().into_forger();
    // A key update would be longer than any is.
    let mut piece = vec![24, 0, 0xff, 0xff];
    let mut heard = 0;
    let failed = loop {
        let record = forger.record(HANDSHAKE, &piece);
        heard += record.len();
        assert_eq!(input.append(&record), record.len(), "{heard} bytes are held");
        match session.open_next(&mut input, &mut said, |_| ()) {
            Ok(_) => piece = vec![0; 100],
            Err(error) => break error,
        }
    };
    assert!(heard < 20 * 1_024, "{heard}: {failed:?}");
    assert!(session.open_next(&mut input, &mut said, |_| ()).is_err());
}

/// A message in the middle of a handshake message is an attack. (rustls has no alert for this one.)
#[test]
fn a_failed_session_says_nothing_more() {
    let (mut forger, mut session, mut said, mut input, buffers) = Ends::shaken().into_forger();
    input.append(&forger.record(HANDSHAKE, &KEY_UPDATE[..2]));
    input.append(&forger.record(APPLICATION_DATA, b"GET / HTTP/1.1\r\n"));
    let failed = loop {
        match session.open_next(&mut input, &mut said, |data| assert_eq!(data, b"")) {
            Ok(Opened::More) => panic!("accepted"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(failed, ferrule_engine::shell::transport::tls::SessionError::Tls(_)),
        "{failed:?}"
    );
    let alert = said.pending.clone();
    let mut output = buffers.rent(BufferSize::Record);
    assert!(session.seal(b"more", &mut said, &mut output).is_err());
    assert!(session.open_next(&mut input, &mut said, |_| ()).is_err());
    session.queue_close_notify(&mut said);
    assert_eq!(said.pending, alert);
    assert!(output.is_empty());
}

/// Every byte of a record is authenticated; a session that meets a forged one is over, with an alert.
#[test]
fn a_forged_record_hands_nothing_on() {
    let whole = Ends::shaken().into_forger().0.record(APPLICATION_DATA, b"secret").len();
    for at in 5..whole {
        let (mut forger, mut session, mut said, mut input, _) = Ends::shaken().into_forger();
        let mut record = forger.record(APPLICATION_DATA, b"secret");
        record[at] ^= 1;
        input.append(&record);
        let opened = session.open_next(&mut input, &mut said, |_| panic!("handed on"));
        assert!(opened.is_err(), "byte {at}: {opened:?}");
        assert!(!said.pending.is_empty(), "byte {at}: no alert");
    }
}
