//! Watching a running gateway: metrics, `ferrule ctl`, and why a client was refused.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch,
};
use ferrule_tools::process::ferrule_binary;
use serde_json::Value;

use crate::write_ca;

const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
id = "api"
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = ["old.crt", "new.crt"], explain = true }

[[ssls]]
id = "strict"
sni = "strict.test"
cert = "server.crt"
key = "server.key"
client = { ca = "old.crt", reject = "handshake" }

[[routes]]
id = "all"
uri = "/here/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A gateway that can be watched, two authorities, and a third that nobody trusts.
struct Watched {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    old: Authority,
    new: Authority,
}

impl Watched {
    fn start(driver: Driver) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        write_ca(dir, "old", &old);
        write_ca(dir, "new", &new);
        new.server(&["a.test", "strict.test"]).write(dir, "server");
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { scratch, _upstream: upstream, gateway, old, new }
    }

    fn front(&self) -> u16 {
        self.gateway.port("front")
    }

    fn scrape(&self) -> Exposition {
        let answer = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics");
        assert_eq!(answer.status(), 200, "{answer:?}");
        let media_type = answer.head.get("Content-Type");
        assert_eq!(media_type, Some("text/plain; version=0.0.4; charset=utf-8"));
        Exposition::read(&answer.text())
    }

    /// Scrapes until it is as expected: a core counts a request after it has answered.
    fn scrape_until(&self, what: &str, wanted: impl Fn(&Exposition) -> bool) -> Exposition {
        let found = poll(PATIENCE, || Some(self.scrape()).filter(|found| wanted(found)));
        assert!(found.is_some(), "not {what}: {:#?}", self.scrape());
        found.expect("just seen")
    }

    fn ctl(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        ctl(self.scratch.path(), arguments)
    }

    fn ctl_json(&self, arguments: &[&str]) -> Value {
        let (code, out, error) = self.ctl(&[&["--json"], arguments].concat());
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str(&out).expect("JSON")
    }
}

pub(crate) fn ctl(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(ferrule_binary())
        .args(["ctl", "--socket"])
        .arg(dir.join("ctl.sock"))
        .args(arguments)
        .output()
        .expect("ferrule");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

on_both_drivers! {
    /// The endpoint goes from one address of its port to another, or stays where it was.
    fn metrics_move_within_their_port(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let at = |address: &str| {
            format!("[metrics]\nlisten = \"{address}:@metrics@\"\n{}", crate::PLAIN)
        };
        let mut gateway = Setup::new(scratch.path(), driver, &at("127.0.0.1"))
            .set("upstream", &upstream.port).start();
        let port = gateway.port("metrics");
        let scrape = |host: Ipv4Addr| {
            let mut stream = TcpStream::connect((host, port)).ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
            let mut text = String::new();
            std::io::Read::read_to_string(&mut stream, &mut text).ok()?;
            text.starts_with("HTTP/1.1 200 ").then_some(())
        };
        let other = Ipv4Addr::new(127, 0, 0, 2);
        assert!(scrape(Ipv4Addr::LOCALHOST).is_some() && scrape(other).is_none());
        for (address, both) in [("0.0.0.0", true), ("127.0.0.1", false), ("0.0.0.0", true), ("127.0.0.2", true)] {
            assert_eq!(gateway.reload(&at(address)), Reloaded::Taken, "{address}");
            assert!(scrape(other).is_some() == both, "{address}");
            assert!(scrape(Ipv4Addr::LOCALHOST).is_some() == (address != "127.0.0.2"), "{address}");
        }
        // Somebody else is in the way: the reload is refused, and the old door is open again.
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        assert_eq!(gateway.reload(&at("0.0.0.0")), Reloaded::Refused);
        assert!(scrape(other).is_some());
        drop(taken);
        assert_eq!(gateway.reload(&at("0.0.0.0")), Reloaded::Taken);
        assert!(scrape(other).is_some() && scrape(Ipv4Addr::LOCALHOST).is_some());
    }

    /// What happened is counted, under the right names, and nothing is lost by a reload.
    fn metrics_say_what_happened(driver) {
        let mut watched = Watched::start(driver);
        let front = watched.front();
        let dial = Dial::as_client("a.test", &watched.old.client("me"));
        let mut kept = dial.connect(front).expect("a handshake");
        for _ in 0..3 {
            assert_eq!(raw::get(&mut kept, "a.test", "/here/x").status(), 200);
        }
        assert_eq!(raw::get(&mut kept, "a.test", "/elsewhere").status(), 404);
        let stranger = Dial::as_client("a.test", &Authority::new("who").client("x"));
        assert_eq!(stranger.get(front, "a.test", "/here/").expect("an answer").status(), 400);
        assert!(Dial::new(Some("nobody.test")).connect(front).is_err());

        let listener = format!("127.0.0.1:{front}");
        let of = |route, code| [("listener", listener.as_str()), ("route", route), ("code", code)];
        let found = watched.scrape_until("all requests", |found| {
            found.sum("ferrule_requests_total", &[]) >= 5.0
                && found.sum("ferrule_handshake_failures_total", &[("reason", "unknown-name")]) >= 1.0
        });
        assert!((found.sum("ferrule_requests_total", &of("all", "2xx")) - 3.0).abs() < 0.1);
        assert!((found.sum("ferrule_requests_total", &of("", "4xx")) - 2.0).abs() < 0.1);
        for (name, labels, wanted) in [
            ("ferrule_refusals_total", &[("reason", "route-not-found")][..], 1.0),
            ("ferrule_refusals_total", &[("reason", "bad-certificate")], 1.0),
            ("ferrule_handshakes_total", &[("result", "ok"), ("version", "TLSv1.3"), ("resumed", "no")], 2.0),
            ("ferrule_handshake_failures_total", &[("reason", "unknown-name")], 1.0),
            ("ferrule_client_verdicts_total", &[("verdict", "SUCCESS")], 1.0),
            ("ferrule_client_verdicts_total", &[("verdict", "unable to verify the first certificate")], 1.0),
            ("ferrule_client_ca_uses_total", &[("subject", "CN=old")], 1.0),
            ("ferrule_client_ca_uses_total", &[("subject", "CN=new")], 0.0),
            ("ferrule_client_certificate_days_left_count", &[("server", "api")], 1.0),
            ("ferrule_request_duration_seconds_count", &[("part", "total")], 5.0),
            ("ferrule_request_duration_seconds_count", &[("part", "upstream")], 3.0),
            ("ferrule_upstream_connects_total", &[], 1.0),
            ("ferrule_upstream_reuses_total", &[], 2.0),
            ("ferrule_generation", &[], 1.0),
            ("ferrule_panics_total", &[], 0.0),
        ] {
            let value = found.sum(name, labels);
            assert!((value - wanted).abs() < 0.1, "{name} {labels:?} is {value}, not {wanted}");
        }
        let files: Vec<_> = found.labels("ferrule_certificate_not_after_seconds").collect();
        assert!(files.iter().any(|labels| labels["role"] == "client_ca" && labels["subject_cn"] == "new"));
        assert!(files.iter().any(|labels| labels["role"] == "server" && labels["owner"] == "api, strict"));
        watched.scrape_until("idle upstream", |found| found.sum("ferrule_upstream_connections", &[("state", "idle")]) > 0.5);

        // Counters never go back, whatever the reload does with routes.
        let text = CONFIG.replace("id = \"all\"", "id = \"other\"");
        assert_eq!(watched.gateway.reload(&text), Reloaded::Taken);
        assert_eq!(raw::get(&mut kept, "a.test", "/here/x").status(), 200);
        let found = watched.scrape_until("a new route", |found| {
            found.sum("ferrule_requests_total", &of("other", "2xx")) > 0.5
        });
        assert!((found.sum("ferrule_requests_total", &of("all", "2xx")) - 3.0).abs() < 0.1);
        assert_eq!(watched.gateway.reload("[[listen]]\n"), Reloaded::Refused);
        // A scrape may be a few milliseconds old.
        let found = watched.scrape_until("refused", |found| {
            found.sum("ferrule_last_reload_success", &[]).abs() < 0.1
        });
        assert!((found.sum("ferrule_reloads_total", &[]) - 2.0).abs() < 0.1);
    }

    /// How old each list is, and when the next one is due.
    fn revocation_lists_are_watched(driver) {
        let mut watched = Watched::start(driver);
        fs::write(watched.scratch.path().join("new.crl"), watched.new.revocation_list(&[5, 6], 1)).expect("writable");
        let lists = "client = { ca = [\"old.crt\", \"new.crt\"], crl = \"new.crl\", crl_missing = \"allow\"";
        let text = CONFIG.replace("client = { ca = [\"old.crt\", \"new.crt\"]", lists);
        assert_eq!(watched.gateway.reload(&text), Reloaded::Taken);
        let of: &[(&str, &str)] = &[("key", "ssls[0].client.crl"), ("issuer", "CN=new")];
        let found = watched.scrape_until("a list", |found| {
            (found.sum("ferrule_crl_revoked_certificates", of) - 2.0).abs() < 0.1
        });
        // The first days of 2024 and of 2098.
        assert!((found.sum("ferrule_crl_this_update_seconds", of) - 1_704_067_200.0).abs() < 0.1);
        assert!((found.sum("ferrule_crl_next_update_seconds", of) - 4_039_372_800.0).abs() < 0.1);
        let certs = watched.ctl_json(&["certs"]);
        assert_eq!((&certs["crls"][0]["revoked"], &certs["crls"][0]["next_update"]), (&2.into(), &4_039_372_800_u64.into()));
        let (_, table, _) = watched.ctl(&["certs"]);
        assert!(table.contains("REVOCATION LIST") && table.contains("new.crl"), "{table}");
    }

    fn ctl_tells_and_obeys(driver) {
        let mut watched = Watched::start(driver);
        let front = watched.front();
        let socket = watched.scratch.path().join("ctl.sock");
        let mode = fs::symlink_metadata(&socket).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for (name, until) in [("late", 2095), ("soon", 2090)] {
            let leaf = watched.new.client_valid(name, 2020, until);
            assert_eq!(Dial::as_client("a.test", &leaf).get(front, "a.test", "/here/").expect("in").status(), 200);
        }
        // Known by their names only where they were refused.
        let expired = watched.new.client_valid("gone", 2020, 2021);
        assert_eq!(Dial::as_client("a.test", &expired).get(front, "a.test", "/").expect("an answer").status(), 400);

        let clients = watched.ctl_json(&["clients"]);
        let subjects: Vec<&str> = clients["clients"].as_array().expect("a list").iter()
            .map(|one| one["subject"].as_str().expect("text")).collect();
        assert_eq!(subjects, ["CN=soon", "CN=late"]);
        assert_eq!(watched.ctl_json(&["clients", "--soonest", "1"])["clients"].as_array().map(Vec::len), Some(1));
        assert_eq!(clients["clients"][0]["server_name"], "a.test");

        let status = watched.ctl_json(&["status"]);
        assert_eq!((&status["generation"], &status["phase"]), (&1.into(), &"running".into()));
        assert!(status["buffers"]["rented_bytes"].as_u64() < status["buffers"]["budget_bytes"].as_u64());
        assert_eq!(status["buffers"]["stalled_ended"], 0);
        assert_eq!(status["listeners"][0]["address"], format!("127.0.0.1:{front}"));
        let (code, table, _) = watched.ctl(&["status"]);
        assert!(code == Some(0) && table.contains("generation 1") && table.contains("TLS"), "{table}");
        let (_, certs, _) = watched.ctl(&["certs"]);
        assert!(certs.contains("client CA") && certs.contains("CN=old") && certs.contains("never"), "{certs}");

        // A reload is waited for; a refused one says everything that is wrong.
        let (code, out, _) = watched.ctl(&["reload", "--wait"]);
        assert!(code == Some(0) && out.contains("generation 2 is in force"), "{out}");
        let text = fs::read_to_string(&watched.gateway.file).expect("the file");
        fs::write(&watched.gateway.file, format!("{text}\nwrong = 1\n")).expect("writable");
        let (code, _, errors) = watched.ctl(&["reload", "--wait"]);
        assert!(code == Some(1) && errors.contains("wrong"), "{errors}");
        assert_eq!(watched.ctl_json(&["status"])["reloads"]["refused"], 1);
        fs::write(&watched.gateway.file, text).expect("writable");

        assert!(watched.gateway.stop().success());
        assert!(!socket.exists(), "the socket is removed at the end");
        assert_eq!(watched.ctl(&["status"]).0, Some(3));
    }

    /// One line in the log and one answer tell what was shown, what is missing and who is trusted.
    fn a_refusal_says_why(driver) {
        let watched = Watched::start(driver);
        let front = watched.front();
        let middle = watched.old.intermediate("middle");
        let lost = middle.client("lost \"quoted\" ");
        let answer = Dial::as_client("a.test", &lost).get(front, "a.test", "/").expect("an answer");
        assert_eq!(answer.status(), 400);
        let body: Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(body["reason"], "unable to verify the first certificate");
        assert_eq!(body["issuer"], "CN=middle");
        assert_eq!(body["sent"], 1);
        assert_eq!(body["trusted"], serde_json::json!(["CN=old", "CN=new"]));
        let missing = body["missing"].as_str().expect("text");
        assert!(missing.contains("CN=middle") && missing.contains("neither trusted nor"), "{missing}");
        assert_eq!(body["sha256"].as_str().map(str::len), Some(64));
        // With what was missing, it gets in.
        let whole = lost.behind(&middle.cert_pem);
        assert_eq!(Dial::as_client("a.test", &whole).get(front, "a.test", "/here/").expect("in").status(), 200);

        // Nobody who sends none learns more than who is trusted.
        let none = Dial::new(Some("a.test")).get(front, "a.test", "/").expect("an answer");
        let body: Value = serde_json::from_str(&none.text()).expect("JSON");
        assert!(body.get("subject").is_none() && body["trusted"][0] == "CN=old", "{body}");

        let strict = Dial::as_client("strict.test", &watched.new.client("elsewhere"));
        assert!(strict.get(front, "strict.test", "/").is_err());
        let nothing = Dial::new(Some("strict.test")).get(front, "strict.test", "/");
        assert!(nothing.is_err());
        // Whoever asked whether the port is open may have failed as well: counting lines would count that.
        let last = ["reason=\"no-certificate\" detail=", "subject=\"CN=elsewhere\""];
        let log = poll(PATIENCE, || {
            Some(watched.gateway.log()).filter(|log| last.iter().all(|part| log.contains(part)))
        });
        let log = log.expect("two lines");
        let line = |part: &str| log.lines().find(|line| line.contains(part)).expect(part).to_owned();
        let refused = line("a client was refused");
        for part in ["sni=\"a.test\"", "issuer=\"CN=middle\"", "serial=", "sha256=", "sent=1", "missing=", "trusted=\"CN=old; CN=new\"", "suppressed=0"] {
            assert!(refused.contains(part), "{part} in {refused}");
        }
        let none = line("reason=\"no-certificate\" detail=");
        assert!(none.contains("a TLS handshake failed"), "{none}");
        let failed = line("subject=\"CN=elsewhere\"");
        for part in ["a TLS handshake failed", "sni=\"strict.test\"", "reason=\"unable to verify the first certificate\"", "detail=\"client certificate: ", "issuer=\"CN=new\"", "trusted=\"CN=old\""] {
            assert!(failed.contains(part), "{part} in {failed}");
        }
    }
}

/// Hostile scrapers cost little, get nothing, and keep nobody out.
#[test]
fn strangers_get_no_metrics() {
    let watched = Watched::start(Driver::Epoll);
    let port = watched.gateway.port("metrics");
    let answer = |request: &str| raw::exchange(port, request.as_bytes()).0.status();
    assert_eq!(answer("GET /metrics HTTP/1.1\r\nHost: evil.test\r\n\r\n"), 403);
    assert_eq!(answer("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 403);
    assert_eq!(answer("GET /else HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404);
    assert_eq!(
        answer("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
        405
    );
    assert_eq!(answer("nonsense\r\n\r\n"), 400);
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection"))
        .collect();
    assert!(!watched.scrape().is_empty());
    drop(silent);
    let mut flood = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    let line = [b"x: ".as_slice(), &[b'a'; 1_000], b"\r\n"].concat();
    // It is cut off long before this is through.
    let cut = (0..100_000).any(|_| flood.write_all(&line).is_err());
    assert!(cut, "a head without end was taken");
    let mut head = raw::plain(port);
    head.send(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let answer = head.response("HEAD").expect("an answer");
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""));
    let mut open = raw::plain(port);
    open.send(b"GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n").expect("sent");
    let answer = open.response("GET").expect("an answer");
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(
        answer
            .head
            .get("Content-Type")
            .is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
}

/// The doors come and go with the configuration; what cannot be opened refuses it.
#[test]
fn doors_follow_the_configuration() {
    let mut watched = Watched::start(Driver::Epoll);
    let socket = watched.scratch.path().join("ctl.sock");
    let port = watched.gateway.port("metrics");
    let before = fs::symlink_metadata(&socket)
        .map(|found| std::os::unix::fs::MetadataExt::ino(&found))
        .expect("the socket");
    assert_eq!(watched.gateway.reload(&format!("{CONFIG}\n# the same\n")), Reloaded::Taken);
    let after = fs::symlink_metadata(&socket)
        .map(|found| std::os::unix::fs::MetadataExt::ino(&found))
        .expect("the socket");
    assert_eq!(before, after, "kept over a reload");

    let closed = CONFIG
        .replace("[metrics]\nlisten = \"127.0.0.1:@metrics@\"", "")
        .replace("[admin]\nsocket = \"ctl.sock\"", "");
    assert_eq!(watched.gateway.reload(&closed), Reloaded::Taken);
    assert!(!socket.exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());

    // Something else in its place is not touched.
    fs::write(&socket, "precious").expect("writable");
    assert_eq!(watched.gateway.reload(CONFIG), Reloaded::Refused);
    assert_eq!(fs::read_to_string(&socket).expect("still there"), "precious");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "all or nothing");
    fs::remove_file(&socket).expect("ours");
    // A socket that a dead process has left is.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    assert_eq!(watched.gateway.reload(CONFIG), Reloaded::Taken);
    assert!(fs::symlink_metadata(&socket).expect("the socket").file_type().is_socket());
    assert_eq!(watched.ctl(&["status"]).0, Some(0));
}

/// Every family that is served is told of, with its labels.
#[test]
fn every_metric_is_documented() {
    let docs = ferrule_tests::source_dir().join("docs/metrics.md");
    let written = fs::read_to_string(&docs).unwrap_or_default();
    let watched = Watched::start(Driver::Epoll);
    let leaf = watched.new.client("somebody");
    assert!(Dial::as_client("a.test", &leaf).get(watched.front(), "a.test", "/here/").is_ok());
    let found = watched.scrape_until("a request", |found| {
        found.sum("ferrule_upstream_requests_total", &[]) >= 1.0
    });
    for family in found.families.keys() {
        let row = written.lines().find(|line| line.starts_with(&format!("| `{family}` |")));
        let row = row.unwrap_or_else(|| panic!("{family} is not documented"));
        let labels = row.split(" | ").nth(2).expect("a column of labels");
        for name in found.label_names(family) {
            assert!(labels.contains(&format!("`{name}`")), "{family} has {name}: {row}");
        }
    }
}

/// The verdict without a client, at any time.
#[test]
fn explain_tells_what_a_handshake_would() {
    let watched = Watched::start(Driver::Epoll);
    let dir = watched.scratch.path();
    let middle = watched.old.intermediate("middle");
    middle.client("lost").write(dir, "lost");
    write_ca(dir, "middle", &middle);
    watched.new.client_valid("brief", 2020, 2090).write(dir, "brief");
    let by = |file: &Path, arguments: &[&str]| {
        let mut command = Command::new(ferrule_binary());
        command.current_dir(dir).arg("explain").args(arguments).arg("-c");
        let done = command.arg(file).output().expect("ferrule");
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(text).expect("text"))
    };
    let explain = |arguments: &[&str]| by(&watched.gateway.file, arguments);
    let (code, text) = explain(&["lost.crt", "--sni", "a.test"]);
    assert!(code == Some(1) && text.contains("verdict: refused"), "{text}");
    assert!(text.contains("missing: CN=middle, the issuer of CN=lost"), "{text}");
    let (code, text) = explain(&["lost.crt", "--chain", "middle.crt", "--sni", "A.TEST"]);
    assert!(code == Some(0) && text.contains("verdict: accepted"), "{text}");
    assert!(text.contains("2 (trusted) CN=old") && text.contains("$ssl_client_verify = SUCCESS"));
    let (code, text) = explain(&["brief.crt", "--sni", "a.test", "--at", "2091-01-01"]);
    assert!(code == Some(1) && text.contains("certificate has expired"), "{text}");
    assert_eq!(explain(&["brief.crt", "--sni", "a.test"]).0, Some(0));
    assert_eq!(explain(&["brief.crt", "--sni", "nobody.test"]).0, Some(1));
    assert_eq!(explain(&["none.crt", "--sni", "a.test"]).0, Some(2));
    assert_eq!(explain(&["brief.crt", "--sni", "a.test", "--at", "soon"]).0, Some(2));
    // Lists have their say, and rules of routes are told of.
    let settings = fs::read_to_string(&watched.gateway.file).expect("the file");
    let (before, after) = ("explain = true }", "explain = true, deny = [\"CN=brief\"] }");
    assert!(settings.contains(before), "{settings}");
    let listed = dir.join("listed.toml");
    let rule = "\n[[global_rules]]\nclient.deny = [\"CN=nobody\"]\n";
    fs::write(&listed, settings.replacen(before, after, 1) + rule).expect("a file");
    let (code, text) = by(&listed, &["brief.crt", "--sni", "a.test"]);
    assert!(code == Some(1) && text.contains("lists: client-denied"), "{text}");
    assert!(text.contains("verdict: refused") && !text.contains("not asked"), "{text}");
    let (code, text) = by(&listed, &["lost.crt", "--chain", "middle.crt", "--sni", "a.test"]);
    assert!(code == Some(0) && text.contains("not asked: what `client` of"), "{text}");
}
