//! Whose word on a client's address is taken, compiled.

use core::net::IpAddr;

use ferrule_config::model::{RealIp, RealIpSource};

use super::address_set::AddressSet;

/// `http.real_ip`.
#[derive(Clone, Debug)]
pub struct RealIpPlan {
    /// In which part of a request the address stands.
    pub source: RealIpSource,
    /// Are trusted addresses at the end of a list passed over?
    pub recursive: bool,
    trusted: AddressSet,
}

/// The address of a client, as a proxy told it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToldAddress {
    /// The address; an IPv4 address in IPv6 spelling is that IPv4 address.
    pub ip: IpAddr,
    /// The port, where that was told.
    pub port: Option<u16>,
}

impl RealIpPlan {
    pub(super) fn build(real_ip: &RealIp) -> Self {
        Self {
            source: real_ip.source.clone(),
            recursive: real_ip.recursive,
            trusted: AddressSet::of(&real_ip.trusted),
        }
    }

    /// Is the word of this peer taken?
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.contains(peer)
    }
}
