//! What is told about what a route makes of requests and responses (`return` and its like).

use std::path::Path;

use ferrule_config::model::AnswerBody;
use ferrule_config::{Draft, Problems, read_text};

fn draft(service: &str, route: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n\
         [[services]]\nid = 's'\nupstream_id = 'u'\n{service}\n\
         [[routes]]\nuri = '/*'\nservice_id = 's'\n{route}"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

/// The dump reads back, and says the same.
#[expect(clippy::panic, reason = "a test ends where this fails")]
fn dumped(draft: &Draft) -> String {
    let dump = draft.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None);
    let again = again.unwrap_or_else(|problems| panic!("{problems}\n{dump}"));
    assert_eq!(again.config.dump(), dump);
    dump
}

/// Each is refused at its field, and with these words.
fn refused(key: &str, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (keys, field, message) in cases {
        let text = format!("{key} = {{ {keys} }}\n");
        for (service, route) in [("", text.as_str()), (text.as_str(), "")] {
            let found =
                draft(service, route).map_or_else(|problems| problems, |draft| draft.problems);
            let found = (!found.is_empty()).then(|| found.to_string());
            let holder = if service.is_empty() { "routes" } else { "services" };
            let path = format!("{holder}[0].{key}{field}");
            let told = found.as_deref().unwrap_or_default();
            if !(told.contains(&path) && told.contains(message)) {
                wrong.push(format!("{keys}: not `{path}` with `{message}`, but {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_routes_return_replaces_its_services_and_needs_no_upstream() {
    let own = "return = { status = 404, body = 'no $uri $$', headers = { X-A = ['1', '2'], X-B = 'b' } }\n";
    let found = draft("return = { status = 410 }\n", own).unwrap();
    let answer = found.config.routes[0].answer.as_ref().unwrap();
    assert_eq!((answer.status, answer.headers.len()), (404, 3));
    assert!(matches!(&answer.body, AnswerBody::Text(text) if text.to_string() == "no ${uri} $$"));
    assert!(dumped(&found).contains("X-A = [\"1\", \"2\"]"));
    let text = "listen = [{ address = '0.0.0.0:80' }]\n[[routes]]\nuri = '/'\nreturn = { body_base64 = 'AA==' }";
    let alone = read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None).unwrap();
    assert_eq!(alone.config.routes[0].upstream, None);
    assert!(dumped(&alone).contains("body_base64 = \"AA==\""));
    let file =
        draft("return = { body_file = 'x.html', content_type = 'text/html' }\n", "").unwrap();
    assert!(dumped(&file).contains("body_file = \"/etc/x.html\""));
}

/// A route that answers by itself sends nothing: what it says of that is told to have no effect.
#[test]
fn what_has_no_effect_beside_an_answer_is_told() {
    for answers in ["return = { status = 404 }", "redirect.uri = '/new'"] {
        for (key, line) in [
            ("api_breaker", "api_breaker = { break_response_code = 503 }"),
            ("enable_websocket", "enable_websocket = true"),
            ("headers", "headers.set = { X-A = '1' }"),
            ("limits", "limits.rate = { rate = 1, burst = 1, key = '$host' }"),
            ("rewrite", "rewrite.uri = '/x'"),
            ("timeout", "timeout.read = 1"),
            ("traffic_split", "traffic_split = { weighted_upstreams = [{ upstream_id = 'u' }] }"),
            ("upstream_id", "upstream_id = 'u'"),
        ] {
            let told = |text: &str| {
                let found = draft("", text).unwrap();
                assert!(found.problems.is_empty(), "{}", found.problems);
                found.problems.render_human()
            };
            let told_of = told(&format!("{answers}\n{line}\n"));
            assert!(told_of.contains(&format!("routes[0].{key}: this has no effect")), "{told_of}");
            if key != "traffic_split" && key != "upstream_id" {
                assert!(!told(&format!("{line}\n")).contains("no effect"), "{line}");
            }
        }
    }
    let both = draft("", "return = { status = 404 }\nredirect.uri = '/new'\n").unwrap();
    let told = both.problems.render_human();
    assert!(told.contains("routes[0].return: this has no effect"), "{told}");
}

#[test]
fn a_return_that_makes_no_sense_is_told() {
    refused(
        "return",
        &[
            ("status = 101", ".status", "out of range"),
            ("status = 600", ".status", "out of range"),
            ("status = 204, body = 'x'", ".body", "no body"),
            ("status = 304, body_file = 'x'", ".body_file", "no body"),
            ("body = 'x', body_base64 = 'AA=='", ".body_base64", "exclude each other"),
            ("body_base64 = 'A'", ".body_base64", "no base64"),
            ("body_file = ''", ".body_file", "empty"),
            ("body = '$uri', content_type = 'text/html'", ".body", "clients choose"),
            ("body = '$status'", ".body", "access log"),
            ("body = '$nothing'", ".body", "no variable"),
            ("content_type = 'text'", ".content_type", "no media type"),
            ("content_type = \"a/b\\r\\nX: 1\"", ".content_type", "no media type"),
            (
                "headers = { Content-Length = '1' }",
                ".headers.Content-Length",
                "belongs to the gateway",
            ),
            ("headers = { transfer-encoding = 'x' }", ".headers.transfer-encoding", "belongs to"),
            ("headers = { Connection = 'close' }", ".headers.Connection", "belongs to the gateway"),
            ("headers = { Date = 'now' }", ".headers.Date", "belongs to the gateway"),
            ("headers = { 'X Y' = '1' }", ".headers.\"X Y\"", "not a header name"),
            ("headers = { X-A = '1', x-a = '2' }", ".headers.x-a", "twice"),
            ("headers = { X-A = \"1\\n2\" }", ".headers.X-A", "control characters"),
            ("headers = { Content-Type = 'a/b' }", ".headers.Content-Type", "key of its own"),
            ("headers = { Location = '/$arg_x' }", ".headers.Location", "`redirect`"),
        ],
    );
}

#[test]
fn a_rewrite_that_makes_no_sense_is_told() {
    // The first four are those of APISIX's own tests (`t/plugin/proxy-rewrite.t`).
    refused(
        "rewrite",
        &[
            ("regex_uri = ['^/test/(.*)']", ".regex_uri", "in its place"),
            ("regex_uri = ['[^/test/(.*)', '/$1']", ".regex_uri[0]", "not a regular expression"),
            ("regex_uri = ['^/test/(.*)', '/$`1']", ".regex_uri[1]", "starts no group"),
            ("uri = 'hello'", ".uri", "begins with one `/`"),
            ("uri = '//evil'", ".uri", "begins with one `/`"),
            ("uri = '$arg_x'", ".uri", "begins with one `/`"),
            ("uri = '/a/../b'", ".uri", "`..`"),
            ("uri = '/a/%2e/b'", ".uri", "`.`"),
            ("uri = '/a b'", ".uri", "visible ASCII"),
            ("uri = '/a#b'", ".uri", "visible ASCII"),
            ("uri = '/a%'", ".uri", "escape"),
            ("uri = '/$status'", ".uri", "access log"),
            ("uri = '/', regex_uri = ['a', 'b']", ".regex_uri", "exclude each other"),
            ("regex_uri = ['^/(a)', 'b$1']", ".regex_uri[1]", "begins with one `/`"),
            ("regex_uri = ['^/(a)', '//b$1']", ".regex_uri[1]", "begins with one `/`"),
            ("regex_uri = ['^/(a)', '/$2']", ".regex_uri[1]", "no group 2"),
            ("regex_uri = ['^/(a)', '/$nothing']", ".regex_uri[1]", "no variable"),
            ("regex_uri = ['(?=a)b', '/']", ".regex_uri[0]", "look-around"),
            (r"regex_uri = ['(a)\1', '/']", ".regex_uri[0]", "backreference"),
            ("regex_uri = ['([a-z]{100}){100}', '/']", ".regex_uri[0]", "too large"),
            ("host = 'a b'", ".host", ""),
            ("host = 'h:99999'", ".host", "not a host"),
            ("method = 'TRACE'", ".method", "no method"),
            ("method = 'CONNECT'", ".method", "no method"),
            ("method = 'get'", ".method", "no method"),
            ("", "", "rewrites nothing"),
        ],
    );
    let found = draft("enable_websocket = true\n", "rewrite = { method = 'POST' }\n").unwrap();
    assert!(found.problems.to_string().contains("enable_websocket"), "{}", found.problems);
}

#[test]
fn a_redirect_leads_where_its_author_says() {
    refused(
        "redirect",
        &[
            // The first two are those of APISIX's own tests (`t/plugin/redirect.t`).
            ("http_to_https = true, uri = '/hello'", ".uri", "exclude each other"),
            (
                "http_to_https = true, append_query_string = true",
                ".append_query_string",
                "exclude each other",
            ),
            ("uri = '/a', regex_uri = ['a', '/b']", ".regex_uri", "exclude each other"),
            ("uri = '/a', https_port = 1", ".https_port", "http_to_https"),
            ("uri = '/a', status = 300", ".status", "sends nobody"),
            ("uri = '/a', status = 200", ".status", "out of range"),
            ("uri = '//evil.test'", ".uri", "for others to say"),
            ("uri = '/\\evil.test'", ".uri", "visible ASCII"),
            ("uri = '$arg_to'", ".uri", "for others to say"),
            ("uri = 'javascript:alert(1)'", ".uri", "for others to say"),
            ("uri = 'https://$arg_to/'", ".uri", "choose the host"),
            ("uri = 'https://$host.evil$arg_x/'", ".uri", "choose the host"),
            ("uri = 'https://$host$arg_x'", ".uri", "choose the host"),
            ("uri = 'https://a@b/'", ".uri", "no part of a host"),
            ("uri = 'https:///a'", ".uri", "no host"),
            ("uri = '/a#b', append_query_string = true", ".uri", "does not follow"),
            ("regex_uri = ['^/a', 'https://new.test']", ".regex_uri[1]", "belong to the host"),
            ("regex_uri = ['^/(.*)', '$1']", ".regex_uri[1]", "for others to say"),
            ("", "", "leads nowhere"),
        ],
    );
    for (keys, dumped_as) in [
        ("uri = '/b$uri'", "uri = \"/b${uri}\", status = 302"),
        ("uri = '$scheme://$host:81$request_uri', status = 307", "status = 307"),
        ("regex_uri = ['^/(a)$', 'https://x.test/$1']", r#"["^/(a)$", "https://x.test/$${1}"]"#),
        ("http_to_https = true", "http_to_https = true, https_port = 443"),
    ] {
        let found = draft("", &format!("redirect = {{ {keys} }}\n")).unwrap();
        assert!(found.problems.is_empty(), "{keys}: {}", found.problems);
        assert!(dumped(&found).contains(dumped_as), "{}", dumped(&found));
    }
}

#[test]
fn a_response_and_cors_that_make_no_sense_are_told() {
    refused(
        "response",
        &[
            ("status = 199", ".status", "out of range"),
            ("status = 204, body = 'x'", ".body", "no body"),
            ("body = '$uri'", ".body", "content_type"),
            ("body = '$uri', content_type = 'text/html'", ".body", "clients choose"),
            ("content_type = 'text/html', status = 200", ".content_type", "a body of its own"),
            ("vars = [['nothing', '==', '1']], status = 200", ".vars", "no variable"),
            ("vars = [['bytes_sent', '==', '1']], status = 200", ".vars", "not known"),
            ("headers.set = { Content-Length = '1' }", ".headers.set.Content-Length", "belongs to"),
            (
                "headers.add = { Transfer-Encoding = '1' }",
                ".headers.add.Transfer-Encoding",
                "belongs",
            ),
            ("headers.remove = ['Connection']", ".headers.remove[0]", "belongs to"),
            ("headers = { set = { A = '1' }, remove = ['a'] }", ".headers.remove[0]", "at once"),
            ("headers.set = { A = '$bytes_sent' }", ".headers.set.A", "access log"),
            ("headers.set = { Location = '$arg_x' }", ".headers.set", "`redirect`"),
            ("vars = [['status', '==', 200]]", "", "changes nothing"),
        ],
    );
    refused(
        "cors",
        &[
            (
                "allow_origins = '*', allow_credential = true",
                ".allow_origins",
                "beside `allow_credential`",
            ),
            (
                "allow_methods = '*', allow_credential = true",
                ".allow_methods",
                "beside `allow_credential`",
            ),
            (
                "allow_headers = '*', allow_credential = true",
                ".allow_headers",
                "beside `allow_credential`",
            ),
            (
                "expose_headers = '*', allow_credential = true",
                ".expose_headers",
                "beside `allow_credential`",
            ),
            ("allow_origins = 'a.test'", ".allow_origins", "no origin"),
            ("allow_origins = 'https://a.test/'", ".allow_origins", "no origin"),
            ("allow_origins = 'https://a.test,https://B.test'", ".allow_origins", "no origin"),
            (
                "allow_origins_by_regex = ['[']",
                ".allow_origins_by_regex[0]",
                "not a regular expression",
            ),
            ("allow_methods = 'GET POST'", ".allow_methods", "no list of names"),
            ("expose_headers = '**'", ".expose_headers", "`**`"),
            ("max_age = -2", ".max_age", "out of range"),
        ],
    );
    let own = "response = [{ vars = [['status', '==', 500]], status = 200, body = 'x', content_type = 'text/plain', \
               headers = { add = { A = '$status' }, remove = ['B'] } }]\n\
               cors = { allow_origins_by_regex = ['a$'], timing_allow_origins = '*' }\n";
    let found = draft("response.status = 201\ncors = {}\n", own).unwrap();
    let route = &found.config.routes[0];
    assert_eq!((route.response.len(), route.response[0].status), (1, Some(200)));
    let dump = dumped(&found);
    assert!(dump.contains("allow_origins_by_regex = [\"a$\"]"), "{dump}");
    assert!(dump.contains("add = { A = \"${status}\" }, remove = [\"B\"]"), "{dump}");
}

/// Groups of a rewrite are known to headers and keys alone, once the request is rewritten.
#[test]
fn groups_of_a_rewrite_have_their_places() {
    let own = "rewrite.regex_uri = ['^/(?P<id>.*)$', '/$id']\nheaders.set = { A = '$rewrite_1 $rewrite_id' }\n";
    let found = draft("", own).unwrap();
    assert!(found.problems.is_empty(), "{}", found.problems);
    assert!(dumped(&found).contains("\"${rewrite_1} ${rewrite_id}\""));
    for (keys, message) in [
        ("vars = [['rewrite_1', '==', 'a']]\n", "before the request is rewritten"),
        ("rewrite.regex_uri = ['^/(.*)$', '/$rewrite_1']\n", "is for what comes later"),
        ("rewrite.uri = '/$rewrite_1'\n", "is for what comes later"),
        ("headers.set = { A = '$rewrite_' }\n", "there is no variable"),
    ] {
        let told = draft("", keys).map_or_else(|problems| problems, |draft| draft.problems);
        assert!(told.to_string().contains(message), "{keys}: {told}");
    }
}

/// What is known only when a response is over has no place in its head, nor in a condition.
#[test]
fn late_values_are_no_fields_of_responses() {
    let late = [
        ("headers.set = { A = '$upstream_response_time' }", ".headers.set.A", "access log"),
        ("vars = [['upstream_addr', '==', '1']], status = 200", ".vars", "not known"),
    ];
    refused("response", &late);
    refused("cors", &[("answer_options = 1", ".answer_options", "an integer")]);
    let own = "response.headers.set = { A = '$upstream_addr' }\ncors.answer_options = true\n";
    let dump = dumped(&draft("", own).unwrap());
    for line in ["set = { A = \"${upstream_addr}\" }", "answer_options = true"] {
        assert!(dump.contains(line), "{dump}");
    }
}

#[test]
fn filters_that_cannot_be_are_told() {
    let with = "filters = [{ regex = 'a', replace = 'b' }]";
    let (both, many) = (
        format!("body = 'x', {with}"),
        format!("{with}, filter_types = ['text/html; x', 'a/b', 'A/b']"),
    );
    refused(
        "response",
        &[
            ("filters = []", ".filters", "this list is empty"),
            ("status = 200, filter_types = ['a/b']", ".filter_types", "there are no `filters`"),
            ("status = 200, filter_max_body_size = 1", ".filter_max_body_size", "no `filters`"),
            ("filters = [{ regex = '', replace = 'b' }]", ".filters[0].regex", "empty"),
            ("filters = [{ regex = 'a' }]", ".filters[0]", "replace"),
            (
                "filters = [{ regex = 'a', replace = '$' }]",
                ".filters[0].replace",
                "starts no group",
            ),
            ("filters = [{ regex = 'a', replace = '$1' }]", ".filters[0].replace", "no group 1"),
            ("filters = [{ regex = 'a', replace = '$host' }]", ".filters[0].replace", "a variable"),
            (
                "filters = [{ regex = 'a', replace = 'b', scope = 'two' }]",
                ".filters[0].scope",
                "two",
            ),
            ("filters = [{ regex = '(?=a)', replace = 'b' }]", ".filters[0].regex", "look-around"),
            (
                r"filters = [{ regex = '(a)\1', replace = 'b' }]",
                ".filters[0].regex",
                "backreference",
            ),
            (
                "filters = [{ regex = '(a|b)*a(a|b){30}', replace = '' }]",
                ".filters[0].regex",
                "too large",
            ),
            (&both, ".filters", "search the upstream's body"),
            (&many, ".filter_types[0]", "no media type"),
            (&many, ".filter_types[2]", "twice"),
            (
                "filters = [{ regex = 'a', replace = 'b' }], filter_max_body_size = '17m'",
                ".filter_max_body_size",
                "",
            ),
        ],
    );
    let kept = draft(
        "",
        "response = { filters = [{ regex = '(a)', replace = '$$$1' }], filter_types = ['A/b'] }",
    )
    .unwrap();
    let dump = dumped(&kept);
    let wanted = "filters = [{ regex = \"(a)\", replace = \"$$$${1}\", scope = \"once\" }], filter_types = [\"a/b\"], filter_max_body_size = 1048576, filter_oversize = \"refuse\"";
    assert!(dump.contains(wanted), "{dump}");
}
