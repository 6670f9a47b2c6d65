//! A connection made for one name does not reach what another name protects: 421.

use ferrule_tests::{Authority, Dial, Setup, Upstream, echo, on_both_drivers, scratch};

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true
fallback_sni = "open.test"

[[ssls]]
snis = ["open.test", "also-open.test"]
cert = "server.crt"
key = "server.key"

[[ssls]]
snis = ["a.test", "*.a.test"]
cert = "server.crt"
key = "server.key"
client.ca = "a-ca.crt"

[[ssls]]
sni = "same-as-a.test"
cert = "server.crt"
key = "server.key"
client.ca = "a-ca.crt"

[[ssls]]
sni = "b.test"
cert = "server.crt"
key = "server.key"
client.ca = "b-ca.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

on_both_drivers! {
    fn names_with_different_policies_do_not_mix(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let (a, b) = (Authority::new("CA a"), Authority::new("CA b"));
        write_ca(dir, "a-ca", &a);
        write_ca(dir, "b-ca", &b);
        a.server(&["open.test", "a.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let (a, b) = (a.client("a"), b.client("b"));

        let cases = [
            (Dial::as_client("a.test", &a), "a.test", 200),
            (Dial::as_client("a.test", &a), "A.TEST.:443", 200),
            (Dial::as_client("a.test", &a), "x.a.test", 200),
            (Dial::as_client("a.test", &a), "b.test", 421),
            (Dial::as_client("a.test", &a), "open.test", 421),
            (Dial::as_client("b.test", &b), "a.test", 421),
            (Dial::new(Some("open.test")), "open.test", 200),
            (Dial::new(Some("open.test")), "also-open.test", 200),
            (Dial::new(Some("open.test")), "a.test", 421),
            (Dial::new(Some("open.test")), "X.a.test:8443", 421),
            (Dial::new(Some("open.test")), "b.test.", 421),
            (Dial::new(None), "a.test", 421),
            (Dial::new(None), "open.test", 200),
        ];
        for (number, (dial, host, status)) in cases.iter().enumerate() {
            let before = upstream.seen().len();
            let answer = dial.get(front, host, "/").expect("an answer");
            assert_eq!(answer.status(), *status, "case {number}, {host}: {answer:?}");
            if *status == 421 {
                assert_eq!(upstream.seen().len(), before, "case {number} reached the upstream");
            }
        }

        // The absolute form is the host, whatever the field says.
        let mut raw = Dial::new(Some("open.test")).connect(front).expect("a handshake");
        raw.send(b"GET https://a.test/ HTTP/1.1\r\nHost: open.test\r\n\r\n").expect("a connection");
        assert_eq!(raw.response("GET").expect("a response").status(), 421);
    }
}
