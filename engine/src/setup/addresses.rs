//! Where the nodes of the upstreams are right now.
//!
//! In: the configuration and what names resolved to. Out: socket addresses by upstream and node index.
//! A node with an address has it at once; a node with a name has the last good answer, or none yet; a
//! Unix socket has none (its path is in the configuration).

use std::net::{IpAddr, SocketAddr};

use ferrule_config::model::{Config, NodeAddress};

/// Resolved addresses of one generation's nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addresses {
    /// The generation whose indices these are. A core ignores addresses of another one.
    pub generation: u64,
    upstreams: Vec<Vec<Vec<SocketAddr>>>,
}

impl Addresses {
    /// Fills in every node. `lookup` answers for a name (lower case); `None` means not known yet.
    #[must_use]
    pub fn build<'a>(
        generation: u64,
        config: &Config,
        lookup: &dyn Fn(&str) -> Option<&'a [IpAddr]>,
    ) -> Self {
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| {
                upstream.nodes.iter().map(|node| node_addresses(&node.address, lookup)).collect()
            })
            .collect();
        Self { generation, upstreams }
    }

    /// Addresses of one node, in the resolver's order; empty if it has none (yet).
    #[must_use]
    pub fn get(&self, upstream: usize, node: usize) -> &[SocketAddr] {
        self.upstreams
            .get(upstream)
            .and_then(|nodes| nodes.get(node))
            .map_or(&[], |addresses| addresses.as_slice())
    }
}

fn node_addresses<'a>(
    address: &NodeAddress,
    lookup: &dyn Fn(&str) -> Option<&'a [IpAddr]>,
) -> Vec<SocketAddr> {
    match address {
        NodeAddress::Ip(address) => vec![*address],
        NodeAddress::Name { host, port } => {
            lookup(host).unwrap_or_default().iter().map(|ip| SocketAddr::new(*ip, *port)).collect()
        }
        NodeAddress::Unix(_) => Vec::new(),
    }
}
