//! A client that sends exactly the bytes it is given, over TCP or TLS.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_tools::clock::PATIENCE;
use ferrule_tools::http::{Conversation, Message};
use ferrule_tools::pki::Leaf;
use ferrule_tools::tls;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12Resumption};
use rustls::client::{ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion,
    SignatureScheme, SupportedProtocolVersion,
};

/// How to reach a TLS listener.
#[derive(Clone)]
pub struct Dial {
    config: Arc<ClientConfig>,
    name: Option<String>,
    split: bool,
    gathering: bool,
    before: Vec<u8>,
}

/// An open connection.
pub type Raw = Conversation<Line>;

/// The certificate of a client that is renewed while the client goes on.
#[derive(Debug)]
pub struct Wallet(Mutex<Option<Arc<CertifiedKey>>>);

/// The bytes below HTTP.
#[derive(Debug)]
pub enum Line {
    /// TCP.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<rustls::StreamOwned<ClientConnection, Splitting>>),
}

/// A socket that can send its first record one byte a record.
#[derive(Debug)]
pub struct Splitting {
    socket: TcpStream,
    split: bool,
    before: Vec<u8>,
}

fn socket(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Connects without TLS.
#[must_use]
pub fn plain(port: u16) -> Raw {
    try_plain(port).expect("a listener")
}

/// The same.
///
/// # Errors
/// Nobody listens.
pub fn try_plain(port: u16) -> io::Result<Raw> {
    Ok(Conversation::new(Line::Plain(socket(port)?)))
}

/// One plain request on its own connection.
#[must_use]
pub fn plain_get(port: u16, host: &str, target: &str) -> Message {
    get(&mut plain(port), host, target)
}

/// A GET on this connection.
pub fn get(raw: &mut Raw, host: &str, target: &str) -> Message {
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .expect("a connection that takes a request");
    raw.response("GET").expect("a response")
}

/// Sends these bytes on a connection of their own; the response and whether the connection was closed
/// behind it.
#[must_use]
pub fn exchange(port: u16, bytes: &[u8]) -> (Message, bool) {
    let mut raw = plain(port);
    raw.send(bytes).expect("a connection that takes bytes");
    let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let response = raw.response(method).expect("a response");
    (response, raw.is_closed())
}

impl Dial {
    /// To this server name (`None` sends none), both TLS versions, without a certificate.
    #[must_use]
    pub fn new(name: Option<&str>) -> Self {
        Self::with(name, None, rustls::ALL_VERSIONS)
    }

    /// The same, with a certificate.
    #[must_use]
    pub fn as_client(name: &str, leaf: &Leaf) -> Self {
        Self::with(Some(name), Some(leaf), rustls::ALL_VERSIONS)
    }

    /// All chosen.
    #[must_use]
    pub fn with(
        name: Option<&str>,
        leaf: Option<&Leaf>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut config = tls::client(leaf, versions);
        config.enable_sni = name.is_some();
        let name = name.map(str::to_owned);
        let config = Arc::new(config);
        Self { config, name, split: false, gathering: false, before: Vec::new() }
    }

    /// Sends these bytes in front of the `ClientHello`, in one piece with it.
    #[must_use]
    pub fn behind(mut self, bytes: &[u8]) -> Self {
        self.before = bytes.to_vec();
        self
    }

    /// Sends the `ClientHello` in records of one byte each.
    #[must_use]
    pub const fn split_hello(mut self) -> Self {
        self.split = true;
        self
    }

    /// Leaves the gathering of small writes on (Nagle), as many clients do.
    #[must_use]
    pub const fn gathering(mut self) -> Self {
        self.gathering = true;
        self
    }

    /// Offers these application protocols.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::make_mut(&mut self.config).alpn_protocols = protocols;
        self
    }

    /// Can verify only signatures of these schemes.
    #[must_use]
    pub fn only(mut self, schemes: impl Fn(SignatureScheme) -> bool) -> Self {
        tls::narrow(Arc::make_mut(&mut self.config), schemes);
        self
    }

    /// As [`new`](Self::new), exchanging keys in these groups; the first one's share is sent.
    #[must_use]
    pub fn in_groups(name: &str, kx_groups: Vec<&'static dyn SupportedKxGroup>) -> Self {
        let provider = CryptoProvider { kx_groups, ..ring::default_provider() };
        let config = tls::client_of(Arc::new(provider), None, rustls::ALL_VERSIONS);
        Self { config: Arc::new(config), ..Self::new(Some(name)) }
    }

    /// Keeps sessions, and offers them to whatever name comes next: what an attacker would do.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        let store = Arc::new(OneName(ClientSessionMemoryCache::new(64)));
        Arc::make_mut(&mut self.config).resumption = Resumption::store(store);
        self
    }

    /// Shows the certificate that is in there at the time, and keeps its sessions when that changes.
    #[must_use]
    pub fn showing(mut self, wallet: &Arc<Wallet>) -> Self {
        let wallet = Arc::clone(wallet);
        Arc::make_mut(&mut self.config).client_auth_cert_resolver = wallet;
        self
    }

    /// As a client that takes no tickets: TLS 1.2 sessions are known by their ids.
    #[must_use]
    pub fn without_tickets(mut self) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.resumption =
            config.resumption.clone().tls12_resumption(Tls12Resumption::SessionIdOnly);
        self
    }

    /// The same settings and sessions to another name.
    #[must_use]
    pub fn to(&self, name: &str) -> Self {
        let name = Some(name.to_owned());
        Self { name, ..self.clone() }
    }

    /// Connects and finishes the handshake, as far as a client can tell.
    ///
    /// # Errors
    /// Whatever ended it; [`alert`] finds the TLS alert in it.
    pub fn connect(&self, port: u16) -> io::Result<Raw> {
        let name = match &self.name {
            Some(name) => ServerName::try_from(name.clone()).expect("a server name"),
            None => ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)),
        };
        let mut session =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let socket = socket(port)?;
        socket.set_nodelay(!self.gathering)?;
        let mut socket = Splitting { socket, split: self.split, before: self.before.clone() };
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Conversation::new(Line::Tls(Box::new(rustls::StreamOwned::new(session, socket)))))
    }

    /// One GET on a connection of its own.
    ///
    /// # Errors
    /// Whatever ended the connection before the response was there.
    pub fn get(&self, port: u16, host: &str, target: &str) -> io::Result<Message> {
        let mut raw = self.connect(port)?;
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        raw.response("GET")
    }
}

impl Wallet {
    /// With this certificate in it.
    #[must_use]
    pub fn new(leaf: &Leaf) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(tls::certified(leaf)))))
    }

    /// Has this one in it from now on.
    pub fn renew(&self, leaf: &Leaf) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tls::certified(leaf));
    }

    /// Has none in it from now on.
    pub fn empty(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ResolvesClientCert for Wallet {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The TLS alert inside an error.
#[must_use]
pub fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

impl Line {
    /// The TLS session.
    #[must_use]
    pub fn tls(&self) -> &ClientConnection {
        match self {
            Self::Tls(stream) => &stream.conn,
            Self::Plain(_) => panic!("a plain connection has no TLS session"),
        }
    }

    /// Was the session new or resumed?
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.tls().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The negotiated version.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.tls().protocol_version()
    }

    /// The server's certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        let chain = self.tls().peer_certificates().expect("a server shows one");
        chain.first().expect("at least one").to_vec()
    }

    /// The socket below it.
    #[must_use]
    pub const fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock.socket,
        }
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn finish(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(out),
            Self::Tls(stream) => stream.read(out),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Read for Splitting {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.socket.read(out)
    }
}

impl Write for Splitting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = std::mem::take(&mut self.before);
        if !before.is_empty() {
            self.socket.write_all(&[&before[..], bytes].concat())?;
            return Ok(bytes.len());
        }
        if !std::mem::take(&mut self.split) {
            return self.socket.write(bytes);
        }
        // rustls writes its first record whole: five bytes of header, then the ClientHello.
        let (header, hello) = bytes.split_at(5);
        let (kind, version) = header.split_at(1);
        for byte in hello {
            self.socket.write_all(&[kind, &version[..2], &[0, 1, *byte]].concat())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A session store that does not care which name a session came from.
#[derive(Debug)]
struct OneName(ClientSessionMemoryCache);

fn any() -> ServerName<'static> {
    ServerName::try_from("any.test").expect("a server name")
}

impl ClientSessionStore for OneName {
    fn set_kx_hint(&self, _name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(any(), group);
    }

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&any())
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(any(), value);
    }

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&any())
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {
        self.0.remove_tls12_session(&any());
    }

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(any(), value);
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&any())
    }
}
