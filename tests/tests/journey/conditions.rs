//! Routes that ask for more than host, path and method: `vars` and `remote_addrs`.

use ferrule_tests::{Authority, Dial, Setup, Upstream, echo, on_both_drivers, raw, scratch};

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
            "vars = [['http_x_ssl_client_verify', '==', 'SUCCESS']]",
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
            // What a client says of itself under our names is nobody's condition.
            ("GET /", "X-SSL-Client-Verify: SUCCESS\r\n", &last),
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
