//! Consumers that their certificates tell, as Frank!Gateway has them.

use ferrule_tests::on_both_drivers;

use super::kit::Home;

const CONSUMERS: &str = r#"
ssls:
  - {sni: api.test, cert: @cert@, key: @key@, client: {ca: @ca@}}
consumers:
  - {username: operations, plugins: {cert-auth: {cn: ops}}}
  - {username: shop, plugins: {cert-auth: {identifier: shop.partner.test}}}
  - {username: tax, plugins: {cert-auth: {identifier: "0123456789"}}}
services:
  - id: partners
    plugins: {cert-auth: {}}
    upstream: {type: roundrobin, nodes: {"@upstream@": 1}}
routes:
  - {id: all, uri: /all, service_id: partners}
  - id: some
    uri: /some
    service_id: partners
    plugins: {consumer-restriction: {whitelist: [shop, tax]}}
  - id: others
    uri: /others
    service_id: partners
    plugins: {consumer-restriction: {blacklist: [tax]}}
"#;

on_both_drivers! {
    fn certificates_tell_consumers(driver) {
        let home = Home::new();
        let dir = home.path().to_owned();
        home.authority.client_named(&[("CN", "x")], &["DNS:shop.partner.test"]).write(&dir, "shop");
        // The text `CN=ops` within another attribute: `cert-auth` takes it for the consumer's.
        home.authority.client_named(&[("O", "XCN=ops"), ("CN", "x")], &[]).write(&dir, "forger");
        let moved = home.start(driver, CONSUMERS, "", 2);
        for (path, admitted) in [
            ("/all", ["ops", "shop"].as_slice()),
            ("/some", &["shop"]),
            ("/others", &["ops", "shop"]),
        ] {
            for client in ["ops", "shop", "forger"] {
                let status = if admitted.contains(&client) { "200" } else { "403" };
                let answer = moved.tls(client, "api.test", "", path);
                assert_eq!(answer.status, status, "{client} {path}: {answer:?}");
            }
            moved.tls("", "api.test", "", path).assert("400");
        }
        assert!(moved.report.contains("searched the subject as text"), "{}", moved.report);
    }
}
