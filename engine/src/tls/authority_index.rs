//! Every client authority of a configuration once, and which of them each server object trusts.
//!
//! In: the policies of the server objects. Out: one entry for all that have one subject and serial number,
//! so that counts by authority do not grow with the number of server names.

use std::collections::HashMap;
use std::sync::Arc;

use super::server::ServerTls;
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::explain;
use crate::identity::x509::raw_certificate::RawCertificate;

/// What tells an authority from others.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AuthorityName {
    /// Its subject, as in RFC 2253.
    pub subject: Arc<str>,
    /// Its serial number in hexadecimal.
    pub serial: Arc<str>,
}

/// Every client authority once.
#[derive(Debug, Default)]
pub struct AuthorityIndex {
    /// Each of them, in the order of the configuration.
    pub names: Vec<AuthorityName>,
    /// By server object, by place among its anchors: which of `names` it is. Server objects that trust the
    /// same share a list.
    pub of_server: Vec<Arc<[u32]>>,
}

impl AuthorityIndex {
    /// The authorities of these server objects.
    pub(super) fn of(servers: &[ServerTls]) -> Self {
        let mut index = Self::default();
        let mut places: HashMap<AuthorityName, u32> = HashMap::new();
        let mut known: HashMap<*const ClientPolicy, Arc<[u32]>> = HashMap::new();
        for server in servers {
            let list = server.policy.as_ref().map_or_else(Arc::default, |policy| {
                let list = known.entry(Arc::as_ptr(policy)).or_insert_with(|| {
                    let ders = policy.anchors().ders().iter();
                    ders.map(|der| index.place(&mut places, AuthorityName::of(der))).collect()
                });
                Arc::clone(list)
            });
            index.of_server.push(list);
        }
        index
    }

    fn place(&mut self, places: &mut HashMap<AuthorityName, u32>, name: AuthorityName) -> u32 {
        *places.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

impl AuthorityName {
    fn of(der: &[u8]) -> Self {
        let outline = RawCertificate::read(der);
        Self {
            subject: outline.map_or_else(String::new, |read| explain::text(read.subject)).into(),
            serial: outline.map_or_else(String::new, |read| explain::serial(read.serial)).into(),
        }
    }
}
