//! A load generator that can show a client certificate.
//!
//! `load 127.0.0.1:8443 --sni test.com --cert client.crt --key client.key --connections 64 --time 10`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::env;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tools::load::{Histogram, Outcome, Plan, run};
use ferrule_tools::pki::Leaf;
use ferrule_tools::tls;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

const USAGE: &str = "usage: load HOST:PORT [options]
  --sni NAME         over TLS, to this server name
  --cert F --key F   show this client certificate
  --tls12            TLS 1.2 instead of 1.3
  --resume           resume sessions on new connections
  --host NAME        the Host field (default: the server name, else HOST:PORT)
  --path PATH        the target (default /)
  --connections N    at once (default 64)
  --fresh            a new connection for every request
  --time SECONDS     how long (default 10)
  --count N          at most so many requests
  --rate N           requests a second, latency from the intended time
  --per-second       a line for every second";

fn main() -> ExitCode {
    match parse(env::args().skip(1)) {
        Ok((plan, per_second)) => {
            let outcome = run(&plan);
            print(&outcome, per_second);
            if outcome.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Words {
    target: Option<String>,
    sni: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    host: Option<String>,
    path: Option<String>,
    numbers: [Option<u64>; 4],
    flags: Vec<String>,
}

const CONNECTIONS: usize = 0;
const TIME: usize = 1;
const COUNT: usize = 2;
const RATE: usize = 3;

fn parse(mut words: impl Iterator<Item = String>) -> Result<(Plan, bool), String> {
    let mut found = Words::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--sni" => found.sni = Some(value()?),
            "--cert" => found.cert = Some(value()?),
            "--key" => found.key = Some(value()?),
            "--host" => found.host = Some(value()?),
            "--path" => found.path = Some(value()?),
            "--connections" => found.numbers[CONNECTIONS] = Some(number(&value()?)?),
            "--time" => found.numbers[TIME] = Some(number(&value()?)?),
            "--count" => found.numbers[COUNT] = Some(number(&value()?)?),
            "--rate" => found.numbers[RATE] = Some(number(&value()?)?),
            "--tls12" | "--resume" | "--fresh" | "--per-second" => found.flags.push(word),
            _ if !word.starts_with('-') && found.target.is_none() => found.target = Some(word),
            _ => return Err(format!("{word}: unknown")),
        }
    }
    plan(&found)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text}: not a number"))
}

fn plan(words: &Words) -> Result<(Plan, bool), String> {
    let target = words.target.as_deref().ok_or("where to?")?;
    let flag = |name: &str| words.flags.iter().any(|flag| flag == name);
    let address = target.to_socket_addrs().map_err(|error| format!("{target}: {error}"))?.next();
    let leaf = match (&words.cert, &words.key) {
        (Some(cert), Some(key)) => Some(Leaf::read(Path::new(cert), Path::new(key))),
        (None, None) => None,
        _ => return Err(String::from("--cert and --key belong together")),
    };
    let tls = match &words.sni {
        Some(name) => {
            let version =
                if flag("--tls12") { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
            let mut config = tls::client(leaf.as_ref(), &[version]);
            if flag("--resume") {
                config.resumption = Resumption::in_memory_sessions(4096);
            }
            let name = ServerName::try_from(name.clone()).map_err(|error| error.to_string())?;
            Some((Arc::new(config), name))
        }
        None => None,
    };
    let host = words.host.as_deref().or(words.sni.as_deref()).unwrap_or(target);
    let path = words.path.as_deref().unwrap_or("/");
    let get =
        |index: usize, default: u64| words.numbers.get(index).copied().flatten().unwrap_or(default);
    let plan = Plan {
        address: address.ok_or_else(|| format!("{target}: no address"))?,
        tls,
        request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        connections: usize::try_from(get(CONNECTIONS, 64).max(1)).map_err(|e| e.to_string())?,
        fresh: flag("--fresh"),
        time: Duration::from_secs(get(TIME, 10)),
        count: get(COUNT, 0),
        rate: get(RATE, 0),
    };
    Ok((plan, flag("--per-second")))
}

fn line(name: &str, times: &Histogram) {
    println!(
        "{name}: {} requests, us p50 {} p90 {} p99 {} p99.9 {} max {}",
        times.total(),
        times.at(5_000),
        times.at(9_000),
        times.at(9_900),
        times.at(9_990),
        times.at(10_000)
    );
}

fn print(outcome: &Outcome, per_second: bool) {
    if per_second {
        for (second, times) in outcome.seconds.iter().enumerate() {
            line(&format!("second {second}"), times);
        }
    }
    line("all", &outcome.latency);
    let micros = outcome.elapsed.as_micros().max(1);
    println!("requests per second: {}", u128::from(outcome.answered) * 1_000_000 / micros);
    println!(
        "connections: {} (TLS: {} full, {} resumed)",
        outcome.connections, outcome.full, outcome.resumed
    );
    for (serial, count) in &outcome.serials {
        println!("server certificate {serial}: {count} connections");
    }
    println!("failed: {}", outcome.failures());
    for (reason, count) in &outcome.failed {
        println!("  {count} x {reason}");
    }
}
