//! What docs/names.md promises: where the names of upstream nodes lead, and what happens when that changes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrule_tests::dns::{
    Answers, CUT, Data, DnsServer, GOOD, NXDOMAIN, Record, SERVFAIL, address,
};
use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, free_port, now, on_both_drivers, poll, raw,
    scratch,
};

use crate::observe::ctl;

/// A gateway that asks this server, with one route for each host to the node of the same name.
fn gateway(dir: &Path, driver: Driver, dns: &DnsServer, nodes: &[String]) -> Gateway {
    let mut text = String::from(
        "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[[listen]]\naddress = \"127.0.0.1:@front@\"\n",
    );
    for node in nodes {
        let host = node.split(':').next().unwrap_or_default();
        let route = format!(
            "[[routes]]\nuri = \"/*\"\nhost = \"{host}\"\nupstream.nodes = {{ \"{node}\" = 1 }}\n"
        );
        text.push_str(&route);
    }
    let line = format!("resolver = {{ nameservers = [\"127.0.0.1:{}\"] }}", dns.port);
    Setup::new(dir, driver, &text).runtime_line(&line).start()
}

/// A server whose zone may change.
fn zone(records: Vec<Record>) -> (DnsServer, Arc<Mutex<Vec<Record>>>) {
    let zone = Arc::new(Mutex::new(records));
    let own = Arc::clone(&zone);
    let answers: Answers = Arc::new(move |question| {
        vec![question.from_zone(&own.lock().unwrap_or_else(PoisonError::into_inner))]
    });
    (DnsServer::start(&answers), zone)
}

fn set(zone: &Mutex<Vec<Record>>, records: Vec<Record>) {
    *zone.lock().unwrap_or_else(PoisonError::into_inner) = records;
}

fn a(name: &'static str, ttl: u32, text: &str) -> Record {
    (name, ttl, address(text))
}

/// Answers one request of each connection with this text.
fn once(text: &'static str) -> Script {
    Arc::new(move |client| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        if client.request().is_some() {
            client.send(head.as_bytes());
        }
    })
}

/// Answers every request with this text.
fn always(text: &'static str) -> Script {
    Arc::new(move |client| while client.request().is_some() && client.answer(text.as_bytes()) {})
}

fn at(ip: [u8; 4], port: u16, script: Script) -> Upstream {
    Upstream::at(SocketAddr::from((ip, port)), None, script)
}

/// The body if the status is 200, else the status.
fn get(gateway: &Gateway, host: &str) -> Result<String, u16> {
    let answer = raw::plain_get(gateway.port("front"), host, "/");
    if answer.status() == 200 { Ok(answer.text()) } else { Err(answer.status()) }
}

fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum(name, labels)
}

/// A listener that lets nobody in: its queue is full. What fills it is part of the value.
fn black_hole(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind(address).expect("a free address");
    rustix::net::listen(&listener, 0).expect("a shorter queue");
    let mut inside = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        inside.push(stream);
        assert!(inside.len() < 64, "the queue does not fill");
    }
    (listener, inside)
}

on_both_drivers! {
    /// A name has three addresses, and one of them has a server: nobody notices, and what is dead is not asked
    /// for every request.
    fn one_living_address_is_enough(driver) {
        let (scratch, living) = (scratch(), Upstream::plain(once("alive")));
        let (dns, _zone) = zone(vec![
            a("app.test", 60, "127.0.0.2"),
            a("app.test", 60, "::1"),
            a("app.test", 60, "127.0.0.1"),
        ]);
        let gateway = gateway(scratch.path(), driver, &dns, &[format!("app.test:{}", living.port)]);
        for _ in 0..200 {
            assert_eq!(get(&gateway, "app.test").as_deref(), Ok("alive"));
        }
        assert!(metric(&gateway, "ferrule_upstream_connect_failures_total", &[]) < 0.5);
    }

    /// An address that swallows what is sent to it costs a moment, once in a while.
    fn a_black_hole_costs_a_moment(driver) {
        let (scratch, living) = (scratch(), Upstream::plain(once("alive")));
        let (dns, _zone) = zone(vec![a("app.test", 60, "127.0.0.2"), a("app.test", 60, "127.0.0.1")]);
        let _hole = black_hole(SocketAddr::from(([127, 0, 0, 2], living.port)));
        let gateway = gateway(scratch.path(), driver, &dns, &[format!("app.test:{}", living.port)]);
        let started = now();
        for _ in 0..40 {
            assert_eq!(get(&gateway, "app.test").as_deref(), Ok("alive"));
        }
        assert!(now() - started < Duration::from_secs(8), "{:?}", now() - started);
    }

    /// The name moves: requests follow within its TTL, none fails, and idle connections to the old address are
    /// closed. Then the server dies, and the last good answer is held.
    fn a_name_that_moves_is_followed(driver) {
        let scratch = scratch();
        let port = free_port();
        let ended = Arc::new(AtomicUsize::new(0));
        let own = Arc::clone(&ended);
        let first: Script = Arc::new(move |client| {
            while client.request().is_some() && client.answer(b"first") {}
            own.fetch_add(1, Ordering::Relaxed);
        });
        let (_first, _second) = (at([127, 0, 0, 1], port, first), at([127, 0, 0, 2], port, always("second")));
        let (dns, zone) = zone(vec![a("app.test", 1, "127.0.0.1")]);
        let gateway = gateway(scratch.path(), driver, &dns, &[format!("app.test:{port}")]);
        assert_eq!(get(&gateway, "app.test").as_deref(), Ok("first"));
        set(&zone, vec![a("app.test", 1, "127.0.0.2")]);
        let moved = poll(PATIENCE, || {
            let body = get(&gateway, "app.test").expect("no request fails");
            (body == "second").then_some(())
        });
        assert!(moved.is_some());
        assert!(poll(PATIENCE, || (ended.load(Ordering::Relaxed) > 0).then_some(())).is_some());
        drop(dns);
        let failures = || metric(&gateway, "ferrule_upstream_name_lookups_total", &[("result", "failure")]);
        assert!(poll(PATIENCE, || (failures() > 1.5).then_some(())).is_some());
        assert_eq!(get(&gateway, "app.test").as_deref(), Ok("second"));
        assert!(metric(&gateway, "ferrule_upstream_name_age_seconds", &[("name", "app.test")]) > 0.9);
        assert!(gateway.log().contains("cannot resolve the name of an upstream node"));
    }

    /// An operator sees where a name leads, how old that is, and the connections that there are.
    fn an_operator_sees_where_a_name_leads(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(always("here")));
        let (dns, zone) = zone(vec![a("app.test", 60, "127.0.0.1"), a("app.test", 60, "127.0.0.9")]);
        let node = format!("app.test:{}", upstream.port);
        let text = format!(
            "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[admin]\nsocket = \"ctl.sock\"\n\
             [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
             [[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"{node}\" = 1, \"127.0.0.1:{}\" = 0 }}\n",
            upstream.port
        );
        let line = format!("resolver = {{ nameservers = [\"127.0.0.1:{}\"] }}", dns.port);
        let gateway = Setup::new(scratch.path(), driver, &text).runtime_line(&line).start();
        assert_eq!(get(&gateway, "x").as_deref(), Ok("here"));
        let shown = || -> serde_json::Value {
            let (code, out, error) = ctl(scratch.path(), &["--json", "upstreams"]);
            assert_eq!(code, Some(0), "{error}");
            let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
            answer["upstreams"][0]["nodes"].clone()
        };
        // The counts of connections are shown once a second.
        let nodes = poll(PATIENCE, || Some(shown()).filter(|nodes| nodes[0]["connections"] == 1));
        let nodes = nodes.expect("one connection is open");
        assert_eq!(nodes[0]["idle_connections"], 1, "{nodes}");
        let mut addresses: Vec<_> =
            nodes[0]["name"]["addresses"].as_array().expect("addresses").iter()
                .map(|one| one["address"].to_string()).collect();
        addresses.sort_unstable();
        assert_eq!(addresses, [1, 9].map(|host| format!("\"127.0.0.{host}:{}\"", upstream.port)));
        assert!(nodes[0]["name"]["age_seconds"].as_u64().is_some_and(|age| age < 60), "{nodes}");
        assert!(nodes[0]["name"]["again_in_seconds"].as_u64().is_some_and(|left| left <= 60), "{nodes}");
        assert_eq!(nodes[0]["name"]["failed_lookups"], 0);
        assert!(nodes[1].get("name").is_none(), "it is an address: {nodes}");
        let (_, out, _) = ctl(scratch.path(), &["upstreams"]);
        let line = format!("127.0.0.9:{}", upstream.port);
        assert!(out.contains("IDLE") && out.contains("ADDRESSES") && out.contains(&line), "{out}");
        drop(zone);
    }

    /// A name that does not exist has no node; it is asked for again until it does.
    fn a_name_that_comes_late_is_found(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(always("here")));
        let (dns, zone) = zone(Vec::new());
        let gateway = gateway(scratch.path(), driver, &dns, &[format!("app.test:{}", upstream.port)]);
        assert!(get(&gateway, "app.test").is_err());
        assert!(gateway.log().contains("NXDOMAIN"));
        set(&zone, vec![a("app.test", 60, "127.0.0.1")]);
        assert!(poll(PATIENCE, || get(&gateway, "app.test").ok()).is_some());
    }

    /// Answers that are cut are asked for over TCP; aliases are followed through several answers; what is not an
    /// answer to the query leads nobody anywhere; aliases that go round end.
    fn answers_of_every_kind(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(always("here")));
        let right = Arc::new(|name: &'static str| vec![a(name, 60, "127.0.0.1")]);
        let answers: Answers = Arc::new(move |question| {
            let wrong = question.answer(GOOD, &[a("hostile.test", 60, "127.0.0.9")]);
            match (question.name.as_str(), question.tcp) {
                (_, _) if question.rtype != 1 => vec![question.answer(GOOD, &[])],
                ("cut.test", false) => vec![question.answer(CUT, &[a("cut.test", 60, "127.0.0.9")])],
                ("cut.test", true) => vec![question.answer(GOOD, &right("cut.test"))],
                ("alias.test", _) => {
                    vec![question.answer(GOOD, &[("alias.test", 60, Data::Alias("end.test"))])]
                }
                ("end.test", _) => vec![question.answer(GOOD, &right("end.test"))],
                ("loop.test", _) => vec![question.answer(GOOD, &[("loop.test", 60, Data::Alias("loop.test"))])],
                ("hostile.test", _) => {
                    let (mut id, mut name) = (wrong.clone(), wrong.clone());
                    id[0] ^= 1;
                    name[13] ^= 1;
                    let good = [a("other.test", 60, "127.0.0.9"), a("hostile.test", 60, "127.0.0.1")];
                    vec![id, name, vec![0; 3], question.answer(GOOD, &good), wrong]
                }
                ("broken.test", _) => vec![question.answer(SERVFAIL, &[])],
                _ => vec![question.answer(NXDOMAIN, &[])],
            }
        });
        let dns = DnsServer::start(&answers);
        let names = ["cut", "alias", "hostile", "loop", "broken"];
        let nodes: Vec<_> = names.iter().map(|name| format!("{name}.test:{}", upstream.port)).collect();
        let gateway = gateway(scratch.path(), driver, &dns, &nodes);
        for name in ["cut.test", "alias.test", "hostile.test"] {
            assert_eq!(get(&gateway, name).as_deref(), Ok("here"), "{name}");
        }
        for name in ["loop.test", "broken.test"] {
            assert!(get(&gateway, name).is_err(), "{name}");
        }
        assert!(dns.asked().iter().any(|question| question.tcp));
        let ids: std::collections::BTreeSet<_> = dns.asked().iter().map(ferrule_tests::dns::Question::id).collect();
        assert!(ids.len() > 5, "ids are drawn: {ids:?}");
    }

    /// A node without a port whose name is that of a service: the targets of the best priority share its requests
    /// by their weights, each on its own port.
    fn services_have_ports_and_weights(driver) {
        let scratch = scratch();
        let [one, other, spare] = ["one", "other", "spare"].map(|text| Upstream::plain(once(text)));
        let service = |numbers| ("_http._tcp.pay.test", 60, Data::Service(numbers, "host.test"));
        let (dns, _zone) = zone(vec![
            service([5, 100, spare.port]),
            service([1, 30, one.port]),
            service([1, 10, other.port]),
            a("host.test", 60, "127.0.0.1"),
        ]);
        let gateway = gateway(scratch.path(), driver, &dns, &["_http._tcp.pay.test".to_owned()]);
        let mut counts = [0, 0];
        for _ in 0..40 {
            match get(&gateway, "_http._tcp.pay.test").as_deref() {
                Ok("one") => counts[0] += 1,
                Ok("other") => counts[1] += 1,
                unexpected => assert_eq!(unexpected, Ok("one or other")),
            }
        }
        assert_eq!(counts, [30, 10]);
        drop((one, other));
        assert_eq!(get(&gateway, "_http._tcp.pay.test").as_deref(), Ok("spare"));
    }

    /// `/etc/hosts` comes first, and needs no server.
    fn hosts_come_first(driver) {
        let scratch = scratch();
        let upstream = at(Ipv4Addr::LOCALHOST.octets(), free_port(), always("here"));
        let (dns, _zone) = zone(vec![a("localhost", 60, "127.0.0.9")]);
        let gateway = gateway(scratch.path(), driver, &dns, &[format!("localhost:{}", upstream.port)]);
        assert_eq!(get(&gateway, "localhost").as_deref(), Ok("here"));
        assert!(dns.asked().is_empty());
    }
}
