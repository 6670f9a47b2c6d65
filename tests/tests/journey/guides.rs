//! The two guides, with their own commands: real openssl, real nginx behind, real curl in front.

use std::fs;
use std::path::Path;

use ferrule_tests::guides::{
    CLIENT_MTLS_AS_PRINTED, Version, as_openssl_prints, client_mtls, upstream_mtls,
};
use ferrule_tests::raw::alert;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, Nginx, PATIENCE, Setup, Shape, free_port,
    on_both_drivers, poll, scratch, shell, source_dir,
};
use ferrule_tools::process::ferrule_binary;

/// The guide's nginx; its paths count from its configuration file.
fn mtls_nginx(dir: &Path, port: u16, more: &str) -> Nginx {
    let at = dir.display();
    let answer = if more.is_empty() {
        "return 200 \"mtls upstream\";"
    } else {
        "return 200 \"$ssl_client_verify $ssl_client_s_dn\";"
    };
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {at}/server.crt;\n\
         ssl_certificate_key {at}/server.key;\nssl_trusted_certificate {at}/ca.crt;\n{more}\n\
         location / {{\n{answer}\n}}\n}}"
    );
    Nginx::start(dir, port, &http, Shape::Single)
}

/// What the guide sets up in the console: a service with a prefix and a host, a route, mTLS upstream.
const UPSTREAM_MTLS: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[ssls]]
id = "backend-client"
type = "client"
cert = "client.crt"
key = "client.key"

[[services]]
id = "upstream-mtls-app"
hosts = ["app.example.com"]
path_prefix = "/v1"
[services.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert_id = "backend-client", ca = "ca.crt", verify = "ca" }

[[routes]]
name = "anything"
service_id = "upstream-mtls-app"
uri = "/anything"
methods = ["GET"]
"#;

/// The same without a certificate of our own.
fn without_certificate() -> String {
    UPSTREAM_MTLS.replace("client_cert_id = \"backend-client\", ", "").replace(
        "[[ssls]]\nid = \"backend-client\"\ntype = \"client\"\ncert = \"client.crt\"\nkey = \
         \"client.key\"\n",
        "",
    )
}

fn curl(dir: &Path, words: &str) -> String {
    shell(dir, &format!("curl --silent --show-error --max-time 10 {words}"))
}

fn upstream_guide(driver: Driver, version: Version) {
    let dir = scratch();
    let dir = dir.path();
    upstream_mtls(dir, version);

    let port = free_port();
    let as_printed = mtls_nginx(dir, port, "");
    let gateway = Setup::new(dir, driver, UPSTREAM_MTLS).set("upstream", &port).start();
    let front = gateway.port("front");
    let answer =
        curl(dir, &format!("-H 'Host: app.example.com' -i http://127.0.0.1:{front}/v1/anything"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nmtls upstream"), "{answer}");
    drop((gateway, as_printed));

    let port = free_port();
    let strict = format!("ssl_client_certificate {}/ca.crt; ssl_verify_client on;", dir.display());
    let _asks = mtls_nginx(dir, port, &strict);
    let gateway = Setup::new(dir, driver, UPSTREAM_MTLS).set("upstream", &port).start();
    let ask = |gateway: &Gateway| {
        let front = gateway.port("front");
        curl(dir, &format!("-H 'Host: app.example.com' -i http://127.0.0.1:{front}/v1/anything"))
    };
    let answer = ask(&gateway);
    assert!(answer.ends_with("\r\n\r\nSUCCESS OU=web"), "{answer}");
    drop(gateway);

    let bare = Setup::new(dir, driver, &without_certificate()).set("upstream", &port).start();
    let answer = ask(&bare);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("No required SSL certificate was sent"), "{answer}");
}

/// What the guide puts into the admin API.
const CLIENT_MTLS: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "test.com"
cert = "server.cer"
key = "server.key"
client.ca = "ca.cer"
client.reject = "@reject@"

[[routes]]
uri = "/anything"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.set = { X-Ssl-Client-Fingerprint = "$ssl_client_fingerprint", X-Ssl-Client-Serial = "$ssl_client_serial", X-Ssl-Client-S-DN = "$ssl_client_s_dn" }
"#;

/// A server that says which of the three fields it got.
fn echo_nginx(dir: &Path, port: u16) -> Nginx {
    let http = format!(
        "underscores_in_headers on;\nserver {{\nlisten 127.0.0.1:{port};\nlocation / {{\nreturn 200 \
         \"$http_x_ssl_client_fingerprint|$http_x_ssl_client_serial|$http_x_ssl_client_s_dn\";\n}}\n}}"
    );
    Nginx::start(dir, port, &http, Shape::Single)
}

fn client_guide(driver: Driver, version: Version) {
    let dir = scratch();
    let dir = dir.path();
    client_mtls(dir, version);
    let upstream = free_port();
    let _echo = echo_nginx(dir, upstream);
    let expected = as_openssl_prints(dir, "client.cer").join("|");
    Authority::new("foreign").client("CLIENT").write(dir, "foreign");

    for reject in ["http", "handshake"] {
        let setup = Setup::new(dir, driver, CLIENT_MTLS).named(reject);
        let gateway = setup.set("upstream", &upstream).set("reject", &reject).start();
        let front = gateway.port("front");
        let url =
            format!("--resolve test.com:{front}:127.0.0.1 -k https://test.com:{front}/anything");
        let with = "--cert ./client.cer --key ./client.key";
        assert_eq!(curl(dir, &format!("{with} {url}")), expected);
        for version in ["--tls-max 1.2", "--tlsv1.3"] {
            assert_eq!(curl(dir, &format!("{with} {version} {url}")), expected, "{version}");
        }

        let spoofed = "-H 'X-Ssl-Client-Serial: 00' -H 'X_SSL_Client_Serial: 00' \
                       -H 'X-Ssl-Client-S-DN: CN=root' -H 'x-ssl-client-fingerprint: ff'";
        assert_eq!(curl(dir, &format!("{with} {spoofed} {url}")), expected);

        refused(dir, front, reject);
        if reject == "handshake" {
            // Whoever looks into the log must not have to guess which of the two it was.
            let reason = "detail=\"client certificate: ";
            let said = poll(PATIENCE, || gateway.log().contains(reason).then_some(()));
            assert!(said.is_some(), "{}", gateway.log());
        }
    }
}

/// Neither nothing nor somebody else's certificate gets through.
fn refused(dir: &Path, front: u16, reject: &str) {
    let foreign = Leaf::read(&dir.join("foreign.crt"), &dir.join("foreign.key"));
    let attempts =
        [(None, "No required SSL certificate was sent"), (Some(&foreign), "SSL certificate error")];
    for (leaf, reason) in attempts {
        for version in rustls::ALL_VERSIONS {
            let dial = Dial::with(Some("test.com"), leaf, &[version]);
            let answer = dial.get(front, "test.com", "/anything");
            if reject == "http" {
                let answer = answer.expect("a handshake that completes");
                assert_eq!(answer.status(), 400, "{version:?}: {answer:?}");
                assert!(answer.text().contains(reason), "{version:?}: {answer:?}");
                assert_eq!(answer.head.get("connection"), Some("close"), "{answer:?}");
            } else {
                let error = answer.expect_err("no HTTP at all");
                assert!(alert(&error).is_some(), "{version:?}: {error:?}");
            }
        }
    }
}

on_both_drivers! {
    /// OpenSSL 3.0 makes X.509 v1 certificates of the guide's commands.
    fn upstream_mtls_with_v1_certificates(driver) {
        upstream_guide(driver, Version::V1);
    }

    /// OpenSSL 3.2 makes v3 ones.
    fn upstream_mtls_with_v3_certificates(driver) {
        upstream_guide(driver, Version::V3);
    }

    fn client_mtls_with_v1_certificates(driver) {
        client_guide(driver, Version::V1);
    }

    fn client_mtls_with_v3_certificates(driver) {
        client_guide(driver, Version::V3);
    }
}

/// The commands of the page, in a directory with the configuration of this name.
fn as_documented(page: &str, config: &str) -> tempfile::TempDir {
    let scratch = scratch();
    let root = source_dir();
    let text = fs::read_to_string(root.join("docs/guides").join(page)).expect("a page");
    let (_, block) = text.split_once("```sh\n").expect("a block of commands");
    let (block, _) = block.split_once("```").expect("its end");
    shell(scratch.path(), block);
    let example = root.join("config/examples").join(config);
    fs::copy(example, scratch.path().join(config)).expect("an example");
    scratch
}

/// Exit code and output of `ferrule check`.
fn check(dir: &Path, config: &str) -> String {
    let ferrule = ferrule_binary();
    shell(dir, &format!("{} check {config} 2>&1 || echo \"code $?\"", ferrule.display()))
}

#[test]
fn the_commands_of_both_pages_make_what_their_examples_name() {
    for (page, config) in
        [("client-mtls.md", "client-mtls.toml"), ("upstream-mtls.md", "upstream-mtls.toml")]
    {
        let dir = as_documented(page, config);
        let said = check(dir.path(), config);
        assert!(said.contains(": ok\n") && !said.contains("code "), "{page}: {said}");
    }
}

/// `-CAserial` takes the next word for its file, and leaves empty files behind.
#[test]
fn the_client_guide_as_printed_leaves_two_empty_files_and_they_are_named() {
    let dir = as_documented("client-mtls.md", "client-mtls.toml");
    let dir = dir.path();
    for command in CLIENT_MTLS_AS_PRINTED {
        let said = shell(dir, &format!("{command} 2>&1 || echo \"code $?\""));
        assert!(said.contains("-CAcreateserial") && said.contains("code 1"), "{said}");
    }
    for file in ["server.cer", "client.cer"] {
        assert_eq!(fs::metadata(dir.join(file)).expect("it is there").len(), 0, "{file}");
    }
    let said = check(dir, "client-mtls.toml");
    assert!(said.contains("server.cer is empty") && said.contains("code 1"), "{said}");
    assert!(said.contains("may have failed"), "{said}");
    for command in CLIENT_MTLS_AS_PRINTED {
        shell(dir, &command.replace("-CAserial ", ""));
    }
    assert!(check(dir, "client-mtls.toml").contains(": ok\n"));
}
