//! `crt-list` of HAProxy's: what each line asks of clients holds for its names alone, or is refused at its place.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fs;

use ferrule_import::haproxy::{HaproxyOptions, convert};
use ferrule_import::{Import, Kind, Outcome};

/// A certificate of `a.test` that nothing verifies, and what looks like its key.
const CERTIFICATE: &str = concat!(
    include_str!("unverified.crt"),
    "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
);

/// A frontend with these binds and this list in `list.txt`.
fn import(binds: &str, list: &str) -> Import {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("a.pem", CERTIFICATE), ("ca.pem", CERTIFICATE), ("list.txt", list)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let text = format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n {binds}\n \
         default_backend b\nbackend b\n server s 127.0.0.1:9\n"
    );
    let options =
        HaproxyOptions { source: String::from("haproxy.cfg"), base: folder.path().to_owned() };
    convert(&text, &options, &|_| None)
}

fn said(import: &Import, kind: Kind) -> String {
    let of = import.report.findings.iter().filter(|finding| finding.kind == kind);
    let line = |finding: &ferrule_import::Finding| {
        let file = finding.file.as_deref().map(|file| file.rsplit('/').next().unwrap_or_default());
        format!("{}:{}: {}\n", file.unwrap_or("-"), finding.spot, finding.message)
    };
    of.map(line).collect()
}

/// The names of each `[[ssls]]`, and whether it asks for certificates.
fn asked(import: &Import) -> Vec<String> {
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}", import.report.text());
    let file: toml::Table = import.configuration.parse().expect("a file");
    let one = |ssl: &toml::Value| {
        let verify = ssl.get("client").map(|client| {
            client.get("verify").and_then(toml::Value::as_str).unwrap_or("on").to_owned()
        });
        format!("{} {}", ssl["snis"], verify.unwrap_or_else(|| String::from("off")))
    };
    file["ssls"].as_array().expect("names").iter().map(one).collect()
}

const LIST: &str = "bind :443 ssl crt-list list.txt";

#[test]
fn each_line_has_names_and_demands_of_its_own() {
    let list = "a.pem\na.pem [verify required ca-file ca.pem] *.w.test !open.w.test\n\
                # nothing\na.pem [verify optional ca-file ca.pem crl-file ca.pem] o.test\na.pem [verify none] open.w.test\n";
    let made = import(LIST, list);
    assert_eq!(
        asked(&made),
        ["[\"a.test\"] off", "[\"*.w.test\"] on", "[\"o.test\"] optional", "[\"open.w.test\"] off"]
    );
    assert!(made.configuration.contains("fallback_sni = \"a.test\""), "{}", made.configuration);
    // What `bind` says holds where a line says nothing.
    let made = import(
        &format!("{LIST} verify required ca-file ca.pem strict-sni"),
        "a.pem x.test\na.pem [verify none] y.test\n",
    );
    assert_eq!(asked(&made), ["[\"x.test\"] on", "[\"y.test\"] off"]);
    assert!(!made.configuration.contains("fallback_sni"), "{}", made.configuration);
    // A port without TLS knows that some names ask.
    let made = import(
        &format!("{LIST}\n bind :80"),
        "a.pem x.test\na.pem [verify required ca-file ca.pem] y.test\n",
    );
    assert!(made.configuration.contains("mtls_routes = \"allow\""), "{}", made.configuration);
}

#[test]
fn what_would_let_others_in_is_refused_at_its_line() {
    for (list, wanted) in [
        // Nobody else has the name, and `*` would take it with its own demands.
        (
            "a.pem\na.pem *.w.test !open.w.test\n",
            "list.txt:2:1: `!open.w.test` is a name that no other",
        ),
        ("a.pem [verify required] x.test\n", "list.txt:1:1: `verify` needs `ca-file`"),
        (
            "a.pem x.test\na.pem [verify required ca-file ca.pem] x.test\n",
            "list.txt:2:1: x.test is a server name of two",
        ),
        ("a.pem [crt-ignore-err all] x.test\n", "list.txt:1:8: `crt-ignore-err` in a list"),
        ("a.pem [accept-proxy] x.test\n", "list.txt:1:8: `accept-proxy` in a list"),
        ("a.pem [ocsp-update on] x.test\n", "list.txt:1:8: `ocsp-update` in a list"),
        ("a.pem [verify] x.test\n", "list.txt:1:8: `verify` needs a value"),
        ("a.pem *\n", "list.txt:1:7: this is no name"),
        ("a.pem !x.test\n", "list.txt:1:1: names that it is not for"),
        ("none.pem x.test\n", "list.txt:1:1:"),
        ("a.pem [verify none x.test\n", "list.txt:1:1: a bracket is not closed"),
        ("# nothing\n", "-:7:16: "),
    ] {
        let made = import(LIST, list);
        assert_eq!(made.report.outcome(), Outcome::Refused, "{list}");
        let refused = said(&made, Kind::Refused);
        assert!(refused.lines().any(|line| line.starts_with(wanted)), "{list}: {refused}");
    }
    let made = import("bind :443 ssl crt-list nowhere.txt", "");
    assert!(said(&made, Kind::Refused).contains("nowhere.txt cannot be read"));
    // Names are known on every port: one of another `bind` has to ask for the same.
    let made = import(
        &format!("{LIST}\n bind :8443 ssl crt a.pem ca-file list.txt verify required"),
        "a.pem [verify required ca-file ca.pem] x.test\n",
    );
    assert!(said(&made, Kind::Refused).contains("another `bind` asks"), "{}", made.report.text());
}

/// Server names are known on every port here: one of another `bind` comes to this one, and asks for what it asks.
#[test]
fn names_of_another_bind_get_past_no_demand() {
    let two = |first: &str, second: &str, list: &str| {
        let binds = format!("bind :443 ssl {first}\n bind :8443 ssl {second}");
        let made = import(&binds, list);
        (made.report.outcome() == Outcome::Refused).then(|| said(&made, Kind::Refused))
    };
    const MIXED: &str =
        "a.pem [verify required ca-file ca.pem] x.test\na.pem [verify none] y.test\n";
    for (first, second) in [("crt-list list.txt", "crt a.pem"), ("crt a.pem", "crt-list list.txt")]
    {
        let refused = two(first, second, MIXED).unwrap_or_default();
        assert!(refused.contains("some names of this `bind` ask"), "{first}: {refused}");
    }
    // A second address with the same names is none of these.
    assert_eq!(two("crt-list list.txt", "crt-list list.txt", MIXED), None);
    // Of two authorities in a list, either may be another one than that of the next `bind`.
    const TWO: &str = "a.pem [verify required ca-file ca.pem] x.test\n\
                       a.pem [verify required ca-file a.pem] y.test\n";
    for authority in ["ca.pem", "a.pem", "list.txt"] {
        let asks = format!("crt a.pem ca-file {authority} verify required");
        for (first, second) in [("crt-list list.txt", asks.as_str()), (&asks, "crt-list list.txt")]
        {
            let refused = two(first, second, TWO).unwrap_or_default();
            assert!(refused.contains("another `bind` asks"), "{first}: {refused}");
        }
    }
    assert_eq!(two("crt-list list.txt", "crt-list list.txt", TWO), None);
    // A certificate of another `bind` is none that keeps a name away.
    let list = "a.pem *.w.test !a.test\n";
    let refused = two("crt a.pem", "crt-list list.txt", list).unwrap_or_default();
    assert!(refused.contains("`!a.test` is a name that no other"), "{refused}");
}

/// The first word is the default, whether it names a certificate or a list.
#[test]
fn the_default_is_the_first_certificate_of_the_words() {
    const LIST_LINE: &str = "a.pem [verify required ca-file ca.pem] x.test\n";
    for (words, wanted) in [
        ("crt-list list.txt crt a.pem", "fallback_sni = \"x.test\""),
        ("crt a.pem crt-list list.txt", "fallback_sni = \"a.test\""),
    ] {
        let made = import(&format!("bind :443 ssl {words}"), LIST_LINE);
        assert_ne!(made.report.outcome(), Outcome::Refused, "{}", made.report.text());
        assert!(made.configuration.contains(wanted), "{words}: {}", made.configuration);
    }
}
