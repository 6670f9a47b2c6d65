//! Clients that go on while a reload moves their listeners from address to address.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use ferrule_tests::{Dial, Leaf, PATIENCE, Raw, Reloaded, on_both_drivers, poll, raw, scratch};

use super::Way::{Plain, Tls};
use super::{Stage, config, host, says_close};
use crate::tunnel::open_at;

const RELOADS: usize = 50;

/// Clients that come by the address that is in force, and go on until it is over.
struct Load<'a> {
    /// Where TLS and plain HTTP are listened for.
    ports: &'a [AtomicU16; 2],
    leaf: &'a Leaf,
    over: &'a AtomicBool,
    answers: AtomicUsize,
    never_accepted: AtomicUsize,
}

/// Leaves the machine to the gateway for a moment.
fn pause() {
    let _: Option<()> = poll(Duration::from_millis(2), || None);
}

impl Load<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A connection, as soon as the address in force takes one.
    fn connect(&self, secure: bool) -> Option<Raw> {
        poll(PATIENCE, || {
            let port = self.ports[usize::from(!secure)].load(Ordering::SeqCst);
            let tls = Dial::as_client("a.test", self.leaf);
            if secure { tls.connect(port).ok() } else { raw::try_plain(port).ok() }
        })
    }

    /// What was lost of what this does with one connection after the other.
    fn keep(&self, secure: bool, mut run: impl FnMut(Raw) -> io::Result<()>) -> Vec<String> {
        let mut lost = Vec::new();
        while !self.is_over() {
            let Some(raw) = self.connect(secure) else {
                lost.push(String::from("nobody listens"));
                continue;
            };
            if let Err(error) = run(raw) {
                lost.push(error.to_string());
            }
        }
        lost
    }

    fn keep_asking(&self, secure: bool) -> Vec<String> {
        self.keep(secure, |mut raw| {
            self.ask_on(&mut raw, secure, |raw, head| raw.send(head.as_bytes()), "")
        })
    }

    fn keep_uploading(&self, secure: bool) -> Vec<String> {
        let piece = "x".repeat(1_000);
        self.keep(secure, |mut raw| {
            self.ask_on(
                &mut raw,
                secure,
                |raw, head| {
                    raw.send(head.as_bytes())?;
                    // It spans a reload now and then.
                    for _ in 0..20 {
                        raw.send(piece.as_bytes())?;
                        let _: Option<()> = poll(Duration::from_millis(10), || None);
                    }
                    Ok(())
                },
                "Content-Length: 20000\r\n",
            )
        })
    }

    fn ask_on(
        &self,
        raw: &mut Raw,
        secure: bool,
        mut send: impl FnMut(&mut Raw, &str) -> io::Result<()>,
        field: &str,
    ) -> io::Result<()> {
        let host = host(if secure { Tls } else { Plain });
        let mut first = true;
        while !self.is_over() {
            let sent = send(raw, &format!("POST /load HTTP/1.1\r\nHost: {host}\r\n{field}\r\n"));
            let answer = match sent.and_then(|()| raw.response("POST")) {
                Ok(answer) if answer.status() == 200 => answer,
                Ok(answer) => return Err(io::Error::other(answer.head.raw)),
                // Its listener was closed before a core had accepted it.
                Err(_) if first => {
                    self.never_accepted.fetch_add(1, Ordering::SeqCst);
                    break;
                }
                Err(error) => return Err(error),
            };
            first = false;
            self.answers.fetch_add(1, Ordering::SeqCst);
            pause();
            if says_close(&answer) {
                break;
            }
        }
        Ok(())
    }

    /// One tunnel, all the time.
    fn keep_talking(&self, secure: bool) -> Vec<String> {
        let raw = self.connect(secure).expect("a connection");
        let mut tunnel = open_at(raw, host(if secure { Tls } else { Plain }));
        while !self.is_over() {
            let echoed = tunnel.send(b"hello").and_then(|()| tunnel.exactly(5));
            if echoed.as_ref().is_ok_and(|bytes| bytes == b"hello") {
                pause();
                continue;
            }
            return vec![format!("a tunnel: {echoed:?}")];
        }
        Vec::new()
    }
}

on_both_drivers! {
    /// Two addresses in turn, under load: no answer is lost, no tunnel cut, nobody misdirected.
    fn an_address_that_changes_loses_nothing(driver) {
        let scratch = scratch();
        let mut stage = Stage::new(scratch.path(), driver, "a tls, c");
        let ports = ["a", "c"].map(|name| AtomicU16::new(stage.gateway.port(name)));
        let (leaf, over) = (stage.leaf.clone(), AtomicBool::new(false));
        let load = Load {
            ports: &ports,
            leaf: &leaf,
            over: &over,
            answers: AtomicUsize::new(0),
            never_accepted: AtomicUsize::new(0),
        };
        let reports = std::thread::scope(|scope| {
            let load = &load;
            let workers: [_; 12] = std::array::from_fn(|number| scope.spawn(move || {
                let secure = number % 2 == 0;
                match number / 2 {
                    0 | 1 => load.keep_asking(secure),
                    2 | 3 => load.keep_uploading(secure),
                    _ => load.keep_talking(secure),
                }
            }));
            for round in 1..=RELOADS {
                let names = if round % 2 == 0 { ["a", "c"] } else { ["b", "d"] };
                let text = config(&format!("{} tls, {}", names[0], names[1]));
                assert_eq!(stage.gateway.reload(&text), Reloaded::Taken);
                for (port, name) in ports.iter().zip(names) {
                    port.store(stage.gateway.port(name), Ordering::SeqCst);
                }
                // Some of everything happens between two reloads.
                let before = load.answers.load(Ordering::SeqCst);
                let some = || (load.answers.load(Ordering::SeqCst) > before + 20).then_some(());
                assert!(poll(PATIENCE, some).is_some(), "the load stands still");
            }
            over.store(true, Ordering::SeqCst);
            workers.map(|worker| worker.join().expect("no panic"))
        });
        let lost: Vec<String> = reports.into_iter().flatten().collect();
        let answers = load.answers.load(Ordering::SeqCst);
        let never = load.never_accepted.load(Ordering::SeqCst);
        assert_eq!(never, 0, "connections of {answers} answers were reset before they were accepted");
        assert!(lost.is_empty(), "{lost:#?}\n{}", stage.gateway.log());
    }
}
