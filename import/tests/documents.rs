//! Any bytes: the readers and the importer end with an answer, within their bounds, and keep secrets to themselves.

use std::collections::BTreeSet;

use ferrule_import::apisix::{self, Options};
use ferrule_import::{Node, Outcome, Value, json, yaml};
use proptest::prelude::*;

/// Pieces that documents are made of: the marks of both languages, keys of APISIX's, and what is wrong.
const PIECES: [&str; 44] = [
    "routes:\n",
    "  - ",
    "uri: /a\n",
    "id: 1\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ": ",
    ":",
    "- ",
    "\n",
    "  ",
    "    ",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "|\n",
    ">\n",
    "#END\n",
    "---\n",
    "...\n",
    "? ",
    "~",
    "true",
    "yes",
    "0777",
    "1e9",
    "-1",
    "${{A}}",
    "${{A:=b}}",
    "${{",
    "\t",
    "\u{feff}",
    "\u{0}",
    "\\u00e4",
    "plugins: {cors: {}}\n",
    "upstream: {nodes: {\"127.0.0.1:80\": 1}, type: roundrobin}\n",
    "ssls: [{sni: a, key: SECRET}]\n",
];

fn documents() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.to_vec());
    prop_oneof![
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat()),
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

/// JSON of any shape, with APISIX's keys among its own.
fn values() -> impl Strategy<Value = serde_json::Value> {
    let key = prop::sample::select(vec![
        "routes",
        "uri",
        "uris",
        "upstream",
        "nodes",
        "type",
        "plugins",
        "cors",
        "proxy-rewrite",
        "headers",
        "set",
        "vars",
        "ssls",
        "cert",
        "key",
        "sni",
        "client",
        "ca",
        "timeout",
        "checks",
        "active",
        "passive",
        "limit-count",
        "count",
        "traffic-split",
        "rules",
        "match",
        "weighted_upstreams",
        "id",
        "services/1",
        "routes/1",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (-1_000_000_i32..1_000_000)
            .prop_map(|quarters| serde_json::Value::from(f64::from(quarters) / 4.0 + 0.25)),
        "[ -~]{0,12}".prop_map(serde_json::Value::from),
        prop::sample::select(vec![
            "/a",
            "127.0.0.1:80",
            "$remote_addr",
            "${env:A}",
            "roundrobin",
            "=="
        ])
        .prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|lines| {
                let line = |(key, value): (&str, serde_json::Value)| (key.to_owned(), value);
                serde_json::Value::Object(lines.into_iter().map(line).collect())
            }),
        ]
    })
}

fn as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Flag(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.clone().into(),
        Value::List(nodes) => nodes.iter().map(as_json).collect(),
        Value::Table(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), as_json(&entry.node))).collect()
        }
    }
}

fn import(text: &str) -> ferrule_import::Import {
    let options = Options { source: "apisix.yaml".to_owned(), ..Options::default() };
    apisix::convert(text, &options, &|_| None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in documents()) {
        let _ = yaml::read(&text);
        let _ = json::read(&text);
        let imported = import(&text);
        let report = imported.report.text() + &imported.report.json() + &imported.report.markdown();
        prop_assert!(!report.contains("SECRET"));
        // Nothing half done: what is refused has no configuration, and what is not has one that Ferrule takes.
        let refused = imported.report.outcome() == Outcome::Refused;
        prop_assert_eq!(refused, imported.configuration.is_empty());
    }

    #[test]
    fn json_is_read_as_serde_reads_it_and_as_yaml_reads_it(value in values()) {
        let text = value.to_string();
        let read = json::read(&text).unwrap();
        prop_assert_eq!(&as_json(&read), &value);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        if let Ok(read) = yaml::read(&pretty) {
            prop_assert_eq!(as_json(&read), value);
        }
    }

    #[test]
    fn any_objects_get_an_answer_that_ferrule_takes(value in values()) {
        let imported = import(&value.to_string());
        if imported.report.outcome() != Outcome::Refused {
            let draft = ferrule_config::read_text(
                std::path::Path::new("/f.toml"), imported.configuration.clone(), &|_| Some("-----BEGIN ".to_owned()),
            );
            let problems = draft.map_or_else(|problems| problems, |draft| draft.problems);
            prop_assert!(problems.is_empty(), "{}\n{}", problems, imported.configuration);
        }
    }
}

const WHOLE: &str = r#"
upstreams:
  - id: back
    type: roundrobin
    scheme: https
    nodes: { "10.0.0.1:8443": 2, "[2001:db8::1]:8443": 1 }
services:
  - id: pay
    hosts: [a.example.com]
    upstream_id: back
    plugins:
      client-control: { max_body_size: 5 }
      api-breaker: { break_response_code: 503 }
routes:
  - id: 1
    service_id: pay
    uris: ["/a", "/b/*"]
    methods: [GET]
    vars: [["arg_x", "==", "1"], ["http_a", "!", "~~", "^b$"]]
    plugins: { client-control: { max_body_size: 7 }, proxy-rewrite: { headers: { X-A: "$remote_addr $$" } } }
  - { id: 2, service_id: pay, uri: "/c" }
  - { id: 3, service_id: pay, uri: "/d", status: 0 }
#END
"#;

#[test]
fn a_whole_file_is_converted() {
    let imported = import(WHOLE);
    let report = imported.report.text();
    assert_eq!(imported.report.outcome(), Outcome::Changed, "{report}");
    assert!(
        report.contains("apisix.yaml:3:5: converted: upstreams[0]: [[upstreams]] id = \"back\""),
        "{report}"
    );
    assert!(report.contains("dropped: routes[2]"), "{report}");
    assert!(report.contains("let through"), "{report}");
    let text = &imported.configuration;
    // What a route says itself replaces what its service says, so the others have it from there.
    for wanted in [
        "verify = \"off\"",
        "max_body_size = 7",
        "max_body_size = 5",
        "break_response_code = 503",
        "X-A = \"${remote_addr} $$$$\"",
        "# routes[0], line ",
        "\"[2001:db8::1]:8443\" = 1",
    ] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
    assert_eq!(text.matches("break_response_code").count(), 1, "{text}");
    assert_eq!(text.matches("max_body_size").count(), 2, "{text}");
}

#[test]
fn places_are_those_of_the_source() {
    for (text, wanted) in [
        (
            "routes:\n  - uri: /a\n    colour: red\n",
            "apisix.yaml:3:5: refused: routes[0].colour: there is no such key",
        ),
        (
            "routes:\n  - uri: 5\n",
            "apisix.yaml:2:10: refused: routes[0].uri: this is a whole number, and text is needed",
        ),
        (
            "{\n\"routes/1\": {\"uri\": \"/a\", \"upstream\": {\"nodes\": {\"a:0\": 1}}}}",
            "2:57: refused: routes/1.upstream.nodes.a:0: a node is",
        ),
        (
            "routes: [{uri: /a, plugins: {key-auth: {}}}]",
            "1:40: refused: routes[0].plugins.key-auth: the plugin `key-auth`",
        ),
        // Found by Ferrule's own reader, and said of the object it came from.
        (
            "routes:\n- {uri: /a, upstream: {nodes: {\"a:1\": 1}}}\n- {uri: \"/b*c\", upstream: {nodes: {\"a:1\": 1}}}\n",
            "3:3: refused: routes[1]: `routes[1].uri`",
        ),
        ("a: 1\n b: 2\n", "refused: file: this is no YAML"),
        ("consumers: [{username: a}]\n", "refused: consumers[0]: `plugins` is missing"),
    ] {
        let report = import(text).report.text();
        assert!(report.contains(wanted), "{text}: {report}");
    }
}

#[test]
fn plugins_are_left_out_only_by_name_and_guards_only_with_more() {
    let text =
        "routes: [{uri: /a, upstream: {nodes: {\"a:1\": 1}}, plugins: {echo: {}, key-auth: {}}}]";
    let import = |names: &[&str], knows| {
        let skip_plugins: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        apisix::convert(text, &Options { skip_plugins, knows, ..Options::default() }, &|_| None)
            .report
    };
    assert_eq!(import(&["echo"], false).outcome(), Outcome::Refused);
    let report = import(&["echo", "key-auth"], false);
    assert!(report.text().contains("say --i-know besides"), "{}", report.text());
    let report = import(&["echo", "key-auth"], true);
    assert_eq!(report.outcome(), Outcome::Changed);
    assert!(report.text().contains("`key-auth` kept people out, and nothing does so now"));
}

#[test]
fn a_folder_appears_whole_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n";
    let key = "-----BEGIN PRIVATE KEY-----\\nS3CR3T\\n-----END PRIVATE KEY-----\\n";
    let text = format!(
        "{{\"ssls/1\": {{\"sni\": \"*.a.test\", \"cert\": \"{pem}\", \"key\": \"{key}\"}}}}"
    );
    let imported = import(&text);
    assert!(
        !imported.report.json().contains("S3CR3T") && !imported.configuration.contains("S3CR3T")
    );
    let folder = dir.path().join("new");
    imported.write(&folder).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            entry.file_name().into_string().unwrap()
        })
        .collect();
    names.sort();
    names.retain(|name| !name.ends_with(".html"));
    assert_eq!(names, ["ferrule.toml", "wildcard_a_test.key", "wildcard_a_test.pem"]);
    // Never on top of something, and nothing is left beside it.
    assert!(imported.write(&folder).is_err());
    assert!(import("routes: [{uri: 1}]").write(&dir.path().join("other")).is_err());
    assert!(imported.write(&dir.path().join("no/such/place")).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Only what APISIX itself would put in is put in: no text of the source becomes a variable of Ferrule's file.
#[test]
fn no_text_becomes_a_variable_of_the_environment() {
    let asked = std::cell::RefCell::new(Vec::new());
    let env = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        Some("value".to_owned())
    };
    for dollars in ["$", "$$", "$$$"] {
        let text = format!(
            r#"{{"routes/1": {{"uri": "/a", "desc": "{dollars}{{env:HOME}}", "upstream": {{"nodes": {{"a:1": 1}}}},
            "plugins": {{"proxy-rewrite": {{"headers": {{"X-A": "{dollars}{{env:HOME}}"}}}}}}}}}}"#
        );
        let imported = apisix::convert(&text, &Options::default(), &env);
        assert_ne!(imported.report.outcome(), Outcome::Refused, "{}", imported.report.text());
        let path = std::path::Path::new("/f.toml");
        let draft = ferrule_config::read_text(path, imported.configuration, &env).unwrap();
        let dump = draft.config.dump();
        assert!(dump.contains("env:HOME"), "{dump}");
    }
    assert!(asked.borrow().is_empty(), "{asked:?}");
}

#[test]
fn reports_hold_no_marks_that_a_terminal_obeys() {
    let report = import("{\"routes/1\": {\"\\u001b[2J\\n\": 1, \"uri\": \"/a\"}}").report.text();
    assert!(!report.contains('\u{1b}') && report.contains("there is no such key"), "{report}");
}
