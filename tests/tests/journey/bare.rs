//! One end of a TLS connection that sends records nobody should send.
//!
//! rustls does the handshake, then its keys are taken over: whatever comes afterwards is sealed and
//! opened here, one record at a time (RFC 8446, section 5.2; RFC 7905 for TLS 1.2). ChaCha20-Poly1305
//! only, because both versions make its nonces alike. Shares no code with the engine's record layer.

#![expect(clippy::panic, reason = "a test stops at the first surprise, with its text")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use ferrule_engine::shell::transport::buffers::{BufferPool, BufferSize};
use ferrule_engine::shell::transport::tls::{HandshakeProgress, Session, TlsOutput};
use ferrule_tests::{Leaf, PATIENCE, tls};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::ring::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::{ClientConfig, ConnectionTrafficSecrets, ServerConfig, SupportedProtocolVersion};

pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// A `KeyUpdate` that asks for one of the peer's.
pub(crate) const ASK_FOR_KEYS: [u8; 5] = [24, 0, 0, 1, 1];
/// A `KeyUpdate` that asks for nothing.
pub(crate) const NEW_KEYS: [u8; 5] = [24, 0, 0, 1, 0];

/// One direction's keys, and the number of the next record under them.
struct Keys {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Keys {
    fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Self {
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
            panic!("another cipher than the one we offered");
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("32 bytes");
        let iv = iv.as_ref().try_into().expect("12 bytes");
        Self { key: LessSafeKey::new(key), iv, sequence }
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= count;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Where new keys come from; TLS 1.2 has none.
enum Schedule {
    Client(Box<KernelConnection<ClientConnectionData>>),
    Server(Box<KernelConnection<ServerConnectionData>>),
}

/// The end.
pub(crate) struct Bare {
    pub(crate) socket: TcpStream,
    tls13: bool,
    read: Keys,
    write: Keys,
    schedule: Schedule,
    input: Vec<u8>,
}

/// Only the suites that we can speak.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = (*tls::provider()).clone();
    provider.cipher_suites = vec![
        TLS13_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(tls::AnyServer::new(|_| true)))
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

/// Settings of a server that [`Bare::accept`] takes.
pub(crate) fn server_config(
    leaf: &Leaf,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(tls::certified(leaf))));
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

impl Bare {
    /// Connects as a client without a certificate.
    pub(crate) fn connect(
        port: u16,
        name: &str,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let config = Arc::new(client_config(version));
        let client = UnbufferedClientConnection::new(config, name).expect("good settings");
        Self::shake(socket.expect("a listener"), Session::Client(Box::new(client)))
    }

    /// Serves this connection.
    pub(crate) fn accept(socket: TcpStream, config: &Arc<ServerConfig>) -> Self {
        let server = UnbufferedServerConnection::new(Arc::clone(config)).expect("good settings");
        Self::shake(socket, Session::Server(Box::new(server)))
    }

    fn shake(mut socket: TcpStream, mut session: Session) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
        // A Unix socket has no such option.
        let _ = socket.set_nodelay(true);
        let buffers = BufferPool::default();
        let (mut input, mut said) = (buffers.rent(BufferSize::Body), TlsOutput::default());
        loop {
            let progress = session.handshake(&mut input, &mut said).expect("a handshake");
            socket.write_all(&std::mem::take(&mut said.pending)).expect("a peer");
            if progress == HandshakeProgress::Done {
                break;
            }
            let mut bytes = [0; 4096];
            let count = socket.read(&mut bytes).expect("a peer");
            assert_ne!(count, 0, "the peer left within the handshake");
            input.append(&bytes[..count]);
        }
        let left = input.filled().to_vec();
        let (tls13, secrets, schedule) = match session {
            Session::Client(client) => {
                let tls13 = client.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
                let (secrets, kernel) = client.dangerous_into_kernel_connection().expect("allowed");
                (tls13, secrets, Schedule::Client(Box::new(kernel)))
            }
            Session::Server(server) => {
                let tls13 = server.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
                let (secrets, kernel) = server.dangerous_into_kernel_connection().expect("allowed");
                (tls13, secrets, Schedule::Server(Box::new(kernel)))
            }
            other => panic!("{other:?}"),
        };
        Self {
            socket,
            tls13,
            read: Keys::new(secrets.rx.0, &secrets.rx.1),
            write: Keys::new(secrets.tx.0, &secrets.tx.1),
            schedule,
            input: left,
        }
    }

    /// A record of this type with this content, sealed but not sent.
    pub(crate) fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut body = content.to_vec();
        let outer = if self.tls13 { APPLICATION_DATA } else { kind };
        if self.tls13 {
            body.push(kind);
        }
        let record = [outer, 3, 3];
        let nonce = self.write.nonce();
        let sealed = if self.tls13 {
            let length = u16::try_from(body.len() + 16).expect("a length").to_be_bytes();
            let header = [&record[..], &length].concat();
            self.write.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body)
        } else {
            let length = u16::try_from(body.len()).expect("a length").to_be_bytes();
            let header = [&self.write.sequence.to_be_bytes()[..], &record, &length].concat();
            self.write.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body)
        };
        sealed.expect("memory");
        self.write.sequence += 1;
        let length = u16::try_from(body.len()).expect("a length").to_be_bytes();
        [&record[..], &length, &body].concat()
    }

    /// Sends one record.
    pub(crate) fn send(&mut self, kind: u8, content: &[u8]) {
        let record = self.seal(kind, content);
        self.socket.write_all(&record).expect("a peer");
    }

    /// New keys for what we send: to be called behind a `KeyUpdate` of ours.
    pub(crate) fn renew_write(&mut self) {
        let (sequence, secrets) = match &mut self.schedule {
            Schedule::Client(kernel) => kernel.update_tx_secret(),
            Schedule::Server(kernel) => kernel.update_tx_secret(),
        }
        .expect("TLS 1.3");
        self.write = Keys::new(sequence, &secrets);
    }

    /// The next record, opened; keys that it announces are used from here on.
    ///
    /// # Errors
    /// Nothing comes within the time of any test, or the connection ended.
    pub(crate) fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        loop {
            if let Some(header) = self.input.first_chunk::<5>().copied() {
                let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
                if self.input.len() >= 5 + len {
                    let rest = self.input.split_off(5 + len);
                    let mut body = std::mem::replace(&mut self.input, rest).split_off(5);
                    return Ok(self.open(header, &mut body));
                }
            }
            let mut bytes = [0; 4096];
            match self.socket.read(&mut bytes)? {
                0 => return Err(ended()),
                count => self.input.extend_from_slice(&bytes[..count]),
            }
        }
    }

    fn open(&mut self, header: [u8; 5], body: &mut [u8]) -> (u8, Vec<u8>) {
        let nonce = self.read.nonce();
        let plain = if self.tls13 {
            self.read.key.open_in_place(nonce, Aad::from(header), body)
        } else {
            let length = u16::try_from(body.len() - 16).expect("a length").to_be_bytes();
            let data = [&self.read.sequence.to_be_bytes()[..], &header[..3], &length].concat();
            self.read.key.open_in_place(nonce, Aad::from(data), body)
        };
        let plain = plain.expect("a good record").to_vec();
        self.read.sequence += 1;
        if !self.tls13 {
            return (header[0], plain);
        }
        let (kind, content) = plain.split_last().expect("a type");
        if *kind == HANDSHAKE && content.first() == Some(&24) {
            let (sequence, secrets) = match &mut self.schedule {
                Schedule::Client(kernel) => kernel.update_rx_secret(),
                Schedule::Server(kernel) => kernel.update_rx_secret(),
            }
            .expect("TLS 1.3");
            self.read = Keys::new(sequence, &secrets);
        }
        (*kind, content.to_vec())
    }

    /// The next record that is no ticket.
    ///
    /// # Errors
    /// As [`Bare::receive`].
    pub(crate) fn hear(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let (kind, content) = self.receive()?;
            if kind != HANDSHAKE || content.first() != Some(&4) {
                return Ok((kind, content));
            }
        }
    }

    /// Application data until `end` is in it.
    pub(crate) fn text_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            let (kind, content) = self.hear().expect("more");
            assert_eq!(kind, APPLICATION_DATA, "{content:?} behind {text:?}");
            text += &String::from_utf8_lossy(&content);
        }
        text
    }
}
