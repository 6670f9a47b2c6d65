//! What a name is looked up as.

use ferrule_config::model::NodeAddress;

/// A name that is looked up.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LookUpKey {
    /// It is looked up as a service, which has ports of its own.
    pub service: bool,
    /// The name, lower case.
    pub name: String,
}

impl LookUpKey {
    /// What is looked up for a node; `None` if it has no name.
    #[must_use]
    pub fn of(address: &NodeAddress) -> Option<Self> {
        let service = matches!(address, NodeAddress::Srv { .. });
        Some(Self { service, name: address.name()?.clone() })
    }
}
