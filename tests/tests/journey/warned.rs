//! What `ferrule check` warns about that only certificates tell.

use std::fs;
use std::path::Path;

use ferrule_tests::{Driver, Setup, scratch, shell};

/// A root, an intermediate, and leaves of both: `plain`, and `aia` that says where its issuer is.
const CERTIFICATES: &str = r#"
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $new -days 30 -keyout root.key -out root.crt -subj "/CN=Root"
openssl req $new -keyout inter.key -out inter.req -subj "/CN=Inter"
printf 'basicConstraints = critical, CA:TRUE\n' > inter.ext
openssl x509 -req -days 30 -in inter.req -CA root.crt -CAkey root.key -set_serial 2 -extfile inter.ext -out inter.crt
openssl req $new -keyout leaf.key -out leaf.req -subj "/CN=named.test"
printf 'subjectAltName = DNS:a.test, DNS:*.b.test\n' > plain.ext
(cat plain.ext; printf 'authorityInfoAccess = caIssuers;URI:http://ca.test/inter.cer\n') > aia.ext
printf 'extendedKeyUsage = serverAuth\n' > bare.ext
for kind in plain aia bare; do
  for issuer in root inter; do
    openssl x509 -req -days 30 -in leaf.req -CA $issuer.crt -CAkey $issuer.key -set_serial 3 -extfile $kind.ext -out $kind.$issuer.crt
  done
done
"#;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
snis = [@names@]
cert = "chain.crt"
key = "leaf.key"
client.ca = "@ca@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:9" = 1 }
"#;

/// What `check` says of a chain of these files.
fn check(dir: &Path, chain: &[&str], names: &str, ca: &str) -> String {
    let read = |name: &&str| fs::read_to_string(dir.join(name)).expect("a certificate");
    fs::write(dir.join("chain.crt"), chain.iter().map(read).collect::<String>()).expect("room");
    let setup = Setup::new(dir, Driver::Epoll, CONFIG);
    let (code, text) = setup.set("names", &names).set("ca", &ca).check();
    assert_eq!(code, Some(0), "{text}");
    text
}

/// The warnings for a chain of these files.
fn warnings(dir: &Path, chain: &[&str], names: &str, ca: &str) -> Vec<String> {
    let text = check(dir, chain, names, ca);
    text.lines().filter_map(|line| line.strip_prefix("warning: ").map(str::to_owned)).collect()
}

#[test]
fn a_chain_without_its_intermediate_is_warned_about() {
    let scratch = scratch();
    let dir = scratch.path();
    shell(dir, CERTIFICATES);
    let (missing, order) =
        ("holds no intermediate certificate: put that of CN=Inter", "wrong order");
    for (chain, ca, wanted) in [
        (&["plain.root.crt"][..], "root.crt", None),
        // Of an issuer that nobody here knows it may be a root, wherever that can be fetched.
        (&["plain.inter.crt"], "root.crt", None),
        (&["aia.inter.crt"], "root.crt", None),
        (&["plain.inter.crt"], "inter.crt", Some(missing)),
        (&["aia.inter.crt"], "inter.crt", Some(missing)),
        (&["aia.root.crt"], "root.crt", None),
        (&["aia.inter.crt", "inter.crt"], "root.crt", None),
        (&["aia.inter.crt", "inter.crt", "root.crt"], "root.crt", None),
        (&["aia.inter.crt", "root.crt"], "root.crt", Some(order)),
        (&["aia.inter.crt", "root.crt", "inter.crt"], "root.crt", Some(order)),
    ] {
        let warnings = warnings(dir, chain, "\"a.test\"", ca);
        let own: Vec<_> = warnings.iter().filter(|line| line.contains("chain.crt")).collect();
        assert_eq!(own.len(), usize::from(wanted.is_some()), "{chain:?}: {warnings:?}");
        assert!(wanted.is_none_or(|words| own[0].contains(words)), "{chain:?}: {warnings:?}");
    }
}

#[test]
fn a_server_name_that_the_certificate_does_not_carry_is_warned_about() {
    let scratch = scratch();
    let dir = scratch.path();
    shell(dir, CERTIFICATES);
    for (leaf, names, wanted) in [
        ("plain.root.crt", "\"a.test\", \"x.b.test\", \"*.b.test\"", None),
        ("plain.root.crt", "\"*\"", None),
        (
            "plain.root.crt",
            "\"a.test\", \"c.test\"",
            Some("does not carry the server name c.test:"),
        ),
        ("plain.root.crt", "\"x.y.b.test\"", Some("x.y.b.test:")),
        ("plain.root.crt", "\"*.a.test\"", Some("*.a.test:")),
        // A common name counts where there is no other.
        ("plain.root.crt", "\"named.test\"", Some("named.test:")),
        ("bare.root.crt", "\"named.test\"", None),
        ("bare.root.crt", "\"a.test\"", Some("a.test:")),
    ] {
        let warnings = warnings(dir, &[leaf], names, "root.crt");
        let own: Vec<_> = warnings.iter().filter(|line| line.contains("does not carry")).collect();
        assert_eq!(own.len(), usize::from(wanted.is_some()), "{names}: {warnings:?}");
        assert!(wanted.is_none_or(|words| own[0].contains(words)), "{names}: {warnings:?}");
    }
}

/// However many server names share a file, it is told once.
#[test]
fn a_file_that_many_server_names_share_is_warned_about_once() {
    let scratch = scratch();
    let dir = scratch.path();
    shell(dir, CERTIFICATES);
    shell(dir, "cp plain.root.crt chain.crt");
    let objects: String = (0..50)
        .map(|index| {
            format!("[[ssls]]\nsni = \"n{index}.test\"\ncert = \"chain.crt\"\nkey = \"leaf.key\"\n")
        })
        .collect();
    let config = CONFIG.replace("[[routes]]", &format!("{objects}[[routes]]"));
    let setup = Setup::new(dir, Driver::Epoll, &config);
    let (code, text) = setup.set("names", &"\"a.test\"").set("ca", &"root.crt").check();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("does not carry").count(), 1, "{text}");
    assert!(text.contains("the server name n0.test, n1.test, n2.test and 47 more:"), "{text}");
}

/// Whether it is a root, files do not tell.
#[test]
fn an_issuer_that_nobody_knows_is_to_be_looked_at() {
    let scratch = scratch();
    let dir = scratch.path();
    shell(dir, CERTIFICATES);
    let words = "its issuer CN=Inter is in no file here";
    for (chain, ca, told) in [
        (&["plain.inter.crt"][..], "root.crt", true),
        (&["plain.inter.crt", "inter.crt"], "root.crt", false),
        (&["plain.root.crt"], "root.crt", false),
        (&["aia.inter.crt"], "root.crt", true),
        (&["root.crt"], "root.crt", false),
    ] {
        if chain == ["root.crt"] {
            shell(dir, "cp root.key leaf.key");
        }
        let said = check(dir, chain, "\"a.test\"", ca);
        assert_eq!(said.contains(words), told, "{chain:?}: {said}");
    }
}
