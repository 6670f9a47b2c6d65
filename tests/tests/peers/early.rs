//! Answers that are complete before the upload is: does every client of other people see them?
//!
//! Some read while they send, some only when they have sent everything; some give up at the first error of
//! their socket. Each uploads to a route that refuses the body by its length, and to upstreams that answer 413
//! as soon as they have the head.
//!
//! `cargo test -p ferrule-tests --test peers early -- --ignored --nocapture` asks 100 times with 8 MiB and three
//! times with 1 GiB, over io_uring and epoll, with nginx beside them, and prints a table.
//! `FERRULE_EARLY_ONLY="1024 MiB epoll Java"` leaves out all cases whose name does not contain that.
//! Go and Java are asked where they are installed.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Authority, Driver, Nginx, PATIENCE, Setup, Shape, free_port, on_both_drivers, scratch, shell,
    source_dir,
};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
mtls_routes = "allow"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "localhost"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/ours"
client_max_body_size = 1
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/upstream/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const NGINX: &str = r"
  server {
    listen 127.0.0.1:@front@;
    listen 127.0.0.1:@secure@ ssl;
    ssl_certificate @dir@/server.crt;
    ssl_certificate_key @dir@/server.key;
    ssl_client_certificate @dir@/ca.crt;
    ssl_verify_client optional;
    client_max_body_size 0;
    location /ours { client_max_body_size 1; proxy_pass http://127.0.0.1:@upstream@; }
    location /upstream/ { proxy_pass http://127.0.0.1:@upstream@; }
  }
";

/// One client: how it is made ready, and how it uploads. `$url`, `$file` and `$times` are set, `$identity` is
/// the names of `ca.crt`, `client.crt` and `client.key` over TLS and nothing without; `$sources` has our own
/// programs.
struct Client {
    name: &'static str,
    /// Left out if this is not there; empty for what `tests/run` installs.
    program: &'static str,
    prepare: &'static str,
    upload: &'static str,
}

const CLIENTS: [Client; 7] = [
    Client {
        name: "Python requests",
        program: "",
        prepare: "",
        upload: "$python requests ARGUMENTS",
    },
    Client { name: "Python httpx", program: "", prepare: "", upload: "$python httpx ARGUMENTS" },
    Client {
        name: "Python aiohttp",
        program: "",
        prepare: "",
        upload: "$python aiohttp ARGUMENTS",
    },
    Client { name: "Node", program: "", prepare: "", upload: "node $sources/upload.js ARGUMENTS" },
    Client {
        name: "curl",
        program: "",
        prepare: "",
        upload: "set -- $identity; for _ in $(seq $times); do \
                 curl -sS -o /dev/null -w '%{http_code}\\n' -H Expect: -X POST -T $file $url \
                 ${1:+--cacert $1 --cert $2 --key $3} || echo lost: curl; done",
    },
    Client {
        name: "Java HttpClient",
        program: "java",
        prepare: "javac -d . $sources/Upload.java",
        upload: "java -cp . Upload $url $file $times ${identity:+client.p12}",
    },
    Client {
        name: "Go net/http",
        program: "go",
        prepare: "GOFLAGS=-mod=mod GOCACHE=$PWD/go-cache go build -o upload-go $sources/upload.go",
        upload: "./upload-go ARGUMENTS",
    },
];

/// Who answers, and what becomes of its connection.
const WAYS: [&str; 4] = ["ours", "upstream/keeps", "upstream/closes", "upstream/resets"];

fn is_installed(program: &str) -> bool {
    program.is_empty()
        || !shell(Path::new("/"), &format!("command -v {program} || true")).is_empty()
}

/// Answers every upload as soon as its head is there.
fn upstream() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(&stream));
        }
    });
    port
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let connection = if head.contains("/closes ") { "Connection: close\r\n" } else { "" };
        let text = format!("HTTP/1.1 413 Too Large\r\n{connection}Content-Length: 3\r\n\r\nbig");
        stream.write_all(text.as_bytes())?;
        if head.contains("/resets ") {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
            // What was sent leaves first.
            thread::park_timeout(Duration::from_millis(20));
        }
        if !head.contains("/keeps ") {
            return Ok(());
        }
        // All of it, and then the next request.
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        io::copy(&mut stream.take(length), &mut io::sink())?;
    }
}

/// A proxy that is asked.
struct Proxy {
    name: &'static str,
    front: u16,
    secure: u16,
}

struct Stage {
    dir: tempfile::TempDir,
    upstream: u16,
}

impl Stage {
    fn new() -> Self {
        let dir = scratch();
        let authority = Authority::new("ca");
        fs::write(dir.path().join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.server(&["localhost"]).write(dir.path(), "server");
        authority.client("client").write(dir.path(), "client");
        let setup = "openssl pkcs12 -export -in client.crt -inkey client.key -certfile ca.crt \
                     -name client -passout pass:secret -out client.p12";
        shell(dir.path(), setup);
        shell(&source_dir(), "tests/clients/install");
        for client in CLIENTS.iter().filter(|client| is_installed(client.program)) {
            let sources = source_dir().join("tests/clients");
            shell(dir.path(), &format!("sources={}; {}", sources.display(), client.prepare));
        }
        Self { dir, upstream: upstream() }
    }

    fn gateway(&self, driver: Driver) -> ferrule_tests::Gateway {
        let name = driver.to_string();
        let setup = Setup::new(self.dir.path(), driver, CONFIG).named(&name).quiet();
        setup.set("upstream", &self.upstream).start()
    }

    fn nginx(&self) -> (Nginx, Proxy) {
        let (front, secure) = (free_port(), free_port());
        let text = NGINX.replace("@front@", &front.to_string());
        let text = text.replace("@secure@", &secure.to_string());
        let text = text.replace("@upstream@", &self.upstream.to_string());
        let text = text.replace("@dir@", &self.dir.path().display().to_string());
        let nginx = Nginx::start(self.dir.path(), front, &text, Shape::Single);
        (nginx, Proxy { name: "nginx", front, secure })
    }

    /// A file of so many bytes, none of which takes room.
    fn file(&self, bytes: u64) -> String {
        let name = format!("body-{bytes}");
        let file = File::create(self.dir.path().join(&name)).expect("a writable directory");
        file.set_len(bytes).expect("a sparse file");
        name
    }

    /// What a client says of its uploads, a line each.
    fn ask(
        &self,
        client: &Client,
        proxy: &Proxy,
        secure: bool,
        way: &str,
        upload: &Upload,
    ) -> String {
        let url = if secure {
            format!("https://localhost:{}/{way}", proxy.secure)
        } else {
            format!("http://localhost:{}/{way}", proxy.front)
        };
        let identity = if secure { "ca.crt client.crt client.key" } else { "" };
        let top = source_dir();
        let words = client.upload.replace("ARGUMENTS", "$url $file $times $identity");
        let script = format!(
            "sources={0}/tests/clients; python=\"{0}/target/early-clients/bin/python $sources/upload.py\"; \
             url={url}; file={1}; times={2}; identity='{identity}'; {words}",
            top.display(),
            upload.file,
            upload.times
        );
        shell(self.dir.path(), &script)
    }

    /// Every client, way and transport; what was lost, and a line of the table for each client.
    fn run(&self, proxies: &[Proxy], upload: &Upload) -> (Vec<String>, String) {
        let (mut lost, mut table) = (Vec::new(), String::new());
        for client in CLIENTS.iter().filter(|client| is_installed(client.program)) {
            for secure in [false, true] {
                let _ = write!(
                    table,
                    "| {} | {} |",
                    client.name,
                    if secure { "mTLS" } else { "plain" }
                );
                for way in WAYS {
                    let mut cell = Vec::new();
                    for proxy in proxies {
                        let name = format!("{} {} {secure} {way}", proxy.name, client.name);
                        if !upload.asks(&name) {
                            cell.push("-".to_owned());
                            continue;
                        }
                        let told = self.ask(client, proxy, secure, way, upload);
                        let seen = told.lines().filter(|line| *line == "413").count();
                        cell.push(seen.to_string());
                        if seen * 100 < upload.times * 99 {
                            let told: Vec<&str> =
                                told.lines().filter(|line| *line != "413").collect();
                            lost.push(format!("{name}: {seen} of {}: {told:?}\n", upload.times));
                        }
                    }
                    let _ = write!(table, " {} |", cell.join(", "));
                }
                table.push('\n');
            }
        }
        (lost, table)
    }
}

/// What each client uploads, and how often.
struct Upload {
    file: String,
    times: usize,
    mib: u64,
    /// Only cases whose name contains this; all without it.
    only: Option<String>,
}

impl Upload {
    fn asks(&self, name: &str) -> bool {
        let name = format!("{} MiB {name}", self.mib);
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

on_both_drivers! {
    fn clients_of_other_people_see_an_early_answer(driver) {
        let stage = Stage::new();
        let gateway = stage.gateway(driver);
        let proxy = Proxy { name: "ferrule", front: gateway.port("front"), secure: gateway.port("secure") };
        let upload = Upload { file: stage.file(8 << 20), times: 3, mib: 8, only: None };
        let (lost, table) = stage.run(&[proxy], &upload);
        println!("{table}");
        assert!(lost.is_empty(), "{}{}", lost.concat(), gateway.log());
    }
}

#[test]
#[ignore = "takes minutes: 100 uploads of 8 MiB and three of 1 GiB of each kind, with nginx beside"]
#[expect(clippy::disallowed_methods, reason = "how a person shortens it")]
fn early_answers_beside_nginx() {
    let only = std::env::var("FERRULE_EARLY_ONLY").ok();
    let stage = Stage::new();
    let gateways = [Driver::IoUring, Driver::Epoll].map(|driver| stage.gateway(driver));
    let (nginx, beside) = stage.nginx();
    let proxy = |name, at: usize| Proxy {
        name,
        front: gateways[at].port("front"),
        secure: gateways[at].port("secure"),
    };
    let proxies = [proxy("io_uring", 0), proxy("epoll", 1), beside];
    let mut all = Vec::new();
    for (bytes, times) in [(8 << 20, 100), (1 << 30, 3)] {
        let (file, only) = (stage.file(bytes), only.clone());
        let upload = Upload { file, times, mib: bytes >> 20, only };
        let (lost, table) = stage.run(&proxies, &upload);
        println!("{} MiB, {times} times each: io_uring, epoll, nginx", bytes >> 20);
        println!("| client | | {} |\n| --- | --- | --- | --- | --- | --- |", WAYS.join(" | "));
        println!("{table}\n{}", lost.concat());
        all.extend(lost.into_iter().filter(|line| !line.starts_with("nginx")));
    }
    assert!(all.is_empty(), "{}", all.concat());
    drop(nginx);
}
