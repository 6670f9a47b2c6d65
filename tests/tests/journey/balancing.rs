//! Which node a request goes to, over real sockets: turns by weight, keys, open requests, latency, backups.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Script, Setup, Upstream, free_port, on_both_drivers, raw,
    scratch,
};

use crate::write_ca;

/// Answers with its name.
fn named(name: &'static str) -> Upstream {
    Upstream::plain(Arc::new(
        move |client| {
            while client.request().is_some() && client.answer(name.as_bytes()) {}
        },
    ))
}

/// One listener, and one upstream that says this of itself.
fn text(upstream: &str) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[[routes]]\nuri = \"/*\"\n\
         upstream_id = \"app\"\n[[upstreams]]\nid = \"app\"\n{upstream}"
    )
}

/// The names of the nodes that answer, on one connection: that is one core.
fn answers(gateway: &Gateway, count: usize) -> Vec<String> {
    let mut connection = raw::plain(gateway.port("front"));
    (0..count).map(|_| raw::get(&mut connection, "x", "/").text()).collect()
}

fn count(answers: &[String], name: &str) -> usize {
    answers.iter().filter(|answer| *answer == name).count()
}

/// Starts a gateway in front of nodes `a`, `b` and `c`.
fn before_three(
    dir: &std::path::Path,
    driver: Driver,
    nodes: &[Upstream; 3],
    more: &str,
) -> Gateway {
    let [a, b, c] = nodes.each_ref().map(|node| node.port);
    let nodes = format!(
        "nodes = {{ \"127.0.0.1:{a}\" = 3, \"127.0.0.1:{b}\" = 1, \"127.0.0.1:{c}\" = 0 }}\n"
    );
    Setup::new(dir, driver, &text(&format!("{nodes}{more}"))).start()
}

on_both_drivers! {
    fn turns_are_by_weight(driver) {
        let (scratch, nodes) = (scratch(), ["a", "b", "c"].map(named));
        let gateway = before_three(scratch.path(), driver, &nodes, "");
        let seen = answers(&gateway, 40);
        assert_eq!(["a", "b", "c"].map(|name| count(&seen, name)), [30, 10, 0]);
    }

    /// Four cores, many connections: no core is off by more than one request for each node.
    fn shares_are_kept_over_all_cores(driver) {
        let (scratch, nodes) = (scratch(), ["a", "b", "c"].map(named));
        let shares = [5, 3, 1];
        let each: Vec<_> = nodes.iter().zip(shares)
            .map(|(node, weight)| format!("\"127.0.0.1:{}\" = {weight}", node.port)).collect();
        let upstream = format!("nodes = {{ {} }}\n", each.join(", "));
        let runtime = format!(
            "workers = 4\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
        );
        let gateway = Setup::new(scratch.path(), driver, &text(&upstream)).runtime(&runtime).start();
        for connection in 0..40 {
            assert_eq!(answers(&gateway, 30 + connection).len(), 30 + connection);
        }
        let all: usize = (0..40).map(|connection| 30 + connection).sum();
        for (node, share) in nodes.iter().zip(shares) {
            let (got, due) = (node.seen().len(), all * share / 9);
            assert!(got.abs_diff(due) <= 5, "{got} of {due}");
        }
    }

    /// Whichever core serves them, equal keys go to one node; without the key it is the client's address.
    fn equal_keys_go_to_one_node(driver) {
        let (scratch, nodes) = (scratch(), ["a", "b", "c"].map(named));
        for (hash_on, key, field) in [
            ("header", "X-User", "X-User: "),
            ("cookie", "sid", "Cookie: a=1; sid="),
            ("vars_combinations", "$http_x_user$host", "X-User: "),
        ] {
            let chash = format!("type = \"chash\"\nhash_on = \"{hash_on}\"\nkey = \"{key}\"\n");
            let gateway = before_three(scratch.path(), driver, &nodes, &chash);
            let ask = |line: &str| {
                let request =
                    format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n");
                raw::exchange(gateway.port("front"), request.as_bytes()).0.text()
            };
            let mut of_users = Vec::new();
            for user in 0..24 {
                let seen = [(); 3].map(|()| ask(&format!("{field}user-{user}\r\n")));
                assert!(seen.iter().all(|name| *name == seen[0]), "{hash_on}: {seen:?}");
                of_users.push(seen[0].clone());
            }
            // A quarter of the ring is b's: that not one of 24 keys is there has a chance of 0.1 %, for each of
            // the ports that this run drew; c has no weight.
            assert!(count(&of_users, "a") > 0, "{of_users:?}");
            assert_eq!(count(&of_users, "c"), 0);
            let nobody = [(); 4].map(|()| ask(""));
            assert!(nobody.iter().all(|name| *name == nobody[0]), "{hash_on}: {nobody:?}");
        }
    }

    fn a_certificate_is_a_key(driver) {
        let (scratch, nodes) = (scratch(), ["a", "b", "c"].map(named));
        let dir = scratch.path();
        let authority = Authority::new("Root");
        write_ca(dir, "ca", &authority);
        authority.server(&["a.test"]).write(dir, "server");
        let [a, b, c] = nodes.each_ref().map(|node| node.port);
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\n\
             cert = \"server.crt\"\nkey = \"server.key\"\n[ssls.client]\nca = \"ca.crt\"\n[[routes]]\n\
             uri = \"/*\"\n[routes.upstream]\ntype = \"chash\"\nkey = \"ssl_client_fingerprint\"\n\
             nodes = {{ \"127.0.0.1:{a}\" = 1, \"127.0.0.1:{b}\" = 1, \"127.0.0.1:{c}\" = 1 }}\n"
        );
        let gateway = Setup::new(dir, driver, &text).start();
        let mut seen = Vec::new();
        for at in 0..16 {
            let leaf = authority.client(&format!("client {at}"));
            let ask = || {
                let dial = Dial::with(Some("a.test"), Some(&leaf), rustls::ALL_VERSIONS);
                let mut connection = dial.connect(gateway.port("front")).expect("a handshake");
                raw::get(&mut connection, "a.test", "/").text()
            };
            let own = [(); 3].map(|()| ask());
            assert!(own.iter().all(|name| *name == own[0]), "{own:?}");
            seen.push(own[0].clone());
        }
        assert!(seen.iter().any(|name| *name != seen[0]), "all sixteen on one node: {seen:?}");
    }

    /// A node holds a request; while it does, the other gets all that come.
    fn a_node_that_holds_requests_gets_fewer(driver) {
        let scratch = scratch();
        let (held, holding): (Sender<()>, Receiver<()>) = channel();
        let (free, wait): (Sender<()>, Receiver<()>) = channel();
        let wait = Mutex::new(wait);
        let script: Script = Arc::new(move |client| {
            while client.request().is_some() {
                held.send(()).expect("the test listens");
                // Ends when the test lets go, at the latest with the test itself.
                let _ = wait.lock().expect("no panic").recv();
                client.answer(b"slow");
            }
        });
        let (slow, fast) = (Upstream::plain(script), named("fast"));
        let nodes = format!(
            "type = \"least_conn\"\nnodes = {{ \"127.0.0.1:{}\" = 5, \"127.0.0.1:{}\" = 2 }}\n",
            slow.port, fast.port
        );
        let gateway = Setup::new(scratch.path(), driver, &text(&nodes))
            .runtime(&format!("workers = 1\nio_driver = \"{driver}\"\n"))
            .start();
        // The heavier is asked first, as long as neither has anything.
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut waiting: Vec<_> = (0..2).map(|_| raw::plain(gateway.port("front"))).collect();
        for connection in &mut waiting {
            connection.send(ask).expect("a connection");
            holding.recv_timeout(ferrule_tests::PATIENCE).expect("it goes to the slow one");
        }
        assert_eq!(count(&answers(&gateway, 20), "fast"), 20);
        for _ in &waiting {
            free.send(()).expect("the script waits");
        }
        for connection in &mut waiting {
            assert_eq!(connection.response("GET").expect("an answer").text(), "slow");
        }
        drop(free);
        let seen = answers(&gateway, 4);
        assert_eq!(count(&seen, "slow"), 4, "the counts are given back: {seen:?}");
    }

    /// Sooner answers of a node that fails do not draw requests.
    fn a_node_that_fails_soon_is_avoided(driver) {
        let scratch = scratch();
        let failing: Script = Arc::new(|client| {
            while client.request().is_some()
                && client.send(b"HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad")
            {}
        });
        let (bad, good) = (Upstream::plain(failing), named("good"));
        let nodes = format!(
            "type = \"ewma\"\nnodes = {{ \"127.0.0.1:{}\" = 1, \"127.0.0.1:{}\" = 1 }}\n",
            bad.port, good.port
        );
        let gateway = Setup::new(scratch.path(), driver, &text(&nodes)).start();
        let seen = answers(&gateway, 40);
        assert!(count(&seen, "good") >= 39, "{seen:?}");
    }

    /// Backups, and nodes of a lower priority, are asked only if nobody else answers.
    fn backups_are_asked_last(driver) {
        for rank in ["backup = true", "priority = -1"] {
            let (scratch, spare, dead) = (scratch(), named("spare"), free_port());
            let before = |first: u16| {
                text(&format!(
                    "nodes = [{{ host = \"127.0.0.1\", port = {}, {rank} }}, \
                     {{ host = \"127.0.0.1\", port = {first} }}]\n",
                    spare.port
                ))
            };
            let first = named("first");
            let mut gateway = Setup::new(scratch.path(), driver, &before(first.port)).start();
            assert_eq!(count(&answers(&gateway, 10), "first"), 10, "{rank}");
            gateway.reload(&before(dead));
            assert_eq!(count(&answers(&gateway, 10), "spare"), 10, "{rank}");
        }
    }
}
