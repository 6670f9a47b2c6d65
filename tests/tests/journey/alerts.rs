//! Every alert that the documents recommend fires when its thing happens, and not before.
//!
//! The expressions are read from the documents. One that nothing here makes happen fails the test, as does
//! one in a form that the evaluator does not know.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::promql::{Expression, Moment};
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch,
};
use ferrule_tools::process::source_dir;

use crate::write_ca;

/// Every way to refuse a client because of its certificate.
const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "on-http.test"
cert = "server.crt"
key = "server.key"
client = { ca = ["used.crt", "unused.crt"], verify = "on", reject = "http" }

[[ssls]]
sni = "on-handshake.test"
cert = "server.crt"
key = "server.key"
client = { ca = "used.crt", verify = "on", reject = "handshake" }

[[ssls]]
sni = "optional-http.test"
cert = "server.crt"
key = "server.key"
client = { ca = "used.crt", verify = "optional", reject = "http" }

[[ssls]]
sni = "optional-handshake.test"
cert = "server.crt"
key = "server.key"
client = { ca = "used.crt", verify = "optional", reject = "handshake" }

[[ssls]]
sni = "by-route.test"
cert = "server.crt"
key = "server.key"
client = { verify = "optional_no_ca" }

[[routes]]
host = "by-route.test"
uri = "/*"
client = { verify = "on", ca = "used.crt" }
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/nobody"
upstream = { nodes = { "127.0.0.1:@nobody@" = 1 }, retries = 0 }

[[routes]]
uri = "/nobodies"
upstream = { nodes = { "127.0.0.1:@nobody@" = 1, "127.0.0.1:1" = 1 }, retries = 0 }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// The documents, and what they recommend.
fn documented() -> Vec<String> {
    let docs = fs::read_dir(source_dir().join("docs")).expect("the documents");
    let mut paths: Vec<_> = docs.map(|entry| entry.expect("an entry").path()).collect();
    paths.push(source_dir().join("README.md"));
    paths.sort();
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(path).expect("a document");
        let mut fenced = false;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if fenced {
                found.push(line.trim().to_owned());
            } else {
                found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    let is_expression = |text: &String| {
        let operators = [" > ", " < ", " == ", " >= ", " <= ", " != ", "rate(", "increase("];
        text.contains("ferrule_") && operators.iter().any(|operator| text.contains(operator))
    };
    found.retain(is_expression);
    found.sort();
    found.dedup();
    found
}

/// A gateway in which nothing has happened yet.
struct Watched {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    used: Authority,
}

impl Watched {
    fn start(driver: Driver, launcher: &dyn Fn(&Path) -> Vec<String>) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let used = Authority::new("used");
        write_ca(dir, "used", &used);
        write_ca(dir, "unused", &Authority::new("unused"));
        used.server(&["on-http.test"]).write(dir, "server");
        let launcher = launcher(dir);
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let gateway = Setup::new(dir, driver, CONFIG)
            .under(&launcher)
            .set("upstream", &upstream.port)
            .start();
        Self { scratch, _upstream: upstream, gateway, used }
    }

    fn scrape(&self) -> Exposition {
        let answer = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics");
        assert_eq!(answer.status(), 200, "{answer:?}");
        Exposition::read(&answer.text())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }
}

/// Makes the thing happen that this metric tells about.
type Happening = fn(&mut Watched);

/// What happens, by the metric that an expression asks for. The texts of the expressions stand in the documents
/// alone.
fn happenings(metric: &str) -> Vec<Happening> {
    match metric {
        "ferrule_certificate_not_after_seconds" => vec![|watched| {
            let days = Duration::from_secs(3 * 86_400);
            watched
                .used
                .server_until(&["on-http.test"], 7, days)
                .write(watched.scratch.path(), "server");
            assert_eq!(watched.gateway.signal_reload(), Reloaded::Taken);
        }],
        "ferrule_last_reload_success" => vec![|watched| {
            assert_eq!(watched.gateway.reload("[[listen]]\n"), Reloaded::Refused);
        }],
        "ferrule_file_refused" => vec![|watched| {
            fs::write(watched.path("unused.crt"), "broken").expect("writable");
        }],
        "ferrule_panics_total" => vec![|watched| {
            fs::write(watched.path("panic"), "").expect("writable");
            let front = watched.gateway.port("front");
            assert!(
                Dial::new(Some("on-http.test")).connect(front).is_err(),
                "a connection lives on"
            );
            fs::remove_file(watched.path("panic")).expect("ours");
        }],
        "ferrule_client_certificates_refused_total" => vec![
            |watched| expired_client(watched, "on-http.test"),
            |watched| expired_client(watched, "on-handshake.test"),
            |watched| expired_client(watched, "optional-http.test"),
            |watched| expired_client(watched, "optional-handshake.test"),
            |watched| expired_client(watched, "by-route.test"),
        ],
        "ferrule_client_auth_findings_total" => vec![|watched| {
            let (leaf, front) =
                (watched.used.server(&["partner.test"]), watched.gateway.port("front"));
            let answer = Dial::as_client("on-http.test", &leaf).get(front, "on-http.test", "/");
            assert_eq!(answer.expect("an answer").status(), 400);
        }],
        "ferrule_upstream_faults_total" => vec![dead_node],
        "ferrule_upstream_panic" => vec![dead_nodes],
        other => unreachable!("nothing makes {other} happen: add it here"),
    }
}

fn dead_node(watched: &mut Watched) {
    in_vain(watched, "/nobody");
}

fn dead_nodes(watched: &mut Watched) {
    in_vain(watched, "/nobodies");
}

fn in_vain(watched: &Watched, path: &str) {
    let (front, name) = (watched.gateway.port("front"), "on-http.test");
    let dial = Dial::as_client(name, &watched.used.client("me"));
    for _ in 0..4 {
        let answer = dial.get(front, name, path).expect("an answer");
        assert!(answer.status() >= 500, "{answer:?}");
    }
}

fn expired_client(watched: &Watched, name: &str) {
    let leaf = watched.used.client_valid("late", 2020, 2021);
    let answer = Dial::as_client(name, &leaf).get(watched.gateway.port("front"), name, "/");
    // Told in HTTP or by an alert.
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 400), "{name}");
}

/// `getsockname` of a data core tells nonsense while a file exists: a bug, such as nobody should ever see.
fn with_a_bug(dir: &Path) -> Vec<String> {
    let source = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
int getsockname(int fd, struct sockaddr *address, socklen_t *length) {
    int (*real)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "getsockname");
    int result = real(fd, address, length);
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (result == 0 && strncmp(name, "ferrule-", 8) == 0 && access(getenv("BUG"), F_OK) == 0)
        address->sa_family = AF_UNIX;
    return result;
}
"#;
    let (file, library) = (dir.join("bug.c"), dir.join("bug.so"));
    fs::write(&file, source).expect("writable");
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &file])
        .arg("-ldl")
        .status();
    assert!(done.expect("a C compiler").success());
    let library = format!("LD_PRELOAD={}", library.display());
    vec!["env".to_owned(), library, format!("BUG={}", dir.join("panic").display())]
}

fn nothing(_: &Path) -> Vec<String> {
    Vec::new()
}

/// Fires once the thing has happened, and not before.
fn fires(driver: Driver, expression: &Expression) {
    for happening in happenings(expression.metric()) {
        let is_bug = expression.metric() == "ferrule_panics_total";
        let mut watched = Watched::start(driver, if is_bug { &with_a_bug } else { &nothing });
        // Of a series that is new nobody sees an increase: it has to happen twice.
        if expression.metric() == "ferrule_upstream_faults_total" {
            happening(&mut watched);
            let known = || watched.scrape().labels(expression.metric()).next().map(drop);
            assert!(poll(PATIENCE, known).is_some(), "{expression}: no sample");
        }
        let before = watched.scrape();
        let quiet = expression.fires(&Moment { before: &before, now: &watched.scrape() });
        assert!(quiet.is_empty(), "{expression} fires although nothing has happened: {quiet:?}");
        happening(&mut watched);
        let fired = poll(PATIENCE, || {
            let now = watched.scrape();
            (!expression.fires(&Moment { before: &before, now: &now }).is_empty()).then_some(())
        });
        assert!(fired.is_some(), "{expression} does not fire: {:#?}", watched.scrape());
    }
}

/// Fires for the authority that nobody uses, and not for the one that somebody does.
fn fires_for_the_unused(driver: Driver, expression: &Expression) {
    let watched = Watched::start(driver, &nothing);
    let (front, name) = (watched.gateway.port("front"), "on-http.test");
    let answer = Dial::as_client(name, &watched.used.client("me")).get(front, name, "/");
    assert_eq!(answer.expect("an answer").status(), 200);
    let fired = poll(PATIENCE, || {
        let now = watched.scrape();
        let fired = expression.fires(&Moment { before: &now, now: &now });
        let subjects: Vec<_> = fired.iter().map(|labels| labels["subject"].as_str()).collect();
        (subjects == ["CN=unused"]).then_some(())
    });
    assert!(fired.is_some(), "{expression}: {:#?}", watched.scrape());
}

on_both_drivers! {
    fn every_documented_alert_fires(driver) {
        let documented = documented();
        assert!(documented.len() >= 6, "{documented:?}");
        for text in documented {
            let expression = Expression::read(&text);
            if expression.metric() == "ferrule_client_ca_last_used_timestamp_seconds" {
                fires_for_the_unused(driver, &expression);
            } else {
                fires(driver, &expression);
            }
        }
    }
}
