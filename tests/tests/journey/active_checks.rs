//! Active checks (`upstreams.checks.active`): who is asked, over what, and what follows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, Nginx, PATIENCE, Script, Setup, Shape, Upstream, echo, free_port,
    on_both_drivers, poll, raw, scratch,
};

use crate::write_ca;

const LISTEN: &str = "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n\
                      [[listen]]\naddress = \"127.0.0.1:@front@\"\n\
                      [[routes]]\nuri = \"/*\"\nupstream_id = \"app\"\n";
const QUICK: &str = "timeout = \"5s\"\n\
                     healthy = { interval = \"100ms\", successes = 2 }\n\
                     unhealthy = { interval = \"100ms\", http_failures = 2, tcp_failures = 2, timeouts = 1 }\n";

/// An upstream with these nodes, more keys, and quick checks with these keys.
fn upstream(id: &str, nodes: &[u16], more: &str, checks: &str) -> String {
    let nodes: Vec<_> = nodes.iter().map(|port| format!("\"127.0.0.1:{port}\" = 1")).collect();
    format!(
        "[[upstreams]]\nid = \"{id}\"\nnodes = {{ {} }}\n{more}[upstreams.checks.active]\n{QUICK}{checks}",
        nodes.join(", ")
    )
}

/// Answers `/health` with a status that can be changed, and everything else with 200.
fn switchable(status: &Arc<AtomicU16>) -> Script {
    let status = Arc::clone(status);
    Arc::new(move |client| {
        while let Some(message) = client.request() {
            let status = match message.head.target() {
                "/health" => status.load(Ordering::SeqCst),
                _ => 200,
            };
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    })
}

fn scrape(gateway: &Gateway) -> Exposition {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text())
}

/// Waits until so many checks came to this.
fn checked(gateway: &Gateway, upstream: &str, result: &str, wanted: f64) {
    let labels = [("upstream", upstream), ("result", result)];
    let count = || scrape(gateway).sum("ferrule_upstream_checks_total", &labels);
    let found = poll(PATIENCE, || Some(count()).filter(|count| *count >= wanted));
    assert!(found.is_some(), "{upstream} {result}: {:#?}\n{}", scrape(gateway), gateway.log());
}

/// Waits for a line of the log with all of these parts.
fn logged(gateway: &Gateway, parts: &[&str]) -> String {
    let has = |line: &&str| parts.iter().all(|part| line.contains(part));
    let find = || gateway.log().lines().find(has).map(str::to_owned);
    let found = poll(PATIENCE, find);
    assert!(found.is_some(), "{parts:?}\n{}", gateway.log());
    found.expect("just seen")
}

fn lines(gateway: &Gateway, part: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(part)).count()
}

/// Requests of clients that a node has seen.
fn requests(upstream: &Upstream) -> usize {
    upstream.seen().iter().filter(|seen| seen.message.head.target() != "/health").count()
}

fn ask(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
    }
}

/// Does the gateway have the thread that checks?
fn has_thread(gateway: &Gateway) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.process.id())).expect("a process");
    tasks.filter_map(Result::ok).any(|task| {
        fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|name| name.trim() == "ferrule-check")
    })
}

fn start(dir: &Path, driver: Driver, text: &str) -> Gateway {
    Setup::new(dir, driver, text).start()
}

/// A server name that refuses clients without a certificate in the handshake.
fn strict_listener(dir: &Path) -> &'static str {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["up.test"]).write(dir, "up");
    authority.client("probe").write(dir, "probe");
    write_ca(dir, "other", &Authority::new("other"));
    "[[listen]]\naddress = \"127.0.0.1:@strict@\"\ntls = true\n\
     [[ssls]]\nsni = \"up.test\"\ncert = \"up.crt\"\nkey = \"up.key\"\n\
     client = { ca = \"ca.crt\", reject = \"handshake\" }\n"
}

on_both_drivers! {
    /// The node answers clients well: it is its check alone that sets it aside, and brings it back.
    fn a_node_that_fails_its_check_is_not_asked(driver) {
        let (scratch, status) = (scratch(), Arc::new(AtomicU16::new(200)));
        let good = Upstream::plain(switchable(&Arc::new(AtomicU16::new(200))));
        let bad = Upstream::plain(switchable(&status));
        let checks = "http_path = \"/health\"\nhost = \"probe.test\"\nreq_headers = [\"X-Probe: 1\"]\n";
        let text = format!("{LISTEN}{}", upstream("app", &[good.port, bad.port], "", checks));
        let gateway = start(scratch.path(), driver, &text);
        checked(&gateway, "app", "passed", 4.0);
        ask(&gateway, 8);
        assert!(requests(&good) > 0 && requests(&bad) > 0);
        let asked = bad.seen();
        let check = asked.iter().find(|seen| seen.message.head.target() == "/health").expect("a check");
        let head = &check.message.head;
        assert_eq!((head.get("host"), head.get("x-probe")), (Some("probe.test"), Some("1")));
        assert_eq!(head.get("connection"), Some("close"));

        status.store(503, Ordering::SeqCst);
        let node = format!("127.0.0.1:{}", bad.port);
        logged(&gateway, &["an upstream node fails its check", &node, "status 503"]);
        let before = requests(&bad);
        ask(&gateway, 20);
        assert_eq!(requests(&bad), before, "{}", gateway.log());

        status.store(302, Ordering::SeqCst);
        logged(&gateway, &["an upstream node works again", &node]);
        ask(&gateway, 20);
        assert!(requests(&bad) > before);
        assert_eq!(lines(&gateway, "fails its check"), 1, "{}", gateway.log());
        assert_eq!(lines(&gateway, "no node of an upstream has passed"), 0);
        checked(&gateway, "app", "status", 2.0);
    }

    /// Each failure has its reason in the log and its word in the metrics; a check that no node passes is told.
    fn every_failure_has_its_reason(driver) {
        let scratch = scratch();
        let stalls: Script = Arc::new(|client| while client.request().is_some() {});
        let stalls = Upstream::plain(stalls);
        let garbage = Upstream::plain(Arc::new(|client| {
            client.request();
            client.send(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n");
            client.request();
        }));
        let closes = Upstream::plain(Arc::new(|client| drop(client.request())));
        let missing = Upstream::plain(switchable(&Arc::new(AtomicU16::new(404))));
        let other = Upstream::plain(switchable(&Arc::new(AtomicU16::new(204))));
        let path = "http_path = \"/health\"\n";
        let text = [
            LISTEN.to_owned(),
            upstream("refused", &[free_port()], "", ""),
            upstream("stalls", &[stalls.port], "", "").replace("timeout = \"5s\"", "timeout = \"200ms\""),
            upstream("garbage", &[garbage.port], "", ""),
            upstream("closes", &[closes.port], "", ""),
            upstream("missing", &[missing.port], "", path),
            upstream("other", &[other.port], "", path),
            // It connects, and asks nothing.
            upstream("app", &[stalls.port], "", "type = \"tcp\"\n"),
        ];
        let gateway = start(scratch.path(), driver, &text.concat());
        for (id, reason, word) in [
            ("refused", "no connection: connection refused", "connect"),
            ("stalls", "timeout: no answer", "timeout"),
            ("garbage", "not an answer in HTTP", "not_http"),
            ("closes", "closed without an answer", "closed"),
            ("missing", "status 404", "status"),
        ] {
            let upstream = format!("upstream=\"{id}\"");
            logged(&gateway, &["an upstream node fails its check", &upstream, reason]);
            logged(&gateway, &["no node of an upstream has passed its check", &upstream, reason, "http_path"]);
            checked(&gateway, id, word, 2.0);
        }
        logged(&gateway, &["no node of an upstream has passed its check", "upstream=\"other\"", "status 204"]);
        checked(&gateway, "other", "other_status", 5.0);
        checked(&gateway, "app", "passed", 5.0);
        for id in ["other", "app"] {
            let own = format!("upstream=\"{id}\"");
            let log = gateway.log();
            assert!(!log.lines().any(|line| line.contains("fails its check") && line.contains(&own)), "{log}");
        }
    }

    /// nginx as a node demands a certificate: the upstream's own is shown by its checks.
    fn a_check_shows_the_upstreams_certificate(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let strict = strict_listener(dir);
        let (port, at) = (free_port(), dir.display());
        let http = format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_certificate {at}/up.crt; ssl_certificate_key {at}/up.key;\n\
             ssl_client_certificate {at}/ca.crt; ssl_verify_client on;\n\
             location / {{ return 200 ok; }} }}"
        );
        let _nginx = Nginx::start(dir, port, &http, Shape::Single);
        let tls = |keys: &str| format!("scheme = \"https\"\ntls = {{ {keys}, server_name = \"up.test\" }}\n");
        let own = "client_cert = \"probe.crt\", client_key = \"probe.key\", ca = \"ca.crt\"";
        let strict_node = "127.0.0.1:@strict@";
        // The route is served to anybody here, and to clients with a certificate there.
        let front = LISTEN.replace("@front@\"\n", "@front@\"\nmtls_routes = \"allow\"\n");
        let text = [
            front,
            strict.to_owned(),
            upstream("app", &[port], &tls(own), ""),
            upstream("bare", &[port], &tls("ca = \"ca.crt\""), ""),
            upstream("stranger", &[port], &tls("ca = \"other.crt\""), ""),
            upstream("plain", &[port], "", ""),
            upstream("alert", &[1], &tls("ca = \"ca.crt\""), "").replace("127.0.0.1:1", strict_node),
            upstream("shown", &[1], &tls(own), "type = \"tcp\"\n").replace("127.0.0.1:1", strict_node),
        ];
        let gateway = start(dir, driver, &text.concat());
        checked(&gateway, "app", "passed", 4.0);
        checked(&gateway, "shown", "passed", 2.0);
        for (id, reason, word) in [
            ("bare", "status 400, as nginx answers a client without a certificate", "status"),
            ("stranger", "TLS: unable to verify the first certificate", "tls"),
            ("plain", "status 400", "status"),
            ("alert", "TLS: the node refuses with the alert CertificateRequired", "tls"),
        ] {
            let upstream = format!("upstream=\"{id}\"");
            logged(&gateway, &["an upstream node fails its check", &upstream, reason]);
            checked(&gateway, id, word, 2.0);
        }
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").text(), "ok");
    }

    /// A node that wants a PROXY protocol header gets one that names no client.
    fn a_check_begins_with_a_proxy_header(driver) {
        let (scratch, node) = (scratch(), Upstream::plain(echo()));
        let proxied = "[[listen]]\naddress = \"127.0.0.1:@proxied@\"\nproxy_protocol = true\n\
                       proxy_protocol_trusted = [\"127.0.0.0/8\"]\n";
        let v2 = upstream("second", &[1], "proxy_protocol = \"v2\"\n", "");
        let v1 = upstream("first", &[1], "proxy_protocol = \"v1\"\n", "");
        let none = upstream("none", &[1], "", "");
        let nodes = [v1, v2, none].concat().replace("127.0.0.1:1\"", "127.0.0.1:@proxied@\"");
        let text = [LISTEN, proxied, &upstream("app", &[node.port], "", ""), &nodes].concat();
        let gateway = start(scratch.path(), driver, &text);
        checked(&gateway, "first", "passed", 2.0);
        checked(&gateway, "second", "passed", 2.0);
        logged(&gateway, &["an upstream node fails its check", "upstream=\"none\""]);
    }

    /// A reload changes no verdict where nothing changed, and the thread is there only while it is needed.
    fn checks_go_on_over_reloads(driver) {
        let (scratch, status) = (scratch(), Arc::new(AtomicU16::new(503)));
        let good = Upstream::plain(switchable(&Arc::new(AtomicU16::new(200))));
        let bad = Upstream::plain(switchable(&status));
        let without = format!(
            "{LISTEN}[[upstreams]]\nid = \"app\"\nnodes = {{ \"127.0.0.1:{}\" = 1, \"127.0.0.1:{}\" = 1 }}\n",
            good.port, bad.port
        );
        let with = format!(
            "{LISTEN}{}", upstream("app", &[good.port, bad.port], "", "http_path = \"/health\"\n")
        );
        let mut gateway = start(scratch.path(), driver, &without);
        ask(&gateway, 4);
        assert!(!has_thread(&gateway));
        gateway.reload(&with);
        logged(&gateway, &["an upstream node fails its check", "status 503"]);
        assert!(has_thread(&gateway));
        let before = requests(&bad);
        gateway.reload(&format!("{with}# another generation\n"));
        let checks = bad.seen().len();
        let more = poll(PATIENCE, || (bad.seen().len() > checks + 4).then_some(()));
        assert!(more.is_some(), "{}", gateway.log());
        ask(&gateway, 10);
        assert_eq!(requests(&bad), before);
        assert_eq!(lines(&gateway, "an upstream node fails its check"), 1, "{}", gateway.log());
        gateway.reload(&without);
        let gone = poll(PATIENCE, || (!has_thread(&gateway)).then_some(()));
        assert!(gone.is_some(), "the thread is still there");
        gateway.reload(&with);
        let checks = bad.seen().len();
        let again = poll(PATIENCE, || (bad.seen().len() > checks + 2).then_some(()));
        assert!(again.is_some() && has_thread(&gateway), "{}", gateway.log());
    }
}
