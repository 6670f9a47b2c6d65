//! A reload every 0.6 s for a minute under load, the server certificate changed each time.
//!
//! At half of what the gateway can do, on kept and on new connections: no request may fail, no
//! connection may be reset, and new connections must see the new certificates. `--seconds N` for a
//! shorter run.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tools::clock::now;
use ferrule_tools::gateway::{Driver, Gateway, Reloaded, Setup};
use ferrule_tools::load::{Outcome, Plan, run};
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::pki::{Authority, Leaf};
use ferrule_tools::process::free_port;
use ferrule_tools::tls;

const NAME: &str = "soak.test";
const BETWEEN: Duration = Duration::from_millis(600);
/// Full handshakes a second, beside the kept connections.
const FRESH_RATE: u64 = 100;

const CONFIG: &str = r#"
[http]
keepalive_requests = 1000000000

[identity_headers]
X-Client-Subject = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "soak.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert = "proxy.crt", client_key = "proxy.key", ca = "ca.crt", server_name = "up.test" }
"#;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let seconds = words.iter().skip_while(|word| *word != "--seconds").nth(1);
    let seconds = seconds.and_then(|word| word.parse().ok()).unwrap_or(60);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path();
    let authority = Authority::new("Soak CA");
    fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.client("proxy").write(dir, "proxy");
    let key = authority.server(&[NAME]).key_pem;
    authority.server_with(&[NAME], FIRST_SERIAL, &key).write(dir, "server");
    let client = authority.client("load");
    let port = free_port();
    let _upstream = upstream(dir, &authority, port);
    let mut gateway = Setup::new(dir, Driver::IoUring, CONFIG)
        .runtime("workers = \"auto\"\nio_driver = \"auto\"\n")
        .quiet()
        .set("upstream", &port)
        .start();
    let front = gateway.port("front");

    let full = run(&plan(front, &client, Duration::from_secs(5), 0, false));
    let most = full.answered / full.elapsed.as_secs().max(1);
    println!("saturated: {most} requests/s on 64 connections, {} failed", full.failures());
    let time = Duration::from_secs(seconds);
    let kept = plan(front, &client, time, (most / 2).max(1), false);
    let fresh = plan(front, &client, time, FRESH_RATE, true);
    let kept = thread::spawn(move || run(&kept));
    let fresh = thread::spawn(move || run(&fresh));
    let reloads = reload_often(&mut gateway, dir, &authority, &key, time);
    let kept = kept.join().expect("the load does not panic");
    let fresh = fresh.join().expect("the load does not panic");
    let good = report(&kept, &fresh, &reloads);
    if !good {
        println!("{}", gateway.log());
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const FIRST_SERIAL: u64 = 0x1000;

/// What the reloads came to.
#[derive(Default)]
struct Reloads {
    taken: u64,
    refused: u64,
}

fn reload_often(
    gateway: &mut Gateway,
    dir: &Path,
    authority: &Authority,
    key: &str,
    time: Duration,
) -> Reloads {
    let mut reloads = Reloads::default();
    let start = now();
    let mut due = start + BETWEEN;
    while due < start + time {
        while now() < due {
            thread::park_timeout(due.saturating_duration_since(now()));
        }
        due += BETWEEN;
        let serial = FIRST_SERIAL + reloads.taken + reloads.refused + 1;
        authority.server_with(&[NAME], serial, key).write(dir, "server");
        match gateway.signal_reload() {
            Reloaded::Taken => reloads.taken += 1,
            Reloaded::Refused => reloads.refused += 1,
        }
    }
    reloads
}

fn upstream(dir: &Path, authority: &Authority, port: u16) -> Nginx {
    authority.server(&["up.test"]).write(dir, "upstream");
    let at = dir.display();
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} ssl backlog=4096;\nssl_protocols TLSv1.3;\n\
         ssl_certificate {at}/upstream.crt;\nssl_certificate_key {at}/upstream.key;\n\
         ssl_client_certificate {at}/ca.crt;\nssl_verify_client on;\nkeepalive_time 24h;\n\
         location / {{ return 200 \"ok\"; }}\n}}"
    );
    Nginx::start(dir, port, &http, Shape::MasterAndWorker)
}

fn plan(port: u16, client: &Leaf, time: Duration, rate: u64, fresh: bool) -> Plan {
    let config = tls::client(Some(client), &[&rustls::version::TLS13]);
    let name = NAME.try_into().expect("a server name");
    Plan {
        address: ([127, 0, 0, 1], port).into(),
        tls: Some((Arc::new(config), name)),
        request: format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n").into_bytes(),
        connections: if fresh { 16 } else { 64 },
        fresh,
        time,
        count: 0,
        rate,
    }
}

fn report(kept: &Outcome, fresh: &Outcome, reloads: &Reloads) -> bool {
    println!("reloads: {} taken, {} refused", reloads.taken, reloads.refused);
    for (name, outcome) in [("kept", kept), ("fresh", fresh)] {
        println!(
            "{name}: {} requests on {} connections in {:.1} s, {} failed; us p50 {} p99 {} max {}",
            outcome.answered,
            outcome.connections,
            outcome.elapsed.as_secs_f64(),
            outcome.failures(),
            outcome.latency.at(5_000),
            outcome.latency.at(9_900),
            outcome.latency.at(10_000)
        );
        for (reason, count) in &outcome.failed {
            println!("  {count} x {reason}");
        }
    }
    let mut serials = BTreeMap::new();
    for (serial, count) in kept.serials.iter().chain(&fresh.serials) {
        *serials.entry(serial).or_insert(0) += count;
    }
    println!("server certificates seen: {} different ones", serials.len());
    let seen = u64::try_from(serials.len()).unwrap_or(u64::MAX);
    // The last one may come too late to be seen.
    let all_seen = seen + 1 >= reloads.taken;
    let same_connections = kept.connections == 64;
    println!("kept connections were {}", if same_connections { "kept" } else { "NOT kept" });
    kept.failures() + fresh.failures() + reloads.refused == 0
        && reloads.taken > 0
        && all_seen
        && same_connections
}
