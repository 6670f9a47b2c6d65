//! Reloads and upgrades of a proxy that is at work: kept and new connections under mutual TLS, uploads and
//! WebSockets go on, the server's certificate is another one each time, and some upgrades fail.
//!
//! `cargo test --release -p ferrule-tests --test peers changes::the_table -- --ignored --nocapture` takes a quarter of an hour
//! and prints a table in Markdown, with nginx and HAProxy beside Ferrule on both drivers. `FERRULE_CHANGES_ONLY=nginx`
//! leaves out all others. The load is half of what each answers when it is asked as fast as it goes.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod proxies;
mod sockets;

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Leaf, Nginx, PATIENCE, Shape, Upstream, free_port, now,
    on_both_drivers, poll, scratch,
};
use ferrule_tools::load::{Kind, Outcome, Plan, Request, TlsTarget, allow_descriptors, run};
use ferrule_tools::storm::served_serial;
use ferrule_tools::tls;
use proxies::{Behind, Proxy};
use sockets::Sockets;

const NAME: &str = "a.test";
const FIRST_SERIAL: u64 = 0x1000;
/// Bytes of an upload.
const UPLOAD: u64 = 256 << 10;

/// How much of everything.
struct Course {
    kept: usize,
    /// Requests a second on kept connections; `None`: half of what the proxy answers.
    rate: Option<u64>,
    fresh: u64,
    uploads: usize,
    sockets: usize,
    reloads: usize,
    upgrades: usize,
    failing: usize,
    /// From one change to the next, at least.
    between: Duration,
}

/// What came of it.
struct Report {
    name: String,
    rate: u64,
    kept: Outcome,
    fresh: Outcome,
    uploads: Outcome,
    sockets: Sockets,
    /// Changes that no new connection saw in time, in words.
    unseen: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Reload,
    Upgrade,
    Failing,
}

impl Course {
    /// What is done in which order: upgrades are spread among the reloads, and failing ones among them, one first.
    fn changes(&self) -> Vec<Change> {
        let all = self.reloads + self.upgrades + self.failing;
        let is_due = |at: usize, count: usize| (at + 1) * count / all > at * count / all;
        let replaced = self.upgrades + self.failing;
        let (mut changes, mut number) = (Vec::new(), 0);
        for at in 0..all {
            changes.push(if is_due(at, replaced) {
                number += 1;
                let fails = (number - 1) * self.failing % replaced < self.failing;
                if fails { Change::Failing } else { Change::Upgrade }
            } else {
                Change::Reload
            });
        }
        changes
    }
}

struct SetOnDrop<'f>(&'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stage for one proxy: its certificates, its clients', and what is behind it.
struct Stage {
    scratch: tempfile::TempDir,
    authority: Authority,
    key: String,
    client: Leaf,
    behind: Behind,
    _answers: Nginx,
    _echo: Upstream,
}

impl Stage {
    fn new() -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("Changes CA");
        fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        let key = authority.server(&[NAME]).key_pem;
        authority.server_with(&[NAME], FIRST_SERIAL, &key).write(dir, "server");
        let port = free_port();
        let http = format!(
            "server {{\nlisten 127.0.0.1:{port} backlog=4096;\nkeepalive_time 24h;\nclient_max_body_size 0;\n\
             location / {{ return 200 \"ok\"; }}\n}}"
        );
        let answers = Nginx::start(dir, port, &http, Shape::Single);
        let echo = Upstream::plain(sockets::echo());
        let (client, behind) =
            (authority.client("load"), Behind { answers: port, echo: echo.port });
        Self { scratch, authority, key, client, behind, _answers: answers, _echo: echo }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn plan(&self, proxy: &Proxy, kind: Kind, time: Duration) -> Plan {
        let config = tls::client(Some(&self.client), &[&rustls::version::TLS13]);
        Plan {
            address: (Ipv4Addr::LOCALHOST, proxy.port).into(),
            tls: Some(TlsTarget {
                config: Arc::new(config),
                server_name: NAME.try_into().expect("a server name"),
            }),
            request: Request::get(NAME, "/", kind),
            kind,
            nagle: false,
            connections: 64,
            threads: 1,
            time,
            rate: 0,
        }
    }

    /// Half of the requests a second that it answers on so many connections when it is asked as fast as it goes.
    fn half_of_saturation(&self, proxy: &Proxy, connections: usize) -> u64 {
        let plan = self.plan(proxy, Kind::Kept, Duration::from_secs(5));
        run(&Plan { connections, ..plan }).answered / 10
    }

    fn drive(&self, proxy: &Proxy, course: &Course) -> Report {
        let rate = course.rate.unwrap_or_else(|| self.half_of_saturation(proxy, course.kept));
        let changes = course.changes();
        // The load goes on for a while behind the last change.
        let count = u32::try_from(changes.len()).expect("not many") + 2;
        let time = course.between * count;
        let plan =
            |kind, connections, rate| Plan { connections, rate, ..self.plan(proxy, kind, time) };
        let kept = plan(Kind::Kept, course.kept, rate);
        let fresh = plan(Kind::Fresh, 16, course.fresh);
        let request = Request::upload(NAME, "/upload", UPLOAD);
        let each = u64::try_from(course.uploads).expect("not many");
        let uploads = Plan { request, ..plan(Kind::Kept, course.uploads, each) };
        let dial = Dial::as_client(NAME, &self.client);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let [kept, fresh, uploads] =
                [kept, fresh, uploads].map(|plan| scope.spawn(move || run(&plan)));
            let sockets = scope.spawn(|| sockets::run(&dial, proxy.port, course.sockets, &over));
            // A panic in here must end the clients, too.
            let guard = SetOnDrop(&over);
            let unseen = self.change(proxy, &changes, course.between);
            let [kept, fresh, uploads] =
                [kept, fresh, uploads].map(|load| load.join().expect("the load does not panic"));
            drop(guard);
            let sockets = sockets.join().expect("the load does not panic");
            Report { name: proxy.name.clone(), rate, kept, fresh, uploads, sockets, unseen }
        })
    }

    /// Makes the changes; which of them no new connection saw.
    fn change(&self, proxy: &Proxy, changes: &[Change], between: Duration) -> Vec<String> {
        let config = Arc::new(tls::client(Some(&self.client), &[&rustls::version::TLS13]));
        let address = (Ipv4Addr::LOCALHOST, proxy.port).into();
        let mut unseen = Vec::new();
        // A signal to a process that has only begun may wait for the next one.
        let serves = poll(PATIENCE, || served_serial(address, &config, NAME).ok());
        assert!(serves.is_some(), "{} serves", proxy.name);
        for (number, change) in (FIRST_SERIAL + 1..).zip(changes) {
            let began = now();
            if *change == Change::Failing {
                proxy.fail_to_upgrade();
            } else {
                let leaf = self.authority.server_with(&[NAME], number, &self.key);
                leaf.write(self.dir(), "server");
                if *change == Change::Reload {
                    proxy.reload();
                } else {
                    proxy.upgrade();
                }
                let wanted = format!("{number:04X}");
                let mut last = String::new();
                let seen = poll(PATIENCE, || {
                    last = served_serial(address, &config, NAME)
                        .unwrap_or_else(|error| error.to_string());
                    (last == wanted).then_some(())
                });
                if seen.is_none() {
                    unseen.push(format!("{change:?} {wanted}: {last}"));
                }
            }
            while began.elapsed() < between {
                thread::park_timeout(between.saturating_sub(began.elapsed()));
            }
        }
        unseen
    }
}

impl Report {
    fn failures(&self) -> u64 {
        let sockets: u64 = self.sockets.failed.values().sum();
        [&self.kept, &self.fresh, &self.uploads].iter().map(|load| load.failures()).sum::<u64>()
            + sockets
    }

    /// All that should not have happened.
    fn problems(&self) -> String {
        let mut text = self.unseen.join("\n");
        let loads = [("kept", &self.kept), ("new", &self.fresh), ("uploads", &self.uploads)];
        for (name, outcome) in loads {
            for (reason, count) in &outcome.failed {
                let _ = writeln!(text, "{name}: {count} failed: {reason}");
            }
            if outcome.answered == 0 {
                let _ = writeln!(text, "{name}: none answered");
            }
        }
        for (reason, count) in &self.sockets.failed {
            let _ = writeln!(text, "WebSockets: {count} failed: {reason}");
        }
        if self.sockets.echoes == 0 {
            text += "WebSockets: no echo";
        }
        text
    }

    fn row(&self) -> String {
        let Self { name, rate, kept, fresh, uploads, sockets, unseen } = self;
        let answered = kept.answered + fresh.answered + uploads.answered;
        let millis = kept.latency.at(9_900) as f64 / 1_000.0;
        format!(
            "| {name} | {rate} | {answered} | {} | {} | {} | {} | {} | {millis:.1} |",
            self.failures(),
            sockets.echoes,
            sockets.told,
            sockets.ended,
            unseen.len(),
        )
    }
}

const HEAD: &str = "| proxy | requests a second | answered | failed | echoes of WebSockets | ended with 1001 | ended \
                    without a word | changes not seen | p99, ms |\n\
                    | --- | --: | --: | --: | --: | --: | --: | --: | --: |";

on_both_drivers! {
    fn reloads_and_upgrades_lose_nothing(driver) {
        let stage = Stage::new();
        let proxy = proxies::ferrule(stage.dir(), driver, stage.behind);
        let course = Course {
            kept: 200,
            rate: Some(100),
            fresh: 5,
            uploads: 2,
            sockets: 3,
            reloads: 6,
            upgrades: 2,
            failing: 1,
            between: Duration::from_secs(1),
        };
        let report = stage.drive(&proxy, &course);
        assert_eq!(report.problems(), "", "{}", report.row());
    }
}

/// The peers go through a short form of it, too: without this the table could not be trusted.
#[test]
fn nginx_and_haproxy_are_reloaded_and_upgraded() {
    for start in [proxies::nginx, proxies::haproxy] {
        let stage = Stage::new();
        let proxy = start(stage.dir(), stage.behind);
        let course = Course {
            kept: 50,
            rate: Some(50),
            fresh: 5,
            uploads: 1,
            sockets: 1,
            reloads: 2,
            upgrades: 1,
            failing: 1,
            between: Duration::from_secs(1),
        };
        let report = stage.drive(&proxy, &course);
        assert!(report.unseen.is_empty(), "{}: {:?}", report.name, report.unseen);
        assert!(report.kept.answered > 0 && report.sockets.echoes > 0, "{}", report.problems());
    }
}

#[test]
#[ignore = "takes a quarter of an hour, and a release build"]
fn the_table() {
    #[expect(clippy::disallowed_methods, reason = "a person says which proxy")]
    let only = std::env::var("FERRULE_CHANGES_ONLY").unwrap_or_default();
    allow_descriptors(16_384).expect("enough descriptors");
    println!("{HEAD}");
    let start = |name: &str, stage: &Stage| match name {
        "io_uring" => proxies::ferrule(stage.dir(), Driver::IoUring, stage.behind),
        "epoll" => proxies::ferrule(stage.dir(), Driver::Epoll, stage.behind),
        "nginx" => proxies::nginx(stage.dir(), stage.behind),
        _ => proxies::haproxy(stage.dir(), stage.behind),
    };
    let mut problems = String::new();
    let all = ["io_uring", "epoll", "nginx", "haproxy"];
    for name in all.into_iter().filter(|name| only.is_empty() || only == *name) {
        let stage = Stage::new();
        let proxy = start(name, &stage);
        let course = Course {
            kept: 10_000,
            rate: None,
            fresh: 20,
            uploads: 20,
            sockets: 50,
            reloads: 200,
            upgrades: 10,
            failing: 2,
            between: Duration::from_millis(700),
        };
        let report = stage.drive(&proxy, &course);
        println!("{}", report.row());
        println!("<!--\n{}\n-->", report.problems());
        if report.name.starts_with("Ferrule") {
            problems += &report.problems();
        }
    }
    assert_eq!(problems, "");
}
