//! A connection for one request: from the pool if one is fresh there, else connected anew.
//!
//! In: a node, and the name that it is to prove. Out: a [`Lease`], which goes back to the pool if its
//! exchange has left it usable, and is closed by being dropped.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::{KeepalivePool, NodeAddress};

use super::connect::{self, ConnectTarget, TlsTarget, connect};
use super::connect_error::ConnectError;
use crate::exchange::keep_alive;
use crate::exchange::pool::{Address, Identity, Idle, PoolKey, TlsIdentity};
use crate::identity::TimeRange;
use crate::plan::{NodeId, NodeIndex, UpstreamId, UpstreamPlan};
use crate::report::{NodeCounter, NodeMeters};
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::node_connections::OpenNodeConnection;
use crate::shell::state::place_queue::QueuePlace;
use crate::shell::state::upstream_connection::{PooledConnection, UpstreamConnection};
use crate::shell::transport::record_reader;
use crate::shell::transport::stream::Stream;
use crate::tls::peer::UpstreamPeer;

/// A connection for one request.
pub(crate) struct Lease {
    /// The connection. Boxed once: it is passed on with every request.
    pub(crate) stream: Box<Stream>,
    /// The server that it was made to; `None` on plain HTTP.
    pub(crate) peer: Option<Rc<UpstreamPeer>>,
    /// The node that it leads to.
    pub(crate) node: NodeIndex,
    /// Where it leads, by TCP.
    pub(crate) address: Option<SocketAddr>,
    /// What it may be used for.
    pub(crate) key: PoolKey,
    /// Requests it has served before this one.
    pub(crate) requests: u32,
    /// The most that the node takes over it, as far as it has said so.
    pub(crate) requests_max: u32,
    /// When it was opened, in microseconds of the core's clock.
    opened_us: u64,
    /// Counts it.
    open: OpenNodeConnection,
    /// When its idle time would have been over, in milliseconds of the core's clock; 0 for a new one.
    idle_until_ms: u64,
    /// It comes from the pool.
    pub(crate) reused: bool,
}

/// Why there is no connection for a request.
#[derive(Debug)]
pub(crate) enum LeaseError {
    /// The node has as many connections as it takes, or others have waited for one longer. Nothing was done.
    NodeFull,
    /// It could not be opened.
    Connect(ConnectError),
}

impl From<ConnectError> for LeaseError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

/// Which connection is wanted.
#[derive(Clone, Copy)]
pub(crate) struct LeaseRequest<'a> {
    /// The upstream.
    pub(crate) upstream: UpstreamId,
    /// The node.
    pub(crate) node: NodeIndex,
    /// The name for SNI and for the check of the certificate; empty for none.
    pub(crate) server_name: &'a [u8],
    /// How long connecting may take, TLS included.
    pub(crate) timeout: Duration,
    /// Not from the pool: one from there has just failed, or may be ending.
    pub(crate) fresh: bool,
    /// The PROXY protocol header it begins with; empty for none. It speaks of one client, so no such
    /// connection comes from the pool or goes there.
    pub(crate) proxy_header: &'a [u8],
    /// Of an upstream with limits: the request's place in the queue, which it leaves as soon as there is a
    /// connection, or a place for one.
    pub(crate) waiting: Option<&'a Cell<Option<QueuePlace>>>,
    /// It waits for nobody: it has had its turn before.
    pub(crate) goes_first: bool,
}

/// Gets a connection for `wanted`.
///
/// # Errors
/// As [`LeaseError`] says.
pub(crate) async fn obtain(
    core: &Core,
    live: &LiveGeneration,
    wanted: LeaseRequest<'_>,
) -> Result<Lease, LeaseError> {
    let id = NodeId { upstream: wanted.upstream, node: wanted.node };
    let plan = live.generation.plan.upstream(wanted.upstream);
    let Some(node) = plan.nodes.get(wanted.node.0 as usize) else {
        return Err(ConnectError::NoAddress.into());
    };
    let tls = live.generation.tls.upstreams.get(wanted.upstream.0 as usize);
    let tls = tls.and_then(Option::as_ref);
    let Some(address) = address_of(core, live, id, &node.address) else {
        connect::log_failure(core, live, id, None, &ConnectError::NoAddress);
        return Err(ConnectError::NoAddress.into());
    };
    let tls_identity =
        tls.map(|tls| TlsIdentity { name: wanted.server_name, settings: tls.pool_identity() });
    let identity = Identity { upstream: &plan.id, address, tls: tls_identity };
    let meters = live.meters.node(id);
    let key = core.pool.borrow_mut().key(&identity);
    if !wanted.fresh
        && wanted.proxy_header.is_empty()
        && let Some(lease) = from_pool(core, meters, wanted.node, key, address)
    {
        meters.count(NodeCounter::Reuses);
        leave_queue(core, meters, &wanted);
        return Ok(lease);
    }
    let Some(open) = take_place(core, live, id, &wanted) else { return Err(LeaseError::NodeFull) };
    leave_queue(core, meters, &wanted);
    let tls = tls.map(|tls| TlsTarget::new(tls, wanted.server_name));
    let order = match address {
        Address::Ip(first) => {
            live.address_order(id.upstream, id.node, first, core.clock.elapsed_ms())
        }
        Address::Unix(_) => Vec::new(),
    };
    let target = ConnectTarget { address, order: &order };
    match connect(core, live, &target, tls.as_ref(), wanted.timeout, wanted.proxy_header).await {
        Ok((UpstreamConnection { stream, peer }, connected)) => {
            meters.count(NodeCounter::Connects);
            let key = if connected == address {
                key
            } else {
                core.pool.borrow_mut().key(&Identity { address: connected, ..identity })
            };
            Ok(Lease {
                stream,
                peer,
                node: wanted.node,
                address: tcp_address(connected),
                key,
                requests: 0,
                requests_max: u32::MAX,
                opened_us: u64::try_from(core.clock.elapsed().as_micros()).unwrap_or(u64::MAX),
                open,
                idle_until_ms: 0,
                reused: false,
            })
        }
        Err(error) => {
            meters.count(NodeCounter::ConnectFailures);
            let server_name = tls.as_ref().map(|tls| &tls.server_name);
            connect::log_failure(core, live, id, server_name, &error);
            Err(error.into())
        }
    }
}

/// A place for another connection, if the node has one and nobody has waited for it much longer. For one, an idle
/// connection of this core that does not fit is closed.
fn take_place(
    core: &Core,
    live: &LiveGeneration,
    node: NodeId,
    wanted: &LeaseRequest<'_>,
) -> Option<OpenNodeConnection> {
    if let Some(queue) = live.queue(node.upstream)
        && !wanted.goes_first
        && !queue.is_empty_everywhere()
    {
        let place = wanted.waiting.and_then(Cell::take);
        let since = place.as_ref().map(|place| place.since().shared_ms);
        wanted.waiting.inspect(|waiting| waiting.set(place));
        let since = since.unwrap_or_else(|| live.node_states.now_ms(core.clock.instant()));
        if !queue.is_turn_of(since) {
            return None;
        }
    }
    let taken = live.take_place(node);
    if taken.is_none() && core.close_idle(live, node, 1) > 0 {
        return live.take_place(node);
    }
    taken
}

/// There is a connection for it: a request that has waited leaves the queue.
fn leave_queue(core: &Core, meters: &NodeMeters, wanted: &LeaseRequest<'_>) {
    if let Some(place) = wanted.waiting.and_then(Cell::take) {
        meters.queued(core.clock.elapsed().saturating_sub(place.since().at));
    }
}

/// Where a node is: of several addresses the one whose turn it is. `None` if its name leads nowhere.
fn address_of<'a>(
    core: &Core,
    live: &LiveGeneration,
    id: NodeId,
    address: &'a NodeAddress,
) -> Option<Address<'a>> {
    match address {
        NodeAddress::Unix(path) => Some(Address::Unix(path)),
        NodeAddress::Ip(address) => Some(Address::Ip(*address)),
        NodeAddress::Name { .. } | NodeAddress::Srv { .. } => {
            let address = live.address(id.upstream, id.node, || core.clock.elapsed_ms())?;
            live.end_turn(id.upstream, id.node);
            Some(Address::Ip(address))
        }
    }
}

/// The newest idle connection that is still open and silent, and whose time is not over.
fn from_pool(
    core: &Core,
    meters: &NodeMeters,
    node: NodeIndex,
    key: PoolKey,
    address: Address<'_>,
) -> Option<Lease> {
    let now_ms = core.clock.elapsed_ms();
    loop {
        let taken = core.pool.borrow_mut().take(key, now_ms)?;
        if !taken.holds(core.clock.unix_seconds()) {
            meters.count(NodeCounter::Revoked);
            continue;
        }
        let Idle { connection, requests, requests_max, opened_us, until_ms, .. } = taken;
        let PooledConnection { connection, mut open } = connection;
        let UpstreamConnection { mut stream, peer } = connection;
        match stream.check_idle() {
            record_reader::IdleCheck::Silent => {
                let idle_until_ms = until_ms;
                open.set_idle(false);
                return Some(Lease {
                    stream,
                    peer,
                    node,
                    address: tcp_address(address),
                    key,
                    requests,
                    requests_max,
                    opened_us,
                    open,
                    idle_until_ms,
                    reused: true,
                });
            }
            record_reader::IdleCheck::Unsolicited => meters.count(NodeCounter::Unasked),
            record_reader::IdleCheck::Closed => {}
        }
    }
}

/// The last check of a new connection, right before the first request is sent over it: has the upstream
/// said anything yet, or left? One from the pool has just been checked. What arrives after this check is
/// recognised by what it acknowledges, when it is read.
pub(crate) fn check_new(stream: &mut Stream) -> record_reader::IdleCheck {
    let idle = stream.check_idle();
    stream.mark_first_request();
    idle
}

const fn tcp_address(address: Address<'_>) -> Option<SocketAddr> {
    match address {
        Address::Ip(address) => Some(address),
        Address::Unix(_) => None,
    }
}

/// Gives a connection to the pool, if it may be kept within `limits`.
pub(crate) fn give_back(core: &Core, limits: KeepalivePool, lease: Lease) {
    let Lease { mut stream, peer, key, requests, requests_max, opened_us, mut open, .. } = lease;
    stream.release_memory();
    let now = core.clock.elapsed();
    let draw = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let limits =
        KeepalivePool { idle_timeout: keep_alive::spread(limits.idle_timeout, draw), ..limits };
    let holds = peer.as_ref().map_or(TimeRange::ALWAYS, |peer| peer.holds());
    open.set_idle(true);
    let queue = open.queue();
    if let Some(queue) = &queue
        && !queue.is_empty_everywhere()
        && queue.is_wanted_elsewhere()
        && open.is_one_of_all()
    {
        // Closed first, and then its place is given back.
        return drop(stream);
    }
    let connection = PooledConnection { connection: UpstreamConnection { stream, peer }, open };
    let idle = Idle { connection, requests, requests_max, opened_us, holds, until_ms: 0 };
    // What comes out is closed by being dropped.
    drop(core.pool.borrow_mut().put(key, idle, &limits, core.clock.elapsed_ms()));
    if let Some(queue) = queue {
        queue.call_first();
    }
}

/// Gives a connection back over which nothing was sent: its idle time goes on.
pub(crate) fn give_back_unused(core: &Core, plan: &UpstreamPlan, lease: Lease) {
    let mut limits = plan.pool;
    if lease.reused {
        let left = lease.idle_until_ms.saturating_sub(core.clock.elapsed_ms());
        limits.idle_timeout = limits.idle_timeout.min(Duration::from_millis(left));
    }
    give_back(core, limits, lease);
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::shell::transport::buffers::BufferPool;
    use crate::shell::transport::deadlines::Deadlines;
    use crate::shell::transport::net::{self, UnixStream};
    use crate::shell::transport::tls::Session;

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
