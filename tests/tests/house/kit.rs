//! The kit against a real nginx: what the journeys ask of Ferrule, asked of the peer it follows.

use ferrule_tests::guides::{Version, as_openssl_prints, client_mtls};
use ferrule_tests::{Authority, Dial, Leaf, Nginx, Shape, Upstream, echo, free_port, raw, scratch};

/// The reference for every refusal and every header of the client guide. Only with v1: OpenSSL takes no
/// v3 root without basicConstraints, so nginx refuses what the guide's commands make with OpenSSL 3.2.
#[test]
fn nginx_answers_as_the_journeys_expect() {
    let scratch = scratch();
    let dir = scratch.path();
    client_mtls(dir, Version::V1);
    let (port, at) = (free_port(), dir.display());
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {at}/server.cer;\n\
         ssl_certificate_key {at}/server.key;\nssl_client_certificate {at}/ca.cer;\n\
         ssl_verify_client on;\nssl_protocols TLSv1.2 TLSv1.3;\nlocation / {{\nreturn 200 \
         \"$ssl_client_fingerprint|$ssl_client_serial|$ssl_client_s_dn\";\n}}\n}}"
    );
    let _nginx = Nginx::start(dir, port, &http, Shape::MasterAndWorker);

    let leaf = Leaf::read(&dir.join("client.cer"), &dir.join("client.key"));
    let expected = as_openssl_prints(dir, "client.cer").join("|");
    for tls in rustls::ALL_VERSIONS {
        let dial = Dial::with(Some("test.com"), Some(&leaf), &[tls]);
        assert_eq!(dial.get(port, "test.com", "/").expect("an answer").text(), expected);
    }

    let none = Dial::new(Some("test.com")).get(port, "test.com", "/").expect("an answer");
    assert_eq!(none.status(), 400);
    assert!(none.text().contains("No required SSL certificate was sent"));
    let foreign = Authority::new("foreign").client("CLIENT");
    let dial = Dial::as_client("test.com", &foreign).split_hello();
    let foreign = dial.get(port, "test.com", "/").expect("an answer");
    assert_eq!(foreign.status(), 400);
    assert!(foreign.text().contains("SSL certificate error"));
}

#[test]
fn a_scripted_upstream_remembers_what_it_saw() {
    let upstream = Upstream::plain(echo());
    let mut raw = raw::plain(upstream.port);
    for path in ["/a", "/b"] {
        assert_eq!(raw::get(&mut raw, "x", path).head.status(), 200);
    }
    let seen = upstream.seen();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.message.head.target()).collect();
    assert_eq!((targets.as_slice(), upstream.accepted()), (["/a", "/b"].as_slice(), 1));
}
