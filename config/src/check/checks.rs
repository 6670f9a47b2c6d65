//! `upstreams.checks`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::check::context::Check;
use crate::defaults;
use crate::model::{Checks, OutlierDetection, PassiveChecks, PassiveHealthy, PassiveUnhealthy};
use crate::raw::Raw;

/// Less would compare chance with chance.
const OUTLIER_INTERVAL_MIN: Duration = Duration::from_secs(1);

impl Check<'_> {
    /// The checks of an upstream; where nothing is written, the defaults.
    pub(super) fn checks(&mut self, upstream: &Raw) -> Checks {
        let absent = upstream.absent_table("checks");
        let raw = upstream.table("checks").unwrap_or(&absent);
        let absent = raw.absent_table("passive");
        let passive = raw.table("passive").unwrap_or(&absent);
        let absent = passive.absent_table("unhealthy");
        let unhealthy = passive.table("unhealthy").unwrap_or(&absent);
        let absent = passive.absent_table("healthy");
        let healthy = passive.table("healthy").unwrap_or(&absent);
        let active = self.active_checks(upstream, raw);
        let checks = Checks {
            active,
            panic_threshold: raw.int("panic_threshold"),
            passive: PassiveChecks {
                healthy: PassiveHealthy {
                    http_statuses: statuses(healthy),
                    successes: healthy.int("successes"),
                },
                unhealthy: PassiveUnhealthy {
                    http_statuses: statuses(unhealthy)
                        .unwrap_or_else(|| defaults::FAILING_STATUSES.to_vec()),
                    http_failures: unhealthy.int("http_failures"),
                    tcp_failures: unhealthy.int("tcp_failures"),
                    timeouts: unhealthy.int("timeouts"),
                    fail_timeout: unhealthy.duration("fail_timeout"),
                },
                outliers: self.outliers(passive),
                max_ejection_time: passive.duration("max_ejection_time"),
            },
        };
        self.statuses_differ(healthy, &checks.passive);
        self.longest_is_longest(passive, unhealthy, &checks.passive);
        checks
    }

    fn outliers(&mut self, passive: &Raw) -> Option<OutlierDetection> {
        let raw = passive.table("outliers")?;
        let interval = raw.duration("interval");
        if interval < OUTLIER_INTERVAL_MIN && !raw.is_broken("interval") {
            let help = "write 1 s or more: the default is 10 s";
            let message = "`interval` is shorter than a second";
            self.error(raw.at("interval"), raw.path("interval"), message, help);
        }
        let latency_factor = raw.int("latency_factor");
        if latency_factor == 1 {
            let message = "every second node is slower than the median";
            let help = "write 2 or more; 0 switches it off";
            self.error(raw.at("latency_factor"), raw.path("latency_factor"), message, help);
        }
        Some(OutlierDetection {
            interval,
            min_nodes: raw.int("min_nodes"),
            min_requests: raw.int("min_requests"),
            success_rate_stdev_factor: raw.int("success_rate_stdev_factor"),
            failure_percentage: raw.int("failure_percentage"),
            latency_factor,
            latency_intervals: raw.int("latency_intervals"),
            latency_min: raw.duration("latency_min"),
        })
    }

    fn statuses_differ(&mut self, healthy: &Raw, checks: &PassiveChecks) {
        let failing: BTreeSet<u16> = checks.unhealthy.http_statuses.iter().copied().collect();
        let both = checks.healthy.http_statuses.iter().flatten();
        if let Some(status) = both.copied().find(|status| failing.contains(status)) {
            let message = format!("{status} says that a node works, and that it fails");
            let help = Some("take it out here, or of `unhealthy.http_statuses`".to_owned());
            let (place, path) = (healthy.at("http_statuses"), healthy.path("http_statuses"));
            self.problems.push_at(place, path, message, help);
        }
    }

    fn longest_is_longest(&mut self, passive: &Raw, unhealthy: &Raw, checks: &PassiveChecks) {
        if checks.max_ejection_time >= checks.unhealthy.fail_timeout
            || passive.is_broken("max_ejection_time")
            || unhealthy.is_broken("fail_timeout")
        {
            return;
        }
        let message = "`max_ejection_time` is shorter than `unhealthy.fail_timeout`";
        let help = "the first time is `fail_timeout`, and later ones are longer";
        let place = passive.at("max_ejection_time");
        self.error(place, passive.path("max_ejection_time"), message, help);
    }
}

pub(super) fn statuses(raw: &Raw) -> Option<Vec<u16>> {
    let numbers = raw.ints("http_statuses")?;
    Some(numbers.iter().filter_map(|number| u16::try_from(*number).ok()).collect())
}
