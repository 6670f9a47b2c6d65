//! Which clients' certificates expire soonest?
//!
//! A bounded table of verified clients of the last 24 hours; when it is full, those that expire soonest
//! stay. Written at handshakes, copied when the admin socket asks.

use hashbrown::HashMap;

/// Clients that one core remembers.
pub const CLIENTS_MAX: usize = 256;
/// How long a client is remembered after its last handshake.
pub const REMEMBERED_SECONDS: i64 = 86_400;
/// Bytes kept of a subject.
const SUBJECT_BYTES_MAX: usize = 256;

/// A client's certificate and the server name it was shown to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExpiringClient {
    /// `notAfter`, Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// RFC 2253, cut if it is long.
    pub subject: String,
    /// The server name, as the handshake had it.
    pub server_name: String,
    /// Its latest handshake, Unix seconds.
    pub last_seen: i64,
}

/// A copy of what one core remembers.
#[derive(Debug, Default)]
pub struct ExpiringClients(pub Vec<ExpiringClient>);

/// A client whose handshake has just succeeded.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedClient<'a> {
    /// `notAfter`, Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the DER.
    pub sha256: &'a [u8; 32],
    /// The server name.
    pub server_name: &'a str,
    /// Unix seconds.
    pub now: i64,
}

/// The table of one core.
#[derive(Debug, Default)]
pub struct ExpiryTracker {
    clients: HashMap<[u8; 32], ExpiringClient, foldhash::fast::RandomState>,
}

impl ExpiryTracker {
    /// A client was verified; `subject` is asked only if it is new here.
    pub fn record(&mut self, seen: VerifiedClient<'_>, subject: impl FnOnce() -> String) {
        if let Some(known) = self.clients.get_mut(seen.sha256) {
            known.last_seen = seen.now;
            if known.server_name != seen.server_name {
                seen.server_name.clone_into(&mut known.server_name);
            }
            return;
        }
        if self.clients.len() >= CLIENTS_MAX {
            self.forget(seen.now);
        }
        if self.clients.len() >= CLIENTS_MAX {
            // The last to expire goes; of two with one date that with the greater digest.
            let last = self.clients.values().map(|client| (client.not_after, client.sha256)).max();
            match last {
                Some(last) if (seen.not_after, *seen.sha256) < last => {
                    self.clients.remove(&last.1);
                }
                _ => return,
            }
        }
        let client = ExpiringClient {
            not_after: seen.not_after,
            sha256: *seen.sha256,
            subject: cut(subject()),
            server_name: seen.server_name.to_owned(),
            last_seen: seen.now,
        };
        self.clients.insert(*seen.sha256, client);
    }

    fn forget(&mut self, now: i64) {
        self.clients.retain(|_, client| now.saturating_sub(client.last_seen) < REMEMBERED_SECONDS);
    }

    /// Everything that is remembered now.
    #[must_use]
    pub fn copy(&mut self, now: i64) -> Vec<ExpiringClient> {
        self.forget(now);
        self.clients.values().cloned().collect()
    }
}

/// The tables of several cores as one: each client once, the soonest to expire first.
#[must_use]
pub fn merge<'a>(cores: impl IntoIterator<Item = &'a [ExpiringClient]>) -> Vec<ExpiringClient> {
    let mut merged: HashMap<[u8; 32], ExpiringClient, foldhash::fast::RandomState> =
        HashMap::default();
    for client in cores.into_iter().flatten() {
        let known = merged.entry(client.sha256).or_insert_with(|| client.clone());
        // The later name; of two in one second the lesser one, so that the answer is always the same.
        let newer = client.last_seen > known.last_seen
            || (client.last_seen == known.last_seen && client.server_name < known.server_name);
        if newer {
            *known = client.clone();
        }
    }
    let mut all: Vec<ExpiringClient> = merged.into_values().collect();
    all.sort_unstable_by_key(|client| (client.not_after, client.sha256));
    all
}

fn cut(mut text: String) -> String {
    if text.len() > SUBJECT_BYTES_MAX {
        let end = (0..=SUBJECT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u16) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn see(expiry_tracker: &mut ExpiryTracker, number: u16, not_after: i64, now: i64) {
        let sha256 = digest(number);
        let seen = VerifiedClient { not_after, sha256: &sha256, server_name: "a.test", now };
        expiry_tracker.record(seen, || format!("CN={number}"));
    }

    #[test]
    fn the_soonest_to_expire_stay() {
        // Whatever the order, the same ones are left.
        for step in [1, 7, 501] {
            let mut expiry_tracker = ExpiryTracker::default();
            for at in 0..1_000_u16 {
                let number = u16::try_from(u32::from(at) * step % 1_000).unwrap();
                see(&mut expiry_tracker, number, i64::from(number), 5);
            }
            let left = merge([expiry_tracker.copy(5).as_slice()]);
            let dates: Vec<i64> = left.iter().map(|client| client.not_after).collect();
            assert_eq!(dates, (0..256).collect::<Vec<i64>>(), "step {step}");
        }
    }

    #[test]
    fn who_was_not_seen_for_a_day_makes_room() {
        let mut expiry_tracker = ExpiryTracker::default();
        for number in 0..256 {
            see(&mut expiry_tracker, number, 10, 100);
        }
        see(&mut expiry_tracker, 0, 10, 100 + REMEMBERED_SECONDS - 1);
        see(&mut expiry_tracker, 999, 5_000, 100 + REMEMBERED_SECONDS);
        let left = expiry_tracker.copy(100 + REMEMBERED_SECONDS);
        assert_eq!(left.len(), 2);
        assert!(expiry_tracker.copy(100 + 3 * REMEMBERED_SECONDS).is_empty());
    }

    #[test]
    fn a_client_of_two_cores_is_one() {
        let (mut one, mut other) = (ExpiryTracker::default(), ExpiryTracker::default());
        see(&mut one, 1, 50, 100);
        see(&mut one, 2, 40, 100);
        let sha256 = digest(1);
        let seen =
            VerifiedClient { not_after: 50, sha256: &sha256, server_name: "b.test", now: 101 };
        other.record(seen, || "CN=1".to_owned());
        let merged = merge([one.copy(101).as_slice(), other.copy(101).as_slice()]);
        let shown: Vec<_> = merged
            .iter()
            .map(|client| (client.subject.as_str(), client.server_name.as_str()))
            .collect();
        assert_eq!(shown, [("CN=2", "a.test"), ("CN=1", "b.test")]);
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let text = cut(format!("{}{}", "x".repeat(255), "\u{e9}".repeat(9)));
        assert_eq!(text, format!("{}...", "x".repeat(255)));
    }
}
