//! Both of rustls's unbuffered connections as one, and how much of a buffer they are shown.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{CommonState, ProtocolVersion};

use super::output::TlsOutput;
use crate::shell::transport::buffers::{Buffer, RECORD_BYTES_MAX};

/// Both of rustls's unbuffered connections, as one.
pub(super) trait UnbufferedConnection {
    /// What rustls knows of a connection on our side of it.
    type Data;
    /// Bytes of records that rustls may hold on to once the handshake is over.
    const HELD_BYTES_MAX: usize;
    /// What rustls knows of a connection on either side.
    fn common(&self) -> &CommonState;
    /// Shows it `input`, and takes one step.
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Is the protocol TLS 1.3, and everything that comes protected, but for what is always plain?
    fn reads_protected(&self) -> bool;

    /// Is the handshake not over yet?
    fn handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// Is there something encoded that nobody has taken yet?
    fn has_output(&self) -> bool {
        self.common().wants_write()
    }

    /// Is the protocol TLS 1.3?
    fn is_tls13(&self) -> bool {
        self.common().protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }
}

impl UnbufferedConnection for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    // Clients have hardly anything to send then.
    const HELD_BYTES_MAX: usize = RECORD_BYTES_MAX;

    fn common(&self) -> &CommonState {
        self
    }

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(input)
    }

    fn reads_protected(&self) -> bool {
        // The key exchange is complete when our ServerHello is made.
        self.is_tls13() && self.negotiated_key_exchange_group().is_some()
    }
}

impl UnbufferedConnection for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    // A ticket may be 2^16 bytes long.
    const HELD_BYTES_MAX: usize = 5 * RECORD_BYTES_MAX;

    fn common(&self) -> &CommonState {
        self
    }

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(input)
    }

    fn reads_protected(&self) -> bool {
        // What a server sends in plaintext after its ServerHello does not authenticate.
        self.is_tls13() && !self.handshaking()
    }
}

/// How much of a buffer rustls is shown.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// So many bytes.
    pub(super) shown: usize,
    /// So many of them are in whole records.
    pub(super) whole: usize,
    /// It is shown a record that it has not seen.
    pub(super) fresh: bool,
}

impl Window {
    /// What rustls holds already, and the next record; of that all there is, if it is not whole, because
    /// a header may be wrong by itself. Nothing new while rustls has something to say: it would say
    /// that first, and the record would not be looked at.
    pub(super) fn next(
        input: &Buffer,
        tls_output: &TlsOutput,
        connection: &impl UnbufferedConnection,
    ) -> Self {
        let held = tls_output.held;
        let filled = input.filled();
        if connection.has_output() {
            return Self { shown: held, whole: held, fresh: false };
        }
        let header = filled.get(held..).and_then(<[u8]>::first_chunk::<5>);
        let end = header
            .map(|[_, _, _, high, low]| held + 5 + usize::from(u16::from_be_bytes([*high, *low])));
        match end.filter(|end| *end <= filled.len()) {
            Some(end) => Self { shown: end, whole: end, fresh: true },
            None => Self { shown: filled.len(), whole: held, fresh: false },
        }
    }

    /// Only what rustls holds.
    pub(super) const fn old(tls_output: &TlsOutput) -> Self {
        Self { shown: tls_output.held, whole: tls_output.held, fresh: false }
    }

    pub(super) fn of<'b>(&self, input: &'b mut Buffer) -> &'b mut [u8] {
        input.filled_mut().get_mut(..self.shown).unwrap_or_default()
    }

    /// rustls is done with the first `discard` bytes.
    pub(super) fn discard(self, discard: usize, input: &mut Buffer, tls_output: &mut TlsOutput) {
        input.consume(discard);
        tls_output.held = self.whole.saturating_sub(discard);
    }
}

/// Appends a chunk that rustls wants sent.
pub(super) fn encode<Data>(chunk: &mut EncodeTlsData<'_, Data>, pending: &mut Vec<u8>) {
    let start = pending.len();
    match chunk.encode(&mut []) {
        Ok(_) | Err(EncodeError::AlreadyEncoded) => {}
        Err(EncodeError::InsufficientSize(needed)) => {
            pending.resize(start + needed.required_size, 0);
            let room = pending.get_mut(start..).unwrap_or_default();
            let written = chunk.encode(room).unwrap_or(0);
            pending.truncate(start + written);
        }
    }
}
