//! Where requests go: services, priorities, splits, nodes that ask for a certificate, names that answer by themselves.

use ferrule_tests::{Upstream, on_both_drivers, tls};

use super::kit::Home;

const SERVICES: &str = r#"
upstreams:
  - {id: web, type: chash, key: remote_addr, nodes: {"@upstream@": 2}, timeout: {connect: 1, send: 5, read: 5}, retries: 1}
services:
  - {id: shop, hosts: [shop.test, "*.shop.test"], upstream_id: web, plugins: {proxy-rewrite: {headers: {X-Service: shop}}}}
routes:
  - {id: low, uri: "/*", service_id: shop}
  - {id: high, uri: /a/*, service_id: shop, priority: 5, plugins: {proxy-rewrite: {headers: {X-Route: high}}}}
  - {id: off, uri: /b, service_id: shop, status: 0, priority: 9}
  - {id: local, uri: /local, remote_addrs: [127.0.0.0/8], host: any.test, upstream_id: web}
  - {id: far, uri: /far, remote_addrs: [192.0.2.0/24], host: any.test, upstream_id: web}
"#;

const SPLIT: &str = r#"
routes:
  - uri: /split
    vars: [[arg_version, in, ["1", "2"]], [http_x_off, "!", "==", "1"]]
    plugins:
      traffic-split:
        rules:
          - match: [{vars: [[arg_version, "==", "2"]]}]
            weighted_upstreams: [{upstream: {type: roundrobin, pass_host: rewrite, upstream_host: two.test, nodes: {"@upstream@": 1}}}]
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
"#;

const ASKED: &str = r#"
ssls:
  - {id: ours, type: client, sni: none.test, cert: @client_cert@, key: @client_key@}
routes:
  - uri: /by-id
    upstream: {type: roundrobin, scheme: https, nodes: {"127.0.0.1:@mtls@": 1}, tls: {client_cert_id: ours}}
  - uri: /inline
    upstream: {type: roundrobin, scheme: https, nodes: {"127.0.0.1:@mtls@": 1}, tls: {client_cert: @client_cert@, client_key: @client_key@}}
"#;

const ANSWERS: &str = r#"
routes:
  - {uri: /mock, plugins: {mocking: {response_example: '{"from":"$remote_addr"}', response_headers: {X-Mock: 1}}}}
  - {uri: /closed, plugins: {fault-injection: {abort: {http_status: 503, body: later}}}}
  - {uri: /nowhere}
"#;

on_both_drivers! {
    fn services_and_priorities(driver) {
        let moved = Home::new().start(driver, SERVICES, "", 0);
        let ask = |host: &str, path: &str| moved.plain(&format!("-H 'Host: {host}'"), path);
        let answer = ask("shop.test", "/x");
        answer.assert("200");
        assert_eq!((answer.seen("X-Service"), answer.seen("X-Route")), (Some("shop"), None));
        // A route's plugin takes the place of its service's.
        let answer = ask("a.shop.test", "/a/b");
        assert_eq!((answer.seen("X-Service"), answer.seen("X-Route")), (None, Some("high")));
        ask("shop.test", "/b").assert("200");
        ask("other.test", "/x").assert("404");
        ask("any.test", "/local").assert("200");
        ask("any.test", "/far").assert("404");
    }

    fn conditions_and_splits(driver) {
        let moved = Home::new().start(driver, SPLIT, "", 0);
        let host = |path: &str| moved.plain("-H 'Host: one.test'", path).seen("Host").map(str::to_owned);
        assert_eq!(host("/split?version=1").as_deref(), Some("one.test"));
        assert_eq!(host("/split?version=2").as_deref(), Some("two.test"));
        moved.plain("", "/split?version=3").assert("404");
        moved.plain("-H 'X-Off: 1'", "/split?version=1").assert("404");
    }

    fn nodes_that_ask_for_a_certificate(driver) {
        let home = Home::new();
        let server = home.authority.server(&["127.0.0.1"]);
        let config = tls::server(&server, Some(&home.authority.cert_pem));
        let mtls = Upstream::tls(config, ferrule_tests::echo());
        let text = ASKED
            .replace("@mtls@", &mtls.port.to_string())
            .replace("@client_cert@", &home.pem("ops.crt"))
            .replace("@client_key@", &home.pem("ops.key"));
        let moved = home.start(driver, &text, "", 2);
        moved.plain("", "/by-id").assert("200");
        moved.plain("", "/inline").assert("200");
        assert!(moved.report.contains("were not verified"), "{}", moved.report);
    }

    fn routes_that_answer_by_themselves(driver) {
        let moved = Home::new().start(driver, ANSWERS, "", 2);
        let answer = moved.plain("", "/mock");
        answer.assert("200");
        assert_eq!(answer.body, r#"{"from":"127.0.0.1"}"#);
        assert!(answer.head.contains("content-type: application/json;charset=utf8"), "{answer:?}");
        assert!(answer.head.contains("x-mock: 1"), "{answer:?}");
        let answer = moved.plain("", "/closed");
        assert_eq!(answer.assert("503").body, "later");
        moved.plain("", "/nowhere").assert("503");
    }
}
