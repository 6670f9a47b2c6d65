//! Which clients' certificates expire soonest?
//!
//! A bounded table of verified clients of the last 24 hours; when it is full, those that expire soonest
//! stay. Written at handshakes, copied when somebody asks.

use hashbrown::HashMap;

/// Clients that one core remembers.
pub const CLIENTS_MAX: usize = 256;
/// How long a client is remembered after its last handshake.
pub const REMEMBERED_SECONDS: i64 = 86_400;
/// Bytes kept of a subject.
const SUBJECT_BYTES_MAX: usize = 256;

/// A client's certificate and the server name it was shown to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blip {
    /// `notAfter`, Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// RFC 2253, cut if it is long.
    pub subject: String,
    /// The server name, as the handshake had it.
    pub server_name: String,
    /// When it last shook hands, Unix seconds.
    pub last_seen: i64,
}

/// What one core remembers, for whoever asked.
#[derive(Debug, Default)]
pub struct Blips(pub Vec<Blip>);

/// What a core knows of a client that shakes hands.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
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
pub struct Radar {
    blips: HashMap<[u8; 32], Blip, foldhash::fast::RandomState>,
}

impl Radar {
    /// A client was verified; `subject` is asked only if it is new here.
    pub fn saw(&mut self, seen: Sighting<'_>, subject: impl FnOnce() -> String) {
        if let Some(known) = self.blips.get_mut(seen.sha256) {
            known.last_seen = seen.now;
            if known.server_name != seen.server_name {
                seen.server_name.clone_into(&mut known.server_name);
            }
            return;
        }
        if self.blips.len() >= CLIENTS_MAX {
            self.forget(seen.now);
        }
        if self.blips.len() >= CLIENTS_MAX {
            // The last to expire goes; of two with one date that with the greater digest.
            let last = self.blips.values().map(|blip| (blip.not_after, blip.sha256)).max();
            match last {
                Some(last) if (seen.not_after, *seen.sha256) < last => {
                    self.blips.remove(&last.1);
                }
                _ => return,
            }
        }
        let blip = Blip {
            not_after: seen.not_after,
            sha256: *seen.sha256,
            subject: cut(subject()),
            server_name: seen.server_name.to_owned(),
            last_seen: seen.now,
        };
        self.blips.insert(*seen.sha256, blip);
    }

    fn forget(&mut self, now: i64) {
        self.blips.retain(|_, blip| now.saturating_sub(blip.last_seen) < REMEMBERED_SECONDS);
    }

    /// Everything that is remembered now.
    #[must_use]
    pub fn copy(&mut self, now: i64) -> Vec<Blip> {
        self.forget(now);
        self.blips.values().cloned().collect()
    }
}

/// The tables of several cores as one: each client once, the soonest to expire first.
#[must_use]
pub fn merge<'a>(cores: impl IntoIterator<Item = &'a [Blip]>) -> Vec<Blip> {
    let mut merged: HashMap<[u8; 32], Blip, foldhash::fast::RandomState> = HashMap::default();
    for blip in cores.into_iter().flatten() {
        let known = merged.entry(blip.sha256).or_insert_with(|| blip.clone());
        // The later name; of two in one second the lesser one, so that the answer is always the same.
        let newer = blip.last_seen > known.last_seen
            || (blip.last_seen == known.last_seen && blip.server_name < known.server_name);
        if newer {
            *known = blip.clone();
        }
    }
    let mut all: Vec<Blip> = merged.into_values().collect();
    all.sort_unstable_by_key(|blip| (blip.not_after, blip.sha256));
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

    fn see(radar: &mut Radar, number: u16, not_after: i64, now: i64) {
        let sha256 = digest(number);
        let seen = Sighting { not_after, sha256: &sha256, server_name: "a.test", now };
        radar.saw(seen, || format!("CN={number}"));
    }

    #[test]
    fn the_soonest_to_expire_stay() {
        // Whatever the order, the same ones are left.
        for step in [1, 7, 501] {
            let mut radar = Radar::default();
            for at in 0..1_000_u16 {
                let number = u16::try_from(u32::from(at) * step % 1_000).unwrap();
                see(&mut radar, number, i64::from(number), 5);
            }
            let left = merge([radar.copy(5).as_slice()]);
            let dates: Vec<i64> = left.iter().map(|blip| blip.not_after).collect();
            assert_eq!(dates, (0..256).collect::<Vec<i64>>(), "step {step}");
        }
    }

    #[test]
    fn who_was_not_seen_for_a_day_makes_room() {
        let mut radar = Radar::default();
        for number in 0..256 {
            see(&mut radar, number, 10, 100);
        }
        see(&mut radar, 0, 10, 100 + REMEMBERED_SECONDS - 1);
        see(&mut radar, 999, 5_000, 100 + REMEMBERED_SECONDS);
        let left = radar.copy(100 + REMEMBERED_SECONDS);
        assert_eq!(left.len(), 2);
        assert!(radar.copy(100 + 3 * REMEMBERED_SECONDS).is_empty());
    }

    #[test]
    fn a_client_of_two_cores_is_one() {
        let (mut one, mut other) = (Radar::default(), Radar::default());
        see(&mut one, 1, 50, 100);
        see(&mut one, 2, 40, 100);
        let sha256 = digest(1);
        let seen = Sighting { not_after: 50, sha256: &sha256, server_name: "b.test", now: 101 };
        other.saw(seen, || "CN=1".to_owned());
        let merged = merge([one.copy(101).as_slice(), other.copy(101).as_slice()]);
        let shown: Vec<_> =
            merged.iter().map(|blip| (blip.subject.as_str(), blip.server_name.as_str())).collect();
        assert_eq!(shown, [("CN=2", "a.test"), ("CN=1", "b.test")]);
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let text = cut(format!("{}{}", "x".repeat(255), "\u{e9}".repeat(9)));
        assert_eq!(text, format!("{}...", "x".repeat(255)));
    }
}
