//! Where cases are played: the helper upstream, a DNS server, certificates, and one gateway for each configuration.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ferrule_tests::dns::{Answers, DnsServer, Record, address};
use ferrule_tests::{Authority, Leaf, scratch};
use ferrule_tools::process::{Process, ferrule_binary};
use serde_json::Value;

use crate::case::{Case, Kind};
use crate::gateway::{Gateway, Outcome, said};
use crate::helper::Helper;
use crate::play;
use crate::ports::Ports;

/// Everything that outlives a case.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    helper: Helper,
    dns: DnsServer,
    /// Who issues the certificates that a command line names, and those that a configuration of ours does.
    authority: Authority,
    server: Leaf,
    count: usize,
    running: Option<Running>,
}

/// A gateway and what it was made of.
struct Running {
    key: String,
    gateway: Result<Gateway, String>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = scratch();
        let authority = Authority::new("ca of the cases");
        let certs = dir.path().join("t/certs");
        fs::create_dir_all(&certs).expect("a writable directory");
        fs::write(certs.join("mtls_ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.client("client of the cases").write(&certs, "mtls_client");
        let stranger = Authority::new("nobody knows it");
        for name in ["test2", "apisix", "test"] {
            stranger.client("stranger").write(&certs, name);
        }
        // Every name leads to the helper.
        let answers: Answers = Arc::new(|question| {
            let owner: &'static str = Box::leak(question.name.clone().into_boxed_str());
            let zone: [Record; 1] = [(owner, 60, address("127.0.0.1"))];
            vec![question.from_zone(&zone)]
        });
        let dns = DnsServer::start(&answers);
        let server = authority.server(&["a.test"]);
        // Who verifies the helper believes its authority, as the suite's gateway does.
        let upstreams = Authority::new("upstream ca");
        fs::write(dir.path().join("helper-ca.crt"), &upstreams.cert_pem)
            .expect("a writable directory");
        Self {
            dir,
            helper: Helper::start(&upstreams),
            dns,
            authority,
            server,
            count: 0,
            running: None,
        }
    }

    /// Plays a case on the gateway of the case before, if that has the same configuration and counts nothing.
    pub(crate) fn play(&mut self, case: &Case) -> Outcome {
        let key = format!("{}\n{}", case.config, case.process);
        let counts = case.feature.starts_with("limit") || case.kind == Kind::Sequence;
        if counts || self.running.as_ref().is_none_or(|running| running.key != key) {
            self.running = None;
            let gateway = self.start(case);
            self.running = Some(Running { key, gateway });
        }
        self.helper.demand(case.feature.contains("upstream mTLS") && !shows_none(&case.config));
        match self.running.as_ref().map(|running| &running.gateway) {
            Some(Ok(gateway)) => {
                let mut outcome = play::play(case, gateway);
                outcome.configuration.clone_from(&gateway.configuration);
                outcome
            }
            Some(Err(message)) => Outcome {
                fault: Some(String::from("not started")),
                seen: message.clone(),
                configuration: String::new(),
            },
            None => unreachable!("just started"),
        }
    }

    /// Imports the configuration and starts a gateway with it.
    fn start(&mut self, case: &Case) -> Result<Gateway, String> {
        self.count += 1;
        let ports = self.helper.ports.and(&Ports::of(&[1984, 1994]));
        let dir = self.dir.path().join(self.count.to_string());
        fs::create_dir(&dir).expect("a writable directory");
        let mut config = ports.config(&case.config);
        if case.kind == Kind::Curl {
            self.trust(&mut config);
        }
        self.certify(&mut config);
        let source = dir.join("apisix.json");
        fs::write(&source, config.to_string()).expect("a writable directory");
        let settings = dir.join("config.json");
        let trusted = self.dir.path().join("helper-ca.crt");
        fs::write(&settings, process_settings(&case.process, &ports, &trusted))
            .expect("a writable directory");
        let folder = dir.join("ferrule");
        let mut import = Command::new(ferrule_binary());
        import.args(["import", "apisix"]).arg(&source).arg("--config").arg(&settings);
        // APISIX overlooks objects that are wrong, and so its cases have some.
        import.arg("--drop-invalid");
        let done = import.arg("-o").arg(&folder).output().expect("ferrule");
        if !matches!(done.status.code(), Some(0 | 2)) {
            return Err(format!("the import is refused:\n{}", said(&done)));
        }
        let file = folder.join("ferrule.toml");
        let configuration = fs::read_to_string(&file).expect("what was imported");
        let process = format!(
            "{configuration}\n[runtime]\nworkers = 1\ncpu_affinity = false\nring_entries = 256\n\
             max_connections = 1024\nresolver = {{ nameservers = [\"127.0.0.1:{}\"] }}\n",
            self.dns.port
        );
        fs::write(&file, process).expect("a writable directory");
        let process = run(&file, &dir.join("log"), &ports)?;
        let dir = self.dir.path().to_owned();
        Ok(Gateway { ports, dir, configuration, _process: process })
    }

    /// Puts certificates where a configuration of ours asks for them.
    fn certify(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let pem = match text.as_str() {
                    "@server.crt@" => &self.server.cert_pem,
                    "@server.key@" => &self.server.key_pem,
                    "@ca@" => &self.authority.cert_pem,
                    _ => return,
                };
                text.clone_from(pem);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.certify(item)),
            Value::Object(lines) => lines.values_mut().for_each(|line| self.certify(line)),
            _ => {}
        }
    }

    /// Clients of a command line have certificates of ours, so it is ours that must be trusted.
    fn trust(&self, config: &mut Value) {
        let Value::Object(objects) = config else { return };
        for object in objects.values_mut() {
            if let Some(ca) = object.pointer_mut("/client/ca") {
                *ca = Value::String(self.authority.cert_pem.clone());
            }
        }
    }
}

/// Do all routes have an upstream of their own, without a certificate to show? Cases of mutual TLS may keep one in an
/// object that no route leads to.
fn shows_none(config: &Value) -> bool {
    let Value::Object(objects) = config else { return false };
    let mut routes = objects.iter().filter(|(key, _)| key.starts_with("routes/")).peekable();
    let shows = |route: &Value| {
        let tls = &route["upstream"]["tls"];
        route["upstream"].is_null()
            || ["client_cert", "client_cert_id"].iter().any(|key| tls.get(key).is_some())
    };
    routes.peek().is_some() && routes.all(|(_, route)| !shows(route))
}

/// `config.yaml` with the ports of this gateway, on loopback alone.
fn process_settings(text: &str, ports: &Ports, trusted: &Path) -> String {
    let read = |text: &str| ferrule_import::yaml::read(text).expect("settings that are YAML");
    let mut settings = if text.trim().is_empty() { Value::Null } else { plain(&read(text)) };
    if !settings.is_object() {
        settings = serde_json::json!({});
    }
    // Redirects lead to the port that is listened on there.
    let listened = settings["apisix"]["ssl"]["listen"][0]["port"].as_u64().unwrap_or(9443);
    if settings["plugin_attr"]["redirect"]["https_port"].is_null() {
        settings["plugin_attr"]["redirect"]["https_port"] = Value::from(listened);
    }
    let loopback = |port: u16| serde_json::json!([{"ip": "127.0.0.1", "port": ports.ours(port)}]);
    settings["apisix"]["node_listen"] = loopback(1984);
    settings["apisix"]["ssl"]["listen"] = loopback(1994);
    if settings["apisix"]["ssl"]["ssl_trusted_certificate"].is_null() {
        settings["apisix"]["ssl"]["ssl_trusted_certificate"] =
            Value::from(trusted.display().to_string());
    }
    settings.to_string()
}

/// A document as JSON.
fn plain(node: &ferrule_import::Node) -> Value {
    use ferrule_import::Value as Read;
    match &node.value {
        Read::Null => Value::Null,
        Read::Flag(flag) => Value::Bool(*flag),
        Read::Integer(number) => Value::from(*number),
        Read::Float(number) => Value::from(*number),
        Read::Text(text) => Value::String(text.clone()),
        Read::List(nodes) => nodes.iter().map(plain).collect(),
        Read::Table(entries) => Value::Object(
            entries.iter().map(|entry| (entry.key.clone(), plain(&entry.node))).collect(),
        ),
    }
}

fn run(file: &Path, log: &Path, ports: &Ports) -> Result<Process, String> {
    let mut command = Command::new(ferrule_binary());
    command.args(["run", "-c"]).arg(file);
    let mut process = Process::start(command, log);
    let started = ferrule_tests::poll(ferrule_tests::PATIENCE, || {
        let output = process.output();
        (output.contains(" ready: ") || process.exited().is_some()).then_some(output)
    });
    match started {
        Some(output) if output.contains(" ready: ") => {
            process.wait_for_port(ports.ours(1984));
            Ok(process)
        }
        _ => Err(format!("the gateway does not start:\n{}", process.output())),
    }
}
