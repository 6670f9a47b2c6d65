//! TLS 1.2 sessions by id, for clients that take no tickets.
//!
//! One bounded cache for the whole process, so that a session is found on every core and after a
//! reload. What lies in it is sealed like a ticket, by policy: an id that is shown under another
//! policy, or too late, leads to nothing but a full handshake. TLS 1.3 never looks here.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{ProducesTickets, StoresServerSessions};

use super::tickets::{PolicyTicketer, TicketKeys};

/// Bytes of sessions that are kept, ids included; about 4,000 sessions with a client's certificate.
const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// All sessions of the process, the oldest first.
#[derive(Debug, Default)]
pub(super) struct SessionCache {
    /// Taken once per TLS 1.2 handshake, never on a request's path.
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_id: HashMap<Vec<u8>, Vec<u8>>,
    order: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sessions").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Sessions {
    fn put(&mut self, id: Vec<u8>, sealed: Vec<u8>) -> bool {
        let size = 2 * id.len() + sealed.len();
        if size > CACHE_BYTES_MAX || self.by_id.contains_key(&id) {
            return false;
        }
        self.bytes += size;
        self.order.push_back(id.clone());
        self.by_id.insert(id, sealed);
        while self.bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(sealed) = self.by_id.remove(&oldest) {
                self.bytes -= 2 * oldest.len() + sealed.len();
            }
        }
        true
    }
}

/// The sessions of one policy.
#[derive(Debug)]
pub(super) struct PolicySessions {
    keys: Arc<TicketKeys>,
    sealing: Arc<PolicyTicketer>,
}

impl PolicySessions {
    /// Those that `sealing` opens.
    pub(super) const fn new(keys: Arc<TicketKeys>, sealing: Arc<PolicyTicketer>) -> Self {
        Self { keys, sealing }
    }
}

impl StoresServerSessions for PolicySessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let Some(sealed) = self.sealing.encrypt(&value) else { return false };
        let mut sessions = self.keys.cache.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.put(key, sealed)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let sealed = {
            let sessions = self.keys.cache.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.by_id.get(key)?.clone()
        };
        self.sealing.decrypt(&sealed)
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
    use super::super::handshake::HandshakeNotes;
    use super::*;

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

    #[test]
    fn the_oldest_sessions_make_room() {
        let mut sessions = Sessions::default();
        for number in 0..20_000_u32 {
            assert!(sessions.put(number.to_be_bytes().to_vec(), vec![0; 1_000]));
            assert!(sessions.bytes <= CACHE_BYTES_MAX);
        }
        assert_eq!(sessions.by_id.len(), sessions.order.len());
        assert!(sessions.by_id.len() > 8_000);
        assert!(!sessions.by_id.contains_key(&0_u32.to_be_bytes()[..]));
        assert!(sessions.by_id.contains_key(&19_999_u32.to_be_bytes()[..]));
    }
}
