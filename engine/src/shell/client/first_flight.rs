//! The first flight of a TLS client, read before rustls sees it.
//!
//! In: a connection that has said nothing yet. Out: its `ClientHello`, which stays in the buffer for
//! rustls. A server name that is no host name counts as an unknown one, and is hidden from rustls, which
//! would end the handshake.

use std::rc::Rc;
use std::time::Duration;

use super::connection::Client;
use super::handshake_error::{HandshakeCause, HandshakeError};
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::record_reader::Wait;
use crate::tls::handshake::hello::{self, Hello, HelloError, HelloReader, UnusableName};
use crate::tls::handshake::hidden_name::HiddenServerName;

/// Bytes of an unusable server name that a log line gets: no host name is longer.
const NAME_BYTES_LOGGED: usize = 255;

/// What a client says first.
pub(super) struct FirstFlight {
    pub(super) hello: Hello,
    /// It has what TLS 1.3 needs, or does not offer that.
    pub(super) fits_tls13: bool,
    /// Its server name, if that is no host name.
    pub(super) unusable: Option<UnusableSni>,
}

/// A server name that is no host name.
pub(super) struct UnusableSni {
    /// The name with everything escaped that is not printable, and cut to the length of a name.
    pub(super) printable: String,
    /// What is not shown to rustls of it.
    pub(super) hidden: HiddenServerName,
}

/// Reads until the whole hello is there; it stays in the buffer for rustls.
pub(super) async fn read_hello(
    client: &mut Client,
    timeout: Duration,
) -> Result<FirstFlight, HandshakeError> {
    let core = Rc::clone(&client.core);
    let started = core.clock.elapsed();
    let mut hello = HelloReader::default();
    let (reader, security) = (&mut client.stream.reader, &client.stream.security);
    // A connection that has said nothing yet gets little memory to say it in.
    let mut idle = true;
    loop {
        // A PROXY protocol header may have brought it along.
        if !reader.is_drained() {
            let cipher = reader.cipher(&core.buffers);
            match hello.read(cipher.filled()) {
                Ok(Some(read)) => {
                    let fits_tls13 = hello.fits_tls13();
                    return Ok(FirstFlight { hello: read, fits_tls13, unusable: None });
                }
                Ok(None) => {}
                Err(error) => {
                    let hidden =
                        hello.unusable_name().ok_or(HandshakeCause::Hello(error).for_name(None))?;
                    return without_name(&hidden, cipher.filled_mut(), hello.fits_tls13());
                }
            }
        }
        let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let wait = Wait { time: left, shut: Shut::Both, idle };
        let received = reader.receive(security, true, &core.buffers, wait).await;
        received.map_err(|cut| HandshakeCause::Stream(cut).for_name(None))?;
        idle = false;
    }
}

/// A name that is none is an unknown name: what is left is read again, as rustls will read it.
fn without_name(
    name: &UnusableName,
    records: &mut [u8],
    fits_tls13: bool,
) -> Result<FirstFlight, HandshakeError> {
    let hidden = HiddenServerName::new(name, records);
    let hello =
        hello::read(records).map_err(|error| HandshakeCause::Hello(error).for_name(None))?;
    let hello = hello.ok_or(HandshakeCause::Hello(HelloError::BadServerName).for_name(None))?;
    let kept = name.bytes.get(..NAME_BYTES_LOGGED).unwrap_or(&name.bytes);
    let unusable = Some(UnusableSni { printable: kept.escape_ascii().to_string(), hidden });
    Ok(FirstFlight { hello, fits_tls13, unusable })
}
