//! What stands behind a `rewrite` of nginx's sees the new path and query, and here the ones that came.

use crate::kit::{PASS, import, refused, routes};

#[test]
fn a_condition_behind_a_rewrite_on_what_that_changes_is_refused() {
    const WANTED: &str = "behind a `rewrite`";
    for variable in ["$arg_admin", "$args", "$query_string", "$uri", "$document_uri"] {
        let guard = format!("if ({variable} ~ admin) {{ return 403; }}");
        for flag in ["last", "break"] {
            let rewrite = format!("rewrite ^/x$ /y?admin=1 {flag};");
            refused("", &format!("{rewrite} location / {{ {guard} {PASS} }}"), WANTED);
            refused("", &format!("{rewrite} {guard} location / {{ {PASS} }}"), WANTED);
        }
        // In front of it they are the same.
        let lines = format!("{guard} rewrite ^/x$ /y?admin=1 last; location / {{ {PASS} }}");
        assert_eq!(routes(&import("", &lines)).len(), 1);
    }
    let map = "map $arg_admin $bad { default 0; 1 1; }";
    let guard = "if ($bad = 1) { return 403; }";
    refused(map, &format!("rewrite ^/x$ /y last; location / {{ {guard} {PASS} }}"), WANTED);
    // These stay what they were.
    for variable in ["$request_uri", "$http_x_a", "$request_method"] {
        let guard = format!("if ({variable} ~ admin) {{ return 403; }}");
        let lines = format!("rewrite ^/x$ /y?admin=1 last; location / {{ {guard} {PASS} }}");
        assert_eq!(routes(&import("", &lines)).len(), 1);
    }
}

#[test]
fn a_field_behind_a_rewrite_with_what_that_changes_is_refused() {
    for value in ["$uri", "a$args", "${arg_k}", "$query_string", "$document_uri"] {
        for line in ["proxy_set_header X-A", "add_header X-A"] {
            for lines in [
                format!("location / {{ rewrite ^/x(.*)$ /y$1?k=v break; {line} {value}; {PASS} }}"),
                format!("{line} {value}; rewrite ^/x(.*)$ /y$1 last; location / {{ {PASS} }}"),
            ] {
                refused("", &lines, "behind a `rewrite`");
            }
            let lines = format!("location / {{ {line} {value}; {PASS} }}");
            assert_eq!(routes(&import("", &lines)).len(), 1);
        }
    }
    for zone in ["limit_req_zone $arg_k zone=z:1m rate=1r/s;", "limit_conn_zone $uri zone=z:1m;"] {
        let limit = if zone.contains("rate") { "limit_req zone=z;" } else { "limit_conn z 1;" };
        let lines = format!("location / {{ rewrite ^/x$ /y?k=v break; {limit} {PASS} }}");
        refused(zone, &lines, "behind a `rewrite`");
    }
    let lines =
        format!("location / {{ rewrite ^/x /y break; proxy_set_header X-A $request_uri; {PASS} }}");
    assert_eq!(routes(&import("", &lines)).len(), 1);
}

#[test]
fn a_variable_set_behind_a_rewrite_of_the_server_holds_no_parameter() {
    let lines = format!(
        "rewrite ^/x$ /y?t=1 last; location / {{ set $tok $arg_t; proxy_set_header X-T $tok; {PASS} }}"
    );
    refused("", &lines, "set behind a `rewrite`");
    // Set in front of it, it is what came; and a text stays one.
    for lines in [
        format!(
            "set $tok $arg_t; rewrite ^/x$ /y? break; location / {{ proxy_set_header X-T $tok; {PASS} }}"
        ),
        "rewrite ^/x$ /y last; location / { set $up 10.0.0.1; proxy_pass http://$up; }".to_owned(),
    ] {
        assert_eq!(routes(&import("", &lines)).len(), 1);
    }
}

#[test]
fn variables_that_do_something_are_not_set() {
    for name in ["proxy_host", "PROXY_PORT", "proxy_add_x_forwarded_for", "server_name", "args"] {
        let wanted = "a variable of nginx's own that is changed";
        refused("", &format!("set ${name} evil.test; location / {{ {PASS} }}"), wanted);
    }
}
