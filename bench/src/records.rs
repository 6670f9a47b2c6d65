//! One record from one end of a connection to the other: sealed, opened. Ours beside rustls, with the
//! same keys' length and the same bytes.

use std::sync::Arc;

use ferrule_engine::tls::record::{KEY_UPDATE_BYTES, OVERHEAD_BYTES, RecordContent, RecordLayer};
use ferrule_tools::{pki::Authority, tls};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

/// Room for one full record and a key update.
const WIRE_BYTES: usize = (1 << 14) + OVERHEAD_BYTES + KEY_UPDATE_BYTES;

/// Both ends of a TLS 1.3 connection in rustls's hands.
pub struct Theirs {
    client: UnbufferedClientConnection,
    server: UnbufferedServerConnection,
    wire: Vec<u8>,
}

/// Both ends in ours.
pub struct Ours {
    client: RecordLayer,
    server: RecordLayer,
    wire: Vec<u8>,
}

/// Takes what this end wants sent, as far as `input` brings it.
macro_rules! step {
    ($connection:expr, $input:expr, $out:expr) => {
        loop {
            let UnbufferedStatus { discard, state } = $connection.process_tls_records($input);
            let blocked = match state.expect("a good peer") {
                ConnectionState::EncodeTlsData(mut chunk) => {
                    let start = $out.len();
                    if let Err(EncodeError::InsufficientSize(needed)) = chunk.encode(&mut []) {
                        $out.resize(start + needed.required_size, 0);
                        chunk.encode(&mut $out[start..]).expect("room");
                    }
                    false
                }
                ConnectionState::TransmitTlsData(sent) => {
                    sent.done();
                    false
                }
                _ => true,
            };
            $input.drain(..discard);
            if blocked {
                break;
            }
        }
    };
}

impl Theirs {
    /// Ends that have shaken hands.
    #[must_use]
    pub fn new() -> Self {
        let mut server = (*tls::server(&Authority::new("a").server(&["a.test"]), None)).clone();
        server.enable_secret_extraction = true;
        server.send_tls13_tickets = 0;
        let mut client = tls::client(None, &[&rustls::version::TLS13]);
        client.enable_secret_extraction = true;
        let name = ServerName::try_from("a.test").expect("a name");
        let client = UnbufferedClientConnection::new(Arc::new(client), name);
        let mut client = client.expect("good settings");
        let server = UnbufferedServerConnection::new(Arc::new(server));
        let mut server = server.expect("good settings");
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while client.is_handshaking() || server.is_handshaking() {
            step!(client, &mut down, up);
            step!(server, &mut up, down);
        }
        Self { client, server, wire: vec![0; WIRE_BYTES] }
    }

    /// One record; how many bytes of it came out at the other end.
    #[must_use]
    pub fn round(&mut self, plain: &[u8]) -> usize {
        let UnbufferedStatus { state, .. } = self.client.process_tls_records(&mut []);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else { return 0 };
        let sealed = traffic.encrypt(plain, &mut self.wire).expect("room");
        let mut opened = 0;
        let UnbufferedStatus { state, .. } =
            self.server.process_tls_records(&mut self.wire[..sealed]);
        if let Ok(ConnectionState::ReadTraffic(mut traffic)) = state {
            while let Some(Ok(record)) = traffic.next_record() {
                opened += record.payload.len();
            }
        }
        opened
    }
}

impl Default for Theirs {
    fn default() -> Self {
        Self::new()
    }
}

impl Ours {
    /// Ends that rustls has shaken hands for.
    #[must_use]
    pub fn new() -> Self {
        let Theirs { client, server, wire } = Theirs::new();
        let client = RecordLayer::of_client(client).expect("secrets");
        let server = RecordLayer::of_server(server).expect("secrets");
        Self { client, server, wire }
    }

    /// One record; how many bytes of it came out at the other end.
    #[must_use]
    pub fn round(&mut self, plain: &[u8]) -> usize {
        let sealed = self.client.seal(plain, &mut self.wire).expect("room");
        let mut start = 0;
        while start < sealed {
            let step = self.server.open(&mut self.wire[start..sealed]).expect("a good record");
            if let RecordContent::Data(place) = step.content {
                return place.len();
            }
            start += step.consumed;
        }
        0
    }
}

impl Default for Ours {
    fn default() -> Self {
        Self::new()
    }
}
