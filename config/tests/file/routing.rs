//! Routers, paths with parameters, what a service gives its routes, and named parts of values.

use std::path::Path;

use ferrule_config::model::{HostPattern, Router, UriPattern};
use ferrule_config::{Draft, Problems, read_text};

fn read(text: String) -> Result<Draft, Problems> {
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

/// These routes under a router, each on lines of its own.
#[expect(clippy::panic, reason = "a test ends where this fails")]
fn draft(router: &str, routes: &[&str]) -> Draft {
    let routes = routes.iter().map(|keys| format!("[[routes]]\nupstream_id = 'u'\n{keys}\n"));
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[http]\nrouter = '{router}'\n\
         [[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n{}",
        routes.collect::<String>()
    );
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

const PARAMS: &str = "radixtree_uri_with_parameter";

#[test]
fn the_dump_reads_back_under_every_router() {
    let routes = ["uris = ['/a/:id/*rest', '/b/:x/c*', '/%3Aplain', '/c*', '/d']"];
    for router in ["radixtree_host_uri", "radixtree_uri", PARAMS] {
        let routes = if router == PARAMS { &routes[..] } else { &["uris = ['/%3Aplain/*', '/d']"] };
        let found = draft(router, routes);
        assert!(found.problems.is_empty(), "{}", found.problems);
        let text = found.config.dump();
        let again = read(text.clone()).unwrap();
        assert!(again.problems.is_empty(), "{}", again.problems);
        assert_eq!(again.config.http.router, found.config.http.router);
        assert_eq!(again.config.routes[0].uris, found.config.routes[0].uris);
        assert_eq!(again.config.dump(), text);
    }
    assert_eq!(draft("radixtree_uri", &["uri = '/'"]).config.http.router, Router::RadixtreeUri);
}

#[test]
fn a_colon_is_a_parameter_under_one_router_alone() {
    let plain = draft("radixtree_uri", &["uri = '/a/:id'"]);
    assert_eq!(plain.config.routes[0].uris, [UriPattern::Exact("/a/:id".to_owned())]);
    assert!(plain.problems.to_string().contains("radixtree_uri_with_parameter"));
    let params = draft(PARAMS, &["uri = '/a/:id'"]);
    assert!(params.problems.is_empty(), "{}", params.problems);
    let UriPattern::Params(path) = &params.config.routes[0].uris[0] else { panic!("a parameter") };
    assert_eq!((path.front(), path.names().collect::<Vec<_>>()), ("/a/", vec!["id"]));
}

#[test]
fn routes_that_no_request_can_reach_are_told() {
    for (router, routes, told) in [
        (PARAMS, ["uri = '/a/:x'", "uri = '/a/:y'"], true),
        (PARAMS, ["uri = '/a/:x'", "uri = '/a/:y'\npriority = 1"], true),
        (PARAMS, ["uri = '/a/:x'", "uri = '/a/*'"], false),
        (PARAMS, ["uri = '/a/:x'\nhost = 'h'", "uri = '/a/*'\npriority = 1"], true),
        (PARAMS, ["uri = '/a/:x'", "uri = '/a/*'\npriority = 1\nhost = 'h'"], false),
        (PARAMS, ["uri = '/a/:x'", "uri = '/a/*'\npriority = 1\nmethods = ['GET']"], false),
        (PARAMS, ["uri = '/a/:x/b'", "uri = '/a/:x/c'"], false),
        ("radixtree_uri", ["uri = '/a'\nhost = 'h'", "uri = '/a'\npriority = 1"], true),
        (
            "radixtree_uri",
            ["uri = '/a'\nhost = 'h.t'", "uri = '/a'\nhost = '*.t'\npriority = 1"],
            true,
        ),
        ("radixtree_uri", ["uri = '/a'\nhost = 'h'", "uri = '/a'"], false),
        ("radixtree_uri", ["uri = '/a'\nhost = 'h'", "uri = '/*'\npriority = 1"], false),
        ("radixtree_host_uri", ["uri = '/a'\nhost = 'h'", "uri = '/a'\npriority = 1"], false),
    ] {
        let found = draft(router, &routes).problems.to_string();
        assert_eq!(found.contains("no request can reach this route"), told, "{routes:?}: {found}");
    }
}

#[test]
fn a_crowd_at_one_place_is_warned_about() {
    for (shape, told) in [("/:x/r@", true), ("/r@/:x", false)] {
        let routes: Vec<String> =
            (0..201).map(|at| format!("uri = '{}'", shape.replace('@', &at.to_string()))).collect();
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let found = draft(PARAMS, &routes).problems.to_string();
        assert_eq!(
            found.contains("201 routes have the host `*` and the path `/*`"),
            told,
            "{found}"
        );
    }
}

/// What is said of a route with these `vars`.
fn said(vars: &str, more: &str) -> String {
    draft(PARAMS, &[&format!("uri = '/:id'\nvars = {vars}\n{more}")]).problems.to_string()
}

#[test]
fn names_of_parts_are_found_or_refused() {
    for (vars, more, wanted) in [
        ("[['ssl_client_s_dn_cn', '~~', '^(?<tenant>[a-z]+)-']]", "", ""),
        ("[['ssl_client_s_dn_cn', '~*', '^(?P<tenant>[a-z]+)-']]", "", ""),
        (
            "[['http_x', '!', '~~', '^(?<tenant>[a-z]+)-']]",
            "",
            "names a part of what it must not match",
        ),
        ("[['!OR', ['http_x', '~~', '(?<t>a)'], ['http_x', '==', 'a']]]", "", "must not match"),
        ("[['http_x', '~~', '(?<a.b>a)']]", "", "no name of a variable"),
        ("[['http_x', '~~', '(?<a>a)(?<a>b)']]", "", "duplicate"),
        (
            "[['http_x', '~~', '(?<a>a)'], ['capture_a', '==', 'a']]",
            "",
            "not known before there is a route",
        ),
        (
            "[['http_x', '~~', '(?<a>a)']]",
            "traffic_split = { vars = [['capture_a', '==', 'a'], ['uri_param_id', '==', '1']] }",
            "",
        ),
        ("[['post_arg_name', '==', 'a']]", "", "`post_arg_name` is not supported"),
        ("[['uri_param_id', '==', 'a']]", "", ""),
    ] {
        let said = said(vars, more);
        assert!(
            if wanted.is_empty() { said.is_empty() } else { said.contains(wanted) },
            "{vars}: {said}"
        );
    }
    let found = draft(PARAMS, &["uri = '/*'\nvars = [['http_x', '~~', '(a)(?<one>b)(?<two>c)']]"]);
    let names = &found.config.routes[0].captures[0].names;
    let names: Vec<_> = names.iter().map(|named| (named.name.as_str(), named.group)).collect();
    assert_eq!(names, [("one", 2), ("two", 3)]);
}

/// The table of docs/routing.md.
#[test]
fn a_route_takes_what_its_service_says() {
    let text = |route: &str| {
        format!(
            "listen = [{{ address = '0.0.0.0:80' }}]\n[[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n\
             timeout = {{ connect = '1s', send = '1s', read = '1s' }}\n\
             [[upstreams]]\nid = 'v'\nnodes = {{ 'b' = 1 }}\n\
             [[services]]\nid = 's'\nhosts = ['s.test', '*.s.test']\nupstream_id = 'u'\n\
             path_prefix = '/v1'\nenable_websocket = true\nclient_max_body_size = '2k'\n\
             timeout = {{ send = '2s', read = '2s' }}\nheaders.set = {{ X-A = 'service' }}\n\
             traffic_split = {{ weighted_upstreams = [{{ upstream_id = 'v' }}] }}\n\
             [[routes]]\nuri = '/x'\nservice_id = 's'\n{route}"
        )
    };
    let of = |keys: &str| {
        let found = read(text(keys)).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(found.problems.is_empty(), "{}", found.problems);
        found.config.routes[0].clone()
    };
    let inherited = of("");
    let exact = |name: &str| HostPattern::Exact(name.to_owned());
    assert_eq!(inherited.hosts, [exact("s.test"), HostPattern::Wildcard("s.test".to_owned())]);
    assert_eq!(inherited.uris, [UriPattern::Exact("/v1/x".to_owned())]);
    assert_eq!((inherited.upstream, inherited.websocket), (Some(0), true));
    assert_eq!((inherited.client_max_body_size, inherited.split.len()), (Some(2048), 1));
    let seconds = |route: &ferrule_config::model::Route| {
        let timeout = route.timeout.unwrap();
        [timeout.connect, timeout.send, timeout.read].map(|time| time.as_secs())
    };
    assert_eq!(seconds(&inherited), [1, 2, 2]);
    let own = of(
        "host = 'r.test'\nupstream_id = 'v'\nenable_websocket = false\nclient_max_body_size = 0\n\
                  timeout = { read = '3s' }\nheaders.set = { X-B = 'route' }\n\
                  traffic_split = [{}, { weighted_upstreams = [{ weight = 1 }] }]\n",
    );
    assert_eq!((own.hosts.as_slice(), own.upstream), (&[exact("r.test")][..], Some(1)));
    assert_eq!((own.websocket, own.client_max_body_size, own.split.len()), (false, None, 2));
    let timeout = own.timeout.unwrap();
    assert_eq!([timeout.send, timeout.read].map(|time| time.as_secs()), [2, 3]);
    let names: Vec<_> = own.headers.iter().flat_map(|ops| &ops.set).map(|set| &*set.name).collect();
    assert_eq!(names, ["X-A", "X-B"]);
}
