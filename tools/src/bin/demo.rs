//! A working gateway with throwaway certificates: `cargo demo`.
//!
//! Client -> mTLS -> Ferrule -> mTLS -> an upstream of our own that answers with the request it saw.
//! Different clients ask; what the upstream saw is printed and compared with what it should have seen.
//! Then everything stays up until Ctrl-C; `--once` ends instead, non-zero if anything differed.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that shows something")]

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ferrule_tools::gateway::{Driver, Gateway, Setup};
use ferrule_tools::http::{Conversation, Message};
use ferrule_tools::load::serial;
use ferrule_tools::pki::{Authority, Leaf};
use ferrule_tools::process::{cargo, source_dir};
use ferrule_tools::tls;
use ferrule_tools::upstream::{Upstream, echo};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const NAME: &str = "gateway.test";

const CONFIG: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"
X-Client-Serial = "$ssl_client_serial"
X-Client-Subject = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "gateway.test"
cert = "gateway.crt"
key = "gateway.key"
client.ca = "clients-ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert = "proxy.crt", client_key = "proxy.key", ca = "upstream-ca.crt", server_name = "upstream.test" }
"#;

fn main() -> ExitCode {
    let once = env::args().skip(1).any(|word| word == "--once");
    let Some(binary) = build() else {
        println!("ferrule could not be built");
        return ExitCode::FAILURE;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let scene = Scene::set(dir.path(), &binary);
    println!("{}", scene.driver_line());
    let differed = scene.play();
    if once {
        println!(
            "\n{}",
            if differed == 0 { "everything as it should be" } else { "NOT as it should be" }
        );
        return if differed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    scene.invite(dir.path());
    // Returning, unlike dying of the signal, takes the keys and the gateway away.
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("signals can be waited for");
    let _ = signals.forever().next();
    ExitCode::SUCCESS
}

/// Builds the gateway the way we were built, and says where it is.
fn build() -> Option<PathBuf> {
    let top = source_dir();
    println!("building ferrule ...");
    let mut command = cargo();
    command.args(["build", "-p", "ferrule-engine", "--bin", "ferrule", "--locked"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(&top).status().ok()?;
    status.success().then(ferrule_tools::process::ferrule_binary)
}

/// Everyone who takes part.
struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    right: Leaf,
    foreign: Leaf,
}

/// A header as the upstream should see it.
#[derive(Clone, Debug)]
struct ExpectedHeader {
    name: &'static str,
    value: String,
}

/// One visitor, and what should come of it.
struct Visit<'a> {
    who: &'static str,
    leaf: Option<&'a Leaf>,
    fields: &'static str,
    status: u16,
    /// What the upstream sees of these headers, if the request gets there.
    sees: Vec<ExpectedHeader>,
}

impl Scene {
    fn set(dir: &Path, binary: &Path) -> Self {
        let clients = Authority::new("Clients CA");
        let upstreams = Authority::new("Upstream CA");
        clients.server(&[NAME]).write(dir, "gateway");
        upstreams.client("the gateway").write(dir, "proxy");
        let right = clients.client("alice");
        right.write(dir, "alice");
        let foreign = Authority::new("Somebody else's CA").client("alice");
        foreign.write(dir, "foreign");
        for (name, text) in
            [("clients-ca.crt", &clients.cert_pem), ("upstream-ca.crt", &upstreams.cert_pem)]
        {
            fs::write(dir.join(name), text).expect("a writable directory");
        }
        let leaf = upstreams.server(&["upstream.test"]);
        let upstream = Upstream::tls(tls::server(&leaf, Some(&upstreams.cert_pem)), echo());
        let setup = Setup::new(dir, Driver::Epoll, CONFIG)
            .runtime("workers = 1\nio_driver = \"auto\"\n")
            .set("upstream", &upstream.port);
        let gateway = setup.binary(binary).start();
        Self { gateway, upstream, right, foreign }
    }

    fn driver_line(&self) -> String {
        format!(
            "client -> https://{NAME}:{} (ferrule) -> https://127.0.0.1:{} (upstream)",
            self.gateway.port("front"),
            self.upstream.port
        )
    }

    fn ask(&self, leaf: Option<&Leaf>, fields: &str) -> io::Result<Message> {
        let config = tls::client(leaf, rustls::ALL_VERSIONS);
        let name = ServerName::try_from(NAME).expect("a server name");
        let session = ClientConnection::new(config.into(), name).map_err(io::Error::other)?;
        let socket = std::net::TcpStream::connect(("127.0.0.1", self.gateway.port("front")))?;
        socket.set_read_timeout(Some(ferrule_tools::clock::PATIENCE))?;
        let mut talk = Conversation::new(StreamOwned::new(session, socket));
        talk.send(format!("GET /hello HTTP/1.1\r\nHost: {NAME}\r\n{fields}\r\n").as_bytes())?;
        talk.response("GET")
    }

    fn visits(&self) -> Vec<Visit<'_>> {
        let der = tls::certificates(&self.right.cert_pem).remove(0);
        let identity = [
            ("x-client-verify", String::from("SUCCESS")),
            ("x-client-serial", serial(&der).expect("a certificate has a serial")),
            ("x-client-subject", String::from("CN=alice")),
        ];
        let identity = identity.map(|(name, value)| ExpectedHeader { name, value }).to_vec();
        let right = Some(&self.right);
        vec![
            Visit {
                who: "alice, with the right certificate",
                leaf: right,
                fields: "",
                status: 200,
                sees: identity.clone(),
            },
            Visit {
                who: "alice, who also claims to be root",
                leaf: right,
                fields: "X-Client-Subject: CN=root\r\nX_Client_Verify: SUCCESS\r\n\
                         Connection: X-Client-Serial\r\n",
                status: 200,
                sees: identity,
            },
            Visit {
                who: "nobody, without a certificate",
                leaf: None,
                fields: "",
                status: 400,
                sees: vec![],
            },
            Visit {
                who: "somebody with another CA's certificate",
                leaf: Some(&self.foreign),
                fields: "",
                status: 400,
                sees: vec![],
            },
        ]
    }

    /// How many visits went otherwise than they should.
    fn play(&self) -> usize {
        let visits = self.visits();
        visits.iter().filter(|visit| !self.one(visit)).count()
    }

    fn one(&self, visit: &Visit<'_>) -> bool {
        println!("\n== {}", visit.who);
        let before = self.upstream.seen().len();
        let answer = match self.ask(visit.leaf, visit.fields) {
            Ok(answer) => answer,
            Err(error) => {
                println!("   no answer: {error}\n{}", self.gateway.log());
                return false;
            }
        };
        println!("   {}", answer.head.start());
        let mut good = answer.status() == visit.status;
        let seen = self.upstream.seen();
        let seen = seen.get(before..).unwrap_or_default();
        let wanted = usize::from(visit.status == 200);
        if seen.is_empty() {
            println!("   the upstream saw nothing");
        }
        for request in seen {
            println!("   the upstream saw:");
            for line in request.message.head.raw.trim_end().lines() {
                println!("     {line}");
            }
            for ExpectedHeader { name, value } in &visit.sees {
                let found = request.message.head.all(name);
                let spelt = name.replace('-', "_");
                good &= found == [value.as_str()] && request.message.head.all(&spelt).is_empty();
            }
        }
        good &= seen.len() == wanted;
        if !good {
            println!("   THIS DIFFERS: wanted {} and {:?}", visit.status, visit.sees);
        }
        good
    }

    fn invite(&self, dir: &Path) {
        let (dir, front) = (dir.display(), self.gateway.port("front"));
        let url = format!("--resolve {NAME}:{front}:127.0.0.1 https://{NAME}:{front}/hello");
        println!(
            "\nTry it; everything is in {dir}\n\n  \
             curl -i --cacert {dir}/clients-ca.crt --cert {dir}/alice.crt --key {dir}/alice.key {url}\n  \
             curl -i --cacert {dir}/clients-ca.crt {url}\n  \
             curl -i --cacert {dir}/clients-ca.crt --cert {dir}/foreign.crt --key {dir}/foreign.key {url}\n\n\
             Ctrl-C ends it."
        );
    }
}
