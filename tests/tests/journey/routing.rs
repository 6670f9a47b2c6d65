//! Which request goes where, and what the gateway says when none does.

use ferrule_tests::raw::{exchange, plain_get};
use ferrule_tests::{Setup, Upstream, free_port, on_both_drivers, scratch};

/// Every node answers with its own name.
fn named(name: &'static str) -> Upstream {
    Upstream::plain(std::sync::Arc::new(move |client| {
        while client.request().is_some() {
            if !client.answer(name.as_bytes()) {
                return;
            }
        }
    }))
}

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[upstreams]]
id = "a"
nodes = { "127.0.0.1:@a@" = 1 }

[[upstreams]]
id = "b"
nodes = { "127.0.0.1:@b@" = 1 }

[[upstreams]]
id = "dead"
nodes = { "127.0.0.1:@dead@" = 1 }

[[routes]]
uri = "/exact"
upstream_id = "a"

[[routes]]
uri = "/*"
host = "host.test"
upstream_id = "b"

[[routes]]
uri = "/deep/*"
upstream_id = "a"

[[routes]]
uri = "/deep/er/*"
upstream_id = "b"

[[routes]]
uri = "/wild"
host = "*.wild.test"
upstream_id = "a"

[[routes]]
uri = "/read"
methods = ["GET"]
upstream_id = "a"

[[routes]]
uri = "/dead"
upstream_id = "dead"

[[routes]]
uri = "/twice"
upstream_id = "a"

[[routes]]
uri = "/twice"
priority = 5
methods = ["GET"]
upstream_id = "b"

[[services]]
id = "v1"
path_prefix = "/v1"
strip_path_prefix = true
upstream_id = "a"

[[routes]]
uri = "/inner"
service_id = "v1"
"#;

on_both_drivers! {
    fn the_most_exact_route_wins(driver) {
        let (scratch, a, b) = (scratch(), named("a"), named("b"));
        let gateway = Setup::new(scratch.path(), driver, CONFIG)
            .set("a", &a.port).set("b", &b.port).set("dead", &free_port()).start();
        let front = gateway.port("front");
        let cases = [
            ("any.test", "/exact", 200, "a"),
            ("any.test", "/exact?query=1", 200, "a"),
            ("any.test", "/exact/", 404, ""),
            ("host.test", "/exact", 200, "b"),
            ("HOST.test.:80", "/whatever", 200, "b"),
            ("any.test", "/deep/x", 200, "a"),
            ("any.test", "/deep/er/x", 200, "b"),
            ("one.wild.test", "/wild", 200, "a"),
            ("one.two.wild.test", "/wild", 200, "a"),
            ("wild.test", "/wild", 404, ""),
            ("any.test", "/twice", 200, "b"),
            ("any.test", "/nowhere", 404, ""),
            ("any.test", "/dead", 502, ""),
        ];
        for (host, path, status, body) in cases {
            let answer = plain_get(front, host, path);
            assert_eq!(answer.status(), status, "{host}{path}: {answer:?}");
            if status == 200 {
                assert_eq!(answer.text(), body, "{host}{path}");
            }
        }
        let (answer, _) = exchange(front, b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.head.get("allow"), Some("GET"));
        assert_eq!(plain_get(front, "any.test", "/v1/inner").text(), "a");
        let seen = a.seen();
        let last = seen.last().expect("the request just made");
        assert_eq!(last.message.head.target(), "/inner");
    }

    /// Where 404 is wanted there is no other one: what has a route for other methods is not told.
    fn a_wrong_method_may_find_nothing(driver) {
        let (scratch, a, b) = (scratch(), named("a"), named("b"));
        let text = format!("[http]\nwrong_method_status = 404\n{CONFIG}");
        let gateway = Setup::new(scratch.path(), driver, &text)
            .set("a", &a.port).set("b", &b.port).set("dead", &free_port()).start();
        let front = gateway.port("front");
        let post = |path: &str| {
            let head = format!("POST {path} HTTP/1.1\r\nHost: any.test\r\nContent-Length: 0\r\n\r\n");
            exchange(front, head.as_bytes()).0
        };
        let (wrong, nowhere) = (post("/read"), post("/nowhere"));
        assert_eq!((wrong.status(), wrong.head.get("allow"), wrong.text()), (404, None, nowhere.text()));
        assert_eq!(plain_get(front, "any.test", "/read").status(), 200);
    }

    /// A path is judged as the upstream will read it, and passed on as it came.
    fn a_disguised_path_is_not_another_path(driver) {
        let (scratch, a, b) = (scratch(), named("a"), named("b"));
        let gateway = Setup::new(scratch.path(), driver, CONFIG)
            .set("a", &a.port).set("b", &b.port).set("dead", &free_port()).start();
        let front = gateway.port("front");
        assert_eq!(plain_get(front, "any.test", "/deep/%65r/x").text(), "b");
        for bad in ["/deep/er/../x", "/deep/%2E./x", "/deep/%00", "/deep/%0a", "/deep/%zz"] {
            let (answer, closed) =
                exchange(front, format!("GET {bad} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            assert_eq!((answer.status(), closed), (400, true), "{bad}");
        }
    }
}
