//! What is told about `limits`: APISIX's rules, and a few that it lacks.

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::{LimitKind, LimitNumberKey, LimitRule, RequestLimit, WindowType};
use ferrule_config::{Draft, read_text};

#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn draft(rule: &str, service: &str, route: &str) -> Draft {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n\
         [[global_rules]]\n{rule}\n[[services]]\nid = 's'\nupstream_id = 'u'\n{service}\n\
         [[routes]]\nuri = '/*'\nservice_id = 's'\n{route}\n[[routes]]\nuri = '/b'\nservice_id = 's'\n"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None).unwrap()
}

fn whole(rule: &str, service: &str, route: &str) -> Draft {
    let draft = draft(rule, service, route);
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    draft
}

fn limits(draft: &Draft, route: usize) -> &[RequestLimit] {
    &draft.config.routes[route].limits
}

const COUNT: &str = "limits.requests = { count = 2, window = 60, key = '$remote_addr' }";
const RATE: &str = "limits.rate = { rate = 0.1, key = '$remote_addr' }";
const CONN: &str = "limits.connections = { connections = 1, key = '$remote_addr' }";

#[test]
fn defaults_are_apisix_s() {
    let draft = whole("", "", &[COUNT, RATE, CONN].join("\n"));
    let [conn, count, rate] = limits(&draft, 0) else { panic!("{:?}", limits(&draft, 0)) };
    for limit in [conn, count, rate] {
        assert_eq!((limit.status, &limit.message, &limit.group), (503, &None, &None));
        assert_eq!(limit.key.to_string(), "${remote_addr}");
    }
    let LimitRule::Requests(rule) = count.rule else { panic!("{count:?}") };
    assert_eq!((rule.count, rule.window), (2, Duration::from_secs(60)));
    assert_eq!((rule.window_type, rule.show_headers), (WindowType::Fixed, true));
    let LimitRule::Rate(rule) = rate.rule else { panic!("{rate:?}") };
    assert_eq!((rule.rate_thousandths, rule.burst_thousandths, rule.nodelay), (100, 0, false));
    let LimitRule::Connections(rule) = conn.rule else { panic!("{conn:?}") };
    assert_eq!((rule.connections, rule.burst, rule.only_use_default_delay), (1, 0, false));
    assert!(limits(&draft, 1).is_empty());
}

/// What a service or a rule says is one counter for all of its routes.
#[test]
fn a_routes_limits_replace_its_services_and_rules_hold_besides() {
    let draft = whole(CONN, COUNT, RATE);
    let groups = |route| -> Vec<_> {
        let each = limits(&draft, route).iter();
        each.map(|limit| (limit.rule.kind(), limit.group.as_deref())).collect()
    };
    let global = (LimitKind::Connections, Some("global_rules[0] connections[0]"));
    assert_eq!(groups(0), [global, (LimitKind::Rate, None)]);
    assert_eq!(groups(1), [global, (LimitKind::Requests, Some("services s requests[0]"))]);
    // The dump says the same.
    let dump = draft.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
    for route in [0, 1] {
        let (one, other) = (limits(&draft, route), limits(&again, route));
        assert_eq!(one.len(), other.len(), "{dump}");
        for (one, other) in one.iter().zip(other) {
            assert!(one.says_the_same(other) && one.group == other.group, "{dump}");
        }
    }
}

#[test]
fn limits_that_make_no_sense_are_told() {
    for (keys, field, message) in [
        ("limits = {}", "limits", "nothing is limited"),
        ("limits.requests = { window = 60, key = '$host' }", "count", "`count` is missing"),
        ("limits.requests = { count = -100, window = 60, key = '$host' }", "count", "out of range"),
        ("limits.requests = { count = 0, window = 60, key = '$host' }", "count", "out of range"),
        ("limits.requests = { count = 1, window = 0, key = '$host' }", "window", "nothing"),
        ("limits.requests = { count = 1, window = 60 }", "key", "`key` is missing"),
        ("limits.requests = { count = 1, window = 60, key = 'all' }", "key", "no variable"),
        ("limits.requests = { count = 1, window = 60, key = '$status' }", "key", "not known"),
        (
            "limits.requests = { count = 1, window = 60, key = '$nothing' }",
            "key",
            "there is no variable",
        ),
        (
            "limits.requests = { count = 1, window = 60, key = '$host', message = '' }",
            "message",
            "empty",
        ),
        (
            "limits.requests = { count = 1, window = 60, key = '$host', message = true }",
            "message",
            "boolean",
        ),
        (
            "limits.requests = { count = 1, window = 60, key = '$host', status = 200 }",
            "status",
            "range",
        ),
        (
            "limits.requests = { count = 1, window = 60, key = '$host', policy = 'redis' }",
            "policy",
            "`[[stores]]`",
        ),
        (
            "limits.requests = { count = 1, window = 60, key = '$host', group = ' ' }",
            "group",
            "nothing",
        ),
        ("limits.rate = { rate = -1, key = '$host' }", "rate", "no such number"),
        ("limits.rate = { rate = 0, key = '$host' }", "rate", "no such number"),
        ("limits.rate = { rate = 0.0001, key = '$host' }", "rate", "no such number"),
        ("limits.rate = { rate = '1r/s', key = '$host' }", "rate", "a number is wanted"),
        ("limits.rate = { rate = 0.1, burst = 7, key = '$host' }", "burst", "held back for 70 s"),
        ("limits.connections = { connections = -1, key = '$host' }", "connections", "out of range"),
        (
            "limits.connections = { connections = 1, burst = 1, key = '$host' }",
            "delay",
            "needs `delay`",
        ),
        (
            "limits.connections = { connections = 1, delay = 1, key = '$host' }",
            "delay",
            "there is none",
        ),
        (
            "limits.connections = { connections = 1, burst = 100, delay = 1, key = '$host' }",
            "burst",
            "held back for 100 s",
        ),
    ] {
        let problems = draft("", "", keys).problems.to_string();
        let told = problems.contains(message) && problems.contains(field);
        assert!(told, "{keys}: {problems}");
    }
}

/// Numbers that requests say stand beside those that hold otherwise, and come from what is known by then.
#[test]
fn numbers_may_come_from_requests() {
    let title = "$ssl_client_s_dn_title";
    let lines = [
        format!(
            "limits.requests = {{ count = 2, count_from = '{title}', window = 60, window_from = '{title}', key = '$host' }}"
        ),
        format!(
            "limits.rate = {{ rate = 1, rate_from = '{title}', burst_from = '{title}', key = '$host' }}"
        ),
        format!(
            "limits.connections = {{ connections = 1, connections_from = '{title}', burst_from = '{title}', delay = 1, key = '$host' }}"
        ),
    ];
    let found = whole("", "", &lines.join("\n"));
    let keys = limits(&found, 0).iter().flat_map(|limit| limit.numbers.iter().map(|one| one.key));
    let wanted = [
        LimitNumberKey::Connections,
        LimitNumberKey::Burst,
        LimitNumberKey::Count,
        LimitNumberKey::Window,
        LimitNumberKey::Rate,
        LimitNumberKey::Burst,
    ];
    assert_eq!(keys.collect::<Vec<_>>(), wanted);
    let dump = found.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    for (one, other) in limits(&found, 0).iter().zip(limits(&again, 0)) {
        assert!(one.says_the_same(other), "{dump}");
    }
    let plain = whole("", "", COUNT);
    assert!(!limits(&plain, 0)[0].says_the_same(&limits(&found, 0)[1]));
    for (keys, message) in [
        (
            "limits.requests = { count_from = '$http_a', window = 60, key = '$host' }",
            "`count` is missing",
        ),
        (
            "limits.requests = { count = 1, count_from = '5', window = 60, key = '$host' }",
            "no variable",
        ),
        (
            "limits.requests = { count = 1, count_from = '$status', window = 60, key = '$host' }",
            "not known",
        ),
        (
            "limits.connections = { connections = 1, burst_from = '$http_a', key = '$host' }",
            "needs `delay`",
        ),
        ("limits.rate = { rate = 1, count_from = '$http_a', key = '$host' }", "unknown"),
    ] {
        let told = draft("", "", keys).problems.to_string();
        assert!(told.contains(message), "{keys}: {told}");
    }
    let chosen =
        "limits.requests = { count = 1, count_from = '$http_a', window = 60, key = '$host' }";
    let found = draft("", "", chosen);
    let told = found.problems.warnings().any(|one| one.message.contains("chooses his own limit"));
    assert!(told, "{}", found.problems);
}

const KEYS: [LimitNumberKey; 5] = [
    LimitNumberKey::Count,
    LimitNumberKey::Window,
    LimitNumberKey::Rate,
    LimitNumberKey::Connections,
    LimitNumberKey::Burst,
];

/// Each number keeps the range that it has in the file.
#[test]
fn a_rule_takes_numbers_of_its_range() {
    let draft = whole("", "", &[COUNT, RATE, CONN].join("\n"));
    let rules: Vec<_> = limits(&draft, 0).iter().map(|limit| limit.rule).collect();
    for rule in rules {
        for key in KEYS {
            let (min, max) = match (rule, key) {
                (LimitRule::Requests(_), LimitNumberKey::Count | LimitNumberKey::Window) => {
                    (1, 1_000_000_000)
                }
                (LimitRule::Rate(_), LimitNumberKey::Rate) => (1, 1_000_000_000_000),
                (LimitRule::Rate(_), LimitNumberKey::Burst) => (0, 1_000_000_000_000),
                (LimitRule::Connections(_), LimitNumberKey::Connections) => (1, 1_000_000),
                (LimitRule::Connections(_), LimitNumberKey::Burst) => (0, 1_000_000),
                _ => (u64::MAX, 0),
            };
            for number in [
                0,
                1,
                2,
                1_000_000,
                1_000_001,
                1_000_000_000,
                1_000_000_001,
                1_000_000_000_000,
                1_000_000_000_001,
                u64::MAX,
            ] {
                let taken = rule.with_number(key, number);
                assert_eq!(
                    taken.is_some(),
                    (min..=max).contains(&number),
                    "{rule:?} {key:?} {number}"
                );
            }
        }
    }
}

#[test]
fn limits_that_hold_nobody_back_for_long_are_taken() {
    for keys in [
        "limits.rate = { rate = 0.1, burst = 0.1, key = '$host' }",
        "limits.rate = { rate = 0.1, burst = 7, nodelay = true, key = '$host' }",
        "limits.connections = { connections = 10, burst = 5, delay = '100ms', key = '$host' }",
    ] {
        whole("", "", keys);
    }
}

/// As APISIX: `group conf mismatched`.
#[test]
fn entries_of_a_group_say_the_same() {
    let entry = |count: u32, key: &str| {
        format!("limits.requests = {{ count = {count}, window = 60, key = '{key}', group = 'g' }}")
    };
    whole(&entry(1, "$remote_addr"), "", &entry(1, "$remote_addr"));
    for other in [entry(2, "$remote_addr"), entry(1, "$host")] {
        let problems = draft(&entry(1, "$remote_addr"), "", &other).problems.to_string();
        assert!(problems.contains("the group `g` says something else"), "{problems}");
    }
    // Another kind counts something else.
    let rate = "limits.rate = { rate = 1, key = '$host', group = 'g' }";
    whole(&entry(1, "$remote_addr"), "", rate);
}
