//! On warm connections a request allocates nothing in our code.
//!
//! A whole data core runs in this process, started as `main` starts it, with a counting allocator
//! around it. Plaintext and TLS 1.3: nothing at all. With rustls's own record layer: only what it
//! allocates for each record, counted and bounded. Each case is a process of its own, because the control thread is set up once in a process.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

#[expect(unsafe_code, reason = "a global allocator cannot be had without")]
mod counting;

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ferrule_engine::control::run::boot::Boot;
use ferrule_engine::shell::{self, Settings, Workers};
use ferrule_tests::{
    Authority, Dial, PATIENCE, Raw, Script, Upstream, free_port, now, poll, raw, scratch, tls,
};

use counting::{Counting, allocated, not_a_core, started_here_are_cores};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Names the case for the process that runs it.
const CASE: &str = "FERRULE_NO_ALLOC_CASE";

/// Enough for every buffer, table and ticket to be where it stays.
const WARM_UP: u64 = 300;
const REQUESTS: u64 = 2_000;

/// rustls: one for each record, two of them read and two written.
const TLS_ALLOCATIONS_MAX: u64 = 4;

#[test]
fn plaintext_on_io_uring_allocates_nothing() {
    in_own_process("plain io_uring");
}

#[test]
fn plaintext_on_epoll_allocates_nothing() {
    in_own_process("plain epoll");
}

#[test]
fn tls_on_io_uring_allocates_nothing() {
    in_own_process("tls io_uring");
}

#[test]
fn tls_on_epoll_allocates_nothing() {
    in_own_process("tls epoll");
}

#[test]
fn tls_without_the_fast_path_allocates_only_in_rustls() {
    in_own_process("rustls io_uring");
    in_own_process("rustls epoll");
}

/// What is sent and what is answered are other heads than those that came.
#[test]
fn a_policy_allocates_nothing() {
    in_own_process("shaped io_uring");
    in_own_process("shaped epoll");
}

/// Limits that do not bind: each is asked for every request.
#[test]
fn limits_allocate_nothing() {
    in_own_process("limited io_uring");
    in_own_process("limited epoll");
}

/// Each request tells another address of its client: what was rendered of that is rendered again.
#[test]
fn addresses_that_change_allocate_nothing() {
    in_own_process("told io_uring");
    in_own_process("told epoll");
}

fn in_own_process(case: &str) {
    let own = std::env::current_exe().expect("our own path");
    let done = Command::new(own)
        .args(["--exact", "the_case_named_by_the_environment", "--nocapture"])
        .env(CASE, case)
        .output()
        .expect("ourselves");
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(done.status.success() && text.contains("allocations per request"), "{case}:\n{text}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how the parent process says which case is meant")]
fn the_case_named_by_the_environment() {
    let Ok(case) = std::env::var(CASE) else { return };
    not_a_core();
    let (kind, driver) = case.split_once(' ').expect("two words");
    let found = measure(kind, driver);
    let Found { requests, background } = found;
    let each = requests.saturating_sub(background).div_ceil(REQUESTS);
    let note = format!(
        "{case}: {requests} allocations in {REQUESTS} requests, {background} of them the clock's: at most \
         {each} allocations per request"
    );
    let bound = if kind == "rustls" { TLS_ALLOCATIONS_MAX } else { 0 };
    assert!(each <= bound, "{note}");
    // The parent looks for it; a case that did not run must not pass.
    io::Write::write_all(&mut io::stdout(), note.as_bytes()).expect("standard output");
}

/// What the core allocated.
struct Found {
    /// In all measured requests together.
    requests: u64,
    /// What it would have allocated in that time without any request: the runtime's timers tick.
    background: u64,
}

/// Watched without a request, to know what ticks.
const IDLE: Duration = Duration::from_secs(1);

fn measure(kind: &str, driver: &str) -> Found {
    let scratch = scratch();
    let front = free_port();
    let (upstream, client) = around(scratch.path(), !is_plain(kind));
    let file = scratch.path().join("ferrule.toml");
    fs::write(&file, config(kind, driver, front, upstream.port)).expect("a writable directory");
    let _worker = start_worker(&file);
    let mut connection = match client {
        Some(dial) => dial.connect(front).expect("a handshake"),
        None => raw::plain(front),
    };
    let status = if kind == "shaped" { 203 } else { 200 };
    for number in 0..WARM_UP {
        request(&mut connection, kind, status, number);
    }
    let (start, _) = allocated();
    assert!(poll(IDLE, || None::<()>).is_none());
    let (before, bytes) = allocated();
    let begun = now();
    for number in 0..REQUESTS {
        request(&mut connection, kind, status, number);
    }
    let time = begun.elapsed();
    let (after, more) = allocated();
    assert_eq!(upstream.accepted(), 1, "one warm upstream connection");
    assert!(before > 0 && bytes > 0, "a core that never allocated was not counted");
    assert!(after == before || more > bytes);
    // Twice, because ticks are few and the two stretches do not start on one; a single allocation of
    // each request would be thousands.
    let ticks = u128::from(before - start) * time.as_millis() * 2 / IDLE.as_millis();
    let background = u64::try_from(ticks).expect("a few") + 2;
    Found { requests: after - before, background }
}

fn request(connection: &mut Raw, kind: &str, status: u16, number: u64) {
    let field = match number % 4 {
        _ if kind != "told" => String::new(),
        0 => String::new(),
        1 => format!("X-Forwarded-For: 127.{0}.{0}.{0}\r\n", number % 200),
        _ => format!("X-Forwarded-For: 1.1.1.1, 127.0.0.9:{}\r\n", 1 + number % 60_000),
    };
    let head = format!("GET /path?query HTTP/1.1\r\nHost: a.test\r\n{field}\r\n");
    connection.send(head.as_bytes()).expect("a connection that takes a request");
    let answer = connection.response("GET").expect("a response");
    assert_eq!(answer.status(), status, "{answer:?}");
}

/// The upstream, and the client if it speaks TLS.
fn around(dir: &Path, over_tls: bool) -> (Upstream, Option<Dial>) {
    let script: Script = Arc::new(|client| {
        not_a_core();
        while client.request().is_some() && client.answer(b"ok") {}
    });
    if !over_tls {
        return (Upstream::plain(script), None);
    }
    let authority = Authority::new("ca");
    fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.server(&["a.test"]).write(dir, "server");
    authority.client("proxy").write(dir, "proxy");
    let leaf = authority.server(&["up.test"]);
    let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), script);
    (upstream, Some(Dial::as_client("a.test", &authority.client("me"))))
}

/// Without TLS?
fn is_plain(kind: &str) -> bool {
    matches!(kind, "plain" | "limited" | "shaped")
}

const LIMITS: &str = "limits.requests = [\
    { count = 1000000000, window = \"1h\", key = \"$remote_addr $host\" }, \
    { count = 1000000000, window = \"1s\", window_type = \"sliding\", key = \"$remote_port\" }]\n\
    limits.rate = { rate = 1000000, burst = 100000, nodelay = true, key = \"$remote_addr\" }\n\
    limits.connections = { connections = 10, burst = 5, delay = \"1s\", key = \"$remote_addr\" }\n";

const TELLS: &str =
    "real_ip = { source = \"http_x_forwarded_for\", trusted_addresses = [\"127.0.0.1\"] }\n";

const SHAPES: &str = "rewrite = { uri = \"/new$uri\", host = \"up.test\" }\n\
    cors = { allow_origins = \"https://a.test\" }\n\
    refuse = { vars = [[\"http_x_bad\", \"==\", \"1\"]] }\n\
    traffic_split = { vars = [[\"arg_canary\", \"==\", \"1\"]], weighted_upstreams = [{ weight = 1 }] }\n\
    response = [{ status = 203, headers = { set = { X-Status = \"$status $uri\" }, remove = [\"Server\"] } }, \
    { headers = { add = { X-Id = [\"1\", \"2\"] } } }]\n";

fn config(kind: &str, driver: &str, front: u16, upstream: u16) -> String {
    let fast = kind != "rustls";
    let policy = match kind {
        "limited" => LIMITS,
        "shaped" => SHAPES,
        _ => "",
    };
    let http = if kind == "told" { TELLS } else { "" };
    let (listen, ssls, to) = if is_plain(kind) {
        ("", "", "")
    } else {
        (
            "tls = true",
            "[[ssls]]\nsni = \"a.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\n\
             client.ca = \"ca.crt\"\nclient.skip_mtls_uri_regex = [\"^/healthz$\"]\n\
             client.deny = [\"CN=somebody else\"]\n\
             [[global_rules]]\nclient = { ca = \"ca.crt\", allow = [\"CN=me\"] }\n",
            "upstream.scheme = \"https\"\nupstream.tls = { client_cert = \"proxy.crt\", client_key = \
             \"proxy.key\", ca = \"ca.crt\", server_name = \"up.test\" }\n",
        )
    };
    format!(
        "[runtime]\nworkers = 1\ncpu_affinity = false\nring_entries = 256\nio_driver = \"{driver}\"\n\
         tls_fast_path = {fast}\n\
         [http]\nkeepalive_requests = 1000000\n{http}\
         [identity_headers]\nX-Dn = \"$ssl_client_s_dn\"\nX-Remain = \"$ssl_client_v_remain\"\n\
         xfcc = \"append_forward\"\n\
         [log]\nerror = \"stderr\"\naccess = {{ path = \"access.log\", format = \"json\" }}\n\
         [[listen]]\naddress = \"127.0.0.1:{front}\"\n{listen}\n{ssls}\
         [[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:9\" = 1 }}\n\
         vars = [[\"uri\", \"~~\", \"^/path/\\\\d+$\"]]\n\
         [[routes]]\nuri = \"/*\"\nremote_addrs = [\"127.0.0.0/8\"]\n\
         vars = [[\"arg_x\", \"!\", \"==\", \"a b\"], [\"OR\", [\"cookie_a\", \"in\", [\"1\"]], \
         [\"http_host\", \"~*\", \"^A[.]test$\"]]]\nheaders.set = {{ X-Uri = \"$uri\", X-Addr = \"$remote_addr\" }}\n\
         upstream.nodes = {{ \"127.0.0.1:{upstream}\" = 1 }}\n\
         upstream.keepalive_pool = {{ requests = 1000000 }}\n{to}{policy}"
    )
}

/// One data core on this configuration, started as `main` starts them.
fn start_worker(file: &Path) -> Workers {
    let mut boot = Boot::prepare(file).expect("a good configuration");
    let settings = Settings {
        io_driver: boot.runtime().io_driver,
        ring_entries: boot.runtime().ring_entries,
        cores: boot.cores().to_vec(),
        max_connections_per_core: boot.max_connections_per_core(),
        tls_fast_path: boot.runtime().tls_fast_path,
        buffer_bytes_per_core: boot.buffer_bytes_per_core(),
    };
    let (links, logs) = (boot.links().to_vec(), boot.take_logs());
    let workers = started_here_are_cores(|| {
        let workers = shell::start(&settings, links.clone(), logs).expect("a core that starts");
        let ready = || links.iter().all(|link| link.seen_generation() > 0).then_some(());
        poll(PATIENCE, ready).expect("a core that listens");
        workers
    });
    // Control's threads live as long as this process.
    Box::leak(Box::new(boot));
    workers
}
