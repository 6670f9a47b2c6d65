//! What an upstream says beside its answers: TLS's own words harm nobody, others end the connection.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Conversation, Driver, Gateway, PATIENCE, Setup, on_both_drivers, poll, raw, scratch,
    tls,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{PLAIN, write_ca};

/// What is said beside the answer, as the request's target names it.
const UPDATE: &str = "update";
const GOODBYE: &str = "goodbye";
const DATA: &str = "data";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";

/// An upstream over TLS that says something with its answer (`/with/..`), or once it is told to
/// (`/later/..`).
struct Talkative {
    port: u16,
    accepted: Arc<AtomicUsize>,
    go: Sender<()>,
    said: Receiver<()>,
}

type Orders = Arc<(Mutex<Receiver<()>>, Sender<()>)>;

impl Talkative {
    fn start(config: &Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (go, orders) = channel();
        let (reports, said) = channel();
        let orders: Orders = Arc::new((Mutex::new(orders), reports));
        let (count, config) = (Arc::clone(&accepted), Arc::clone(config));
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                socket.set_nodelay(true).expect("a socket");
                count.fetch_add(1, Ordering::SeqCst);
                let session = ServerConnection::new(Arc::clone(&config)).expect("good settings");
                let orders = Arc::clone(&orders);
                thread::spawn(move || serve(StreamOwned::new(session, socket), &orders));
            }
        });
        Self { port, accepted, go, said }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn serve(stream: StreamOwned<ServerConnection, TcpStream>, orders: &Orders) {
    let mut talk = Conversation::new(stream);
    while let Ok(Some(request)) = talk.request() {
        let target = request.head.target().to_owned();
        let (when, what) = target.trim_start_matches('/').split_once('/').unwrap_or_default();
        let stream = &mut talk.stream;
        stream.conn.writer().write_all(ANSWER).expect("memory");
        if when == "later" {
            send(stream);
            let _ = orders.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        match what {
            UPDATE => stream.conn.refresh_traffic_keys().expect("TLS 1.3"),
            GOODBYE => stream.conn.send_close_notify(),
            DATA => stream.conn.writer().write_all(b"HTTP/1.1 ").expect("memory"),
            _ => {}
        }
        send(stream);
        if when == "later" {
            let _ = orders.1.send(());
        }
        if what == GOODBYE {
            return;
        }
    }
}

/// All that is ready, in one write.
fn send(stream: &mut StreamOwned<ServerConnection, TcpStream>) {
    let mut bytes = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut bytes).expect("memory");
    }
    let _ = stream.sock.write_all(&bytes);
}

fn start(dir: &Path, driver: Driver) -> (Gateway, Talkative) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    let upstream = Talkative::start(&tls::server(&authority.server(&["up.test"]), None));
    let text = format!(
        "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n{}\nupstream.scheme = \"https\"\n\
         upstream.tls = {{ ca = \"ca.crt\", server_name = \"up.test\" }}\n",
        PLAIN.trim_end()
    );
    let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

fn counts(gateway: &Gateway) -> (u64, u64) {
    let text = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
    let all = Exposition::read(&text);
    let count = |name: &str| all.sum(name, &[]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    let both = [count("ferrule_upstream_surplus_total"), count("ferrule_upstream_unasked_total")]
        .map(|count| count as u64);
    (both[0], both[1])
}

on_both_drivers! {
    fn what_tls_says_by_itself_is_nothing_unasked(driver) {
        let scratch = scratch();
        let (gateway, upstream) = start(scratch.path(), driver);
        let front = gateway.port("front");
        let rows = [
            ("with", UPDATE, true, (0, 0)),
            ("later", UPDATE, true, (0, 0)),
            ("with", GOODBYE, false, (0, 0)),
            ("later", GOODBYE, false, (0, 0)),
            ("with", DATA, false, (1, 0)),
            ("later", DATA, false, (1, 1)),
        ];
        for (when, what, kept, counted) in rows {
            // A connection that is there when it begins.
            assert_eq!(raw::plain_get(front, "x", "/").text(), "mine");
            let before = upstream.accepted();
            assert_eq!(raw::plain_get(front, "x", &format!("/{when}/{what}")).text(), "mine");
            if when == "later" {
                upstream.go.send(()).expect("an upstream");
                upstream.said.recv().expect("an upstream");
            }
            let next = raw::plain_get(front, "x", "/").text();
            assert_eq!(next, "mine", "{when} {what}: {}", gateway.log());
            assert_eq!(upstream.accepted() - before, usize::from(!kept), "{when} {what}");
            let right = poll(PATIENCE, || (counts(&gateway) == counted).then_some(()));
            assert!(right.is_some(), "{when} {what}: {:?}", counts(&gateway));
        }
    }
}
