//! Is the status page what it says: readable for eyes, keys and screen readers, live, safe, and quick with many routes?
//! A real browser looks at the real `ferrule`.
//!
//! `FERRULE_TESTS_SCREENSHOTS=DIRECTORY cargo test -p ferrule-tests --test page reads` keeps the pictures.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod browser;
mod endpoint;

use std::fmt::Write as _;
use std::fs;

use browser::Browser;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, Reloaded, Setup, Upstream, echo, raw, scratch,
};
use ferrule_tools::process::ferrule_binary;

/// A gateway with a bit of everything.
pub(crate) const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"
status_path = "/status"
import_report = "import.txt"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@plain@"
mtls_routes = "allow"

[[ssls]]
id = "api"
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[ssls]]
id = "partners"
sni = "partners.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", eku = "any", allow = ["DNS:partner.test"] }

[[upstreams]]
id = "app"
keepalive_pool = { size = 0 }
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
id = "users"
host = "a.test"
uri = "/api/*"
upstream_id = "app"

[[routes]]
id = "orders"
host = "a.test"
uris = ["/orders", "/orders/*"]
methods = ["GET", "POST"]
upstream_id = "app"

[[routes]]
id = "rest"
uri = "/*"
upstream_id = "app"
"#;

/// What an importer may say: a name in it is somebody else's.
const IMPORT_REPORT: &str = "nginx.conf:3: server_name: converted\n\
     nginx.conf:7: location <img src=x onerror=window.pwned=4>: means something else\n\
     nginx.conf:9: \u{202e}moc.elgoog: refused\n";

/// The gateway, with what it needs as long as it lives.
pub(crate) struct ShownGateway {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) gateway: Gateway,
    pub(crate) clients: Authority,
    upstream: Option<Upstream>,
}

impl ShownGateway {
    pub(crate) fn start(text: &str) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let clients = Authority::new("clients");
        fs::write(dir.join("clients.crt"), &clients.cert_pem).expect("a file");
        clients.server(&["a.test", "partners.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let program = dir.join("program");
        std::os::unix::fs::symlink(ferrule_binary(), &program).expect("a link");
        fs::write(dir.join("import.txt"), IMPORT_REPORT).expect("a file");
        let gateway = Setup::new(dir, Driver::IoUring, text)
            .binary(&program)
            .set("upstream", &upstream.port)
            .start();
        Self { scratch, gateway, clients, upstream: Some(upstream) }
    }

    pub(crate) fn metrics(&self) -> u16 {
        self.gateway.port("metrics")
    }

    fn ask(&self, host: &str, path: &str, leaf: &Leaf) -> u16 {
        let front = self.gateway.port("front");
        Dial::as_client(host, leaf).get(front, host, path).expect("an answer").status()
    }

    /// A program that cannot take over, for a reason that quotes its name.
    fn refuse_upgrade(&mut self) {
        fs::rename(self.scratch.path().join("program"), self.scratch.path().join("old"))
            .expect("the program");
        self.gateway.process.signal(rustix::process::Signal::USR2);
        self.gateway
            .process
            .wait_for_output(0, "that it is refused", |text| text.contains("upgrade refused"));
    }

    /// A file that is refused, for a reason that quotes it.
    fn refuse(&mut self, line: &str) {
        let text = fs::read_to_string(&self.gateway.file).expect("the file");
        fs::write(&self.gateway.file, format!("{text}\n{line}\n")).expect("a file");
        assert_eq!(self.gateway.signal_reload(), Reloaded::Refused);
    }
}

#[test]
fn everything_is_there_for_eyes_keys_and_screen_readers() {
    let shown = ShownGateway::start(CONFIG);
    for number in 0..5 {
        assert_eq!(
            shown.ask("a.test", "/api/x", &shown.clients.client(&format!("device {number}"))),
            200
        );
    }
    assert_eq!(shown.ask("partners.test", "/x", &shown.clients.server(&["partner.test"])), 200);
    assert_eq!(shown.ask("a.test", "/x", &shown.clients.server(&["partner.test"])), 400);
    assert_eq!(shown.ask("a.test", "/x", &Authority::new("nobody").client("stranger")), 400);
    Browser::look("reads", shown.metrics()).finish();
}

#[test]
fn what_happens_is_seen_without_a_reload() {
    let mut shown = ShownGateway::start(CONFIG);
    let plain = shown.gateway.port("plain");
    assert_eq!(raw::plain_get(plain, "x.test", "/").status(), 200);
    let mut browser = Browser::look("live", shown.metrics());
    browser.when("kill", || {
        drop(shown.upstream.take());
        for _ in 0..5 {
            assert_eq!(raw::plain_get(plain, "x.test", "/").status(), 502);
        }
    });
    browser.when("reload", || shown.refuse("wrong = 1"));
    browser.finish();
}

#[test]
fn hostile_names_are_text() {
    let mut shown = ShownGateway::start(CONFIG);
    for name in
        ["<script>window.pwned=1</script>", "\u{202e}moc.elgoog\u{2066}", "\u{7}\u{1b}[2J bell"]
    {
        let leaf = shown.clients.client_named(&[("CN", name)], &[]);
        assert_eq!(shown.ask("a.test", "/api/x", &leaf), 200, "{name}");
    }
    shown.refuse("'<img src=x onerror=window.pwned=2>' = 1");
    shown.refuse_upgrade();
    Browser::look("hostile", shown.metrics()).finish();
}

#[test]
fn ten_thousand_routes_do_not_stutter() {
    let (metrics, _) = CONFIG.split_once("[[listen]]").expect("a listener");
    let mut text = format!(
        "{metrics}[[listen]]\naddress = \"127.0.0.1:@plain@\"\n\
         [[upstreams]]\nid = \"app\"\nnodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n"
    );
    for number in 0..10_000 {
        let _ = write!(
            text,
            "[[routes]]\nid = \"r{number}\"\nhost = \"h{}.test\"\nuri = \"/r{number}/*\"\nupstream_id = \"app\"\n",
            number % 100
        );
    }
    let shown = ShownGateway::start(&text);
    Browser::look("many", shown.metrics()).finish();
}
