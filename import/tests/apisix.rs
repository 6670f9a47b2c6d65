//! What the importer makes of objects of APISIX's, and what it says about them: read back as Ferrule reads it.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::collections::BTreeSet;

use ferrule_import::apisix::{self, Options};
use ferrule_import::{Finding, Import, Kind, Outcome};

const UPSTREAM: &str = "upstream: {type: roundrobin, nodes: {\"127.0.0.1:1980\": 1}}";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\\nMAA=\\n-----END PRIVATE KEY-----";

fn import_with(text: &str, options: &Options) -> Import {
    let text = text
        .replace("@upstream@", UPSTREAM)
        .replace("@pair@", &format!("cert: \"{CERTIFICATE}\", key: \"{KEY}\""))
        .replace("@ca@", &format!("ca: \"{CERTIFICATE}\""));
    apisix::convert(&text, options, &|_| None)
}

fn import(text: &str) -> Import {
    let options = Options { source: "apisix.yaml".to_owned(), ..Options::default() };
    import_with(text, &options)
}

fn drop_invalid(text: &str) -> Import {
    let options =
        Options { source: "apisix.yaml".to_owned(), drop_invalid: true, ..Options::default() };
    import_with(text, &options)
}

fn has(import: &Import, kind: Kind, words: &str) -> bool {
    let of_kind = |finding: &&Finding| finding.kind == kind;
    import.report.findings.iter().filter(of_kind).any(|finding| finding.message.contains(words))
}

/// The lines that the route `/a` became.
fn configuration(text: &str) -> String {
    let import = import(text);
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}\n{text}", import.report.text());
    import.configuration
}

fn plugin(plugin: &str) -> String {
    format!("routes: [{{id: 1, uri: /a, plugins: {{{plugin}}}, @upstream@}}]")
}

/// Each of these lines, in any order.
fn assert_lines(configuration: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            configuration.lines().any(|there| there == *line),
            "{line:?} is not in:\n{configuration}"
        );
    }
}

#[test]
fn restrictions_become_refusals() {
    for (given, lines) in [
        (
            "ua-restriction: {denylist: [\"(Baidu)(\\\\d+)\", bot]}",
            vec![
                r#"vars = [["OR", ["http_user_agent", "==", ""], ["http_user_agent", "~~", '(?:(Baidu)(\d+))|(?:bot)']]]"#,
                "status = 403",
                r#"body = '{"message":"Not allowed"}'"#,
            ],
        ),
        (
            "ua-restriction: {bypass_missing: true, allowlist: [curl], message: no}",
            vec![
                r#"vars = [["http_user_agent", "~=", ""], ["http_user_agent", "!", "~~", "(?:curl)"]]"#,
                r#"body = '{"message":"no"}'"#,
            ],
        ),
        (
            "referer-restriction: {whitelist: [a.com, \"*.b.com\"]}",
            vec![
                r#"vars = [["http_referer", "!", "~~", '^(?:https?:)?//(?:a\.com|[^\[\]:/?]*\.b\.com)(?:[\[\]:/?]|$)']]"#,
                r#"body = '{"message":"Your referer host is not allowed"}'"#,
            ],
        ),
        (
            "uri-blocker: {block_rules: [\"root.exe\", \"select.+from\"], rejected_code: 404, rejected_msg: gone}",
            vec![
                r#"vars = [["OR", ["uri", "~~", "(?:root.exe)|(?:select.+from)"], ["request_uri", "~~", "(?:root.exe)|(?:select.+from)"]]]"#,
                "status = 404",
                r#"body = '{"error_msg":"gone"}'"#,
            ],
        ),
    ] {
        let made = configuration(&plugin(given));
        assert!(made.contains("[[routes.refuse]]") || made.contains("[routes.refuse]"), "{made}");
        assert_lines(&made, &lines);
    }
}

#[test]
fn answers_of_plugins_become_answers_of_routes() {
    let made = configuration(&plugin(
        "mocking: {response_example: \"a $remote_addr\", response_status: 201, content_type: text/plain, with_mock_header: false}",
    ));
    assert_lines(
        &made,
        &[
            "[routes.return]",
            "status = 201",
            "body = \"a ${remote_addr}\"",
            "content_type = \"text/plain\"",
        ],
    );
    let made = configuration(&plugin(
        "fault-injection: {abort: {http_status: 403, body: no, headers: {X-A: 1}}}",
    ));
    assert_lines(&made, &["status = 403", "body = \"no\"", "X-A = \"1\""]);
    for refused in [
        "mocking: {response_schema: {type: object}}",
        "mocking: {response_example: a, delay: 1}",
        "fault-injection: {delay: {duration: 1}}",
        "fault-injection: {abort: {http_status: 500, percentage: 50}}",
        "fault-injection: {abort: {http_status: 500, vars: [[[\"arg_a\", \"==\", \"b\"]]]}}",
        "mocking: {response_example: a}, fault-injection: {abort: {http_status: 500}}",
    ] {
        assert_eq!(import(&plugin(refused)).report.outcome(), Outcome::Refused, "{refused}");
    }
}

/// Three consumers, and a name that asks for certificates.
fn consumers() -> String {
    String::from(
        "\nssls: [{sni: a.test, @pair@, client: {@ca@}}]\nconsumers:\n  \
         - {username: jack, plugins: {cert-auth: {identifier: jack.example.com}}}\n  \
         - {username: rose, plugins: {cert-auth: {cn: Rose}}}\n  \
         - {username: ship, plugins: {cert-auth: {identifier: \"012345\"}}}\n",
    )
}

#[test]
fn consumers_by_certificate_become_lists() {
    for (plugins, allow, deny) in [
        (
            "cert-auth: {}, consumer-restriction: {whitelist: [jack, rose]}",
            r#"["DNS:jack.example.com", "serialNumber=jack.example.com", "CN=Rose"]"#,
            None,
        ),
        (
            "consumer-restriction: {blacklist: [jack]}, cert-auth: {}",
            r#"["CN=Rose", "serialNumber=012345"]"#,
            Some(r#"["DNS:jack.example.com", "serialNumber=jack.example.com"]"#),
        ),
        (
            "cert-auth: {}",
            r#"["DNS:jack.example.com", "serialNumber=jack.example.com", "CN=Rose", "serialNumber=012345"]"#,
            None,
        ),
    ] {
        let document = plugin(plugins) + &consumers();
        let made: toml::Table = configuration(&document).parse().expect("TOML");
        let client = &made["routes"][0]["client"];
        let list = |key: &str| client.get(key).map(|list| format!("{list}"));
        assert_eq!(list("allow").as_deref(), Some(allow), "{plugins}");
        assert_eq!(list("deny").as_deref(), deny, "{plugins}");
        assert!(has(&import(&document), Kind::Security, "searched the subject as text"));
    }
}

#[test]
fn consumers_that_no_certificate_tells_are_refused() {
    for document in [
        plugin("cert-auth: {}"),
        plugin("consumer-restriction: {whitelist: [jack]}") + &consumers(),
        plugin("cert-auth: {}, consumer-restriction: {whitelist: [nobody]}") + &consumers(),
        plugin("cert-auth: {}, consumer-restriction: {type: route_id, whitelist: [\"1\"]}")
            + &consumers(),
        plugin("") + "\nconsumers: [{username: jack, plugins: {key-auth: {key: SECRET}}}]",
        plugin("") + "\nconsumers: [{username: jack, plugins: {cert-auth: {cn: \"*\"}}}]",
        plugin("") + "\nconsumers: [{username: jack, group_id: 1, plugins: {cert-auth: {cn: a}}}]",
    ] {
        let import = import(&document);
        assert_eq!(import.report.outcome(), Outcome::Refused, "{document}");
        assert!(!import.report.text().contains("SECRET"), "{document}");
    }
}

/// The answer that the only route gives by itself.
fn answer(text: &str) -> Option<i64> {
    assert_eq!(
        import(text).report.outcome(),
        Outcome::Refused,
        "refused without --drop-invalid: {text}"
    );
    let import = drop_invalid(text);
    assert_eq!(import.report.outcome(), Outcome::Changed, "{}\n{text}", import.report.text());
    let made: toml::Table = import.configuration.parse().expect("TOML");
    made.get("routes")?.get(0)?.get("return")?.get("status")?.as_integer()
}

#[test]
fn what_apisix_overlooks_is_left_out_on_demand() {
    let wrong = "services: [{id: 1, plugins: {proxy-rewrite: {uri: 1}}, @upstream@}]\n";
    let hashed =
        "upstreams: [{id: 1, type: chash, hash_on: header, key: $a, nodes: {\"a.test:80\": 1}}]\n";
    for (document, status) in [
        ("routes: [{uri: /a, service_id: 7}]".to_owned(), Some(404)),
        (format!("{wrong}routes: [{{uri: /a, service_id: 1}}]"), Some(404)),
        ("routes: [{uri: /a, upstream_id: 7}]".to_owned(), Some(502)),
        (format!("{hashed}routes: [{{uri: /a, upstream_id: 1}}]"), Some(502)),
        ("routes: [{uri: /a, plugin_config_id: 7, @upstream@}]".to_owned(), Some(503)),
        ("services: [{id: 1, upstream_id: 7}]\nroutes: [{uri: /a, service_id: 1}]".to_owned(), Some(502)),
        ("routes: [{uri: /a, upstream: {nodes: []}}]".to_owned(), Some(503)),
        ("routes: [{uri: /a, upstream: {nodes: {\"a.test:80\": 0}}}]".to_owned(), Some(502)),
        ("routes: [{uri: /a, upstream: {nodes: {\"::1:80\": 1}}}]".to_owned(), Some(502)),
        (
            "routes: [{uri: /a, upstream: {scheme: https, nodes: {\"a.test:443\": 1}, tls: {client_cert_id: 7}}}]"
                .to_owned(),
            Some(502),
        ),
        (
            plugin("traffic-split: {rules: [{weighted_upstreams: [{upstream: {nodes: {\"a.test:80\": 0}}}]}]}"),
            Some(502),
        ),
        // The route itself: no request finds it.
        (plugin("proxy-rewrite: {uri: 1}"), None),
        ("routes: [{id: 1, uri: \"\", @upstream@}]".to_owned(), None),
    ] {
        assert_eq!(answer(&document), status, "{document}");
    }
}

/// Leaving out is for what is wrong there: what is only unknown here stays refused.
#[test]
fn what_only_ferrule_cannot_say_is_never_left_out() {
    for document in [
        plugin("key-auth: {}"),
        plugin("made-up: {}"),
        "routes: [{uri: /a, filter_func: \"function() end\", @upstream@}]".to_owned(),
        "routes: [{uri: /a, upstream: {scheme: grpc, nodes: {\"a.test:80\": 1}}}]".to_owned(),
    ] {
        assert_eq!(drop_invalid(&document).report.outcome(), Outcome::Refused, "{document}");
    }
}

#[test]
fn a_guard_that_was_overlooked_is_told() {
    let rule = "global_rules: [{id: 1, plugins: {ip-restriction: {whitelist: 1}}}]\n";
    let import = drop_invalid(&(rule.to_owned() + &plugin("")));
    assert!(
        has(&import, Kind::Security, "ip-restriction had no effect"),
        "{}",
        import.report.text()
    );
}

#[test]
fn a_service_may_say_nothing() {
    let made = configuration("services: [{id: 1}]\nroutes: [{uri: /a, service_id: 1, @upstream@}]");
    assert_lines(&made, &["[[services]]", "service_id = \"1\""]);
}

#[test]
fn an_expression_that_need_not_match_leads_nowhere() {
    for (redirect, answered) in [
        ("redirect: {regex_uri: [\"^/a(.*)\", \"/b$1\"]}", true),
        ("redirect: {http_to_https: true}", true),
        ("redirect: {uri: /b}", false),
    ] {
        let made = configuration(&format!("routes: [{{uri: /a, plugins: {{{redirect}}}}}]"));
        assert_eq!(made.contains("status = 503"), answered, "{made}");
    }
}

#[test]
fn a_limit_of_all_bodies_is_one_of_http() {
    let rule = "global_rules: [{id: 1, plugins: {client-control: {max_body_size: 8}}}]\n";
    let made: toml::Table = configuration(&(rule.to_owned() + &plugin(""))).parse().expect("TOML");
    assert_eq!(made["http"]["client_max_body_size"].as_integer(), Some(8));
    assert!(made.get("global_rules").is_none());
}

#[test]
fn names_of_a_client_certificate_say_nothing() {
    let ssl = "ssls: [{id: c, type: client, sni: a.test, @pair@}]\n";
    let made: toml::Table = configuration(&(ssl.to_owned() + &plugin(""))).parse().expect("TOML");
    assert!(made["ssls"][0].get("sni").is_none());
}

#[test]
fn every_form_of_dump_is_read() {
    let value = r#"{"uri": "/a", "upstream": {"nodes": {"127.0.0.1:1980": 1}}}"#;
    let item = format!(r#"{{"key": "/apisix/routes/r1", "value": {value}, "modifiedIndex": 3}}"#);
    for document in [
        format!(r#"{{"total": 1, "list": [{item}]}}"#),
        item.clone(),
        format!("[{item}]"),
        format!(r#"{{"action": "get", "node": {item}}}"#),
        format!(
            r#"{{"count": 1, "node": {{"dir": true, "key": "/apisix/routes", "nodes": [{item}]}}}}"#
        ),
        format!(r#"{{"routes/r1": {value}}}"#),
        format!(r#"{{"routes": [{}]}}"#, value.replacen('{', r#"{"id": "r1", "#, 1)),
    ] {
        let made = configuration(&document);
        assert_lines(&made, &["[[routes]]", "id = \"r1\"", "uri = \"/a\""]);
    }
    let refused = r#"{"key": "/apisix/consumers/jack/credentials/1", "value": {"plugins": {}}}"#;
    assert_eq!(import(refused).report.outcome(), Outcome::Refused);
}

#[test]
fn files_of_adc_are_read() {
    let document = "
services:
  - name: shop web
    description: the shop
    hosts: [shop.example.com]
    path_prefix: /v1
    labels: {team: [a, b]}
    upstream: {nodes: [{host: 127.0.0.1, port: 1980, weight: 1}]}
    plugins: {client-control: {max_body_size: 10}}
    routes:
      - {name: list, uris: [/items], methods: [GET]}
      - {name: one, uris: [/items/*], description: one item}
global_rules:
  ip-restriction: {blacklist: [192.0.2.1]}
  cors: {}
ssls:
  - {snis: [shop.example.com], certificates: [{certificate: \"@cert@\", key: \"@key@\"}, {certificate: \"@cert@\", key: \"@key@\"}]}
"
    .replace("@cert@", CERTIFICATE)
    .replace("@key@", KEY);
    let import = import(&document);
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}", import.report.text());
    let made: toml::Table = import.configuration.parse().expect("TOML");
    assert_eq!(made["services"][0]["id"].as_str(), Some("shopweb-0"));
    assert_eq!(made["services"][0]["path_prefix"].as_str(), Some("/v1"));
    assert_eq!(made["services"][0]["labels"]["team"].as_str(), Some("a,b"));
    assert_eq!(made["routes"].as_array().map(Vec::len), Some(2));
    assert_eq!(made["routes"][1]["service_id"].as_str(), Some("shopweb-0"));
    assert_eq!(made["global_rules"].as_array().map(Vec::len), Some(2));
    assert_eq!(made["ssls"][0]["certs"].as_array().map(Vec::len), Some(1));
    let path =
        import.report.findings.iter().find(|finding| finding.path == "services[0].routes[1]");
    assert_eq!(path.map(|finding| finding.spot.line), Some(12));
    for refused in [
        "services: [{name: a, stream_routes: [{name: b}], @upstream@}]",
        "global_rules: {key-auth: {}}",
        "global_rules: {cors: {}}\nconsumer_groups: [{id: 1}]",
        "global_rules: {cors: {}}\nsomething: 1",
    ] {
        assert_eq!(self::import(refused).report.outcome(), Outcome::Refused, "{refused}");
    }
}

#[test]
fn every_line_of_the_report_names_the_line_of_the_new_file() {
    let import = import(
        "upstreams: [{id: u, nodes: {\"127.0.0.1:1980\": 1}}]\nroutes:\n  - {uri: /a, upstream_id: u}\n  - {uri: /b, \
         methods: [GET, TRACE], upstream_id: u}\n",
    );
    let lines: Vec<&str> = import.configuration.lines().collect();
    let mut seen = BTreeSet::new();
    for finding in &import.report.findings {
        let target = finding.target.expect("a line of ferrule.toml");
        let table = lines[target - 1];
        let wanted =
            if finding.path.starts_with("routes") { "[[routes]]" } else { "[[upstreams]]" };
        assert_eq!(table, wanted, "{finding:?}");
        seen.insert(finding.path.clone());
        let shown = format!("(ferrule.toml:{target})");
        assert!(import.report.text().contains(&shown), "{}", import.report.text());
    }
    let wanted = ["routes[0]", "routes[1]", "routes[1].methods[1]", "upstreams[0]"];
    assert_eq!(seen, wanted.map(str::to_owned).into());
    let uri = import
        .report
        .findings
        .iter()
        .find(|finding| finding.path == "routes[1]")
        .and_then(|f| f.target);
    let after: Vec<&str> = lines[uri.expect("a line")..].to_vec();
    assert!(after.iter().take(5).any(|line| line.contains("/b")), "{after:?}");
}

#[test]
fn what_was_let_through_is_told() {
    let rewrite =
        |headers: &str| plugin(&format!("proxy-rewrite: {{headers: {{set: {{{headers}}}}}}}"));
    let ssl = "ssls: [{sni: a.test, @pair@, client: {@ca@}}, {sni: b.test, @pair@}]\n";
    for (document, words) in [
        (rewrite("X-Cert-Sha256: $ssl_client_fingerprint"), "is a SHA-1"),
        (rewrite("X-SSL-Verify: $ssl_client_verify"), "`X_SSL_Verify`"),
        (rewrite("X-San: $ssl_client_san_dns"), "does not exist in APISIX"),
        (
            "routes: [{uri: /a, vars: [[ssl_client_s_dn, \"~~\", CN=ops]], @upstream@}]".to_owned(),
            "searched for a part",
        ),
        (
            "routes: [{uri: /a, upstream: {scheme: https, nodes: {\"a.test:443\": 1}}}]".to_owned(),
            "were not verified",
        ),
        (ssl.to_owned() + &plugin(""), "could be resumed"),
        (ssl.to_owned() + &plugin(""), "over plain HTTP"),
        (
            "ssls: [{sni: a.test, @pair@, ocsp_stapling: {enabled: true}}]\n".to_owned()
                + &plugin(""),
            "nobody asked whether a client's is revoked",
        ),
        (
            "ssls: [{sni: a.test, @pair@, client: {@ca@, skip_mtls_uri_regex: [\"^/a$\"]}}]\n"
                .to_owned()
                + &plugin(""),
            "without a certificate",
        ),
    ] {
        let import = import(&document);
        assert!(has(&import, Kind::Security, words), "{words}: {}", import.report.text());
    }
    // And not where there is nothing to tell.
    for (document, words) in [
        (rewrite("X-Cert-Sha1: $ssl_client_fingerprint"), "is a SHA-1"),
        (rewrite("X-Host: $host"), "`X_Host`"),
        (rewrite("X-Dn: $ssl_client_s_dn_legacy"), "does not exist in APISIX"),
        (
            "routes: [{uri: /a, vars: [[ssl_client_s_dn, \"~~\", \"^CN=ops$\"]], @upstream@}]"
                .to_owned(),
            "searched for a part",
        ),
        (
            "ssls: [{sni: a.test, @pair@}, {sni: b.test, @pair@}]\n".to_owned() + &plugin(""),
            "could be resumed",
        ),
    ] {
        let import = import(&document);
        assert!(!has(&import, Kind::Security, words), "{words}: {}", import.report.text());
    }
}

#[test]
fn snippets_only_seemed_to_do_something() {
    for (snippet, words) in [
        ("ssl_stapling on;", "`ssl_stapling`"),
        ("ssl_verify_client optional;", "`ssl_verify_client optional`"),
        ("ssl_crl /etc/a.crl;", "needs a list of every authority"),
        ("ssl_verify_depth 1;", "counts the intermediates"),
    ] {
        let process =
            format!("nginx_config:\n  http_server_configuration_snippet: |\n    {snippet}\n");
        let options = Options { process: Some(process), ..Options::default() };
        let import = import_with(&plugin(""), &options);
        assert!(has(&import, Kind::Security, words), "{}", import.report.text());
        assert!(import.report.text().contains("config.yaml:2:"), "{}", import.report.text());
    }
}

#[test]
fn a_probe_needs_an_exemption() {
    let route = "routes: [{uri: /healthz, @upstream@}]\n";
    let ssl = "ssls: [{sni: a.test, @pair@, client: {@ca@}}]\n";
    assert!(has(&import(&format!("{route}{ssl}")), Kind::Changed, "probes ask for"));
    let exempt = ssl.replace("{@ca@}", "{@ca@, skip_mtls_uri_regex: [\"^/healthz$\"]}");
    assert!(!has(&import(&format!("{route}{exempt}")), Kind::Changed, "probes ask for"));
    assert!(!has(&import(route), Kind::Changed, "probes ask for"));
}

#[test]
fn plugins_that_were_not_loaded_did_nothing() {
    let document = format!(
        "plugins: [{{name: cors}}]\n{}",
        plugin("ip-restriction: {whitelist: [10.0.0.1]}, cors: {}")
    );
    let import = import(&document);
    assert!(
        has(&import, Kind::Security, "`ip-restriction` kept nobody out"),
        "{}",
        import.report.text()
    );
    assert!(!has(&import, Kind::Changed, "`cors` is not in the list"), "{}", import.report.text());
}

/// One object of each kind that is wrong, and which line the report names.
#[test]
fn what_is_refused_is_refused_at_its_place() {
    for (line, document) in [
        (3, "routes:\n  - uri: /a\n    plugins: {made-up: {}}\n    @upstream@\n"),
        (
            2,
            "ssls:\n  - {sni: a.test, cert: \"$secret://vault/1/a\", key: \"$secret://vault/1/b\"}\n",
        ),
        (2, "stream_routes:\n  - {server_port: 1}\n"),
        (2, "upstreams:\n  - {id: 1, service_name: a, discovery_type: nacos}\n"),
    ] {
        let import = import(document);
        assert_eq!(import.report.outcome(), Outcome::Refused, "{document}");
        let refused = |finding: &&Finding| finding.kind == Kind::Refused;
        let found = import.report.findings.iter().find(refused).expect("a refusal");
        assert_eq!(found.spot.line, line, "{found:?}");
        assert!(import.configuration.is_empty() && import.files.is_empty());
    }
}
