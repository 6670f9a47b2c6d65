//! Active checks ask each address of a name by itself, and requests leave out those that fail.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_tests::dns::{Answers, DnsServer, Record, address};
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, free_port, on_both_drivers, poll, raw,
    scratch,
};

use crate::observe::ctl;

/// A server at one address: its name, and what it answers a check with.
struct Place {
    server: Upstream,
    status: Arc<AtomicU16>,
}

impl Place {
    /// Answers `/health` with a status that can be changed, and everything else with its text.
    fn at(ip: [u8; 4], port: u16, text: &'static str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let own = Arc::clone(&status);
        let script: Script = Arc::new(move |client| {
            while let Some(message) = client.request() {
                let good = if message.head.target() == "/health" {
                    let status = own.load(Ordering::SeqCst);
                    client.send(
                        format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").as_bytes(),
                    )
                } else {
                    client.answer(text.as_bytes())
                };
                if !good {
                    return;
                }
            }
        });
        Self { server: Upstream::at(SocketAddr::from((ip, port)), None, script), status }
    }

    fn set(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Checks that it has seen.
    fn checks(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.message.head.target() == "/health").count()
    }
}

type Zone = Arc<Mutex<Vec<Record>>>;

fn zone(addresses: &[&str]) -> (DnsServer, Zone) {
    let zone = Arc::new(Mutex::new(records(addresses)));
    let own = Arc::clone(&zone);
    let answers: Answers = Arc::new(move |question| {
        vec![question.from_zone(&own.lock().unwrap_or_else(PoisonError::into_inner))]
    });
    (DnsServer::start(&answers), zone)
}

fn records(addresses: &[&str]) -> Vec<Record> {
    addresses.iter().map(|text| ("app.test", 1, address(text))).collect()
}

fn start(dir: &Path, driver: Driver, dns: &DnsServer, port: u16) -> Gateway {
    let text = format!(
        "[admin]\nsocket = \"ctl.sock\"\n[[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[routes]]\nuri = \"/*\"\nupstream_id = \"app\"\n\
         [[upstreams]]\nid = \"app\"\nnodes = {{ \"app.test:{port}\" = 1 }}\n\
         [upstreams.checks.active]\nhttp_path = \"/health\"\ntimeout = \"5s\"\n\
         healthy = {{ interval = \"100ms\", successes = 2 }}\n\
         unhealthy = {{ interval = \"100ms\", http_failures = 2, tcp_failures = 2, timeouts = 1 }}\n"
    );
    let line = format!("resolver = {{ nameservers = [\"127.0.0.1:{}\"] }}", dns.port);
    Setup::new(dir, driver, &text).runtime_line(&line).start()
}

/// What the next ten requests are answered with, each named once.
fn answers(gateway: &Gateway) -> Vec<String> {
    let mut all: Vec<String> = (0..10)
        .map(|_| {
            let answer = raw::plain_get(gateway.port("front"), "x", "/");
            assert_eq!(answer.status(), 200, "{}", gateway.log());
            answer.text()
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Waits until requests are answered by these.
fn become_answers(gateway: &Gateway, wanted: &[&str]) {
    let found = poll(PATIENCE, || (answers(gateway) == wanted).then_some(()));
    assert!(found.is_some(), "{wanted:?}: {:?}\n{}", answers(gateway), gateway.log());
}

fn lines(gateway: &Gateway, part: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(part)).count()
}

on_both_drivers! {
    /// One of two addresses fails its check: requests leave it out, and it is checked on; the other one fails as
    /// well: the node does, and as it is the only one, both are asked. What comes back is asked again.
    fn an_address_that_fails_is_left_out(driver) {
        let (scratch, port) = (scratch(), free_port());
        let one = Place::at([127, 0, 0, 1], port, "one");
        let two = Place::at([127, 0, 0, 2], port, "two");
        let (dns, _zone) = zone(&["127.0.0.1", "127.0.0.2"]);
        let gateway = start(scratch.path(), driver, &dns, port);
        become_answers(&gateway, &["one", "two"]);
        two.set(503);
        become_answers(&gateway, &["one"]);
        let checks = two.checks();
        assert!(poll(PATIENCE, || (two.checks() > checks + 2).then_some(())).is_some(), "it is checked on");
        assert_eq!(answers(&gateway), ["one"]);
        assert_eq!(lines(&gateway, "WARN an upstream node fails its check"), 0, "{}", gateway.log());
        let told: Vec<_> = gateway.log().lines().filter(|line| line.contains("an address of an upstream node fails")).map(str::to_owned).collect();
        assert!(told.len() == 1 && told[0].contains("127.0.0.2") && told[0].contains("status 503"), "{told:?}");
        let (_, shown, _) = ctl(scratch.path(), &["upstreams"]);
        assert!(shown.contains(&format!("127.0.0.2:{port} (fails)")) && shown.contains("1 of 1 nodes healthy"), "{shown}");

        one.set(500);
        become_answers(&gateway, &["one", "two"]);
        let failed = poll(PATIENCE, || (lines(&gateway, "WARN an upstream node fails its check") == 1).then_some(()));
        assert!(failed.is_some(), "{}", gateway.log());
        assert!(gateway.log().contains("none of its 2 addresses passes"), "{}", gateway.log());

        two.set(200);
        become_answers(&gateway, &["two"]);
        one.set(302);
        become_answers(&gateway, &["one", "two"]);
    }

    /// The name gets another address while one fails: it is checked too, and what is gone is no more.
    fn addresses_come_and_go(driver) {
        let (scratch, port) = (scratch(), free_port());
        let one = Place::at([127, 0, 0, 1], port, "one");
        let two = Place::at([127, 0, 0, 2], port, "two");
        let three = Place::at([127, 0, 0, 3], port, "three");
        let (dns, zone) = zone(&["127.0.0.1", "127.0.0.2"]);
        let gateway = start(scratch.path(), driver, &dns, port);
        one.set(404);
        become_answers(&gateway, &["two"]);
        *zone.lock().unwrap_or_else(PoisonError::into_inner) = records(&["127.0.0.1", "127.0.0.3"]);
        become_answers(&gateway, &["three"]);
        assert!(poll(PATIENCE, || (three.checks() > 2).then_some(())).is_some());
        // A check of the address that is gone may be under way.
        let gone = poll(PATIENCE, || {
            let (before, others) = (two.checks(), three.checks());
            poll(PATIENCE, || (three.checks() > others + 3).then_some(()))?;
            (two.checks() == before).then_some(())
        });
        assert!(gone.is_some(), "it is still checked");
        one.set(200);
        become_answers(&gateway, &["one", "three"]);
    }
}
