//! `--compare`: the old gateway and the new one are asked the same, and only what differs is told.

use std::fs;
use std::path::Path;

use ferrule_tests::{Authority, Haproxy, Leaf, Upstream, echo, free_port, scratch};

use crate::kit::{ImportRun, import};

const CONFIGURATION: &str = "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
                             frontend web\n  bind 127.0.0.1:@front@ ssl crt site.pem ca-file clients.pem verify required\n  \
                             http-request return status 200 content-type text/plain string pong if { hdr(host) a.example } { path_beg /ping }\n  \
                             http-request return status 200 content-type text/plain string @word@ if { path /word }\n  \
                             default_backend app\nbackend app\n  server one 127.0.0.1:@echo@\n";

struct CompareStage {
    dir: tempfile::TempDir,
    service: Upstream,
    front: u16,
    _old: Haproxy,
}

impl CompareStage {
    fn new() -> Self {
        let dir = scratch();
        let at = dir.path();
        let clients = Authority::new("Clients");
        fs::write(at.join("clients.pem"), &clients.cert_pem).expect("a file");
        clients.client("alice").write(at, "alice");
        let servers = Authority::new("Servers");
        fs::write(at.join("servers.pem"), &servers.cert_pem).expect("a file");
        let Leaf { cert_pem, key_pem } = servers.server(&["a.example", "127.0.0.1"]);
        fs::write(at.join("site.pem"), cert_pem + &key_pem).expect("a file");
        let service = Upstream::plain(echo());
        let front = free_port();
        let text = render("one", front, service.port);
        let sections = text
            .split_once("frontend")
            .map(|(_, rest)| format!("frontend{rest}"))
            .expect("a frontend");
        let old = Haproxy::start(at, front, &sections);
        Self { dir, service, front, _old: old }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Imports a configuration that says this word, and compares it with the old gateway.
    fn compare(&self, word: &str, more: &[&str]) -> ImportRun {
        fs::write(self.path().join("new.cfg"), render(word, free_port(), self.service.port))
            .expect("a file");
        let folder = self.path().join("made");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("a folder of ours");
        }
        let url = format!("https://127.0.0.1:{}", self.front);
        let words = ["haproxy", "new.cfg", "-o", "made", "--compare", &url];
        import(self.path(), &[&words, more].concat())
    }
}

fn render(word: &str, front: u16, echo: u16) -> String {
    let ports = [("@front@", front), ("@echo@", echo)];
    let text = CONFIGURATION.replace("@word@", word);
    ports.iter().fold(text, |text, (name, port)| text.replace(name, &port.to_string()))
}

const ALICE: [&str; 4] = ["--cert", "alice.crt", "--key", "alice.key"];

#[test]
fn equal_gateways_are_told_equal() {
    let stage = CompareStage::new();
    fs::write(stage.path().join("log"), "GET /word\nGET /ping a.example\nPOST /word\nhello\n")
        .expect("a file");
    let run = stage.compare("one", &[&ALICE[..], &["--requests", "log"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.text);
    assert!(run.text.contains("2 requests: 0 answered differently"), "{}", run.text);
    assert!(run.text.contains("1 were left out, as their method"), "{}", run.text);
    assert!(run.text.contains("1 lines are no request"), "{}", run.text);
    // Nothing but the folder that was asked for is left.
    let left: Vec<_> = fs::read_dir(stage.path().join("made")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_difference_is_told_and_has_an_exit_code() {
    let stage = CompareStage::new();
    let run = stage.compare("two", &ALICE);
    assert_eq!(run.code, Some(4), "{}", run.text);
    assert!(run.text.contains("DIFFERENT GET https://-/word: bodies differ"), "{}", run.text);
    assert!(
        run.text.contains("GET https://a.example/ping")
            || !run.text.contains("a.example/ping: status"),
        "{}",
        run.text
    );
    // Nobody has shown a certificate: both refuse in the handshake, and that is the same.
    let run = stage.compare("two", &[]);
    assert_eq!(run.code, Some(0), "{}", run.text);
    // With an authority that has not signed the gateways' certificates, nobody is asked.
    let run =
        stage.compare("one", &[&ALICE[..], &["--cacert", "clients.pem", "--most", "1"]].concat());
    assert!(run.text.contains("1 requests:"), "{}", run.text);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let stage = CompareStage::new();
    for (more, wanted) in [
        (vec!["--cert", "nowhere.crt", "--key", "alice.key"], "cannot be read"),
        (vec!["--cert", "alice.crt", "--key", "clients.pem"], "no private key"),
        (vec!["--requests", "nowhere.log"], "nowhere.log cannot be read"),
        (vec!["--against", "ftp://a"], "is no URL"),
        (vec!["--against", "http://127.0.0.1:1"], "no listener with TLS"),
    ] {
        let run = stage.compare("one", &more);
        assert!(run.code == Some(4) && run.text.contains(wanted), "{more:?}: {}", run.text);
    }
    let run = import(stage.path(), &["haproxy", "new.cfg", "--compare", "https://127.0.0.1:1"]);
    assert_eq!(run.code, Some(2), "{}", run.text);
}
