//! The forms that a configuration comes in, and files that are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ferrule_tests::on_both_drivers;

use super::kit::{Home, said};

/// Anchors, `${{NAME:=default}}`, block texts, and no `#END`.
const ANCHORS: &str = r#"
upstreams:
  - &web {id: web, type: roundrobin, nodes: {"127.0.0.1:${{PORT_NOBODY_SETS:=@upstream_port@}}": 1}}
routes:
  - {id: one, uri: /one, upstream: *web}
  - id: two
    uri: /two
    plugins:
      response-rewrite:
        body: |
          a text
          of lines
    upstream_id: web
"#;

/// What `GET /apisix/admin/routes` answers.
const DUMP: &str = r#"{"total": 1, "list": [{"createdIndex": 3, "modifiedIndex": 4, "key": "/apisix/routes/00000000000000000017",
  "value": {"id": "00000000000000000017", "create_time": 1700000000, "update_time": 1700000001, "priority": 0, "status": 1,
    "uri": "/dumped", "plugins": {}, "upstream": {"type": "roundrobin", "hash_on": "vars", "scheme": "http", "pass_host": "pass",
      "nodes": [{"host": "127.0.0.1", "port": @upstream_port@, "weight": 1}]}}}]}"#;

const ADC: &str = r#"
services:
  - name: partner api
    description: for partners
    hosts: [api.test]
    upstream: {type: roundrobin, nodes: [{host: 127.0.0.1, port: @upstream_port@, weight: 1}]}
    routes:
      - {name: orders, uris: [/orders, /orders/*], methods: [GET]}
ssls:
  - snis: [api.test]
    certificates: [{certificate: @cert@, key: @key@}]
    client: {ca: @ca@}
global_rules:
  proxy-rewrite: {headers: {set: {X-Client: $ssl_client_s_dn}}}
"#;

/// Objects that APISIX overlooks.
const INVALID: &str = r#"
services:
  - {id: 1, plugins: {proxy-rewrite: {uri: 1}}, upstream: {type: roundrobin, nodes: {"@upstream@": 1}}}
  - {id: 2, upstream: {type: roundrobin, nodes: {"@upstream@": 1}}}
routes:
  - {uri: /wrong, service_id: 1}
  - {uri: /none, upstream_id: 7}
  - {uri: /right, service_id: 2}
"#;

on_both_drivers! {
    fn anchors_and_variables_of_the_environment(driver) {
        let moved = Home::new().start(driver, ANCHORS, "", 0);
        moved.plain("", "/one").assert("200");
        assert_eq!(moved.plain("", "/two").assert("200").body, "a text\nof lines\n");
    }

    fn a_dump_of_the_admin_api(driver) {
        let moved = Home::new().start(driver, DUMP, "", 0);
        moved.plain("", "/dumped").assert("200");
        assert!(moved.report.contains("id = \"00000000000000000017\""), "{}", moved.report);
    }

    fn a_file_of_adc(driver) {
        let moved = Home::new().start(driver, ADC, "", 2);
        let answer = moved.tls("ops", "api.test", "", "/orders/1");
        assert_eq!(answer.assert("200").seen("X-Client"), Some("CN=ops"));
        moved.tls("", "api.test", "", "/orders").assert("400");
        moved.tls("ops", "api.test", "-X POST", "/orders").assert("404");
        let folder = moved.home.path().join("moved");
        for file in ["api_test.pem", "api_test.key", "api_test-client-ca.pem", "ferrule.toml"] {
            let mode = fs::metadata(folder.join(file)).expect(file).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}

#[test]
fn objects_that_apisix_overlooks() {
    let home = Home::new();
    let done = home.import(INVALID, "", &[]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(!home.path().join("moved").exists());
    let done = home.import(INVALID, "", &["--drop-invalid"]);
    let text = said(&done);
    assert_eq!(done.status.code(), Some(2), "{text}");
    assert!(text.contains("services[0] is left out, as APISIX leaves it out"), "{text}");
    let made = fs::read_to_string(home.path().join("moved/ferrule.toml")).expect("what was made");
    assert!(made.contains("status = 404") && made.contains("status = 502"), "{made}");
}

/// Malformed, endless and foreign bytes: an answer with the place, and nothing is written.
#[test]
fn files_that_are_none() {
    let bomb = (0..20).fold(String::from("a0: &a0 [x, x, x]\n"), |text, level| {
        let (this, before) = (level + 1, level);
        format!(
            "{text}a{this}: &a{this} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"
        )
    });
    let deep = format!("routes: {}", "[".repeat(2000));
    for (bytes, place) in [
        (b"routes:\n  - uri: \"/a\n".to_vec(), ":"),
        (b"routes:\n  - uri: /\xff\n".to_vec(), ":2:"),
        (b"routes: 1\nroutes: 2\n".to_vec(), ":2:"),
        (bomb.into_bytes(), ":"),
        (deep.into_bytes(), ":1:"),
        (b"{\"routes\": [}".to_vec(), ":1:"),
        (Vec::new(), ":"),
    ] {
        let home = Home::new();
        let source = home.path().join("hostile");
        fs::write(&source, &bytes).expect("a writable directory");
        let mut import = std::process::Command::new(ferrule_tools::process::ferrule_binary());
        let out = home.path().join("out");
        let done = import.args(["import", "apisix"]).arg(&source).arg("-o").arg(&out).output();
        let done = done.expect("ferrule");
        let text = said(&done);
        assert_eq!(done.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("hostile{place}")), "{place}: {text}");
        assert!(!out.exists(), "{text}");
    }
}

/// Neither a report nor an error shows a key.
#[test]
fn no_report_shows_a_key() {
    let home = Home::new();
    let key = fs::read_to_string(home.path().join("server.key")).expect("a file of ours");
    let secret = key.lines().nth(1).expect("a line of the key");
    let text = "ssls: [{sni: api.test, cert: @cert@, key: @key@, client: 1, other: @key@}]";
    for format in ["text", "json", "markdown"] {
        let done = home.import(text, "", &["--format", format]);
        assert_eq!(done.status.code(), Some(1));
        assert!(!said(&done).contains(secret), "{}", said(&done));
    }
}
