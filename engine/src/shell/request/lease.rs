//! Connections to upstream nodes: from the pool if one is fresh, else connected anew.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::NodeAddress;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;

use crate::exchange::pool::{Address, Identity, Idle, PoolKey, TlsIdentity};
use crate::identity::ALWAYS;
use crate::plan::{NodeIndex, NodePlan, UpstreamId, UpstreamPlan};
use crate::report::Counter;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::load_shedding;
use crate::shell::state::pooled_stream::PooledStream;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::handshake::{REFUSAL_TIME, drive};
use crate::shell::transport::net::{self, TcpStream, UnixStream};
use crate::shell::transport::record_reader::{self, Wait};
use crate::shell::transport::stream::Stream;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::{Session, SessionError};
use crate::tls::UpstreamTls;
use crate::tls::client::reason;
use crate::tls::peer::UpstreamPeer;

/// A connection for one request.
pub struct Lease {
    /// The connection. Boxed once: it goes from hand to hand with every request.
    pub stream: Box<Stream>,
    /// Whom it leads to; `None` on plain HTTP.
    pub peer: Option<Rc<UpstreamPeer>>,
    /// What it may be used for.
    pub key: PoolKey,
    /// Requests it has served before this one.
    pub requests: u32,
    /// It comes from the pool.
    pub reused: bool,
}

/// Which connection is wanted.
#[derive(Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// The upstream.
    pub upstream: UpstreamId,
    /// The node.
    pub node: NodeIndex,
    /// The name for SNI and for the check of the certificate; empty for none.
    pub server_name: &'a [u8],
    /// How long connecting may take, TLS included.
    pub timeout: Duration,
    /// None from the pool: one from there has just failed.
    pub fresh: bool,
    /// The PROXY protocol header it begins with; empty for none. It speaks of one client, so no such
    /// connection comes from the pool or goes there.
    pub proxy_header: &'a [u8],
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectError {
    /// The node's name has no address.
    NoAddress,
    /// We have no descriptor or memory left for a connection.
    NoRoom,
    /// TCP failed.
    Failed(io::ErrorKind),
    /// It took too long.
    TimedOut,
    /// TLS failed.
    Tls(SessionError),
}

/// Gets a connection for `wanted`.
///
/// # Errors
/// As [`ConnectError`] says.
pub async fn obtain(
    core: &Core,
    live: &LiveGeneration,
    wanted: LeaseRequest<'_>,
) -> Result<Lease, ConnectError> {
    let plan = live.generation.plan.upstream(wanted.upstream);
    let Some(node) = plan.nodes.get(wanted.node.0 as usize) else {
        return Err(ConnectError::NoAddress);
    };
    let tls = live.generation.tls.upstreams.get(wanted.upstream.0 as usize);
    let tls = tls.and_then(Option::as_ref);
    let address = match &node.address {
        NodeAddress::Unix(path) => Address::Unix(path),
        NodeAddress::Ip(_) | NodeAddress::Name { .. } => {
            Address::Ip(live.address(wanted.upstream, wanted.node).ok_or(ConnectError::NoAddress)?)
        }
    };
    let tls_identity =
        tls.map(|tls| TlsIdentity { name: wanted.server_name, settings: tls.pool_identity() });
    let identity = Identity { upstream: &plan.id, address, tls: tls_identity };
    let key = core.pool.borrow_mut().key(&identity);
    if !wanted.fresh
        && wanted.proxy_header.is_empty()
        && let Some(lease) = from_pool(core, key)
    {
        core.count(Counter::UpstreamReuses);
        return Ok(lease);
    }
    let stream = connect(core, address, tls, &wanted).await;
    match &stream {
        Ok(_) => core.count(Counter::UpstreamConnects),
        Err(error) => {
            core.count(Counter::UpstreamConnectFailed);
            let name = tls.map(|tls| name_of(tls, &wanted));
            log_failure(core, plan, node, name.as_ref(), error);
        }
    }
    stream.map(|(stream, peer)| Lease { stream, peer, key, requests: 0, reused: false })
}

/// The newest idle connection that is still open and silent.
fn from_pool(core: &Core, key: PoolKey) -> Option<Lease> {
    loop {
        let taken = core.pool.borrow_mut().take(key)?;
        if !taken.holds(core.clock.unix_seconds()) {
            core.count(Counter::UpstreamRevoked);
            continue;
        }
        let Idle { connection: PooledStream { mut stream, peer }, requests, .. } = taken;
        match stream.idle() {
            record_reader::IdleCheck::Silent => {
                return Some(Lease { stream, peer, key, requests, reused: true });
            }
            record_reader::IdleCheck::Unsolicited => core.count(Counter::UpstreamUnasked),
            record_reader::IdleCheck::Closed => {}
        }
    }
}

async fn connect(
    core: &Core,
    address: Address<'_>,
    tls: Option<&UpstreamTls>,
    wanted: &LeaseRequest<'_>,
) -> Result<(Box<Stream>, Option<Rc<UpstreamPeer>>), ConnectError> {
    let session = match tls {
        None => Session::Plain,
        Some(tls) => {
            let name = name_of(tls, wanted);
            let connection = UnbufferedClientConnection::new(Arc::clone(&tls.config), name)
                .map_err(|error| ConnectError::Tls(SessionError::Tls(Box::new(error))))?;
            Session::Client(Box::new(connection))
        }
    };
    let started = core.clock.elapsed();
    let failed = |error: io::Error| {
        if load_shedding::is_exhaustion(&error) {
            load_shedding::relieve(core, &error);
            return ConnectError::NoRoom;
        }
        ConnectError::Failed(error.kind())
    };
    // Dropping a connect that took too long closes its descriptor; nothing else is lost.
    let mut stream = match address {
        Address::Ip(address) => {
            let connected = net::timeout(wanted.timeout, TcpStream::connect_addr(address));
            let stream = connected.await.map_err(|_| ConnectError::TimedOut)?.map_err(failed)?;
            Stream::tcp(stream, session, &core.deadlines, &core.buffers).map_err(failed)?
        }
        Address::Unix(path) => {
            let connected = net::timeout(wanted.timeout, UnixStream::connect(path));
            let stream = connected.await.map_err(|_| ConnectError::TimedOut)?.map_err(failed)?;
            Stream::unix(stream, session, &core.deadlines, &core.buffers)
        }
    };
    preface(&mut stream, wanted.proxy_header)?;
    let mut peer = None;
    if tls.is_some() {
        let left = wanted.timeout.saturating_sub(core.clock.elapsed().saturating_sub(started));
        let wait = Wait { time: left, shut: Shut::Both, idle: false };
        drive(&core.clock, &core.buffers, &mut stream, wait, None).await.map_err(
            |cut| match cut {
                StreamError::TimedOut => ConnectError::TimedOut,
                StreamError::Tls(error) => ConnectError::Tls(error),
                StreamError::Ended => ConnectError::Tls(SessionError::Closed),
                StreamError::Failed(kind) => ConnectError::Failed(kind),
            },
        )?;
        // While rustls still knows whom it met.
        if let (Some(tls), Some(met)) = (tls, stream.session().peer()) {
            let (name, now) = (name_of(tls, wanted), core.clock.unix_seconds());
            if met.resumed {
                tls.check_again(met.chain, &name, now)
                    .map_err(|error| ConnectError::Tls(SessionError::Tls(Box::new(error))))?;
            }
            peer = Some(Rc::new(UpstreamPeer::met(tls, met, name, now)));
        }
        if let Err(error) = stream.begin(core.tls_fast_path) {
            let _ = stream.sink().flush(REFUSAL_TIME).await;
            return Err(ConnectError::Tls(error));
        }
    }
    Ok((Box::new(stream), peer))
}

/// What comes first on a new connection leaves with what comes next: the `ClientHello`, or the
/// request.
fn preface(stream: &mut Stream, proxy_header: &[u8]) -> Result<(), ConnectError> {
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

/// The name of a node that is sent to it and looked for in its certificate.
fn name_of(tls: &UpstreamTls, wanted: &LeaseRequest<'_>) -> ServerName<'static> {
    tls.server_name(std::str::from_utf8(wanted.server_name).unwrap_or_default())
}

/// The last look at a new connection, right before the first request is sent over it: has the upstream
/// said anything yet, or left? One from the pool has just been looked at. What overtakes this look is
/// told by what it acknowledges, when it is read.
pub fn check_new(stream: &mut Stream) -> record_reader::IdleCheck {
    let idle = stream.idle();
    stream.begin_asking();
    idle
}

/// Gives a connection to the pool, if it may be kept.
pub fn give_back(core: &Core, plan: &UpstreamPlan, lease: Lease) {
    let Lease { mut stream, peer, key, requests, .. } = lease;
    stream.settle();
    let now = core.clock.elapsed();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let holds = peer.as_ref().map_or(ALWAYS, |peer| peer.span());
    let idle = Idle { connection: PooledStream { stream, peer }, requests: requests + 1, holds };
    // What comes out is closed by being dropped.
    drop(core.pool.borrow_mut().put(key, idle, &plan.pool, now_ms));
}

/// One line per cause and second: an upstream that is down must not flood the log.
fn log_failure(
    core: &Core,
    plan: &UpstreamPlan,
    node: &NodePlan,
    name: Option<&ServerName<'_>>,
    error: &ConnectError,
) {
    if let Some(more) = core.allow_log(crate::shell::state::log_limits::LogCause::UpstreamConnect) {
        tracing::warn!(
            upstream = &*plan.id,
            node = &*node.text,
            name = name.map(|name| tracing::field::display(name.to_str())),
            reason = %describe(error),
            suppressed = more,
            "cannot connect to an upstream node"
        );
    }
}

/// For the log: what went wrong, in words an operator can act on.
fn describe(error: &ConnectError) -> String {
    match error {
        ConnectError::NoRoom => "no descriptor or memory is left".to_owned(),
        ConnectError::NoAddress => "its name has not been resolved".to_owned(),
        ConnectError::Failed(kind) => kind.to_string(),
        ConnectError::TimedOut => "it took too long".to_owned(),
        ConnectError::Tls(SessionError::Tls(error)) => format!("TLS: {}", reason(error)),
        ConnectError::Tls(SessionError::Record(fault)) => format!("TLS: {}", fault.text()),
        ConnectError::Tls(SessionError::Closed) => "TLS: it closed within the handshake".to_owned(),
        ConnectError::Tls(SessionError::Exhausted) => "TLS: no room".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::shell::transport::buffers::BufferPool;
    use crate::shell::transport::deadlines::Deadlines;

    #[test]
    fn who_speaks_before_being_asked_is_noticed() {
        let (ours, theirs) = UnixStream::pair();
        let buffers = Rc::new(BufferPool::default());
        let mut stream = Stream::unix(ours, Session::Plain, &Deadlines::default(), &buffers);
        assert_eq!(check_new(&mut stream), record_reader::IdleCheck::Silent);
        let (_reading, mut writing) = net::unix(theirs);
        writing.send_at_once(b"220 ready");
        assert_eq!(check_new(&mut stream), record_reader::IdleCheck::Unsolicited);
    }
}
