//! `ferrule explain` says what the client hears, word for word.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferrule_tests::raw::alert;
use ferrule_tests::{Authority, Dial, Leaf, Setup, Upstream, echo, on_both_drivers, scratch};
use ferrule_tools::process::ferrule_binary;
use rustls::version::TLS13;

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "http.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", crl = "ca.crl", depth = 1, deny = ["CN=denied"] }

[[ssls]]
sni = "alert.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", crl = "ca.crl", depth = 1, deny = ["CN=denied"], reject = "handshake" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// The line about what the client is told; none where it is served.
fn explained(dir: &Path, name: &str) -> Option<String> {
    let mut command = Command::new(ferrule_binary());
    command.current_dir(dir).args(["explain", "shown.crt", "--sni", name, "-c", "ferrule.toml"]);
    let done = command.output().expect("ferrule");
    let text = String::from_utf8(done.stdout).expect("text");
    let told = text.lines().find_map(|line| line.strip_prefix("the client is told: "));
    assert_eq!(done.status.success(), told.is_none(), "{text}");
    assert_eq!(told.is_none(), text.contains("verdict: accepted"), "{text}");
    told.map(str::to_owned)
}

/// The same line, made of what the client really hears.
fn heard(port: u16, name: &str, leaf: &Leaf) -> Option<String> {
    let dial = Dial::with(Some(name), Some(leaf), &[&TLS13]);
    match dial.get(port, name, "/") {
        Ok(answer) if answer.status() == 200 => None,
        Ok(answer) => {
            let body: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
            let reason = body["reason"].as_str().expect("a reason");
            Some(format!("{} {reason}", answer.status()))
        }
        Err(error) => Some(format!("the TLS alert {:?}", alert(&error).expect("an alert"))),
    }
}

on_both_drivers! {
    fn explain_uses_the_word_that_the_client_gets(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let (authority, stranger) = (Authority::new("Root"), Authority::new("Stranger"));
        write_ca(dir, "ca", &authority);
        fs::write(dir.join("ca.crl"), authority.revocation_list(&[77], 1)).expect("a file");
        authority.server(&["http.test", "alert.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway =
            Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        let middle = authority.intermediate("middle");
        let deep = middle.intermediate("deep");
        let mut served = 0;
        for leaf in [
            authority.client("good"),
            authority.client("denied"),
            authority.client_with("revoked", 77),
            authority.client_valid("expired", 2001, 2002),
            authority.client_valid("early", 2090, 2091),
            authority.server(&["server.test"]),
            stranger.client("stranger"),
            // Of this authority there is no list.
            middle.client("below").behind(&middle.cert_pem),
            middle.client("alone"),
            deep.client("too deep").behind(&deep.cert_pem).behind(&middle.cert_pem),
        ] {
            fs::write(dir.join("shown.crt"), &leaf.cert_pem).expect("a file");
            for name in ["http.test", "alert.test"] {
                let heard = heard(gateway.port("front"), name, &leaf);
                assert_eq!(explained(dir, name), heard, "{name}\n{}", leaf.cert_pem);
                served += usize::from(heard.is_none());
            }
        }
        assert_eq!(served, 2, "one of them is good");
    }
}
