//! A connection as two halves over rented buffers, with a TLS session between them.
//!
//! The halves are used side by side (a body goes up while a response comes down) and share the
//! session, which is never borrowed across an await. Every wait has a deadline; a deadline that
//! passes shuts the descriptor, so a pending operation always completes and no buffer is lost.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::{TcpStream, UnixStream};

use super::buffers::{Buffer, Buffers, PLAIN_BYTES_MAX, Size};
use super::deadlines::{Deadlines, Remote, Shut, Timer};
use super::fd::{Descriptor, Peek};
use super::session::{Opened, RECORD_OVERHEAD_MAX, Session, SessionError, flush_pending};

/// Why a connection cannot be used any further.
#[derive(Clone, Debug, PartialEq)]
pub enum Cut {
    /// The peer ended it.
    Ended,
    /// The kernel said so.
    Failed(io::ErrorKind),
    /// Our deadline passed.
    TimedOut,
    /// TLS cannot go on.
    Tls(SessionError),
}

enum ReadHalf {
    Tcp(OwnedReadHalf<TcpStream>),
    Unix(OwnedReadHalf<UnixStream>),
}

enum WriteHalf {
    Tcp(OwnedWriteHalf<TcpStream>),
    Unix(OwnedWriteHalf<UnixStream>),
}

/// The TLS session and what it wants sent in front of the next message.
#[derive(Debug)]
pub struct Security {
    /// The session.
    pub session: Session,
    /// Protocol bytes waiting for the next send.
    pub pending: Vec<u8>,
}

/// The receiving half.
pub struct Reader {
    half: ReadHalf,
    descriptor: Descriptor,
    timer: Timer,
    /// Ciphertext as it came; unused by plaintext connections.
    cipher: Option<Buffer>,
    /// Plaintext that nobody has consumed yet.
    pub plain: Option<Buffer>,
    /// The peer said that nothing follows.
    closed: bool,
    /// The connection's end was read.
    ended: bool,
}

/// The sending half.
pub struct Writer {
    half: WriteHalf,
    descriptor: Descriptor,
    timer: Timer,
    output: Option<Buffer>,
}

/// One connection.
pub struct Stream {
    /// The receiving half.
    pub reader: Reader,
    /// The sending half.
    pub writer: Writer,
    /// What stands between the bytes and their meaning.
    pub security: RefCell<Security>,
    buffers: Rc<Buffers>,
    aborted: bool,
}

impl Stream {
    /// Over TCP, with the options every connection of ours has.
    ///
    /// # Errors
    /// The kernel's; the connection is gone then.
    pub fn tcp(
        stream: TcpStream,
        session: Session,
        deadlines: &Deadlines,
        buffers: &Rc<Buffers>,
    ) -> io::Result<Self> {
        let descriptor = Descriptor::of(&stream);
        descriptor.close_on_exec()?;
        descriptor.tcp_options()?;
        let (read, write) = stream.into_split();
        let halves = (ReadHalf::Tcp(read), WriteHalf::Tcp(write));
        Ok(Self::new(halves, descriptor, session, (deadlines, buffers)))
    }

    /// Over a Unix socket.
    #[must_use]
    pub fn unix(
        stream: UnixStream,
        session: Session,
        deadlines: &Deadlines,
        buffers: &Rc<Buffers>,
    ) -> Self {
        let descriptor = Descriptor::of(&stream);
        let (read, write) = stream.into_split();
        let halves = (ReadHalf::Unix(read), WriteHalf::Unix(write));
        Self::new(halves, descriptor, session, (deadlines, buffers))
    }

    fn new(
        (read, write): (ReadHalf, WriteHalf),
        descriptor: Descriptor,
        session: Session,
        (deadlines, buffers): (&Deadlines, &Rc<Buffers>),
    ) -> Self {
        Self {
            reader: Reader {
                half: read,
                descriptor,
                timer: deadlines.timer(),
                cipher: None,
                plain: None,
                closed: false,
                ended: false,
            },
            writer: Writer { half: write, descriptor, timer: deadlines.timer(), output: None },
            security: RefCell::new(Security { session, pending: Vec::new() }),
            buffers: Rc::clone(buffers),
            aborted: false,
        }
    }

    /// A way to shorten a wait of the receiving half from outside.
    #[must_use]
    pub fn read_remote(&self) -> Remote {
        self.reader.timer.remote()
    }

    /// Its descriptor, for as long as the stream lives.
    #[must_use]
    pub const fn descriptor(&self) -> Descriptor {
        self.reader.descriptor
    }

    /// Is this pooled connection still open and silent?
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let reader = &self.reader;
        !reader.closed && reader.is_drained() && reader.descriptor.peek() == Peek::Silent
    }

    /// Gives every empty buffer back: the connection is idle now.
    pub fn settle(&mut self) {
        self.reader.settle(&self.buffers);
        self.writer.settle(&self.buffers);
    }

    /// Its two directions, to be used side by side.
    pub fn split(&mut self) -> (Source<'_>, Sink<'_>) {
        let Self { reader, writer, security, buffers, .. } = self;
        let (security, buffers): (&RefCell<Security>, &Buffers) = (security, buffers);
        let tls = security.borrow().session.is_tls();
        (Source { reader, security, buffers, tls }, Sink { writer, security, buffers })
    }

    /// The receiving direction.
    pub fn source(&mut self) -> Source<'_> {
        self.split().0
    }

    /// The sending direction.
    pub fn sink(&mut self) -> Sink<'_> {
        self.split().1
    }

    /// The peer must not take what it has for the whole: no `close_notify`, and a reset.
    pub fn abort(&mut self) {
        self.aborted = true;
        self.reader.descriptor.reset_on_close();
    }

    /// May the peer still be sending, so that closing now would reset what it has not read yet?
    #[must_use]
    pub const fn lingers(&self) -> bool {
        !self.aborted && !self.reader.ended
    }

    /// Sends `close_notify` (nothing on plaintext) and ends our direction.
    pub async fn finish(&mut self, wait: Duration) {
        if self.aborted {
            return;
        }
        {
            let mut security = self.security.borrow_mut();
            let Security { session, pending } = &mut *security;
            session.close(pending);
        }
        // A peer that is gone does not care for our goodbye.
        let _ = self.sink().flush(wait).await;
        self.writer.descriptor.shut_write();
    }
}

/// The receiving direction of a stream.
pub struct Source<'a> {
    reader: &'a mut Reader,
    security: &'a RefCell<Security>,
    buffers: &'a Buffers,
    tls: bool,
}

/// The sending direction of a stream.
pub struct Sink<'a> {
    writer: &'a mut Writer,
    security: &'a RefCell<Security>,
    buffers: &'a Buffers,
}

impl Source<'_> {
    /// Reads until more plaintext is there; how much there is now.
    ///
    /// # Errors
    /// The connection is cut; [`Cut::Ended`] at its end.
    pub async fn read_plain(&mut self, wait: Wait) -> Result<usize, Cut> {
        self.reader.read_plain(self.security, self.buffers, wait).await
    }

    /// Forgets everything received and not consumed.
    pub fn discard(&mut self) {
        for slot in [&mut self.reader.cipher, &mut self.reader.plain] {
            self.buffers.settle(slot);
        }
    }

    /// One receive off the wire; how many bytes.
    ///
    /// # Errors
    /// The connection is cut; [`Cut::Ended`] at its end.
    pub async fn receive(&mut self, wait: Wait) -> Result<usize, Cut> {
        self.reader.receive(self.tls, self.buffers, wait).await
    }

    /// As [`Reader::next_piece`].
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub fn next_piece(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Result<Opened<()>, Cut> {
        self.reader.next_piece(self.security, self.buffers, take)
    }

    /// Plaintext that nobody has consumed yet.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        self.reader.plain.as_ref().map_or(&[], Buffer::filled)
    }

    /// So much of the plaintext is done with.
    pub fn consume(&mut self, count: usize) {
        if let Some(plain) = &mut self.reader.plain {
            plain.consume(count);
        }
    }

    /// Is there nothing that was received and not consumed, in any form?
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.reader.is_drained()
    }

    /// Uses a large buffer from here on: a body is flowing.
    pub fn enlarge(&mut self) {
        self.reader.enlarge(self.tls, self.buffers);
    }

    /// Is the end of this connection only an end if TLS says so?
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }
}

impl Sink<'_> {
    /// Is there anything to send?
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.writer.has_output()
    }

    /// Is there room for a full record and a chunk's framing?
    pub fn has_room(&mut self) -> bool {
        self.writer.has_room(self.buffers)
    }

    /// Appends `plain` as records; ask [`Sink::has_room`] before every 2^14 bytes.
    ///
    /// # Errors
    /// TLS cannot go on, or there was no room.
    pub fn stage(&mut self, plain: &[u8]) -> Result<(), Cut> {
        plain
            .chunks(PLAIN_BYTES_MAX)
            .try_for_each(|piece| self.writer.stage(piece, self.security, self.buffers))
    }

    /// Stages `bytes` of any length, sending whenever the buffer is full; the rest stays staged.
    ///
    /// # Errors
    /// The connection is cut.
    pub async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), Cut> {
        for piece in bytes.chunks(PLAIN_BYTES_MAX) {
            if !self.has_room() {
                self.writer.flush(wait).await?;
            }
            self.stage(piece)?;
        }
        Ok(())
    }

    /// Sends everything staged or pending.
    ///
    /// # Errors
    /// The connection is cut.
    pub async fn flush(&mut self, wait: Duration) -> Result<(), Cut> {
        self.writer.stage_pending(self.security, self.buffers)?;
        self.writer.flush(wait).await
    }

    /// Uses a large buffer from here on: a body is flowing.
    pub fn enlarge(&mut self) {
        self.writer.enlarge(self.buffers);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        for mut slot in
            [self.reader.cipher.take(), self.reader.plain.take(), self.writer.output.take()]
        {
            self.buffers.settle(&mut slot);
        }
    }
}

/// How long to wait, and what is shut when that was too long.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// How long.
    pub time: Duration,
    /// What is shut then.
    pub shut: Shut,
    /// Nothing is running yet: a small buffer will do.
    pub idle: bool,
}

impl Reader {
    /// Nothing received is left unconsumed.
    fn is_drained(&self) -> bool {
        let drained = |slot: &Option<Buffer>| slot.as_ref().is_none_or(Buffer::is_empty);
        drained(&self.plain) && drained(&self.cipher)
    }

    fn settle(&mut self, buffers: &Buffers) {
        for slot in [&mut self.cipher, &mut self.plain] {
            if slot.as_ref().is_some_and(Buffer::is_empty) {
                buffers.settle(slot);
            }
        }
    }

    /// Makes room in `slot` for at least `room` more bytes.
    fn make_room(slot: &mut Option<Buffer>, buffers: &Buffers, first: Size, room: usize) {
        let mut buffer = slot.take().unwrap_or_else(|| buffers.rent(first));
        if buffer.spare() < room {
            buffer.compact();
        }
        for size in [Size::Record, Size::Body] {
            if buffer.spare() < room {
                buffer = buffers.enlarge(buffer, size);
            }
        }
        *slot = Some(buffer);
    }

    /// One receive into the buffer that takes bytes off the wire.
    ///
    /// # Errors
    /// As [`Cut`] says.
    pub async fn receive(
        &mut self,
        tls: bool,
        buffers: &Buffers,
        wait: Wait,
    ) -> Result<usize, Cut> {
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        let first = if wait.idle { Size::Small } else { Size::Record };
        Self::make_room(slot, buffers, first, 1);
        self.arm(wait);
        let received = self.receive_armed(tls).await;
        self.timer.disarm();
        received
    }

    fn arm(&self, wait: Wait) {
        if wait.idle {
            self.timer.arm_idle(wait.time, self.descriptor, wait.shut);
        } else {
            self.timer.arm(wait.time, self.descriptor, wait.shut);
        }
    }

    /// One receive; the timer runs already and there is room.
    async fn receive_armed(&mut self, tls: bool) -> Result<usize, Cut> {
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        let Some(buffer) = slot.take() else { return Err(Cut::Ended) };
        if buffer.spare() == 0 {
            *slot = Some(buffer);
            return Err(Cut::Failed(io::ErrorKind::OutOfMemory));
        }
        let (result, buffer) = match &mut self.half {
            ReadHalf::Tcp(half) => half.read(buffer).await,
            ReadHalf::Unix(half) => half.read(buffer).await,
        };
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        *slot = Some(buffer);
        match result {
            Ok(0) if self.timer.fired() => Err(Cut::TimedOut),
            Ok(0) => {
                self.ended = true;
                Err(Cut::Ended)
            }
            Ok(count) => Ok(count),
            Err(_) if self.timer.fired() => Err(Cut::TimedOut),
            Err(error) => Err(Cut::Failed(error.kind())),
        }
    }

    /// The ciphertext buffer, for the handshake.
    pub fn cipher(&mut self, buffers: &Buffers) -> &mut Buffer {
        self.cipher.get_or_insert_with(|| buffers.rent(Size::Record))
    }

    /// Hands the next piece of plaintext (at most 2^14 bytes) to `take`, which says how much of it
    /// it consumed; the rest is kept.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub fn next_piece(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<Opened<()>, Cut> {
        if let Some(plain) = self.plain.as_mut().filter(|plain| !plain.is_empty()) {
            let filled = plain.filled();
            let piece = filled.get(..filled.len().min(PLAIN_BYTES_MAX)).unwrap_or_default();
            let used = take(piece);
            plain.consume(used);
            return Ok(Opened::Data(()));
        }
        if self.closed {
            return Ok(Opened::Closed);
        }
        let mut guard = security.borrow_mut();
        let Security { session, pending } = &mut *guard;
        let Some(cipher) = self.cipher.as_mut().filter(|_| session.is_tls()) else {
            return Ok(Opened::More);
        };
        let kept = &mut self.plain;
        let opened = session.open_next(cipher, pending, |payload| {
            let used = take(payload);
            if let Some(rest) = payload.get(used..).filter(|rest| !rest.is_empty()) {
                kept.get_or_insert_with(|| buffers.rent(Size::Record)).append(rest);
            }
        });
        self.note_closed(opened)
    }

    fn note_closed<R>(
        &mut self,
        opened: Result<Opened<R>, SessionError>,
    ) -> Result<Opened<R>, Cut> {
        match opened {
            Ok(Opened::Closed) => {
                self.closed = true;
                Ok(Opened::Closed)
            }
            Ok(opened) => Ok(opened),
            Err(error) => Err(Cut::Tls(error)),
        }
    }

    /// Reads until `plain` holds more than before; returns how much it holds.
    async fn read_plain(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
        wait: Wait,
    ) -> Result<usize, Cut> {
        let tls = security.borrow().session.is_tls();
        if !tls {
            self.receive(false, buffers, wait).await?;
            return Ok(self.plain.as_ref().map_or(0, Buffer::len));
        }
        // One timer for all of it: bytes that make no record, and records that hold nothing, must
        // not buy anybody time.
        self.arm(wait);
        let read = self.read_records(security, buffers, wait.idle).await;
        self.timer.disarm();
        read
    }

    async fn read_records(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
        idle: bool,
    ) -> Result<usize, Cut> {
        let before = self.plain.as_ref().map_or(0, Buffer::len);
        let first = if idle { Size::Small } else { Size::Record };
        loop {
            while self.open_into_plain(security, buffers)? {
                let now = self.plain.as_ref().map_or(0, Buffer::len);
                if now > before {
                    return Ok(now);
                }
            }
            if self.closed {
                return Err(Cut::Ended);
            }
            Self::make_room(&mut self.cipher, buffers, first, 1);
            self.receive_armed(true).await?;
        }
    }

    /// Opens one record behind what `plain` holds; `false` if no whole record is there.
    fn open_into_plain(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
    ) -> Result<bool, Cut> {
        let mut guard = security.borrow_mut();
        let Security { session, pending } = &mut *guard;
        let Some(cipher) = self.cipher.as_mut() else { return Ok(false) };
        let plain = &mut self.plain;
        let mut fits = true;
        let opened = session.open_next(cipher, pending, |payload| {
            Self::make_room(plain, buffers, Size::Record, payload.len());
            fits = plain.as_mut().is_some_and(|plain| plain.append(payload) == payload.len());
        });
        if !fits {
            // Heads are bounded far below a body buffer; only a caller's bug gets here.
            return Err(Cut::Failed(io::ErrorKind::OutOfMemory));
        }
        Ok(matches!(self.note_closed(opened)?, Opened::Data(())))
    }

    /// Uses large buffers from here on: a body is flowing.
    pub fn enlarge(&mut self, tls: bool, buffers: &Buffers) {
        let slot = if tls { &mut self.cipher } else { &mut self.plain };
        if let Some(buffer) = slot.take() {
            *slot = Some(buffers.enlarge(buffer, Size::Body));
        } else {
            *slot = Some(buffers.rent(Size::Body));
        }
    }
}

impl Writer {
    fn settle(&mut self, buffers: &Buffers) {
        if self.output.as_ref().is_some_and(Buffer::is_empty) {
            buffers.settle(&mut self.output);
        }
    }

    /// Is there anything to send?
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|output| !output.is_empty())
    }

    /// Is there room for a full record (and a chunk's framing)?
    pub fn has_room(&mut self, buffers: &Buffers) -> bool {
        let output = self.output.get_or_insert_with(|| buffers.rent(Size::Record));
        output.spare() >= PLAIN_BYTES_MAX + 3 * RECORD_OVERHEAD_MAX
    }

    /// Uses a large buffer from here on: a body is flowing.
    pub fn enlarge(&mut self, buffers: &Buffers) {
        let output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Body));
        self.output = Some(buffers.enlarge(output, Size::Body));
    }

    /// Appends `plain` (at most 2^14 bytes) as one record; ask [`Writer::has_room`] first.
    ///
    /// # Errors
    /// TLS cannot go on, or there was no room.
    pub fn stage(
        &mut self,
        plain: &[u8],
        security: &RefCell<Security>,
        buffers: &Buffers,
    ) -> Result<(), Cut> {
        let mut guard = security.borrow_mut();
        let Security { session, pending } = &mut *guard;
        let mut output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Record));
        let needed = plain.len() + RECORD_OVERHEAD_MAX + pending.len();
        if output.spare() < needed {
            output.compact();
        }
        if output.spare() < needed {
            output = buffers.enlarge(output, Size::Body);
        }
        let sealed = session.seal(plain, pending, &mut output);
        self.output = Some(output);
        sealed.map_err(Cut::Tls)
    }

    /// Appends what TLS has to say, with nothing of ours.
    fn stage_pending(
        &mut self,
        security: &RefCell<Security>,
        buffers: &Buffers,
    ) -> Result<(), Cut> {
        let mut guard = security.borrow_mut();
        if guard.pending.is_empty() {
            return Ok(());
        }
        let mut output = self.output.take().unwrap_or_else(|| buffers.rent(Size::Record));
        if output.spare() < guard.pending.len() {
            output = buffers.enlarge(output, Size::Body);
        }
        let moved = flush_pending(&mut guard.pending, &mut output);
        self.output = Some(output);
        moved.map_err(Cut::Tls)
    }

    /// Sends everything staged.
    ///
    /// # Errors
    /// The connection is cut.
    pub async fn flush(&mut self, wait: Duration) -> Result<(), Cut> {
        while self.has_output() {
            let Some(output) = self.output.take() else { return Ok(()) };
            self.timer.arm(wait, self.descriptor, Shut::Both);
            let (result, mut output) = match &mut self.half {
                WriteHalf::Tcp(half) => half.write(output).await,
                WriteHalf::Unix(half) => half.write(output).await,
            };
            self.timer.disarm();
            let sent = match result {
                Ok(sent) => sent,
                Err(error) => {
                    output.clear();
                    self.output = Some(output);
                    return Err(if self.timer.fired() {
                        Cut::TimedOut
                    } else {
                        Cut::Failed(error.kind())
                    });
                }
            };
            output.consume(sent);
            self.output = Some(output);
            if sent == 0 {
                return Err(Cut::Ended);
            }
        }
        Ok(())
    }
}
