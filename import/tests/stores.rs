//! `policy: redis` of `limit-count` becomes a `[[stores]]`; what cannot be counted there is refused.

use ferrule_import::apisix::{self, Options};
use ferrule_import::{Import, Outcome};

fn import(plugins: &str) -> Import {
    let options = Options { source: "apisix.yaml".to_owned(), ..Options::default() };
    let text = format!(
        "routes:\n  - uri: /a\n    plugins: {plugins}\n    upstream: {{nodes: {{\"127.0.0.1:80\": 1}}, type: roundrobin}}\n  \
         - uri: /b\n    plugins: {plugins}\n    upstream: {{nodes: {{\"127.0.0.1:80\": 1}}, type: roundrobin}}\n"
    );
    apisix::convert(&text, &options, &|name| (name == "PW").then(|| "s3cret".to_owned()))
}

fn count(more: &str) -> Import {
    import(&format!("{{limit-count: {{count: 2, time_window: 60, {more}}}}}"))
}

#[test]
fn a_server_becomes_one_store_that_limits_share() {
    let imported = count(
        "policy: redis, redis_host: redis.internal, redis_port: 6380, redis_username: gate, redis_password: s3cret, \
         redis_database: 2, redis_timeout: 250, redis_ssl: true, redis_ssl_verify: true, sync_interval: 0.5, \
         allow_degradation: true, redis_keepalive_timeout: 1000, redis_keepalive_pool: 5",
    );
    let (report, text) = (imported.report.text(), &imported.configuration);
    assert_ne!(imported.report.outcome(), Outcome::Refused, "{report}");
    for wanted in [
        "nodes = \"redis.internal:6380\"",
        "username = \"gate\"",
        "database = 2",
        "timeout = \"250ms\"",
        "sync_interval = \"500ms\"",
        "ca = \"system\"",
        "store = \"redis-1\"",
        "allow_degradation = true",
        "group = \"routes[1].plugins.limit-count\"",
    ] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    assert_eq!(text.matches("[[stores]]").count(), 1, "{text}");
    assert!(
        report.contains("password stands in the file") && !report.contains("s3cret"),
        "{report}"
    );
}

#[test]
fn defaults_are_kept_or_told() {
    let imported = count(
        "policy: redis, redis_host: \"::1\", redis_ssl: true, redis_password: $ENV://PW, group: mine",
    );
    let (report, text) = (imported.report.text(), &imported.configuration);
    for wanted in ["\"[::1]:6379\"", "${env:PW}", "verify = \"off\"", "group = \"mine\""] {
        assert!(text.contains(wanted), "{wanted}:\n{text}\n{report}");
    }
    assert!(
        report.contains("asks the store for every request") && report.contains("not verified"),
        "{report}"
    );
    assert!(!text.contains("s3cret") && !report.contains("s3cret"));
}

#[test]
fn a_cluster_is_one_store() {
    let imported = count(
        "policy: redis-cluster, redis_cluster_name: c, redis_cluster_nodes: [\"a:1\", \"b:2\"]",
    );
    let text = &imported.configuration;
    assert!(text.contains("policy = \"redis-cluster\""), "{text}\n{}", imported.report.text());
    assert!(text.contains("a:1") && text.contains("b:2"), "{text}");
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    for (plugins, wanted) in [
        ("{limit-count: {count: 2, time_window: 60, policy: redis}}", "`redis_host` is missing"),
        ("{limit-count: {count: 2, time_window: 60, policy: redis-sentinel}}", "redis-sentinel"),
        (
            "{limit-count: {count: 2, time_window: 60, policy: redis, redis_host: a, sync_interval: 0.01}}",
            "no interval",
        ),
        (
            "{limit-count: {count: 2, time_window: 60, policy: redis, redis_host: a, redis_password: $secret://x}}",
            "no secret manager",
        ),
        ("{limit-count: {count: 2, time_window: 60, redis_host: a}}", "redis_host"),
        (
            "{limit-req: {rate: 1, burst: 0, key: remote_addr, policy: redis}}",
            "within milliseconds",
        ),
        (
            "{limit-conn: {conn: 1, burst: 0, default_conn_delay: 1, key: remote_addr, policy: redis-cluster}}",
            "within milliseconds",
        ),
    ] {
        let imported = import(plugins);
        let report = imported.report.text();
        assert_eq!(imported.report.outcome(), Outcome::Refused, "{plugins}: {report}");
        assert!(report.contains(wanted), "{plugins}: {report}");
    }
}
