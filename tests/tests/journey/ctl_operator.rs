//! `ferrule ctl connections`, `config-diff`, `log-level` and `reopen-logs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, on_both_drivers,
    poll, raw, scratch,
};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::observe::ctl;
use crate::{tunnel, write_ca};

const CONFIG: &str = r#"
[admin]
socket = "ctl.sock"

[[listen]]
address = "127.0.0.1:@plain@"
mtls_routes = "allow"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
id = "api"
snis = ["a.test", "b.test"]
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
id = "all"
uri = "/*"
enable_websocket = true
headers.set = { Authorization = "Bearer TOPSECRET" }
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn start(dir: &Path, driver: Driver, upstream: &Upstream) -> (Gateway, Authority) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["a.test", "b.test"]).write(dir, "server");
    let gateway = Setup::new(dir, driver, CONFIG)
        .log_line("access = { path = \"access.log\" }")
        .set("upstream", &upstream.port)
        .start();
    (gateway, authority)
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    let (code, out, error) = ctl(dir, &[&["--json"], arguments].concat());
    let answer: Value = serde_json::from_str(&out).unwrap_or_default();
    assert!(answer.is_object(), "{code:?} {out} {error}");
    answer
}

/// The members with these names of each connection that is told.
fn told(answer: &Value, names: &[&str]) -> Vec<Vec<String>> {
    let connections = answer["connections"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    connections.iter().map(|one| names.iter().map(|name| text(&one[*name])).collect()).collect()
}

/// Echoes WebSockets, and answers when the gate is open.
fn held(gate: &Arc<AtomicBool>) -> Script {
    let (gate, tunnels) = (Arc::clone(gate), tunnel::echoing_after());
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            match request.head.target() {
                "/chat" => return tunnels(client),
                "/held" => drop(poll(PATIENCE, || gate.load(Ordering::SeqCst).then_some(()))),
                _ => {}
            }
            if !client.answer(b"fine") {
                return;
            }
        }
    })
}

on_both_drivers! {
    fn open_connections_are_listed(driver) {
        let (scratch, gate) = (scratch(), Arc::new(AtomicBool::new(false)));
        let dir = scratch.path();
        let upstream = Upstream::plain(held(&gate));
        let (gateway, authority) = start(dir, driver, &upstream);
        let (front, plain) = (gateway.port("front"), gateway.port("plain"));
        assert_eq!(json(dir, &["connections"])["open"], 0);

        let leaf = authority.client("alice");
        let mut idle = Dial::with(Some("a.test"), Some(&leaf), &[&TLS12]).connect(front).expect("a handshake");
        assert_eq!(raw::get(&mut idle, "a.test", "/").status(), 200);
        assert_eq!(raw::get(&mut idle, "a.test", "/").status(), 200);
        let mut busy = Dial::with(Some("b.test"), Some(&leaf), &[&TLS13]).connect(front).expect("a handshake");
        busy.send(b"GET /held HTTP/1.1\r\nHost: b.test\r\n\r\n").expect("a connection");
        let mut chat = tunnel::open(raw::plain(plain));
        let silent = std::net::TcpStream::connect(("127.0.0.1", front)).expect("a connection");
        let all = poll(PATIENCE, || {
            let answer = json(dir, &["connections"]);
            let mut states = told(&answer, &["state"]).concat();
            states.sort_unstable();
            (states == ["handshake", "idle", "request", "tunnel"]).then_some(answer)
        });
        assert!(all.is_some(), "{}", json(dir, &["connections"]));
        let all = all.expect("just seen");
        assert_eq!((&all["open"], &all["matching"], &all["left_out"]), (&4.into(), &4.into(), &0.into()));
        let mut rows = told(&all, &["state", "requests", "tls", "server_name"]);
        rows.sort_unstable();
        let row = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(rows, [
            row(&["handshake", "0", "null", "null"]),
            row(&["idle", "2", "TLSv1.2", "a.test"]),
            row(&["request", "1", "TLSv1.3", "b.test"]),
            row(&["tunnel", "1", "null", "null"]),
        ]);
        let client = &all["connections"].as_array().expect("a list").iter().find(|one| one["state"] == "idle").expect("it")["client"];
        assert_eq!(client["subject"], "CN=alice");
        assert_eq!(client["sha256"].as_str().map(str::len), Some(64));

        // Some of them.
        let count = |arguments: &[&str]| {
            let answer = json(dir, &[&["connections"], arguments].concat());
            let listed = answer["connections"].as_array().map_or(0, Vec::len);
            assert_eq!(answer["left_out"].as_u64(), answer["matching"].as_u64().map(|all| all - listed as u64));
            (answer["matching"].as_u64().expect("a number"), listed)
        };
        assert_eq!(count(&["--server-name", "A.test"]), (1, 1));
        assert_eq!(count(&["--listener", &format!("127.0.0.1:{front}")]), (3, 3));
        assert_eq!(count(&["--listener", &format!("127.0.0.1:{plain}")]), (1, 1));
        assert_eq!(count(&["--address", "127.0.0.1", "--limit", "2"]), (4, 2));
        assert_eq!(count(&["--address", "192.0.2.1"]), (0, 0));
        for wrong in [["--address", "nobody"], ["--listener", "127.0.0.1"]] {
            let (code, _, error) = ctl(dir, &[&["connections"], &wrong[..]].concat());
            assert!(code == Some(1) && error.contains(wrong[1]), "{code:?} {error}");
        }
        let (_, table, _) = ctl(dir, &["connections", "--limit", "3"]);
        assert!(table.contains("4 open, 4 asked for") && table.contains("SUBJECT"), "{table}");
        assert!(table.contains("CN=alice") && table.contains("and 1 more"), "{table}");

        gate.store(true, Ordering::SeqCst);
        assert_eq!(busy.response("GET").expect("an answer").status(), 200);
        tunnel::echo_of(&mut chat, b"still here");
        drop((idle, busy, chat, silent));
        let gone = poll(PATIENCE, || (json(dir, &["connections"])["open"] == 0).then_some(()));
        assert!(gone.is_some(), "{}", json(dir, &["connections"]));
    }

    fn what_a_reload_would_change_is_told(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let upstream = Upstream::plain(ferrule_tests::echo());
        let (mut gateway, _) = start(dir, driver, &upstream);
        let (code, out, error) = ctl(dir, &["config-diff"]);
        assert_eq!((code, out.contains("says what is in force")), (Some(0), true), "{out}{error}");
        let written = fs::read_to_string(&gateway.file).expect("our own file");
        let write = |text: &str| fs::write(&gateway.file, text).expect("our own file");

        // What comes to the same is no difference.
        write(&written.replace("enable_websocket = true", "priority = 0\nenable_websocket = true"));
        assert_eq!(json(dir, &["config-diff"])["same"], true);
        write(&written.replace("TOPSECRET", "OTHERSECRET").replace("uri = \"/*\"", "uri = \"/a*\""));
        let (code, out, error) = ctl(dir, &["config-diff"]);
        assert_eq!(code, Some(1), "{out}{error}");
        assert!(out.contains("[[routes]] all") && out.contains("/a*") && out.contains("headers"), "{out}");
        assert!(!out.contains("SECRET"), "{out}");
        let answer = json(dir, &["config-diff"]);
        assert_eq!(answer["differences"].as_array().map(Vec::len), Some(2), "{answer}");
        assert!(!answer.to_string().contains("SECRET"), "{answer}");

        write("nonsense = true\n");
        let (code, _, error) = ctl(dir, &["config-diff"]);
        assert!(code == Some(2) && error.contains("nonsense"), "{code:?} {error}");
        fs::remove_file(&gateway.file).expect("our own file");
        assert_eq!(ctl(dir, &["config-diff"]).0, Some(2));
        let (code, _, _) = ctl(&dir.join("nowhere"), &["config-diff"]);
        assert_eq!(code, Some(2), "there is no process");
        write(&written.replace("uri = \"/*\"", "uri = \"/a*\""));
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(ctl(dir, &["config-diff"]).0, Some(0));
    }

    fn the_level_of_the_log_holds_until_the_next_reload(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let upstream = Upstream::plain(ferrule_tests::echo());
        let (mut gateway, _) = start(dir, driver, &upstream);
        let level = || json(dir, &["status"])["log"].clone();
        assert_eq!(level(), serde_json::json!({ "level": "debug", "configured": "debug" }));
        let set = |word: &str| ctl(dir, &["log-level", word]);
        let (code, out, _) = set("error");
        assert_eq!((code, out.contains("until the next reload")), (Some(0), true), "{out}");
        assert_eq!(level()["level"], "error");
        assert!(ctl(dir, &["status"]).1.contains("log level: error until the next reload"));
        assert_eq!(set("info").0, Some(0));
        let said = || gateway.log().contains("level=\"info\"").then_some(());
        assert!(poll(PATIENCE, said).is_some(), "{}", gateway.log());
        // Also of the one that would not be written at its own level.
        assert!(gateway.log().contains("level=\"error\""), "{}", gateway.log());
        assert_eq!(set("loud").0, Some(2), "a level that there is not");
        let unknown = json(dir, &["status"]);
        assert_eq!(unknown["log"]["level"], "info");

        // A file that is refused changes nothing.
        let written = fs::read_to_string(&gateway.file).expect("our own file");
        fs::write(&gateway.file, "nonsense = true\n").expect("our own file");
        assert_ne!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(level()["level"], "info");
        fs::write(&gateway.file, written).expect("our own file");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(level(), serde_json::json!({ "level": "debug", "configured": "debug" }));
    }

    fn logs_are_opened_again_on_request(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let upstream = Upstream::plain(ferrule_tests::echo());
        let (gateway, _) = start(dir, driver, &upstream);
        let log = dir.join("access.log");
        fs::rename(&log, dir.join("access.log.1")).expect("the log");
        // Held by its name no more; until it is opened again, lines go to the old one.
        assert_eq!(ctl(dir, &["reopen-logs"]).0, Some(0));
        let anew = poll(PATIENCE, || {
            assert_eq!(raw::plain_get(gateway.port("plain"), "x", "/").status(), 200);
            fs::metadata(&log).is_ok_and(|found| found.len() > 0).then_some(())
        });
        assert!(anew.is_some(), "{}", gateway.log());
    }
}
