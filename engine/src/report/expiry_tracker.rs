//! Which clients' certificates expire soonest, and which will not be renewed as certificates of clients?
//!
//! Bounded tables of clients of the last 24 hours; when one is full, those that expire soonest stay. One holds all
//! that were verified, one for each [`Finding`] those that it is about. Written at handshakes, copied when the admin
//! socket or the status page asks.

use hashbrown::HashMap;
use strum::{EnumCount, IntoStaticStr, VariantArray};

use crate::identity::{Prospects, StoppingIssuer};

/// Clients that one table of one core remembers.
pub const CLIENTS_MAX: usize = 256;
/// How long a client is remembered after its last handshake.
pub const REMEMBERED_SECONDS: i64 = 86_400;
/// Bytes kept of a subject.
const SUBJECT_BYTES_MAX: usize = 256;

/// Refused clients that are judged a second time in one second: a stranger must not make us check more signatures.
const JUDGED_PER_SECOND: u32 = 8;

/// What is wrong with the prospects of a client.
#[derive(Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Finding {
    /// Its certificate lacks `clientAuth`, and it was let in all the same.
    WithoutClientAuth,
    /// It was refused for that alone.
    Refused,
    /// Its issuer is known to stop issuing certificates with `clientAuth`.
    IssuerStops,
}

impl Finding {
    /// What is to be said of a client that was verified.
    #[must_use]
    pub const fn of_verified(prospects: Prospects) -> Option<Self> {
        match prospects {
            Prospects { lacks_client_auth: true, .. } => Some(Self::WithoutClientAuth),
            Prospects { issuer: Some(_), .. } => Some(Self::IssuerStops),
            Prospects { issuer: None, .. } => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

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
    /// Its issuer, if it is one that stops.
    pub issuer: Option<&'static StoppingIssuer>,
}

/// A copy of what one core remembers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExpiringClients {
    /// Those that were verified.
    pub verified: Vec<ExpiringClient>,
    /// Those of each finding, in the order of its variants.
    pub findings: [Vec<ExpiringClient>; Finding::COUNT],
}

/// A client whose handshake has just succeeded, or that was refused for its purpose alone.
#[derive(Clone, Copy, Debug)]
pub struct SeenClient<'a> {
    /// `notAfter`, Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the DER.
    pub sha256: &'a [u8; 32],
    /// The server name.
    pub server_name: &'a str,
    /// Unix seconds.
    pub now: i64,
    /// What is known of its next certificate.
    pub prospects: Prospects,
}

/// The tables of one core.
#[derive(Debug, Default)]
pub struct ExpiryTracker {
    verified: ClientTable,
    findings: [ClientTable; Finding::COUNT],
    judged_at: i64,
    judged: u32,
}

impl ExpiryTracker {
    /// A client was verified; `subject` is asked only if it is new here. What there is to be said of it.
    pub fn record(
        &mut self,
        seen: SeenClient<'_>,
        subject: impl Fn() -> String,
    ) -> Option<Finding> {
        self.verified.record(seen, &subject);
        let finding = Finding::of_verified(seen.prospects)?;
        self.table(finding)?.record(seen, &subject);
        Some(finding)
    }

    /// A client was refused because its certificate is not for clients. If it is new here, `subject` judges it again
    /// without that, and says who it is if it is good then; so nobody gets in here whom no authority has named.
    pub fn record_refused(
        &mut self,
        seen: SeenClient<'_>,
        subject: impl FnOnce() -> Option<String>,
    ) -> Option<Finding> {
        if !self.table(Finding::Refused)?.renew(seen) {
            let subject = self.may_judge(seen.now).then(subject)??;
            self.table(Finding::Refused)?.record(seen, || subject.clone());
        }
        Some(Finding::Refused)
    }

    fn may_judge(&mut self, now: i64) -> bool {
        if self.judged_at != now {
            (self.judged_at, self.judged) = (now, 0);
        }
        let may = self.judged < JUDGED_PER_SECOND;
        self.judged += u32::from(may);
        may
    }

    fn table(&mut self, finding: Finding) -> Option<&mut ClientTable> {
        self.findings.get_mut(finding as usize)
    }

    /// Everything that is remembered now.
    #[must_use]
    pub fn copy(&mut self, now: i64) -> ExpiringClients {
        let Self { verified, findings, .. } = self;
        ExpiringClients {
            verified: verified.copy(now),
            findings: findings.each_mut().map(|table| table.copy(now)),
        }
    }
}

/// Clients, each once.
#[derive(Debug, Default)]
struct ClientTable {
    clients: HashMap<[u8; 32], ExpiringClient, foldhash::fast::RandomState>,
}

impl ClientTable {
    /// Is it known? Then it was seen again.
    fn renew(&mut self, seen: SeenClient<'_>) -> bool {
        let Some(known) = self.clients.get_mut(seen.sha256) else { return false };
        known.last_seen = seen.now;
        if known.server_name != seen.server_name {
            seen.server_name.clone_into(&mut known.server_name);
        }
        true
    }

    fn record(&mut self, seen: SeenClient<'_>, subject: impl Fn() -> String) {
        if self.renew(seen) {
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
            issuer: seen.prospects.issuer,
        };
        self.clients.insert(*seen.sha256, client);
    }

    fn forget(&mut self, now: i64) {
        self.clients.retain(|_, client| now.saturating_sub(client.last_seen) < REMEMBERED_SECONDS);
    }

    fn copy(&mut self, now: i64) -> Vec<ExpiringClient> {
        self.forget(now);
        self.clients.values().cloned().collect()
    }
}

/// The tables of several cores as one: each client once, the soonest to expire first.
#[must_use]
pub fn merge<'a>(cores: impl Iterator<Item = &'a ExpiringClients> + Clone) -> ExpiringClients {
    let of = |finding: &Finding| {
        let at = *finding as usize;
        cores.clone().filter_map(move |core| core.findings.get(at))
    };
    let mut findings = <[Vec<ExpiringClient>; Finding::COUNT]>::default();
    for (merged, finding) in findings.iter_mut().zip(Finding::VARIANTS) {
        *merged = merge_tables(of(finding));
    }
    ExpiringClients { verified: merge_tables(cores.map(|core| &core.verified)), findings }
}

fn merge_tables<'a>(tables: impl Iterator<Item = &'a Vec<ExpiringClient>>) -> Vec<ExpiringClient> {
    let mut merged: HashMap<[u8; 32], ExpiringClient, foldhash::fast::RandomState> =
        HashMap::default();
    for client in tables.flatten() {
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
        let prospects = Prospects::default();
        let seen = SeenClient { not_after, sha256: &sha256, server_name: "a.test", now, prospects };
        assert_eq!(expiry_tracker.record(seen, || format!("CN={number}")), None);
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
            let left = merge(std::iter::once(&expiry_tracker.copy(5)));
            let dates: Vec<i64> = left.verified.iter().map(|client| client.not_after).collect();
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
        assert_eq!(left.verified.len(), 2);
        assert!(expiry_tracker.copy(100 + 3 * REMEMBERED_SECONDS).verified.is_empty());
    }

    #[test]
    fn a_client_of_two_cores_is_one() {
        let (mut one, mut other) = (ExpiryTracker::default(), ExpiryTracker::default());
        see(&mut one, 1, 50, 100);
        see(&mut one, 2, 40, 100);
        let sha256 = digest(1);
        let prospects = Prospects::default();
        let (not_after, server_name) = (50, "b.test");
        let seen = SeenClient { not_after, sha256: &sha256, server_name, now: 101, prospects };
        other.record(seen, || "CN=1".to_owned());
        let merged = merge([one.copy(101), other.copy(101)].iter());
        let shown: Vec<_> = merged
            .verified
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

    /// Only [`JUDGED_PER_SECOND`] strangers a second make us check signatures again; who is no stranger any more costs
    /// nothing.
    #[test]
    fn refused_clients_are_judged_again_a_few_at_a_time() {
        let mut expiry_tracker = ExpiryTracker::default();
        let prospects = Prospects { lacks_client_auth: true, issuer: None };
        let refuse = |tracker: &mut ExpiryTracker, number: u16, now: i64, good: bool| {
            let sha256 = digest(number);
            let seen =
                SeenClient { not_after: 9, sha256: &sha256, server_name: "a.test", now, prospects };
            let mut judged = 0;
            let found = tracker.record_refused(seen, || {
                judged += 1;
                good.then(|| "CN=x".to_owned())
            });
            assert_eq!(found.is_some(), good && (judged == 1 || number == 0), "{number} {now}");
            judged
        };
        let judged: u32 = (0..100).map(|at| refuse(&mut expiry_tracker, at, 1, true)).sum();
        assert_eq!(judged, JUDGED_PER_SECOND);
        assert_eq!(refuse(&mut expiry_tracker, 0, 2, true), 0, "known");
        assert_eq!(refuse(&mut expiry_tracker, 999, 2, false), 1, "not good");
        let known = expiry_tracker.copy(2);
        assert_eq!(known.findings[Finding::Refused as usize].len(), 8);
        assert!(known.verified.is_empty());
    }
}
