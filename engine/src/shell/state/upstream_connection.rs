//! A connection to an upstream node, as it is made and as it waits in the core's pool.

use std::rc::Rc;

use crate::shell::transport::stream::Stream;
use crate::tls::peer::UpstreamPeer;

/// A connection to an upstream node.
pub(crate) struct UpstreamConnection {
    /// The connection.
    pub(crate) stream: Box<Stream>,
    /// The server that it was made to; `None` on plain HTTP.
    pub(crate) peer: Option<Rc<UpstreamPeer>>,
}
