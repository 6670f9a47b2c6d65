//! What may be a secret is never shown: by no problem, and by no dump.

use std::path::Path;

use ferrule_config::{Draft, Problems, read_text};

const TLS_LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

fn draft(text: &str) -> Result<Draft, Problems> {
    read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None)
}

fn problems(text: &str) -> Problems {
    draft(text).map_or_else(|problems| problems, |draft| draft.problems)
}

#[test]
fn secrets_are_never_shown() {
    let text = format!(
        "{TLS_LISTEN}[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = ['-----BEGIN NOTHING', 'TOPSECRET']\n\
         keey = 'TOPSECRET'\nkeys = '''\nTOPSECRET'''\n[[upstreams]]\nscheme = 'https'\n\
         nodes = {{ 'a' = 1 }}\ntls = {{ client_key = 7, client_cert_id = 'TOP', ca = 'x' }}\n"
    );
    let problems = problems(&text);
    assert!(problems.len() >= 4, "{problems}");
    for shown in [problems.render_human(), problems.render_json()] {
        assert!(!shown.contains("TOPSECRET"), "{shown}");
        assert!(shown.contains("ssls[0].key"), "{shown}");
    }
    let cut = "key = \"-----BEGIN PRIVATE KEY-----\nTOPSECRET\nb = \n";
    let shown = self::problems(cut).render_human();
    assert!(!shown.is_empty() && !shown.contains("TOPSECRET"), "{shown}");
}

/// Under whatever name that sounds secret; and in a line that is not TOML, under any name that is no key.
#[test]
fn values_of_mistyped_keys_are_not_repeated() {
    for name in ["psk", "tls_psk", "pin", "client-pin", "bearer", "private", "my_private", "db_pwd"]
    {
        for value in
            ["'TOPSECRET'", "['TOPSECRET']", "{ a = 'x', bearer = 'TOPSECRET' }", "TOPSECRET"]
        {
            let text = format!("{TLS_LISTEN}[runtime]\n{name} = {value}\n{ROUTE}");
            let problems = problems(&text);
            assert!(!problems.is_empty(), "{name} = {value}");
            for shown in [problems.render_human(), problems.render_json()] {
                assert!(!shown.contains("TOPSECRET"), "{name} = {value}: {shown}");
            }
        }
    }
    // No part of another word.
    let shown =
        problems(&format!("{TLS_LISTEN}[runtime]\nspinning = 'open'\n{ROUTE}")).render_human();
    assert!(shown.contains("'open'"), "{shown}");
    let unread = problems("nobody_knows = WORD\n");
    assert!(unread.iter().all(|one| !format!("{:?}", one.help).contains("WORD")), "{unread}");
    let unread = problems("address = WORD\n");
    assert!(unread.iter().any(|one| format!("{:?}", one.help).contains("WORD")), "{unread}");
}

/// What is no path is no text to quote, either.
#[test]
fn a_key_that_is_neither_path_nor_pem_is_never_quoted() {
    let shown = |key: &str, value: &'static str| {
        let text = format!("{TLS_LISTEN}[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = {key}\n{ROUTE}");
        let env = |name: &str| (name == "K").then(|| value.to_owned());
        let found = read_text(Path::new("/etc/ferrule.toml"), text, &env);
        let problems = found.map_or_else(|problems| problems, |draft| draft.problems);
        let lines: Vec<String> = problems.lines().collect();
        format!("{}{}{}", problems.render_human(), problems.render_json(), lines.join("\n"))
    };
    let der = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2TOPSECRET";
    let refused = " is neither a path nor PEM text";
    for (key, value) in [
        ("'''\nTOPSECRET\n'''", ""),
        ("\"${env:K}\"", "TOPSECRET\nTOPSECRET\n"),
        ("\"${env:K}\"", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2TOPSECRET"),
        (&format!("'{der}'"), ""),
        (&format!("'{}TOPSECRET'", "x".repeat(256)), ""),
    ] {
        let shown = shown(key, value);
        assert!(shown.contains(refused) && shown.contains("ssls[0].key"), "{shown}");
        assert_eq!(shown.contains("${env:K} is neither"), key.contains("env:"), "{shown}");
        assert!(!shown.contains("TOPSECRET"), "{shown}");
    }
    // PEM text is what it is, whatever stands in front of it.
    for front in ["Bag Attributes\\n    x: y\\n", "\\uFEFF", "x "] {
        let pem = "-----BEGIN PRIVATE KEY-----\\nTOPSECRET\\n-----END PRIVATE KEY-----\\n";
        let shown = shown(&format!("\"{front}{pem}\""), "");
        assert!(!shown.contains(refused) && !shown.contains("TOPSECRET"), "{shown}");
    }
    // No TOML.
    for key in [der, &format!("\"{der}"), &format!("{der} # the key")] {
        let shown = shown(key, "");
        assert!(shown.contains("/etc/ferrule.toml") && !shown.contains("TOPSECRET"), "{shown}");
    }
    let path = format!("'{}/{}'", "x".repeat(200), "y".repeat(200));
    assert!(!shown(&path, "").contains(refused));
}

/// A path from the environment may be the key itself, by mistake.
#[test]
fn a_key_from_the_environment_is_named_by_its_variable() {
    let text = format!(
        "{TLS_LISTEN}[[ssls]]\nsni = 'a'\ncert = '${{env:K}}'\nkey = '${{env:K}}/${{env:L}}'\n{ROUTE}"
    );
    let env = |_: &str| Some("TOPSECRET".to_owned());
    let draft = read_text(Path::new("/etc/ferrule.toml"), text, &env);
    let config = draft.and_then(Draft::finish).expect("nothing is wrong");
    let pair = config.servers.first().and_then(|server| server.pairs.first()).expect("a pair");
    assert_eq!(pair.key.name(), "the file that ${env:K} and ${env:L} names");
    assert_eq!(pair.cert.name(), "/etc/TOPSECRET");
    let dump = config.dump();
    assert!(dump.contains("key = \"<redacted>\""), "{dump}");
}

#[test]
fn a_dump_redacts_keys_and_credentials() {
    let pem = "-----BEGIN PRIVATE KEY-----\\nTOPSECRET\\n-----END PRIVATE KEY-----\\n";
    let text = format!(
        "{TLS_LISTEN}[[ssls]]\nsni = 'a'\ncert = 'c.pem'\nkey = \"{pem}\"\n{ROUTE}\
         headers.set = {{ Authorization = 'Bearer TOPSECRET', X-Plain = 'yes' }}\n"
    );
    let dump = draft(&text).and_then(Draft::finish).expect("nothing is wrong").dump();
    assert!(!dump.contains("TOPSECRET") && dump.contains("key = \"<redacted>\""), "{dump}");
    assert!(dump.contains("\"/etc/c.pem\"") && dump.contains("X-Plain = [\"yes\"]"), "{dump}");
}

/// Whatever is wrong with it or beside it, and however it is written: what is given to a header that
/// holds credentials is in no problem and in no dump.
#[test]
fn credentials_are_never_shown_whatever_is_wrong_around_them() {
    const NAMES: [&str; 8] = [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "PRIVATE-TOKEN",
        "X-Vault-Auth",
        "Client-Secret",
    ];
    const VALUES: [&str; 6] = [
        "Bearer TOPSECRET",
        " TOPSECRET",
        "pa$TOPSECRET",
        "$TOPSECRET",
        "${TOPSECRET",
        "a\\nTOPSECRET",
    ];
    const FORMS: [&str; 22] = [
        "headers.set = { @N = @V }",
        "headers.set.@N = @V",
        "headers.set.@N = [@V, @V]",
        "headers.add = { @N = [[@V]] }",
        "headers.set = { @N = { value = @V } }",
        "headers.set = { @N = @V, 'Bad Name' = 'x' }",
        "headers.set = { 'Bad Name' = 'x', @N = @V }",
        "headers.set = { @N = @V, n = 7 }",
        "headers = { set = { @N = @V }, sett = 1 }",
        "headers.sett = { @N = @V }",
        "header.set = { @N = @V }",
        "header.set.@N = [@V]",
        "header = [{ set = { @N = @V } }]",
        "headers = 7 # @N: @V",
        "headers.set = [{ @N = @V }]",
        "headers.set = { @N = [\n @V,\n 7] }",
        "headers.remove = ['Bad Name'] # @N = @V",
        "headers.set = { @N = @V",
        "headers.set.@N = = @V",
        "headers = { set = { @N = @V } } }",
        "headers.set = '@N: @U'",
        "headers = ['@N: @U']",
    ];
    let mut wrong = 0;
    for (name, value, form) in NAMES.iter().flat_map(|name| {
        VALUES.iter().flat_map(move |value| FORMS.iter().map(move |form| (name, value, form)))
    }) {
        let line = form
            .replace("@N", name)
            .replace("@V", &format!("\"{value}\""))
            .replace("@U", &value.replace('\\', "\\\\"));
        let text = format!(
            "{TLS_LISTEN}[[routes]]\n{line}\nuri = '/*'\nupstream.nodes = {{ 'a:1' = 1 }}\n"
        );
        let shown = match draft(&text).and_then(Draft::finish) {
            Ok(config) => config.dump(),
            Err(problems) => {
                wrong += 1;
                let lines: Vec<String> = problems.lines().collect();
                problems.render_human() + &problems.render_json() + &lines.join("\n")
            }
        };
        assert!(!shown.contains("TOPSECRET"), "{line}\n{shown}");
    }
    assert!(wrong > 800, "{wrong}");
}

/// What only looks like one is still shown.
#[test]
fn names_of_hosts_files_and_variables_are_shown() {
    for line in [
        "sni = 'client-auth.example.com'",
        "sni = ['a', 'my-token', '\\x']",
        "cert = 'authority-key.pem'",
        "vars = [['cookie_session', '==', 'x']]",
        "format = '$http_authorization'",
    ] {
        let shown = problems(&format!("{line} 7\n")).render_human();
        assert!(shown.contains(line), "{shown}");
    }
}
