//! An upstream connection that waits in the core's pool for its next request.

use std::rc::Rc;

use crate::shell::transport::stream::Stream;
use crate::tls::peer::UpstreamPeer;

/// A connection in the pool.
pub struct PooledStream {
    /// The connection.
    pub stream: Box<Stream>,
    /// The server that it was made to; `None` on plain HTTP.
    pub peer: Option<Rc<UpstreamPeer>>,
}
