//! Every mistake is told: where, in which field, and what would be right.

use std::path::Path;

use ferrule_config::{Draft, Problems, read_text};

/// A file without mistakes, to put one in.
pub(crate) const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";
pub(crate) const TLS_LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
pub(crate) const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2 $status".to_owned()),
        "NUMBER" => Some("7".to_owned()),
        _ => None,
    }
}

pub(crate) fn draft(text: &str) -> Result<Draft, Problems> {
    read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &environment)
}

pub(crate) fn problems(text: &str) -> Problems {
    draft(text).map_or_else(|problems| problems, |draft| draft.problems)
}

/// Line, column, field and a part of the message.
pub(crate) type Wanted<'a> = (usize, usize, &'a str, &'a str);

/// Line, column, field and message of every error.
fn found(problems: &Problems) -> Vec<(usize, usize, String, String)> {
    let errors = problems.iter().map(|problem| {
        let position = problems.position(problem.place);
        (position.line, position.column, problem.field.clone(), problem.message.clone())
    });
    errors.collect()
}

/// The errors of a text are exactly these; of each message a part is given.
pub(crate) fn assert_problems(text: &str, wanted: &[Wanted<'_>]) {
    let problems = problems(text);
    let found = found(&problems);
    let same = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| {
            (found.0, found.1, found.2.as_str()) == (wanted.0, wanted.1, wanted.2)
                && found.3.contains(wanted.3)
        });
    assert!(same, "{text}\nwanted {wanted:#?}\nfound {found:#?}");
}

/// One mistake in line 2, behind a listener and before a route.
fn assert_line_2(cases: &[(&str, usize, &str, &str)]) {
    for (line, column, field, message) in cases {
        let wanted = [(2, *column, *field, *message)];
        assert_problems(&format!("{LISTEN}{line}\n{ROUTE}"), &wanted);
    }
}

#[test]
fn a_file_that_is_not_toml_tells_every_place() {
    assert_problems(
        "a = \nb = 1\nb = 2\n",
        &[(1, 5, "", "string values must be quoted"), (3, 1, "", "duplicate key")],
    );
    let missing = ferrule_config::read(Path::new("/nowhere/ferrule.toml"), &environment);
    assert!(missing.is_err_and(|problems| problems.to_string().contains("cannot be read")));
}

#[test]
fn an_empty_file_lacks_a_listener() {
    assert_problems("", &[(1, 1, "listen", "`listen` is missing")]);
    assert_problems("listen = []", &[(1, 10, "listen", "this list is empty")]);
}

#[test]
fn unknown_and_refused_keys_are_told_by_name() {
    assert_line_2(&[
        ("runtme.workers = 1", 1, "runtme", "unknown key `runtme`"),
        ("runtime.worker = 1", 9, "runtime.worker", "unknown key `worker`"),
        ("consumers = []", 1, "consumers", "out of scope"),
        ("http.http2 = true", 6, "http.http2", "only HTTP/1.1 is spoken"),
        (
            "upstreams = [{ id = 1, nodes = [{ host = 'a', port = 1, weight = 1, metadata = {} }] }]",
            69,
            "upstreams[0].nodes[0].metadata",
            "yet",
        ),
        ("global_rules = [{ plugins = 'x' }]", 19, "global_rules[0].plugins", "no plugins"),
        (
            "ssls = [{ type = 'client', id = 1, cert = 'c', key = 'k', ocsp_stapling = 1 }]",
            59,
            "ssls[0].ocsp_stapling",
            "ssl_stapling_file",
        ),
    ]);
    let help = problems("listen = [{ address = '1.1.1.1:1', tsl = true }]").to_string();
    assert!(help.contains("did you mean `tls`?"), "{help}");
}

#[test]
fn types_ranges_and_words_are_checked() {
    assert_line_2(&[
        ("runtime.workers = 'many'", 19, "runtime.workers", "neither a number nor \"auto\""),
        ("http.max_headers = 257", 20, "http.max_headers", "out of range"),
        ("http.max_response_headers = 2049", 29, "http.max_response_headers", "out of range"),
        ("http.response_header_buffer = '65k'", 31, "http.response_header_buffer", "out of range"),
        ("runtime.workers = 0", 19, "runtime.workers", "out of range"),
        ("runtime.cpu_affinity = 1", 24, "runtime.cpu_affinity", "true or false is wanted"),
        ("runtime.shutdown_timeout = '30'", 28, "runtime.shutdown_timeout", "is not a duration"),
        ("runtime.shutdown_timeout = 30", 28, "runtime.shutdown_timeout", "needs a unit"),
        ("runtime.shutdown_timeout = '0s'", 28, "runtime.shutdown_timeout", "is nothing"),
        ("runtime.shutdown_timeout = '900d'", 28, "runtime.shutdown_timeout", "too long"),
        ("runtime.io_driver = 'epol'", 21, "runtime.io_driver", "`epol` is not known here"),
        (
            "http.large_client_header_buffers = '65k'",
            36,
            "http.large_client_header_buffers",
            "out of range",
        ),
        ("http.client_max_body_size = '1x'", 29, "http.client_max_body_size", "is not a size"),
        ("runtime = 1", 11, "runtime", "a table is wanted"),
        ("log.error.level = 'loud'", 19, "log.error.level", "`loud` is not known here"),
        ("log.access = ''", 14, "log.access.path", "this is empty"),
        ("log.access = { path = 'a', format = 'x' }", 37, "log.access.format", "no variable"),
        ("ssls = [1]", 9, "ssls[0]", "a table is wanted"),
        ("upstreams = [{ id = 'a b', nodes = { 'a' = 1 } }]", 21, "upstreams[0].id", "not an id"),
    ]);
}

#[test]
fn the_environment_is_put_in_and_must_be_there() {
    assert_line_2(&[
        ("log.access = '${env:NOPE}'", 14, "log.access", "`NOPE` is not set"),
        ("runtime.workers = '${env:NOPE}'", 19, "runtime.workers", "`NOPE` is not set"),
    ]);
    let text = format!(
        "{LISTEN}runtime.workers = '${{env:NUMBER}}'\nidentity_headers = {{ X-A = \
         '${{env:SECRET}}$ssl_client_serial $${{env:NOPE}}' }}\n{ROUTE}"
    );
    let config = draft(&text).map(|draft| draft.config);
    let config = config.expect("it is TOML");
    assert_eq!(config.runtime.workers, Some(7));
    // What comes from the environment holds no variables.
    let value = config.identity_headers[0].value.to_string();
    assert_eq!(value, "hunter2 $$status${ssl_client_serial} $${env:NOPE}");
}

#[test]
fn server_objects_are_whole() {
    let cases: [(&str, &[Wanted<'_>]); 11] = [
        ("sni = 'a'\ncert = 'c'\n", &[(2, 1, "ssls[0].key", "`key` is missing")]),
        ("cert = 'c'\nkey = 'k'\n", &[(2, 1, "ssls[0].sni", "`sni` is missing")]),
        (
            "sni = 'a'\nsnis = ['b', 'B']\ncert = ''\nkey = 'k'\n",
            &[
                (4, 8, "ssls[0].snis", "exclude each other"),
                (4, 14, "ssls[0].snis[1]", "is taken by line 4"),
                (5, 8, "ssls[0].cert", "this is empty"),
            ],
        ),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\nssl_stapling_file = ['a', 'b']\npassword_file = ''\n",
            &[
                (6, 21, "ssls[0].ssl_stapling_file", "1 certificates and 2 responses"),
                (7, 17, "ssls[0].password_file", "this is empty"),
            ],
        ),
        ("sni = '10.0.0.1'\ncert = 'c'\nkey = 'k'\n", &[(3, 7, "ssls[0].sni", "an address")]),
        ("sni = 'a.*'\ncert = 'c'\nkey = 'k'\n", &[(3, 7, "ssls[0].sni", "whole first label")]),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\ncerts = ['d', 'e']\nkeys = ['l']\n",
            &[(7, 8, "ssls[0].keys", "2 further certificates and 1 keys")],
        ),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\nclient = {}\n",
            &[(6, 10, "ssls[0].client.ca", "`ca` is missing")],
        ),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\nclient = { ca = [], ocsp = 'x' }\n",
            &[
                (6, 17, "ssls[0].client.ca", "this list is empty"),
                (6, 21, "ssls[0].client.ocsp", "not supported yet"),
            ],
        ),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\nclient.ca = 'system'\n",
            &[(6, 13, "ssls[0].client.ca[0]", "never trusted by system roots")],
        ),
        (
            "sni = 'a'\ncert = 'c'\nkey = 'k'\nssl_protocols = ['TLSv1.1']\n",
            &[(6, 18, "ssls[0].ssl_protocols[0]", "TLS 1.1 is broken")],
        ),
    ];
    for (object, wanted) in cases {
        assert_problems(&format!("{TLS_LISTEN}[[ssls]]\n{object}{ROUTE}"), wanted);
    }
    let optional = "sni = 'a'\ncert = 'c'\nkey = 'k'\nclient.verify = 'optional_no_ca'\n";
    assert_problems(&format!("{TLS_LISTEN}[[ssls]]\n{optional}{ROUTE}"), &[]);
}

#[test]
fn client_certificates_are_referred_to_by_id() {
    let object = "[[ssls]]\ntype = 'client'\ncert = 'c'\nkey = 'k'\nsni = 'a'\n";
    let wanted = [
        (2, 1, "ssls[0].id", "`id` is missing"),
        (6, 7, "ssls[0].sni", "for `type = \"server\"` only"),
    ];
    assert_problems(&format!("{LISTEN}{object}{ROUTE}"), &wanted);
    let upstream = "[[upstreams]]\nscheme = 'https'\nnodes = { 'a' = 1 }\n";
    let object = "[[ssls]]\nid = 'proxy'\ntype = 'client'\ncert = 'c'\nkey = 'k'\n";
    let tls = "tls = { client_cert_id = 'prxy', client_cert = 'c', ca = 'ca' }\n";
    let text = format!("{LISTEN}{object}{upstream}{tls}{ROUTE}");
    let wanted = [
        (10, 26, "upstreams[0].tls.client_cert_id", "exclude each other"),
        (10, 26, "upstreams[0].tls.client_cert_id", "with the id `prxy`"),
    ];
    assert_problems(&text, &wanted);
    assert!(problems(&text).to_string().contains("did you mean \"proxy\"?"));
}

#[test]
fn upstreams_are_whole() {
    let cases: [(&str, &[Wanted<'_>]); 13] = [
        ("id = 'u'\n", &[(2, 1, "upstreams[0].nodes", "`nodes` is missing")]),
        ("nodes = {}\n", &[(3, 9, "upstreams[0].nodes", "this list is empty")]),
        ("nodes = { 'a' = 0 }\n", &[(3, 9, "upstreams[0].nodes", "every weight is 0")]),
        ("nodes = { 'a:x' = 1 }\n", &[(3, 11, "upstreams[0].nodes.\"a:x\"", "not a port")]),
        (
            "nodes = [{ host = 'http://a' }, { port = 1 }, { host = 'a', metadata = 1 }]\n",
            &[
                (3, 33, "upstreams[0].nodes[1].host", "`host` is missing"),
                (3, 61, "upstreams[0].nodes[2].metadata", "not supported yet"),
            ],
        ),
        ("nodes = [{ host = 'a:1' }]\n", &[(3, 19, "upstreams[0].nodes[0].host", "has a port")]),
        (
            "nodes = { 'a' = 1, 'A:80' = 1 }\n",
            &[(3, 20, "upstreams[0].nodes.\"A:80\"", "stands here twice")],
        ),
        (
            "nodes = { 'a' = 1 }\nscheme = 'https'\n",
            &[(4, 10, "upstreams[0].tls.ca", "needs to know whom to trust")],
        ),
        (
            "nodes = { 'a' = 1 }\nscheme = 'https'\ntls = {}\n",
            &[(5, 7, "upstreams[0].tls.ca", "no system roots by default")],
        ),
        (
            "nodes = { 'a' = 1 }\ntls.ca = 'x'\n",
            &[(4, 1, "upstreams[0].tls", "for `scheme = \"https\"` only")],
        ),
        (
            "nodes = { 'a' = 1 }\nscheme = 'grpc'\ntype = 'chash'\n",
            &[
                (4, 10, "upstreams[0].scheme", "only HTTP/1.1 is spoken"),
                (5, 8, "upstreams[0].key", "`key` is missing"),
            ],
        ),
        (
            "nodes = { 'a' = 1 }\npass_host = 'rewrite'\n",
            &[(4, 13, "upstreams[0].upstream_host", "is missing")],
        ),
        (
            "nodes = { 'a' = 1 }\nupstream_host = 'x'\nservice_name = 'y'\n",
            &[
                (4, 17, "upstreams[0].upstream_host", "for `pass_host = \"rewrite\"` only"),
                (5, 1, "upstreams[0].service_name", "no service discovery"),
            ],
        ),
    ];
    for (object, wanted) in cases {
        assert_problems(&format!("{LISTEN}[[upstreams]]\n{object}{ROUTE}"), wanted);
    }
}

#[test]
fn an_unchecked_upstream_is_a_warning_and_no_error() {
    let object = "[[upstreams]]\nscheme = 'https'\nnodes = { 'a' = 1 }\ntls.verify = 'off'\n";
    let draft = draft(&format!("{LISTEN}{object}{ROUTE}")).expect("it is TOML");
    let warnings: Vec<_> = draft.problems.warnings().map(|problem| &*problem.field).collect();
    assert_eq!(warnings, ["upstreams[0].tls.verify"]);
    assert!(draft.finish().is_ok());
}

#[test]
fn routes_and_services_refer_to_what_is_there() {
    let cases: [(&str, &[Wanted<'_>]); 9] = [
        ("[[routes]]\nuri = '/'\n", &[(2, 1, "routes[0].upstream", "leads nowhere")]),
        (
            "[[routes]]\nuri = '/'\nupstream_id = 'x'\n",
            &[(4, 15, "routes[0].upstream_id", "no [[upstreams]] with the id `x`")],
        ),
        (
            "[[routes]]\nuri = '/'\nservice_id = 'x'\n",
            &[(4, 14, "routes[0].service_id", "no [[services]] with the id `x`")],
        ),
        (
            "[[services]]\npath_prefix = '/v1/'\n",
            &[
                (2, 1, "services[0].id", "`id` is missing"),
                (3, 15, "services[0].path_prefix", "ends with `/`"),
            ],
        ),
        (
            "[[services]]\nid = 1\nstrip_path_prefix = true\n[[services]]\nid = '1'\n",
            &[
                (4, 21, "services[0].strip_path_prefix", "nothing to strip"),
                (6, 6, "services[1].id", "the id `1` is taken by line 3"),
            ],
        ),
        (
            "[[routes]]\nuri = 'a'\nuris = ['/b?c', '/d', '/d']\nupstream.nodes = { 'a' = 1 }\n",
            &[
                (3, 7, "routes[0].uri", "does not start with `/`"),
                (4, 8, "routes[0].uris", "exclude each other"),
                (4, 9, "routes[0].uris[0]", "more than a path"),
                (4, 23, "routes[0].uris[2]", "stands here twice"),
            ],
        ),
        (
            "[[routes]]\nuri = '/x'\nhost = 'a:80'\nupstream.nodes = { 'a' = 1 }\n",
            &[(4, 8, "routes[0].host", "has a port")],
        ),
        (
            "[[routes]]\nuri = '/x'\nmethods = ['get', 'TRACE']\nupstream.nodes = { 'a' = 1 }\n",
            &[
                (4, 12, "routes[0].methods[0]", "`get` is not known here"),
                (4, 19, "routes[0].methods[1]", "always answered with 405"),
            ],
        ),
        (
            "[[routes]]\nuri = '/x'\nvars = []\nplugins = {}\nupstream.nodes = { 'a' = 1 }\n",
            &[
                (4, 8, "routes[0].vars", "this list is empty"),
                (5, 1, "routes[0].plugins", "there are no plugins"),
            ],
        ),
    ];
    for (text, wanted) in cases {
        assert_problems(&format!("{LISTEN}{text}"), wanted);
    }
}

#[test]
fn a_route_that_no_request_reaches_is_told() {
    let route = |rest: &str| format!("[[routes]]\nupstream.nodes = {{ 'a' = 1 }}\n{rest}\n");
    let reached = |first: &str, second: &str| {
        problems(&format!("{LISTEN}{}{}", route(first), route(second))).is_empty()
    };
    assert!(!reached("uri = '/a'", "uri = '/a'"));
    assert!(!reached("uri = '/a'", "uri = '/a'\nmethods = ['GET']"));
    assert!(!reached("uris = ['/a', '/b']\nhosts = ['*']", "uri = '/b'"));
    assert!(!reached("uri = '/a'", "uri = '/a'\npriority = -1"));
    assert!(!reached("uri = '/a'", "uri = '/a'\npriority = 1"), "the first one is not reached");
    assert!(reached("uri = '/a'\nmethods = ['GET']", "uri = '/a'"));
    assert!(reached("uri = '/a'", "uri = '/a'\nhost = 'x'"));
    assert!(reached("uri = '/*'\npriority = 9", "uri = '/a'"), "an exact path beats a prefix");
    assert!(reached("uri = '/a'\nstatus = 0", "uri = '/a'"));
}

#[test]
fn headers_are_names_and_values_that_may_be_sent() {
    let cases = [
        ("set = { Host = 'x' }", 17, "set.Host", "`Host` is not changed"),
        ("set = { content-length = '1' }", 17, "set.content-length", "belongs to the gateway"),
        ("remove = ['Connection']", 19, "remove[0]", "belongs to the gateway"),
        ("set = { 'a b' = '1' }", 17, "set.\"a b\"", "is not a header name"),
        ("set = { A = \"x\\ny\" }", 21, "set.A", "control characters"),
        ("set = { A = 'x', a = 'y' }", 26, "set.a", "twice, but for case"),
        ("set = { X-Id = 'x' }", 17, "set.X-Id", "belongs to [identity_headers]"),
        ("set = { X-A = 'x ' }", 23, "set.X-A", "white space"),
        ("add = { X-A = [\"\\t$host\"] }", 24, "add.X-A", "white space"),
        ("remove = ['x_ID']", 19, "remove[0]", "belongs to [identity_headers]"),
        ("set = { A = 'x' }, remove = ['a']", 38, "remove[0]", "given and removed at once"),
        ("set = { A = 'ab$ssl_client_seral' }", 24, "set.A", "no variable `$ssl_client_seral`"),
        ("set = { A = '$ssl_client_s_dn_cm' }", 22, "set.A", "no attribute `cm`"),
        ("set = { A = '$ssl_session_id' }", 22, "set.A", "no accessor"),
        ("set = { A = '5$' }", 23, "set.A", "starts no variable"),
        ("set = { A = '$status' }", 21, "set.A", "for the access log only"),
        ("set = { A = '$ssl_client_cert' }", 21, "set.A", "for the access log only"),
        ("add = { A = ['x', '$nope_x'] }", 28, "add.A[1]", "no variable `$nope_x`"),
    ];
    for (headers, column, field, message) in cases {
        let text = format!(
            "{LISTEN}identity_headers = {{ X-Id = '$ssl_client_serial' }}\n{ROUTE}headers \
             = {{ {headers} }}\n"
        );
        let field = format!("routes[0].headers.{field}");
        assert_problems(&text, &[(6, column + 4, &field, message)]);
    }
}

/// A name that cannot be looked up would be stripped from nobody.
#[test]
fn header_names_have_a_longest() {
    let name = "x".repeat(257);
    let identity = format!("identity_headers = {{ {name} = '$ssl_client_serial' }}");
    let field = format!("identity_headers.{name}");
    assert_line_2(&[(&*identity, 22, &*field, "a header name of 257 bytes is too long")]);
    let headers = [("set", format!("{{ {name} = '1' }}")), ("remove", format!("['{name}']"))];
    for (key, value) in headers {
        let text = format!("{LISTEN}{ROUTE}headers.{key} = {value}\n");
        let found = found(&problems(&text));
        let told = found.iter().any(|(line, _, _, message)| {
            (*line, &**message) == (5, "a header name of 257 bytes is too long")
        });
        assert!(told, "{found:?}");
    }
}

#[test]
fn identity_is_not_what_a_client_may_write() {
    assert_line_2(&[
        ("identity_headers = { X-A = '$http_x_a' }", 28, "identity_headers.X-A", "client writes"),
        ("identity_headers = { X-A = 'a', x_a = 'b' }", 33, "identity_headers.x_a", "twice"),
        ("identity_headers = { Upgrade = 'a' }", 22, "identity_headers.Upgrade", "the gateway"),
    ]);
}

#[test]
fn problems_are_shown_in_their_place() {
    let text = "[[listen]]\naddress = ':80'\ntsl = true\n[[routes]]\nuri = '/'\n";
    let human = "error: listen[0].address: `:80` is not an address to listen on
 --> /etc/ferrule.toml:2:11
  |
2 | address = ':80'
  |           ^^^^^
  |
  = help: write \"0.0.0.0:80\", or \"[::]:80\" for IPv6
";
    let problems = problems(text);
    assert!(problems.render_human().starts_with(human), "{problems}");
    let json = problems.render_json();
    for part in
        ["\"line\": 3", "\"column\": 1", "\"field\": \"listen[0].tsl\"", "\"text\": \"tsl = true\""]
    {
        assert!(json.contains(part), "{json}");
    }
    let line = problems.lines().next();
    let wanted = "/etc/ferrule.toml:2:11: error: listen[0].address: `:80` is not an address";
    assert!(line.is_some_and(|line| line.starts_with(wanted)));
}

#[test]
fn a_late_problem_finds_its_field() {
    let object = "[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = 'k'\nclient.ca = ['x', 'y']\n";
    let mut draft = draft(&format!("{TLS_LISTEN}{object}{ROUTE}")).expect("it is TOML");
    let client = draft.config.servers[0].client.take().expect("there is a client table");
    draft.problems.push_at(client.ca[1].place, "", "it is empty", None);
    draft.problems.push_at(draft.config.servers[0].pairs[0].key.place, "", "no match", None);
    let fields: Vec<_> = draft.problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["ssls[0].key", "ssls[0].client.ca[1]"]);
}
