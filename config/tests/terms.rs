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
