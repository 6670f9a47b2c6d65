//! Clients whose certificates lack `clientAuth`, or will: in `ferrule ctl clients` and in the metrics, with what they get.

use std::path::Path;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Dial, Leaf, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};
use serde_json::Value;

use crate::observe::ctl;
use crate::write_ca;

const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
id = "http"
sni = "http.test"
cert = "server.crt"
key = "server.key"
client.ca = ["private.crt", "public.crt"]

[[ssls]]
id = "alert"
sni = "alert.test"
cert = "server.crt"
key = "server.key"
client = { ca = ["private.crt", "public.crt"], reject = "handshake" }

[[ssls]]
id = "any"
sni = "any.test"
cert = "server.crt"
key = "server.key"
client = { ca = ["private.crt", "public.crt"], eku = "any", allow = ["DNS:*.partner.test"] }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn clients(dir: &Path) -> Value {
    let (code, out, error) = ctl(dir, &["--json", "clients", "--soonest", "100"]);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}

/// Subject, and what it gets without `clientAuth`, of each client of a finding.
fn found(answer: &Value, finding: &str) -> Vec<[String; 2]> {
    let list = answer["client_auth"][finding]["clients"].as_array().expect("a list");
    let text = |one: &Value, key: &str| one[key].as_str().expect("text").to_owned();
    let mut all: Vec<_> =
        list.iter().map(|one| [text(one, "subject"), text(one, "without_client_auth")]).collect();
    all.sort();
    all
}

on_both_drivers! {
    fn who_lacks_client_auth_is_named_with_what_it_gets(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let private = Authority::new("private");
        let public = Authority::of_organisation("R99", "Let's Encrypt");
        write_ca(dir, "private", &private);
        write_ca(dir, "public", &public);
        private.server(&["http.test", "alert.test", "any.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let status = |host: &str, leaf: &Leaf| {
            Dial::as_client(host, leaf).get(front, host, "/").map(|answer| answer.status()).ok()
        };
        for number in 0..24 {
            assert_eq!(status("http.test", &private.client(&format!("good {number}"))), Some(200));
        }
        for number in 0..12 {
            let name = format!("{number}.partner.test");
            assert_eq!(status("any.test", &private.server(&[&name])), Some(200));
        }
        assert_eq!(status("http.test", &public.client("renews")), Some(200));
        assert_eq!(status("alert.test", &public.client("renews too")), Some(200));
        assert_eq!(status("http.test", &private.server(&["lost.test"])), Some(400));
        assert_eq!(status("alert.test", &private.server(&["gone.test"])), None);
        // Nobody vouches for these: they are no clients of ours, and stay unnamed.
        let stranger = Authority::new("private").server(&["stranger.test"]);
        assert_eq!(status("http.test", &stranger), Some(400));
        assert_eq!(status("alert.test", &stranger), None);

        let answer = clients(dir);
        assert_eq!(answer["known"], 38);
        let any = "let in: `client.eku` of [[ssls]] any is \"any\"";
        let without = found(&answer, "without_client_auth");
        assert_eq!(without.len(), 12);
        assert!(without.iter().all(|[_, next]| next == any), "{without:?}");
        let http = "400 unsuitable certificate purpose".to_owned();
        let alert = "the TLS alert UnsupportedCertificate".to_owned();
        assert_eq!(
            found(&answer, "refused"),
            [["CN=gone.test".to_owned(), alert.clone()], ["CN=lost.test".to_owned(), http.clone()]]
        );
        let stops = found(&answer, "issuer_stops");
        assert_eq!(stops, [["CN=renews".to_owned(), http], ["CN=renews too".to_owned(), alert]]);
        let issuer = &answer["client_auth"]["issuer_stops"]["clients"][0]["issuer"];
        assert_eq!((&issuer["organisation"], &issuer["ends"]), (&"Let's Encrypt".into(), &"2026-07-08".into()));
        let (_, table, _) = ctl(dir, &["clients"]);
        for words in ["12 clients let in although", "2 clients refused because", "2 clients whose issuer", "Let's Encrypt, 2026-07-08"] {
            assert!(table.contains(words), "{words}: {table}");
        }
        let counted = poll(PATIENCE, || {
            let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
            let all = Exposition::read(&answer.text());
            let of = |finding| all.sum("ferrule_client_auth_findings_total", &[("finding", finding)]);
            let counts = [of("without_client_auth"), of("refused"), of("issuer_stops")];
            let wanted = [12.0, 2.0, 2.0];
            counts.iter().zip(wanted).all(|(count, wanted)| (count - wanted).abs() < 0.1).then_some(())
        });
        assert!(counted.is_some(), "not counted");
    }
}
