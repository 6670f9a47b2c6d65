//! Connections of the judge, plain or under mutual TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{Authority, PATIENCE, tls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

/// The name that everything is asked for.
pub(crate) const HOST: &str = "judge.test";

/// What is below HTTP, on both sides of a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Below {
    Plain,
    Mutual,
}

/// The settings of the client and of the upstream; nothing for plain connections.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) client: Option<Arc<ClientConfig>>,
    pub(crate) upstream: Option<Arc<ServerConfig>>,
}

/// A byte stream.
pub(crate) trait Stream: Read + Write + Send {
    /// Says that nothing more will be sent.
    fn finish(&mut self);
    /// The socket.
    fn socket(&self) -> &TcpStream;
}

impl Keys {
    /// Writes every certificate that a proxy needs into `dir`, each also with its key in one file.
    pub(crate) fn new(dir: &Path, below: Below) -> Self {
        if below == Below::Plain {
            return Self { client: None, upstream: None };
        }
        let authority = Authority::new("judge");
        let (server, client) = (authority.server(&[HOST]), authority.client("client"));
        fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        for (name, leaf) in [("server", &server), ("client", &client)] {
            leaf.write(dir, name);
            let both = format!("{}{}", leaf.cert_pem, leaf.key_pem);
            fs::write(dir.join(format!("{name}.pem")), both).expect("a writable directory");
        }
        let upstream = tls::server(&server, Some(&authority.cert_pem));
        let client = tls::client(Some(&client), &[&rustls::version::TLS13]);
        Self { client: Some(Arc::new(client)), upstream: Some(upstream) }
    }

    /// Connects to a proxy.
    pub(crate) fn connect(&self, port: u16) -> io::Result<Box<dyn Stream>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        prepare(&socket)?;
        let Some(config) = &self.client else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(HOST).expect("a name");
        let mut session =
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Box::new(StreamOwned::new(session, socket)))
    }

    /// Takes a connection of a proxy.
    pub(crate) fn accept(&self, mut socket: TcpStream) -> io::Result<Box<dyn Stream>> {
        prepare(&socket)?;
        let Some(config) = &self.upstream else { return Ok(Box::new(socket)) };
        let mut session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Box::new(StreamOwned::new(session, socket)))
    }
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))
}

impl Stream for TcpStream {
    fn finish(&mut self) {
        // It may be gone already.
        let _ = self.shutdown(Shutdown::Write);
    }

    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.sock.shutdown(Shutdown::Write);
    }

    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.sock.shutdown(Shutdown::Write);
    }

    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// How a wait for bytes ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The other side has ended the connection.
    Closed,
    /// Nothing came for the time given.
    Quiet,
    /// It was cut: reset, or without the goodbye of TLS.
    Cut,
}

/// Reads on until the end, or until nothing came for `quiet`.
pub(crate) fn read_on(stream: &mut dyn Stream, quiet: Duration, into: &mut Vec<u8>) -> End {
    let mut piece = [0; 16_384];
    if stream.socket().set_read_timeout(Some(quiet)).is_err() {
        return End::Closed;
    }
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return End::Closed,
            Ok(count) => into.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                return End::Quiet;
            }
            Err(_) => return End::Cut,
        }
    }
}
