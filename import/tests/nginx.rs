//! `nginx.conf` as people write it: what is converted, what is refused and where, and what is said about the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferrule_import::nginx::{Files, NginxOptions, convert};
use ferrule_import::{Import, Kind, Outcome};
use proptest::prelude::*;

/// Files in memory.
#[derive(Default)]
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| String::from("it is not there"))
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }
}

fn import_with(bytes: &[u8], files: &[(&str, &str)]) -> Import {
    let memory = files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()));
    let options = NginxOptions {
        source: String::from("nginx.conf"),
        path: PathBuf::from("/etc/nginx/nginx.conf"),
        ..NginxOptions::default()
    };
    convert(bytes, &options, &Memory(memory.collect()))
}

fn import(text: &str) -> Import {
    import_with(text.as_bytes(), &[])
}

/// A server with TLS and these lines in it.
fn server(lines: &str) -> String {
    format!(
        "events {{}}\nhttp {{\nserver {{\nlisten 443 ssl; server_name a.test;\n\
         ssl_certificate a.crt; ssl_certificate_key a.key;\n{lines}\n}}\n}}\n"
    )
}

/// What was said of this kind, a line for each.
fn said(import: &Import, kind: Kind) -> String {
    let of = import.report.findings.iter().filter(|finding| finding.kind == kind);
    let line = |finding: &ferrule_import::Finding| {
        let file = finding.file.as_ref().map(|file| format!("{file}:")).unwrap_or_default();
        format!("{file}{}: {}: {}\n", finding.spot, finding.path, finding.message)
    };
    of.map(line).collect()
}

#[test]
fn what_is_not_understood_is_refused_by_name_and_line() {
    for (lines, wanted) in [
        (
            "auth_basic x; location / { proxy_pass http://u; }",
            "6:1: http.server[0].auth_basic: `auth_basic`: it keeps",
        ),
        ("location / { proxy_pass http://$host; }", "variables in `proxy_pass`"),
        ("location / { proxy_passs http://u; }", "`proxy_passs`: it is not converted"),
        ("location / { root /srv; }", "files are not served here"),
        ("location ~ ^/(?!a) { proxy_pass http://u; }", "look"),
        (
            "location / { rewrite ^/a $arg_b last; proxy_pass http://u; }",
            "must begin with plain text",
        ),
        ("location / { rewrite ^/a /b; proxy_pass http://u; }", "goes on with the new path"),
        (
            "location / { proxy_pass http://u; proxy_set_header X-S $ssl_client_san; }",
            "nginx has no variable `$ssl_client_san`",
        ),
        (
            "location / { proxy_pass http://u; allow 10.0.0.0/8; deny 10.0.0.1; deny all; }",
            "a `deny` behind an `allow`",
        ),
        (
            "location / { proxy_pass http://u; limit_req zone=none; }",
            "there is no `limit_req_zone`",
        ),
        (
            "ssl_verify_client on; location / { proxy_pass http://u; }",
            "`ssl_client_certificate` is missing",
        ),
        (
            "location / { proxy_pass https://u; proxy_ssl_verify on; }",
            "`proxy_ssl_verify on` needs",
        ),
        ("ssl_protocols TLSv1.1; location / { proxy_pass http://u; }", "no version of TLS is left"),
        (
            "ssl_verify_depth 1; ssl_verify_depth 2; location / { proxy_pass http://u; }",
            "it is there twice",
        ),
        ("proxy_pass http://u;", "nginx does not allow it here"),
        (
            "location / { if ($ssl_client_verify != SUCCESS) { proxy_pass http://v; } proxy_pass http://u; }",
            "an `if` that refuses",
        ),
        (
            "location / { if (-f /x) { return 403; } proxy_pass http://u; }",
            "this condition is not converted",
        ),
        ("location / { proxy_pass; }", "a value is missing"),
    ] {
        let made = import(&server(lines));
        assert_eq!(made.report.outcome(), Outcome::Refused, "{lines}");
        let refused = said(&made, Kind::Refused);
        assert!(refused.contains(wanted), "{lines}: {refused}");
        assert!(made.configuration.is_empty());
    }
}

#[test]
fn files_that_are_none_are_refused_with_their_place() {
    for (text, wanted) in [
        ("http {", "1:7: file: the file ends where `}`"),
        ("http { server { listen 80 } }", "1:27: file: unexpected `}`"),
        ("a b", "1:4: file: the file ends where `;`"),
        ("}", "1:1: file: unexpected `}`"),
        ("http {\n a \"b;\n}", "2:4: file: the quotes"),
        ("http { content_by_lua_block { x } }", "Lua is not converted"),
        ("include a.conf;", "1:1: file: /etc/nginx/a.conf cannot be read"),
        ("events {}", "0:0: file: there is no `server`"),
    ] {
        let refused = said(&import(text), Kind::Refused);
        assert!(refused.starts_with(wanted) || refused.contains(wanted), "{text}: {refused}");
    }
    let refused = said(&import_with(b"http {\n  # \xc3\xa4 \xff\n}", &[]), Kind::Refused);
    assert!(refused.starts_with("2:7: file: this byte is not UTF-8"), "{refused}");
    let deep = "a {".repeat(100);
    assert!(said(&import(&deep), Kind::Refused).contains("32 blocks within each other"));
}

#[test]
fn includes_stand_in_their_place_and_go_in_no_circle() {
    let site = "server { listen 80; server_name b.test; location / { proxy_pass http://u; auth_basic x; } }";
    let main = "http { include sites/*.conf; }";
    let files = [("/etc/nginx/sites/b.conf", site), ("/etc/nginx/sites/.hidden.conf", "nonsense;")];
    let refused = said(&import_with(main.as_bytes(), &files), Kind::Refused);
    assert!(
        refused.starts_with("/etc/nginx/sites/b.conf:1:75: http.server[0].location /.auth_basic"),
        "{refused}"
    );
    let circle = [("/etc/nginx/a", "include b;"), ("/etc/nginx/b", "include a;")];
    let refused = said(&import_with(b"include a;", &circle), Kind::Refused);
    assert!(
        refused.starts_with("/etc/nginx/b:1:1: file: /etc/nginx/a includes itself"),
        "{refused}"
    );
}

#[test]
fn what_was_let_through_is_said() {
    let proxied = "location / { proxy_pass http://u; }";
    let verify = "ssl_client_certificate ca.crt; ssl_verify_client";
    for (lines, wanted) in [
        ("location / { proxy_pass https://u; }".to_owned(), "not verified"),
        (format!("{verify} optional; {proxied}"), "nothing here asks for $ssl_client_verify"),
        (format!("{verify} optional_no_ca; {proxied}"), "nothing here asks for $ssl_client_verify"),
        (format!("{verify} on; {proxied}"), "revocation of clients was not checked"),
        (
            format!("{verify} on; ssl_stapling on; {proxied}"),
            "OCSP stapling is about the server's own",
        ),
        (
            format!("{verify} on; location /healthz {{ proxy_pass http://u; }}"),
            "a probe of /healthz",
        ),
        (format!("{verify} on; ssl_crl ca.crl; {proxied}"), "2 authorities and 1 lists"),
        (format!("{verify} on; {proxied}"), "depth 1 allows 1"),
        (
            format!(
                "{verify} on; proxy_set_header X-SSL-A $ssl_client_s_dn; {proxied} location /b {{ proxy_set_header X-B 1; proxy_pass http://u; }}"
            ),
            "X-SSL-A is not set here",
        ),
        (
            format!("{verify} on; if ($ssl_client_s_dn !~ OU=ops) {{ return 403; }} {proxied}"),
            "an expression searches",
        ),
        (
            format!("{verify} on; proxy_set_header X-SSL-F $ssl_client_fingerprint; {proxied}"),
            "SHA-1",
        ),
        (format!("underscores_in_headers on; {proxied}"), "X_SSL_CLIENT_VERIFY of a client's own"),
        (
            "add_header X-A 1; location / { add_header X-B 1; proxy_pass http://u; }".to_owned(),
            "X-A was not sent here",
        ),
        ("location / { allow 10.0.0.0/8; proxy_pass http://u; }".to_owned(), "let everybody in"),
    ] {
        let certificate = "-----BEGIN CERTIFICATE-----\n";
        let two = certificate.repeat(2);
        let files = [
            ("/etc/nginx/ca.crt", two.as_str()),
            ("/etc/nginx/ca.crl", "-----BEGIN X509 CRL-----\n"),
        ];
        let made = import_with(server(&lines).as_bytes(), &files);
        assert_eq!(made.report.outcome(), Outcome::Changed, "{lines}: {}", made.report.text());
        assert!(
            said(&made, Kind::Security).contains(wanted),
            "{lines}: {}",
            said(&made, Kind::Security)
        );
    }
}

#[test]
fn a_variable_of_the_clients_own_decides_nothing() {
    let made = import(&server(
        "location / { if ($http_ssl_client_verify != SUCCESS) { return 403; } proxy_pass http://u; }",
    ));
    assert!(
        said(&made, Kind::Security).contains("what the client writes"),
        "{}",
        made.report.text()
    );
    assert_eq!(made.report.outcome(), Outcome::Refused);
}

#[test]
fn a_whole_configuration_has_nothing_to_say() {
    let made = import(&server(
        "ssl_client_certificate ca.crt; ssl_crl ca.crl; ssl_verify_client on; location / { proxy_pass http://10.0.0.1:8080; }",
    ));
    assert_eq!(made.report.outcome(), Outcome::Whole, "{}", made.report.text());
    let configuration = &made.configuration;
    for wanted in [
        "cert = \"/etc/nginx/a.crt\"",
        "crl = \"/etc/nginx/ca.crl\"",
        "fallback_sni = \"a.test\"",
        "client_max_body_size = 1048576",
    ] {
        assert!(configuration.contains(wanted), "{wanted}: {configuration}");
    }
    assert!(made.files.is_empty(), "certificates stay where they are");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a file holds, it is read to its end or refused with a place within it, and never panics.
    #[test]
    fn any_text_is_read_or_refused_with_its_place(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "http", "server", "location", "/", "{", "}", ";", "\n", " ", "\"", "'", "\\", "$", "${", "#", "listen",
            "443", "ssl", "if", "(", ")", "$a", "=", "~", "return", "403", "map", "include", "upstream", "u", "\u{e4}",
            "proxy_pass", "http://u", "deny", "all", "server_name", "*.a.test", "limit_req", "zone=a", "error_page",
        ]),
        0..60,
    ), spaced: bool) {
        let text = words.join(if spaced { " " } else { "" });
        let made = import(&text);
        let lines = text.split('\n').count();
        for finding in &made.report.findings {
            prop_assert!(finding.spot.line <= lines, "{}: {:?}", text, finding);
            let line = text.split('\n').nth(finding.spot.line.saturating_sub(1)).unwrap_or_default();
            prop_assert!(finding.spot.column <= line.chars().count() + 1, "{}: {:?}", text, finding);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let made = import_with(&bytes, &[]);
        prop_assert_eq!(made.report.outcome(), Outcome::Refused);
    }

    /// Words come back as they were written, whatever is in them.
    #[test]
    fn a_quoted_text_comes_back(text in "[a-zA-Z0-9 ;{}#'/.:-]{1,40}") {
        let made = import(&server(&format!("location / {{ proxy_pass http://u; proxy_set_header X-A \"a{text}b\"; }}")));
        let wanted = toml::Value::from(format!("a{text}b")).to_string();
        prop_assert!(made.configuration.contains(&wanted), "{} {}", wanted, made.report.text());
    }
}
