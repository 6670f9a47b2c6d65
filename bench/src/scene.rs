//! The whole job on one core: an nginx that requires the gateway's certificate, and a gateway that
//! requires its clients' and adds three identity headers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrule_tools::gateway::{Driver, Gateway, Setup};
use ferrule_tools::load::{Kind, Plan, Request, TlsTarget, allow_descriptors};
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::pki::{Authority, Leaf};
use ferrule_tools::process::free_port;
use ferrule_tools::tls;
use rustls::pki_types::ServerName;
use tempfile::TempDir;

/// What the client calls the gateway.
const NAME: &str = "bench.test";

const CONFIG: &str = r#"
[identity_headers]
X-Client-Fingerprint = "$ssl_client_fingerprint"
X-Client-Serial = "$ssl_client_serial"
X-Client-Subject = "$ssl_client_s_dn"

[http]
connections_per_address = 0
keepalive_requests = 1000000000
keepalive_timeout = "1h"

[[listen]]
address = "127.0.0.2:@front@"
tls = true

[[ssls]]
sni = "bench.test"
cert = "front.crt"
key = "front.key"
ssl_protocols = ["TLSv1.3"]
client.ca = "ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
keepalive_pool = { size = 128, requests = 1000000000 }
[routes.upstream.tls]
client_cert = "proxy.crt"
client_key = "proxy.key"
ca = "ca.crt"
server_name = "up.test"
ssl_protocols = ["TLSv1.3"]
"#;

/// The upstream, and everybody's certificates.
pub struct Scene {
    upstream: u16,
    client: Leaf,
    dir: TempDir,
    _nginx: Nginx,
}

/// What the kernel says of a process: of all its threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Time on a processor, in nanoseconds.
    pub cpu_nanos: u64,
    /// How often a thread waited for something, and was woken.
    pub waits: u64,
    /// How often a thread lost its core while it had work.
    pub preempted: u64,
}

impl Scene {
    /// Starts the upstream behind `launcher`.
    #[must_use]
    pub fn set(launcher: &[&str]) -> Self {
        allow_descriptors(8192).expect("a limit of open files that can be raised");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("bench");
        fs::write(dir.path().join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        let client = authority.client("client");
        authority.server(&[NAME]).write(dir.path(), "front");
        authority.server(&["up.test"]).write(dir.path(), "up");
        authority.client("proxy").write(dir.path(), "proxy");
        let upstream = free_port();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let http = format!(
            "server {{\nlisten 127.0.0.1:{upstream} ssl backlog=4096;\nssl_protocols TLSv1.3;\n\
             ssl_certificate {};\nssl_certificate_key {};\nssl_client_certificate {};\n\
             ssl_verify_client on;\nkeepalive_timeout 1h;\nlocation / {{ return 200 \"ok\"; }}\n}}",
            at("up.crt"),
            at("up.key"),
            at("ca.crt"),
        );
        let nginx =
            Nginx::start_under(launcher, dir.path(), upstream, &http, Shape::MasterAndWorker);
        Self { upstream, client, dir, _nginx: nginx }
    }

    /// A gateway of one worker, with more lines of `[runtime]`, behind `launcher`; `binary` is another
    /// one than the release's.
    #[must_use]
    pub fn gateway(
        &self,
        driver: Driver,
        runtime: &str,
        launcher: &[&str],
        binary: Option<&Path>,
    ) -> Gateway {
        let lines = format!(
            "workers = 1\ncpu_affinity = false\nmax_connections = 8192\nio_driver = \"{driver}\"\n"
        );
        let mut setup = Setup::new(self.dir.path(), driver, CONFIG)
            .runtime(&lines)
            .runtime_line(runtime)
            .quiet()
            .set("front", &free_port())
            .set("upstream", &self.upstream)
            .under(launcher);
        if let Some(binary) = binary {
            setup = setup.binary(binary);
        }
        setup.start()
    }

    /// Load on it: a client with its certificate, two threads.
    #[must_use]
    pub fn plan(&self, gateway: &Gateway, kind: Kind, connections: usize, time: Duration) -> Plan {
        let config = tls::client(Some(&self.client), &[&rustls::version::TLS13]);
        let name = ServerName::try_from(NAME).expect("a name");
        Plan {
            address: ([127, 0, 0, 2], gateway.port("front")).into(),
            tls: Some(TlsTarget { config: config.into(), server_name: name }),
            request: Request::get(NAME, "/", kind),
            kind,
            nagle: false,
            connections,
            threads: 2,
            time,
            rate: 0,
        }
    }
}

impl Spent {
    /// So far.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let mut sum = Self::default();
        for task in tasks(process) {
            let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let nanos = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            sum.cpu_nanos += nanos.unwrap_or(0);
            sum.waits += field(&task.join("status"), "voluntary_ctxt_switches:");
            sum.preempted += field(&task.join("status"), "nonvoluntary_ctxt_switches:");
        }
        sum
    }

    /// What came on top.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            cpu_nanos: self.cpu_nanos.saturating_sub(before.cpu_nanos),
            waits: self.waits.saturating_sub(before.waits),
            preempted: self.preempted.saturating_sub(before.preempted),
        }
    }
}

fn tasks(process: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/task"));
    entries.map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// The number behind a name at the beginning of a line.
fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Resident memory of a process, in KiB.
#[must_use]
pub fn resident_kib(process: u32) -> u64 {
    field(Path::new(&format!("/proc/{process}/status")), "VmRSS:")
}

/// A quotient of counts, for people.
#[must_use]
pub fn per(part: u64, whole: u64) -> f64 {
    let exact = |number: u64| u32::try_from(number).map_or(f64::MAX, f64::from);
    // Both halves keep their accuracy far beyond what is printed.
    let (part, whole) =
        if part > u64::from(u32::MAX) { (part >> 12, whole >> 12) } else { (part, whole) };
    exact(part) / exact(whole.max(1))
}
