//! rustls does the handshake, our record layer goes on: nothing is lost on the way, and nothing passes
//! that rustls would have refused.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use ferrule_engine::shell::transport::buffers::{Buffer, BufferPool, BufferSize};
use ferrule_engine::shell::transport::tls::{
    HandshakeProgress, Opened, Session, SessionError, TlsOutput,
};
use ferrule_tests::{Authority, tls};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

/// A rustls peer, and our session over buffers.
struct Ends {
    peer: Connection,
    session: Session,
    said: TlsOutput,
    input: Buffer,
    buffers: BufferPool,
}

fn name() -> ServerName<'static> {
    ServerName::try_from("a.test").expect("a name")
}

fn server_config() -> ServerConfig {
    let mut config = (*tls::server(&Authority::new("a").server(&["a.test"]), None)).clone();
    config.enable_secret_extraction = true;
    config
}

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = tls::client(None, &[version]);
    config.enable_secret_extraction = true;
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

impl Ends {
    fn with(peer: Connection, session: Session) -> Self {
        let buffers = BufferPool::default();
        let input = buffers.rent(BufferSize::Body);
        Self { peer, session, said: TlsOutput::default(), input, buffers }
    }

    /// We are the server.
    fn serving(server: ServerConfig, client: ClientConfig) -> Self {
        let session = UnbufferedServerConnection::new(Arc::new(server)).expect("good settings");
        let peer = ClientConnection::new(Arc::new(client), name()).expect("good settings");
        Self::with(peer.into(), Session::Server(Box::new(session)))
    }

    /// We are the client.
    fn asking(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Self {
        let session = UnbufferedClientConnection::new(Arc::clone(client), name());
        let peer = ServerConnection::new(Arc::clone(server)).expect("good settings");
        Self::with(peer.into(), Session::Client(Box::new(session.expect("good settings"))))
    }

    /// What the peer has to send.
    fn peer_says(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.peer.wants_write() {
            self.peer.write_tls(&mut bytes).expect("memory");
        }
        bytes
    }

    /// The peer hears this.
    fn peer_hears(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            self.peer.read_tls(&mut bytes).expect("memory");
            self.peer.process_new_packets().expect("what a good peer says");
            let mut piece = [0; 4_096];
            while let Ok(count @ 1..) = self.peer.reader().read(&mut piece) {
                plain.extend_from_slice(&piece[..count]);
            }
        }
        plain
    }

    /// Runs the handshake until we are done; what the peer said last may still be on its way.
    fn shake(&mut self) {
        loop {
            let progress = self.session.handshake(&mut self.input, &mut self.said);
            if progress.expect("a handshake") == HandshakeProgress::Done {
                return;
            }
            let pending = std::mem::take(&mut self.said.pending);
            self.peer_hears(&pending);
            let bytes = self.peer_says();
            self.input.append(&bytes);
        }
    }

    fn enable_fast_path(&mut self) {
        self.session.enable_fast_path(&self.said).expect("keys");
        assert!(matches!(self.session, Session::Fast(_)), "{:?}", self.session);
    }

    fn open_all(&mut self) -> Result<Vec<u8>, SessionError> {
        let mut plain = Vec::new();
        let Self { session, said, input, .. } = self;
        while session.open_next(input, said, |data| plain.extend_from_slice(data))?
            == Opened::Data(())
        {}
        Ok(plain)
    }

    fn say(&mut self, words: &[u8]) -> Vec<u8> {
        let mut output = self.buffers.rent(BufferSize::Record);
        self.session.seal(words, &mut self.said, &mut output).expect("an open session");
        output.filled().to_vec()
    }

    /// Both directions work.
    fn converse(&mut self, words: &[u8]) {
        let wire = self.say(words);
        assert_eq!(self.peer_hears(&wire), words);
        self.peer.writer().write_all(words).expect("memory");
        let wire = self.peer_says();
        self.input.append(&wire);
        assert_eq!(self.open_all().expect("good records"), words);
    }
}

/// The client's last flight and its first requests come in one piece or in any two.
#[test]
fn what_comes_with_the_last_flight_is_heard_in_order() {
    let server = server_config();
    let mut length = 1;
    let mut cut = 0;
    while cut <= length {
        let mut ends = Ends::serving(server.clone(), client_config(&TLS13));
        let hello = ends.peer_says();
        ends.input.append(&hello);
        let progress = ends.session.handshake(&mut ends.input, &mut ends.said);
        assert_eq!(progress, Ok(HandshakeProgress::NeedsRead));
        let flight = std::mem::take(&mut ends.said.pending);
        ends.peer_hears(&flight);
        for word in [&b"first "[..], b"second ", b"third"] {
            ends.peer.writer().write_all(word).expect("memory");
        }
        let wire = ends.peer_says();
        length = wire.len();

        let (before, after) = wire.split_at(cut.min(length));
        ends.input.append(before);
        let mut done =
            ends.session.handshake(&mut ends.input, &mut ends.said).expect("a handshake");
        let mut rest = after;
        if done == HandshakeProgress::NeedsRead {
            ends.input.append(after);
            rest = &[];
            done = ends.session.handshake(&mut ends.input, &mut ends.said).expect("a handshake");
        }
        assert_eq!(done, HandshakeProgress::Done, "cut at {cut}");
        ends.enable_fast_path();
        let mut plain = ends.open_all().expect("good records");
        ends.input.append(rest);
        plain.extend(ends.open_all().expect("good records"));
        assert_eq!(plain, b"first second third", "cut at {cut}");
        // The tickets are still pending, and counted: the client takes both them and the answer.
        assert!(!ends.said.pending.is_empty());
        ends.converse(b"answer");
        cut += 1;
    }
    assert!(length > 100);
}

#[test]
fn keys_change_in_both_directions() {
    for serving in [true, false] {
        let (server, client) = (Arc::new(server_config()), Arc::new(client_config(&TLS13)));
        let mut ends = if serving {
            Ends::serving((*server).clone(), (*client).clone())
        } else {
            Ends::asking(&server, &client)
        };
        ends.shake();
        ends.enable_fast_path();
        ends.converse(b"before");
        for _ in 0..40 {
            // It asks for ours, too.
            ends.peer.refresh_traffic_keys().expect("TLS 1.3");
            let wire = ends.peer_says();
            ends.input.append(&wire);
            assert_eq!(ends.open_all().expect("good records"), b"");
            ends.converse(b"after");
        }
    }
}

/// A ticket that our record layer reads is one that rustls resumes with.
#[test]
fn tickets_reach_the_store() {
    let (server, client) = (Arc::new(server_config()), Arc::new(client_config(&TLS13)));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut ends = Ends::asking(&server, &client);
        ends.shake();
        let Session::Client(connection) = &ends.session else { panic!("as made here") };
        kinds.push(connection.handshake_kind());
        ends.enable_fast_path();
        ends.session.process_tickets(&mut ends.input, &mut ends.said).expect("nothing early");
        ends.converse(b"the tickets come in front of this");
    }
    let (full, resumed) = (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed));
    assert_eq!(kinds, [full, resumed, resumed]);
}

/// An answer before the question is an attack; rustls or not.
#[test]
fn a_server_that_speaks_first_is_refused() {
    for fast in [true, false] {
        let mut server = server_config();
        server.send_half_rtt_data = true;
        let (server, client) = (Arc::new(server), Arc::new(client_config(&TLS13)));
        let mut ends = Ends::asking(&server, &client);
        assert_eq!(
            ends.session.handshake(&mut ends.input, &mut ends.said),
            Ok(HandshakeProgress::NeedsRead)
        );
        let hello = std::mem::take(&mut ends.said.pending);
        ends.peer_hears(&hello);
        ends.peer.writer().write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("memory");
        let flight = ends.peer_says();
        ends.input.append(&flight);
        assert_eq!(
            ends.session.handshake(&mut ends.input, &mut ends.said),
            Ok(HandshakeProgress::Done)
        );
        if fast {
            ends.enable_fast_path();
        }
        let heard = ends.session.process_tickets(&mut ends.input, &mut ends.said);
        assert_eq!(heard, Err(SessionError::Closed), "fast: {fast}");
        let mut output = ends.buffers.rent(BufferSize::Record);
        assert!(ends.session.seal(b"GET", &mut ends.said, &mut output).is_err());
    }
}

#[test]
fn tls_1_2_stays_with_rustls() {
    let mut ends = Ends::serving(server_config(), client_config(&TLS12));
    ends.shake();
    ends.session.enable_fast_path(&ends.said).expect("nothing to do");
    assert!(matches!(ends.session, Session::Server(_)));
    ends.converse(b"as before");
}

/// Never in the clear: a session whose keys cannot be had is over.
#[test]
fn without_keys_there_is_no_session() {
    let mut server = server_config();
    server.enable_secret_extraction = false;
    let mut ends = Ends::serving(server, client_config(&TLS13));
    ends.shake();
    assert!(ends.session.enable_fast_path(&ends.said).is_err());
    assert!(matches!(ends.session, Session::Over));
    let mut output = ends.buffers.rent(BufferSize::Record);
    assert!(ends.session.seal(b"x", &mut ends.said, &mut output).is_err());
    ends.input.append(b"x");
    assert!(ends.open_all().is_err());
}

/// One alert, and not a word after it.
#[test]
fn a_forged_record_ends_the_session_with_an_alert() {
    let mut ends = Ends::serving(server_config(), client_config(&TLS13));
    ends.shake();
    ends.enable_fast_path();
    ends.converse(b"before");
    ends.peer.writer().write_all(b"secret").expect("memory");
    let mut wire = ends.peer_says();
    let last = wire.len() - 1;
    wire[last] ^= 1;
    ends.input.append(&wire);
    assert!(matches!(ends.open_all(), Err(SessionError::Record(_))));
    let alert = std::mem::take(&mut ends.said.pending);
    let mut rest = &alert[..];
    ends.peer.read_tls(&mut rest).expect("memory");
    let error = ends.peer.process_new_packets().expect_err("an alert");
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    assert!(ends.open_all().is_err());
    ends.session.queue_close_notify(&mut ends.said);
    assert!(ends.said.pending.is_empty());
}
