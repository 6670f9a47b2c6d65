//! Text that could match nothing, and text that comes from the environment.

use std::path::Path;

use ferrule_config::{Draft, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
const SSL: &str = "[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = 'k'\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

#[expect(clippy::expect_used, reason = "a test ends where this fails")]
fn draft(text: &str) -> Draft {
    let env = |name: &str| match name {
        "NS" => Some("*".to_owned()),
        "DOTS" => Some("a.c".to_owned()),
        "BAR" => Some("|".to_owned()),
        "NONE" => Some(String::new()),
        "WHOLE" => Some("URI:spiffe://td/*".to_owned()),
        _ => None,
    };
    read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &env).expect("it is TOML")
}

fn with_client(client: &str) -> Draft {
    draft(&format!("{LISTEN}{SSL}client = {{ ca = 'x', {client} }}\n{ROUTE}"))
}

/// With one more line in front of the listener.
fn with_top(line: &str) -> Draft {
    draft(&format!("listen = [{{ address = '0.0.0.0:80' }}]\n{line}\n{ROUTE}"))
}

fn with_route(keys: &str) -> Draft {
    draft(&format!("{LISTEN}{SSL}client = {{ ca = 'x' }}\n{ROUTE}{keys}\n"))
}

/// A `deny` that can hold for nobody protects nothing, and an `allow` lets nobody in.
#[test]
fn a_name_in_another_spelling_is_told_the_right_one() {
    for (term, spelt) in [
        ("subject:CN = mallory", "CN=mallory"),
        ("subject:/C=DE/O=Acme/CN=mallory", "CN=mallory,O=Acme,C=DE"),
        ("subject:cn=mallory", "CN=mallory"),
        ("issuer:CN = Other", "CN=Other"),
        ("issuer:CN=a;O=b", "CN=a,O=b"),
        ("subject:CN=M\u{fc}ller", "CN=M\\C3\\BCller"),
    ] {
        for key in ["deny", "allow"] {
            let draft = with_client(&format!("{key} = ['{term}']"));
            let problems = draft.problems.to_string();
            assert!(problems.contains(&format!("`{spelt}`")), "{term}: {problems}");
            let right = term.split(':').next().map(|kind| format!("{kind}:{spelt}"));
            let right = with_client(&format!("{key} = ['{}']", right.unwrap_or_default()));
            assert!(right.problems.is_empty(), "{spelt}: {}", right.problems);
        }
    }
}

#[test]
fn a_brace_behind_a_dollar_is_a_variable_or_an_error() {
    for text in ["CN=${BAD}", "CN=${env:BAD", "CN=a${", "subject:CN=${x}", "CN=${env:}"] {
        let draft = with_client(&format!("deny = ['{text}']"));
        assert!(!draft.problems.is_empty(), "{text}");
    }
    let draft = with_client("deny = ['CN=$${x}', 'CN=$$${env:x}', 'CN=a$', 'CN=a$$', 'CN=$a{']");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let dump = draft.config.dump();
    let again = self::draft(&dump);
    assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
    assert_eq!(again.config.dump(), dump);
    assert!(draft.config.servers[0].client.is_some());
}

#[test]
fn what_comes_from_the_environment_is_no_wildcard() {
    for client in [
        "allow = ['URI:spiffe://td/${env:NS}/*']",
        "deny = ['URI:spiffe://td/a/${env:NS}${env:NS}']",
        "allow = ['DNS:${env:NS}.partner.com']",
        "allow = [['CN=a', 'DNS:${env:NS}.partner.com']]",
    ] {
        let problems = with_client(client).problems.to_string();
        assert!(problems.contains("environment"), "{client}: {problems}");
    }
    for keys in ["host = '${env:NS}.example'", "hosts = ['a', '${env:NS}.example']"] {
        assert!(with_route(keys).problems.to_string().contains("environment"), "{keys}");
    }
    let prefix = format!("{LISTEN}{SSL}{}", ROUTE.replace("'/*'", "'/a/${env:NS}'"));
    assert!(draft(&prefix).problems.to_string().contains("environment"));
    let sni = format!("{LISTEN}{}{ROUTE}", SSL.replace("'a'", "'${env:NS}.example'"));
    assert!(draft(&sni).problems.to_string().contains("environment"));
    // The whole text is the operator's, wherever it stands.
    assert!(with_client("allow = ['${env:WHOLE}']").problems.is_empty());
}

#[test]
fn what_comes_from_the_environment_is_no_operator_of_an_expression() {
    let draft = with_client("skip_mtls_uri_regex = ['^/${env:DOTS}${env:BAR}$']");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let exempt = &draft.config.servers[0].client.as_ref().map(|client| client.exempt.clone());
    let matches = |path: &[u8]| exempt.iter().flatten().any(|pattern| pattern.is_match(path));
    assert!(matches(b"/a.c|") && !matches(b"/abc|") && !matches(b"/a.c"));
    let draft = with_route("vars = [['uri', '~~', '^/${env:DOTS}$']]");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
}

/// What an expression exempts is what its reader sees in it.
#[test]
fn expressions_that_exempt_more_than_they_show_are_refused() {
    for text in [
        "^/healthz|/metrics",
        "^/healthz$|",
        "^/healthz$|${env:NONE}",
        "^/*",
        "^(/healthz)?",
        "^/(?i)health|admin",
        "^/",
        "/.*",
    ] {
        let draft = with_client(&format!("skip_mtls_uri_regex = ['{text}']"));
        assert!(!draft.problems.is_empty(), "{text}");
    }
    let draft = with_client("skip_mtls_uri_regex = ['/hello[0-9]+', '^/a$|^/b/']");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let exempt = draft.config.servers[0].client.as_ref().map(|client| client.exempt.clone());
    let exempts = |path: &[u8]| exempt.iter().flatten().any(|pattern| pattern.is_match(path));
    assert!(exempts(b"/hello1") && exempts(b"/a") && exempts(b"/b/c"));
    assert!(!exempts(b"/x/hello1") && !exempts(b"/a/") && !exempts(b"/c/b/"));
}

/// A value that the variable never has makes a condition that never holds, or always.
#[test]
fn a_condition_compares_with_what_can_be() {
    for (condition, right) in [
        ("['host', '==', 'Admin.Example']", "['host', '==', 'admin.example']"),
        ("['scheme', '==', 'HTTPS']", "['scheme', '==', 'https']"),
        ("['request_method', '~=', 'delete']", "['request_method', '~=', 'DELETE']"),
        (
            "['ssl_client_verify', '!', '==', 'FAILED']",
            "['ssl_client_verify', '!', '~~', '^FAILED']",
        ),
        ("['uri', 'in', ['/a', '/b%20c']]", "['uri', 'in', ['/a', '/b c']]"),
        ("['remote_addr', '==', '10.0.0.0/8']", "['remote_addr', 'ipmatch', '10.0.0.0/8']"),
    ] {
        let wrong = with_route(&format!("vars = [{condition}]")).problems.to_string();
        assert!(wrong.contains("never"), "{condition}: {wrong}");
        let right = with_route(&format!("vars = [{right}]"));
        assert!(right.problems.is_empty(), "{condition}: {}", right.problems);
    }
}

/// Addresses are compared in one spelling, whichever the file has.
#[test]
fn addresses_have_one_spelling() {
    let dump = |draft: Draft| {
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        draft.config.dump()
    };
    for (other, one) in [
        ("vars = [['remote_addr', '!', 'ipmatch', ['::ffff:203.0.113.0/120']]]", "203.0.113.0/24"),
        ("vars = [['remote_addr', 'ipmatch', '::ffff:203.0.113.7']]", "203.0.113.7/32"),
        ("remote_addr = '::ffff:10.0.0.0/104'", "10.0.0.0/8"),
        ("remote_addrs = ['0:0:0:0:0:ffff:a00:1']", "10.0.0.1/32"),
        ("host = '[0:0:0:0:0:0:0:1]'", "\"[::1]\""),
        ("hosts = ['[2001:DB8::0:1]']", "\"[2001:db8::1]\""),
    ] {
        let dump = dump(with_route(other));
        assert!(dump.contains(one), "{other}\n{dump}");
    }
    let trusted = dump(with_top("http.trusted_addresses = ['::ffff:10.0.0.0/104']"));
    assert!(trusted.contains("10.0.0.0/8"), "{trusted}");
    assert!(!with_route("remote_addr = '::ffff:0:0/95'").problems.is_empty());
    assert!(with_route("remote_addr = '::/0'").problems.is_empty());
    assert!(!with_route("hosts = ['[::1]', '[0::1]']").problems.is_empty(), "twice");
}

#[test]
fn a_misspelt_key_is_no_header() {
    for key in ["presets", "Preset", "prest", "xfc", "preset2", "gateway"] {
        let draft = with_top(&format!("identity_headers = {{ {key} = 'nginx' }}"));
        assert!(draft.problems.to_string().contains("would be a header"), "{key}");
    }
    let fine = with_top("identity_headers = { Role = '$ssl_client_s_dn_ou', X-Gateway = 'a' }");
    assert!(fine.problems.is_empty(), "{}", fine.problems);
}

/// A `deny` keeps out who shows a certificate; who is on it need not show one.
#[test]
fn a_deny_without_a_demand_is_warned_about() {
    let warned = |verify: &str, client: &str| {
        let text = format!("{LISTEN}{SSL}client = {{ ca = 'x', {verify} }}\n{ROUTE}{client}\n");
        let draft = draft(&text);
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        draft.problems.warnings().filter(|one| one.message.contains("and passes")).count()
    };
    let deny = "client.deny = ['CN=mallory']";
    assert_eq!(warned("verify = 'optional'", deny), 1);
    assert_eq!(warned("verify = 'optional_no_ca'", deny), 1);
    assert_eq!(warned("verify = 'optional', deny = ['CN=mallory']", ""), 1);
    assert_eq!(warned("verify = 'on'", deny), 0);
    assert_eq!(warned("verify = 'on', deny = ['CN=mallory']", ""), 0);
    let demanded = "client = { verify = 'on', deny = ['CN=mallory'] }";
    assert_eq!(warned("verify = 'optional'", demanded), 0);
    assert_eq!(warned("verify = 'optional'", "client = { deny = ['CN=a'], allow = ['CN=b'] }"), 0);
}
