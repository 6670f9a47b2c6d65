//! Certificates, upstreams, and both gateways side by side.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferrule_tests::{Authority, Driver, Leaf, Upstream, echo, free_port, scratch, tls};
use ferrule_tools::haproxy::binary;
use ferrule_tools::process::Process;
use tempfile::TempDir;

use crate::kit::{CurlAnswer, curl, import, lines, start};

/// What stands in front of every configuration.
const FRONT: &str = "global\n  nbthread 1\n  maxconn 500\n  no strict-limits\n\
                     defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n";

/// Files and servers that configurations name.
pub(super) struct Stage {
    dir: TempDir,
    pub(super) plain: Upstream,
    other: Upstream,
    secure: Upstream,
}

/// A configuration and what is asked of it.
pub(super) struct HaproxyCase {
    pub(super) text: &'static str,
    /// The exit code of the import.
    pub(super) code: i32,
    /// curl's words: `@front@` and `@second@` are ports.
    pub(super) asks: &'static [&'static str],
    /// Headers of the request that are compared, and of the response.
    pub(super) headers: &'static [&'static str],
    pub(super) told: &'static [&'static str],
}

impl Stage {
    pub(super) fn new() -> Self {
        let dir = scratch();
        let at = dir.path();
        let clients = Authority::new("Clients");
        fs::write(at.join("clients.pem"), &clients.cert_pem).expect("a file");
        let subject = [("O", "Acme, Inc."), ("OU", "ops"), ("CN", "alice")];
        clients.client_named(&subject, &[]).write(at, "alice");
        let bob = clients.client_with("bob", 4_660);
        bob.write(at, "bob");
        fs::write(at.join("clients.crl"), clients.revocation_list(&[4_660], 1)).expect("a file");
        Authority::new("Strangers").client("mallory").write(at, "mallory");
        let servers = Authority::new("Servers");
        fs::write(at.join("servers.pem"), &servers.cert_pem).expect("a file");
        fs::create_dir(at.join("certs")).expect("a folder");
        for (file, names) in [
            ("site.pem", vec!["site.example"]),
            ("open.pem", vec!["open.example"]),
            ("certs/a.pem", vec!["a.example", "*.a.example"]),
            ("certs/b.pem", vec!["b.example"]),
        ] {
            let Leaf { cert_pem, key_pem } = servers.server(&names);
            fs::write(at.join(file), cert_pem + &key_pem).expect("a file");
        }
        let list = "open.pem\nsite.pem [verify required ca-file clients.pem] site.example *.site.example !x.site.example\n\
                    certs/b.pem x.site.example b.example\n";
        fs::write(at.join("list.txt"), list).expect("a file");
        let own = clients.client("gateway");
        fs::write(at.join("gateway.pem"), own.cert_pem.clone() + &own.key_pem).expect("a file");
        let behind = servers.server(&["behind.example"]);
        let secure = Upstream::tls(tls::server(&behind, Some(&clients.cert_pem)), echo());
        let name = |word: &'static str| {
            std::sync::Arc::new(move |client: &mut ferrule_tests::Client| {
                while client.request().is_some() {
                    if !client.answer(word.as_bytes()) {
                        return;
                    }
                }
            })
        };
        Self { dir, plain: Upstream::plain(echo()), other: Upstream::plain(name("other")), secure }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The text with ports in it.
    pub(super) fn render(&self, text: &str, front: u16, second: u16) -> String {
        let values = [
            ("front", front),
            ("second", second),
            ("echo", self.plain.port),
            ("other", self.other.port),
            ("secure", self.secure.port),
        ];
        let mut text = text.to_owned();
        for (name, port) in values {
            text = text.replace(&format!("@{name}@"), &port.to_string());
        }
        text
    }

    fn haproxy(&self, text: &str, front: u16, second: u16) -> Process {
        let file = self.path().join("old.cfg");
        fs::write(&file, format!("{FRONT}{}", self.render(text, front, second))).expect("a file");
        let mut command = Command::new(binary());
        command.arg("-db").arg("-C").arg(self.path()).arg("-f").arg(&file);
        let mut process = Process::start(command, &self.path().join("old.log"));
        process.wait_for_port(front);
        process
    }

    /// Asks both gateways the same, and fails where they answer differently.
    pub(super) fn play(&self, driver: Driver, case: &HaproxyCase) {
        let (front, second) = (free_port(), free_port());
        let _old = self.haproxy(case.text, front, second);
        let (new_front, new_second) = (free_port(), free_port());
        let text = format!("{FRONT}{}", self.render(case.text, new_front, new_second));
        fs::write(self.path().join("new.cfg"), text).expect("a file");
        let folder = format!("made-{driver}");
        let run = import(self.path(), &["haproxy", "new.cfg", "-o", &folder]);
        assert_eq!(run.code, Some(case.code), "{}", run.text);
        for word in case.told {
            assert!(run.text.contains(word), "{word:?} is not told: {}", run.text);
        }
        let folder = self.path().join(folder);
        let _new = start(&folder, driver, |text| text);
        for ask in case.asks {
            let of = |front: u16, second: u16| {
                let words = self.render(ask, front, second);
                relevant(&curl(self.path(), &words), case, &[front, second])
            };
            let made = fs::read_to_string(folder.join("ferrule.toml")).unwrap_or_default();
            assert_eq!(of(new_front, new_second), of(front, second), "{ask}\n{made}");
        }
    }
}

/// What must be the same: status, target of a redirect, headers that are compared, and which upstream it was.
fn relevant(answer: &CurlAnswer, case: &HaproxyCase, ports: &[u16]) -> Vec<String> {
    let mut all = vec![answer.status.clone()];
    let mut location = answer.location.clone();
    for (at, port) in ports.iter().enumerate() {
        location = location.replace(&format!(":{port}"), &format!(":port{at}"));
    }
    all.push(location);
    all.extend(lines(&answer.body, case.headers));
    let wanted = |field: &&String| {
        case.headers
            .iter()
            .any(|name| field.starts_with(&format!("{}:", name.to_ascii_lowercase())))
    };
    all.extend(answer.fields.iter().filter(wanted).cloned());
    if answer.status == "200" && !answer.body.contains("HTTP/1.1") {
        all.push(answer.body.clone());
    }
    all.extend(
        answer.body.lines().next().filter(|line| line.ends_with("HTTP/1.1")).map(str::to_owned),
    );
    all
}
