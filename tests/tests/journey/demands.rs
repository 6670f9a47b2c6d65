//! Who is refused for an address, a token's claim or a condition, in whichever way a request is read.

use std::path::Path;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, Reloaded, Setup, Upstream, echo, on_both_drivers, raw,
    scratch,
};

use crate::write_ca;

const LISTEN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@plain@"

[[listen]]
address = "127.0.0.1:@balanced@"
proxy_protocol = true
proxy_protocol_trusted = ["127.0.0.1"]

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional_no_ca" }
"#;

fn route(uris: &str, more: &str) -> String {
    format!(
        "\n[[routes]]\nuris = [{uris}]\nupstream.nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n{more}\n"
    )
}

fn gateway(dir: &Path, driver: Driver, authority: &Authority, routes: &str) -> (Gateway, Upstream) {
    write_ca(dir, "ca", authority);
    authority.server(&["a.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let text = format!("{LISTEN}{routes}");
    let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// Status and body, for a client whose address a load balancer tells.
fn from(gateway: &Gateway, address: &str, path: &str) -> (u16, String) {
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    let end = if address.contains(':') { "::1" } else { "127.0.0.1" };
    let head = format!(
        "PROXY {family} {address} {end} 1 2\r\nGET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    );
    let (answer, _) = raw::exchange(gateway.port("balanced"), head.as_bytes());
    (answer.status(), answer.text())
}

const REFUSED: &str = "{\"message\":\"Your IP address is not allowed\"}";

/// The SHA-256 of a certificate as a token names it, by OpenSSL.
fn thumbprint(dir: &Path, leaf: &Leaf) -> String {
    leaf.write(dir, "thumb");
    let script = "openssl x509 -in thumb.crt -outform DER | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d '='";
    ferrule_tests::shell(dir, script).trim().to_owned()
}

fn status(gateway: &Gateway, dial: &Dial, fields: &str) -> u16 {
    let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
    let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    raw.send(head.as_bytes()).expect("a connection");
    raw.response("GET").expect("an answer").status()
}

on_both_drivers! {
    fn an_address_is_let_in_or_kept_out_by_ranges(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let routes = [
            route("\"/in\", \"/in/*\"", "client.allow_addrs = [\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"]"),
            route("\"/out\", \"/out/*\"", "client = { deny_addrs = [\"10.0.0.0/8\", \"::ffff:192.0.2.0/120\"], \
                   addrs_status = 404, addrs_message = \"say \\\"please\\\"\" }"),
            route("\"/*\"", ""),
        ].concat();
        let (gateway, upstream) = gateway(scratch.path(), driver, &authority, &routes);
        for (address, within, denied) in [
            ("10.255.0.1", true, true),
            ("11.0.0.1", false, false),
            ("192.0.2.7", true, true),
            ("192.0.2.8", false, true),
            ("2001:db8:1::9", true, false),
            ("2001:db9::9", false, false),
            ("::ffff:a01:203", true, true),
            ("::ffff:b01:203", false, false),
        ] {
            let before = upstream.seen().len();
            let (status, body) = from(&gateway, address, "/in");
            assert_eq!(status, if within { 200 } else { 403 }, "{address}");
            assert!(within || body == REFUSED, "{body}");
            let (status, body) = from(&gateway, address, "/out");
            assert_eq!(status, if denied { 404 } else { 200 }, "{address}");
            assert!(!denied || body == "{\"message\":\"say \\\"please\\\"\"}", "{body}");
            let passed = upstream.seen().len() - before;
            assert_eq!(passed, usize::from(within) + usize::from(!denied), "{address}");
        }
        // Whatever an upstream may read as a guarded path is guarded.
        for path in ["/in/x", "/in%2fx", "//in/x", "/in;a/x", "/;/in/x", "/in%5cx"] {
            assert_eq!(from(&gateway, "11.0.0.1", path).0, 403, "{path}");
            assert_eq!(from(&gateway, "10.0.0.1", path).0, 200, "{path}");
        }
        // The peer is its own address where no header tells another one.
        let answer = raw::plain_get(gateway.port("plain"), "a.test", "/in");
        assert_eq!((answer.status(), answer.text().as_str()), (403, REFUSED));
        assert_eq!(raw::plain_get(gateway.port("plain"), "a.test", "/x").status(), 200);
    }

    fn tables_of_rules_services_and_routes_must_all_be_passed(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let routes = [
            "\n[[global_rules]]\nclient.deny_addrs = [\"10.6.6.0/24\"]\n\n[[services]]\nid = \"s\"\n\
             client.allow_addrs = [\"10.0.0.0/8\"]\nupstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n\
             \n[[routes]]\nuri = \"/*\"\nservice_id = \"s\"\nclient.deny_addrs = [\"10.7.0.0/16\"]\n",
        ].concat();
        let (mut gateway, _upstream) = gateway(scratch.path(), driver, &authority, &routes);
        for (address, status) in [("10.1.1.1", 200), ("10.6.6.1", 403), ("10.7.1.1", 403), ("11.1.1.1", 403)] {
            assert_eq!(from(&gateway, address, "/").0, status, "{address}");
        }
        // A connection that lives is judged by the newest lists.
        let mut kept = raw::plain(gateway.port("plain"));
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 403);
        let open = format!("{LISTEN}{}", routes.replace("10.0.0.0/8", "0.0.0.0/0"));
        assert_eq!(gateway.reload(&open), Reloaded::Taken);
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);
        assert_eq!(gateway.reload(&format!("{LISTEN}{routes}")), Reloaded::Taken);
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 403);
    }

    fn an_address_or_a_certificate_is_enough_where_that_is_said(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let any = route("\"/*\"", "client = { allow_addrs = [\"@here@\"], allow = [\"CN=ops\"], satisfy = \"any\" }");
        let with = |here: &str| any.replace("@here@", here);
        let (mut gateway, _upstream) = gateway(scratch.path(), driver, &authority, &with("10.0.0.0/8"));
        let stranger = Authority::new("Other").client("ops");
        let dials = [
            (Dial::as_client("a.test", &authority.client("ops")), 200),
            (Dial::as_client("a.test", &authority.client("dev")), 403),
            (Dial::as_client("a.test", &stranger), 403),
            (Dial::new(Some("a.test")), 403),
        ];
        for (dial, wanted) in &dials {
            assert_eq!(status(&gateway, dial, ""), *wanted);
        }
        assert_eq!(from(&gateway, "10.0.0.1", "/").0, 200);
        let (status_, body) = from(&gateway, "11.0.0.1", "/");
        assert_eq!((status_, body.contains("client-certificate-required")), (403, true), "{body}");
        assert_eq!(gateway.reload(&format!("{LISTEN}{}", with("127.0.0.1"))), Reloaded::Taken);
        for (dial, _) in &dials {
            assert_eq!(status(&gateway, dial, ""), 200);
        }
    }

    fn a_token_is_taken_with_the_certificate_that_it_names_alone(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let routes = [
            LISTEN.to_owned(),
            route("\"/*\"", "client = { cnf_header = \"X-Cnf\", allow = [\"CN=me\", \"CN=you\"] }"),
            "\n[identity_headers]\nX-Thumbprint = \"$ssl_client_x5t_s256\"\n".to_owned(),
        ].concat();
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(scratch.path(), driver, &routes).set("upstream", &upstream.port).start();
        let (me, you) = (authority.client("me"), authority.client("you"));
        let stranger = Authority::new("Other").client("me");
        let (mine, yours) = (thumbprint(scratch.path(), &me), thumbprint(scratch.path(), &you));
        assert_eq!(mine.len(), 43);
        let me_dial = Dial::as_client("a.test", &me);
        for (fields, wanted) in [
            (format!("X-Cnf: {mine}\r\n"), 200),
            (format!("x-cnf:   {mine}  \r\n"), 200),
            (format!("X-Cnf: {yours}\r\n"), 403),
            (String::new(), 403),
            ("X-Cnf:\r\n".to_owned(), 403),
            (format!("X-Cnf: {mine}=\r\n"), 403),
            (format!("X-Cnf: {}\r\n", mine.to_lowercase()), 403),
            (format!("X-Cnf: {mine}\r\nX-Cnf: {mine}\r\n"), 403),
            (format!("X-Cnf: {mine}, {mine}\r\n"), 403),
            (format!("X_Cnf: {mine}\r\n"), 403),
        ] {
            assert_eq!(status(&gateway, &me_dial, &fields), wanted, "{fields}");
        }
        let seen = upstream.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|head| head.message.head.get("x-thumbprint") == Some(mine.as_str())));
        assert_eq!(status(&gateway, &Dial::as_client("a.test", &you), &format!("X-Cnf: {yours}\r\n")), 200);
        // Nobody who is not verified has one, whatever the header says.
        let theirs = thumbprint(scratch.path(), &stranger);
        let strange = Dial::as_client("a.test", &stranger);
        assert_eq!(status(&gateway, &strange, &format!("X-Cnf: {theirs}\r\n")), 403);
        for digest in [mine, "A".repeat(43)] {
            assert_eq!(status(&gateway, &Dial::new(Some("a.test")), &format!("X-Cnf: {digest}\r\n")), 403);
        }
    }

    /// nginx's `if ($ssl_client_verify != SUCCESS) { return 403; }` and its kin.
    fn a_condition_refuses_and_in_doubt_it_does(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let routes = [
            "\n[[global_rules]]\nrefuse = { vars = [[\"http_x_bad\", \"~~\", \".\"]], status = 451, body = \"bad\" }\n",
            &route("\"/sure\", \"/sure/*\"", "refuse = [{ vars = [[\"ssl_client_verify\", \"~=\", \"SUCCESS\"]] }]"),
            &route("\"/map\", \"/map/*\"", "refuse = [{ vars = [[\"ssl_client_s_dn\", \"!\", \"in\", [\"CN=me\", \"CN=you\"]]], status = 404, body = \"who?\" }]"),
            &route("\"/none\"", "refuse = [{ vars = [[\"ssl_client_verify\", \"==\", \"NONE\"]] }]"),
            &route("\"/uri/*\"", "refuse = [{ vars = [[\"uri\", \"~~\", \"^/uri/secret\"]] }]"),
            &route("\"/*\"", ""),
        ].concat();
        let (gateway, upstream) = gateway(scratch.path(), driver, &authority, &routes);
        let ask = |dial: &Dial, path: &str| dial.get(gateway.port("front"), "a.test", path).expect("an answer");
        let (me, dev) = (authority.client("me"), authority.client("dev"));
        let stranger = Authority::new("Other").client("me");
        let dials = [Some(&me), Some(&dev), Some(&stranger), None]
            .map(|leaf| leaf.map_or_else(|| Dial::new(Some("a.test")), |leaf| Dial::as_client("a.test", leaf)));
        for (path, statuses) in [
            ("/sure", [200, 200, 403, 403]),
            ("/sure%2fx", [200, 200, 403, 403]),
            ("/map", [200, 404, 200, 404]),
            ("/none", [200, 200, 200, 403]),
            ("/other", [200, 200, 200, 200]),
        ] {
            let before = upstream.seen().len();
            for (dial, wanted) in dials.iter().zip(statuses) {
                let answer = ask(dial, path);
                assert_eq!(answer.status(), wanted, "{path}");
                assert!(wanted != 404 || answer.text() == "who?");
            }
            let passed = statuses.iter().filter(|status| **status == 200).count();
            assert_eq!(upstream.seen().len() - before, passed, "{path}");
        }
        // What asks for a certificate cannot be told without TLS.
        for (path, wanted) in [("/sure", 403), ("/map", 404), ("/none", 403), ("/other", 200)] {
            assert_eq!(raw::plain_get(gateway.port("plain"), "a.test", path).status(), wanted, "{path}");
        }
        for path in ["/uri/secret", "/uri//secret", "/uri/a/%2e%2e/secret", "/uri/;/secret", "/uri%2fsecret", "/uri%5csecret"] {
            let answer = raw::plain_get(gateway.port("plain"), "a.test", path);
            assert_ne!(answer.status(), 200, "{path}");
        }
        assert_eq!(raw::plain_get(gateway.port("plain"), "a.test", "/uri/public").status(), 200);
        let head = b"GET /uri/public HTTP/1.1\r\nHost: a.test\r\nX-Bad: 1\r\n\r\nGET /other HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        let mut kept = raw::plain(gateway.port("plain"));
        kept.send(head).expect("a connection");
        let answer = kept.response("GET").expect("an answer");
        assert_eq!((answer.status(), answer.text().as_str()), (451, "bad"));
        assert_eq!(kept.response("GET").expect("an answer").status(), 200);
    }
}
