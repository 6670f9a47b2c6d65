//! How many connections a node has, all cores together, and who waits for one (docs/queue.md).
#![expect(clippy::print_stdout, reason = "the times are for people")]

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Raw, Reloaded, Script, Setup, Upstream, echo, free_port, now,
    on_both_drivers, poll, raw, scratch,
};
use ferrule_tools::http::Conversation;
use rustix::net::{RecvFlags, recv};
use serde_json::Value;

use crate::observe::ctl;
use crate::tunnel;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[routes]]
uri = "/*"
enable_websocket = true
upstream_id = "far"

[[upstreams]]
id = "far"
"#;

const LOG: &str = r#"access = { path = "access.log", format = "$request_uri $status $outcome $upstream_queue_time $upstream_addr" }"#;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// So many cores share the nodes.
fn setup(dir: &Path, driver: Driver, workers: u32, lines: &str) -> Setup {
    let runtime = format!("workers = {workers}\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
    Setup::new(dir, driver, &format!("{CONFIG}{lines}")).runtime(&runtime).log_line(LOG)
}

fn nodes(ports: &[u16]) -> String {
    let nodes: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\" = 1")).collect();
    format!("nodes = {{ {} }}\n", nodes.join(", "))
}

/// Answers when it is told to.
fn held(go: &Arc<AtomicBool>) -> Script {
    let go = Arc::clone(go);
    Arc::new(move |client| {
        while client.request().is_some() {
            poll(PATIENCE, || go.load(Ordering::SeqCst).then_some(()));
            if !client.answer(b"yes") {
                return;
            }
        }
    })
}

/// A client whose request is on its way.
fn ask(gateway: &Gateway) -> Raw {
    let mut client = raw::plain(gateway.port("front"));
    client.send(GET).expect("a gateway");
    client
}

fn status(client: &mut Raw) -> u16 {
    client.response("GET").expect("an answer").status()
}

fn until(is: impl Fn() -> bool) -> bool {
    poll(PATIENCE, || is().then_some(())).is_some()
}

fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum(name, labels)
}

fn refused(gateway: &Gateway, reason: &str) -> f64 {
    metric(gateway, "ferrule_refusals_total", &[("reason", reason)])
}

/// Waits until so many requests wait.
fn waiting(gateway: &Gateway, wanted: f64) -> bool {
    let labels = [("upstream", "far")];
    until(|| (metric(gateway, "ferrule_upstream_waiting", &labels) - wanted).abs() < 0.1)
}

/// The upstream, as `ctl upstreams` has it.
fn upstream_of(dir: &Path) -> Value {
    let (code, out, error) = ctl(dir, &["--json", "upstreams"]);
    assert_eq!(code, Some(0), "{error}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    answer["upstreams"][0].clone()
}

fn logged(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("access.log")).unwrap_or_default()
}

/// A node that counts the connections that are open whenever one is added. It takes a moment for each request.
struct CountingNode {
    port: u16,
    most: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl CountingNode {
    fn start(moment: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let counts = || Arc::new(AtomicUsize::new(0));
        let node = Self { port, most: counts(), answered: counts(), opened: counts() };
        let [most, answered, opened] = [&node.most, &node.answered, &node.opened].map(Arc::clone);
        thread::spawn(move || {
            let open = Mutex::new(Vec::<TcpStream>::new());
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                open.retain(is_open);
                open.push(stream.try_clone().expect("a descriptor"));
                most.fetch_max(open.len(), Ordering::SeqCst);
                opened.fetch_add(1, Ordering::SeqCst);
                let answered = Arc::clone(&answered);
                thread::spawn(move || serve(stream, moment, &answered));
            }
        });
        node
    }
}

/// Has the other end not closed it? It does so before it opens another one, so that this is seen by then.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0; 1];
    match recv(stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, count)) => count > 0,
        Err(error) => io::Error::from(error).kind() == io::ErrorKind::WouldBlock,
    }
}

fn serve(stream: TcpStream, moment: Duration, answered: &AtomicUsize) {
    let mut talk = Conversation::new(stream);
    while let Ok(Some(_)) = talk.request() {
        thread::park_timeout(moment);
        answered.fetch_add(1, Ordering::SeqCst);
        if talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// Many clients at a node that takes eight connections, from four cores. How long the slowest request took.
fn crowd(driver: Driver, clients: usize, requests: usize) -> Duration {
    let (scratch, node) = (scratch(), CountingNode::start(Duration::from_millis(1)));
    let lines = format!("{}max_connections = 8\nqueue.timeout = 60\n", nodes(&[node.port]));
    let gateway = setup(scratch.path(), driver, 4, &lines).start();
    let front = gateway.port("front");
    let began = now();
    let slowest = thread::scope(|scope| {
        let one = || {
            let mut line = raw::plain(front);
            let times = (0..requests).map(|_| {
                let asked = now();
                assert_eq!(raw::get(&mut line, "x", "/").status(), 200);
                asked.elapsed()
            });
            times.max().unwrap_or_default()
        };
        let mut all = Vec::new();
        all.extend((0..clients).map(|_| scope.spawn(one)));
        all.into_iter().map(|one| one.join().expect("a client")).max().unwrap_or_default()
    });
    let all = clients * requests;
    assert_eq!(node.answered.load(Ordering::SeqCst), all);
    assert_eq!(node.most.load(Ordering::SeqCst), 8, "the node has counted");
    let labels = [("upstream", "far")];
    let queued = |what: &str| {
        metric(&gateway, &format!("ferrule_upstream_queue_duration_seconds_{what}"), &labels)
    };
    let (count, sum) = (queued("count"), queued("sum"));
    assert!(count > 0.0, "somebody has waited");
    let refusals = refused(&gateway, "upstream-queue-full");
    assert!(refusals + refused(&gateway, "upstream-queue-timeout") < 0.1);
    assert!(waiting(&gateway, 0.0));
    println!(
        "{driver}: {all} requests in {:?} over {} connections; {count} waited, {:.1} ms on average; the slowest \
         took {slowest:?}",
        began.elapsed(),
        node.opened.load(Ordering::SeqCst),
        sum * 1e3 / count
    );
    slowest
}

on_both_drivers! {
    /// Nobody is refused, and nobody starves: each client has had all of its answers.
    fn a_node_never_has_more_connections_than_it_takes(driver) {
        assert!(crowd(driver, 48, 25) < PATIENCE);
    }

    /// One that finds the queue full is told at once; those that wait are answered in turn.
    fn a_full_queue_takes_nobody(driver) {
        for (lines, code) in [("", 503), (", status = 429", 429)] {
            let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
            let upstream = Upstream::plain(held(&go));
            let lines = format!("max_connections = 1\nqueue = {{ size = 1, timeout = 60{lines} }}\n");
            let lines = nodes(&[upstream.port]) + &lines;
            let gateway = setup(scratch.path(), driver, 1, &lines).start();
            let mut first = ask(&gateway);
            assert!(until(|| upstream.seen().len() == 1));
            let mut second = ask(&gateway);
            assert!(waiting(&gateway, 1.0));
            let shown = upstream_of(scratch.path());
            assert_eq!((&shown["waiting"], &shown["nodes"][0]["connections"]), (&1.into(), &1.into()));
            assert_eq!(shown["nodes"][0]["max_connections"], 1);
            let (_, table, _) = ctl(scratch.path(), &["upstreams"]);
            assert!(table.contains("; 1 requests wait for a connection") && table.contains(" 1/1 "), "{table}");
            let mut third = ask(&gateway);
            let answer = third.response("GET").expect("an answer");
            assert_eq!(answer.status(), code);
            // Its connection goes on.
            assert_eq!(third.send(GET).map(|()| status(&mut third)).expect("a line"), code);
            assert!(until(|| (refused(&gateway, "upstream-queue-full") - 2.0).abs() < 0.1));
            go.store(true, Ordering::SeqCst);
            assert_eq!((status(&mut first), status(&mut second)), (200, 200));
            assert_eq!((upstream.accepted(), upstream.seen().len()), (1, 2), "one after the other");
            assert!(until(|| logged(scratch.path()).lines().count() == 4), "{}", logged(scratch.path()));
            let log = logged(scratch.path());
            let address = format!("127.0.0.1:{}", upstream.port);
            let words = |outcome: &str| log.lines().filter(|line| line.contains(outcome)).count();
            assert_eq!(words(&format!("/ {code} upstream-queue-full - -")), 2, "{log}");
            assert_eq!(words(&format!("/ 200 ok - {address}")), 1, "{log}");
            assert_eq!(words("/ 200 ok 0.") + words("/ 200 ok 1"), 1, "{log}");
        }
    }

    /// Without a queue at all, and with one that does not wait for long.
    fn nobody_waits_longer_than_is_said(driver) {
        for (queue, word) in [
            ("{ size = 0 }", "upstream-queue-full"),
            ("{ timeout = '300ms' }", "upstream-queue-timeout"),
        ] {
            let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
            let upstream = Upstream::plain(held(&go));
            let lines = format!("{}max_connections = 1\nqueue = {queue}\n", nodes(&[upstream.port]));
            let gateway = setup(scratch.path(), driver, 1, &lines).start();
            let mut first = ask(&gateway);
            assert!(until(|| upstream.seen().len() == 1));
            assert_eq!(status(&mut ask(&gateway)), 503);
            assert!(until(|| (refused(&gateway, word) - 1.0).abs() < 0.1), "{word}");
            go.store(true, Ordering::SeqCst);
            assert_eq!(status(&mut first), 200);
            // It has a place again.
            assert_eq!(status(&mut ask(&gateway)), 200);
        }
    }

    /// What an exchange may take in all holds while it waits, too.
    fn the_time_of_an_exchange_ends_its_wait(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let upstream = Upstream::plain(held(&go));
        let brief = "[[routes]]\nuri = \"/brief\"\nupstream_id = \"far\"\ntimeout.total = '300ms'\n";
        let lines = format!("{}max_connections = 1\nqueue.timeout = 60\n{brief}", nodes(&[upstream.port]));
        let gateway = setup(scratch.path(), driver, 1, &lines).start();
        let mut first = ask(&gateway);
        assert!(until(|| upstream.seen().len() == 1));
        let answer = raw::plain_get(gateway.port("front"), "x", "/brief");
        assert_eq!(answer.status(), 504, "{}", gateway.log());
        assert!(until(|| (refused(&gateway, "total-timeout") - 1.0).abs() < 0.1));
        go.store(true, Ordering::SeqCst);
        assert_eq!(status(&mut first), 200);
        assert_eq!(upstream.seen().len(), 1, "it has waited here, and was never sent");
    }

    /// Whatever a node takes of connections, it gets no more requests than it takes of those.
    fn requests_are_limited_like_connections(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let upstream = Upstream::plain(held(&go));
        let lines = "max_connections = 9\nmax_requests = 2\nqueue.timeout = 60\n";
        let gateway = setup(scratch.path(), driver, 2, &(nodes(&[upstream.port]) + lines)).start();
        let mut clients: Vec<_> = (0..5).map(|_| ask(&gateway)).collect();
        assert!(waiting(&gateway, 3.0) && until(|| upstream.seen().len() == 2));
        assert_eq!(upstream_of(scratch.path())["nodes"][0]["max_connections"], 2);
        go.store(true, Ordering::SeqCst);
        assert!(clients.iter_mut().all(|client| status(client) == 200));
    }

    /// A client that leaves makes room in the queue, and its request is never sent.
    fn a_client_that_leaves_waits_no_longer(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let upstream = Upstream::plain(held(&go));
        let lines = "max_connections = 1\nqueue = { size = 1, timeout = 60 }\n";
        let lines = nodes(&[upstream.port]) + lines;
        let gateway = setup(scratch.path(), driver, 1, &lines).start();
        let mut first = ask(&gateway);
        assert!(until(|| upstream.seen().len() == 1));
        let second = ask(&gateway);
        assert!(waiting(&gateway, 1.0));
        drop(second);
        assert!(waiting(&gateway, 0.0));
        let mut third = ask(&gateway);
        assert!(waiting(&gateway, 1.0));
        go.store(true, Ordering::SeqCst);
        assert_eq!((status(&mut first), status(&mut third)), (200, 200));
        assert_eq!(upstream.seen().len(), 2);
        assert!(until(|| logged(scratch.path()).contains("/ 499 client-left")));
    }

    /// An idle connection of one core keeps no other core waiting.
    fn idle_connections_go_where_they_are_wanted(driver) {
        let (scratch, node) = (scratch(), CountingNode::start(Duration::ZERO));
        let lines = format!("{}max_connections = 1\nqueue.timeout = 60\n", nodes(&[node.port]));
        let gateway = setup(scratch.path(), driver, 4, &lines).start();
        for _ in 0..16 {
            assert_eq!(status(&mut ask(&gateway)), 200, "{}", gateway.log());
        }
        assert_eq!(node.most.load(Ordering::SeqCst), 1);
    }

    /// Each node has its own limit, and one that is full is passed by for one that is not.
    fn another_node_is_asked_before_anybody_waits(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let both = [Upstream::plain(held(&go)), Upstream::plain(held(&go))];
        let [one, two] = [both[0].port, both[1].port];
        let lines = format!(
            "nodes = [{{ host = \"127.0.0.1\", port = {one}, max_connections = 3 }}, \
             {{ host = \"127.0.0.1\", port = {two} }}]\nmax_connections = 1\nqueue.timeout = 60\n"
        );
        let gateway = setup(scratch.path(), driver, 1, &lines).start();
        let mut clients: Vec<_> = (0..4).map(|_| ask(&gateway)).collect();
        assert!(until(|| both[0].seen().len() == 3 && both[1].seen().len() == 1));
        clients.push(ask(&gateway));
        assert!(waiting(&gateway, 1.0));
        go.store(true, Ordering::SeqCst);
        assert!(clients.iter_mut().all(|client| status(client) == 200));
        assert_eq!(both[0].accepted() + both[1].accepted(), 4);
        assert!(metric(&gateway, "ferrule_upstream_retries_total", &[]) < 0.1, "none has failed");
    }

    /// A request that has failed at one node is not held up because the other is full.
    fn what_has_failed_once_does_not_wait(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let (busy, dead) = (Upstream::plain(held(&go)), free_port());
        let lines = "max_connections = 1\nqueue.timeout = 60\nchecks.passive.unhealthy.tcp_failures = 0\n";
        let lines = nodes(&[busy.port, dead]) + lines;
        let gateway = setup(scratch.path(), driver, 1, &lines).start();
        let mut first = ask(&gateway);
        assert!(until(|| busy.seen().len() == 1));
        for _ in 0..2 {
            assert_eq!(status(&mut ask(&gateway)), 502, "{}", gateway.log());
        }
        go.store(true, Ordering::SeqCst);
        assert_eq!(status(&mut first), 200);
        for _ in 0..2 {
            assert_eq!(status(&mut ask(&gateway)), 200);
        }
    }

    /// What is open is counted on over a reload, and another limit holds at once.
    fn connections_are_counted_over_a_reload(driver) {
        let (scratch, go) = (scratch(), Arc::new(AtomicBool::new(false)));
        let upstream = Upstream::plain(held(&go));
        let text = |limit: u32| {
            let limit = format!("max_connections = {limit}\n");
            format!("{CONFIG}{}{}", nodes(&[upstream.port]), if limit.contains(" 0") { "" } else { &*limit })
        };
        let mut gateway = setup(scratch.path(), driver, 2, &nodes(&[upstream.port])).start();
        let mut clients = vec![ask(&gateway)];
        assert!(until(|| upstream.seen().len() == 1));
        // It was opened when there was no limit.
        assert_eq!(gateway.reload(&text(1)), Reloaded::Taken);
        clients.push(ask(&gateway));
        assert!(waiting(&gateway, 1.0));
        assert_eq!(gateway.reload(&text(2)), Reloaded::Taken);
        assert!(until(|| upstream.seen().len() == 2), "{}", gateway.log());
        assert!(waiting(&gateway, 0.0));
        clients.push(ask(&gateway));
        assert!(waiting(&gateway, 1.0));
        assert_eq!(gateway.reload(&text(0)), Reloaded::Taken);
        assert!(until(|| upstream.seen().len() == 3), "{}", gateway.log());
        go.store(true, Ordering::SeqCst);
        assert!(clients.iter_mut().all(|client| status(client) == 200));
    }

    /// A tunnel has its place for as long as it lives.
    fn a_tunnel_keeps_its_place(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(tunnel::echoing()));
        let lines = "max_connections = 1\nqueue.timeout = 60\n";
        let lines = nodes(&[upstream.port]) + lines;
        let gateway = setup(scratch.path(), driver, 2, &lines).start();
        let mut first = tunnel::open(raw::plain(gateway.port("front")));
        tunnel::echo_of(&mut first, b"one");
        let asked = thread::scope(|scope| {
            let second = scope.spawn(|| tunnel::open(raw::plain(gateway.port("front"))));
            assert!(waiting(&gateway, 1.0));
            tunnel::echo_of(&mut first, b"two");
            drop(first);
            second.join()
        });
        tunnel::echo_of(&mut asked.expect("a tunnel"), b"three");
    }

    /// Connections that are opened ahead take no more places than there are, and give way.
    fn what_is_opened_ahead_gives_way(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let lines = "max_connections = 2\nkeepalive_pool.min_idle = 2\nqueue.timeout = 60\n";
        let lines = nodes(&[upstream.port]) + lines;
        let gateway = setup(scratch.path(), driver, 4, &lines).start();
        assert!(until(|| upstream_of(scratch.path())["nodes"][0]["connections"] == 2));
        for _ in 0..12 {
            assert_eq!(status(&mut ask(&gateway)), 200, "{}", gateway.log());
        }
    }
}

/// 10,000 requests, with the times printed.
#[test]
#[ignore = "takes a while; its numbers are for people"]
fn ten_thousand_requests_from_four_cores() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        crowd(driver, 100, 100);
    }
}
