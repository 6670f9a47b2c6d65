//! What the importer makes of `filters` of APISIX's `response-rewrite`.

use ferrule_import::apisix::{self, Options};
use ferrule_import::{Import, Outcome};

fn import(plugin: &str) -> Import {
    let text = format!(
        "routes: [{{id: 1, uri: /a, plugins: {{{plugin}}}, upstream: {{type: roundrobin, nodes: {{\"127.0.0.1:1980\": 1}}}}}}]"
    );
    let options = Options { source: "apisix.yaml".to_owned(), ..Options::default() };
    apisix::convert(&text, &options, &|_| None)
}

#[test]
fn filters_of_bodies_are_converted_or_refused() {
    let given = r#"response-rewrite: {filters: [{regex: "a(b)$", replace: "$1c$$", options: joi}, {regex: "x", replace: "", scope: global}], max_resp_body_size: 9}"#;
    let made = import(given);
    assert_ne!(made.report.outcome(), Outcome::Refused, "{}", made.report.text());
    let made = made.configuration;
    for line in [
        r"regex = '(?i)a(b)(?P<last_line_break>\n?)$'",
        r#"replace = "$${1}c$$$${last_line_break}""#,
        r#"regex = "x""#,
        r#"scope = "global""#,
        r#"filter_oversize = "cut""#,
        "filter_max_body_size = 9",
    ] {
        assert!(made.lines().any(|there| there == line), "{line:?} is not in:\n{made}");
    }
    for (regex, options, wanted) in [
        ("(?:a|b)$", "", r"regex = '(?:a|b)(?P<last_line_break>\n?)$'"),
        ("(?<n>a)$", "", r"regex = '(?<n>a)(?P<last_line_break>\n?)$'"),
        ("(?i)a$", "", r"regex = '(?i)a(?P<last_line_break>\n?)$'"),
        ("(?m)a$", "", r#"regex = "(?m)a$""#),
        ("(?:a|b)$", ", options: m", r#"regex = "(?m)(?:a|b)$""#),
    ] {
        let given = format!(
            r#"response-rewrite: {{filters: [{{regex: "{regex}", replace: c{options}}}]}}"#
        );
        let made = import(&given);
        assert_ne!(made.report.outcome(), Outcome::Refused, "{}", made.report.text());
        let made = made.configuration;
        assert!(made.lines().any(|there| there == wanted), "{wanted:?} is not in:\n{made}");
    }
    for refused in [
        r#"{filters: [{regex: "a(?=b)", replace: c}]}"#,
        r#"{filters: [{regex: "a", replace: "$"}]}"#,
        r#"{filters: [{regex: "a$|b", replace: c}]}"#,
        r#"{filters: [{regex: "(?:a$|b)", replace: c}]}"#,
        r#"{filters: [{regex: "(?m:a)$", replace: c}]}"#,
        r#"{filters: [{regex: "(?-m)a$", replace: c, options: m}]}"#,
        "{filters: [{regex: a, replace: c, options: x}]}",
        "{filters: [{regex: a, replace: c, options: h}]}",
        "{filters: [{regex: a, replace: c, scope: two}]}",
        "{filters: [{regex: a}]}",
        "{filters: []}",
        "{filters: [{regex: a, replace: c}], body: d}",
    ] {
        let import = import(&format!("response-rewrite: {refused}"));
        assert_eq!(import.report.outcome(), Outcome::Refused, "{refused}");
    }
}
