//! Where cases are played: certificates, upstreams that echo, and both gateways.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_import::nginx::{Disk, NginxOptions, convert};
use ferrule_tools::clock::{PATIENCE, poll};
use ferrule_tools::gateway::Driver;
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::pki::Authority;
use ferrule_tools::process::{Process, ferrule_binary, free_port};
use ferrule_tools::tls;
use ferrule_tools::upstream::{Upstream, echo};

use crate::nginx::case::{Case, Question};

/// The names of the ports that a case may have.
const PORTS: [&str; 4] = ["tls", "tls2", "plain", "plain2"];

/// Everything that outlives a case.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    plain: Upstream,
    tls: Upstream,
}

/// What came of a request.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    status: u16,
    /// Of those that are compared, what the client got and what the upstream got.
    fields: Vec<String>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path();
        let authority = Authority::new("ca");
        fs::write(path.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        let other = Authority::new("another ca");
        fs::write(path.join("two.crt"), format!("{}{}", authority.cert_pem, other.cert_pem))
            .expect("a writable directory");
        fs::write(path.join("ca.crl"), authority.revocation_list(&[77], 1))
            .expect("a writable directory");
        authority.server(&["a.test", "b.test", "*.w.test"]).write(path, "server");
        authority.client("client").write(path, "client");
        authority.client_named(&[("CN", "ops"), ("O", "Acme")], &[]).write(path, "ops");
        authority.client_with("revoked", 77).write(path, "revoked");
        Authority::new("nobody knows it").client("stranger").write(path, "stranger");
        fs::write(path.join("page.html"), "<p>sorry</p>\n").expect("a writable directory");
        let leaf = authority.server(&["up.test"]);
        let tls = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), echo());
        Self { plain: Upstream::plain(echo()), tls, dir }
    }

    /// The differences of a case, in words.
    pub(crate) fn play(&self, case: &Case, driver: Driver) -> Vec<String> {
        let fault = |text: String| vec![format!("{}: {text}", case.name)];
        let theirs: Vec<u16> = PORTS.iter().map(|_| free_port()).collect();
        let ours: Vec<u16> = PORTS.iter().map(|_| free_port()).collect();
        let dir = self.dir.path().join(format!("{}-{driver}", case.name));
        fs::create_dir(&dir).expect("a directory of the case's own");
        let folder = dir.join("ferrule");
        let http = self.filled(&case.text, &ours);
        let conf = dir.join("nginx.conf");
        let options = NginxOptions {
            source: String::from("nginx.conf"),
            path: conf,
            prefix: Some(dir.clone()),
            skips_files: false,
        };
        let text = format!("events {{ }}\nhttp {{\n{http}\n}}\n");
        let imported = convert(text.as_bytes(), &options, &Disk);
        let code = imported.report.outcome().code();
        if code != case.code {
            return fault(format!("the import ends with {code}:\n{}", imported.report.text()));
        }
        imported.write(&folder).expect("a folder");
        let listens: Vec<u16> = ours
            .iter()
            .copied()
            .filter(|port| imported.configuration.contains(&format!(":{port}\"")))
            .collect();
        let gateway = match start(&folder.join("ferrule.toml"), &dir.join("log"), driver, &listens)
        {
            Ok(gateway) => gateway,
            Err(message) => return fault(format!("{message}\n{}", imported.configuration)),
        };
        let first = ours.iter().position(|port| listens.contains(port)).expect("a listener");
        let nginx =
            Nginx::start(&dir, theirs[first], &self.filled(&case.text, &theirs), Shape::Single);
        let mut faults = Vec::new();
        for question in &case.questions {
            let [reference, mine] = [&theirs, &ours].map(|ports| self.ask(case, question, ports));
            let is_same = match question.differs {
                Some(status) => mine.status == status && reference.status != status,
                None => mine == reference,
            };
            if !is_same {
                faults.push(format!(
                    "{}: {question:?}\n  nginx {reference:?}\n  ours  {mine:?}\n{}\n{}",
                    case.name,
                    gateway.output(),
                    imported.configuration
                ));
            }
        }
        drop(nginx);
        faults
    }

    fn filled(&self, text: &str, ports: &[u16]) -> String {
        let mut text = text
            .replace("@dir@", &self.dir.path().display().to_string())
            .replace("@up@", &self.plain.port.to_string())
            .replace("@uptls@", &self.tls.port.to_string());
        for (name, port) in PORTS.iter().zip(ports) {
            text = text.replace(&format!("@{name}@"), &port.to_string());
        }
        text
    }

    fn ask(&self, case: &Case, question: &Question, ports: &[u16]) -> Seen {
        let at = PORTS.iter().position(|name| *name == question.port).expect("the name of a port");
        let (port, host) = (ports[at], &question.host);
        let scheme = if question.port.starts_with("tls") { "https" } else { "http" };
        let mut curl = Command::new("curl");
        curl.args(["-s", "-k", "-i", "--path-as-is", "--http1.1", "--max-time", "10"]);
        curl.arg("--resolve").arg(format!("{host}:{port}:127.0.0.1"));
        if question.who != "none" {
            let file = |end: &str| self.dir.path().join(format!("{}.{end}", question.who));
            curl.arg("--cert").arg(file("crt")).arg("--key").arg(file("key"));
        }
        for header in &question.headers {
            match header.strip_prefix("method=") {
                Some(method) => curl.arg("-X").arg(method),
                None => curl.arg("-H").arg(header.replacen(':', ": ", 1)),
            };
        }
        curl.arg(format!("{scheme}://{host}:{port}{}", question.path));
        let done = curl.output().expect("curl");
        seen(&String::from_utf8_lossy(&done.stdout), &case.fields, ports)
    }
}

/// Reads an answer: ports are not compared, as each gateway has its own.
fn seen(answer: &str, names: &[String], ports: &[u16]) -> Seen {
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let mut answer = answer.to_owned();
    for (name, port) in PORTS.iter().zip(ports) {
        answer = answer.replace(&format!(":{port}"), &format!(":{name}"));
    }
    let mut fields: Vec<String> = answer
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let name = name.to_ascii_lowercase();
            names.contains(&name).then(|| format!("{name}: {}", value.trim()))
        })
        .collect();
    if names.iter().any(|name| name == "target") {
        let begins =
            |line: &&str| ["GET /", "POST /", "PUT /"].iter().any(|begin| line.starts_with(begin));
        let line = answer.lines().skip(1).find(begins).unwrap_or_default();
        fields.push(format!("target {}", line.split(' ').nth(1).unwrap_or_default()));
    }
    if names.iter().any(|name| name == "body") {
        fields.push(answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned());
    }
    fields.sort();
    Seen { status, fields }
}

fn start(file: &Path, log: &Path, driver: Driver, listens: &[u16]) -> Result<Process, String> {
    let driver = if driver == Driver::Epoll { "epoll" } else { "io_uring" };
    let text = fs::read_to_string(file).expect("what was imported");
    let process = format!(
        "{text}\n[runtime]\nworkers = 1\ncpu_affinity = false\nring_entries = 256\nmax_connections = 1024\n\
         io_driver = \"{driver}\"\n[admin]\nsocket = \"{}\"\n",
        socket(file).display()
    );
    fs::write(file, process).expect("a writable directory");
    let mut command = Command::new(ferrule_binary());
    command.args(["run", "-c"]).arg(file);
    let mut process = Process::start(command, log);
    let started = poll(PATIENCE, || {
        let output = process.output();
        (output.contains(" ready: ") || process.exited().is_some()).then_some(output)
    });
    match started {
        Some(output) if output.contains(" ready: ") => {
            listens.iter().for_each(|port| process.wait_for_port(*port));
            Ok(process)
        }
        _ => Err(format!("the gateway does not start:\n{}", process.output())),
    }
}

fn socket(file: &Path) -> PathBuf {
    file.with_extension("sock")
}
