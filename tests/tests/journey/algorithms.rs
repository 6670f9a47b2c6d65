//! Clients with keys and certificates of other kinds than the usual, by the real openssl.

use std::path::Path;

use ferrule_tests::guides::{Version, client_mtls};
use ferrule_tests::{Gateway, Setup, Upstream, echo, on_both_drivers, scratch, shell};
use ferrule_tools::clock::{PATIENCE, poll};

const CONFIG: &str = r#"
[identity_headers]
X-Verify = "$ssl_client_verify"
X-Sigalg = "$ssl_client_sigalg"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "test.com"
cert = "server.cer"
key = "server.key"
client.ca = "roots.pem"
client.verify = "on"
client.reject = "@reject@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A name, how openssl makes the key, how it signs, and the name of what the client signs handshakes of
/// TLS 1.2 and 1.3 with; `None` where it has no way to.
const KINDS: [(&str, &str, &str, [Option<&str>; 2]); 5] = [
    (
        "p521",
        "EC -pkeyopt ec_paramgen_curve:P-521",
        "-sha512",
        [Some("ecdsa_secp384r1_sha384"), Some("ecdsa_secp521r1_sha512")],
    ),
    (
        "p521x",
        "EC -pkeyopt ec_paramgen_curve:P-521",
        "-sha224",
        [Some("ecdsa_secp384r1_sha384"), Some("ecdsa_secp521r1_sha512")],
    ),
    ("p384", "EC -pkeyopt ec_paramgen_curve:P-384", "-sha512", [Some("ecdsa_secp384r1_sha384"); 2]),
    // rustls offers no scheme of its own for such keys in TLS 1.2.
    (
        "pss",
        "RSA-PSS -pkeyopt rsa_keygen_bits:2048",
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20",
        [None, Some("rsa_pss_pss_sha")],
    ),
    (
        "rsa",
        "RSA -pkeyopt rsa_keygen_bits:2048",
        "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max",
        [Some("rsa_p"), Some("rsa_pss_rsae_sha")],
    ),
];

/// Its own root, and a client under it with a key of the same kind.
fn issue(dir: &Path, (name, key, signs): (&str, &str, &str)) {
    shell(
        dir,
        &format!(
            "openssl genpkey -algorithm {key} -out {name}.key 2>/dev/null && \
             openssl req -x509 -new -key {name}.key {signs} -subj /CN={name}-root -days 30 \
             -addext basicConstraints=critical,CA:TRUE -out {name}.root && \
             openssl req -new -key {name}.key {signs} -subj /CN={name} -out {name}.csr && \
             openssl x509 -req -in {name}.csr -CA {name}.root -CAkey {name}.key -CAcreateserial {signs} \
             -days 20 -out {name}.cer 2>/dev/null && cat {name}.root >>roots.pem"
        ),
    );
}

/// One request, by openssl; what it prints.
fn ask(dir: &Path, gateway: &Gateway, name: &str, version: &str) -> String {
    let port = gateway.port("front");
    shell(
        dir,
        &format!(
            "printf 'GET / HTTP/1.1\\r\\nHost: test.com\\r\\nConnection: close\\r\\n\\r\\n' | \
             openssl s_client -connect 127.0.0.1:{port} -servername test.com {version} -ign_eof \
             -cert {name}.cer -key {name}.key 2>&1 || true"
        ),
    )
}

fn gateway(
    dir: &Path,
    driver: ferrule_tests::Driver,
    upstream: &Upstream,
    reject: &str,
) -> Gateway {
    Setup::new(dir, driver, CONFIG)
        .named(reject)
        .set("reject", &reject)
        .set("upstream", &upstream.port)
        .start()
}

/// Until the log names the reason.
fn told(gateway: &Gateway) {
    let log = || gateway.log().contains("unsupported algorithm").then_some(());
    assert!(poll(PATIENCE, log).is_some(), "{}", gateway.log());
}

on_both_drivers! {
    fn clients_of_every_verified_kind_prove_who_they_are(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        client_mtls(dir, Version::V1);
        for (name, key, signs, _) in KINDS {
            issue(dir, (name, key, signs));
        }
        let upstream = Upstream::plain(echo());
        for reject in ["http", "handshake"] {
            let gateway = gateway(dir, driver, &upstream, reject);
            for (name, _, _, sigalgs) in KINDS {
                for (version, sigalg) in ["-tls1_2", "-tls1_3"].into_iter().zip(sigalgs) {
                    let Some(sigalg) = sigalg else { continue };
                    let answer = ask(dir, &gateway, name, version);
                    let answer = answer.to_ascii_lowercase();
                    assert!(answer.contains("x-verify: success"), "{name} {version}: {answer}");
                    let said = format!("x-sigalg: {sigalg}");
                    assert!(answer.contains(&said), "{name} {version} {said}: {answer}");
                }
            }
        }
    }

    fn a_chain_of_another_kind_is_refused_in_its_own_word(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        client_mtls(dir, Version::V1);
        // A usual key, so that it can prove possession; the root is of a kind that is not verified.
        issue(dir, ("old", "ED448", ""));
        shell(
            dir,
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out new.key && \
             openssl req -new -key new.key -subj /CN=new -out new.csr && \
             openssl x509 -req -in new.csr -CA old.root -CAkey old.key -CAcreateserial -days 20 \
             -out new.cer 2>/dev/null",
        );
        let upstream = Upstream::plain(echo());
        let http = gateway(dir, driver, &upstream, "http");
        for version in ["-tls1_2", "-tls1_3"] {
            let answer = ask(dir, &http, "new", version);
            assert!(answer.contains("400 Bad Request"), "{version}: {answer}");
        }
        told(&http);
        let alert = gateway(dir, driver, &upstream, "handshake");
        for version in ["-tls1_2", "-tls1_3"] {
            let answer = ask(dir, &alert, "new", version);
            assert!(answer.contains("unsupported certificate"), "{version}: {answer}");
        }
        told(&alert);
    }
}
