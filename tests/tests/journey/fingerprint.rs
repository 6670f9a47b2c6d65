//! A client that changes the fingerprint of its own certificate is refused all the same.

use std::path::Path;
use std::process::Command;

use ferrule_tests::tls::certificates;
use ferrule_tests::zoo::{encode, other_form};
use ferrule_tests::{Authority, Dial, Leaf, Setup, Upstream, echo, on_both_drivers, raw, scratch};
use ferrule_tools::process::ferrule_binary;

use crate::write_ca;

fn config(client: &str) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\ncert = \
         \"server.crt\"\nkey = \"server.key\"\n[ssls.client]\nca = \"ca.crt\"\n{client}\n[[routes]]\n\
         uri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n"
    )
}

/// Status, and the fingerprint that the upstream is told.
fn ask(port: u16, leaf: &Leaf) -> u16 {
    let dial = Dial::with(Some("a.test"), Some(leaf), rustls::ALL_VERSIONS);
    let mut connection = dial.connect(port).expect("a handshake");
    raw::get(&mut connection, "a.test", "/").status()
}

/// What `ferrule explain` prints of the client, with a file that is refused, too.
fn explain(dir: &Path, file: &str, code: i32) -> Vec<String> {
    let mut command = Command::new(ferrule_binary());
    command.current_dir(dir).args(["explain", "client.crt", "--sni", "a.test", "-c", file]);
    let done = command.output().expect("ferrule");
    let text = String::from_utf8(done.stdout).expect("text");
    assert_eq!(done.status.code(), Some(code), "{text}");
    let behind = text.split("entries of `client.deny` that name it:\n").nth(1).expect("entries");
    let entries = behind.lines().map(|line| line.split("  #").next().unwrap_or_default().trim());
    entries.map(str::to_owned).collect()
}

on_both_drivers! {
    fn what_explain_prints_denies_every_form_of_a_certificate(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("Root, One");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let client = authority.client("client");
        client.write(dir, "client");
        let der = certificates(&client.cert_pem).remove(0);
        let other = other_form(&der);
        assert_ne!(der.as_ref(), other);
        let changed =
            Leaf { cert_pem: encode("CERTIFICATE", &other), key_pem: client.key_pem.clone() };
        let bystander = authority.client("bystander");

        let upstream = Upstream::plain(echo());
        let mut gateway =
            Setup::new(dir, driver, &config("")).set("upstream", &upstream.port).start();
        let port = gateway.port("front");
        assert_eq!([ask(port, &client), ask(port, &changed)], [200, 200]);

        let entries = explain(dir, "ferrule.toml", 0);
        assert_eq!(entries.len(), 2, "{entries:?}");
        for entry in &entries {
            gateway.reload(&config(&format!("deny = [{entry}]")));
            let seen = [&client, &changed, &bystander].map(|leaf| ask(port, leaf));
            assert_eq!(seen, [403, 403, 200], "{entry}");
        }
        // The fingerprint itself is refused, and the same entries are told.
        let digest = "00".repeat(32);
        std::fs::write(
            dir.join("refused.toml"),
            config(&format!("deny = [\"sha256:{digest}\"]")).replace("@front@", "1").replace("@upstream@", "1"),
        )
        .expect("a file");
        assert_eq!(explain(dir, "refused.toml", 1), entries);
    }
}
