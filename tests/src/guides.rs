//! The certificates of the two guides, made by their literal openssl commands.
//!
//! Host names are blank in the guides and filled in here. `-CAserial` names no file there and is left out:
//! as printed, the commands fail ([`CLIENT_MTLS_AS_PRINTED`]).
//! `-subj` is given where openssl would prompt. OpenSSL 3.2 and later write v3 certificates with key
//! identifiers where earlier ones write v1; [`Version::V3`] makes any openssl do that.

use std::fs;
use std::path::Path;

use ferrule_tools::process::shell;

/// The commands of the client guide that openssl cannot do as they are printed, behind those for the CA and the
/// keys.
pub const CLIENT_MTLS_AS_PRINTED: [&str; 2] = [
    "openssl x509 -req -days 36500 -sha256 -extensions v3_req  -CA  ca.cer -CAkey ca.key  -CAserial  -CAcreateserial -in server.csr -out server.cer",
    "openssl x509 -req -days 36500 -sha256 -extensions v3_req  -CA  ca.cer -CAkey ca.key  -CAserial  -CAcreateserial -in client.csr -out client.cer",
];

/// Which kind of certificate `openssl x509 -req` writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// As OpenSSL 3.0 does without `-extfile`.
    V1,
    /// As OpenSSL 3.2 does without `-extfile`: key identifiers, no basicConstraints.
    V3,
}

/// Between the gateway and its upstream: `ca.crt`, `server.crt`, `client.crt` and their keys.
pub fn upstream_mtls(dir: &Path, version: Version) {
    let leaf = leaf_options(dir, version);
    shell(
        dir,
        &format!(
            r#"
openssl req -x509 -nodes -new -keyout ca.key -out ca.crt -days 3650 -subj "/C=/ST=/L=/O=/OU=web/CN=private_ca"
openssl req -newkey rsa:2048 -nodes -days 3650 -keyout server.key -out server.req -subj "/CN=mtls-upstream"
openssl x509 -req -days 3650 -set_serial 01 -in server.req -out server.crt -CA ca.crt -CAkey ca.key {leaf}
openssl req -newkey rsa:2048 -nodes -days 3650 -keyout client.key -out client.req -subj "/C=/ST=/L=/O=/OU=web/"
openssl x509 -req -days 3650 -set_serial 01 -in client.req -out client.crt -CA ca.crt -CAkey ca.key {leaf}
"#
        ),
    );
}

/// Between a client and the gateway: `ca.cer`, `server.cer`, `client.cer` and their keys.
pub fn client_mtls(dir: &Path, version: Version) {
    let leaf = leaf_options(dir, version);
    let root = if version == Version::V3 { "-extfile v3.ext" } else { "" };
    shell(
        dir,
        &format!(
            r#"
openssl genrsa -out ca.key 2048
openssl req -new -sha256 -key ca.key -out ca.csr -subj "/CN=ROOTCA"
openssl x509 -req -days 36500 -sha256 -extensions v3_ca -signkey ca.key -in ca.csr -out ca.cer {root}

openssl genrsa -out server.key 2048
openssl req -new -sha256 -key server.key -out server.csr -subj "/CN=test.com"
openssl x509 -req -days 36500 -sha256 -extensions v3_req  -CA  ca.cer -CAkey ca.key  -CAcreateserial -in server.csr -out server.cer {leaf}

openssl genrsa -out client.key 2048
openssl req -new -sha256 -key client.key  -out client.csr -subj "/CN=CLIENT"
openssl x509 -req -days 36500 -sha256 -extensions v3_req  -CA  ca.cer -CAkey ca.key  -CAcreateserial -in client.csr -out client.cer {leaf}

openssl pkcs12 -export -clcerts -in client.cer -inkey client.key -out client.p12 -passout pass:
"#
        ),
    );
}

fn leaf_options(dir: &Path, version: Version) -> &'static str {
    if version == Version::V1 {
        return "";
    }
    let text = "extensions = v3_req\n[v3_ca]\nsubjectKeyIdentifier = hash\n\
                [v3_req]\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n";
    fs::write(dir.join("v3.ext"), text).expect("a writable directory");
    "-extfile v3.ext"
}

/// What openssl prints for a certificate: SHA-1 in lower-case hex, the serial, the subject as RFC 2253.
#[must_use]
pub fn as_openssl_prints(dir: &Path, cert: &str) -> [String; 3] {
    let ask = |option: &str| {
        let text = shell(dir, &format!("openssl x509 -in {cert} -noout {option}"));
        text.trim().split_once('=').map(|(_, value)| value.to_owned()).expect("name=value")
    };
    [
        ask("-fingerprint -sha1").replace(':', "").to_ascii_lowercase(),
        ask("-serial"),
        ask("-subject -nameopt RFC2253"),
    ]
}
