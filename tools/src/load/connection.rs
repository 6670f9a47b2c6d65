//! One connection that never blocks: TCP, TLS on it if wanted, and one request at a time.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustls::{ClientConnection, HandshakeKind};

use super::plan::{Plan, Request, TlsTarget};
use super::response::{Answer, Response};

/// A connection, from its first SYN on.
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    stage: ConnectionStage,
    /// How much of the request is sent.
    sent: u64,
    reading: Reading,
}

#[derive(Default)]
struct Reading {
    response: Response,
    /// Is a response to come?
    asked: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ConnectionStage {
    Connecting,
    Handshaking,
    Open,
}

/// What an event brought.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Requests may be sent from now on.
    pub(super) opened: bool,
    /// How the TLS handshake went, if it ended now.
    pub(super) handshake: Option<HandshakeKind>,
    /// The whole response.
    pub(super) answer: Option<Answer>,
    /// The server ended the connection.
    pub(super) closed: bool,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(
        plan: &Plan,
        source: Option<Ipv4Addr>,
        tls: Option<&TlsTarget>,
    ) -> io::Result<Self> {
        let address = plan.address;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        if let Some(source) = source {
            bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        match connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let socket = TcpStream::from(socket);
        socket.set_nodelay(!plan.nagle)?;
        let tls = match tls {
            Some(TlsTarget { config, server_name }) => {
                let session = ClientConnection::new(Arc::clone(config), server_name.clone());
                Some(Box::new(session.map_err(io::Error::other)?))
            }
            None => None,
        };
        Ok(Self {
            socket,
            tls,
            stage: ConnectionStage::Connecting,
            sent: u64::MAX,
            reading: Reading::default(),
        })
    }

    /// Is the whole request on its way? An answer before that means that the rest is unwanted.
    pub(super) const fn is_sent(&self, request: &Request) -> bool {
        self.sent >= request.total()
    }

    /// The server's certificate in DER.
    pub(super) fn leaf(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// Sends the request, or as much of it as the socket takes now.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        self.sent = 0;
        self.reading.asked = true;
        self.reading.response.begin();
        self.flush(request)
    }

    /// Takes what an event announced. `buffer` is scratch space.
    pub(super) fn advance(
        &mut self,
        request: &Request,
        buffer: &mut [u8],
        hung_up: bool,
    ) -> io::Result<Progress> {
        let mut progress = Progress::default();
        match self.exchange(request, buffer, hung_up, &mut progress) {
            Ok(()) => Ok(progress),
            // Whatever went wrong afterwards, the response is there.
            Err(_) if progress.answer.is_some() => Ok(Progress { closed: true, ..progress }),
            Err(error) => Err(error),
        }
    }

    fn exchange(
        &mut self,
        request: &Request,
        buffer: &mut [u8],
        hung_up: bool,
        progress: &mut Progress,
    ) -> io::Result<()> {
        if self.stage == ConnectionStage::Connecting {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            self.stage = if self.tls.is_some() {
                ConnectionStage::Handshaking
            } else {
                ConnectionStage::Open
            };
            progress.opened = self.stage == ConnectionStage::Open;
        }
        // What cannot be sent because the server is gone must not hide its last words.
        let sent = self.flush(request);
        loop {
            match self.socket.read(buffer) {
                Ok(0) => {
                    progress.closed = true;
                    break;
                }
                Ok(size) => {
                    let (bytes, _) = buffer.split_at(size);
                    self.take(bytes, progress)?;
                    // Events come by edges: less than was asked for means that there is no more,
                    // and the end of the stream has an edge of its own.
                    if size < buffer.len() && !hung_up {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if progress.closed {
            self.reading.end(progress)?;
        }
        if progress.closed && self.stage != ConnectionStage::Open {
            return Err(io::Error::other("closed inside the handshake"));
        }
        if !progress.closed {
            sent?;
            self.flush(request)?;
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8], progress: &mut Progress) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return self.reading.take(bytes, progress) };
        while !bytes.is_empty() && session.read_tls(&mut bytes)? > 0 {
            if let Err(error) = session.process_new_packets() {
                // The alert, if the socket takes it: the error is what counts.
                let _ = session.write_tls(&mut self.socket);
                return Err(io::Error::other(error));
            }
            if self.stage == ConnectionStage::Handshaking && !session.is_handshaking() {
                self.stage = ConnectionStage::Open;
                progress.opened = true;
                progress.handshake = session.handshake_kind();
            }
            let mut reader = session.reader();
            loop {
                let size = match reader.fill_buf() {
                    Ok(piece) => {
                        self.reading.take(piece, progress)?;
                        piece.len()
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                if size == 0 {
                    progress.closed = true;
                    break;
                }
                reader.consume(size);
            }
        }
        Ok(())
    }

    /// Sends what the socket takes: records that are ready, then more of the request.
    fn flush(&mut self, request: &Request) -> io::Result<()> {
        if self.stage == ConnectionStage::Connecting {
            return Ok(());
        }
        loop {
            if let Some(session) = &mut self.tls {
                while session.wants_write() {
                    match session.write_tls(&mut self.socket) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
            }
            if self.stage != ConnectionStage::Open || self.is_sent(request) {
                return Ok(());
            }
            let piece = request.at(self.sent);
            let size = match &mut self.tls {
                Some(session) => session.writer().write(piece)?,
                None => match self.socket.write(piece) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    other => other?,
                },
            };
            self.sent += u64::try_from(size).map_err(io::Error::other)?;
        }
    }

    /// Says goodbye, as far as the socket takes it.
    pub(super) fn close(mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
            let _ = session.write_tls(&mut self.socket);
        }
    }
}

impl Reading {
    fn take(&mut self, bytes: &[u8], progress: &mut Progress) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.asked {
            return Err(io::Error::other("bytes that nobody asked for"));
        }
        self.response.take(bytes).map_err(io::Error::other)?;
        if let Some(answer) = self.response.whole() {
            self.asked = false;
            progress.answer = Some(answer);
        }
        Ok(())
    }

    fn end(&mut self, progress: &mut Progress) -> io::Result<()> {
        if self.asked {
            self.asked = false;
            progress.answer = Some(self.response.end().map_err(io::Error::other)?);
        }
        Ok(())
    }
}
