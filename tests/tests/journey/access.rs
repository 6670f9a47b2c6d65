//! Who may do what: lists of a server name and of routes, exempt paths, authorities of a route.

use std::path::Path;

use ferrule_tests::raw::alert;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Reloaded, Setup, Upstream, echo,
    on_both_drivers, poll, raw, scratch,
};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, SupportedProtocolVersion};

use crate::write_ca;

const LISTEN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
"#;

const ROUTE: &str = r#"
[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn gateway(dir: &Path, driver: Driver, authority: &Authority, text: &str) -> (Gateway, Upstream) {
    write_ca(dir, "ca", authority);
    authority.server(&["a.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// Status, and the body of a refusal.
fn ask(gateway: &Gateway, dial: &Dial, path: &str) -> (u16, String) {
    let answer = dial.get(gateway.port("front"), "a.test", path).expect("an answer");
    (answer.status(), answer.text())
}

fn ops(authority: &Authority) -> Leaf {
    let names =
        ["URI:spiffe://example.com/ns/pay/sa", "DNS:one.partner.com", "email:me@Example.com"];
    authority.client_named(&[("O", "Acme, Inc."), ("OU", "ops"), ("CN", "ops")], &names)
}

fn other(authority: &Authority) -> Leaf {
    // Every value is nearly one of those above.
    let names =
        ["URI:spiffe://example.com/ns/pay/sa/x", "DNS:a.one.partner.com", "email:me.x@example.com"];
    authority.client_named(&[("O", "Acme"), ("OU", "CN=ops"), ("CN", "ops2")], &names)
}

fn judged_anew(driver: Driver, version: &'static SupportedProtocolVersion) {
    let scratch = scratch();
    let authority = Authority::new("Root");
    let ops = ops(&authority);
    let with = |lists: &str| {
        format!("{LISTEN}client = {{ ca = 'ca.crt', on_revoke = 'keep', {lists} }}\n{ROUTE}")
    };
    let (mut gateway, upstream) =
        gateway(scratch.path(), driver, &authority, &with("allow = ['CN=ops']"));
    let dial = Dial::with(Some("a.test"), Some(&ops), &[version]).resuming();
    let mut kept = dial.connect(gateway.port("front")).expect("a handshake");
    assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);
    for (lists, status) in [
        ("allow = ['CN=nobody']", 403),
        ("deny = ['CN=ops']", 403),
        ("deny = ['CN=nobody']", 200),
        ("allow = ['CN=nobody']", 403),
        ("allow = ['CN=nobody', 'CN=ops']", 200),
    ] {
        assert_eq!(gateway.reload(&with(lists)), Reloaded::Taken);
        let before = upstream.seen().len();
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), status, "{lists}");
        // With the old session: it is bound to the lists, so this is a full handshake.
        let mut again = dial.connect(gateway.port("front")).expect("a handshake");
        assert!(!again.stream.is_resumed(), "{lists}");
        assert_eq!(raw::get(&mut again, "a.test", "/").status(), status, "{lists}");
        // Who is refused was given no session: its next handshake is a full one, too.
        let mut resumed = dial.connect(gateway.port("front")).expect("a handshake");
        assert_eq!(resumed.stream.is_resumed(), status == 200, "{lists}");
        assert_eq!(raw::get(&mut resumed, "a.test", "/").status(), status, "{lists}");
        let passed = upstream.seen().len() - before;
        assert_eq!(passed, if status == 200 { 3 } else { 0 }, "{lists}");
    }
}

on_both_drivers! {
    /// Each kind of match lets in the one it names, and not the one that is nearly so.
    fn a_list_names_whole_values(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        let (ops, other) = (ops(&authority), other(&authority));
        let (gateway, _upstream) = {
            let text = format!("{LISTEN}client.ca = \"ca.crt\"\n{ROUTE}");
            gateway(scratch.path(), driver, &authority, &text)
        };
        let mut gateway = gateway;
        for entry in [
            "'CN=ops'",
            "'OU=ops'",
            "'2.5.4.3=ops'",
            "'O=Acme, Inc.'",
            "'URI:spiffe://EXAMPLE.com/ns/pay/*'",
            "'URI:spiffe://example.com/ns/pay/sa'",
            "'DNS:*.partner.com'",
            "'DNS:one.PARTNER.com'",
            "\"email:me\\u0040example.COM\"",
            "['CN=ops', 'O=Acme, Inc.', 'issuer.CN=Root', 'issuer:CN=Root']",
            "'subject:CN=ops,OU=ops,O=Acme\\, Inc.'",
        ] {
            let allow = format!("{LISTEN}client = {{ ca = 'ca.crt', allow = [{entry}] }}\n{ROUTE}");
            assert_eq!(gateway.reload(&allow), Reloaded::Taken, "{entry}");
            let answer = ask(&gateway, &Dial::as_client("a.test", &ops), "/");
            assert_eq!(answer.0, 200, "{entry} {answer:?}");
            let answer = ask(&gateway, &Dial::as_client("a.test", &other), "/");
            let wanted = r#"{"error_msg":"403 Forbidden","reason":"client-not-allowed"}"#;
            assert_eq!(answer, (403, wanted.to_owned()), "{entry}");
            assert_eq!(ask(&gateway, &Dial::new(Some("a.test")), "/").0, 400, "{entry}");

            let deny = allow.replace("allow", "deny");
            assert_eq!(gateway.reload(&deny), Reloaded::Taken, "{entry}");
            let answer = ask(&gateway, &Dial::as_client("a.test", &ops), "/");
            let wanted = r#"{"error_msg":"403 Forbidden","reason":"client-denied"}"#;
            assert_eq!(answer, (403, wanted.to_owned()), "{entry}");
            assert_eq!(ask(&gateway, &Dial::as_client("a.test", &other), "/").0, 200, "{entry}");
        }
        let both = format!("{LISTEN}client = {{ ca = 'ca.crt', allow = ['CN=ops'], deny = ['OU=ops'] }}\n{ROUTE}");
        assert_eq!(gateway.reload(&both), Reloaded::Taken);
        assert!(ask(&gateway, &Dial::as_client("a.test", &ops), "/").1.contains("client-denied"));
    }

    /// The reason is told in the form that the client likes, and the operator's page may tell it.
    fn a_refusal_is_told_as_the_client_likes_it(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        std::fs::write(scratch.path().join("no.html"), "<h1>not you</h1>").expect("a page");
        let text = format!("{LISTEN}client = {{ ca = 'ca.crt', allow = ['CN=ops'] }}\n{ROUTE}");
        let (mut gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let dial = Dial::as_client("a.test", &other(&authority));
        let json = r#"{"error_msg":"403 Forbidden","reason":"client-not-allowed"}"#;
        let ask = |gateway: &Gateway, accept: &str| {
            let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
            let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: {accept}\r\n\r\n");
            raw.send(head.as_bytes()).expect("a connection");
            let answer = raw.response("GET").expect("an answer");
            assert_eq!(answer.status(), 403, "{answer:?}");
            answer.text()
        };
        for (accept, wanted) in [
            ("application/json", json),
            ("*/*", json),
            ("text/plain", "403 Forbidden\nReason: client-not-allowed\n"),
            ("text/html", "<p>Reason: client-not-allowed</p>"),
        ] {
            let body = ask(&gateway, accept);
            assert!(body.contains(wanted), "{accept}: {body}");
        }
        let page = format!("[http.error_pages]\n403 = 'no.html'\n{text}");
        assert_eq!(gateway.reload(&page), Reloaded::Taken);
        assert_eq!(ask(&gateway, "text/html"), "<h1>not you</h1>");
    }

    /// A refused client keeps its connection, and gets no session; a reload judges it anew, as it does
    /// one that resumes.
    fn a_live_connection_is_judged_anew(driver) {
        for version in [&TLS12, &TLS13] {
            judged_anew(driver, version);
        }
    }

    /// Who is not on the list any more has its idle connection ended, and nobody else.
    fn a_new_list_reaches_idle_connections(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        let with = |lists: &str| format!("{LISTEN}client = {{ ca = 'ca.crt', {lists} }}\n{ROUTE}");
        let (mut gateway, _upstream) =
            gateway(scratch.path(), driver, &authority, &with("deny = ['CN=nobody']"));
        let connect = |leaf: &Leaf| {
            let dial = Dial::as_client("a.test", leaf);
            let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
            assert_eq!(raw::get(&mut raw, "a.test", "/").status(), 200);
            raw
        };
        let (mut one, mut two) = (connect(&ops(&authority)), connect(&other(&authority)));
        assert_eq!(gateway.reload(&with("deny = ['CN=ops']")), Reloaded::Taken);
        assert!(one.is_closed());
        assert_eq!(raw::get(&mut two, "a.test", "/").status(), 200);
    }

    fn a_list_may_end_the_handshake(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        let text = format!(
            "{LISTEN}client = {{ ca = 'ca.crt', reject = 'handshake', allow = ['CN=ops'], deny = ['OU=left'] }}\n{ROUTE}"
        );
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let left = authority.client_named(&[("OU", "left"), ("CN", "ops")], &[]);
        assert_eq!(ask(&gateway, &Dial::as_client("a.test", &ops(&authority)), "/").0, 200);
        for (leaf, word) in [(&other(&authority), "client-not-allowed"), (&left, "client-denied")] {
            let refused = Dial::as_client("a.test", leaf).get(gateway.port("front"), "a.test", "/");
            let alert = refused.err().as_ref().and_then(alert);
            assert_eq!(alert, Some(AlertDescription::AccessDenied), "{word}");
            let told = poll(PATIENCE, || gateway.log().contains(word).then_some(()));
            assert!(told.is_some(), "{}", gateway.log());
        }
    }

    fn exempt_paths_need_no_certificate(driver) {
        let scratch = scratch();
        let (authority, strangers) = (Authority::new("Root"), Authority::new("Strangers"));
        let text = format!(
            "[identity_headers]\nX-Verify = \"$ssl_client_verify\"\n{LISTEN}client = {{ ca = 'ca.crt', \
             allow = ['CN=ops'], skip_mtls_uri_regex = ['^/healthz$', '^/open/'] }}\n{ROUTE}"
        );
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let nobody = Dial::new(Some("a.test"));
        let stranger = Dial::as_client("a.test", &strangers.client("ops"));
        let unlisted = Dial::as_client("a.test", &other(&authority));
        let listed = Dial::as_client("a.test", &ops(&authority));
        for (path, exempt) in [
            ("/healthz", true),
            ("/%68ealthz?x", true),
            // To some that is the path `/` of a host.
            ("//healthz", false),
            ("/open/a", true),
            ("/healthz/", false),
            ("/healthzz", false),
            ("/x/healthz", false),
            ("/x?/healthz", false),
            ("/x/open/", false),
            ("/", false),
        ] {
            for (dial, refused, verify) in [
                (&nobody, 400, "NONE"),
                (&stranger, 400, "FAILED:"),
                (&unlisted, 403, "SUCCESS"),
                (&listed, 200, "SUCCESS"),
            ] {
                let (status, text) = ask(&gateway, dial, path);
                assert_eq!(status, if exempt { 200 } else { refused }, "{path} {verify} {text}");
                if status == 200 {
                    assert!(text.contains(&format!("\r\nX-Verify: {verify}")), "{path} {text}");
                }
            }
        }
        // Exempt or not, a path with dots is no path.
        assert_eq!(ask(&gateway, &nobody, "/open/../x").0, 400);
    }

    /// The name asks; one route requires, another requires somebody, and has authorities of its own.
    fn a_route_may_require_more_than_its_name(driver) {
        let scratch = scratch();
        let (authority, partners) = (Authority::new("Root"), Authority::new("Partners"));
        write_ca(scratch.path(), "partners", &partners);
        let node = "upstream_id = 'up'\n";
        let text = format!(
            "[identity_headers]\nX-Verify = \"$ssl_client_verify\"\nX-Cert = \"$ssl_client_cert_rfc9440\"\n\
             {LISTEN}client = {{ ca = 'ca.crt', verify = 'optional_no_ca' }}\n\
             [[upstreams]]\nid = 'up'\nnodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n\
             [[routes]]\nuri = '/*'\n{node}\
             [[routes]]\nuri = '/mtls/*'\nclient.verify = 'on'\n{node}\
             [[services]]\nid = 's'\nclient.deny = ['OU=left']\n{node}\
             [[routes]]\nuri = '/ops/*'\nservice_id = 's'\nclient.allow = ['CN=ops']\n\
             [[routes]]\nuri = '/partners/*'\nclient.ca = 'partners.crt'\n{node}"
        );
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let reason = |word: &str| format!(r#"{{"error_msg":"403 Forbidden","reason":"{word}"}}"#);
        let (required, unverified) = ("client-certificate-required", "client-not-verified");
        let (unlisted, denied) = ("client-not-allowed", "client-denied");
        let left = authority.client_named(&[("OU", "left"), ("CN", "ops")], &[]);
        for (leaf, mtls, ops, partners) in [
            (None, required, required, required),
            (Some(ops(&authority)), "", "", unverified),
            (Some(authority.client("b")), "", unlisted, unverified),
            (Some(left), "", denied, unverified),
            (Some(partners.client("ops")), unverified, unverified, ""),
        ] {
            let dial = leaf.as_ref().map_or_else(|| Dial::new(Some("a.test")), |leaf| Dial::as_client("a.test", leaf));
            // All on one connection, and twice: an answer never depends on the one before it.
            let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
            for (path, word) in
                [("/", ""), ("/mtls/", mtls), ("/partners/", partners), ("/ops/", ops)].repeat(2)
            {
                let answer = raw::get(&mut raw, "a.test", path);
                if word.is_empty() {
                    assert_eq!(answer.status(), 200, "{path} {answer:?}");
                    let proven = answer.text().contains("\r\nX-Verify: SUCCESS\r\nX-Cert: :");
                    let stranger = leaf.is_none() || (path == "/" && partners.is_empty());
                    assert_eq!(proven, !stranger, "{path} {answer:?}");
                } else {
                    assert_eq!((answer.status(), answer.text()), (403, reason(word)), "{path}");
                }
            }
        }
    }

    /// On plain HTTP nobody has a certificate.
    fn a_route_that_requires_one_is_closed_on_plain_http(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@plain@\"\n{LISTEN}client.ca = 'ca.crt'\n{ROUTE}\
             client.allow = ['CN=ops']\n"
        );
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let answer = raw::plain_get(gateway.port("plain"), "a.test", "/");
        assert_eq!(answer.status(), 403, "{answer:?}");
        assert!(answer.text().contains("client-certificate-required"));
    }

    /// Names with other lists are other policies: a connection for one is none for the other (421).
    fn lists_are_part_of_a_names_policy(driver) {
        let scratch = scratch();
        let authority = Authority::new("Root");
        let second = LISTEN.split("[[ssls]]").nth(1).expect("a table").replace("a.test", "b.test");
        let text = format!(
            "{LISTEN}client.ca = 'ca.crt'\n[[ssls]]{second}client = {{ ca = 'ca.crt', allow = ['CN=ops'] }}\n{ROUTE}"
        );
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let front = gateway.port("front");
        let other = other(&authority);
        let get = |name: &str, host: &str| {
            Dial::as_client(name, &other).get(front, host, "/").expect("an answer").status()
        };
        assert_eq!((get("a.test", "a.test"), get("a.test", "b.test")), (200, 421));
        assert_eq!((get("b.test", "b.test"), get("b.test", "a.test")), (403, 403));
    }
}
