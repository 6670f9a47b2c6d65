//! TLS 1.2 sessions by id, for clients that take no tickets.
//!
//! In: the sessions that rustls stores. Out: the same, sealed like tickets, by policy: an id that is shown
//! under another policy, or too late, leads to nothing but a full handshake. TLS 1.3 never looks here.

use std::sync::Arc;

use rustls::server::{ProducesTickets, StoresServerSessions};

use super::tickets::{PolicyTicketer, TicketKeys};

/// The sessions of one policy.
#[derive(Debug)]
pub(crate) struct PolicySessions {
    keys: Arc<TicketKeys>,
    sealing: Arc<PolicyTicketer>,
}

impl PolicySessions {
    /// Those that `sealing` opens.
    pub(crate) const fn new(keys: Arc<TicketKeys>, sealing: Arc<PolicyTicketer>) -> Self {
        Self { keys, sealing }
    }
}

impl StoresServerSessions for PolicySessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let Some(sealed) = self.sealing.encrypt(&value) else { return false };
        self.keys.cache.put(key, sealed)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sealing.decrypt(&self.keys.cache.get(key)?)
    }

    /// Only TLS 1.3 without tickets would ask, and it keeps nothing here.
    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::handshake::notes::HandshakeNotes;

    #[test]
    fn an_id_leads_to_its_session_under_its_own_policy_only() {
        let keys = Arc::new(TicketKeys::new());
        let policy = |scope| {
            let sealing = PolicyTicketer::new(Arc::clone(&keys), Arc::new([]), scope);
            PolicySessions::new(Arc::clone(&keys), Arc::new(sealing))
        };
        let (ours, other) = (policy([1; 32]), policy([2; 32]));
        HandshakeNotes::new(None).during(1_800_000_000, || {
            assert!(ours.put(vec![7; 32], b"session".to_vec()));
            assert_eq!(ours.get(&[7; 32]).as_deref(), Some(&b"session"[..]));
            assert_eq!(other.get(&[7; 32]), None);
            assert_eq!(ours.get(&[8; 32]), None);
            assert_eq!(ours.take(&[7; 32]), None);
            // Nobody's session is replaced by another's.
            assert!(!other.put(vec![7; 32], b"another".to_vec()));
            assert_eq!(ours.get(&[7; 32]).as_deref(), Some(&b"session"[..]));
        });
    }
}
