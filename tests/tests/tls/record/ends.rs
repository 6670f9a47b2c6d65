//! A handshake between two rustls ends in memory, and each end listened to twice: by rustls, and by
//! our record layer with the same secrets.

use std::sync::{Arc, Mutex};

use ferrule_engine::shell::transport::buffers::{Buffer, BufferPool, BufferSize};
use ferrule_engine::shell::transport::tls::{
    HandshakeProgress, Opened, Session, SessionError, TlsOutput,
};
use ferrule_engine::tls::provider;
use ferrule_engine::tls::record::cipher::Protection;
use ferrule_engine::tls::record::{KeySchedule, RecordError, RecordLayer, Role};
use ferrule_tests::{Authority, tls};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, KeyLog, ServerConfig};

use super::forger::{Aead, Secret};

/// Keeps the secrets of the last handshake.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Log {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        self.0.lock().expect("one thread").push((label.to_owned(), secret.to_vec()));
    }
}

impl Log {
    fn take(&self, label: &str) -> Vec<u8> {
        let mut list = self.0.lock().expect("one thread");
        let at = list.iter().rposition(|(name, _)| name == label).expect("a logged secret");
        list.swap_remove(at).1
    }
}

/// Both ends' settings, for each AEAD.
pub(crate) struct Settings {
    server: Arc<ServerConfig>,
    clients: [Arc<ClientConfig>; 3],
    log: Arc<Log>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        let leaf = Authority::new("a").server(&["a.test"]);
        let mut server = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(tls::certified(&leaf))));
        server.enable_secret_extraction = true;
        let log = Arc::new(Log::default());
        let clients =
            [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
        let clients = clients.map(|suite| {
            let mut provider = provider();
            provider.cipher_suites.retain(|other| other.suite() == suite.suite());
            let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(tls::AnyServer::new(|_| true)))
                .with_no_client_auth();
            config.enable_secret_extraction = true;
            let log: Arc<Log> = Arc::clone(&log);
            config.key_log = log;
            Arc::new(config)
        });
        Self { server: Arc::new(server), clients, log }
    }
}

type Shaken = (UnbufferedServerConnection, UnbufferedClientConnection, Vec<u8>);

/// Both ends of a finished handshake.
pub(crate) struct Pair {
    server: Session,
    client: Session,
    /// What the server writes with, and the client.
    secrets: [Secret; 2],
    tickets: Arc<Mutex<KernelConnection<ClientConnectionData>>>,
}

/// Both ends, and what the server has said that the client has not read: tickets.
fn handshake(settings: &Settings, aead: Aead) -> Shaken {
    settings.log.0.lock().expect("one thread").clear();
    let name = ServerName::try_from("a.test").expect("a name");
    let config = Arc::clone(&settings.clients[aead as usize]);
    let client = UnbufferedClientConnection::new(config, name).expect("good settings");
    let server =
        UnbufferedServerConnection::new(Arc::clone(&settings.server)).expect("good settings");
    let (mut server, mut client) =
        (Session::Server(Box::new(server)), Session::Client(Box::new(client)));
    let buffers = BufferPool::default();
    let (mut up, mut down) = (buffers.rent(BufferSize::Body), buffers.rent(BufferSize::Body));
    let mut said = [TlsOutput::default(), TlsOutput::default()];
    loop {
        let asked = client.handshake(&mut down, &mut said[0]).expect("a handshake");
        up.append(&std::mem::take(&mut said[0].pending));
        let answered = server.handshake(&mut up, &mut said[1]).expect("a handshake");
        if asked == HandshakeProgress::Done && answered == HandshakeProgress::Done {
            break;
        }
        down.append(&std::mem::take(&mut said[1].pending));
    }
    let [_, TlsOutput { pending, .. }] = said;
    match (server, client) {
        (Session::Server(server), Session::Client(client)) => (*server, *client, pending),
        _ => panic!("as made here"),
    }
}

impl Pair {
    pub(crate) fn shaken(settings: &Settings, aead: Aead) -> Self {
        let (server, client, tickets_sent) = handshake(settings, aead);
        let log = &settings.log;
        let (up, down) = (log.take("CLIENT_TRAFFIC_SECRET_0"), log.take("SERVER_TRAFFIC_SECRET_0"));
        // A connection of its own, so that tickets are judged by rustls on our side too.
        thread_local! {
            static TICKETS: std::cell::OnceCell<Arc<Mutex<KernelConnection<ClientConnectionData>>>> =
                const { std::cell::OnceCell::new() };
        }
        let tickets = TICKETS.with(|cell| {
            Arc::clone(cell.get_or_init(|| {
                let (_, other, _) = handshake(settings, aead);
                let (_, kernel) = other.dangerous_into_kernel_connection().expect("allowed");
                Arc::new(Mutex::new(kernel))
            }))
        });
        let mut down = Secret::new(aead, down, 0);
        assert!(!down.open_all(&tickets_sent).is_empty(), "tickets");
        Self {
            server: Session::Server(Box::new(server)),
            client: Session::Client(Box::new(client)),
            secrets: [down, Secret::new(aead, up, 0)],
            tickets,
        }
    }

    /// The server's ears and the client's.
    pub(crate) fn hear(self) -> [Ears; 2] {
        let [down, up] = self.secrets;
        // The client has not read the tickets.
        let fresh = down.unused();
        [
            Ears::new(Role::Server, self.server, (up.clone(), down), &self.tickets),
            Ears::new(Role::Client, self.client, (fresh, up), &self.tickets),
        ]
    }
}

/// Key updates by our own arithmetic, tickets by rustls's eyes.
struct Known {
    read: Secret,
    write: Secret,
    tickets: Arc<Mutex<KernelConnection<ClientConnectionData>>>,
}

impl KeySchedule for Known {
    fn next_read(&mut self) -> Option<Protection> {
        self.read.update();
        Some(self.read.protection())
    }

    fn next_write(&mut self) -> Option<Protection> {
        self.write.update();
        Some(self.write.protection())
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordError> {
        KeySchedule::keep_ticket(&mut *self.tickets.lock().expect("one thread"), body)
    }
}

/// How a listener ended up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    More,
    Closed,
    Failed(Option<RecordError>),
}

/// One listener to a stream.
pub(crate) struct Listener {
    session: Session,
    said: TlsOutput,
    input: Buffer,
    pub(crate) plain: Vec<u8>,
    pub(crate) end: End,
    /// What it writes with, to understand what it says.
    secret: Secret,
    buffers: BufferPool,
}

impl Listener {
    fn new(session: Session, secret: Secret) -> Self {
        let buffers = BufferPool::default();
        Self {
            session,
            said: TlsOutput::default(),
            input: buffers.rent(BufferSize::Body),
            plain: Vec::new(),
            end: End::More,
            secret,
            buffers,
        }
    }

    /// Hears some bytes, and opens all it can.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BufferSize::Record.bytes()) {
            self.input.compact();
            if self.end != End::More {
                return;
            }
            assert_eq!(self.input.append(piece), piece.len(), "room for what is not whole");
            self.open_all();
        }
    }

    fn open_all(&mut self) {
        loop {
            let Self { session, said, input, plain, .. } = self;
            match session.open_next(input, said, |data| plain.extend_from_slice(data)) {
                Ok(Opened::Data(())) => {}
                Ok(Opened::More) => return,
                Ok(Opened::Closed) => {
                    self.end = End::Closed;
                    return;
                }
                Err(error) => {
                    let fault = match error {
                        SessionError::Record(fault) => Some(fault),
                        _ => None,
                    };
                    self.end = End::Failed(fault);
                    return;
                }
            }
        }
    }

    /// Says something, or its last words if it has failed; the records' types and contents.
    pub(crate) fn say(&mut self, words: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut output = self.buffers.rent(BufferSize::Record);
        let sealed = self.session.seal(words, &mut self.said, &mut output);
        assert_eq!(sealed.is_ok(), !matches!(self.end, End::Failed(_)), "{sealed:?}");
        let mut wire = output.filled().to_vec();
        wire.extend(std::mem::take(&mut self.said.pending));
        self.secret.open_all(&wire)
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.session.queue_close_notify(&mut self.said);
        let wire = std::mem::take(&mut self.said.pending);
        self.secret.open_all(&wire)
    }
}

/// One end, heard by rustls and by ours.
pub(crate) struct Ears {
    pub(crate) role: Role,
    pub(crate) theirs: Listener,
    pub(crate) ours: Listener,
    /// Who writes to this end.
    pub(crate) forger: Secret,
}

impl Ears {
    fn new(
        role: Role,
        session: Session,
        (read, write): (Secret, Secret),
        tickets: &Arc<Mutex<KernelConnection<ClientConnectionData>>>,
    ) -> Self {
        let known =
            Known { read: read.clone(), write: write.clone(), tickets: Arc::clone(tickets) };
        let protections = (read.protection(), write.protection());
        let ours = Session::Fast(Box::new(RecordLayer::new(
            role,
            protections.0,
            protections.1,
            Box::new(known),
        )));
        Self {
            role,
            theirs: Listener::new(session, write.clone()),
            ours: Listener::new(ours, write),
            forger: read,
        }
    }
}
