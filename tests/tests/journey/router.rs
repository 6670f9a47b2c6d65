//! `[http] router` (docs/routing.md): the path before the host, parameters of paths, and named parts of values.

use std::sync::Arc;

use ferrule_tests::{
    Authority, Dial, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};

use crate::write_ca;

/// Routes, each of which tells the upstream its number.
fn routes(all: &[&str]) -> String {
    let route = |(at, keys): (usize, &&str)| {
        format!("[[routes]]\nupstream_id = 'up'\nheaders.set.X-Route = '{at}'\n{keys}\n")
    };
    all.iter().enumerate().map(route).collect()
}

fn text(router: &str, all: &[&str]) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[http]\nrouter = \"{router}\"\n\
         [[upstreams]]\nid = 'up'\nnodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n{}",
        routes(all)
    )
}

/// The field of this name that the upstream got; nothing if there was none.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

on_both_drivers! {
    fn the_path_comes_before_the_host(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = text("radixtree_uri", &[
            "uri = '/*'\nhost = 'a.test'",
            "uri = '/deep/*'",
            "uri = '/hello'\nhost = '*.foo.com'\nmethods = ['GET']",
            "uri = '/hello'\nhost = 'x.foo.com'",
            "uri = '/first'\npriority = 1\nmethods = ['GET']",
            "uri = '/first'\nhost = 'a.test'",
            "uri = '/file:list'",
        ]);
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for (host, path, wanted) in [
            ("a.test", "/else", Some("0")),
            ("a.test", "/deep/er", Some("1")),
            ("b.test", "/else", None),
            ("www.foo.com", "/hello", Some("2")),
            ("x.foo.com", "/hello", Some("3")),
            ("foo.com", "/hello", None),
            ("a.test", "/first", Some("4")),
            ("b.test", "/file:list", Some("6")),
            ("b.test", "/file:xx", None),
        ] {
            let answer = raw::plain_get(gateway.port("front"), host, path);
            match wanted {
                Some(route) => assert_eq!(field(&answer.text(), "X-Route"), route, "{host}{path}"),
                None => assert_eq!(answer.status(), 404, "{host}{path}"),
            }
        }
    }

    /// APISIX's own cases, and what stands beside them.
    fn a_segment_is_a_parameter(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = text("radixtree_uri_with_parameter", &[
            "uri = '/name/:name/bar'\nheaders.set.X-Name = '$uri_param_name'",
            "uri = '/:name/foo'\nheaders.set.X-Name = '<$uri_param_name>'",
            "uris = ['/u/:id', '/u/:id/*rest']\nheaders.set.X-Name = '$uri_param_id'\nheaders.set.X-Rest = '$uri_param_rest'",
            "uri = '/u/me'",
            "uri = '/u/*'\nhost = 'prefix.test'\npriority = 1",
            "uri = '/n/:id'\nvars = [['uri_param_id', '~~', '^[0-9]+$']]",
            "uri = '/n/:word'\npriority = -1\nheaders.set.X-Name = '$uri_param_word'",
            "uri = '/%3Aplain/x'",
        ]);
        let gateway = Setup::new(scratch.path(), driver, &text)
            .log_line("access = { path = \"access.log\", format = '$route_id $uri_param_id' }")
            .set("upstream", &upstream.port).start();
        for (host, path, route, name) in [
            ("h", "/not_found", None, ""),
            ("h", "/name/json2/foo", None, ""),
            ("h", "/name/json/", None, ""),
            ("h", "/name//bar", None, ""),
            ("h", "/name/json/bar", Some("0"), "json"),
            ("h", "/name/j%20s/bar", Some("0"), "j s"),
            ("h", "/name/%20j/bar", Some("0"), ""),
            ("h", "/json/foo", Some("1"), "<json>"),
            ("h", "/json/bbb/foo", None, ""),
            ("h", "/u/7", Some("2"), "7"),
            ("h", "/u/7/a/b", Some("2"), "7"),
            ("h", "/u/me", Some("3"), ""),
            ("h", "/u/", None, ""),
            ("prefix.test", "/u/7", Some("4"), ""),
            ("h", "/n/17", Some("5"), ""),
            ("h", "/n/a17", Some("6"), "a17"),
            ("h", "/:plain/x", Some("7"), ""),
        ] {
            let answer = raw::plain_get(gateway.port("front"), host, path);
            let Some(route) = route else {
                assert_eq!(answer.status(), 404, "{host}{path}");
                continue;
            };
            let text = answer.text();
            assert_eq!((field(&text, "X-Route").as_str(), field(&text, "X-Name").as_str()), (route, name), "{host}{path}");
            if path == "/u/7/a/b" {
                assert_eq!(field(&text, "X-Rest"), "a/b");
            }
        }
        let logged = poll(PATIENCE, || {
            let text = std::fs::read_to_string(scratch.path().join("access.log")).ok()?;
            let has = |line: &str| text.lines().any(|one| one == line);
            // What one route has found, another does not know.
            (has("routes.2 7") && has("routes.3 -") && has("routes.6 -")).then_some(())
        });
        assert!(logged.is_some());
    }

    /// Whatever an upstream may read leads to no route with parameters that demands more.
    fn a_disguised_parameter_is_judged_as_what_it_may_mean(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let all = [
            "uri = '/user/:id/edit'\nclient.verify = 'on'",
            "uris = ['/user/:id', '/user/*']",
        ];
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[http]\n\
             router = \"radixtree_uri_with_parameter\"\n[[ssls]]\nsni = 'a.test'\ncert = 'server.crt'\n\
             key = 'server.key'\nclient = {{ ca = 'ca.crt', verify = 'optional' }}\n\
             [[upstreams]]\nid = 'up'\nnodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n{}",
            routes(&all)
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let leaf = authority.client("someone");
        for (path, guarded, route) in [
            ("/user/7/edit", true, "0"),
            ("/user/7%2Fedit", true, "1"),
            ("/user/7%2fedi%74", true, "1"),
            ("/user/7/edit;x=1", true, "1"),
            ("/user/7;x=1/edit", true, "0"),
            ("/user//7//edit", true, "0"),
            ("/user/7%5Cedit", true, "1"),
            ("/user/7", false, "1"),
            ("/user/7/edits", false, "1"),
            ("/user/7%2Fedits", false, "1"),
        ] {
            let nobody = Dial::new(Some("a.test")).get(gateway.port("front"), "a.test", path);
            let nobody = nobody.expect("an answer");
            let wanted = if guarded { 403 } else { 200 };
            assert_eq!(nobody.status(), wanted, "{path}: {nobody:?}");
            let known = Dial::as_client("a.test", &leaf).get(gateway.port("front"), "a.test", path);
            let known = known.expect("an answer");
            assert_eq!((known.status(), field(&known.text(), "X-Route").as_str()), (200, route), "{path}");
        }
    }

    /// Parts of a certificate's names choose headers, nodes and upstreams.
    fn a_name_has_parts(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let other = Upstream::plain(Arc::new(|client| {
            while client.request().is_some() && client.answer(b"other") {}
        }));
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = 'a.test'\n\
             cert = 'server.crt'\nkey = 'server.key'\nclient.ca = 'ca.crt'\n\
             [[upstreams]]\nid = 'up'\ntype = 'chash'\nkey = 'capture_tenant'\nnodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n\
             [[upstreams]]\nid = 'other'\nnodes = {{ \"127.0.0.1:{}\" = 1 }}\n{}",
            other.port,
            routes(&[
                "uri = '/*'\nvars = [['OR', ['ssl_client_san_uri', '~~', '^spiffe://(?<tenant>[a-z]+)/(?<role>.*)$'], \
                 ['ssl_client_s_dn_cn', '~*', '^(?<tenant>[a-z]+)-']]]\n\
                 headers.set.X-Tenant = '$capture_tenant'\nheaders.set.X-Role = 'role=$capture_role'\n\
                 traffic_split = { vars = [['capture_tenant', '==', 'beta']], weighted_upstreams = [{ upstream_id = 'other' }] }",
                "uri = '/*'",
            ])
        );
        let gateway = Setup::new(scratch.path(), driver, &text)
            .log_line("access = { path = \"access.log\", format = '[$capture_tenant]' }")
            .set("upstream", &upstream.port).start();
        for (subject, names, route, tenant, role) in [
            (&[("CN", "acme-1")][..], &[][..], "0", "acme", "role="),
            (&[("CN", "ACME-1")], &[], "0", "ACME", "role="),
            (&[("CN", "acme")], &[], "1", "", ""),
            (&[("CN", "x"), ("CN", "second-1")], &[], "0", "second", "role="),
            (&[("CN", "acme-1")], &["URI:spiffe://corp/pay"], "0", "corp", "role=pay"),
            (&[("CN", "x")], &["URI:https://a", "URI:spiffe://two/r"], "0", "two", "role=r"),
        ] {
            let leaf = authority.client_named(subject, names);
            let answer = Dial::as_client("a.test", &leaf).get(gateway.port("front"), "a.test", "/");
            let text = answer.expect("an answer").text();
            let found = ["X-Route", "X-Tenant", "X-Role"].map(|name| field(&text, name));
            assert_eq!(found, [route, tenant, role], "{subject:?} {names:?}");
        }
        let leaf = authority.client_named(&[("CN", "beta-1")], &[]);
        let answer = Dial::as_client("a.test", &leaf).get(gateway.port("front"), "a.test", "/");
        assert_eq!(answer.expect("an answer").text(), "other");
        let logged = poll(PATIENCE, || {
            let text = std::fs::read_to_string(scratch.path().join("access.log")).ok()?;
            let lines: Vec<&str> = text.lines().collect();
            (lines.len() == 7).then(|| lines.join(" "))
        });
        assert_eq!(logged.as_deref(), Some("[acme] [ACME] [-] [second] [corp] [two] [beta]"));
        // What a certificate says on one route, no client says on another.
        let leaf = authority.client_named(&[("CN", "acme")], &[]);
        let mut line = Dial::as_client("a.test", &leaf).connect(gateway.port("front")).expect("a handshake");
        line.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Tenant: victim\r\nX_Role: ops\r\n\r\n").expect("a connection");
        let text = line.response("GET").expect("an answer").text();
        assert_eq!(["X-Route", "X-Tenant", "X-Role"].map(|name| field(&text, name)), ["1", "", ""], "{text}");
        assert!(!text.contains("X_Role"), "{text}");
    }
}
