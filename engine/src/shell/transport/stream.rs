//! A connection as two halves over rented buffers, with a TLS session between them.
//!
//! The halves ([`RecordReader`], [`RecordWriter`]) are used side by side (a body goes up while a response
//! comes down) and share the session, which is never borrowed across an await. Every wait has a
//! deadline; a deadline that passes shuts the descriptor, so a pending operation always completes and no
//! buffer is lost.

pub(crate) mod listen;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::buffers::{Buffer, BufferPool, BufferSize, PLAIN_BYTES_MAX};
use super::deadlines::{Deadlines, TimerHandle};
use super::net::{self, Descriptor, ReadHalf, TcpStream, UnixStream, WriteHalf};
use super::record_reader::{IdleCheck, RecordReader, Wait};
use super::record_writer::RecordWriter;
use super::stream_error::StreamError;
use super::tls::reseal::{PayloadUse, ResealError};
use super::tls::{Opened, Security, Session, SessionError};
use super::work_budget::WorkBudget;

/// One connection, to a client or to an upstream.
pub(crate) struct Stream {
    /// The receiving half.
    pub(crate) reader: RecordReader,
    /// The sending half.
    writer: RecordWriter,
    /// What both halves share: the TLS session, or none.
    pub(crate) security: RefCell<Security>,
    buffers: Rc<BufferPool>,
    descriptor: Descriptor,
    aborted: bool,
}

impl Stream {
    /// Over TCP, with the options every connection of ours has.
    ///
    /// # Errors
    /// The kernel's; the connection is gone then.
    pub(crate) fn tcp(
        stream: TcpStream,
        session: Session,
        deadlines: &Deadlines,
        buffers: &Rc<BufferPool>,
    ) -> io::Result<Self> {
        let descriptor = Descriptor::of(&stream);
        descriptor.tcp_options()?;
        let (read, write) = net::tcp(stream);
        Ok(Self::new(read, write, descriptor, session, deadlines, buffers))
    }

    /// A connection that a listener accepted. It has the listener's options already.
    ///
    /// # Errors
    /// The kernel's; the connection is gone then.
    pub(crate) fn accepted(
        stream: TcpStream,
        deadlines: &Deadlines,
        buffers: &Rc<BufferPool>,
    ) -> io::Result<Self> {
        let descriptor = Descriptor::of(&stream);
        descriptor.close_on_exec()?;
        let (read, write) = net::tcp(stream);
        Ok(Self::new(read, write, descriptor, Session::Plain, deadlines, buffers))
    }

    /// Over a Unix socket.
    #[must_use]
    pub(crate) fn unix(
        stream: UnixStream,
        session: Session,
        deadlines: &Deadlines,
        buffers: &Rc<BufferPool>,
    ) -> Self {
        let descriptor = Descriptor::of(&stream);
        let (read, write) = net::unix(stream);
        Self::new(read, write, descriptor, session, deadlines, buffers)
    }

    fn new(
        read: ReadHalf,
        write: WriteHalf,
        descriptor: Descriptor,
        session: Session,
        deadlines: &Deadlines,
        buffers: &Rc<BufferPool>,
    ) -> Self {
        let reading = deadlines.timer();
        let writing = deadlines.companion(&reading);
        Self {
            reader: RecordReader::new(read, descriptor, reading),
            writer: RecordWriter::new(write, descriptor, writing),
            security: RefCell::new(Security::new(session)),
            buffers: Rc::clone(buffers),
            descriptor,
            aborted: false,
        }
    }

    /// What is sent next is the first request. Over TCP, a response that the peer sent before it had
    /// received any of it shows by what it acknowledges ([`StreamReader::is_unsolicited`]).
    pub(crate) fn mark_first_request(&mut self) {
        if self.reader.is_tcp() {
            self.security.get_mut().sent_bytes.mark_first_request();
        }
    }

    /// The handshake that we began is over: with `fast`, our own record layer takes over from rustls.
    /// Tickets that came with the last flight are processed.
    ///
    /// # Errors
    /// The peer sent data before our first request, or broke the protocol.
    pub(crate) fn finish_handshake(&mut self, fast: bool) -> Result<(), SessionError> {
        let Security { session, tls_output, .. } = self.security.get_mut();
        if fast {
            session.enable_fast_path(tls_output)?;
        }
        session.process_tickets(self.reader.cipher(&self.buffers), tls_output)
    }

    /// The handle by which others change the deadline of the receiving half.
    #[must_use]
    pub(crate) fn read_timer(&self) -> TimerHandle {
        self.reader.timer_handle()
    }

    /// The handle by which others change the deadline of the sending half.
    #[must_use]
    pub(crate) fn write_timer(&self) -> TimerHandle {
        self.writer.timer_handle()
    }

    /// Its descriptor, for as long as the stream lives.
    #[must_use]
    pub(crate) const fn descriptor(&self) -> Descriptor {
        self.descriptor
    }

    /// As [`RecordReader::check_idle`]; a connection that is over gets `close_notify`.
    pub(crate) fn check_idle(&mut self) -> IdleCheck {
        let idle = self.reader.check_idle(&self.security, &self.buffers);
        self.close_if_over(idle)
    }

    /// As [`RecordReader::check_leftover`]; a connection that is over gets `close_notify`.
    pub(crate) fn check_leftover(&mut self) -> IdleCheck {
        let idle = self.reader.check_leftover(&self.security, &self.buffers);
        self.close_if_over(idle)
    }

    fn close_if_over(&mut self, idle: IdleCheck) -> IdleCheck {
        if idle == IdleCheck::Closed {
            let security = self.security.get_mut();
            security.session.queue_close_notify(&mut security.tls_output);
            security.send_pending(self.descriptor);
        }
        idle
    }

    /// Its TLS session.
    pub(crate) fn session(&mut self) -> &Session {
        &self.security.get_mut().session
    }

    /// Gives every empty buffer back: the connection is idle now.
    pub(crate) fn release_memory(&mut self) {
        self.reader.release_memory(&self.buffers);
        self.writer.release_memory(&self.buffers);
        self.security.borrow_mut().tls_output.release_memory();
    }

    /// Its two directions, to be used side by side.
    pub(crate) fn split(&mut self) -> (StreamReader<'_>, StreamWriter<'_>) {
        let Self { reader, writer, security, buffers, .. } = self;
        // Shared from here on: both directions have them.
        let security: &RefCell<Security> = security;
        let buffers: &BufferPool = buffers;
        let tls = security.borrow().session.is_tls();
        (
            StreamReader { reader, security, buffers, tls },
            StreamWriter { writer, security, buffers },
        )
    }

    /// The receiving direction.
    pub(crate) fn source(&mut self) -> StreamReader<'_> {
        self.split().0
    }

    /// The sending direction.
    pub(crate) fn sink(&mut self) -> StreamWriter<'_> {
        self.split().1
    }

    /// Tells, now and later, whether the peer has left; one that has only ended its own direction has not, if
    /// `spares_half_close`.
    pub(crate) fn leaving(&self, spares_half_close: bool) -> impl Fn() -> bool + use<> {
        let peer = self.descriptor;
        move || if spares_half_close { peer.is_over() } else { peer.has_left() }
    }

    /// Resets the connection without `close_notify`: the peer must not take what it has received for a
    /// whole message.
    pub(crate) fn abort(&mut self) {
        // An alert says so too, and a reset would overtake it.
        if self.security.get_mut().tls_output.has_failed() {
            return;
        }
        self.aborted = true;
        self.descriptor.reset();
    }

    /// Was it reset?
    #[must_use]
    pub(crate) const fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// As [`StreamWriter::finish`], if nothing of it has to wait for room: false if something has.
    pub(crate) fn finish_now(&mut self) -> bool {
        let security = self.security.get_mut();
        security.session.queue_close_notify(&mut security.tls_output);
        if self.writer.has_output() {
            return false;
        }
        security.send_pending(self.descriptor);
        let done = security.tls_output.pending.is_empty();
        if done {
            self.writer.end();
        }
        done
    }

    /// Sends `close_notify` (nothing on plaintext) and ends our direction.
    pub(crate) async fn finish(&mut self, wait: Duration) {
        if self.aborted {
            return;
        }
        {
            let mut security = self.security.borrow_mut();
            let Security { session, tls_output, .. } = &mut *security;
            session.queue_close_notify(tls_output);
        }
        // A peer that is gone does not care for our goodbye.
        let _ = self.sink().flush(wait).await;
        self.descriptor.shut_write();
    }
}

/// The receiving direction of a stream.
pub(crate) struct StreamReader<'a> {
    reader: &'a mut RecordReader,
    security: &'a RefCell<Security>,
    buffers: &'a BufferPool,
    tls: bool,
}

/// The sending direction of a stream.
pub(crate) struct StreamWriter<'a> {
    writer: &'a mut RecordWriter,
    security: &'a RefCell<Security>,
    buffers: &'a BufferPool,
}

impl StreamReader<'_> {
    /// Reads until more plaintext is there; how much there is now.
    ///
    /// # Errors
    /// The connection is cut; [`StreamError::Ended`] at its end.
    pub(crate) async fn read_plain(&mut self, wait: Wait) -> Result<usize, StreamError> {
        self.reader.read_plain(self.security, self.buffers, wait).await
    }

    /// Was what has arrived sent before the peer had received any of our first request? Asked once in the
    /// life of a connection.
    #[must_use]
    pub(crate) fn is_unsolicited(&self) -> bool {
        self.security.borrow_mut().sent_bytes.precedes_first_request(self.reader.descriptor())
    }

    /// Did the peer break the protocol, and has the alert that says so not left?
    #[must_use]
    pub(crate) fn has_alert_waiting(&self) -> bool {
        let security = self.security.borrow();
        security.tls_output.has_failed() && !security.tls_output.pending.is_empty()
    }

    /// As [`RecordReader::drop_next`].
    ///
    /// # Errors
    /// The connection is cut; [`StreamError::Ended`] at its end.
    pub(crate) async fn drop_next(&mut self, wait: Wait) -> Result<usize, StreamError> {
        self.reader.drop_next(self.buffers, wait).await
    }

    /// One receive off the wire; how many bytes.
    ///
    /// # Errors
    /// The connection is cut; [`StreamError::Ended`] at its end.
    pub(crate) async fn receive(&mut self, wait: Wait) -> Result<usize, StreamError> {
        if self.tls {
            self.reader.send_pending(self.security);
        }
        self.reader.receive(self.security, self.tls, self.buffers, wait).await
    }

    /// As [`RecordReader::await_unless`].
    ///
    /// # Errors
    /// [`StreamError::TimedOut`].
    pub(crate) async fn await_unless(
        &mut self,
        wait: Wait,
        is_over: impl Fn() -> bool,
    ) -> Result<bool, StreamError> {
        if self.tls {
            self.reader.send_pending(self.security);
        }
        self.reader.await_unless(self.security, self.tls, self.buffers, wait, is_over).await
    }

    /// As [`RecordReader::next_piece`].
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub(crate) fn next_piece(
        &mut self,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Result<Opened<()>, StreamError> {
        self.reader.next_piece(self.security, self.buffers, take)
    }

    /// As [`RecordReader::reseal`]; `None` if `sink` has output that was not sent yet.
    pub(crate) fn reseal(
        &mut self,
        sink: &mut StreamWriter<'_>,
        take: impl FnMut(&[u8]) -> PayloadUse,
    ) -> Option<Result<Opened<()>, ResealError>> {
        if sink.has_output() {
            return None;
        }
        let output = &mut sink.writer.output;
        let done = self.reader.reseal(self.security, sink.security, output, self.buffers, take);
        sink.writer.note_staged(sink.security);
        done
    }

    /// The work that its peer may still cause before other tasks have their turn.
    pub(crate) const fn work_budget(&mut self) -> &mut WorkBudget {
        &mut self.reader.budget
    }

    /// Plaintext that nobody has consumed yet.
    #[must_use]
    pub(crate) fn plain(&self) -> &[u8] {
        self.reader.plain.as_ref().map_or(&[], Buffer::filled)
    }

    /// The first `count` bytes of the plaintext are done with.
    pub(crate) fn consume(&mut self, count: usize) {
        if let Some(plain) = &mut self.reader.plain {
            plain.consume(count);
        }
    }

    /// The handle by which others change its deadline.
    #[must_use]
    pub(crate) fn timer_handle(&self) -> TimerHandle {
        self.reader.timer_handle()
    }

    /// As [`RecordReader::size_next_receive`].
    pub(crate) const fn size_next_receive(&mut self, room: usize) {
        self.reader.size_next_receive(room);
    }

    /// As [`RecordReader::received_size`].
    #[must_use]
    pub(crate) fn received_size(&self) -> BufferSize {
        self.reader.received_size()
    }

    /// Holds no more memory than waiting needs; with `small`, that is a small buffer.
    pub(crate) fn rest(&mut self, small: bool) {
        self.reader.rest(self.tls, self.buffers, small);
        self.security.borrow_mut().tls_output.release_memory();
    }

    /// Is it a TLS connection, whose end counts only if `close_notify` came before it?
    #[must_use]
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }
}

impl StreamWriter<'_> {
    /// Is there anything to send?
    #[must_use]
    pub(crate) fn has_output(&self) -> bool {
        self.writer.has_output()
    }

    /// Is there room for a full record and a chunk's framing?
    pub(crate) fn has_room(&mut self) -> bool {
        self.writer.has_room(self.buffers)
    }

    /// Appends `plain` as records; ask [`StreamWriter::has_room`] before every 2^14 bytes.
    ///
    /// # Errors
    /// TLS cannot go on, or there was no room.
    pub(crate) fn stage(&mut self, plain: &[u8]) -> Result<(), StreamError> {
        plain
            .chunks(PLAIN_BYTES_MAX)
            .try_for_each(|piece| self.writer.stage(piece, self.security, self.buffers))
    }

    /// Stages `bytes` of any length, sending whenever the buffer is full; the rest stays staged.
    ///
    /// # Errors
    /// The connection is cut.
    pub(crate) async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), StreamError> {
        for piece in bytes.chunks(PLAIN_BYTES_MAX) {
            if !self.has_room() {
                self.flush(wait).await?;
            }
            self.stage(piece)?;
        }
        Ok(())
    }

    /// Sends everything staged or pending.
    ///
    /// # Errors
    /// The connection is cut.
    pub(crate) async fn flush(&mut self, wait: Duration) -> Result<(), StreamError> {
        self.writer.flush(self.security, self.buffers, wait).await
    }

    /// As [`RecordWriter::hold_beside`].
    pub(crate) const fn hold_beside(&mut self, bytes: usize) {
        self.writer.hold_beside(bytes);
    }

    /// As [`RecordWriter::fit`].
    pub(crate) fn fit(&mut self, size: BufferSize) {
        self.writer.fit(self.buffers, size);
    }

    /// As [`RecordWriter::room`].
    #[must_use]
    pub(crate) fn room(&self) -> usize {
        self.writer.room()
    }
}

impl StreamWriter<'_> {
    /// Gives an empty buffer back.
    pub(crate) fn rest(&mut self) {
        self.writer.release_memory(self.buffers);
    }

    /// Ends our direction: `close_notify` (nothing on plaintext), then the end of the TCP stream.
    ///
    /// # Errors
    /// The connection is cut.
    pub(crate) async fn finish(&mut self, wait: Duration) -> Result<(), StreamError> {
        {
            let mut security = self.security.borrow_mut();
            let Security { session, tls_output, .. } = &mut *security;
            session.queue_close_notify(tls_output);
        }
        self.flush(wait).await?;
        self.writer.end();
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.discard(&self.buffers);
        self.writer.discard(&self.buffers);
    }
}
