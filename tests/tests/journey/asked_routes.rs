//! `ferrule ctl routes`: what it says is what a request gets.

use std::fs;

use ferrule_tests::{Authority, Dial, Setup, Upstream, echo, on_both_drivers, scratch};
use serde_json::Value;

use crate::observe::ctl;
use crate::write_ca;

const CONFIG: &str = r#"
[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
id = "api"
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[ssls]]
id = "strict"
sni = "strict.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", reject = "handshake" }

[[routes]]
id = "orders"
host = "a.test"
uri = "/orders/*"
methods = ["POST"]
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
id = "special"
host = "a.test"
uri = "/orders/*"
vars = [["arg_special", "==", "1"]]
priority = 5
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
id = "rest"
uri = "/*"
client.allow = ["CN=chosen"]
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

on_both_drivers! {
    fn what_it_says_is_what_a_request_gets(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let clients = Authority::new("clients");
        write_ca(dir, "clients", &clients);
        clients.server(&["a.test", "strict.test"]).write(dir, "server");
        let chosen = clients.client("chosen");
        let other = clients.client("other");
        let stranger = Authority::new("who").client("chosen");
        for (name, leaf) in [("chosen", &chosen), ("other", &other), ("stranger", &stranger)] {
            fs::write(dir.join(format!("{name}.pem")), &leaf.cert_pem).expect("a file");
        }
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for (who, leaf, method, path, route, status) in [
            ("chosen", &chosen, "POST", "/orders/1", "orders", 200),
            ("chosen", &chosen, "GET", "/orders/1", "rest", 200),
            ("chosen", &chosen, "POST", "/orders/1?special=1", "special", 200),
            ("other", &other, "POST", "/orders/1", "orders", 200),
            ("other", &other, "GET", "/x", "rest", 403),
            ("stranger", &stranger, "GET", "/x", "rest", 400),
        ] {
            let file = dir.join(format!("{who}.pem"));
            let url = format!("https://a.test{path}");
            let question = ["--json", "routes", method, &url, "--cert", file.to_str().expect("text")];
            let (code, out, error) = ctl(dir, &question);
            assert_eq!(code, Some(0), "{error}");
            let answer: Value = serde_json::from_str(&out).expect("JSON");
            assert_eq!(answer["route"]["id"], route, "{who} {method} {path}: {out}");
            let told = answer["refused"].as_str().and_then(|words| words.get(..3)).map_or(Ok(200), str::parse);
            let mut connection = Dial::as_client("a.test", leaf).connect(front).expect("a handshake");
            connection.send(format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n").as_bytes()).expect("sent");
            let got = connection.response(method).expect("an answer").status();
            assert_eq!((told, got), (Ok(status), status), "{who} {method} {path}: {out}");
        }
        let (code, out, _) = ctl(dir, &["routes", "https://a.test/orders/7"]);
        assert_eq!(code, Some(0));
        for words in ["route rest, to upstream", "no certificate", "the client is told: 400", "1. special: ", "do not hold", "2. orders: ", "it is for POST alone", "3. rest: "] {
            assert!(out.contains(words), "{words}: {out}");
        }
        // Who is refused in the handshake does not get as far as a status.
        let file = dir.join("stranger.pem");
        let stranger = ["--cert", file.to_str().expect("text")];
        for (more, alert) in [(&stranger[..], "UnknownCA"), (&[][..], "CertificateRequired")] {
            let question = [&["routes", "https://strict.test/orders/7"][..], more].concat();
            let (code, out, _) = ctl(dir, &question);
            let words = format!("the client is told: the TLS alert {alert}");
            assert!(code == Some(0) && out.contains(&words), "{out}");
        }
        // A client sends no address as a name, and nothing is assumed for a missing one here.
        let url = format!("https://127.0.0.1:{front}/x");
        let (_, out, _) = ctl(dir, &["--json", "routes", &url]);
        assert!(out.contains("the TLS alert UnrecognisedName"), "{out}");
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(answer["listener"], format!("127.0.0.1:{front}"));
        let (code, _, error) = ctl(dir, &["routes", "GET", "a.test/x\r\nX: y"]);
        assert!(code == Some(1) && error.contains("visible ASCII"), "{error}");
    }
}
