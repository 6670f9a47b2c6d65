//! The PROXY protocol at the front of a client connection.
//!
//! In: a connection that was just accepted. Out: the client that it is carried for. Only senders that
//! the listener names may send a header at all, and nothing is guessed: without a whole and valid header
//! the connection is closed, without an answer that could tell anybody anything.

use std::net::SocketAddr;

use super::connection::Client;
use crate::plan::ListenerPlan;
use crate::plan::facts::ProxiedFacts;
use crate::report::Counter;
use crate::shell::state::log_limits::LogCause;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream_error::StreamError;
use crate::wire::proxy::{Ends, ProxyError, parse_header};

/// Why a connection is closed for its PROXY protocol header.
enum ProxyHeaderRefusal {
    /// Its peer may not send a header.
    Untrusted,
    /// What it sent is no header.
    Malformed(ProxyError),
    /// It sent none in time, or left.
    Missing(StreamError),
}

/// Reads the header, if the listener wants one, within its `handshake_timeout`; what comes after it stays
/// in the buffer. False if the connection is to be closed.
pub(crate) async fn receive(
    client: &mut Client,
    peer: SocketAddr,
    listener: &ListenerPlan,
) -> bool {
    match read(client, peer, listener).await {
        Ok(None) => true,
        Ok(Some(ends)) => {
            note_ends(client, &ends);
            true
        }
        Err(reason) => {
            refuse(client, &reason);
            false
        }
    }
}

async fn read(
    client: &mut Client,
    peer: SocketAddr,
    listener: &ListenerPlan,
) -> Result<Option<Ends>, ProxyHeaderRefusal> {
    let listen = &listener.listen;
    if listen.proxy_protocol.is_none() {
        return Ok(None);
    }
    let peer = peer.ip().to_canonical();
    if !listener.trusts_sender(peer) {
        return Err(ProxyHeaderRefusal::Untrusted);
    }
    client.sender = Some(peer);
    let core = &client.core;
    let started = core.clock.elapsed();
    let (reader, security) = (&mut client.stream.reader, &client.stream.security);
    loop {
        let spent = core.clock.elapsed().saturating_sub(started);
        let wait = Wait {
            time: listen.handshake_timeout.saturating_sub(spent),
            shut: Shut::Both,
            idle: true,
        };
        // Where TLS follows, what comes after the header has to lie where TLS looks for it.
        reader
            .receive(security, listen.tls, &core.buffers, wait)
            .await
            .map_err(ProxyHeaderRefusal::Missing)?;
        let slot =
            if listen.tls { Some(reader.cipher(&core.buffers)) } else { reader.plain.as_mut() };
        let Some(buffer) = slot else {
            return Err(ProxyHeaderRefusal::Missing(StreamError::Ended));
        };
        match parse_header(buffer.filled()) {
            Ok(Some(header)) => {
                buffer.consume(header.len);
                return Ok(header.ends);
            }
            Ok(None) => {}
            Err(error) => return Err(ProxyHeaderRefusal::Malformed(error)),
        }
    }
}

/// From here on the client is who the header said.
fn note_ends(client: &mut Client, ends: &Ends) {
    let facts = &mut client.facts;
    let ends = ends.canonical();
    let text = |end: &SocketAddr| (end.ip().to_string(), end.port().to_string());
    let (server_addr, server_port) = text(&ends.destination);
    let (addr, port) = text(&ends.source);
    facts.proxied = Some(Box::new(ProxiedFacts {
        server_addr,
        server_port,
        peer_addr: std::mem::replace(&mut facts.remote_addr, addr),
        peer_port: std::mem::replace(&mut facts.remote_port, port),
    }));
    client.ends = ends;
}

fn refuse(client: &Client, reason: &ProxyHeaderRefusal) {
    let core = &client.core;
    core.count(Counter::ProxyHeadersRefused);
    let reason = match reason {
        ProxyHeaderRefusal::Untrusted => "it is not in `proxy_protocol_trusted`",
        ProxyHeaderRefusal::Malformed(error) => error.text(),
        ProxyHeaderRefusal::Missing(StreamError::TimedOut) => "it sent no whole header in time",
        ProxyHeaderRefusal::Missing(_) => "it left within its header",
    };
    if let Some(suppressed) = core.allow_log(LogCause::ProxyHeader) {
        tracing::info!(
            peer = %client.facts.remote_addr,
            reason,
            suppressed,
            "a connection was closed for want of a PROXY protocol header"
        );
    }
}
