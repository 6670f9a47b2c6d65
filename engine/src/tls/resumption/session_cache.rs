//! One bounded cache of sealed TLS 1.2 sessions for the whole process, so that a session is found on every
//! core and after a reload.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Bytes of sessions that are kept, ids included; about 4,000 sessions with a client's certificate.
const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// All sessions of the process, sealed.
#[derive(Debug, Default)]
pub(crate) struct SessionCache {
    /// Taken once per TLS 1.2 handshake, never on a request's path.
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_id: HashMap<Vec<u8>, Vec<u8>>,
    /// The ids, the oldest first.
    order: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl SessionCache {
    /// Keeps a session under this id; false if there is one already, or no room.
    pub(crate) fn put(&self, id: Vec<u8>, sealed: Vec<u8>) -> bool {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).put(id, sealed)
    }

    /// The session under this id.
    pub(crate) fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.by_id.get(id).cloned()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
