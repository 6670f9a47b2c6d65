//! A connection to an upstream node, as it is made and as it waits in the core's pool.

use std::rc::Rc;

use super::node_connections::OpenNodeConnection;
use crate::shell::transport::stream::Stream;
use crate::tls::peer::UpstreamPeer;

/// A connection to an upstream node, as it was made.
pub(crate) struct UpstreamConnection {
    /// The connection.
    pub(crate) stream: Box<Stream>,
    /// The server that it was made to; `None` on plain HTTP.
    pub(crate) peer: Option<Rc<UpstreamPeer>>,
}

/// A connection as it waits in the core's pool.
pub(crate) struct PooledConnection {
    /// The connection.
    pub(crate) connection: UpstreamConnection,
    /// Counts it.
    pub(crate) open: OpenNodeConnection,
}
