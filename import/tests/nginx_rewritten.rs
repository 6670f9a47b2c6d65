//! What stands behind a `rewrite` of nginx's sees the new path and query, and here the ones that came.

use std::path::{Path, PathBuf};

use ferrule_import::nginx::{Files, NginxOptions, convert};
use ferrule_import::{Import, Kind, Outcome};

/// No file but the one that is converted.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err(String::from("it is not there"))
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// These lines in a server with TLS, and `around` in front of it; what serves files is left out.
fn import(around: &str, lines: &str) -> Import {
    let text = format!(
        "events {{}} http {{ ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate ca.crt; {around}\n\
         server {{ listen 443 ssl; server_name a.test; {lines} }} }}"
    );
    let options = NginxOptions {
        source: String::from("nginx.conf"),
        path: PathBuf::from("/etc/nginx/nginx.conf"),
        prefix: None,
        skips_files: true,
    };
    convert(text.as_bytes(), &options, &NoFiles)
}

fn said(import: &Import, kind: Kind) -> String {
    let of = import.report.findings.iter().filter(|finding| finding.kind == kind);
    of.map(|finding| format!("{}: {}: {}\n", finding.spot, finding.path, finding.message)).collect()
}

/// The routes of what it becomes, in their order.
fn routes(import: &Import) -> Vec<toml::Table> {
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}", import.report.text());
    let file = import.configuration.parse::<toml::Table>();
    assert!(file.is_ok(), "{}", import.configuration);
    let list = file.ok().and_then(|mut file| file.remove("routes"));
    let list = list.as_ref().and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.into_iter().filter_map(|route| route.as_table().cloned()).collect()
}

/// It is refused, with this text.
fn refused(around: &str, lines: &str, wanted: &str) {
    let made = import(around, lines);
    assert_eq!(made.report.outcome(), Outcome::Refused, "{lines}\n{}", made.configuration);
    let refused = said(&made, Kind::Refused);
    assert!(refused.contains(wanted), "{lines}: {refused}");
}

const PASS: &str = "proxy_pass http://10.0.0.1:80;";

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
