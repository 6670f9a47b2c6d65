//! Session tickets that open under the policy they were made under, and under no other.
//!
//! One set of secrets for the whole process, new every hour, the last one kept; so tickets work on
//! every core and across reloads. Or secrets from files, and then they work on every machine that has
//! the same ones. From a secret each policy derives its own key by its scope, a digest of contents.
//! A ticket that does not open is a full handshake, never an error.

use std::sync::{Arc, Mutex, PoisonError};

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::session_cache::SessionCache;
use super::ticket_secret::{NAME_LEN, TicketSecret};
use crate::tls::handshake::notes;

/// Seconds: a secret is used for so long, and so long a ticket lives.
const TERM: i64 = 3600;
/// Seconds that two clocks may be apart: those of the cores, or of machines that share secrets.
const SKEW: i64 = 60;
const EXPIRY_LEN: usize = 8;

/// The secrets behind every ticket of the process. Created once; survives reloads.
#[derive(Debug)]
pub struct TicketKeys {
    random: SystemRandom,
    /// Taken for a few instructions per handshake, never on a request's path.
    secrets: Mutex<Secrets>,
    /// TLS 1.2 sessions by id, sealed likewise.
    pub(crate) cache: SessionCache,
}

#[derive(Debug, Default)]
struct Secrets {
    current: Option<TicketSecret>,
    previous: Option<TicketSecret>,
}

impl Default for TicketKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl TicketKeys {
    /// No secret yet; the first handshake makes one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            random: SystemRandom::new(),
            secrets: Mutex::new(Secrets::default()),
            cache: SessionCache::default(),
        }
    }

    /// The secret to seal with.
    fn current(&self, now: i64) -> Option<TicketSecret> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        self.rotate(&mut secrets, now)?;
        secrets.current.clone()
    }

    /// The secret with this name, if it is not too old.
    fn named(&self, name: &[u8], now: i64) -> Option<TicketSecret> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        self.rotate(&mut secrets, now)?;
        [&secrets.current, &secrets.previous]
            .into_iter()
            .flatten()
            .find(|secret| secret.name == name)
            .cloned()
    }

    fn rotate(&self, secrets: &mut Secrets, now: i64) -> Option<()> {
        let age = |secret: &Option<TicketSecret>| secret.as_ref().map(|secret| now - secret.born);
        // One from the future was made by a clock that has been set back since: who knows how old it is.
        if age(&secrets.current).is_some_and(|age| (-SKEW..TERM).contains(&age)) {
            return Some(());
        }
        let mut fresh = TicketSecret { name: [0; NAME_LEN], bytes: [0; 32], born: now };
        self.random.fill(&mut fresh.name).ok()?;
        self.random.fill(&mut fresh.bytes).ok()?;
        let last = secrets.current.replace(fresh);
        // Nothing sealed with an older one can still be alive.
        secrets.previous = last.filter(|last| (-SKEW..2 * TERM).contains(&(now - last.born)));
        Some(())
    }

    fn nonce(&self) -> Option<[u8; aead::NONCE_LEN]> {
        let mut nonce = [0; aead::NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        Some(nonce)
    }
}

/// Tickets of one policy.
#[derive(Debug)]
pub struct PolicyTicketer {
    keys: Arc<TicketKeys>,
    /// From files; the process's own are not used then.
    files: Arc<[TicketSecret]>,
    scope: [u8; 32],
    needs_certificate: bool,
}

impl PolicyTicketer {
    /// Tickets that open only under the same scope: a digest of everything that decides which
    /// clients are trusted, and of what we present to them.
    #[must_use]
    pub(crate) const fn new(
        keys: Arc<TicketKeys>,
        files: Arc<[TicketSecret]>,
        scope: [u8; 32],
    ) -> Self {
        Self { keys, files, scope, needs_certificate: false }
    }

    /// The same where a client without a certificate is refused: it gets no ticket, because with that it
    /// would be refused again when it has one.
    #[must_use]
    pub(crate) fn for_clients_with_certificates(mut self) -> Self {
        self.needs_certificate = true;
        self
    }

    /// The secret to seal with.
    fn current(&self, now: i64) -> Option<TicketSecret> {
        self.files.first().map_or_else(|| self.keys.current(now), |secret| Some(secret.clone()))
    }

    fn named(&self, name: &[u8], now: i64) -> Option<TicketSecret> {
        if self.files.is_empty() {
            return self.keys.named(name, now);
        }
        self.files.iter().find(|secret| secret.name == name).cloned()
    }

    fn key(&self, secret: &TicketSecret) -> Option<LessSafeKey> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ferrule session ticket");
        let scope = [&self.scope[..]];
        let derived = salt.extract(&secret.bytes);
        let derived = derived.expand(&scope, &aead::AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

impl ProducesTickets for PolicyTicketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TERM).unwrap_or(0)
    }

    /// name, nonce, then sealed: the second it ends, and what rustls wants to remember.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (now, leaf_expiry) = notes::time_and_leaf_expiry()?;
        if self.needs_certificate && leaf_expiry.is_none() {
            return None;
        }
        let end = leaf_expiry.unwrap_or(i64::MAX).min(now.saturating_add(TERM));
        if end <= now {
            return None;
        }
        let secret = self.current(now)?;
        let nonce = self.keys.nonce()?;
        // That there is a leaf goes along, so that a ticket made after resumption inherits the end.
        // Sealed where it lies, and never moved: a copy would stay behind unsealed.
        let mut sealed = Vec::with_capacity(2 * EXPIRY_LEN + plain.len() + aead::MAX_TAG_LEN);
        sealed.extend_from_slice(&end.to_be_bytes());
        sealed.extend_from_slice(&leaf_expiry.unwrap_or(i64::MAX).to_be_bytes());
        sealed.extend_from_slice(plain);
        let key = self.key(&secret)?;
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce_value, Aad::from(secret.name), &mut sealed).ok()?;
        Some([&secret.name[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (now, _) = notes::time_and_leaf_expiry()?;
        let (name, rest) = cipher.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<{ aead::NONCE_LEN }>()?;
        let key = self.key(&self.named(name, now)?)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.open_in_place(nonce, Aad::from(*name), &mut sealed).ok()?;
        let (end, rest) = opened.split_first_chunk::<EXPIRY_LEN>()?;
        let (leaf_end, plain) = rest.split_first_chunk::<EXPIRY_LEN>()?;
        let leaf_end = i64::from_be_bytes(*leaf_end);
        // None of ours lives longer; one that would was made by a clock that has been set back since.
        let end = i64::from_be_bytes(*end);
        if now >= end || end > now.saturating_add(TERM + SKEW) {
            return None;
        }
        if leaf_end != i64::MAX {
            // Not the leaf's own end: whoever comes every hour would be the same for years, and a
            // renewed certificate would never be seen.
            notes::note_leaf_expiry(end);
        }
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::handshake::notes::HandshakeNotes;
    use crate::tls::handshake::notes::note_leaf_expiry;

    const NOW: i64 = 1_800_000_000;

    fn at<R>(now: i64, run: impl FnOnce() -> R) -> R {
        HandshakeNotes::new(None).during(now, run)
    }

    #[test]
    fn a_ticket_opens_under_its_own_scope_only() {
        let keys = Arc::new(TicketKeys::new());
        let ours = PolicyTicketer::new(Arc::clone(&keys), Arc::new([]), [1; 32]);
        let same = PolicyTicketer::new(Arc::clone(&keys), Arc::new([]), [1; 32]);
        let other = PolicyTicketer::new(keys, Arc::new([]), [2; 32]);
        let ticket = at(NOW, || ours.encrypt(b"state")).unwrap();
        assert_eq!(at(NOW, || ours.decrypt(&ticket)).unwrap(), b"state");
        assert_eq!(at(NOW, || same.decrypt(&ticket)).unwrap(), b"state");
        assert_eq!(at(NOW, || other.decrypt(&ticket)), None);
        for index in 0..ticket.len() {
            let mut broken = ticket.clone();
            broken[index] ^= 1;
            assert_eq!(at(NOW, || ours.decrypt(&broken)), None);
            assert_eq!(at(NOW, || ours.decrypt(&ticket[..index])), None);
        }
    }

    #[test]
    fn a_ticket_ends_with_the_hour_and_with_the_leaf() {
        let ticketer = PolicyTicketer::new(Arc::new(TicketKeys::new()), Arc::new([]), [0; 32]);
        let plain = at(NOW, || ticketer.encrypt(b"x")).unwrap();
        assert!(at(NOW + TERM - 1, || ticketer.decrypt(&plain)).is_some());
        assert!(at(NOW + TERM, || ticketer.decrypt(&plain)).is_none());
        let short = at(NOW, || {
            note_leaf_expiry(NOW + 10);
            ticketer.encrypt(b"x")
        });
        let short = short.unwrap();
        assert!(at(NOW + 9, || ticketer.decrypt(&short)).is_some());
        assert!(at(NOW + 10, || ticketer.decrypt(&short)).is_none());
        // What is made after resumption inherits the end.
        let again = at(NOW + 5, || {
            ticketer.decrypt(&short).unwrap();
            ticketer.encrypt(b"y").unwrap()
        });
        assert!(at(NOW + 10, || ticketer.decrypt(&again)).is_none());
        // Not even an hour at a time does a client live longer.
        let first = at(NOW, || {
            note_leaf_expiry(NOW + 100 * TERM);
            ticketer.encrypt(b"x").unwrap()
        });
        let second = at(NOW + TERM - 1, || {
            ticketer.decrypt(&first).unwrap();
            ticketer.encrypt(b"x").unwrap()
        });
        assert!(at(NOW + TERM, || ticketer.decrypt(&second)).is_none());
        let over = at(NOW, || {
            note_leaf_expiry(NOW);
            ticketer.encrypt(b"x")
        });
        assert!(over.is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_lets_nothing_live_longer() {
        let keys = Arc::new(TicketKeys::new());
        let ticketer = PolicyTicketer::new(Arc::clone(&keys), Arc::new([]), [0; 32]);
        let later = NOW + 30 * TERM;
        let future = at(later, || ticketer.encrypt(b"x")).unwrap();
        let name = keys.current(later).unwrap().name;
        assert!(at(NOW, || ticketer.decrypt(&future)).is_none());
        // The secret that was made then is not used for thirty hours.
        let ticket = at(NOW, || ticketer.encrypt(b"y")).unwrap();
        assert_ne!(keys.current(NOW).unwrap().name, name);
        assert!(at(NOW, || ticketer.decrypt(&ticket)).is_some());
        assert!(at(NOW + TERM, || ticketer.decrypt(&ticket)).is_none());
        // Secrets from files have no age, but their tickets have.
        let secret = TicketSecret { name: [1; NAME_LEN], bytes: [1; 32], born: 0 };
        let files = PolicyTicketer::new(keys, Arc::new([secret]), [0; 32]);
        let ticket = at(NOW + SKEW, || files.encrypt(b"z")).unwrap();
        assert!(at(NOW, || files.decrypt(&ticket)).is_some());
        assert!(at(NOW - 1, || files.decrypt(&ticket)).is_none());
    }

    #[test]
    fn outside_of_a_handshake_there_are_no_tickets() {
        let ticketer = PolicyTicketer::new(Arc::new(TicketKeys::new()), Arc::new([]), [0; 32]);
        assert_eq!(ticketer.encrypt(b"x"), None);
        let ticket = at(NOW, || ticketer.encrypt(b"x")).unwrap();
        assert_eq!(ticketer.decrypt(&ticket), None);
    }

    #[test]
    fn machines_with_the_same_files_open_each_others_tickets() {
        let secret = |name: u8| TicketSecret { name: [name; NAME_LEN], bytes: [name; 32], born: 0 };
        let machine = |files: Arc<[TicketSecret]>| {
            PolicyTicketer::new(Arc::new(TicketKeys::new()), files, [3; 32])
        };
        let old = machine(Arc::new([secret(1)]));
        let rotated = machine(Arc::new([secret(2), secret(1)]));
        let new = machine(Arc::new([secret(2)]));
        let ticket = at(NOW, || old.encrypt(b"state")).unwrap();
        assert_eq!(at(NOW, || rotated.decrypt(&ticket)).as_deref(), Some(&b"state"[..]));
        assert_eq!(at(NOW, || new.decrypt(&ticket)), None);
        assert_eq!(at(NOW + TERM, || rotated.decrypt(&ticket)), None);
        let ticket = at(NOW, || rotated.encrypt(b"state")).unwrap();
        assert_eq!(at(NOW, || new.decrypt(&ticket)).as_deref(), Some(&b"state"[..]));
        assert_eq!(at(NOW, || machine(Arc::new([])).decrypt(&ticket)), None);
    }
}
