//! Plugins: what requests become, what is refused, and what answers carry.

use ferrule_tests::on_both_drivers;

use super::kit::Home;

/// The plugins that public configurations have most.
const COMMON: &str = r#"
routes:
  - id: rewritten
    uris: [/v1/*]
    methods: [GET, POST]
    plugins:
      proxy-rewrite: {regex_uri: ["^/v1/(.*)", "/api/$1"], host: inside.test, headers: {remove: [X-Debug], set: {X-From: $remote_addr}}}
      cors: {allow_origins: "https://app.test", allow_methods: GET}
      response-rewrite: {headers: {set: {X-Served-By: edge}, remove: [Server]}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - {id: old, uri: /old/*, plugins: {redirect: {regex_uri: ["^/old/(.*)", "/v1/$1"], ret_code: 301}}}
"#;

const LIMITS: &str = r#"
plugin_configs:
  - id: limited
    plugins: {limit-count: {count: 2, time_window: 3600, rejected_code: 429, key: remote_addr, policy: local}}
global_rules:
  - {id: 1, plugins: {client-control: {max_body_size: 8}, request-id: {include_in_response: true}}}
routes:
  - {uri: /counted, plugin_config_id: limited, upstream: {type: roundrobin, nodes: {"@upstream@": 1}}}
  - {uri: /free, upstream: {type: roundrobin, nodes: {"@upstream@": 1}}}
"#;

const RESTRICTIONS: &str = r#"
routes:
  - uri: /agents
    plugins: {ua-restriction: {bypass_missing: true, denylist: ["(Bad)(\\d+)", "^spider$"], message: go away}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - uri: /known
    plugins: {ua-restriction: {allowlist: ["^known/"]}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - uri: /linked
    plugins: {referer-restriction: {whitelist: [shop.test, "*.shop.test"]}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - uri: /unlinked
    plugins: {referer-restriction: {bypass_missing: true, blacklist: ["*.bad.test"]}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - uri: /files/*
    plugins: {uri-blocker: {block_rules: ["root.exe", "root.m+"], case_insensitive: true, rejected_code: 404, rejected_msg: gone}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - uri: /addresses
    plugins: {ip-restriction: {whitelist: [192.0.2.0/24], message: not from there}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
"#;

on_both_drivers! {
    fn requests_and_answers_are_rewritten(driver) {
        let moved = Home::new().start(driver, COMMON, "", 2);
        let answer = moved.plain("-H 'X-Debug: 1' -H 'Origin: https://app.test'", "/v1/items?a=1");
        answer.assert("200");
        assert!(answer.body.starts_with("GET /api/items?a=1 HTTP/1.1"), "{answer:?}");
        assert_eq!(answer.seen("Host"), Some("inside.test"));
        assert_eq!(answer.seen("X-From"), Some("127.0.0.1"));
        assert_eq!(answer.seen("X-Debug"), None);
        assert!(answer.head.contains("access-control-allow-origin: https://app.test"), "{answer:?}");
        assert!(answer.head.contains("x-served-by: edge"), "{answer:?}");
        let answer = moved.plain("", "/old/items");
        answer.assert("301");
        assert!(answer.head.contains("location: /v1/items"), "{answer:?}");
        moved.plain("", "/old").assert("404");
        moved.plain("", "/else").assert("404");
    }

    fn limits_hold_where_they_held(driver) {
        let moved = Home::new().start(driver, LIMITS, "", 0);
        moved.plain("", "/counted").assert("200");
        moved.plain("", "/counted").assert("200");
        moved.plain("", "/counted").assert("429");
        let answer = moved.plain("", "/free");
        answer.assert("200");
        assert!(answer.head.contains("x-request-id: "), "{answer:?}");
        moved.plain("-d 12345678", "/free").assert("200");
        moved.plain("-d 123456789", "/free").assert("413");
    }

    fn restrictions_refuse_whom_they_refused(driver) {
        let moved = Home::new().start(driver, RESTRICTIONS, "", 0);
        for (words, path, status) in [
            ("-A curl/8", "/agents", "200"),
            ("-A Bad12", "/agents", "403"),
            ("-A 'a spider'", "/agents", "200"),
            ("-A spider", "/agents", "403"),
            ("-H 'User-Agent:'", "/agents", "200"),
            ("-A known/1", "/known", "200"),
            ("-A unknown/1", "/known", "403"),
            ("-H 'User-Agent:'", "/known", "403"),
            ("-e https://shop.test/x", "/linked", "200"),
            ("-e http://a.shop.test:81", "/linked", "200"),
            ("-e https://shop.test.evil.test/", "/linked", "403"),
            ("-e https://evil.test/?https://shop.test/", "/linked", "403"),
            ("", "/linked", "403"),
            ("-e nonsense", "/linked", "403"),
            ("-e https://a.bad.test/", "/unlinked", "403"),
            ("-e https://good.test/", "/unlinked", "200"),
            ("", "/unlinked", "200"),
            ("", "/files/a.txt", "200"),
            ("", "/files/ROOT.exe", "404"),
            ("", "/files/r%6fot.exe", "404"),
            ("", "/files/a?x=root.mmm", "404"),
            ("", "/addresses", "403"),
        ] {
            let answer = moved.plain(words, path);
            assert_eq!(answer.status, status, "{words} {path}: {answer:?}");
        }
        let body = |words: &str, path: &str| moved.plain(words, path).body.trim_end().to_owned();
        assert_eq!(body("-A spider", "/agents"), r#"{"message":"go away"}"#);
        assert_eq!(body("", "/files/root.exe"), r#"{"error_msg":"gone"}"#);
        assert_eq!(body("", "/addresses"), r#"{"message":"not from there"}"#);
    }
}
