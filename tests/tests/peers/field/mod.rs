//! Clients and upstreams of other people: do they notice that there is a gateway between them?
//!
//! Each client makes the requests of [`scenarios`] to an upstream on Node, and a client on Node makes them to each
//! upstream, over TCP and over mutual TLS on both sides: directly, and through the gateway. What is told of the
//! answers must be the same. A program that `tests/run` does not install is left out where it is not there; on
//! Debian, `apt-get install -y --no-install-recommends golang-go default-jdk-headless libhttpclient5-java
//! libjetty9-java libtomcat10-java libtomcat10-embed-java php-cli php-curl ruby puma` brings them all.
//!
//! `cargo test -p ferrule-tests --test peers field -- --ignored --nocapture` also asks through nginx, and prints
//! a table with versions and with all that differs.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod programs;
mod scenarios;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use ferrule_tests::{
    Authority, Driver, Gateway, Nginx, Setup, Shape, free_port, on_both_drivers, scratch, shell,
    source_dir,
};
use ferrule_tools::process::Process;

use programs::{CLIENTS, NODE, NODE_SERVER, Program, UPSTREAMS};

const PLAIN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const SECURE: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true
# Java's sockets send no server name without a dot.
fallback_sni = "localhost"

[[ssls]]
sni = "localhost"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"

[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { ca = "ca.crt", client_cert = "client.crt", client_key = "client.key", server_name = "localhost" }
"#;

const NGINX_PLAIN: &str = r"
  upstream far { server 127.0.0.1:@upstream@; keepalive 8; }
  server {
    listen 127.0.0.1:@front@;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection '';
    location / { proxy_pass http://far; }
  }
";

const NGINX_SECURE: &str = r"
  upstream far { server 127.0.0.1:@upstream@; keepalive 8; }
  server {
    listen 127.0.0.1:@front@ ssl;
    ssl_certificate @dir@/server.crt;
    ssl_certificate_key @dir@/server.key;
    ssl_client_certificate @dir@/ca.crt;
    ssl_verify_client on;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection '';
    proxy_ssl_certificate @dir@/client.crt;
    proxy_ssl_certificate_key @dir@/client.key;
    proxy_ssl_trusted_certificate @dir@/ca.crt;
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    location / { proxy_pass https://far; }
  }
";

/// A directory with certificates, and where what runs in it finds our programs.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = scratch();
        let authority = Authority::new("ca");
        fs::write(dir.path().join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.server(&["localhost"]).write(dir.path(), "server");
        authority.client("client").write(dir.path(), "client");
        let setup = "for name in client server; do openssl pkcs12 -export -in $name.crt -inkey $name.key \
                     -certfile ca.crt -name $name -passout pass:secret -out $name.p12; done";
        shell(dir.path(), setup);
        for install in ["clients", "decoders", "websocket"] {
            shell(&source_dir(), &format!("tests/{install}/install"));
        }
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What every script has in front of it.
    fn words(secure: bool, who: &str) -> String {
        let identity = if secure { format!("ca.crt {who}.crt {who}.key") } else { String::new() };
        let top = source_dir();
        let top = top.display();
        format!(
            "top={top}; clients=$top/tests/clients; upstreams=$top/tests/upstreams; identity='{identity}'; "
        )
    }

    /// Makes a program ready; over what it is asked: TCP (`false`) and TLS, or nothing if it is not installed.
    fn ways(&self, program: &Program) -> impl Iterator<Item = bool> + use<> {
        let is_installed = program.is_installed();
        if is_installed {
            shell(self.path(), &(Self::words(false, "") + program.prepare));
        }
        let has_tls = program.has_tls;
        [false, true].into_iter().filter(move |secure| is_installed && (has_tls || !secure))
    }

    fn version(&self, program: &Program) -> String {
        shell(self.path(), &(Self::words(false, "") + program.version)).trim().to_owned()
    }

    /// What this client tells, a line for each scenario.
    fn ask(&self, client: &Program, left_out: &[&str], secure: bool, port: u16) -> Vec<String> {
        let scenarios = scenarios::without(left_out);
        fs::write(self.path().join("scenarios"), &scenarios).expect("a writable directory");
        let scheme = if secure { "https" } else { "http" };
        let script = format!(
            "{}url={scheme}://localhost:{port}; run() {{ {}; }}; export -f run; run",
            Self::words(secure, "client"),
            client.run
        );
        let told = shell(self.path(), &script);
        let lines: Vec<String> = told.lines().map(str::to_owned).collect();
        let count = scenarios.lines().count();
        assert_eq!(lines.len(), count, "{} tells of every scenario: {told}", client.name);
        lines
    }

    fn serve(&self, upstream: &Program, secure: bool) -> Serving {
        let port = free_port();
        let mut command = Command::new("bash");
        let script = format!("{}port={port}; {}", Self::words(secure, "server"), upstream.run);
        command.arg("-c").arg(script).current_dir(self.path());
        let log = self.path().join(format!("{port}.log"));
        let mut process = Process::start(command, &log);
        process.wait_for_port(port);
        Serving { port, _process: process }
    }

    fn gateway(&self, driver: Driver, secure: bool, upstream: u16) -> Gateway {
        let text = if secure { SECURE } else { PLAIN };
        let name = format!("{driver}-{upstream}");
        Setup::new(self.path(), driver, text)
            .named(&name)
            .set("upstream", &upstream)
            .quiet()
            .start()
    }

    fn nginx(&self, secure: bool, upstream: u16, front: u16) -> Nginx {
        let text = if secure { NGINX_SECURE } else { NGINX_PLAIN };
        let text = text.replace("@front@", &front.to_string());
        let text = text.replace("@upstream@", &upstream.to_string());
        let text = text.replace("@dir@", &self.path().display().to_string());
        Nginx::start(self.path(), front, &text, Shape::Single)
    }
}

/// A running upstream. Ends with the value.
struct Serving {
    port: u16,
    _process: Process,
}

/// A client and an upstream, over TCP or over mutual TLS.
struct Pair<'a> {
    client: &'a Program,
    upstream: &'a Program,
    secure: bool,
}

impl Pair<'_> {
    /// Every client that is installed, with one upstream.
    fn of_clients(stage: &Stage) -> Vec<Pair<'static>> {
        let ways =
            CLIENTS.iter().flat_map(|client| stage.ways(client).map(move |way| (client, way)));
        ways.map(|(client, secure)| Pair { client, upstream: &NODE_SERVER, secure }).collect()
    }

    /// One client with every upstream that is installed.
    fn of_upstreams(stage: &Stage) -> Vec<Pair<'static>> {
        let ways =
            UPSTREAMS.iter().flat_map(|other| stage.ways(other).map(move |way| (other, way)));
        ways.map(|(upstream, secure)| Pair { client: &NODE, upstream, secure }).collect()
    }

    fn name(&self) -> String {
        let how = if self.secure { "mTLS" } else { "plain" };
        format!("{} to {}, {how}", self.client.name, self.upstream.name)
    }

    fn ask(&self, stage: &Stage, port: u16) -> Vec<String> {
        let left_out = [self.client.left_out, self.upstream.left_out].concat();
        stage.ask(self.client, &left_out, self.secure, port)
    }
}

/// The lines of `through` that are not those of `direct`. What fails directly may succeed through a gateway, which
/// answers an expectation that the upstream ignores, and drops content in the answer to a HEAD.
fn differences(direct: &[String], through: &[String]) -> Vec<String> {
    let pairs = direct.iter().zip(through);
    let pairs = pairs.filter(|(direct, through)| direct != through && !direct.contains(" lost "));
    pairs.map(|(direct, through)| format!("directly: {direct}; through: {through}\n")).collect()
}

/// Asks directly and through the gateway: it has to make no difference.
fn compare(stage: &Stage, pairs: &[Pair<'_>], driver: Driver) {
    let mut found = String::new();
    for pair in pairs {
        println!("{}", pair.name());
        let serving = stage.serve(pair.upstream, pair.secure);
        let direct = pair.ask(stage, serving.port);
        if !direct[0].starts_with("hello 200 6 ") {
            let _ = writeln!(found, "{} does not even work directly: {direct:?}", pair.name());
        }
        let gateway = stage.gateway(driver, pair.secure, serving.port);
        let through = pair.ask(stage, gateway.port("front"));
        for line in differences(&direct, &through) {
            let _ = write!(found, "{}: {line}", pair.name());
        }
    }
    assert!(found.is_empty(), "{found}");
}

on_both_drivers! {
    fn clients_notice_no_gateway(driver) {
        let stage = Stage::new();
        compare(&stage, &Pair::of_clients(&stage), driver);
    }

    fn upstreams_notice_no_gateway(driver) {
        let stage = Stage::new();
        compare(&stage, &Pair::of_upstreams(&stage), driver);
    }
}

#[test]
#[ignore = "prints a table, with nginx beside"]
fn field_beside_nginx() {
    let stage = Stage::new();
    let mut found = String::new();
    println!("| client, upstream | version | scenarios | io_uring | epoll | nginx |");
    println!("| --- | --- | --: | --: | --: | --: |");
    for pair in Pair::of_clients(&stage).iter().chain(&Pair::of_upstreams(&stage)) {
        let serving = stage.serve(pair.upstream, pair.secure);
        let direct = pair.ask(&stage, serving.port);
        let front = free_port();
        let nginx = stage.nginx(pair.secure, serving.port, front);
        let gateways = [Driver::IoUring, Driver::Epoll]
            .map(|driver| stage.gateway(driver, pair.secure, serving.port));
        let fronts = [gateways[0].port("front"), gateways[1].port("front"), front];
        let mut cells = String::new();
        for (front, who) in fronts.into_iter().zip(["io_uring", "epoll", "nginx"]) {
            let lines = differences(&direct, &pair.ask(&stage, front));
            let _ = write!(cells, " {} |", lines.len());
            for line in lines {
                let _ = write!(found, "{}, {who}: {line}", pair.name());
            }
        }
        drop(nginx);
        let other =
            if pair.upstream.name == NODE_SERVER.name { pair.client } else { pair.upstream };
        println!("| {} | {} | {} |{cells}", pair.name(), stage.version(other), direct.len());
    }
    println!("{found}");
}
