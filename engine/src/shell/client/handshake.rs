//! From an accepted connection to a client that may send requests.
//!
//! In: a socket. Out: a [`Client`] with its PROXY header, TLS session and identity, entered into the
//! registry; or nothing, and whoever was refused has been told. The `ClientHello` is read from our own buffer to choose the settings; rustls then parses the very
//! same bytes for itself, and a server name that it reads differently ends the handshake.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use super::address_limit;
use super::audit;
use super::binding::{ServerBinding, identify};
use super::closing;
use super::connection::Client;
use super::handshake_error::HandshakeError;
use super::proxy_header;
use super::registry::{ConnectionEntry, ConnectionRegistry};
use super::route_identity::RouteIdentities;
use crate::identity::Verdict;
use crate::plan::facts::ConnectionFacts;
use crate::plan::{ForwardedFields, ListenerId, ServerId};
use crate::report::Counter;
use crate::setup::connection_counts::CountedConnection;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::{self, Noted};
use crate::shell::transport::net::TcpStream;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::Stream;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Security;
use crate::shell::transport::tls::{Session, SessionError};
use crate::tls::HandshakeNotes;
use crate::tls::facts;
use crate::tls::hello::{self, Hello, HelloError, HelloReader, UnusableName};
use crate::tls::transcript::Hidden;
use crate::wire::proxy::Ends;

/// Bytes of a server name that is none that a log line gets: no name is longer.
const NAME_BYTES_LOGGED: usize = 255;

/// Makes a client of an accepted connection; `None` if it came to nothing (and was told why).
pub async fn open(
    core: &Rc<Core>,
    registry: &ConnectionRegistry,
    stream: TcpStream,
    peer: SocketAddr,
    counted: CountedConnection,
    listener: ListenerId,
) -> Option<Client> {
    let live = core.live();
    let local = stream.local_addr().ok()?;
    let listen = &live.generation.plan.listener(listener).listen;
    let (tls, timeout) = (listen.tls, listen.handshake_timeout);
    let mut client = Client {
        core: Rc::clone(core),
        stream: Stream::accepted(stream, &core.deadlines, &core.buffers).ok()?,
        live,
        listener,
        facts: ConnectionFacts {
            remote_addr: peer.ip().to_canonical().to_string(),
            remote_port: peer.port().to_string(),
            server_addr: local.ip().to_canonical().to_string(),
            server_port: local.port().to_string(),
            tls,
            serial: core.next_serial(),
            requests: 0,
            proxied: None,
        },
        ends: Ends { source: peer, destination: local },
        session: None,
        server: None,
        identity: None,
        identity_block: Vec::new(),
        log_parts: None,
        forwarded: ForwardedFields::default(),
        route_identities: RouteIdentities::default(),
        registration: None,
        counted,
    };
    let started = core.clock.elapsed();
    if !proxy_header::receive(&mut client, peer, timeout).await {
        return None;
    }
    let source = client.ends.source.ip();
    if !address_limit::enter(core, &mut client.counted, source) {
        return None;
    }
    if tls {
        let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let secured = secure(&mut client, registry, left).await;
        if let Err(failure) = secured {
            closing::refuse(&mut client, &failure).await;
            return None;
        }
    } else {
        client.render_identity();
    }
    Some(client)
}

async fn secure(
    client: &mut Client,
    registry: &ConnectionRegistry,
    timeout: Duration,
) -> Result<(), HandshakeError> {
    let core = Rc::clone(&client.core);
    let started = core.clock.elapsed();
    let First { mut hello, fits_tls13, unusable } = read_hello(client, timeout).await?;
    let name = hello.sni.as_deref();
    let chosen = client.live.server(client.listener, name);
    let Some((server, config)) = chosen else {
        return Err(HandshakeError::UnknownName(unusable.map(|(name, _)| name).or(hello.sni)));
    };
    if !fits_tls13 && speaks_tls13(client, server) {
        return Err(HandshakeError::Hello(HelloError::MissingExtension));
    }
    let hidden = unusable.map(|(name, hidden)| {
        audit::unusable_name(client, &name);
        hidden
    });
    let connection = UnbufferedServerConnection::new(config).map_err(|error| {
        let error = StreamError::Tls(SessionError::Tls(Box::new(error)));
        HandshakeError::Handshake(hello.sni.clone(), error)
    })?;
    client.server = Some(server);
    client.stream.security.borrow_mut().session = Session::Server(Box::new(connection));
    let mut notes = HandshakeNotes::new(name).hiding(hidden);
    let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
    let wait = Wait { time: left, shut: Shut::Both, idle: false };
    let noted = Noted { notes: &mut notes, now: core.clock.unix_seconds() };
    if let Err(cut) =
        handshake::drive(&core.clock, &core.buffers, &mut client.stream, wait, Some(noted)).await
    {
        let name = hello.sni;
        return Err(match notes.client_failure() {
            Some(reason) => HandshakeError::Certificate(name, reason, notes.take_refused()),
            None if notes.name_differs() => HandshakeError::NameDiffers(name),
            None => match (notes.client_forbidden(), notes.bad_second_hello()) {
                (Some(forbidden), _) => {
                    HandshakeError::Forbidden(name, forbidden, notes.take_refused())
                }
                (None, Some(error)) => HandshakeError::Hello(error),
                (None, None) => HandshakeError::Handshake(name, cut),
            },
        });
    }
    take_identity(client, server);
    let mut resumed = false;
    if let Session::Server(connection) = &client.stream.security.borrow().session {
        resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        client.session = Some(facts::session(connection, &mut hello, &notes));
    }
    if core.tls_fast_path {
        let Security { session, tls_output, .. } = client.stream.security.get_mut();
        let taken = session.enable_fast_path(tls_output);
        taken.map_err(|error| HandshakeError::Handshake(hello.sni, StreamError::Tls(error)))?;
    }
    client.render_identity();
    register(client, registry);
    core.count(if resumed { Counter::HandshakesResumed } else { Counter::HandshakesFull });
    audit::admitted(client, server, resumed);
    Ok(())
}

/// What a client says first.
struct First {
    hello: Hello,
    /// It has what TLS 1.3 needs, or does not offer that.
    fits_tls13: bool,
    /// Its server name is none: that name, printable, and what rustls is not shown of it.
    unusable: Option<(String, Hidden)>,
}

/// Reads until the whole hello is there; it stays in the buffer for rustls.
async fn read_hello(client: &mut Client, timeout: Duration) -> Result<First, HandshakeError> {
    let core = Rc::clone(&client.core);
    let started = core.clock.elapsed();
    let mut hello = HelloReader::default();
    let reader = &mut client.stream.reader;
    // A connection that has said nothing yet gets little memory to say it in.
    let mut idle = true;
    loop {
        // A PROXY protocol header may have brought it along.
        if !reader.is_drained() {
            let cipher = reader.cipher(&core.buffers);
            match hello.read(cipher.filled()) {
                Ok(Some(read)) => {
                    let fits_tls13 = hello.fits_tls13();
                    return Ok(First { hello: read, fits_tls13, unusable: None });
                }
                Ok(None) => {}
                Err(error) => {
                    let hidden = hello.unusable_name().ok_or(HandshakeError::Hello(error))?;
                    return without_name(&hidden, cipher.filled_mut(), hello.fits_tls13());
                }
            }
        }
        let left = timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let wait = Wait { time: left, shut: Shut::Both, idle };
        let received = reader.receive(true, &core.buffers, wait).await;
        received.map_err(|cut| HandshakeError::Handshake(None, cut))?;
        idle = false;
    }
}

/// A name that is none is an unknown name: what is left is read again, as rustls will read it.
fn without_name(
    name: &UnusableName,
    records: &mut [u8],
    fits_tls13: bool,
) -> Result<First, HandshakeError> {
    let hidden = Hidden::new(name, records);
    let hello = hello::read(records).map_err(HandshakeError::Hello)?;
    let hello = hello.ok_or(HandshakeError::Hello(HelloError::BadServerName))?;
    let kept = name.bytes.get(..NAME_BYTES_LOGGED).unwrap_or(&name.bytes);
    let unusable = Some((kept.escape_ascii().to_string(), hidden));
    Ok(First { hello, fits_tls13, unusable })
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
    let Some(identity) = client.identity.as_ref().filter(|one| one.verdict != Verdict::None) else {
        return;
    };
    let entry = ConnectionEntry {
        live: Rc::clone(&client.live),
        binding: ServerBinding { listener: client.listener, server: client.server },
        server_name: client.server_name().into(),
        protocol: client.session.as_ref().map_or("", |session| session.protocol),
        identity: Rc::clone(identity),
        wait: client.stream.read_timer(),
        descriptor: client.stream.descriptor(),
    };
    client.registration = Some(registry.enter(entry));
}
