//! `limits` (docs/request-limits.md): requests in a window, per second and at one time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, Head, Message, PATIENCE, Raw, Reloaded, Script, Setup, Upstream, now,
    on_both_drivers, poll, raw, scratch,
};

use crate::observe::ctl;
use crate::tunnel;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[[upstreams]]
id = "far"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[global_rules]]
@rule@

[[services]]
id = "both"
upstream_id = "far"
@service@

[[routes]]
id = "one"
uris = ["/one*", "/chat"]
service_id = "both"
enable_websocket = true
@one@

[[routes]]
id = "two"
uri = "/two"
service_id = "both"
@two@
"#;

const LOG: &str = r#"access = { path = "access.log", format = "$request_uri $status $outcome" }"#;

/// Lines of the rule, the service and the two routes.
#[derive(Clone, Copy, Default)]
struct Lines<'a> {
    rule: &'a str,
    service: &'a str,
    one: &'a str,
    two: &'a str,
}

impl Lines<'_> {
    fn text(self) -> String {
        let text = CONFIG.replace("@rule@", self.rule).replace("@service@", self.service);
        text.replace("@one@", self.one).replace("@two@", self.two)
    }
}

fn start(dir: &Path, driver: Driver, cores: u32, port: u16, lines: Lines<'_>) -> Gateway {
    let runtime = format!("workers = {cores}\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
    let setup = Setup::new(dir, driver, &lines.text()).runtime(&runtime).log_line(LOG);
    setup.set("upstream", &port).start()
}

/// Answers every request.
fn answering() -> Script {
    Arc::new(|client| while client.request().is_some() && client.answer(b"yes") {})
}

/// Answers when it is told to; what asks for `broken` loses its connection.
fn held(go: &Arc<AtomicBool>) -> Script {
    let go = Arc::clone(go);
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            if request.head.target().ends_with("broken") {
                return;
            }
            poll(PATIENCE, || go.load(Ordering::SeqCst).then_some(()));
            if !client.answer(b"yes") {
                return;
            }
        }
    })
}

fn get(gateway: &Gateway, target: &str) -> Message {
    raw::plain_get(gateway.port("front"), "x", target)
}

/// With this value of `X-User`.
fn get_as(gateway: &Gateway, target: &str, user: &str) -> Message {
    let mut client = raw::plain(gateway.port("front"));
    let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n");
    client.send(head.as_bytes()).expect("a gateway");
    client.response("GET").expect("an answer")
}

/// A client whose request is on its way.
fn ask(gateway: &Gateway, target: &str) -> Raw {
    let mut client = raw::plain(gateway.port("front"));
    client.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("a gateway");
    client
}

fn until(is: impl Fn() -> bool) -> bool {
    poll(PATIENCE, || is().then_some(())).is_some()
}

fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    Exposition::read(&answer.text()).sum(name, labels)
}

fn limited(gateway: &Gateway, limit: &str, action: &str) -> f64 {
    metric(gateway, "ferrule_limited_total", &[("limit", limit), ("action", action)])
}

/// How many keys a limit knows.
fn keys(gateway: &Gateway, limit: &str) -> f64 {
    metric(gateway, "ferrule_limit_keys", &[("limit", limit)])
}

fn quota(answer: &Message) -> [Option<&str>; 2] {
    ["X-RateLimit-Limit", "X-RateLimit-Remaining"].map(|name| answer.head.get(name))
}

fn seconds(answer: &Message, name: &str) -> u64 {
    answer.head.get(name).and_then(|text| text.parse().ok()).expect("a number of seconds")
}

on_both_drivers! {
    /// Headers, status and message are APISIX's; what is counted is the key.
    fn a_window_counts_down_for_each_key(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(answering());
        let one = "limits.requests = { count = 2, window = \"300s\", key = \"$http_x_user\", \
                   status = 429, message = \"too \\\"many\\\"\" }";
        let gateway = start(scratch.path(), driver, 2, upstream.port, Lines { one, ..Lines::default() });
        for left in ["1", "0"] {
            let answer = get_as(&gateway, "/one", "alice");
            assert_eq!((answer.status(), quota(&answer)), (200, [Some("2"), Some(left)]));
            let reset = seconds(&answer, "X-RateLimit-Reset");
            assert!((200..=300).contains(&reset), "{reset}");
        }
        let refused = get_as(&gateway, "/one", "alice");
        assert_eq!((refused.status(), quota(&refused)), (429, [Some("2"), Some("0")]));
        assert_eq!(refused.text(), r#"{"error_msg":"too \"many\""}"#);
        assert_eq!(refused.head.get("Content-Type"), Some("application/json"));
        assert!((200..=300).contains(&seconds(&refused, "Retry-After")));
        assert_eq!(get_as(&gateway, "/one", "bob").status(), 200);
        // Without a value it is the client's address, which is another key.
        assert_eq!((get(&gateway, "/one").status(), get(&gateway, "/one").status()), (200, 200));
        assert_eq!(get(&gateway, "/one").status(), 429);
        let other = get(&gateway, "/two");
        assert_eq!((other.status(), quota(&other)), (200, [None, None]));
        assert_eq!(upstream.seen().len(), 6, "what is refused is not sent");
        assert!((limited(&gateway, "routes one requests[0]", "refused") - 2.0).abs() < 0.1);
        let reason = [("reason", "request-limit")];
        assert!((metric(&gateway, "ferrule_refusals_total", &reason) - 2.0).abs() < 0.1);
        let (_, table, _) = ctl(scratch.path(), &["limits"]);
        assert!(table.contains("routes one requests[0]"), "{table}");
        let log = || std::fs::read_to_string(scratch.path().join("access.log")).unwrap_or_default();
        assert!(until(|| log().contains("/one 429 request-limit")), "{}", log());
    }

    /// A kept connection is kept, and a HEAD has no body.
    fn whoever_is_refused_may_ask_again(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(answering());
        let one = "limits.requests = { count = 1, window = \"300s\", key = \"$remote_addr\", message = \"no\" }";
        let gateway = start(scratch.path(), driver, 1, upstream.port, Lines { one, ..Lines::default() });
        let mut client = raw::plain(gateway.port("front"));
        assert_eq!(raw::get(&mut client, "x", "/one").status(), 200);
        assert_eq!(raw::get(&mut client, "x", "/one").status(), 503);
        client.send(b"HEAD /one HTTP/1.1\r\nHost: x\r\n\r\n").expect("a gateway");
        let head = client.response("HEAD").expect("an answer");
        assert_eq!((head.status(), head.text(), head.head.get("Content-Length")), (503, String::new(), Some("18")));
        assert_eq!(raw::get(&mut client, "x", "/two").status(), 200);
    }

    /// A service's limit is one counter for its routes, a rule's holds besides, and equal groups count together.
    fn services_rules_and_groups_count_over_routes(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(answering());
        let rule = "limits.requests = { count = 4, window = \"300s\", key = \"$host\", show_headers = false }";
        let service = "limits.requests = { count = 2, window = \"300s\", key = \"$host\", status = 429 }";
        let lines = Lines { rule, service, ..Lines::default() };
        let mut gateway = start(scratch.path(), driver, 2, upstream.port, lines);
        let ask = |gateway: &Gateway, target| get(gateway, target).status();
        assert_eq!([ask(&gateway, "/one"), ask(&gateway, "/two"), ask(&gateway, "/one"), ask(&gateway, "/two")], [200, 200, 429, 429]);
        // All four have passed the rule.
        assert_eq!(ask(&gateway, "/one"), 503);
        assert!((limited(&gateway, "services both requests[0]", "refused") - 2.0).abs() < 0.1);
        assert!((limited(&gateway, "global_rules[0] requests[0]", "refused") - 1.0).abs() < 0.1);
        // What stays the same goes on over a reload, and what is new begins anew.
        let group = "limits.requests = { count = 1, window = \"300s\", key = \"$host\", group = \"g\" }";
        let lines = Lines { service, one: group, two: group, ..Lines::default() };
        assert_eq!(gateway.reload(&lines.text()), Reloaded::Taken);
        assert_eq!([ask(&gateway, "/one"), ask(&gateway, "/two")], [200, 503]);
        let lines = Lines { service, ..Lines::default() };
        assert_eq!(gateway.reload(&lines.text()), Reloaded::Taken);
        assert_eq!(ask(&gateway, "/one"), 200);
        let lines = Lines { service, two: "priority = 1", ..Lines::default() };
        assert_eq!(gateway.reload(&lines.text()), Reloaded::Taken);
        assert_eq!([ask(&gateway, "/one"), ask(&gateway, "/one")], [200, 429]);
    }

    /// As limit-req: those ahead of their time wait for it, and those beyond the burst are refused.
    fn a_bucket_holds_back_and_refuses(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(answering());
        let one = "limits.rate = { rate = 0.2, burst = 1, key = \"$remote_addr\" }";
        let two = "limits.rate = { rate = 0.01, burst = 2, nodelay = true, key = \"$remote_addr\", status = 429 }";
        let gateway = start(scratch.path(), driver, 2, upstream.port, Lines { one, two, ..Lines::default() });
        let began = now();
        assert_eq!(get(&gateway, "/one").status(), 200);
        // The second is as much ahead as it comes sooner than 5 s after that, and waits for it.
        assert_eq!(get(&gateway, "/one").status(), 200);
        assert!(began.elapsed() >= Duration::from_millis(4_990), "{:?}", began.elapsed());
        assert!((limited(&gateway, "routes one rate[0]", "delayed") - 1.0).abs() < 0.1);
        let statuses: Vec<_> = (0..4).map(|_| get(&gateway, "/two")).collect();
        let found: Vec<_> = statuses.iter().map(Message::status).collect();
        assert_eq!(found, [200, 200, 200, 429]);
        let retry = seconds(&statuses[3], "Retry-After");
        assert!((1..=100).contains(&retry), "{retry}");
        assert!(until(|| limited(&gateway, "routes two rate[0]", "refused") > 0.5));
    }

    /// Whoever leaves while it is held back is not sent.
    fn a_client_that_leaves_is_not_held_back(driver) {
        let scratch = scratch();
        let one = "limits.connections = { connections = 1, burst = 1, delay = \"50s\", \
                   only_use_default_delay = true, key = \"$remote_addr\" }";
        let go = Arc::new(AtomicBool::new(false));
        let slow = Upstream::plain(held(&go));
        let gateway = start(scratch.path(), driver, 1, slow.port, Lines { one, ..Lines::default() });
        let mut first = ask(&gateway, "/one/1");
        assert!(until(|| slow.seen().len() == 1));
        let second = ask(&gateway, "/one/2");
        assert!(until(|| limited(&gateway, "routes one connections[0]", "delayed") > 0.5));
        assert_eq!(get(&gateway, "/one/3").status(), 503, "two are under way");
        drop(second);
        let log = || std::fs::read_to_string(scratch.path().join("access.log")).unwrap_or_default();
        assert!(until(|| log().contains("/one/2 ") && log().contains("client-left")), "{}", log());
        go.store(true, Ordering::SeqCst);
        assert_eq!(first.response("GET").expect("an answer").status(), 200);
        assert_eq!(slow.seen().len(), 1, "it was not sent");
    }

    /// A place is given back however an exchange ends: answered, the client gone, the upstream gone.
    fn places_come_back_whatever_happens(driver) {
        let scratch = scratch();
        let go = Arc::new(AtomicBool::new(false));
        let upstream = Upstream::plain(held(&go));
        let one = "limits.connections = { connections = 1, key = \"$remote_addr\", status = 429 }";
        let gateway = start(scratch.path(), driver, 2, upstream.port, Lines { one, ..Lines::default() });
        // The client leaves.
        let first = ask(&gateway, "/one");
        assert!(until(|| upstream.seen().len() == 1));
        assert_eq!(get(&gateway, "/one").status(), 429);
        assert_eq!(quota(&get(&gateway, "/one")), [None, None]);
        drop(first);
        let log = || std::fs::read_to_string(scratch.path().join("access.log")).unwrap_or_default();
        assert!(until(|| log().contains("client-left")), "{}", log());
        go.store(true, Ordering::SeqCst);
        // Its place comes back when the answer has been delivered: a client may be a moment ahead of that.
        let asked = |target: &str, wanted: &[u16]| {
            until(|| wanted.contains(&get(&gateway, target).status()))
        };
        assert!((0..20).all(|_| asked("/one", &[200])));
        // The upstream does not answer.
        assert!((0..5).all(|_| asked("/one/broken", &[502, 503, 504])));
        assert!(until(|| keys(&gateway, "routes one connections[0]") < 0.5));
    }

    /// A tunnel is under way until its end.
    fn a_tunnel_holds_its_place(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(tunnel::echoing());
        let one = "limits.connections = { connections = 1, key = \"$remote_addr\", status = 429 }";
        let lines = Lines { one, ..Lines::default() };
        let gateway = start(scratch.path(), driver, 2, upstream.port, lines);
        let tunnel = tunnel::open(raw::plain(gateway.port("front")));
        assert_eq!(get(&gateway, "/one").status(), 429);
        drop(tunnel);
        // Not found out by asking again and again: each of those might take the place for a while.
        assert!(until(|| keys(&gateway, "routes one connections[0]") == 0.0), "its place is free");
        assert_eq!(get_upgrade(&gateway).status(), 101);
    }
}

/// An upgrade that is asked for.
fn get_upgrade(gateway: &Gateway) -> Head {
    let mut client = raw::plain(gateway.port("front"));
    let ask = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    client.send(ask.as_bytes()).expect("a gateway");
    client.head().expect("a head").expect("not an end")
}

/// Asks so often for each of so many keys, over as many connections as there are cores, and more. How many have passed,
/// by key.
fn passed_by_key(gateway: &Gateway, keys: usize, each: usize) -> Vec<usize> {
    const CLIENTS: usize = 8;
    let counts = thread::scope(|scope| {
        let client = |number: usize| {
            let port = gateway.port("front");
            scope.spawn(move || {
                let (mut client, mut passed) = (raw::plain(port), vec![0; keys]);
                for at in (number..keys * each).step_by(CLIENTS) {
                    // Keys in turn, and not the same ones over the same connection.
                    let key = (at / CLIENTS + number) % keys;
                    let head = format!("GET /one HTTP/1.1\r\nHost: x\r\nX-User: {key}\r\n\r\n");
                    client.send(head.as_bytes()).expect("a gateway");
                    let answer = client.response("GET").expect("an answer");
                    passed[key] += usize::from(answer.status() == 200);
                    if answer.head.get("Connection") == Some("close") {
                        client = raw::plain(port);
                    }
                }
                passed
            })
        };
        let mut clients = Vec::new();
        clients.extend((0..CLIENTS).map(client));
        clients.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    (0..keys).map(|key| counts.iter().map(|passed| passed[key]).sum()).collect()
}

/// Of `each` requests with a key, `may` pass: no more, and no fewer than 99 in a hundred of them.
fn cores_count_together(driver: Driver, keys: usize, each: usize, may: usize) {
    let scratch = scratch();
    let upstream = Upstream::plain(answering());
    let one =
        format!("limits.requests = {{ count = {may}, window = \"1h\", key = \"$http_x_user\" }}");
    let lines = Lines { one: &one, ..Lines::default() };
    let gateway = start(scratch.path(), driver, 4, upstream.port, lines);
    let passed = passed_by_key(&gateway, keys, each);
    assert!(passed.iter().all(|passed| (may * 99 / 100..=may).contains(passed)), "{passed:?}");
    let refused = limited(&gateway, "routes one requests[0]", "refused");
    let wanted = keys * each - passed.iter().sum::<usize>();
    assert!((refused - f64::from(u32::try_from(wanted).expect("a count"))).abs() < 0.1);
}

on_both_drivers! {
    /// Each core takes three at once.
    fn four_cores_count_together(driver) {
        cores_count_together(driver, 2, 2_000, 1_536);
    }
}

#[test]
#[ignore = "a million requests take minutes"]
fn a_million_requests_of_a_hundred_keys() {
    cores_count_together(Driver::IoUring, 100, 10_000, 5_000);
}
