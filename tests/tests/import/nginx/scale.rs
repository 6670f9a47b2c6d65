//! Many servers: twice as many cost twice the work, and not four times. What is measured is the time that this thread
//! has worked, the least of a few runs, so that what else the machine does counts for little.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrule_import::Outcome;
use ferrule_import::nginx::{Files, NginxOptions, convert};
use rustix::time::{ClockId, clock_gettime};

const FEW: usize = 1_000;
const MANY: usize = 2 * FEW;
const RUNS: usize = 3;

/// No file but the one that is converted.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err(String::from("it is not there"))
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// Servers with a name, a map, a zone, a limit and an upstream each, and some without TLS.
fn servers(count: usize) -> String {
    let mut text = String::from(
        "events {} http { ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate ca.crt;\n\
         allow 10.0.0.0/8; deny all; proxy_pass_header Server; add_header X-A b;\n",
    );
    for number in 0..count {
        let (port, tls) = if number % 2 == 0 { ("443", "ssl") } else { ("80", "") };
        let _ = writeln!(
            text,
            "map $http_x $m{number} {{ default 0; a 1; }} limit_req_zone $binary_remote_addr zone=z{number}:1m rate=1r/s;\n\
             upstream u{number} {{ server 10.0.0.1:{}; }}\n\
             server {{ listen {port} {tls}; server_name h{number}.test; ssl_verify_client optional;\n\
             if ($m{number} = 1) {{ return 403; }}\n\
             location / {{ limit_req zone=z{number}; add_header X-A c; proxy_set_header X-C $ssl_client_s_dn; \
             proxy_pass http://u{number}; }} }}",
            number + 1000
        );
    }
    text.push('}');
    text
}

/// How long this thread has worked.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("nanoseconds"))
}

fn cost(text: &str, servers: usize) -> Duration {
    let options = NginxOptions {
        source: String::from("nginx.conf"),
        path: PathBuf::from("/etc/nginx/nginx.conf"),
        prefix: None,
        skips_files: false,
    };
    let run = || {
        let before = worked();
        let made = convert(text.as_bytes(), &options, &NoFiles);
        let cost = worked().saturating_sub(before);
        let text = || made.report.text().lines().take(20).collect::<Vec<_>>().join("\n");
        assert_ne!(made.report.outcome(), Outcome::Refused, "{}", text());
        let routes = made.configuration.matches("[[routes]]").count();
        assert!(routes >= servers, "{routes} routes");
        cost
    };
    (0..RUNS).map(|_| run()).min().expect("a run")
}

#[test]
fn twice_the_servers_cost_less_than_three_times_the_work() {
    let (few, many) = (cost(&servers(FEW), FEW), cost(&servers(MANY), MANY));
    assert!(many < 3 * few, "{FEW} servers: {few:?}, {MANY}: {many:?}");
}
