//! Routes that ask for more than host, path and method: `vars` and `remote_addrs`.

use ferrule_tests::zoo::asn1::{attribute, basic_constraints, common_name, name, utc};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, encode};
use ferrule_tests::{Authority, Dial, Leaf, Setup, Upstream, echo, on_both_drivers, raw, scratch};

use crate::write_ca;

/// A route for each condition, tried in this order; the last one takes what is left.
fn routes(conditions: &[&str]) -> String {
    let route = |(at, condition): (usize, &&str)| {
        format!(
            "[[routes]]\nuri = '/*'\n{condition}\nheaders.set = {{ X-Route = '{at}' }}\n\
             upstream_id = 'up'\n"
        )
    };
    conditions.iter().chain(&[""]).enumerate().map(route).collect()
}

const UPSTREAM: &str = "[[upstreams]]\nid = 'up'\nnodes = { \"127.0.0.1:@upstream@\" = 1 }\n";

fn taken(text: &str) -> String {
    let (_, said) = text.split_once("X-Route: ").expect("every route says its number");
    said.lines().next().unwrap_or_default().to_owned()
}

on_both_drivers! {
    fn a_route_whose_conditions_fail_leaves_the_request_to_the_next(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let conditions = [
            "remote_addrs = ['10.0.0.0/8', '::1']",
            "vars = [['arg_n', '>', 10], ['arg_n', '<=', '20']]",
            "vars = [['http_x_kind', '~*', '^(a|b)$']]",
            "vars = [['cookie_beta', 'in', ['1', 'yes']]]",
            "vars = [['OR', ['request_method', '==', 'PUT'], ['!AND', ['uri', '!', '==', '/or'], ['uri', '!', '==', '/or2']]]]",
            "vars = [['arg_user', '==', 'a b']]",
            "vars = [['http_accept', 'has', 'x/y']]",
            "vars = [['http_x_absent', '~=', ''], ['host', '==', 'h']]",
            "vars = [['remote_addr', 'ipmatch', ['127.0.0.0/8']], ['uri', '~~', '^/local$']]",
        ];
        let last = conditions.len().to_string();
        let text = format!("[[listen]]\naddress = \"127.0.0.1:@front@\"\n{UPSTREAM}{}", routes(&conditions));
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let mut kept = raw::plain(gateway.port("front"));
        for (line, fields, route) in [
            ("GET /", "", last.as_str()),
            ("GET /?n=11", "", "1"),
            ("GET /?n=%32%30", "", "1"),
            ("GET /?n=21", "", &last),
            ("GET /?n=x", "", &last),
            ("GET /?m=15&n=15&n=99", "", "1"),
            ("GET /", "X-Kind: B\r\n", "2"),
            ("GET /", "X-Kind: ab\r\n", &last),
            ("GET /", "X_Kind: b\r\n", &last),
            ("GET /", "Cookie: a=1; beta=yes\r\n", "3"),
            ("GET /", "Cookie: a=1\r\nCookie: beta=1\r\n", "3"),
            ("GET /", "Cookie: xbeta=1; beta=0\r\n", &last),
            ("PUT /", "", "4"),
            ("GET /or2", "", "4"),
            ("GET /?user=a+b", "", "5"),
            ("GET /?user=%61%20b", "", "5"),
            ("GET /?user=a%2520b", "", &last),
            ("GET /", "Accept: a/b, x/y\r\n", "6"),
            ("GET /", "Accept: a/b, x/y;q=1\r\n", &last),
            ("GET /", "X-Absent: 1\r\n", "7"),
            ("GET /local", "", "8"),
        ] {
            let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            kept.send(request.as_bytes()).expect("a connection");
            let answer = kept.response("GET").expect("an answer");
            assert_eq!((answer.status(), taken(&answer.text())), (200, route.to_owned()), "{request}");
        }
    }

    fn a_certificate_may_choose_the_route(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let conditions = [
            "vars = [['ssl_client_s_dn_ou', '==', 'ops']]",
            "vars = [['ssl_client_san_dns', 'has', 'b,c.test'], ['ssl_client_verify', '==', 'SUCCESS']]",
            "vars = [['ssl_client_san_uri', 'has', 'spiffe://a/b'], ['ssl_client_spiffe_id', '==', 'spiffe://a/b']]",
            "vars = [['ssl_client_v_remain', '<', 1]]",
        ];
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = 'a.test'\n\
             cert = 'server.crt'\nkey = 'server.key'\nclient = {{ ca = 'ca.crt', verify = 'optional' }}\n\
             {UPSTREAM}{}",
            routes(&conditions)
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for (subject, names, route) in [
            (&[("OU", "ops"), ("CN", "x")][..], &[][..], "0"),
            // A comma within a value starts no attribute, and a longer value is another one.
            (&[("CN", "x,OU=ops")], &[], "4"),
            (&[("OU", "opsx")], &["DNS:b,c.test"], "1"),
            (&[("CN", "x")], &["DNS:b", "DNS:c.test"], "4"),
            (&[("CN", "x")], &["URI:spiffe://a/b"], "2"),
            (&[("CN", "x")], &["URI:spiffe://a/b", "URI:spiffe://a/c"], "4"),
        ] {
            let leaf = authority.client_named(subject, names);
            let dial = Dial::as_client("a.test", &leaf);
            let answer = dial.get(gateway.port("front"), "a.test", "/").expect("an answer");
            assert_eq!(taken(&answer.text()), route, "{subject:?} {names:?}");
        }
        let nobody = Dial::new(Some("a.test")).get(gateway.port("front"), "a.test", "/");
        assert_eq!(taken(&nobody.expect("an answer").text()), "4");
    }

    /// The first value of an attribute hides none of the others, and one that cannot be read satisfies
    /// neither a test nor its opposite.
    fn every_value_of_an_attribute_is_looked_at(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let authority = Authority::new("Root");
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let key = Key::new(scratch.path(), "key", Kind::P256);
        let root = Issuer { name: common_name("root"), key: key.clone() };
        let signed = |subject: Vec<u8>, extensions: Vec<Vec<u8>>| {
            let (not_before, not_after) = (utc("200101000000Z"), utc("400101000000Z"));
            let (serial, digest) = (vec![0x11], Digest::Sha256);
            let draft = Draft { version: 3, serial, subject, not_before, not_after, extensions, digest };
            encode("CERTIFICATE", &draft.sign(&key, &root))
        };
        let ca = signed(root.name.clone(), vec![basic_constraints(true, None)]);
        std::fs::write(scratch.path().join("ca.crt"), ca).expect("a file");
        let conditions = [
            "vars = [['ssl_client_s_dn_ou', '!', 'in', ['contractors']]]",
            "vars = [['ssl_client_s_dn_ou', '~~', '^contr']]",
        ];
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = 'a.test'\n\
             cert = 'server.crt'\nkey = 'server.key'\nclient = {{ ca = 'ca.crt', verify = 'optional' }}\n\
             {UPSTREAM}{}",
            routes(&conditions)
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for (units, route) in [
            (&["staff"][..], "0"),
            (&[], "0"),
            (&["contractors"], "1"),
            (&["staff", "contractors"], "1"),
            (&["contractors", "staff"], "1"),
            (&["contractors "], "2"),
            (&["staff", "contractors\0"], "2"),
        ] {
            let sets: Vec<_> =
                units.iter().map(|unit| [attribute("2.5.4.11", 12, unit.as_bytes())]).collect();
            let subject = name(&sets.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>());
            let file = scratch.path().join("leaf.crt");
            std::fs::write(&file, signed(subject, Vec::new())).expect("a file");
            let dial = Dial::as_client("a.test", &Leaf::read(&file, &key.path));
            let answer = dial.get(gateway.port("front"), "a.test", "/").expect("an answer");
            assert_eq!(taken(&answer.text()), route, "{units:?}");
        }
    }

    /// Methods of a route that does not hold are not offered in a 405.
    fn a_405_names_the_methods_of_routes_that_hold(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\n{UPSTREAM}\
             [[routes]]\nuri = '/a'\nmethods = ['PUT']\nvars = [['arg_x', '==', '1']]\nupstream_id = 'up'\n\
             [[routes]]\nuri = '/a'\nmethods = ['POST']\nupstream_id = 'up'\n\
             [[routes]]\nuri = '/b'\nvars = [['arg_x', '==', '1']]\nupstream_id = 'up'\n"
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for (target, status, allow) in
            [("/a", 405, "POST"), ("/a?x=1", 405, "POST, PUT"), ("/b", 404, ""), ("/b?x=1", 200, "")]
        {
            let answer = raw::plain_get(front, "h", target);
            assert_eq!(answer.status(), status, "{target}");
            assert_eq!(answer.head.all("allow").join(","), allow, "{target}");
        }
    }
}
