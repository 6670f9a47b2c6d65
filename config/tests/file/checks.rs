//! `upstreams.checks`.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::Checks;
use ferrule_config::{Draft, Problems, read_text};

fn draft(checks: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[routes]]\nuri = '/*'\n[routes.upstream]\n\
         nodes = {{ 'a:1' = 1 }}\n{checks}\n"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

fn checks(text: &str) -> Checks {
    let draft = draft(text).expect("nothing is wrong with it");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    draft.config.upstreams[0].checks.clone()
}

#[test]
fn what_is_not_written_is_the_default() {
    let default = Checks::default();
    for text in ["", "checks = {}", "checks.passive = {}", "checks.passive.healthy = {}"] {
        assert_eq!(checks(text), default, "{text}");
    }
    let passive = default.passive;
    assert_eq!((default.panic_threshold, passive.healthy.successes), (50, 1));
    assert_eq!(passive.healthy.http_statuses, None);
    assert_eq!(passive.max_ejection_time, Duration::from_secs(300));
    let unhealthy = passive.unhealthy;
    assert_eq!(unhealthy.http_statuses, [502, 503, 504]);
    let counts = [unhealthy.tcp_failures, unhealthy.timeouts, unhealthy.http_failures];
    assert_eq!((counts, unhealthy.fail_timeout), ([2, 2, 5], Duration::from_secs(10)));
}

#[test]
fn every_key_is_read() {
    let text = "checks.panic_threshold = 0\n[routes.upstream.checks.passive]\nmax_ejection_time = '1m'\n\
        unhealthy = { http_statuses = [500], http_failures = 1, tcp_failures = 0, timeouts = 254, fail_timeout = 0.5 }\n\
        healthy = { http_statuses = [200, 204], successes = 3 }";
    let checks = checks(text);
    assert_eq!(checks.panic_threshold, 0);
    assert_eq!(checks.passive.max_ejection_time, Duration::from_secs(60));
    let (healthy, unhealthy) = (&checks.passive.healthy, &checks.passive.unhealthy);
    assert_eq!(healthy.http_statuses.as_deref(), Some(&[200, 204][..]));
    assert_eq!((healthy.successes, &*unhealthy.http_statuses), (3, &[500][..]));
    let counts = [unhealthy.http_failures, unhealthy.tcp_failures, unhealthy.timeouts];
    assert_eq!((counts, unhealthy.fail_timeout), ([1, 0, 254], Duration::from_millis(500)));
}

#[test]
fn what_makes_no_sense_is_told() {
    for (text, field, message) in [
        ("checks.panic_threshold = 101", "panic_threshold", "out of range"),
        ("checks.passive.healthy.successes = 0", "passive.healthy.successes", "out of range"),
        (
            "checks.passive.unhealthy.http_statuses = [99]",
            "passive.unhealthy.http_statuses[0]",
            "out of range",
        ),
        (
            "checks.passive.unhealthy.http_statuses = [502, 502]",
            "passive.unhealthy.http_statuses[1]",
            "502 stands here twice",
        ),
        (
            "checks.passive.unhealthy.http_statuses = []",
            "passive.unhealthy.http_statuses",
            "this list is empty",
        ),
        ("checks.passive.unhealthy.http_statuses = 502", "passive.unhealthy.http_statuses", ""),
        (
            "checks.passive.healthy.http_statuses = [200, 503]",
            "passive.healthy.http_statuses",
            "503 says that a node works, and that it fails",
        ),
        (
            "checks.passive.unhealthy.fail_timeout = '10m'",
            "passive.max_ejection_time",
            "shorter than `unhealthy.fail_timeout`",
        ),
        (
            "checks.passive.outliers.interval = 0.5",
            "passive.outliers.interval",
            "shorter than a second",
        ),
        (
            "checks.passive.outliers.latency_factor = 1",
            "passive.outliers.latency_factor",
            "every second node is slower than the median",
        ),
        ("checks.passive.outliers.min_nodes = 2", "passive.outliers.min_nodes", "out of range"),
        ("checks.passive = false", "passive", ""),
    ] {
        let problems = draft(text).map_or_else(|problems| problems, |draft| draft.problems);
        let found: Vec<_> = problems.iter().collect();
        let fits = found.len() == 1
            && found[0].field == format!("routes[0].upstream.checks.{field}")
            && found[0].message.contains(message);
        assert!(fits, "{text}: {problems}");
    }
}

#[test]
fn outliers_are_looked_for_where_that_is_written() {
    assert_eq!(checks("checks.passive = {}").passive.outliers, None);
    let found = checks("checks.passive.outliers = {}").passive.outliers.expect("it is written");
    let (second, milliseconds) = (Duration::from_secs(10), Duration::from_millis(50));
    assert_eq!((found.interval, found.latency_min), (second, milliseconds));
    assert_eq!((found.min_nodes, found.min_requests), (5, 100));
    assert_eq!((found.success_rate_stdev_factor, found.failure_percentage), (1_900, 85));
    assert_eq!((found.latency_factor, found.latency_intervals), (3, 3));
    let text = "[routes.upstream.checks.passive.outliers]\ninterval = '2s'\nmin_nodes = 3\n\
        min_requests = 7\nsuccess_rate_stdev_factor = 0\nfailure_percentage = 100\nlatency_factor = 2\n\
        latency_intervals = 1\nlatency_min = '1ms'";
    let found = checks(text).passive.outliers.expect("it is written");
    let (second, milliseconds) = (Duration::from_secs(2), Duration::from_millis(1));
    assert_eq!((found.interval, found.latency_min), (second, milliseconds));
    assert_eq!((found.min_nodes, found.min_requests), (3, 7));
    assert_eq!((found.success_rate_stdev_factor, found.failure_percentage), (0, 100));
    assert_eq!((found.latency_factor, found.latency_intervals), (2, 1));
}
