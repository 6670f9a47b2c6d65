//! From an accepted connection to a client that may send requests.
//!
//! In: a socket. Out: a [`Client`] with its PROXY header, TLS session and identity, entered into the
//! registry; or nothing, and the client has been told why. The `ClientHello` is read from our own buffer
//! to choose the settings; rustls then parses the very same bytes for itself, and a server name that it
//! reads differently ends the handshake.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use super::accepted::AcceptedBy;
use super::address_limit;
use super::audit;
use super::binding::{ServerBinding, identify};
use super::closing;
use super::connection::Client;
use super::first_flight::{FirstFlight, read_hello};
use super::handshake_error::{HandshakeCause, HandshakeError};
use super::proxy_header;
use super::registry::{ConnectionEntry, ConnectionRegistry};
use crate::identity::Verdict;
use crate::plan::{ListenerId, ServerId};
use crate::report::Counter;
use crate::setup::connection_counts::CountedConnection;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::{self, TimedNotes};
use crate::shell::transport::net::TcpStream;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::{Security, Session, SessionError};
use crate::tls::handshake::hello::{Hello, HelloError};
use crate::tls::{HandshakeNotes, session_facts};

/// Makes a client of an accepted connection; `None` if it came to nothing (and was told why).
pub(crate) async fn open(
    core: &Rc<Core>,
    registry: &ConnectionRegistry,
    stream: TcpStream,
    peer: SocketAddr,
    counted: CountedConnection,
    by: AcceptedBy,
) -> Option<Client> {
    let mut client = Client::accepted(core, stream, peer, counted, &by)?;
    let listen = &by.plan().listen;
    let (tls, timeout) = (listen.tls, listen.handshake_timeout);
    let started = core.clock.elapsed();
    if !proxy_header::receive(&mut client, peer, by.plan()).await {
        return None;
    }
    client.card.set_address(client.ends.source);
    let source = client.ends.source.ip();
    if !address_limit::enter(core, &mut client.counted, source) {
        return None;
    }
    if tls {
        let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let secured = secure(&mut client, registry, by.listener, left).await;
        if let Err(error) = secured {
            closing::refuse(&mut client, &error).await;
            return None;
        }
    } else {
        client.render_identity();
    }
    Some(client)
}

/// Drives the client's TLS handshake, by the settings for the server name that it asks for.
async fn secure(
    client: &mut Client,
    registry: &ConnectionRegistry,
    listener: ListenerId,
    timeout: Duration,
) -> Result<(), HandshakeError> {
    let core = Rc::clone(&client.core);
    let started = core.clock.elapsed();
    let FirstFlight { hello, fits_tls13, unusable } = read_hello(client, timeout).await?;
    let chosen = client.live.server(listener, hello.sni.as_deref());
    let Some((server, config)) = chosen else {
        let name = unusable.map(|unusable| unusable.printable).or(hello.sni);
        return Err(HandshakeCause::UnknownName.for_name(name));
    };
    if !fits_tls13 && speaks_tls13(client, server) {
        return Err(HandshakeCause::Hello(HelloError::MissingExtension).for_name(None));
    }
    let hidden = unusable.map(|unusable| {
        audit::log_unusable_name(client, &unusable.printable);
        unusable.hidden
    });
    let connection = UnbufferedServerConnection::new(config).map_err(|error| {
        let cut = StreamError::Tls(SessionError::Tls(Box::new(error)));
        HandshakeCause::Stream(cut).for_name(hello.sni.clone())
    })?;
    client.server = Some(server);
    client.stream.security.borrow_mut().session = Session::Server(Box::new(connection));
    let mut notes = HandshakeNotes::new(hello.sni.as_deref()).hiding(hidden);
    let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
    let wait = Wait { time: left, shut: Shut::Both, idle: false };
    let noted = TimedNotes { notes: &mut notes, now: core.clock.unix_seconds() };
    let driven =
        handshake::drive(&core.clock, &core.buffers, &mut client.stream, wait, Some(noted)).await;
    if let Err(cut) = driven {
        return Err(failed(cut, &mut notes, hello.sni));
    }
    admit(client, registry, server, hello, &notes)
}

/// Why the handshake failed: the notes may know it better than the connection's end does.
fn failed(
    cut: StreamError,
    notes: &mut HandshakeNotes,
    server_name: Option<String>,
) -> HandshakeError {
    if let Some(failure) = notes.client_failure() {
        let chain = notes.take_refused();
        return HandshakeCause::Certificate { failure, chain }.for_name(server_name);
    }
    if notes.name_differs() {
        return HandshakeCause::NameDiffers.for_name(server_name);
    }
    if let Some(forbidden) = notes.client_forbidden() {
        let chain = notes.take_refused();
        return HandshakeCause::Forbidden { forbidden, chain }.for_name(server_name);
    }
    match notes.bad_second_hello() {
        Some(error) => HandshakeCause::Hello(error).for_name(None),
        None => HandshakeCause::Stream(cut).for_name(server_name),
    }
}

/// The handshake has succeeded: makes the client ready for requests.
fn admit(
    client: &mut Client,
    registry: &ConnectionRegistry,
    server: ServerId,
    mut hello: Hello,
    notes: &HandshakeNotes,
) -> Result<(), HandshakeError> {
    take_identity(client, server);
    let mut resumed = false;
    if let Session::Server(connection) = &client.stream.security.borrow().session {
        resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        client.session = Some(session_facts::session(connection, &mut hello, notes));
    }
    if client.core.tls_fast_path {
        let Security { session, tls_output, .. } = client.stream.security.get_mut();
        let taken = session.enable_fast_path(tls_output);
        taken
            .map_err(|error| HandshakeCause::Stream(StreamError::Tls(error)).for_name(hello.sni))?;
    }
    client.render_identity();
    let protocol = client.session.as_ref().map_or("", |session| session.protocol);
    client.card.set_session(protocol, client.server_name(), client.identity.as_ref());
    register(client, registry);
    client.core.count(if resumed { Counter::HandshakesResumed } else { Counter::HandshakesFull });
    audit::record_handshake(client, server, resumed);
    Ok(())
}

fn speaks_tls13(client: &Client, server: ServerId) -> bool {
    let server = client.live.generation.config.servers.get(server.0 as usize);
    server.is_some_and(|server| server.protocols.tls13)
}

/// Judges the certificate the session holds; the verifier does not run when a session is resumed.
fn take_identity(client: &mut Client, server: ServerId) {
    let security = client.stream.security.borrow();
    let Session::Server(connection) = &security.session else { return };
    let chain: Vec<&[u8]> =
        connection.peer_certificates().unwrap_or_default().iter().map(AsRef::as_ref).collect();
    let now = client.core.clock.unix_seconds();
    client.identity = Some(identify(&client.live, server, &chain, now));
}

/// Enters a client with a certificate into the registry.
fn register(client: &mut Client, registry: &ConnectionRegistry) {
    let Some(identity) =
        client.identity.as_ref().filter(|identity| identity.verdict != Verdict::None)
    else {
        return;
    };
    let entry = ConnectionEntry {
        live: Rc::clone(&client.live),
        binding: ServerBinding { listener: client.listener, server: client.server },
        server_name: client.server_name().into(),
        protocol: client.session.as_ref().map_or("", |session| session.protocol),
        sender: client.sender,
        identity: Rc::clone(identity),
        wait: client.stream.read_timer(),
        descriptor: client.stream.descriptor(),
    };
    client.registration = Some(registry.enter(entry));
}
