//! The `load` program against upstreams whose every answer is known.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tools::clock::{PATIENCE, now, poll};
use ferrule_tools::pki::Authority;
use ferrule_tools::tls;
use ferrule_tools::upstream::{Script, Upstream};
use serde_json::Value;

/// Answers every request with two bytes.
fn answering() -> Script {
    Arc::new(|client| {
        while client.request().is_some() {
            if !client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
                return;
            }
        }
    })
}

fn command(words: &str, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    let (job, rest) = words.split_once(' ').unwrap_or((words, ""));
    command.arg(job).args(["--connect", &format!("127.0.0.1:{port}")]);
    command.args(rest.split_whitespace());
    command
}

/// Runs it to its end: how it ended, its result, and what it said on stderr.
fn load(words: &str, port: u16) -> (ExitStatus, Value, String) {
    let done = command(words, port).output().expect("the program");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let told = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
    (done.status, told, said)
}

fn number(told: &Value, path: &str) -> u64 {
    told.pointer(path).and_then(Value::as_u64).expect(path)
}

#[test]
fn a_rate_is_kept() {
    let upstream = Upstream::plain(answering());
    let (status, told, said) = load("get --rate 200 --seconds 1 --connections 5", upstream.port);
    assert!(status.success(), "{said}");
    assert_eq!((number(&told, "/requests"), number(&told, "/errors")), (200, 0));
    assert_eq!((number(&told, "/connections"), number(&told, "/bytes")), (5, 400));
    // The first on each connection comes before the clock starts.
    assert_eq!((upstream.accepted(), upstream.seen().len()), (5, 205));
    // Every connection had its share: the one that rested longest is next.
    for connection in 0..5 {
        let seen = upstream.seen();
        let own = seen.iter().filter(|request| request.connection == connection).count();
        assert!((21..=61).contains(&own), "{own} of 205");
    }
}

/// One stall of 200 ms is one slow request of a closed loop; at a rate it is charged for all that
/// were due meanwhile, 100 of 500, each waiting less than the one before.
#[test]
fn a_stall_is_charged_for_all_that_it_kept_waiting() {
    const STALL: Duration = Duration::from_millis(200);
    let script: Script = Arc::new(|client| {
        let mut count = 0;
        while client.request().is_some() {
            count += 1;
            if count == 100 {
                let end = now() + STALL;
                while now() < end {
                    thread::park_timeout(end.saturating_duration_since(now()));
                }
            }
            if !client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {
                return;
            }
        }
    });
    let upstream = Upstream::plain(Arc::clone(&script));
    let open = "get --rate 500 --seconds 1 --connections 1 --threads 1";
    let (_, told, said) = load(open, upstream.port);
    assert_eq!((number(&told, "/requests"), said.as_str()), (500, ""));
    // A fifth was due in the stall; the median of those waited for half of it.
    assert!(number(&told, "/latency_us/max") >= 200_000, "{told}");
    assert!(number(&told, "/latency_us/p99") >= 180_000, "{told}");
    assert!(number(&told, "/latency_us/p90") >= 90_000, "{told}");
    let upstream = Upstream::plain(script);
    let closed = "get --seconds 1 --connections 1 --threads 1";
    let (_, told, said) = load(closed, upstream.port);
    assert!(number(&told, "/requests") > 300, "{told} {said}");
    assert!(number(&told, "/latency_us/max") >= 200_000, "{told}");
    assert!(number(&told, "/latency_us/p99") < 100_000, "{told}");
}

#[test]
fn an_upload_arrives_whole() {
    let upstream = Upstream::plain(answering());
    let words = "upload --body 300001 --seconds 1 --connections 2 --path /up?x=1";
    let (status, told, said) = load(words, upstream.port);
    assert!(status.success(), "{said}");
    let seen = upstream.seen();
    assert!(seen.len() >= 4, "{told}");
    // The first on each connection comes before the clock starts.
    assert_eq!(number(&told, "/requests") + 2, u64::try_from(seen.len()).expect("a few"));
    assert_eq!(number(&told, "/bytes"), 300_001 * number(&told, "/requests"));
    for request in seen {
        let (head, body) = (&request.message.head, &request.message.body);
        assert_eq!((head.method(), head.target()), ("POST", "/up?x=1"));
        assert_eq!((body.len(), body.first(), body.last()), (300_001, Some(&b'0'), Some(&b'W')));
        assert!(body.windows(65).step_by(64).all(|piece| piece.first() == piece.last()));
    }
}

#[test]
fn handshakes_are_full_and_sessions_are_resumed() {
    let scratch = tempfile::tempdir().expect("a directory");
    let dir = scratch.path();
    let authority = Authority::new("ca");
    fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.client("me").write(dir, "me");
    let server = tls::server(&authority.server(&["a.test"]), Some(&authority.cert_pem));
    let closing: Script = Arc::new(|client| {
        assert!(client.certificate.is_some(), "a client certificate");
        client.request();
        client.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    let upstream = Upstream::tls(server, closing);
    let file = |name: &str| dir.join(name).display().to_string();
    let secrets = format!(
        "--tls --ca {} --cert {} --key {} --name a.test --seconds 1 --connections 4",
        file("ca.crt"),
        file("me.crt"),
        file("me.key")
    );
    for (job, resumed) in [("handshakes", false), ("resumed", true), ("resumed --tls12", true)] {
        let (status, told, said) = load(&format!("{job} {secrets}"), upstream.port);
        assert!(status.success(), "{job}: {said}");
        let requests = number(&told, "/requests");
        let expected = if resumed { (0, requests) } else { (requests, 0) };
        let found = (number(&told, "/full_handshakes"), number(&told, "/resumed_handshakes"));
        assert_eq!(found, expected, "{job}: {told}");
        assert!(requests > 4 && number(&told, "/connections") == requests, "{job}: {told}");
    }
    // Another authority's server is not believed, and a server that wants a certificate gets none.
    fs::write(dir.join("other.crt"), &Authority::new("other").cert_pem).expect("writable");
    let other = format!("get --tls --ca {} --name a.test --seconds 1", file("other.crt"));
    for (words, reason) in [
        (other.as_str(), "invalid peer certificate"),
        ("get --tls --name a.test --seconds 1", "CertificateRequired"),
    ] {
        let (status, told, said) = load(words, upstream.port);
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(said.contains(reason) && number(&told, "/errors") > 0, "{said}");
        assert_eq!(number(&told, "/requests"), 0);
    }
}

/// A server that keeps no session: what was to be resumed is counted as the full handshake it was.
#[test]
fn a_refused_session_is_a_full_handshake() {
    let authority = Authority::new("ca");
    let server = tls::server(&authority.server(&["a.test"]), None);
    let mut server = Arc::unwrap_or_clone(server);
    server.send_tls13_tickets = 0;
    let upstream = Upstream::tls(Arc::new(server), answering());
    let words = "resumed --tls --name a.test --seconds 1 --connections 2";
    let (status, told, said) = load(words, upstream.port);
    assert!(status.success(), "{said}");
    assert_eq!(number(&told, "/resumed_handshakes"), 0, "{told}");
    assert_eq!(number(&told, "/full_handshakes"), number(&told, "/requests"), "{told}");
}

/// 200 are held; the server then ends 30 of them.
#[test]
fn idle_connections_are_held_and_the_cut_ones_told() {
    let cut = Arc::new(AtomicBool::new(false));
    let gone = Arc::new(AtomicUsize::new(0));
    let (order, done) = (Arc::clone(&cut), Arc::clone(&gone));
    let script: Script = Arc::new(move |client| {
        while client.request().is_some() {
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if client.number < 30 {
                poll(PATIENCE, || order.load(Ordering::SeqCst).then_some(()));
                // Counted once the stream is dropped by the caller, or a moment before.
                done.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    });
    let upstream = Upstream::plain(script);
    let mut command = command("idle --connections 200", upstream.port);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let mut out = BufReader::new(child.stdout.take().expect("its stdout"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!((line.as_str(), upstream.accepted()), ("ready\n", 200));
    cut.store(true, Ordering::SeqCst);
    poll(PATIENCE, || (gone.load(Ordering::SeqCst) == 30).then_some(())).expect("30 are cut");
    drop(child.stdin.take());
    let mut told = String::new();
    out.read_to_string(&mut told).expect("its result");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((number(&told, "/held"), number(&told, "/alive")), (200, 170), "{told}");
    assert_eq!((number(&told, "/requests"), number(&told, "/errors")), (370, 30), "{told}");
    let mut said = String::new();
    let mut error = child.stderr.take().expect("its stderr");
    error.read_to_string(&mut said).expect("its complaints");
    assert_eq!(said, "load: 30 x cut while idle\n");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
}

#[test]
fn what_is_not_an_answer_is_an_error_of_its_kind() {
    let refusing: Script = Arc::new(|client| {
        client.request();
        client.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        client.request();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    });
    let upstream = Upstream::plain(refusing);
    let (status, told, said) = load("get --seconds 1 --connections 1", upstream.port);
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(" x status 503\n"), "{said}");
    assert!(said.contains(" x closed inside the response\n"), "{said}");
    assert_eq!(number(&told, "/requests"), 0, "{told}");
    let kinds = told.pointer("/errors_by_kind").and_then(Value::as_object).expect("kinds");
    let sum: u64 = kinds.values().filter_map(Value::as_u64).sum();
    assert_eq!(sum, number(&told, "/errors"), "{told}");
}

#[test]
fn results_are_written_to_files() {
    let scratch = tempfile::tempdir().expect("a directory");
    let (json, hdr) = (scratch.path().join("r.json"), scratch.path().join("r.hgrm"));
    let upstream = Upstream::plain(answering());
    let files = format!("--json {} --hdr {}", json.display(), hdr.display());
    let words = format!("get --rate 100 --seconds 1 --connections 2 {files}");
    let (_, told, said) = load(&words, upstream.port);
    let written = fs::read(&json).expect("the result");
    assert_eq!(serde_json::from_slice::<Value>(&written).expect("JSON"), told, "{said}");
    let curve = fs::read_to_string(hdr).expect("the percentiles");
    assert!(curve.contains("Percentile TotalCount 1/(1-Percentile)"), "{curve}");
    assert!(curve.contains("1.000000000000        100\n"), "{curve}");
}

#[test]
fn a_line_that_would_be_ignored_is_refused() {
    for words in [
        "get --body 5",
        "upload",
        "get --tls12",
        "get --tls --cert x",
        "handshakes",
        "idle --rate 5",
        "get --rate 0",
        "get --rate x",
        "get --unknown",
        "strange",
    ] {
        let (status, _, said) = load(words, 1);
        assert_eq!(status.code(), Some(2), "{words}");
        assert!(said.contains("usage: load KIND"), "{words}: {said}");
    }
}
