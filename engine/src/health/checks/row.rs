//! The checks of one node in a row, and the verdict that they come to.

use std::time::Duration;

use ferrule_config::model::ActiveChecks;

use super::result::{CheckMeaning, CheckResult};
use crate::health::Checked;
use crate::health::rules::FailureKind;

/// What the checks of one node have come to so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckRow {
    successes: u8,
    http_failures: u8,
    tcp_failures: u8,
    timeouts: u8,
    /// The last verdict; none until a row is long enough.
    verdict: Option<Checked>,
    /// A check has passed at some time.
    passed: bool,
    /// A check has said something else at some time.
    failed: bool,
}

impl CheckRow {
    /// One more check. A verdict, if it is another one than before.
    pub fn record(&mut self, result: &CheckResult, checks: &ActiveChecks) -> Option<Checked> {
        let verdict = match result.meaning(checks) {
            CheckMeaning::Passes => self.success(checks),
            CheckMeaning::Fails(kind) => self.failure(kind, result, checks),
            CheckMeaning::Nothing => {
                self.failed |= *result != CheckResult::NotAsked;
                None
            }
        }?;
        if self.verdict.as_ref() == Some(&verdict) {
            return None;
        }
        self.verdict = Some(verdict.clone());
        Some(verdict)
    }

    fn success(&mut self, checks: &ActiveChecks) -> Option<Checked> {
        self.passed = true;
        (self.http_failures, self.tcp_failures, self.timeouts) = (0, 0, 0);
        self.successes = self.successes.saturating_add(1);
        (self.successes >= checks.healthy.successes).then_some(Checked::Healthy)
    }

    fn failure(
        &mut self,
        kind: FailureKind,
        result: &CheckResult,
        checks: &ActiveChecks,
    ) -> Option<Checked> {
        self.failed = true;
        self.successes = 0;
        let rules = &checks.unhealthy;
        let (count, limit) = match kind {
            FailureKind::Http => (&mut self.http_failures, rules.http_failures),
            FailureKind::Tcp => (&mut self.tcp_failures, rules.tcp_failures),
            FailureKind::Timeout => (&mut self.timeouts, rules.timeouts),
        };
        *count = count.saturating_add(1);
        let enough = *count >= limit;
        // A node that is unhealthy stays so, and `ctl` shows the newest reason.
        (enough || self.is_unhealthy()).then(|| Checked::Unhealthy(result.to_string().into()))
    }

    /// The last verdict, if there is one.
    #[must_use]
    pub const fn verdict(&self) -> Option<&Checked> {
        self.verdict.as_ref()
    }

    /// Is the last verdict that it does not work?
    #[must_use]
    pub const fn is_unhealthy(&self) -> bool {
        matches!(self.verdict, Some(Checked::Unhealthy(_)))
    }

    /// Has the node been asked, and never passed?
    #[must_use]
    pub const fn never_passed(&self) -> bool {
        self.failed && !self.passed
    }

    /// Has a check ever passed?
    #[must_use]
    pub const fn has_passed(&self) -> bool {
        self.passed
    }

    /// The time to the next check.
    #[must_use]
    pub const fn interval(&self, checks: &ActiveChecks) -> Duration {
        if self.is_unhealthy() { checks.unhealthy.interval } else { checks.healthy.interval }
    }
}

/// The verdict on a node, from those on each address of its name (`None`: there is none yet). It works as long as one
/// address may; `None` if nothing is known of any.
#[must_use]
pub fn node_verdict(addresses: &[Option<Checked>]) -> Option<Checked> {
    let mut last = None;
    for verdict in addresses {
        match verdict {
            Some(Checked::Unhealthy(reason)) => last = Some(reason),
            Some(Checked::Healthy) => return Some(Checked::Healthy),
            None => {}
        }
    }
    let reason = last?;
    match addresses {
        [_] => Some(Checked::Unhealthy(reason.clone())),
        _ if addresses.contains(&None) => Some(Checked::Healthy),
        _ => Some(Checked::Unhealthy(
            format!("none of its {} addresses passes, one with: {reason}", addresses.len()).into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::checks;
    use super::super::result::{CheckStage, CheckWord};
    use super::*;

    fn refused() -> CheckResult {
        CheckResult::NoConnection("connection refused".to_owned())
    }

    fn unhealthy(reason: &str) -> Checked {
        Checked::Unhealthy(reason.into())
    }

    #[test]
    fn a_node_works_as_long_as_one_address_may() {
        let (good, bad) = (Some(Checked::Healthy), Some(unhealthy("refused")));
        assert_eq!(node_verdict(&[None, None]), None);
        assert_eq!(node_verdict(&[]), None);
        assert_eq!(node_verdict(std::slice::from_ref(&bad)), bad);
        let all = Some(unhealthy("none of its 2 addresses passes, one with: refused"));
        assert_eq!(node_verdict(&[bad.clone(), bad.clone()]), all);
        for others in [[good.clone(), bad.clone()], [bad.clone(), good.clone()], [bad, None]] {
            assert_eq!(node_verdict(&others), good, "{others:?}");
        }
    }

    #[test]
    fn a_row_of_each_kind_is_as_long_as_configured() {
        let timeout = CheckResult::TimedOut(CheckStage::Waiting);
        let cases = [
            (refused(), 2, "no connection: connection refused"),
            (CheckResult::Tls("alert".to_owned()), 2, "TLS: alert"),
            (
                CheckResult::NotHttp("upstream-not-http"),
                2,
                "not an answer in HTTP: upstream-not-http",
            ),
            (CheckResult::Closed, 2, "closed without an answer"),
            (timeout, 3, "timeout: no answer"),
            (CheckResult::Answered(404), 5, "status 404"),
        ];
        for (result, limit, reason) in cases {
            let mut row = CheckRow::default();
            for _ in 1..limit {
                assert_eq!(row.record(&result, &checks()), None, "{result}");
                assert_eq!(row.interval(&checks()), Duration::from_secs(2));
            }
            assert_eq!(row.record(&result, &checks()), Some(unhealthy(reason)));
            assert_eq!(row.record(&result, &checks()), None, "news once: {result}");
            assert_eq!(row.interval(&checks()), Duration::from_secs(1));
            assert!(row.is_unhealthy() && row.never_passed());
        }
    }

    #[test]
    fn successes_in_a_row_bring_a_node_back() {
        let mut row = CheckRow::default();
        let ok = CheckResult::Answered(200);
        assert_eq!(row.record(&refused(), &checks()), None);
        // A success ends the row of failures.
        assert_eq!(row.record(&ok, &checks()), None);
        assert_eq!(row.record(&refused(), &checks()), None);
        assert!(row.record(&refused(), &checks()).is_some());
        assert_eq!(row.record(&ok, &checks()), None);
        // A failure ends the row of successes, and its reason is the newest.
        assert_eq!(
            row.record(&CheckResult::Closed, &checks()),
            Some(unhealthy("closed without an answer"))
        );
        assert_eq!(row.record(&ok, &checks()), None);
        assert_eq!(row.record(&ok, &checks()), Some(Checked::Healthy));
        assert_eq!(row.record(&ok, &checks()), None);
        assert!(row.has_passed() && !row.never_passed());
    }

    #[test]
    fn a_status_of_neither_list_says_nothing() {
        let mut row = CheckRow::default();
        let other = CheckResult::Answered(204);
        for _ in 0..100 {
            assert_eq!(row.record(&other, &checks()), None);
        }
        assert_eq!(other.word(&checks()), CheckWord::OtherStatus);
        assert!(row.never_passed(), "but it is no pass either");
        let mut row = CheckRow::default();
        assert_eq!(row.record(&CheckResult::NotAsked, &checks()), None);
        assert!(!row.never_passed());
    }

    /// Whatever comes: the verdict is that of the rows, counted anew.
    #[test]
    fn verdicts_are_those_of_a_plain_count() {
        let results = [
            CheckResult::Answered(200),
            CheckResult::Answered(500),
            CheckResult::Answered(204),
            CheckResult::TimedOut(CheckStage::Connecting),
            CheckResult::Closed,
            CheckResult::NotAsked,
        ];
        for seed in 1..300_u64 {
            let (mut row, mut random, mut seen) = (CheckRow::default(), seed, Vec::new());
            for _ in 0..200 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
                let at = usize::try_from(random >> 33).unwrap() % results.len();
                seen.push(at);
                let before = row.is_unhealthy();
                let told = row.record(&results[at], &checks());
                // The failures since the last success, and the successes since the last failure.
                let since = |ends: fn(usize) -> bool, counts: fn(usize) -> bool| {
                    let tail = seen.iter().rev().take_while(|at| !ends(**at));
                    tail.filter(|at| counts(**at)).count()
                };
                let failed = |at| matches!(at, 1 | 3 | 4);
                let fails = since(|at| at == 0, |at| at == 1) >= 5
                    || since(|at| at == 0, |at| at == 3) >= 3
                    || since(|at| at == 0, |at| at == 4) >= 2;
                let passes = since(failed, |at| at == 0) >= 2;
                let wanted = if passes { false } else { fails || before };
                assert_eq!(row.is_unhealthy(), wanted, "{seen:?}");
                assert!(told.is_some() || row.is_unhealthy() == before);
            }
        }
    }
}
