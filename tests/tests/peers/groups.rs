//! Key exchange groups with OpenSSL 3.5 at the other end, as a client and as an upstream: every pair of lists agrees
//! on what the client wants most of what both have, or on nothing. The client's own word, the gateway's log and its counter say the same.
//!
//! Node brings that OpenSSL (`tests/openssl/install`); Debian's is older.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw,
    scratch, shell, source_dir,
};
use ferrule_tools::process::Process;

const HYBRID: &str = "X25519MLKEM768";
const ALL: [&str; 4] = [HYBRID, "X25519", "prime256v1", "secp384r1"];

/// Server names with their groups; the first has the default.
const NAMES: [(&str, &[&str]); 5] = [
    ("all.test", &ALL),
    ("old.test", &["X25519", "prime256v1"]),
    ("p384.test", &["secp384r1", HYBRID]),
    ("p256.test", &["prime256v1"]),
    ("hybrid.test", &[HYBRID]),
];

/// What clients offer. OpenSSL sends a share of the first alone: where the server does not have that, it asks again.
const OFFERS: [&[&str]; 9] = [
    &ALL,
    &[HYBRID],
    &["X25519"],
    &["prime256v1"],
    &["secp384r1"],
    &["X25519", HYBRID],
    &["prime256v1", "secp384r1", HYBRID],
    &["secp384r1", "X25519"],
    &[HYBRID, "secp384r1"],
];

const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

const HEAD: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const ACCESS: &str = "access = { path = \"access.log\", format = '$ssl_server_name $ssl_curves $ssl_protocol $ssl_curve' }";

/// What both ends take: the first of the client's that the server has. TLS 1.2 needs the curve of the server's
/// certificate as well (RFC 8422, section 5.1), which OpenSSL holds both ends to.
fn agreed<'a>(client: &[&'a str], server: &[&str], version: &str) -> Option<&'a str> {
    let old = version == "TLSv1.2";
    if old && !client.contains(&"prime256v1") {
        return None;
    }
    let usable = |group: &&&str| server.contains(group) && (!old || **group != HYBRID);
    client.iter().find(usable).copied()
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn certificates(dir: &Path) {
    let authority = Authority::new("ca");
    fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    let names = NAMES.map(|(name, _)| name);
    authority.server(&names).write(dir, "server");
    authority.client("client").write(dir, "client");
}

fn node() -> String {
    shell(&source_dir(), "tests/openssl/install").trim().to_owned()
}

fn front(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    let mut config = HEAD.to_owned();
    for (at, (name, groups)) in NAMES.into_iter().enumerate() {
        config.extend([format!(
            "\n[[ssls]]\nsni = \"{name}\"\ncert = \"server.crt\"\nkey = \"server.key\"\nclient.ca = \"ca.crt\"\n"
        )]);
        if at > 0 {
            config.extend([format!("ssl_ecdh_curve = [{}]\n", quoted(groups))]);
        }
        if groups == [HYBRID] {
            config.push_str("ssl_protocols = [\"TLSv1.3\"]\n");
        }
    }
    Setup::new(dir, driver, &config).set("upstream", &upstream.port).log_line(ACCESS).start()
}

/// How often the gateway says that it exchanged keys in each group.
fn counted(gateway: &Gateway) -> BTreeMap<String, f64> {
    let page = raw::plain_get(gateway.port("metrics"), "localhost", "/metrics").text();
    let page = Exposition::read(&page);
    let samples = page.samples("ferrule_key_exchanges_total");
    samples
        .filter(|(_, count)| *count > 0.0)
        .map(|(labels, count)| (labels["group"].clone(), count))
        .collect()
}

on_both_drivers! {
    fn openssl_3_5_agrees_with_every_list(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        certificates(dir);
        let gateway = front(dir, driver, &upstream);
        let (mut tries, mut wanted) = (String::new(), Vec::new());
        for (name, ours) in NAMES {
            for theirs in OFFERS {
                for version in VERSIONS.into_iter().filter(|version| *version == "TLSv1.3" || ours != [HYBRID]) {
                    tries.extend([format!("{name} {} {version}\n", theirs.join(":"))]);
                    wanted.push((name, theirs, version, agreed(theirs, ours, version)));
                }
            }
        }
        fs::write(dir.join("tries"), &tries).expect("a writable directory");
        let ask = source_dir().join("tests/openssl/ask.js");
        let script = format!("{} {} {} < tries", node(), ask.display(), gateway.port("front"));
        let said = shell(dir, &script);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), wanted.len(), "{said}");
        let mut expected = BTreeMap::<String, f64>::new();
        let mut logged = Vec::new();
        for (line, (name, theirs, version, group)) in lines.into_iter().zip(wanted) {
            let offer = theirs.join(":");
            let Some(group) = group else {
                let start = format!("{name} {offer} {version} ");
                let end = line.strip_prefix(&start).unwrap_or_default();
                assert!(end.starts_with("failed") || end.starts_with("refused"), "{line}");
                continue;
            };
            assert_eq!(line, format!("{name} {offer} {version} {group} 200"), "{}", gateway.log());
            *expected.entry(group.to_owned()).or_default() += 1.0;
            logged.push(format!("{version} {group}"));
        }
        assert!(logged.len() > 40, "{said}");
        let log = || fs::read_to_string(dir.join("access.log")).unwrap_or_default();
        let whole = poll(PATIENCE, || (log().lines().count() == logged.len()).then_some(()));
        assert!(whole.is_some(), "{}", log());
        for (line, end) in log().lines().zip(&logged) {
            assert!(line.ends_with(end.as_str()), "{line}: {end}");
        }
        assert_eq!(counted(&gateway), expected);
    }

    fn an_openssl_3_5_upstream_is_asked_in_its_groups(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        certificates(dir);
        let lists = OFFERS.map(|groups| groups.join(":"));
        let mut command = Command::new(node());
        command.arg(source_dir().join("tests/openssl/serve.js")).args(&lists).current_dir(dir);
        let mut server = Process::start(command, &dir.join("node.log"));
        server.wait_for_output(0, "its ports", |said| said.matches("listens").count() == lists.len());
        let mut config = HEAD.lines().take_while(|line| *line != "[[routes]]").fold(String::new(), |text, line| {
            text + line + "\n"
        }).replace("tls = true\n", "");
        let mut wanted = Vec::new();
        for line in server.output().lines().filter(|line| line.starts_with("listens")) {
            let [_, list, port] = line.split(' ').collect::<Vec<_>>()[..] else { unreachable!("{line}") };
            for (at, (name, ours)) in NAMES.into_iter().enumerate() {
                for version in VERSIONS.into_iter().filter(|version| *version == "TLSv1.3" || ours != [HYBRID]) {
                    let uri = format!("/{port}/{at}/{version}");
                    config.extend([format!(
                        "\n[[routes]]\nuri = \"{uri}\"\nupstream.nodes = {{ \"127.0.0.1:{port}\" = 1 }}\n\
                         upstream.scheme = \"https\"\n\
                         upstream.tls = {{ ca = \"ca.crt\", client_cert = \"client.crt\", client_key = \
                         \"client.key\", server_name = \"{name}\", ssl_ecdh_curve = [{}], ssl_protocols = \
                         [\"{version}\"] }}\n",
                        quoted(ours)
                    )]);
                    let theirs: Vec<&str> = list.split(':').collect();
                    // In TLS 1.2 OpenSSL holds a server to its own list, too, for the curve of its certificate.
                    let can_serve = version == "TLSv1.3" || theirs.contains(&"prime256v1");
                    let served = can_serve && agreed(ours, &theirs, version).is_some();
                    wanted.push((uri, list.to_owned(), served));
                }
            }
        }
        let gateway = Setup::new(dir, driver, &config).start();
        for (uri, list, served) in wanted {
            let answer = raw::plain_get(gateway.port("front"), "x", &uri);
            let status = if served { 200 } else { 502 };
            assert_eq!(answer.status(), status, "{uri} {list}: {}", gateway.log());
            assert!(!served || answer.text() == list, "{uri}");
        }
        server.stop();
    }
}
