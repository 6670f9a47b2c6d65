//! A new connection to an upstream node, TLS included.
//!
//! In: an address, and the TLS settings and server name where it speaks TLS. Out: a connection that a
//! request may be sent over, to a server that has proved its name; or a [`ConnectError`].

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;

use super::connect_error::{ConnectError, describe, failure as failure_of};
use super::failure::{self, FailureReason};
use super::race::race;
use crate::exchange::pool::Address;
use crate::plan::NodeId;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::upstream_connection::UpstreamConnection;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::{REFUSAL_TIME, drive};
use crate::shell::transport::net::{self, TcpStream, UnixStream};
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::Stream;
use crate::shell::transport::tls::Session;
use crate::tls::UpstreamTls;
use crate::tls::peer::UpstreamPeer;

/// How a node is spoken to over TLS.
pub(super) struct TlsTarget<'a> {
    settings: &'a UpstreamTls,
    /// The name that is sent to the node and looked for in its certificate.
    pub(super) server_name: ServerName<'static>,
}

impl<'a> TlsTarget<'a> {
    pub(super) fn new(settings: &'a UpstreamTls, server_name: &[u8]) -> Self {
        let server_name = std::str::from_utf8(server_name).unwrap_or_default();
        Self { settings, server_name: settings.server_name(server_name) }
    }
}

/// Where a connection is to lead.
pub(super) struct ConnectTarget<'a> {
    /// Whose turn it is.
    pub(super) address: Address<'a>,
    /// The addresses of a node with several, this one first; else empty.
    pub(super) order: &'a [SocketAddr],
}

/// Connects within `timeout`, and says to which address; `proxy_header` is what the connection begins with.
///
/// # Errors
/// As [`ConnectError`] says.
pub(super) async fn connect<'a>(
    core: &Core,
    live: &LiveGeneration,
    target: &ConnectTarget<'a>,
    tls: Option<&TlsTarget<'_>>,
    timeout: Duration,
    proxy_header: &[u8],
) -> Result<(UpstreamConnection, Address<'a>), ConnectError> {
    let session = match tls {
        None => Session::Plain,
        Some(TlsTarget { settings, server_name }) => {
            let config = Arc::clone(&settings.config);
            let connection = UnbufferedClientConnection::new(config, server_name.clone())?;
            Session::Client(Box::new(connection))
        }
    };
    let started = core.clock.elapsed();
    let (mut stream, address) = open(core, live, target, session, timeout).await?;
    begin_with(&mut stream, proxy_header)?;
    let mut peer = None;
    if let Some(tls) = tls {
        let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let secured = secure(core, &mut stream, tls, left).await;
        if let (Err(_), Address::Ip(address), false) = (&secured, address, target.order.is_empty())
        {
            live.note_fault(address, core.clock.elapsed_ms());
        }
        peer = secured?;
    }
    Ok((UpstreamConnection { stream: Box::new(stream), peer }, address))
}

/// Opens a socket. One that took too long is dropped, which closes its descriptor; nothing else is lost.
async fn open<'a>(
    core: &Core,
    live: &LiveGeneration,
    target: &ConnectTarget<'a>,
    session: Session,
    timeout: Duration,
) -> Result<(Stream, Address<'a>), ConnectError> {
    let failed = |error| failure_of(core, &error);
    let (stream, address) = match target.address {
        Address::Unix(path) => {
            let connected = net::timeout(timeout, UnixStream::connect(path));
            let stream = connected.await.map_err(|_| ConnectError::TimedOut)?.map_err(failed)?;
            let stream = Stream::unix(stream, session, &core.deadlines, &core.buffers);
            return Ok((stream, target.address));
        }
        Address::Ip(address) if target.order.is_empty() => {
            let connected = net::timeout(timeout, TcpStream::connect_addr(address));
            (connected.await.map_err(|_| ConnectError::TimedOut)?.map_err(failed)?, address)
        }
        Address::Ip(_) => {
            let winner = race(core, live, target.order, timeout).await?;
            (winner.stream, winner.address)
        }
    };
    let stream = Stream::tcp(stream, session, &core.deadlines, &core.buffers).map_err(failed)?;
    Ok((stream, Address::Ip(address)))
}

/// Drives the handshake; the server that it has met.
async fn secure(
    core: &Core,
    stream: &mut Stream,
    tls: &TlsTarget<'_>,
    timeout: Duration,
) -> Result<Option<Rc<UpstreamPeer>>, ConnectError> {
    let TlsTarget { settings, server_name } = tls;
    let wait = Wait { time: timeout, shut: Shut::Both, idle: false };
    drive(&core.clock, &core.buffers, stream, wait, None).await?;
    let mut peer = None;
    // While rustls still has the server's certificate.
    if let Some(met) = stream.session().peer() {
        let now = core.clock.unix_seconds();
        if met.resumed {
            settings.check_again(met.chain, server_name, now)?;
        }
        peer = Some(Rc::new(UpstreamPeer::new(settings, met, server_name.clone(), now)));
    }
    if let Err(error) = stream.finish_handshake(core.tls_fast_path) {
        let _ = stream.sink().flush(REFUSAL_TIME).await;
        return Err(ConnectError::Tls(error));
    }
    Ok(peer)
}

/// What comes first on a new connection leaves with what comes next: the `ClientHello`, or the
/// request.
fn begin_with(stream: &mut Stream, proxy_header: &[u8]) -> Result<(), ConnectError> {
    if proxy_header.is_empty() {
        return Ok(());
    }
    if stream.source().is_tls() {
        stream.security.borrow_mut().tls_output.pending.extend_from_slice(proxy_header);
        return Ok(());
    }
    let staged = stream.sink().stage(proxy_header);
    staged.map_err(|_| ConnectError::Failed(io::ErrorKind::OutOfMemory))
}

/// Logs that there is no connection, if that is news; `name` as sent to the node.
pub(super) fn log_failure(
    core: &Core,
    live: &LiveGeneration,
    node: NodeId,
    name: Option<&ServerName<'_>>,
    error: &ConnectError,
) {
    // Nothing that the node could do about it; the shortage has a line of its own.
    if *error == ConnectError::NoRoom {
        return;
    }
    let name = name.map(|name| name.to_str());
    let reason = FailureReason { text: &describe(error), name: name.as_deref(), limit: None };
    failure::log_failure(core, live, node, reason);
}
