//! Log lines are what their format says, whatever a peer sends; and each is written, or counted as lost.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::Signal;
use serde_json::{Value, json};

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch,
};

use crate::{PLAIN, write_ca};

const METRICS: &str = "\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

/// A gateway with this access log, and metrics.
fn gateway(dir: &Path, driver: Driver, upstream: &Upstream, access: &str) -> Gateway {
    Setup::new(dir, driver, &format!("{PLAIN}{METRICS}"))
        .quiet()
        .log_line(&format!("access = {{ path = \"access.log\", {access} }}"))
        .set("upstream", &upstream.port)
        .start()
}

/// How many lines a log has lost for this reason.
fn lost(gateway: &Gateway, log: &str, reason: &str) -> u64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    let labels = [("log", log), ("reason", reason)];
    let sum = Exposition::read(&answer.text()).sum("ferrule_log_lines_dropped_total", &labels);
    format!("{sum}").parse().expect("a count")
}

fn send(gateway: &Gateway, count: usize) {
    let mut raw = raw::plain(gateway.port("front"));
    for _ in 0..count {
        assert_eq!(raw::get(&mut raw, "x", "/").status(), 200);
    }
}

fn occurrences(gateway: &Gateway, text: &str) -> usize {
    gateway.log().matches(text).count()
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(poll(PATIENCE, || condition().then_some(())).is_some(), "not in time: {what}");
}

/// The reading end of the access log, which is a pipe.
struct Pipe {
    path: PathBuf,
    end: File,
    got: Vec<u8>,
}

impl Pipe {
    fn new(dir: &Path) -> Self {
        let path = dir.join("access.log");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        Self::open(&path)
    }

    fn open(path: &Path) -> Self {
        // A child must not keep it open.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let end = rustix::fs::open(path, flags, Mode::empty()).expect("our own FIFO");
        Self { path: path.to_owned(), end: File::from(end), got: Vec::new() }
    }

    /// Reads what is there. How many lines are there by now?
    fn lines(&mut self) -> usize {
        let mut piece = vec![0; 65_536];
        while let Ok(count) = self.end.read(&mut piece)
            && count > 0
        {
            self.got.extend_from_slice(&piece[..count]);
        }
        self.got.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Closes the pipe, and opens it again.
    fn reopen(self) -> Self {
        let Self { path, end, .. } = self;
        drop(end);
        Self::open(&path)
    }
}

/// Every kind of value in every kind of place.
const OWN_JSON: &str = r#"{
    "s": $status, "a": "$http_x_odd", "b": $http_x_odd, "c": "<$http_x_odd>", "u": $request_uri,
    "none": $http_x_none, "empty": "$http_x_none", "ms": $request_time_ms, "time": $request_time,
    "up": $upstream_response_time, "up_ms": $upstream_response_time_ms, "list": [$msec, $remote_port]
}"#;

on_both_drivers! {
    /// Every byte that a field may hold.
    fn own_json_is_json_whatever_a_request_holds(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let access = format!("escape = \"json\", format = '''{OWN_JSON}'''");
        let gateway = gateway(scratch.path(), driver, &upstream, &access);
        let printable = (b'!'..=b'~').chain([b'\t', b' ']).chain(0x80..=0xff);
        let odd: Vec<u8> = printable.chain("\u{e9}\u{2603}".bytes()).collect();
        let mut raw = raw::plain(gateway.port("front"));
        let head = [b"GET / HTTP/1.1\r\nHost: x\r\nX-Odd: ", &odd[..], b"\r\n\r\n"].concat();
        raw.send(&head).expect("a connection");
        assert_eq!(raw.response("GET").expect("an answer").status(), 200);
        let bad = b"GET /a?\"b\\c HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n";
        let (refused, _) = raw::exchange(gateway.port("front"), bad);
        let path = scratch.path().join("access.log");
        wait_for("two lines", || fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2));
        let text = fs::read_to_string(&path).expect("the log is UTF-8");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let seen = String::from_utf8_lossy(&odd);
        let first = &lines[0];
        assert_eq!((&first["s"], &first["a"], &first["b"]), (&json!(200), &json!(seen), &json!(seen)));
        assert_eq!((&first["c"], &first["u"]), (&json!(format!("<{seen}>")), &json!("/")));
        assert_eq!((&first["none"], &first["empty"]), (&Value::Null, &json!("")));
        for number in ["ms", "up_ms", "time", "up"] {
            assert!(first[number].is_number(), "{number}: {first}");
        }
        assert!(first["list"][0].is_f64() && first["list"][1].is_u64(), "{first}");
        let second = &lines[1];
        assert_eq!(second["s"], json!(refused.status()));
        assert_eq!((&second["up"], &second["up_ms"], &second["b"]), (&Value::Null, &Value::Null, &Value::Null));
    }

    /// From the first line to the last, each line is an object with its fields apart.
    fn errors_can_be_json(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let text = format!(
            "{}\n[[ssls]]\nsni = \"a.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\n\
             client = {{ ca = \"ca.crt\", reject = \"handshake\" }}\n",
            PLAIN.replace("@front@\"", "@front@\"\ntls = true")
        );
        let mut gateway =
            Setup::new(dir, driver, &text).json_errors().set("upstream", &upstream.port).start();
        let stranger = Authority::new("other").client("x\" sni=\"forged");
        drop(Dial::as_client("a.test", &stranger).get(gateway.port("front"), "a.test", "/"));
        wait_for("the failure", || gateway.log().contains("\"subject\""));
        assert_eq!(gateway.reload("x = \"=\\u001b\"\n"), Reloaded::Refused);
        gateway.stop();
        let log = gateway.log();
        let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        let is_ours = |line: &Value| line["fields"]["subject"].is_string();
        let failure = lines.find(is_ours).expect("told");
        assert_eq!(failure["message"], "a TLS handshake failed");
        let fields = &failure["fields"];
        assert_eq!((&failure["level"], &fields["sni"]), (&json!("info"), &json!("a.test")));
        assert!(fields["subject"].as_str().is_some_and(|name| name.contains("sni=")), "{failure}");
        assert!(fields["suppressed"].is_u64(), "{failure}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let members: Vec<&String> = line.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["fields", "level", "message", "time"]);
            let time = line["time"].as_str().expect("text");
            assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
        }
    }

    /// A pipe whose reader is gone: each line is counted, it is told once, and it goes on by itself.
    fn lines_for_a_pipe_without_a_reader_are_counted(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut pipe = Pipe::new(scratch.path());
        let gateway = gateway(scratch.path(), driver, &upstream, "format = '$uri'");
        send(&gateway, 3);
        wait_for("three lines", || pipe.lines() == 3);
        let path = pipe.path.clone();
        drop(pipe);
        send(&gateway, 50);
        wait_for("50 lost lines", || lost(&gateway, "access", "write_failed") == 50);
        send(&gateway, 7);
        wait_for("57 lost lines", || lost(&gateway, "access", "write_failed") == 57);
        let mut pipe = Pipe::open(&path);
        send(&gateway, 4);
        wait_for("four lines", || pipe.lines() == 4);
        wait_for("that this is told", || gateway.log().contains("written again; 57 lines are lost"));
        assert_eq!(pipe.got, b"/\n/\n/\n/\n");
        assert_eq!(occurrences(&gateway, "the access log cannot be written"), 1, "{}", gateway.log());
        assert_eq!(lost(&gateway, "access", "write_failed"), 57);
        assert_eq!(lost(&gateway, "access", "buffer_full"), 0);
        drop(pipe.reopen());
    }

    /// A pipe whose reader pauses: requests and the error log go on; what does not fit is counted.
    fn lines_for_a_reader_that_pauses_wait_or_are_counted(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut pipe = Pipe::new(scratch.path());
        let line = format!("200 {}", "x".repeat(9_000));
        let access = format!("format = '{}'", line.replace("200", "$status"));
        let mut gateway = gateway(scratch.path(), driver, &upstream, &access);
        send(&gateway, 400);
        wait_for("lost lines", || lost(&gateway, "access", "buffer_full") > 0);
        wait_for("that it is told", || gateway.log().contains("nobody reads the access log"));
        // The error log does not wait.
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        send(&gateway, 100);
        wait_for("the others", || pipe.lines() as u64 + lost(&gateway, "access", "buffer_full") == 500);
        wait_for("that this is told", || gateway.log().contains("the access log is written again"));
        send(&gateway, 2);
        let lost_lines = lost(&gateway, "access", "buffer_full");
        wait_for("two more", || pipe.lines() as u64 + lost_lines == 502);
        assert!(pipe.got.split(|byte| *byte == b'\n').all(|one| one.is_empty() || one == line.as_bytes()));
        assert_eq!(lost(&gateway, "access", "write_failed"), 0);
        assert_eq!(occurrences(&gateway, "nobody reads the access log"), 1, "{}", gateway.log());
    }

    /// No room: what is written is whole lines, and the others are counted, until there is room again.
    fn lines_for_a_full_disk_are_counted(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let path = scratch.path().join("access.log");
        let line = format!("200 {} </>", "y".repeat(600));
        let access = format!("format = '{}'", line.replace("200", "$status").replace("</>", "<$request_uri>"));
        let gateway = gateway(scratch.path(), driver, &upstream, &access);
        let limit = |bytes: &str| {
            let process = format!("--pid={}", gateway.process.id());
            let done = Command::new("prlimit").args([process, format!("--fsize={bytes}:")]).status();
            assert!(done.expect("prlimit").success());
        };
        limit("30011");
        send(&gateway, 100);
        wait_for("lost lines", || lost(&gateway, "access", "write_failed") == 50);
        limit("unlimited");
        send(&gateway, 20);
        wait_for("that it is written again", || gateway.log().contains("the access log is written again"));
        let text = fs::read_to_string(&path).expect("the log");
        assert_eq!(text.lines().count() as u64 + lost(&gateway, "access", "write_failed"), 120);
        assert!(text.lines().all(|one| one == line) && text.ends_with('\n'), "a line is torn");
        assert_eq!(occurrences(&gateway, "the access log cannot be written"), 1, "{}", gateway.log());
        assert_eq!(occurrences(&gateway, "written again; 50 lines are lost"), 1, "{}", gateway.log());
    }

    /// The same of the error log: what it loses is counted, and told of once that is possible.
    fn diagnostics_for_a_pipe_without_a_reader_are_counted(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let pipe = Pipe::new(scratch.path());
        let gateway = Setup::new(scratch.path(), driver, &format!("{PLAIN}{METRICS}"))
            .quiet()
            .set("upstream", &upstream.port)
            .start();
        let text = fs::read_to_string(&gateway.file).expect("the file we wrote");
        let text = text.replace("path = \"stderr\"", "path = \"access.log\"");
        fs::write(&gateway.file, text).expect("a writable directory");
        gateway.process.signal(Signal::HUP);
        let mut pipe = pipe;
        wait_for("the new log", || pipe.lines() > 0);
        let path = pipe.path.clone();
        drop(pipe);
        gateway.process.signal(Signal::HUP);
        wait_for("a lost line", || lost(&gateway, "error", "write_failed") > 0);
        let mut pipe = Pipe::open(&path);
        gateway.process.signal(Signal::USR1);
        wait_for("that it is written again", || {
            pipe.lines();
            String::from_utf8_lossy(&pipe.got).contains("the error log is written again; ")
        });
        assert!(String::from_utf8_lossy(&pipe.got).contains("lines are lost\n"));
    }
}
