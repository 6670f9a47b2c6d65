//! An answer that was sent before its request is nobody's: not of the client that came next, and of
//! none after it. Every moment between an upstream's accept and the first request over it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ferrule_tests::{Authority, Driver, Gateway, Setup, on_both_drivers, raw, scratch, tls};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};

use crate::{PLAIN, write_ca};

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nX-Poison: poison\r\n\r\n";

/// How an upstream comes to be one answer ahead.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// `TLSv1.2` or `TLSv1.3`.
    version: &'static str,
    /// What it says first.
    first: &'static str,
    /// In a segment of its own, behind the one that ends its part of the handshake.
    apart: bool,
    /// In two segments, so that the first one holds no whole record and no whole head.
    torn: bool,
}

/// Whether the early words went out before anything of the request was there.
#[derive(Default)]
struct Seen {
    before: AtomicUsize,
}

fn settings(authority: &Authority) -> Arc<ServerConfig> {
    let mut config = (*tls::server(&authority.server(&["up.test"]), None)).clone();
    // A resumed handshake of TLS 1.2 would end with the client's word.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.send_half_rtt_data = true;
    Arc::new(config)
}

/// Nothing of the peer's is in the socket; it may have left.
fn is_silent(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).expect("a socket");
    let silent = !matches!(socket.peek(&mut [0]), Ok(1..));
    let _ = socket.set_nonblocking(false);
    silent
}

fn say(socket: &mut TcpStream, bytes: &[u8], torn: bool, seen: &Seen) {
    let (one, other) = bytes.split_at(if torn { bytes.len() / 2 } else { bytes.len() });
    let _ = socket.write_all(one);
    if is_silent(socket) {
        seen.before.fetch_add(1, Ordering::SeqCst);
    }
    let _ = socket.write_all(other);
}

/// Speaks first, and afterwards answers every request with the next answer's predecessor.
fn serve(ahead: Ahead, config: &Arc<ServerConfig>, mut socket: TcpStream, seen: &Seen) {
    let mut session = ServerConnection::new(Arc::clone(config)).expect("good settings");
    let last_word = |session: &ServerConnection| {
        if ahead.version == "TLSv1.2" { !session.is_handshaking() } else { session.wants_write() }
    };
    while !last_word(&session) {
        let mut flight = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut flight).expect("memory");
        }
        let _ = socket.write_all(&flight);
        if !matches!(session.read_tls(&mut socket), Ok(1..))
            || session.process_new_packets().is_err()
        {
            return;
        }
    }
    let mut flight = Vec::new();
    if ahead.apart {
        while session.wants_write() {
            session.write_tls(&mut flight).expect("memory");
        }
        let _ = socket.write_all(&std::mem::take(&mut flight));
    }
    session.writer().write_all(ahead.first.as_bytes()).expect("memory");
    while session.wants_write() {
        session.write_tls(&mut flight).expect("memory");
    }
    say(&mut socket, &flight, ahead.torn, seen);
    let mut stream = rustls::StreamOwned::new(session, socket);
    let mut bytes = [0; 4096];
    while matches!(stream.read(&mut bytes), Ok(1..)) {
        if stream.write_all(POISON.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn start(dir: &std::path::Path, driver: Driver, ahead: Ahead) -> (Gateway, Arc<Seen>) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    let config = settings(&authority);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            socket.set_nodelay(true).expect("a socket");
            let (seen, config) = (Arc::clone(&counted), Arc::clone(&config));
            thread::spawn(move || serve(ahead, &config, socket, &seen));
        }
    });
    // Every request is the first one of a connection.
    let text = format!(
        "{}\nupstream.scheme = \"https\"\nupstream.tls = {{ ca = \"ca.crt\", \
         server_name = \"up.test\", ssl_protocols = [\"{}\"] }}\n\
         upstream.keepalive_pool = {{ size = 0 }}\n",
        PLAIN.trim_end(),
        ahead.version
    );
    let gateway = Setup::new(dir, driver, &text).set("upstream", &port).start();
    (gateway, seen)
}

on_both_drivers! {
    /// A slow machine may let a request overtake the early words. Those tries tell nothing. Words that
    /// come between the last look and the send cannot be told from an answer; they are few.
    fn an_upstream_that_keeps_one_answer_ahead_answers_nobody(driver) {
        for version in ["TLSv1.2", "TLSv1.3"] {
            for (first, apart, torn) in [
                (POISON, false, false),
                (POISON, true, false),
                (POISON, true, true),
                (INTERIM, false, false),
                (INTERIM, true, false),
            ] {
                let ahead = Ahead { version, first, apart, torn };
                let scratch = scratch();
                let (gateway, seen) = start(scratch.path(), driver, ahead);
                let (mut told, mut poisoned) = (0, Vec::new());
                for _ in 0..40 {
                    let before = seen.before.load(Ordering::SeqCst);
                    let answer = raw::plain_get(gateway.port("front"), "x", "/");
                    if seen.before.load(Ordering::SeqCst) == before {
                        continue;
                    }
                    told += 1;
                    if answer.status() != 502 {
                        poisoned.push(answer);
                    }
                    if told == 8 {
                        break;
                    }
                }
                // Behind the server's last word of TLS 1.2 the request follows at once.
                let certain = version == "TLSv1.3" || !apart;
                assert!(told > 0 || !certain, "{ahead:?}: never early");
                assert!(poisoned.len() * 4 <= told, "{ahead:?}: {poisoned:?}");
            }
        }
    }
}
