//! Bytes both ways, and nothing else: what a proxy would cost that did no work.
//!
//! `relay PORT UPSTREAM-PORT` listens on the loopback address, opens a connection to the upstream for
//! each client, and copies what comes on either to the other, on one thread, by epoll. No HTTP, no TLS,
//! no pool: a limit for comparisons, not a proxy to use.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "stops at the first surprise")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;

use rustix::event::epoll;
use rustix::fd::OwnedFd;

/// One of two connections that belong together.
struct Side {
    stream: TcpStream,
    /// The other one, by its place in the table.
    other: usize,
    /// What the other one sent and we could not pass on yet.
    pending: Vec<u8>,
}

struct Relay {
    poll: OwnedFd,
    listener: TcpListener,
    upstream: u16,
    sides: Vec<Option<Side>>,
    free: Vec<usize>,
    piece: Vec<u8>,
}

/// Stands for the listener among the places of the table.
const LISTENER: u64 = u64::MAX;

/// Bytes read at once; and who cannot pass on so many is not read from.
const PIECE_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    let words: Vec<u16> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [port, upstream] = words.as_slice() else {
        eprintln!("usage: relay PORT UPSTREAM-PORT");
        return ExitCode::FAILURE;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).expect("a free port");
    Relay::new(listener, *upstream).and_then(|mut relay| relay.run()).expect("epoll");
    ExitCode::SUCCESS
}

impl Relay {
    fn new(listener: TcpListener, upstream: u16) -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        listener.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&poll, &listener, data, epoll::EventFlags::IN)?;
        Ok(Self {
            poll,
            listener,
            upstream,
            sides: Vec::new(),
            free: Vec::new(),
            piece: vec![0; PIECE_BYTES],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                if data.u64() == LISTENER {
                    self.accept();
                } else if let Ok(place) = usize::try_from(data.u64()) {
                    self.handle(place, flags);
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            // On the loopback interface this is done at once.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream)) else {
                continue;
            };
            let (one, two) = (self.place(), self.place());
            for (stream, own, other) in [(client, one, two), (server, two, one)] {
                let id = u64::try_from(own).unwrap_or(LISTENER);
                let ready = stream.set_nonblocking(true).is_ok()
                    && stream.set_nodelay(true).is_ok()
                    && epoll::add(
                        &self.poll,
                        &stream,
                        epoll::EventData::new_u64(id),
                        epoll::EventFlags::IN,
                    )
                    .is_ok();
                if ready && let Some(place) = self.sides.get_mut(own) {
                    *place = Some(Side { stream, other, pending: Vec::new() });
                }
            }
        }
    }

    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.sides.push(None);
            self.sides.len() - 1
        })
    }

    /// Something can be read from this one, or written to it again.
    fn handle(&mut self, place: usize, flags: epoll::EventFlags) {
        // Gone already: an earlier event of the same batch ended it.
        let Some(other) = self.sides.get(place).and_then(Option::as_ref).map(|side| side.other)
        else {
            return;
        };
        let written = !flags.contains(epoll::EventFlags::OUT) || self.flush(place).is_ok();
        let readable = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let read = !flags.intersects(readable) || self.copy(place, other).is_ok();
        if !written || !read {
            self.end(place, other);
        }
    }

    /// One read, one write. An end of either is an end of both.
    fn copy(&mut self, from: usize, to: usize) -> io::Result<()> {
        let (Some(Some(source)), Some(Some(sink))) = (self.sides.get(from), self.sides.get(to))
        else {
            return Err(ErrorKind::NotConnected.into());
        };
        if !sink.pending.is_empty() {
            return Ok(());
        }
        let count = match (&source.stream).read(&mut self.piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = self.piece.get(..count).unwrap_or_default();
        let sent = match (&sink.stream).write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent < count {
            let rest = bytes.get(sent..).unwrap_or_default().to_vec();
            self.hold(from, to, rest)?;
        }
        Ok(())
    }

    /// Reads no more from one before the other has taken what there is.
    fn hold(&mut self, from: usize, to: usize, rest: Vec<u8>) -> io::Result<()> {
        if let Some(Some(sink)) = self.sides.get_mut(to) {
            sink.pending = rest;
        }
        self.watch(to, epoll::EventFlags::IN | epoll::EventFlags::OUT)?;
        self.watch(from, epoll::EventFlags::empty())
    }

    fn flush(&mut self, place: usize) -> io::Result<()> {
        let Some(Some(side)) = self.sides.get_mut(place) else { return Ok(()) };
        let sent = match (&side.stream).write(&side.pending) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        side.pending.drain(..sent);
        let other = side.other;
        if !side.pending.is_empty() {
            return Ok(());
        }
        self.watch(place, epoll::EventFlags::IN)?;
        self.watch(other, epoll::EventFlags::IN)
    }

    fn watch(&self, place: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let Some(Some(side)) = self.sides.get(place) else { return Ok(()) };
        let id = u64::try_from(place).unwrap_or(LISTENER);
        Ok(epoll::modify(&self.poll, &side.stream, epoll::EventData::new_u64(id), flags)?)
    }

    fn end(&mut self, one: usize, two: usize) {
        for place in [one, two] {
            // Closing takes it out of the poll set too.
            if self.sides.get_mut(place).and_then(Option::take).is_some() {
                self.free.push(place);
            }
        }
    }
}
