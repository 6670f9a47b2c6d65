//! Many server names, many authorities, many lists: nothing that is told grows with the product of two.
//!
//! What is measured is taken at four sizes. Of a quantity that is linear in both numbers, what the second
//! number adds does not depend on the first one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use ferrule_tests::{
    Authority, Driver, Gateway, Reloaded, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};
use ferrule_tools::process::ferrule_binary;

use crate::observe::ctl;

/// How the objects of a configuration name authorities and lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sharing {
    /// All of them the same files.
    OneFile,
    /// Each a copy of its own.
    Copies,
    /// All of them the same file, and each another one beside it.
    AndOneOfItsOwn,
}

/// So many server names and upstreams, and so many authorities with a list each.
#[derive(Clone, Copy, Debug)]
struct Size {
    names: usize,
    authorities: usize,
}

const SMALL: usize = 5;
const LARGE: usize = 11;

/// Authorities whose roots are not listed, and lists of others: there is a warning about each.
struct Materials {
    authorities: Vec<String>,
    lists: Vec<String>,
    own: Vec<String>,
}

impl Materials {
    fn new() -> Self {
        let root = Authority::new("root");
        let many =
            |what: &str| (0..LARGE).map(|at| root.intermediate(&format!("{what} {at}"))).collect();
        let (listed, strangers, own): (Vec<_>, Vec<_>, Vec<_>) =
            (many("authority"), many("stranger"), many("own"));
        let pem = |all: &[Authority]| all.iter().map(|one| one.cert_pem.clone()).collect();
        Self {
            authorities: pem(&listed),
            lists: strangers.iter().map(|one| one.revocation_list(&[1], 1)).collect(),
            own: pem(&own),
        }
    }

    /// Writes the files, and the configuration that names them.
    fn write(&self, dir: &Path, size: Size, sharing: Sharing) -> String {
        Authority::new("server").server(&["a.test"]).write(dir, "server");
        let put = |name: &str, text: &str| fs::write(dir.join(name), text).expect("writable");
        let authorities = self.authorities[..size.authorities].concat();
        let lists = self.lists[..size.authorities].concat();
        put("ca.crt", &authorities);
        put("ca.crl", &lists);
        let mut text = String::from(HEAD);
        for (at, own) in self.own.iter().enumerate().take(size.names) {
            let (ca, crl) = match sharing {
                Sharing::OneFile => ("\"ca.crt\"".to_owned(), "ca.crl".to_owned()),
                Sharing::Copies => {
                    put(&format!("ca-{at}.crt"), &authorities);
                    put(&format!("ca-{at}.crl"), &lists);
                    (format!("\"ca-{at}.crt\""), format!("ca-{at}.crl"))
                }
                Sharing::AndOneOfItsOwn => {
                    put(&format!("own-{at}.crt"), own);
                    (format!("[\"ca.crt\", \"own-{at}.crt\"]"), "ca.crl".to_owned())
                }
            };
            let trust = format!("ca = {ca}, crl = \"{crl}\", crl_missing = \"allow\"");
            write!(
                text,
                "[[ssls]]\nid = \"s{at}\"\nsni = \"n{at}.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\n\
                 client = {{ {trust} }}\n[[upstreams]]\nid = \"u{at}\"\nscheme = \"https\"\n\
                 nodes = {{ \"127.0.0.1:9\" = 1 }}\ntls = {{ {trust}, verify = \"ca\" }}\n\
                 [[routes]]\nid = \"r{at}\"\nuri = \"/{at}\"\nupstream_id = \"u{at}\"\n"
            )
            .expect("text");
        }
        text
    }
}

const HEAD: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
id = "every"
sni = "*"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/"
upstream.nodes = { "127.0.0.1:9" = 1 }
"#;

/// Numbers of lines, by where they are shown.
type Lines = Vec<(&'static str, usize)>;

fn count(text: &str) -> usize {
    text.lines().count()
}

/// What `ferrule check` says in both forms.
fn checked(dir: &Path) -> Lines {
    let check = |form: &str| {
        let file = dir.join("ferrule.toml");
        let done = Command::new(ferrule_binary()).args(["check", form, "-c"]).arg(file).output();
        let done = done.expect("ferrule");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (out, error) = (text(done.stdout), text(done.stderr));
        assert!(done.status.success(), "{error}");
        (out, error)
    };
    let (human, json) = (check("--format=human"), check("--format=json"));
    vec![
        ("check", count(&human.0)),
        ("warnings of check", count(&human.1)),
        ("check as JSON", count(&json.0)),
    ]
}

/// What a running gateway says: at its start, at a reload, to a scraper and to an operator.
fn told(gateway: &mut Gateway, dir: &Path, text: &str) -> Lines {
    // Whoever asks whether it listens has lines, too, now and then.
    let warnings =
        |gateway: &Gateway| gateway.log().lines().filter(|line| line.contains(" WARN ")).count();
    let start = warnings(gateway);
    assert_eq!(gateway.reload(text), Reloaded::Taken);
    let scrape = raw::plain_get(gateway.port("metrics"), "localhost", "/metrics").text();
    let (code, certs, error) = ctl(dir, &["certs"]);
    assert_eq!(code, Some(0), "{error}");
    vec![
        ("warnings at the start", start),
        ("warnings at the reload", warnings(gateway) - start),
        ("metrics", count(&scrape)),
        ("ctl certs", count(&certs)),
    ]
}

fn measure(materials: &Materials, driver: Driver, size: Size, sharing: Sharing) -> Lines {
    let scratch = scratch();
    let dir = scratch.path();
    let text = materials.write(dir, size, sharing);
    let mut gateway = Setup::new(dir, driver, &text).start();
    let mut lines = told(&mut gateway, dir, &text);
    lines.extend(checked(dir));
    lines
}

on_both_drivers! {
    fn nothing_grows_with_names_times_authorities(driver) {
        let materials = Materials::new();
        for sharing in [Sharing::OneFile, Sharing::Copies, Sharing::AndOneOfItsOwn] {
            let at = |names, authorities| {
                measure(&materials, driver, Size { names, authorities }, sharing)
            };
            let (both_small, more_names) = (at(SMALL, SMALL), at(LARGE, SMALL));
            let (more_authorities, both_large) = (at(SMALL, LARGE), at(LARGE, LARGE));
            for (at, (what, small)) in both_small.iter().enumerate() {
                let (names, authorities) = (more_names[at].1, more_authorities[at].1);
                let large = both_large[at].1;
                assert!(*small > 0 && large > 0, "{what}");
                assert_eq!(
                    large + small, names + authorities,
                    "{sharing:?}, {what}: {small} lines, {names} with more names, {authorities} with more \
                     authorities, {large} with more of both"
                );
            }
        }
    }

    /// Thousand names of forty authorities: every scraper is answered, also many at a time.
    fn many_names_are_scraped(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let root = Authority::new("root");
        let authorities: Vec<String> =
            (0..40).map(|at| root.intermediate(&format!("authority {at}")).cert_pem).collect();
        fs::write(dir.join("ca.crt"), authorities.concat()).expect("writable");
        root.server(&["a.test"]).write(dir, "server");
        let mut text = HEAD.to_owned();
        for at in 0..1_000 {
            write!(
                text,
                "[[ssls]]\nsni = \"n{at}.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\nclient.ca = \"ca.crt\"\n"
            ).expect("text");
        }
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let port = gateway.port("metrics");
        let scrapers: Vec<_> = (0..8)
            .map(|_| thread::spawn(move || raw::plain_get(port, "localhost", "/metrics").text()))
            .collect();
        for scraper in scrapers {
            let text = scraper.join().expect("an answer");
            let authorities = "ferrule_client_ca_uses_total{";
            assert_eq!(text.lines().filter(|line| line.starts_with(authorities)).count(), 40);
            assert!(text.len() < 2 << 20, "{}", text.len());
        }
    }
}
