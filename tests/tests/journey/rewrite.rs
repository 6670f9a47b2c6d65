//! What happens to fields between the client and the upstream.

use ferrule_tests::{Head, Setup, Upstream, echo, on_both_drivers, raw, scratch};

const CONFIG: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"
X-Client-Dn = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.add = { X-Many = "second" }
headers.set = { X-Set = "$request_method-$uri-$args", X-Host = "${host}", X-Empty = "$http_absent", X-Over = "ours" }
headers.remove = ["X-Gone"]
"#;

/// The head that the upstream saw of a request with these field lines.
fn seen(driver: ferrule_tests::Driver, fields: &str) -> Head {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let gateway =
        Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream.port).start();
    let request = format!("GET /p?q=1 HTTP/1.1\r\nHost: Some.Test:8080\r\n{fields}\r\n");
    let mut raw = raw::plain(gateway.port("front"));
    raw.send(request.as_bytes()).expect("a connection");
    let answer = raw.response("GET").expect("a response");
    assert_eq!(answer.status(), 200, "{answer:?}");
    Head { raw: answer.text() }
}

on_both_drivers! {
    fn fields_are_added_set_and_removed(driver) {
        let head = seen(
            driver,
            "X-Many: first\r\nX-Gone: 1\r\nx-gone: 2\r\nX-Over: theirs\r\nX-Empty: theirs\r\nX-Kept:  a  b \r\n",
        );
        assert_eq!(head.start(), "GET /p?q=1 HTTP/1.1");
        assert_eq!(head.all("host"), ["Some.Test:8080"]);
        assert_eq!(head.all("x-many"), ["first", "second"]);
        assert_eq!(head.all("x-set"), ["GET-/p-q=1"]);
        assert_eq!(head.all("x-host"), ["some.test"]);
        assert_eq!(head.all("x-over"), ["ours"]);
        assert_eq!(head.all("x-kept"), ["a  b"]);
        assert!(head.all("x-gone").is_empty());
        assert!(head.all("x-empty").is_empty(), "an empty value sends nothing: {head:?}");
    }

    /// What concerns this connection alone ends here, whoever names it.
    fn hop_by_hop_fields_stay_here(driver) {
        let head = seen(
            driver,
            "Connection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
             X-Named: 1\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Other: 1\r\n",
        );
        for name in ["keep-alive", "proxy-connection", "x-named", "te", "upgrade"] {
            assert!(head.all(name).is_empty(), "{name}: {head:?}");
        }
        assert_eq!(head.all("x-other"), ["1"]);
        assert!(!head.raw.contains("X-Named"), "{head:?}");
    }

    /// A client must not be able to take away what the gateway sets, nor to say it itself.
    fn identity_cannot_be_spoofed(driver) {
        let head = seen(
            driver,
            "Connection: X-Client-Verify, X-Set, Host\r\nX-Client-Verify: SUCCESS\r\n\
             x_client_verify: SUCCESS\r\nX-CLIENT_DN: CN=root\r\nX-Client-Dn: CN=root\r\n",
        );
        for name in ["x-client-dn", "x_client_dn", "x-client_dn", "x_client_verify"] {
            assert!(head.all(name).is_empty(), "{name}: {head:?}");
        }
        assert!(!head.raw.contains("SUCCESS"), "{head:?}");
        assert_eq!(head.all("x-set"), ["GET-/p-q=1"]);
        assert_eq!(head.all("host").len(), 1);
    }

    /// An application that reads `.` or `~` as `-` must not be told by the client what a rule has taken
    /// out or set.
    fn rules_hold_for_every_spelling(driver) {
        let signs = "!#$%&'*+.^_`|~";
        let field = |name: &str, sign: char| {
            format!("{}: theirs\r\n", name.replace('-', &sign.to_string()))
        };
        let fields: String =
            signs.chars().flat_map(|sign| ["X-Gone", "X-Over"].map(|name| field(name, sign))).collect();
        let head = seen(driver, &fields);
        assert!(!head.raw.contains("theirs"), "{head:?}");
        assert_eq!(head.all("x-over"), ["ours"]);
    }

    fn names_with_underscores_are_dropped(driver) {
        let head = seen(driver, "X_Under: 1\r\nX-Dash: 1\r\n");
        assert!(head.all("x_under").is_empty());
        assert_eq!(head.all("x-dash"), ["1"]);
    }
}
