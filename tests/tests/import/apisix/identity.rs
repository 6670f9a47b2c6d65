//! Who the client is: mutual TLS per name, and what the upstream is told.

use ferrule_tests::on_both_drivers;

use super::kit::Home;

/// The guide's: one name, one CA, three headers.
const GUIDE: &str = r#"
ssls:
  - id: 1
    sni: api.test
    cert: @cert@
    key: @key@
    client: {ca: @ca@, depth: 1}
routes:
  - id: anything
    uri: /anything
    plugins:
      proxy-rewrite:
        headers:
          set:
            X-Ssl-Client-Verify: $ssl_client_verify
            X-Ssl-Client-Fingerprint: $ssl_client_fingerprint
            X-Ssl-Client-Serial: $ssl_client_serial
            X-Ssl-Client-S-DN: $ssl_client_s_dn
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
#END
"#;

/// One name asks for certificates, a wildcard does not; a path of the first is exempt.
const NAMES: &str = r#"
ssls:
  - id: closed
    snis: [api.test]
    cert: @cert@
    key: @key@
    client: {ca: @ca@, skip_mtls_uri_regex: ["^/healthz$"]}
  - id: open
    snis: ["*.api.test", open.test]
    cert: @cert@
    key: @key@
upstreams:
  - {id: web, type: least_conn, nodes: [{host: 127.0.0.1, port: @upstream_port@, weight: 1}]}
routes:
  - {id: health, uri: /healthz, upstream_id: web}
  - {id: all, uri: "/*", priority: -1, upstream_id: web}
"#;

/// Routes by subject, as APISIX's `vars` do it.
const SUBJECTS: &str = r#"
ssls:
  - {sni: api.test, cert: @cert@, key: @key@, client: {ca: @ca@}}
routes:
  - id: ops
    uri: /who
    priority: 10
    vars: [[ssl_client_s_dn, "~~", "(^|,)CN=ops(,|$)"]]
    plugins: {proxy-rewrite: {headers: {X-Team: ops}}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
  - id: others
    uri: /who
    plugins: {mocking: {response_example: not you, response_status: 403, content_type: text/plain, with_mock_header: false}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
"#;

on_both_drivers! {
    fn the_upstream_is_told_who_the_client_is(driver) {
        let moved = Home::new().start(driver, GUIDE, "", 2);
        let spoof = "-H 'X_Ssl_Client_Serial: 1' -H 'X-Ssl-Client-S-DN: CN=root'";
        let answer = moved.tls("ops", "api.test", spoof, "/anything");
        answer.assert("200");
        assert_eq!(answer.seen("X-Ssl-Client-Verify"), Some("SUCCESS"));
        assert_eq!(answer.seen("X-Ssl-Client-S-DN"), Some("CN=ops"));
        let fingerprint = answer.seen("X-Ssl-Client-Fingerprint").expect("a header");
        let theirs = ferrule_tests::shell(
            moved.home.path(),
            "openssl x509 -in ops.crt -noout -fingerprint -sha1 | sed 's/.*=//; s/://g' | tr A-F a-f",
        );
        assert_eq!(fingerprint, theirs.trim());
        assert!(!answer.body.to_ascii_lowercase().contains("x_ssl"), "{answer:?}");
        moved.tls("", "api.test", "", "/anything").assert("400");
        moved.tls("stranger", "api.test", "", "/anything").assert("400");
        moved.plain("-H 'Host: api.test'", "/anything").assert("421");
        assert!(moved.report.contains("`X_Ssl_Client_Serial`"), "{}", moved.report);
    }

    fn names_differ_in_what_they_ask_for(driver) {
        let moved = Home::new().start(driver, NAMES, "", 2);
        moved.tls("ops", "api.test", "", "/x").assert("200");
        moved.tls("", "api.test", "", "/x").assert("400");
        moved.tls("", "api.test", "", "/healthz").assert("200");
        moved.tls("", "www.api.test", "", "/x").assert("200");
        moved.tls("", "open.test", "", "/x").assert("200");
        // The name of the connection lets nobody reach the other's.
        moved.tls("", "open.test", "-H 'Host: api.test'", "/x").assert("421");
        assert!(moved.report.contains("could be resumed"), "{}", moved.report);
    }

    fn subjects_choose_the_route(driver) {
        let home = Home::new();
        home.authority.client("guest").write(home.path(), "guest");
        let moved = home.start(driver, SUBJECTS, "", 2);
        let answer = moved.tls("ops", "api.test", "", "/who");
        answer.assert("200");
        assert_eq!(answer.seen("X-Team"), Some("ops"));
        let answer = moved.tls("guest", "api.test", "", "/who");
        answer.assert("403");
        assert_eq!(answer.body, "not you");
    }
}
