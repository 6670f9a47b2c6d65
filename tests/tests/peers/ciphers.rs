//! `ssl_ciphers` with Debian's OpenSSL at the other end: what lists mean, and what is agreed on for every suite, as a
//! client and as an upstream.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ferrule_config::model::CipherSuite;
use ferrule_tests::{Driver, Gateway, Setup, Upstream, echo, on_both_drivers, raw, scratch, shell};
use ferrule_tools::process::Process;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const WORDS: [&str; 34] = [
    "ALL",
    "HIGH",
    "AES",
    "AESGCM",
    "AES128",
    "AES256",
    "CHACHA20",
    "ECDHE",
    "EECDH",
    "kEECDH",
    "ECDH",
    "ECDSA",
    "aECDSA",
    "aRSA",
    "FIPS",
    "TLSv1.2",
    "RSA",
    "kRSA",
    "aNULL",
    "eNULL",
    "DHE",
    "EDH",
    "SHA256",
    "SHA384",
    "SSLv3",
    "AESCCM",
    "PSK",
    "CAMELLIA",
    "ARIA",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-SHA",
];

/// Our suites of TLS 1.2 that a list means here; none if it is refused.
fn ours(list: &str) -> Option<Vec<&'static str>> {
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n[[ssls]]\nsni = \"x\"\ncert = \"a\"\nkey = \"b\"\nssl_ciphers = \
         \"{list}\"\n[[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:2\" = 1 }}\n"
    );
    let draft = ferrule_config::read_text(Path::new("/x.toml"), text, &|_| None).expect("TOML");
    let config = draft.finish().ok()?;
    let suites = config.servers.first().expect("a server name").ciphers.iter();
    Some(suites.filter(|suite| !suite.is_for_tls13()).map(|suite| suite.name()).collect())
}

/// The same by OpenSSL, without those that are none of ours. A colon keeps a `-` from being an option.
fn theirs(list: &str) -> Vec<String> {
    let list = if list.starts_with('-') { format!(":{list}") } else { list.to_owned() };
    let said = Command::new("openssl").args(["ciphers", "-tls1_2", "-s", &list]).output();
    let said = said.expect("openssl");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let known = |name: &&str| CipherSuite::ALL.iter().any(|suite| suite.name() == *name);
    text.trim().split(':').filter(known).map(str::to_owned).collect()
}

#[test]
fn lists_mean_what_they_mean_to_openssl() {
    for list in [
        "HIGH:!aNULL:!MD5",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        "EECDH+AESGCM:EECDH+CHACHA20:!aNULL:!eNULL:!LOW:!3DES:!MD5:!EXP:!PSK:!SRP:!DSS:!RC4",
        "DEFAULT:!kRSA",
        "ALL:!HIGH+FIPS",
        "ALL:-FIPS+HIGH+AES",
    ] {
        assert_eq!(ours(list).expect("a list that is taken"), theirs(list), "{list}");
    }
    let word = || proptest::sample::select(&WORDS[..]);
    let element = (
        proptest::sample::select(vec!["", "", "", "!", "-", "+"]),
        proptest::collection::vec(word(), 1..3),
        proptest::bool::weighted(0.1),
    );
    let lists = proptest::collection::vec(element, 1..7).prop_map(|elements| {
        let texts = elements.into_iter().map(|(operator, words, sorts)| {
            // OpenSSL joins words, not names of suites.
            let words =
                if words.iter().any(|word| word.contains('-')) { &words[..1] } else { &words[..] };
            format!("{operator}{}{}", words.join("+"), if sorts { ":@STRENGTH" } else { "" })
        });
        texts.collect::<Vec<_>>().join(":")
    });
    let (mut runner, mut taken) = (TestRunner::new(Config::with_cases(400)), 0);
    let run = runner.run(&lists, |list| {
        if let Some(suites) = ours(&list) {
            prop_assert_eq!(suites, theirs(&list), "{}", list);
        }
        Ok(())
    });
    run.expect("lists that mean the same");
    for list in ["ALL", "ALL:-AES:AES128", "HIGH:+aRSA", "AES256+aRSA:ALL:@STRENGTH"] {
        taken += usize::from(ours(list).is_some_and(|suites| suites == theirs(list)));
    }
    assert_eq!(taken, 4);
}

const HEAD: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const RSA: &str =
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -days 2 -subj /CN=x";
const ECDSA: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -out ec.crt \
                     -days 2 -subj /CN=x";

/// The host of a list.
fn name_of(list: &str) -> String {
    match ORDERS.iter().position(|(order, _)| *order == list) {
        Some(at) => format!("order-{at}.test"),
        None => {
            list.to_lowercase().replace([':', '_'], "-").chars().take(60).collect::<String>()
                + ".test"
        }
    }
}

/// Lists of names beside each suite alone, and whether their order decides.
const ORDERS: [(&str, bool); 3] = [
    (
        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
        true,
    ),
    ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", false),
    ("HIGH:!ECDSA", false),
];

fn versions(suite: CipherSuite) -> &'static str {
    if suite.is_for_tls13() {
        "ssl_protocols = [\"TLSv1.3\"]"
    } else {
        "ssl_protocols = [\"TLSv1.2\"]"
    }
}

fn front(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    shell(dir, &format!("{RSA} && {ECDSA}"));
    let mut config = HEAD.to_owned();
    let mut add = |list: &str, more: &str| {
        config.extend([format!(
            "\n[[ssls]]\nsni = \"{}\"\ncert = \"ec.crt\"\nkey = \"ec.key\"\ncerts = [\"rsa.crt\"]\nkeys = [\"rsa.key\"]\n\
             ssl_ciphers = \"{list}\"\n{more}\n",
            name_of(list)
        )]);
    };
    for suite in CipherSuite::ALL {
        add(suite.name(), versions(*suite));
    }
    for (list, prefer) in ORDERS {
        add(list, if prefer { "ssl_prefer_server_ciphers = true" } else { "" });
    }
    Setup::new(dir, driver, &config).set("upstream", &upstream.port).start()
}

/// The suite that OpenSSL gets with this offer at this name; none if nothing is agreed on.
fn agreed(dir: &Path, port: u16, name: &str, offer: &str) -> Option<String> {
    let version = if offer.starts_with("-ciphersuites") { "-tls1_3" } else { "-tls1_2" };
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername {name} {version} {offer} < /dev/null 2>&1 || true"
    );
    let said = shell(dir, &script);
    let line =
        said.lines().find_map(|line| line.split_once("Cipher is ")).expect("what was agreed on").1;
    (line != "(NONE)").then(|| line.to_owned())
}

on_both_drivers! {
    fn openssl_gets_the_suites_that_a_name_has_and_no_other(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let gateway = front(dir, driver, &upstream);
        let port = gateway.port("front");
        let offer = |suite: CipherSuite| {
            format!("{} {}", if suite.is_for_tls13() { "-ciphersuites" } else { "-cipher" }, suite.name())
        };
        for one in CipherSuite::ALL {
            for other in CipherSuite::ALL.iter().filter(|other| other.is_for_tls13() == one.is_for_tls13()) {
                let got = agreed(dir, port, &name_of(one.name()), &offer(*other));
                assert_eq!(got.as_deref(), (one == other).then(|| one.name()), "{one:?} {other:?}");
            }
        }
        for (list, offer, wanted) in [
            // The server's order, of both versions.
            (0, "-cipher ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", Some("ECDHE-RSA-AES128-GCM-SHA256")),
            (0, "-ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", Some("TLS_AES_128_GCM_SHA256")),
            (0, "-ciphersuites TLS_CHACHA20_POLY1305_SHA256", None),
            // The client's; and of two certificates the one that a suite of the list goes with.
            (1, "-cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", Some("ECDHE-ECDSA-AES256-GCM-SHA384")),
            (1, "-cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", Some("ECDHE-RSA-AES128-GCM-SHA256")),
            (1, "-ciphersuites TLS_CHACHA20_POLY1305_SHA256", Some("TLS_CHACHA20_POLY1305_SHA256")),
            (2, "-cipher ALL", Some("ECDHE-RSA-AES256-GCM-SHA384")),
            (2, "-cipher ECDHE-ECDSA-AES256-GCM-SHA384", None),
        ] {
            let got = agreed(dir, port, &name_of(ORDERS[list].0), offer);
            assert_eq!(got.as_deref(), wanted, "{list} {offer}");
        }
    }

    /// One server that has everything is asked with one suite each, and with two in both orders.
    fn an_openssl_upstream_is_offered_the_suites_of_its_list(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        shell(dir, &format!("{RSA} && {ECDSA}"));
        let mut command = Command::new("openssl");
        command.args("s_server -accept 127.0.0.1:0 -cert rsa.crt -key rsa.key -dcert ec.crt -dkey ec.key -www -naccept 100".split(' '));
        command.current_dir(dir);
        let mut server = Process::start(command, &dir.join("openssl.log"));
        server.wait_for_output(0, "its port", |said| said.contains("ACCEPT"));
        let said = server.output();
        let port = said.lines().find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit_once(':')).expect("a port").1;
        let mut lists: BTreeMap<String, &str> =
            CipherSuite::ALL.iter().map(|suite| (suite.name().to_owned(), suite.name())).collect();
        for pair in [
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
            ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256"],
        ] {
            lists.insert(pair.join(":"), pair[0]);
        }
        let mut config = "[[listen]]\naddress = \"127.0.0.1:@front@\"\n".to_owned();
        for list in lists.keys() {
            let first = list.split(':').next().unwrap_or_default();
            let suite = CipherSuite::ALL.iter().find(|suite| suite.name() == first).expect("a suite");
            config.extend([format!(
                "\n[[routes]]\nuri = \"/{}\"\nupstream.nodes = {{ \"127.0.0.1:{port}\" = 1 }}\nupstream.scheme = \"https\"\n\
                 upstream.tls = {{ verify = \"off\", ssl_ciphers = \"{list}\", {} }}\n",
                name_of(list), versions(*suite)
            )]);
        }
        let gateway = Setup::new(dir, driver, &config).start();
        for (list, wanted) in lists {
            let page = raw::plain_get(gateway.port("front"), "x", &format!("/{}", name_of(&list))).text();
            let got = page.lines().find_map(|line| line.split_once("Cipher is "));
            assert_eq!(got.map(|(_, name)| name), Some(wanted), "{list}: {page} {}", gateway.log());
        }
        server.stop();
    }
}
