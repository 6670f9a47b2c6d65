//! Which certificate a client sees, and who gets none.

use std::path::Path;

use ferrule_tests::raw::alert;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Setup, Upstream, echo, on_both_drivers, raw, scratch, shell,
    tls,
};
use rustls::{AlertDescription, SignatureScheme};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@back@"
tls = true
fallback_sni = "exact.test"

[[ssls]]
sni = "exact.test"
cert = "exact.crt"
key = "exact.key"

[[ssls]]
sni = "*.wild.test"
cert = "wild.crt"
key = "wild.key"

[[ssls]]
sni = "one.wild.test"
cert = "one.crt"
key = "one.key"

[[ssls]]
sni = "both.test"
cert = "ecdsa.crt"
key = "ecdsa.key"
certs = ["rsa.crt"]
keys = ["rsa.key"]

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Names {
    _scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    certificates: Vec<(&'static str, Vec<u8>)>,
}

impl Names {
    fn start(driver: Driver) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        let mut certificates = Vec::new();
        for (file, name) in [
            ("exact", "exact.test"),
            ("wild", "*.wild.test"),
            ("one", "one.wild.test"),
            ("ecdsa", "both.test"),
        ] {
            let leaf = authority.server(&[name]);
            leaf.write(dir, file);
            certificates.push((file, tls::certificates(&leaf.cert_pem).remove(0).to_vec()));
        }
        rsa(dir);
        let pem = std::fs::read_to_string(dir.join("rsa.crt")).expect("just made");
        certificates.push(("rsa", tls::certificates(&pem).remove(0).to_vec()));
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { _scratch: scratch, _upstream: upstream, gateway, certificates }
    }

    /// The file of the certificate that this client is shown.
    fn shown(&self, dial: &Dial, listener: &str) -> &'static str {
        let raw = dial.connect(self.gateway.port(listener)).expect("a handshake");
        let seen = raw.stream.certificate();
        let found = self.certificates.iter().find(|(_, der)| *der == seen);
        found.map_or("an unknown one", |(file, _)| *file)
    }
}

fn rsa(dir: &Path) {
    shell(
        dir,
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -days 30 -subj /CN=both.test \
         -addext subjectAltName=DNS:both.test -addext basicConstraints=critical,CA:FALSE 2>/dev/null",
    );
}

on_both_drivers! {
    fn each_name_has_its_certificate(driver) {
        let names = Names::start(driver);
        for (name, file) in [
            ("exact.test", "exact"),
            ("EXACT.test", "exact"),
            ("two.wild.test", "wild"),
            ("one.wild.test", "one"),
        ] {
            for version in rustls::ALL_VERSIONS {
                let dial = Dial::with(Some(name), None, &[version]);
                assert_eq!(names.shown(&dial, "front"), file, "{name}");
            }
        }
    }

    fn unknown_names_get_alert_112_or_the_fallback(driver) {
        let names = Names::start(driver);
        let front = names.gateway.port("front");
        for name in [None, Some("unknown.test"), Some("a.b.wild.test"), Some("wild.test")] {
            let error = Dial::new(name).connect(front).expect_err("no such name");
            assert_eq!(alert(&error), Some(AlertDescription::UnrecognisedName), "{name:?}");
            assert_eq!(names.shown(&Dial::new(name), "back"), "exact", "{name:?}");
        }
    }

    /// Each client gets the key type it can verify.
    fn a_pair_serves_rsa_and_ecdsa_clients(driver) {
        let names = Names::start(driver);
        assert_eq!(names.shown(&Dial::new(Some("both.test")), "front"), "ecdsa");
        let dial = Dial::new(Some("both.test")).only(|scheme| {
            matches!(
                scheme,
                SignatureScheme::RSA_PSS_SHA256
                    | SignatureScheme::RSA_PSS_SHA384
                    | SignatureScheme::RSA_PKCS1_SHA256
            )
        });
        assert_eq!(names.shown(&dial, "front"), "rsa");
    }

    fn http_1_1_is_the_only_protocol(driver) {
        let names = Names::start(driver);
        let front = names.gateway.port("front");
        let both = Dial::new(Some("exact.test")).alpn(&["h2", "http/1.1"]);
        let raw = both.connect(front).expect("a handshake");
        assert_eq!(raw.stream.tls().alpn_protocol(), Some(b"http/1.1".as_slice()));
        let only = Dial::new(Some("exact.test")).alpn(&["h2"]);
        let error = only.connect(front).expect_err("no common protocol");
        assert_eq!(alert(&error), Some(AlertDescription::NoApplicationProtocol));
    }

    /// A name that is not found must not lead to a weaker policy.
    fn a_hello_in_one_byte_records_finds_its_name(driver) {
        let names = Names::start(driver);
        for version in rustls::ALL_VERSIONS {
            let dial = Dial::with(Some("two.wild.test"), None, &[version]).split_hello();
            assert_eq!(names.shown(&dial, "front"), "wild");
            let answer = dial.get(names.gateway.port("front"), "two.wild.test", "/");
            assert_eq!(answer.expect("an answer").status(), 200);
        }
    }

    fn plain_http_on_a_tls_port_is_told_so(driver) {
        let names = Names::start(driver);
        let (answer, closed) =
            raw::exchange(names.gateway.port("front"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!((answer.status(), closed), (400, true));
    }
}
