//! Encrypted keys, stapled OCSP responses and shared ticket keys, as openssl makes and sees them.

use std::fs;
use std::path::Path;

use ferrule_tests::guides::{Version, client_mtls};
use ferrule_tests::{
    Dial, Driver, Gateway, Leaf, Setup, Upstream, echo, on_both_drivers, scratch, shell,
};
use rustls::version::{TLS12, TLS13};

const CONFIG: &str = r#"
[http]
ssl_session_ticket_key = @tickets@

[identity_headers]
X-Client = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "test.com"
cert = "server.cer"
key = "@key@"
client.ca = "ca.cer"
@more@

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn gateway(
    dir: &Path,
    driver: Driver,
    upstream: &Upstream,
    (tickets, key, more): (&str, &str, &str),
) -> Gateway {
    Setup::new(dir, driver, CONFIG)
        .set("tickets", &tickets)
        .set("key", &key)
        .set("more", &more)
        .set("upstream", &upstream.port)
        .start()
}

fn visit(gateway: &Gateway, dial: &Dial) -> (bool, u16) {
    let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
    let resumed = raw.stream.is_resumed();
    (resumed, ferrule_tests::raw::get(&mut raw, "test.com", "/").status())
}

/// What a client that asks for a stapled response is shown.
fn stapled(dir: &Path, gateway: &Gateway) -> String {
    let port = gateway.port("front");
    shell(
        dir,
        &format!(
            "openssl s_client -connect 127.0.0.1:{port} -servername test.com -status \
             -cert client.cer -key client.key </dev/null 2>/dev/null"
        ),
    )
}

on_both_drivers! {
    fn an_encrypted_key_is_opened_with_its_pass_phrase(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        client_mtls(dir, Version::V1);
        shell(dir, "openssl pkcs8 -topk8 -v2 aes-256-cbc -in server.key -out sealed.key -passout pass:right");
        fs::write(dir.join("phrases"), "wrong\nright\n").expect("a writable directory");
        let upstream = Upstream::plain(echo());
        let gateway =
            gateway(dir, driver, &upstream, ("[]", "sealed.key", "password_file = \"phrases\""));
        let leaf = Leaf::read(&dir.join("client.cer"), &dir.join("client.key"));
        assert_eq!(visit(&gateway, &Dial::with(Some("test.com"), Some(&leaf), &[&TLS13])), (false, 200));
    }

    /// As nginx's `ssl_stapling_file`; a response that is over is not shown, and says so at load.
    fn a_response_is_stapled_while_it_holds(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        client_mtls(dir, Version::V1);
        shell(
            dir,
            r"serial=$(openssl x509 -in server.cer -noout -serial | cut -d= -f2)
              printf 'V\t401231235959Z\t\t%s\tunknown\t/CN=test.com\n' $serial > index.txt
              openssl ocsp -issuer ca.cer -cert server.cer -reqout request.der -no_nonce
              openssl ocsp -index index.txt -CA ca.cer -rsigner ca.cer -rkey ca.key -reqin request.der \
                -respout good.der -ndays 2
              printf 'R\t401231235959Z\t200101000000Z\t%s\tunknown\t/CN=test.com\n' $serial > index.txt
              openssl ocsp -index index.txt -CA ca.cer -rsigner ca.cer -rkey ca.key -reqin request.der \
                -respout revoked.der -ndays 2",
        );
        fs::copy(dir.join("good.der"), dir.join("staple.der")).expect("a copy");
        let upstream = Upstream::plain(echo());
        let staple = "ssl_stapling_file = \"staple.der\"";
        let mut gateway = gateway(dir, driver, &upstream, ("[]", "server.key", staple));
        let shown = stapled(dir, &gateway);
        assert!(shown.contains("OCSP Response Status: successful"), "{shown}");
        assert!(shown.contains("Cert Status: good"), "{shown}");
        fs::copy(dir.join("revoked.der"), dir.join("staple.der")).expect("a copy");
        assert_eq!(gateway.signal_reload(), ferrule_tests::Reloaded::Taken);
        let shown = stapled(dir, &gateway);
        assert!(shown.contains("OCSP response: no response sent"), "{shown}");
        // Of another certificate: refused, and what is there stays.
        fs::write(dir.join("staple.der"), b"0\x03\x0a\x01\x06").expect("a writable file");
        assert_eq!(gateway.signal_reload(), ferrule_tests::Reloaded::Refused);
    }

    /// Two machines, one file of 80 bytes: a session of the one is resumed by the other.
    fn a_fleet_shares_its_tickets(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        client_mtls(dir, Version::V1);
        shell(dir, "openssl rand -out old.key 80; openssl rand -out new.key 48; chmod 600 *.key");
        let upstream = Upstream::plain(echo());
        let start = |tickets| gateway(dir, driver, &upstream, (tickets, "server.key", ""));
        let (one, two) = (start("['old.key']"), start("['new.key', 'old.key']"));
        let (alone, third) = (start("[]"), start("'new.key'"));
        let leaf = Leaf::read(&dir.join("client.cer"), &dir.join("client.key"));
        for version in [&TLS12, &TLS13] {
            let dial = Dial::with(Some("test.com"), Some(&leaf), &[version]).resuming();
            assert_eq!(visit(&one, &dial), (false, 200), "{version:?}");
            assert_eq!(visit(&two, &dial), (true, 200), "{version:?}");
            // What the second sealed, with the first of its files, the third can open.
            assert_eq!(visit(&third, &dial), (true, 200), "{version:?}");
            assert_eq!(visit(&alone, &dial), (false, 200), "{version:?}");
        }
    }
}
