//! A load generator that can show a client certificate.
//!
//! `load get --connect 127.0.0.1:8443 --tls --name test.com --cert client.crt --key client.key
//! --connections 64 --seconds 10`. Prints one JSON object; errors are told on stderr, by kind, and
//! make the exit code 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tools::load::{Kind, Outcome, Plan, Request, TlsTarget, allow_descriptors, run_held};
use ferrule_tools::pki::Leaf;
use ferrule_tools::tls;
use rustls::pki_types::ServerName;

const USAGE: &str = "usage: load KIND --connect HOST:PORT [options]
  get                requests on connections that are kept
  handshakes         a new connection with a full handshake for every request
  resumed            a new connection with a resumed session for every request
  upload             POST requests on connections that are kept
  idle               connects, asks once on each connection, prints `ready`, holds them until
                     stdin ends, and then asks each again whether it lives
options:
  --tls              over TLS
  --ca F             believe servers of this authority only (default: any server)
  --cert F --key F   show this client certificate
  --name NAME        the server name and the Host field (default: HOST)
  --tls12            TLS 1.2 instead of 1.3
  --nagle            gather small writes, as clients without TCP_NODELAY do
  --connections N    at once (default 64)
  --seconds S        how long (default 10)
  --rate R           requests a second at times fixed beforehand, latency from then on
  --path P           the target (default /)
  --body BYTES       the body of an upload
  --threads N        default 2
  --json FILE        the result also into this file
  --hdr FILE         the latencies into this file, as HdrHistogram percentiles in milliseconds";

fn main() -> ExitCode {
    let words = match Words::read(env::args().skip(1)) {
        Ok(words) => words,
        Err(message) => {
            eprintln!("load: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = words.plan().and_then(|plan| {
        // Beside the connections: standard streams, epoll instances and timers, files.
        let wanted = u64::try_from(plan.connections + 4 * plan.threads + 64);
        allow_descriptors(wanted.map_err(|error| error.to_string())?)
            .map_err(|error| {
            format!("the limit of open files (ulimit -Hn) is below {} connections and cannot be raised: {error}", plan.connections)
        })?;
        let outcome = run_held(&plan, || {
            if plan.kind == Kind::Idle {
                hold();
            }
        });
        words.tell(&outcome).map(|()| outcome)
    });
    match done {
        Ok(outcome) if outcome.failed.is_empty() => ExitCode::SUCCESS,
        Ok(outcome) => {
            for (reason, count) in &outcome.failed {
                eprintln!("load: {count} x {reason}");
            }
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("load: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Until nobody holds the other end of our stdin.
fn hold() {
    println!("ready");
    let _ = io::stdout().flush();
    let mut piece = [0; 256];
    loop {
        match io::stdin().read(&mut piece) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            Ok(_) | Err(_) => {}
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Job {
    #[default]
    Get,
    Handshakes,
    Resumed,
    Upload,
    Idle,
}

#[derive(Default)]
struct Words {
    job: Job,
    connect: String,
    tls: bool,
    tls12: bool,
    nagle: bool,
    name: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    path: Option<String>,
    json: Option<String>,
    hdr: Option<String>,
    connections: Option<u64>,
    seconds: Option<u64>,
    rate: Option<u64>,
    body: Option<u64>,
    threads: Option<u64>,
}

fn number(text: &str) -> Result<Option<u64>, String> {
    text.parse().map(Some).map_err(|_| format!("{text}: not a number"))
}

impl Words {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let job = match words.next().as_deref() {
            Some("get") => Job::Get,
            Some("handshakes") => Job::Handshakes,
            Some("resumed") => Job::Resumed,
            Some("upload") => Job::Upload,
            Some("idle") => Job::Idle,
            Some(other) => return Err(format!("{other}: unknown")),
            None => return Err(String::from("what kind of load?")),
        };
        let mut found = Self { job, ..Self::default() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--tls" => found.tls = true,
                "--tls12" => found.tls12 = true,
                "--nagle" => found.nagle = true,
                "--connect" => found.connect = value()?,
                "--name" => found.name = Some(value()?),
                "--ca" => found.ca = Some(value()?),
                "--cert" => found.cert = Some(value()?),
                "--key" => found.key = Some(value()?),
                "--path" => found.path = Some(value()?),
                "--json" => found.json = Some(value()?),
                "--hdr" => found.hdr = Some(value()?),
                "--connections" => found.connections = number(&value()?)?,
                "--seconds" => found.seconds = number(&value()?)?,
                "--rate" => found.rate = number(&value()?)?,
                "--body" => found.body = number(&value()?)?,
                "--threads" => found.threads = number(&value()?)?,
                _ => return Err(format!("{word}: unknown")),
            }
        }
        found.check()
    }

    /// What would be ignored is refused.
    fn check(self) -> Result<Self, String> {
        let of_tls = [&self.ca, &self.cert, &self.key].iter().any(|file| file.is_some());
        let handshakes = matches!(self.job, Job::Handshakes | Job::Resumed);
        let problem = if self.connect.is_empty() {
            "--connect is missing"
        } else if !self.tls && (of_tls || self.tls12) {
            "--ca, --cert, --key and --tls12 want --tls"
        } else if self.cert.is_some() != self.key.is_some() {
            "--cert and --key belong together"
        } else if handshakes && !self.tls {
            "handshakes and resumed want --tls"
        } else if self.job == Job::Upload && self.body.is_none_or(|body| body == 0) {
            "upload wants --body"
        } else if self.job != Job::Upload && self.body.is_some() {
            "--body is for upload"
        } else if self.job == Job::Idle && (self.rate.is_some() || self.seconds.is_some()) {
            "idle lasts until stdin ends: no --rate, no --seconds"
        } else if [self.rate, self.connections, self.threads].contains(&Some(0)) {
            "--rate, --connections and --threads want at least 1"
        } else {
            return Ok(self);
        };
        Err(problem.to_owned())
    }

    fn plan(&self) -> Result<Plan, String> {
        let addresses = self.connect.to_socket_addrs();
        let address = addresses.map_err(|error| format!("{}: {error}", self.connect))?.next();
        let (host, _) = self.connect.rsplit_once(':').unwrap_or((&self.connect, ""));
        let host = self.name.as_deref().unwrap_or_else(|| host.trim_matches(['[', ']']));
        let kind = match self.job {
            Job::Get | Job::Upload => Kind::Kept,
            Job::Handshakes => Kind::Fresh,
            Job::Resumed => Kind::Resumed,
            Job::Idle => Kind::Idle,
        };
        let field = if self.name.is_some() { host } else { &self.connect };
        let path = self.path.as_deref().unwrap_or("/");
        let few = |number: Option<u64>, default: usize| {
            number.map_or(Ok(default), usize::try_from).map_err(|error| error.to_string())
        };
        Ok(Plan {
            address: address.ok_or_else(|| format!("{}: no address", self.connect))?,
            tls: self.tls_target(host)?,
            request: match self.body {
                Some(body) => Request::upload(field, path, body),
                None => Request::get(field, path, kind),
            },
            kind,
            nagle: self.nagle,
            connections: few(self.connections, 64)?,
            threads: few(self.threads, 2)?,
            time: Duration::from_secs(self.seconds.unwrap_or(10)),
            rate: self.rate.unwrap_or(0),
        })
    }

    fn tls_target(&self, host: &str) -> Result<Option<TlsTarget>, String> {
        if !self.tls {
            return Ok(None);
        }
        let leaf = self.cert.as_ref().zip(self.key.as_ref());
        let leaf = leaf.map(|(cert, key)| Leaf::read(Path::new(cert), Path::new(key)));
        let version = if self.tls12 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let mut config = tls::client(leaf.as_ref(), &[version]);
        if let Some(file) = &self.ca {
            let pem = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            tls::believe(&mut config, &pem);
        }
        let server_name =
            ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        Ok(Some(TlsTarget { config: Arc::new(config), server_name }))
    }

    fn tell(&self, outcome: &Outcome) -> Result<(), String> {
        let text = outcome.json().to_string();
        println!("{text}");
        if let Some(file) = &self.json {
            fs::write(file, text + "\n").map_err(|error| format!("{file}: {error}"))?;
        }
        if let Some(file) = &self.hdr {
            let written = File::create(file)
                .and_then(|file| outcome.latency.write_percentiles(&mut io::BufWriter::new(file)));
            written.map_err(|error| format!("{file}: {error}"))?;
        }
        Ok(())
    }
}
