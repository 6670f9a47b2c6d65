//! `traffic_split` (docs/routing.md): some requests of a route go to other upstreams, by conditions and by weight.

use std::path::Path;
use std::sync::Arc;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Setup, Upstream, free_port, on_both_drivers, poll, raw, scratch,
};

/// Answers with its name.
fn named(name: &'static str) -> Upstream {
    Upstream::plain(Arc::new(
        move |client| {
            while client.request().is_some() && client.answer(name.as_bytes()) {}
        },
    ))
}

/// A route to `own`, split like this.
fn before(dir: &Path, driver: Driver, nodes: &[Upstream; 3], split: &str) -> Gateway {
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n\
         [[upstreams]]\nid = \"own\"\nnodes = {{ \"127.0.0.1:@own@\" = 1 }}\n\
         [[upstreams]]\nid = \"b\"\nnodes = {{ \"127.0.0.1:@b@\" = 1 }}\n\
         [[upstreams]]\nid = \"dead\"\nnodes = {{ \"127.0.0.1:@dead@\" = 1 }}\n\
         [[routes]]\nuri = \"/*\"\nupstream_id = \"own\"\n{split}\n"
    );
    let [own, b, c] = nodes.each_ref().map(|node| node.port);
    let runtime = format!(
        "workers = 4\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
    );
    let setup = Setup::new(dir, driver, &text).runtime(&runtime);
    let setup =
        setup.log_line("access = { path = \"access.log\", format = '$uri $upstream_addr' }");
    setup.set("own", &own).set("b", &b).set("c", &c).set("dead", &free_port()).start()
}

/// Who answers the requests of one connection, which is one core.
fn answers(gateway: &Gateway, path: &str, count: usize) -> Vec<String> {
    let mut connection = raw::plain(gateway.port("front"));
    (0..count).map(|_| raw::get(&mut connection, "x", path).text()).collect()
}

on_both_drivers! {
    /// One in a hundred, exactly on each core, and over all of them off by no more than one for each.
    fn one_percent_of_ten_thousand_requests(driver) {
        let (scratch, nodes) = (scratch(), ["own", "b", "c"].map(named));
        let split = "traffic_split = { weighted_upstreams = [{ upstream_id = \"b\", weight = 1 }, { weight = 99 }] }";
        let gateway = before(scratch.path(), driver, &nodes, split);
        let first = answers(&gateway, "/", 200);
        assert_eq!(first.iter().filter(|name| *name == "b").count(), 2, "two rounds of one core");
        for connection in 0..98 {
            let count = if connection % 2 == 0 { 93 } else { 107 };
            assert_eq!(answers(&gateway, "/", count).len(), count);
        }
        let seen = nodes.each_ref().map(|node| node.seen().len());
        assert_eq!(seen.iter().sum::<usize>(), 10_000);
        assert!(seen[1].abs_diff(100) <= 4, "{seen:?}");
        let metrics = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics").text();
        let asked = Exposition::read(&metrics).sum("ferrule_upstream_requests_total", &[("upstream", "b")]);
        assert_eq!(asked, f64::from(u32::try_from(seen[1]).expect("a hundred or so")));
    }

    /// The first rule whose conditions hold; without one, the route's own upstream.
    fn conditions_come_first(driver) {
        let (scratch, nodes) = (scratch(), ["own", "b", "c"].map(named));
        let split = "[[routes.traffic_split]]\nvars = [[\"http_x_beta\", \"==\", \"1\"]]\n\
                     weighted_upstreams = [{ upstream_id = \"b\" }]\n\
                     [[routes.traffic_split]]\nvars = [[\"OR\", [\"http_x_beta\", \"==\", \"1\"], [\"arg_c\", \"~~\", \"^y\"]]]\n\
                     weighted_upstreams = [{ upstream = { nodes = { \"127.0.0.1:@c@\" = 1 } }, weight = 1 }, { upstream_id = \"dead\", weight = 0 }]\n\
                     [[routes.traffic_split]]\nvars = [[\"uri\", \"==\", \"/dead\"]]\n\
                     weighted_upstreams = [{ upstream_id = \"dead\" }]\n\
                     [[routes.traffic_split]]\nvars = [[\"uri\", \"==\", \"/same\"]]\n";
        let gateway = before(scratch.path(), driver, &nodes, split);
        let mut connection = raw::plain(gateway.port("front"));
        for (line, fields, wanted) in [
            ("GET /", "", "own"),
            ("GET /", "X-Beta: 1\r\n", "b"),
            ("GET /?c=yes", "X-Beta: 1\r\n", "b"),
            ("GET /?c=yes", "X-Beta: 2\r\n", "c"),
            ("GET /?c=no", "", "own"),
            ("GET /same", "", "own"),
        ] {
            for _ in 0..3 {
                let request = format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
                connection.send(request.as_bytes()).expect("a connection");
                let answer = connection.response("GET").expect("an answer");
                assert_eq!((answer.status(), answer.text().as_str()), (200, wanted), "{request}");
            }
        }
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/dead").status(), 502);
        let port = nodes[2].port;
        let line = format!("/ 127.0.0.1:{port}");
        let logged = poll(PATIENCE, || {
            let text = std::fs::read_to_string(scratch.path().join("access.log")).ok()?;
            text.lines().any(|one| one == line).then_some(())
        });
        assert!(logged.is_some(), "the upstream that was chosen is logged");
    }
}
