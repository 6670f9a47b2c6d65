//! What objects of APISIX's say beside their plugins, and what plugins say of objects of their own.

use ferrule_import::apisix::{self, Options};
use ferrule_import::{Import, Kind, Outcome};

fn import(text: &str) -> Import {
    let options = Options { source: "apisix.yaml".to_owned(), ..Options::default() };
    apisix::convert(text, &options, &|_| None)
}

fn plugin(plugin: &str) -> String {
    format!(
        "routes: [{{id: 1, uri: /a, plugins: {{{plugin}}}, upstream: {{nodes: {{\"127.0.0.1:1980\": 1}}}}}}]"
    )
}

/// It is converted, and has each of these lines.
fn assert_lines(text: &str, lines: &[&str]) {
    let made = import(text);
    assert_ne!(made.report.outcome(), Outcome::Refused, "{}\n{text}", made.report.text());
    for line in lines {
        let has = made.configuration.lines().any(|there| there == *line);
        assert!(has, "{line:?} is not in:\n{}", made.configuration);
    }
}

#[test]
fn a_split_says_what_its_plugin_says() {
    // Without rules nothing is split.
    for empty in ["traffic-split: {}", "traffic-split: {rules: []}"] {
        let made = import(&plugin(empty));
        assert!(made.configuration.contains("[[routes]]"), "{}", made.report.text());
        assert!(!made.configuration.contains("traffic_split"), "{empty}");
    }
    let split = |upstream: &str| {
        let rule = format!(
            "traffic-split: {{rules: [{{weighted_upstreams: [{{upstream: {{{upstream}}}}}]}}]}}"
        );
        plugin(&rule)
    };
    for (nodes, host) in [
        ("nodes: {\"a.test:81\": 1}", "a.test"),
        ("nodes: {\"a.test\": 1}", "a.test"),
        ("nodes: [{host: a.test, port: 81, weight: 1}]", "a.test"),
        ("nodes: {\"[::1]:81\": 1}", "[::1]"),
    ] {
        let made = split(&format!("pass_host: node, {nodes}"));
        assert_lines(&made, &["pass_host = \"rewrite\"", &format!("upstream_host = \"{host}\"")]);
    }
    // Which of several it will be is not known, and with a scheme the port is sent.
    for upstream in [
        "pass_host: node, nodes: {\"a.test:81\": 1, \"b.test:81\": 1}",
        "pass_host: node, scheme: http, nodes: {\"a.test:81\": 1}",
    ] {
        assert_lines(&split(upstream), &["pass_host = \"node\""]);
    }
}

#[test]
fn origins_that_have_names_stand_where_the_names_are_used() {
    let metadata = "{id: cors, allow_origins: {a: \"https://a.test\", b: \"https://b.test,https://c.test\", all: \"*\"}}";
    let with = |cors: &str| {
        format!("{}\nplugin_metadata: [{metadata}]", plugin(&format!("cors: {{{cors}}}")))
    };
    for (cors, origins) in [
        (
            "allow_origins: \"https://x.test\", allow_origins_by_metadata: [a, b]",
            "https://x.test,https://a.test,https://b.test,https://c.test",
        ),
        (
            "allow_origins: \"https://x.test\", allow_origins_by_metadata: [a, none]",
            "https://x.test,https://a.test",
        ),
        ("allow_origins: \"https://x.test\", allow_origins_by_metadata: [all]", "**"),
        ("allow_origins: \"*\", allow_origins_by_metadata: [a]", "*"),
        ("allow_origins_by_metadata: [a]", "*"),
    ] {
        assert_lines(&with(cors), &[&format!("allow_origins = \"{origins}\"")]);
    }
    let told =
        import(&with("allow_origins: \"https://x.test\", allow_origins_by_metadata: [none]"));
    let says = |kind| {
        told.report
            .findings
            .iter()
            .any(|finding| finding.kind == kind && finding.message.contains("has no such name"))
    };
    assert!(says(Kind::Changed), "{}", told.report.text());
    for refused in [
        with("allow_origins_by_metadata: [a], allow_origins_by_regex: [\"a$\"]"),
        format!("{}\nplugin_metadata: [{{id: cors, origins: 1}}]", plugin("cors: {}")),
        format!("{}\nplugin_metadata: [{{id: http-logger}}]", plugin("cors: {}")),
        format!("{}\nplugin_metadata: [{metadata}, {metadata}]", plugin("cors: {}")),
    ] {
        assert_eq!(import(&refused).report.outcome(), Outcome::Refused, "{refused}");
    }
}

/// With `--drop-invalid` as well: APISIX takes them, and a route that is left out would answer 404.
#[test]
fn what_apisix_takes_and_has_no_counterpart_is_refused_and_not_left_out() {
    for given in [
        plugin("limit-count: {rules: [{count: 1, time_window: 10, key: \"${http_user}\"}]}"),
        plugin(
            "limit-conn: {default_conn_delay: 0.1, rules: [{conn: 1, burst: 0, key: \"${http_user}\"}]}",
        ),
        format!(
            "consumers: [{{username: jack, plugins: {{cert-auth: {{cn: Jack}}}}}}]\n{}",
            plugin("cors: {}").replace("{nodes:", "{type: chash, hash_on: consumer, nodes:")
        ),
    ] {
        let options =
            Options { source: "apisix.yaml".to_owned(), drop_invalid: true, ..Options::default() };
        let made = apisix::convert(&given, &options, &|_| None);
        assert_eq!(made.report.outcome(), Outcome::Refused, "{given}\n{}", made.configuration);
        assert!(!made.report.text().contains("left out"), "{}", made.report.text());
    }
}

#[test]
fn conditions_have_other_spellings() {
    let with =
        |vars: &str| plugin("cors: {}").replace("uri: /a", &format!("uri: /a, vars: {vars}"));
    for (vars, wanted) in [
        ("[[http_a, IN, [b]]]", r#"vars = [["http_a", "in", ["b"]]]"#),
        ("[[arg_a, HAS, b]]", r#"vars = [["arg_a", "has", "b"]]"#),
        (
            "[[remote_addr, IPMATCH, [10.0.0.0/8]]]",
            r#"vars = [["remote_addr", "ipmatch", ["10.0.0.0/8"]]]"#,
        ),
        ("[[http_a, \"==\", null]]", r#"vars = [["http_a", "==", ""]]"#),
        ("[[http_a, \"~=\", null]]", r#"vars = [["http_a", "~=", ""]]"#),
        ("[[query_string, \"==\", b]]", r#"vars = [["args", "==", "b"]]"#),
    ] {
        assert_lines(&with(vars), &[wanted]);
    }
    for vars in ["[[http_a, \">\", null]]", "[[http_a, In, [b]]]"] {
        assert_eq!(import(&with(vars)).report.outcome(), Outcome::Refused, "{vars}");
    }
}
