//! How `SO_REUSEPORT` spreads connections over cores: with 8 and with 1,000 connections.
//!
//! Each run starts a gateway with one worker per core, opens the connections at once, sends for five
//! seconds, stops it, and prints what each core says it had.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::time::Duration;

use ferrule_tools::gateway::{Driver, Setup};
use ferrule_tools::load::{Plan, run};
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::process::free_port;

const CONFIG: &str = r#"
[http]
keepalive_requests = 1000000000

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path();
    let port = free_port();
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} backlog=4096;\nlocation / {{ return 200 \"ok\"; }}\n}}"
    );
    let _upstream = Nginx::start(dir, port, &http, Shape::MasterAndWorker);
    for connections in [8, 1_000] {
        let mut gateway = Setup::new(dir, Driver::IoUring, CONFIG)
            .runtime("workers = \"auto\"\nio_driver = \"auto\"\n")
            .quiet()
            .set("upstream", &port)
            .start();
        let outcome = run(&Plan {
            address: ([127, 0, 0, 1], gateway.port("front")).into(),
            tls: None,
            request: b"GET / HTTP/1.1\r\nHost: skew.test\r\n\r\n".to_vec(),
            connections,
            fresh: false,
            time: Duration::from_secs(5),
            count: 0,
            rate: 0,
        });
        gateway.stop();
        println!(
            "{connections} connections: {} requests, {} failed",
            outcome.answered,
            outcome.failures()
        );
        for line in gateway.log().lines().filter(|line| line.contains("connections accepted")) {
            let line = line.split_once("core ").map_or(line, |(_, rest)| rest);
            println!("  core {line}");
        }
    }
}
