//! What docs/retries.md promises: what is tried again, when, and what is never sent twice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Driver, Gateway, Haproxy, Nginx, PATIENCE, Script, Setup, Shape, Upstream, echo, free_port,
    now, on_both_drivers, poll, raw, scratch,
};

use crate::PLAIN;

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const PUT: &[u8] = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const CHUNKED: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
const LATE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";

fn gateway(dir: &Path, driver: Driver, port: u16, lines: &str) -> Gateway {
    Setup::new(dir, driver, &format!("{PLAIN}{lines}")).set("upstream", &port).start()
}

fn status(gateway: &Gateway, request: &[u8]) -> u16 {
    let mut client = raw::plain(gateway.port("front"));
    client.send(request).expect("a gateway");
    client.response("GET").expect("an answer").status()
}

/// Answers each request of a connection with these, and then leaves; tells when it has left.
fn answers(all: &'static [&'static [u8]]) -> (Script, Receiver<()>) {
    let (left, leaves) = channel();
    let left = Mutex::new(left);
    let script: Script = Arc::new(move |client| {
        for answer in all {
            if client.request().is_none() || !client.send(answer) {
                return;
            }
        }
        // The connection ends a moment after this.
        let _ = left.lock().unwrap_or_else(PoisonError::into_inner).send(());
    });
    (script, leaves)
}

/// Lets so much time pass, in which nothing is waited for.
fn pause(time: Duration) {
    let deadline = now() + time;
    while let left @ 1.. = deadline.saturating_duration_since(now()).as_micros() {
        thread::park_timeout(Duration::from_micros(u64::try_from(left).unwrap_or(u64::MAX)));
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A node that ends connections which have been idle for so long.
struct Impatient {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Impatient {
    fn start(idle: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        // It ends with the process.
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serve(socket, idle));
            }
        });
        Self { port, accepted }
    }
}

/// Every request has two bytes of body, or none.
fn serve(mut socket: TcpStream, idle: Duration) {
    let mut patience = PATIENCE;
    loop {
        let _ = socket.set_read_timeout(Some(patience));
        let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            match socket.read(&mut bytes) {
                Ok(count @ 1..) => text.extend_from_slice(&bytes[..count]),
                // Nobody asks, or a request comes at this very moment.
                _ => return,
            }
            let head = text.windows(4).position(|end| end == b"\r\n\r\n");
            let body = if text.starts_with(b"GET") { 0 } else { 2 };
            if head.is_some_and(|at| text.len() >= at + 4 + body) {
                break;
            }
        }
        if socket.write_all(OK).is_err() {
            return;
        }
        patience = idle;
    }
}

const REQUESTS: u32 = 300;

/// Sends this request again and again about when the node ends its connections; how many were lost.
fn lost(port: u16, request: &[u8]) -> u32 {
    let mut lost = 0;
    for number in 0..REQUESTS {
        // The moment moves over the one at which the node gives up; its timer is coarse.
        pause(Duration::from_micros(2_000 + u64::from(number % 20) * 400));
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        client.set_read_timeout(Some(PATIENCE)).expect("a socket");
        client.write_all(request).expect("a proxy");
        let mut bytes = [0; 1024];
        let count = client.read(&mut bytes).unwrap_or(0);
        lost += u32::from(!bytes[..count].starts_with(b"HTTP/1.1 200"));
    }
    lost
}

/// The keep-alive race, in front of a node that ends connections after 3 ms.
#[test]
#[expect(clippy::print_stderr, reason = "the figures are what it is for")]
fn no_request_is_lost_to_a_node_that_ends_its_connections() {
    let (scratch, idle) = (scratch(), Duration::from_millis(3));
    let dir = scratch.path();
    for (name, request) in [("GET", GET), ("POST", POST)] {
        for driver in [Driver::IoUring, Driver::Epoll] {
            for reuse in ["always", "safe"] {
                let node = Impatient::start(idle);
                let lines = format!("upstream.http_reuse = \"{reuse}\"\n");
                let gateway = gateway(dir, driver, node.port, &lines);
                let count = lost(gateway.port("front"), request);
                let connections = node.accepted.load(Ordering::SeqCst);
                eprintln!(
                    "{name}: ferrule {driver:?} {reuse}: {count} lost, {connections} connections"
                );
                assert!(
                    count == 0 || (name, reuse) == ("POST", "always"),
                    "{name} {reuse}: {count}"
                );
            }
        }
        for reuse in ["always", "safe"] {
            let (node, port) = (Impatient::start(idle), free_port());
            let text = format!(
                "frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n\
                 backend b\n  http-reuse {reuse}\n  server s 127.0.0.1:{}\n",
                node.port
            );
            let _haproxy = Haproxy::start(dir, port, &text);
            let count = lost(port, request);
            let connections = node.accepted.load(Ordering::SeqCst);
            eprintln!("{name}: HAProxy {reuse}: {count} lost, {connections} connections");
        }
        let (node, port) = (Impatient::start(idle), free_port());
        let http = format!(
            "upstream u {{ server 127.0.0.1:{}; keepalive 8; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u; \
             proxy_http_version 1.1; proxy_set_header Connection ''; }} }}",
            node.port
        );
        let _nginx = Nginx::start(dir, port, &http, Shape::Single);
        let count = lost(port, request);
        let connections = node.accepted.load(Ordering::SeqCst);
        eprintln!("{name}: nginx: {count} lost, {connections} connections");
    }
}

on_both_drivers! {
    fn with_safe_reuse_only_what_can_be_sent_again_meets_a_used_connection(driver) {
        let scratch = scratch();
        for (request, safe, always) in [
            (GET, 1, 1),
            (PUT, 1, 1),
            (POST, 4, 1),
            (CHUNKED, 4, 1),
            (&b"PURGE / HTTP/1.1\r\nHost: x\r\n\r\n"[..], 4, 1),
            (&b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n"[..], 1, 1),
        ] {
            for (reuse, wanted) in [("safe", safe), ("always", always)] {
                let upstream = Upstream::plain(echo());
                let lines = format!("upstream.http_reuse = \"{reuse}\"\n");
                let gateway = gateway(scratch.path(), driver, upstream.port, &lines);
                for _ in 0..4 {
                    assert_eq!(status(&gateway, request), 200);
                }
                let name = String::from_utf8_lossy(request);
                assert_eq!(upstream.accepted(), wanted, "{reuse}: {name}");
                // What was made for one is good for others.
                assert_eq!(status(&gateway, GET), 200);
                assert_eq!(upstream.accepted(), wanted, "{reuse}: {name}");
            }
        }
    }

    /// A body of which a part is still to come cannot be sent again.
    fn with_safe_reuse_an_upload_gets_a_new_connection(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let lines = "upstream.http_reuse = \"safe\"\n";
        let gateway = gateway(scratch.path(), driver, upstream.port, lines);
        for _ in 0..3 {
            let mut client = raw::plain(gateway.port("front"));
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na").expect("a gateway");
            assert!(poll(PATIENCE, || (upstream.accepted() > 0).then_some(())).is_some());
            // Its head has left, or waits for a connection: it was decided by then.
            pause(Duration::from_millis(50));
            client.send(b"b").expect("a gateway");
            assert_eq!(client.response("PUT").expect("an answer").status(), 200);
        }
        assert_eq!(upstream.accepted(), 3);
    }

    /// Its end has come: nobody is sent over it, not even what is not asked for twice.
    fn a_connection_whose_end_has_come_loses_nothing(driver) {
        let (scratch, (script, leaves)) = (scratch(), answers(&[OK]));
        let upstream = Upstream::plain(script);
        let gateway = gateway(scratch.path(), driver, upstream.port, "");
        for _ in 0..10 {
            assert_eq!(status(&gateway, POST), 200);
            leaves.recv_timeout(PATIENCE).expect("it leaves");
            pause(Duration::from_millis(20));
        }
        assert_eq!(upstream.accepted(), 10);
    }

    /// What a node says of its own accord is no answer to what is asked next.
    fn a_408_on_an_idle_connection_is_nobodys_answer(driver) {
        let script: Script = Arc::new(|client| {
            if client.request().is_some() {
                client.answer(b"ok");
                pause(Duration::from_millis(20));
                client.send(LATE);
                client.request();
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, upstream.port, "");
        for _ in 0..5 {
            assert_eq!(status(&gateway, POST), 200);
            pause(Duration::from_millis(60));
        }
        assert_eq!((upstream.accepted(), upstream.seen().len()), (5, 5));
    }

    /// The same where it meets a request: whoever may ask again does so.
    fn a_408_that_meets_a_request_is_an_answer_only_to_what_may_not_be_repeated(driver) {
        for (request, wanted, connections) in [(GET, 200, 2), (PUT, 200, 2), (POST, 408, 1)] {
            let (scratch, (script, _leaves)) = (scratch(), answers(&[OK, LATE]));
            let upstream = Upstream::plain(script);
            let gateway = gateway(scratch.path(), driver, upstream.port, "");
            assert_eq!(status(&gateway, GET), 200);
            let name = String::from_utf8_lossy(request);
            assert_eq!(status(&gateway, request), wanted, "{name}");
            assert_eq!(upstream.accepted(), connections, "{name}");
        }
        // On a new connection it is an answer to everybody.
        let (scratch, (script, _leaves)) = (scratch(), answers(&[LATE]));
        let upstream = Upstream::plain(script);
        let gateway = gateway(scratch.path(), driver, upstream.port, "");
        assert_eq!((status(&gateway, GET), upstream.accepted()), (408, 1));
    }

    /// Once, on the same node, over a new connection.
    fn a_lost_request_is_tried_once_more_and_not_twice(driver) {
        let script: Script = Arc::new(|client| {
            // The first connection answers once; none answers what comes then.
            if client.request().is_some() && client.number == 0 && client.answer(b"first") {
                client.request();
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, upstream.port, "upstream.retries = 5\n");
        assert_eq!(status(&gateway, GET), 200);
        assert_eq!(status(&gateway, GET), 502);
        assert_eq!((upstream.accepted(), upstream.seen().len()), (2, 3));
    }

    /// `retries` are further nodes.
    fn further_nodes_are_asked_where_no_connection_came_about(driver) {
        let (scratch, alive) = (scratch(), Upstream::plain(echo()));
        let ports = [free_port(), free_port()];
        for (retries, wanted) in [(0, 502), (1, 502), (2, 200)] {
            let text = PLAIN.replace(
                "\"127.0.0.1:@upstream@\" = 1",
                "\"127.0.0.1:@a@\" = 1, \"127.0.0.1:@b@\" = 1, \"127.0.0.1:@alive@\" = 1",
            );
            let text = format!("{text}upstream.retries = {retries}\n");
            let gateway = Setup::new(scratch.path(), driver, &text)
                .set("a", &ports[0]).set("b", &ports[1]).set("alive", &alive.port).start();
            // A POST as well: nothing of it has left.
            assert_eq!(status(&gateway, POST), wanted, "{retries}");
        }
    }

    /// No longer than the node says, and no longer than we would.
    fn a_node_says_how_long_its_connections_last(driver) {
        for (fields, pauses, connections) in [
            ("", 0, 1),
            ("Keep-Alive: timeout=0\r\n", 0, 3),
            ("Keep-Alive: timeout=1\r\n", 600, 3),
            ("Keep-Alive: timeout=600\r\n", 0, 1),
            ("Keep-Alive: nonsense, timeout=soon\r\n", 600, 1),
            ("Keep-Alive: max=0\r\n", 0, 3),
            ("Keep-Alive: max=1\r\n", 0, 2),
            ("Keep-Alive: max=99999999999\r\n", 0, 1),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            let script: Script =
                Arc::new(move |client| while client.request().is_some() && client.send(answer.as_bytes()) {});
            let (scratch, upstream) = (scratch(), Upstream::plain(script));
            let gateway = gateway(scratch.path(), driver, upstream.port, "");
            for _ in 0..3 {
                assert_eq!(status(&gateway, GET), 200);
                pause(Duration::from_millis(pauses));
            }
            assert_eq!(upstream.accepted(), connections, "{fields} {pauses}");
        }
    }

    /// What was promised once holds, although later answers say nothing.
    fn a_node_says_how_many_requests_it_takes(driver) {
        let script: Script = Arc::new(|client| {
            let mut left = "Keep-Alive: max=2\r\n";
            while client.request().is_some() {
                let answer = format!("HTTP/1.1 200 OK\r\n{left}Content-Length: 0\r\n\r\n");
                if !client.send(answer.as_bytes()) {
                    return;
                }
                left = "";
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = gateway(scratch.path(), driver, upstream.port, "");
        for _ in 0..6 {
            assert_eq!(status(&gateway, GET), 200);
        }
        assert_eq!(upstream.accepted(), 2);
    }
}
