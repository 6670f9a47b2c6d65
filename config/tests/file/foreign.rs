//! What other software calls it, and files of other software: one message that says what to do here.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use ferrule_config::{Problems, read, read_text};

use crate::problems::{LISTEN, ROUTE, TLS_LISTEN, assert_problems, problems};

/// The only problem of a file with these bytes.
fn only_problem(bytes: &[u8]) -> String {
    let file = std::env::temp_dir().join(format!("ferrule-foreign-{}.toml", std::process::id()));
    std::fs::write(&file, bytes).expect("a writable directory");
    let found = read(&file, &|_| None);
    std::fs::remove_file(&file).expect("the file is there");
    let problems = found.map_or_else(|problems| problems, |draft| draft.problems);
    let lines: Vec<String> = problems.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.concat()
}

#[test]
fn a_file_that_is_no_toml_is_named_for_what_it_is() {
    let utf16: Vec<u8> = "listen = []".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark: Vec<u8> = [b"\xff\xfe", utf16.as_slice()].concat();
    for (bytes, words) in [
        (&b"{\n  \"routes\": [{\"uri\": \"/*\"}]\n}\n"[..], "this is JSON; Ferrule reads TOML"),
        (b"routes:\n  -\n    uri: /hi\n    upstream:\n      nodes:\n#END\n", "this is YAML;"),
        (b"http {\n  server {\n    listen 443 ssl;\n  }\n}\n", "a configuration of nginx;"),
        (b"global\n  maxconn 100\nfrontend a\n  bind :443\n", "a configuration of HAProxy;"),
        (b"a.test {\n  reverse_proxy :80\n}\n", "a Caddyfile;"),
        (b"-----BEGIN PRIVATE KEY-----\nTOPSECRET\n-----END PRIVATE KEY-----\n", "a PEM file"),
        (&utf16, "text in UTF-16; Ferrule reads TOML in UTF-8"),
        (&with_mark, "text in UTF-16; Ferrule reads TOML in UTF-8"),
        (b"\x30\x82\x01\x02\xff\xff\xff", "a DER file"),
        (b"\x1f\x8b\x08\x00\xff", "a compressed file"),
        (b"\x7fELF\x02\x01\x01\0\0\0\xff", "a binary file"),
        (b"# \xfcber\nlisten = []\n", "line 1 is not UTF-8"),
        (b"listen = []\nroutes = []\n# \xfcber\n", "line 3 is not UTF-8"),
        (b"", "`listen` is missing: there is nothing in this file"),
        (b"\n# soon\n", "`listen` is missing: there is nothing in this file"),
    ] {
        let said = only_problem(bytes);
        assert!(said.contains(words) && !said.contains("TOPSECRET"), "{words}: {said}");
        assert!(said.ends_with(')'), "no help: {said}");
    }
}

/// Editors of other systems put a mark in front.
#[test]
fn a_byte_order_mark_changes_nothing() {
    let text = format!("\u{feff}{LISTEN}{ROUTE}");
    let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None);
    assert!(draft.and_then(ferrule_config::Draft::finish).is_ok());
}

fn help(problems: &Problems, field: &str) -> String {
    let found = problems.iter().find(|problem| problem.field == field);
    found.and_then(|problem| problem.help.clone()).unwrap_or_default()
}

#[test]
fn keys_of_other_proxies_are_answered_with_what_is_meant_here() {
    for (key, said) in [
        ("cors_policy", "here it is `cors`"),
        ("limit_req", "here it is `limits.rate`"),
        ("limit-count", "here it is `limits.requests`"),
        ("redirectScheme", "here it is `redirect`"),
        ("add_header", "here it is `response.headers`"),
        ("proxy_rewrite", "here it is `rewrite`"),
        ("max_fails", "here it is `checks.passive.unhealthy`"),
        ("hsts", "here it is `response.headers`"),
        ("gzip", "`gzip` is not supported"),
        ("cache", "`cache` is not supported"),
        ("proxy_pass", "here it is `upstream.nodes`"),
        ("reverse_proxy", "here it is `upstream.nodes`"),
        ("acl", "here it is `vars`"),
        ("location", "here it is `uri`"),
        ("basicAuth", "by their certificates alone"),
        ("ipWhiteList", "here it is `client.allow_addrs`"),
        ("proxy_set_header", "here it is `headers.set`"),
        ("ssl_certificate", "here it is `cert`"),
        ("vhost", "here it is [[listen]]"),
        ("worker_processes", "here it is `runtime.workers`"),
        ("access_log", "here it is `log.access`"),
        ("prometheus", "here it is [metrics]"),
        ("letsencrypt", "are read from files"),
    ] {
        for table in [
            format!("{key} = 1\n{LISTEN}{ROUTE}"),
            format!("{LISTEN}{ROUTE}{key} = 1\n"),
            format!("{LISTEN}{ROUTE}[[upstreams]]\nnodes = {{ 'a:1' = 1 }}\n{key} = 1\n"),
        ] {
            let lines: Vec<String> = problems(&table).lines().collect();
            assert!(lines.len() == 1 && lines[0].contains(said), "{said}: {lines:?}");
        }
    }
}

/// A key with a slip in its name is not missing as well.
#[test]
fn the_cause_is_told_and_not_what_follows_from_it() {
    let listen = "[[listen]]\nadress = '0.0.0.0:80'\n";
    let wanted = [(2, 1, "listen[0].adress", "unknown key `adress`")];
    assert_problems(&format!("{listen}{ROUTE}"), &wanted);
    let misspelt = format!("[[listne]]\naddress = '0.0.0.0:80'\n{ROUTE}");
    assert_problems(&misspelt, &[(1, 3, "listne", "unknown key `listne`")]);
    for (object, key) in [
        ("snii = 'a'\ncert = 'c'\nkey = 'k'", "snii"),
        ("sni = 'a'\ncerts_ = 'c'\ncert = 'c'\nkeyy = 'k'", "certs_ keyy"),
        ("sni = 'a'\ncert = 'c'\nkey = 'k'\nclient.cas = 'x'", "client.cas"),
    ] {
        let found = problems(&format!("{TLS_LISTEN}[[ssls]]\n{object}\n{ROUTE}"));
        let fields: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
        let wanted: Vec<_> = key.split(' ').map(|key| format!("ssls[0].{key}")).collect();
        assert_eq!(fields, wanted, "{object}");
    }
    let lost = "[[routes]]\nuri = '/*'\nupstreem.nodes = { 'a:1' = 1 }\n";
    let wanted = [(4, 1, "routes[0].upstreem", "unknown key `upstreem`")];
    assert_problems(&format!("{LISTEN}{lost}"), &wanted);
    // What another proxy calls it is not missing, either.
    let other = "[entryPoints.web]\naddress = ':80'\n";
    assert_problems(
        &format!("{other}{ROUTE}"),
        &[(1, 2, "entryPoints", "unknown key `entryPoints`")],
    );
    let passes = "[[routes]]\nuri = '/*'\nproxy_pass = 'http://a'\n";
    let wanted = [(4, 1, "routes[0].proxy_pass", "unknown key `proxy_pass`")];
    assert_problems(&format!("{LISTEN}{passes}"), &wanted);
    let elsewhere = problems(&format!("{LISTEN}preset = ['nginx']\n{ROUTE}"));
    assert_eq!(help(&elsewhere, "preset"), "did you mean `identity_headers.preset`?");
    let elsewhere = problems(&format!("[[listen]]\naddress = '0.0.0.0:80'\nuri = '/'\n{ROUTE}"));
    assert_eq!(
        help(&elsewhere, "listen[0].uri"),
        "`uri` is a key of `routes`, `redirect`, `rewrite`"
    );
    let missing = problems(&format!("[[listen]]\ntls = false\n{ROUTE}"));
    assert!(help(&missing, "listen[0].address").starts_with("write `address = \"0.0.0.0:80\"`: "));
}

/// Who looks for a wrong path has to see it.
#[test]
fn paths_of_keys_are_shown_and_secrets_are_not() {
    for (line, shown) in [
        (
            "ssls = [{ sni = 'a..b', cert = 'c', key = '/etc/ferrule/api.key' }]",
            "/etc/ferrule/api.key",
        ),
        ("ssls = [{ sni = 'a..b', cert = 'c', key = 'api.key' }]", "'api.key'"),
        ("ssls = [{ sni = 'a..b', cert = 'c', key = '${env:KEY}' }]", "'${env:KEY}'"),
        ("ssls = [{ ssl_certificate_key = '/etc/api.key' }]", "/etc/api.key"),
        ("ssls = [{ keyy = '/etc/api.key' }]", "/etc/api.key"),
        ("password_file = '/etc/api.pass'", "/etc/api.pass"),
        ("key = '/etc/api.key' x", "/etc/api.key"),
        ("ssl = { key = ['/etc/api.key', '/etc/b.key'] }", "/etc/b.key"),
    ] {
        let said = problems(&format!("{line}\n{TLS_LISTEN}{ROUTE}")).render_human();
        assert!(said.contains(shown), "{line}: {said}");
    }
    for line in [
        "ssls = [{ sni = 'a..b', cert = 'c', key = 'TOPSECRET' }]",
        "ssls = [{ sni = 'a..b', cert = 'c', key = '${env:KEY}TOPSECRET' }]",
        "ssls = [{ keyy = 'TOPSECRET' }]",
        "password = '/TOPSECRET'",
        "api_token = './TOPSECRET'",
        "key = '/a/TOPSECRET0123' x",
        "key = 'TOPSECRET' x",
        "ssl = { key = ['/etc/api.key', 'TOPSECRET'] }",
    ] {
        let found = problems(&format!("{line}\n{TLS_LISTEN}{ROUTE}"));
        let said = format!("{}{}", found.render_human(), found.render_json());
        assert!(!said.contains("TOPSECRET"), "{line}: {said}");
    }
}
