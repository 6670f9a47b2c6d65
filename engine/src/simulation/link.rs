//! A peer's side of one connection: plain, or TLS by rustls's own buffers.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use rustls::Connection;

use crate::shell::transport::net::{
    Descriptor, ReadHalf, TcpStream, WriteHalf, sleep, tcp, timeout,
};
use crate::simulation::network::{is_heard_out, is_spoken_to};

/// The longest wait of a peer: Ferrule's timeouts have made something happen by then.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// How long a peer does not read: whoever waits for it has given up by then.
const DEAF: Duration = Duration::from_secs(70);

type Tls = Option<Rc<RefCell<Connection>>>;

/// The result of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LinkRead {
    Bytes,
    /// The orderly end.
    End,
    /// Any other end.
    Cut,
    /// Nothing at all, for far too long.
    Nothing,
}

/// The receiving side of a link.
pub(super) struct LinkReader {
    half: ReadHalf,
    tls: Tls,
    /// What came with the last flight of the handshake.
    early: Vec<u8>,
    /// How long it may take until something happens.
    patience: Duration,
}

/// The sending side of a link.
pub(super) struct LinkWriter {
    half: WriteHalf,
    tls: Tls,
}

/// Both directions, once a handshake (if there is to be one) has succeeded.
pub(super) async fn link(
    stream: TcpStream,
    tls: Option<Connection>,
) -> Option<(LinkReader, LinkWriter)> {
    let (read, write) = tcp(stream);
    let tls = tls.map(|connection| Rc::new(RefCell::new(connection)));
    let mut reader =
        LinkReader { half: read, tls: tls.clone(), early: Vec::new(), patience: PATIENCE };
    let mut writer = LinkWriter { half: write, tls: tls.clone() };
    if let Some(connection) = tls {
        loop {
            if !writer.flush_tls().await {
                return None;
            }
            if !connection.borrow().is_handshaking() {
                break;
            }
            let mut early = Vec::new();
            let got = reader.read_once(&mut early).await;
            reader.early.append(&mut early);
            if got != LinkRead::Bytes {
                let _ = writer.flush_tls().await;
                return None;
            }
        }
    }
    Some((reader, writer))
}

/// Both directions of a connection, whatever is spoken over it.
pub(super) fn bare(stream: TcpStream) -> (LinkReader, LinkWriter) {
    let (half, write) = tcp(stream);
    let reader = LinkReader { half, tls: None, early: Vec::new(), patience: PATIENCE };
    (reader, LinkWriter { half: write, tls: None })
}

impl LinkReader {
    /// Reads until there is more in `into`.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> LinkRead {
        let before = into.len();
        into.append(&mut self.early);
        while into.len() == before {
            let got = self.read_once(into).await;
            if got != LinkRead::Bytes {
                return got;
            }
        }
        LinkRead::Bytes
    }

    /// One receive.
    async fn read_once(&mut self, into: &mut Vec<u8>) -> LinkRead {
        if let Some(connection) = &self.tls
            && let Some(got) = opened(&mut connection.borrow_mut(), into)
        {
            return got;
        }
        let mut room = [0; 4_096];
        let Ok(received) = timeout(self.patience, self.half.receive_into(&mut room)).await else {
            return LinkRead::Nothing;
        };
        let count = match received {
            Ok(0) if self.tls.is_none() => return LinkRead::End,
            Ok(0) | Err(_) => return LinkRead::Cut,
            Ok(count) => count,
        };
        let Some(connection) = &self.tls else {
            into.extend_from_slice(&room[..count]);
            return LinkRead::Bytes;
        };
        let mut connection = connection.borrow_mut();
        let mut bytes = &room[..count];
        while !bytes.is_empty() {
            if connection.read_tls(&mut bytes).is_err() || connection.process_new_packets().is_err()
            {
                return LinkRead::Cut;
            }
            if let Some(got) = opened(&mut connection, into)
                && got != LinkRead::Bytes
            {
                return got;
            }
        }
        LinkRead::Bytes
    }

    /// Reads until the peer has left.
    pub(super) async fn drain(&mut self) {
        let mut bytes = Vec::new();
        while self.read(&mut bytes).await == LinkRead::Bytes {
            bytes.clear();
        }
    }

    /// Does not listen for so long that whoever waits for it has given up by then.
    pub(super) async fn be_deaf(&mut self) {
        sleep(DEAF).await;
        self.patience = Duration::from_secs(3);
    }

    /// Has the peer read everything?
    pub(super) fn is_heard_out(&self) -> bool {
        is_heard_out(&self.half)
    }

    /// Is anything of the peer's there, or on its way here?
    pub(super) fn is_spoken_to(&self) -> bool {
        is_spoken_to(&self.half)
    }
}

/// What TLS has ready.
fn opened(connection: &mut Connection, into: &mut Vec<u8>) -> Option<LinkRead> {
    let before = into.len();
    let mut room = [0; 4_096];
    loop {
        match connection.reader().read(&mut room) {
            Ok(0) if into.len() == before => return Some(LinkRead::End),
            Ok(0) => return Some(LinkRead::Bytes),
            Ok(count) => into.extend_from_slice(&room[..count]),
            Err(_) if into.len() == before => return None,
            Err(_) => return Some(LinkRead::Bytes),
        }
    }
}

impl LinkWriter {
    /// Sends all of `bytes`; false if the connection does not take them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        let Some(connection) = self.tls.clone() else { return self.send(bytes).await };
        for piece in bytes.chunks(16_384) {
            if connection.borrow_mut().writer().write_all(piece).is_err() {
                return false;
            }
            let sealed = self.sealed();
            if !self.send(&sealed).await {
                return false;
            }
        }
        true
    }

    /// Sends `bytes`, which arrive at once.
    pub(super) fn write_at_once(&mut self, bytes: &[u8]) {
        let Some(connection) = &self.tls else { return self.half.send_at_once(bytes) };
        if connection.borrow_mut().writer().write_all(bytes).is_ok() {
            let sealed = self.sealed();
            self.half.send_at_once(&sealed);
        }
    }

    async fn flush_tls(&mut self) -> bool {
        let sealed = self.sealed();
        sealed.is_empty() || self.send(&sealed).await
    }

    fn sealed(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(connection) = &self.tls {
            let mut connection = connection.borrow_mut();
            while connection.wants_write() && connection.write_tls(&mut out).is_ok() {}
        }
        out
    }

    async fn send(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match timeout(PATIENCE, self.half.send_from(bytes)).await {
                Ok(Ok(sent)) => bytes = &bytes[sent..],
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        true
    }

    /// The orderly end of our direction.
    pub(super) async fn end(&mut self) {
        if let Some(connection) = &self.tls {
            connection.borrow_mut().send_close_notify();
        }
        let _ = self.flush_tls().await;
        self.cut();
    }

    /// Ends our direction without a word.
    pub(super) fn cut(&self) {
        Descriptor::of(&self.half).shut_write();
    }

    /// Ends everything at once.
    pub(super) fn reset(&self) {
        Descriptor::of(&self.half).reset();
    }
}
