//! Every mistake around revocation lists and pins is told: where, and in which field.

use std::path::Path;

use ferrule_config::read_text;

const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";
const TLS_LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

/// Line, column, field and a part of the message.
type Wanted<'a> = (usize, usize, &'a str, &'a str);

/// The errors of a text are exactly these.
fn assert_problems(text: &str, wanted: &[Wanted<'_>]) {
    let problems = read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None)
        .map_or_else(|problems| problems, |draft| draft.problems);
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let position = problems.position(problem.place);
            (position.line, position.column, problem.field.clone(), problem.message.clone())
        })
        .collect();
    let same = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| {
            (found.0, found.1, found.2.as_str()) == (wanted.0, wanted.1, wanted.2)
                && found.3.contains(wanted.3)
        });
    assert!(same, "{text}\nwanted {wanted:#?}\nfound {found:#?}");
}

#[test]
fn revocation_and_pins_are_whole() {
    let cases: [(&str, &[Wanted<'_>]); 4] = [
        ("crl = []", &[(6, 28, "ssls[0].client.crl", "this list is empty")]),
        (
            "crl_expired = 'warn', crl_missing = 'allow'",
            &[
                (6, 36, "ssls[0].client.crl_expired", "says nothing without `crl`"),
                (6, 58, "ssls[0].client.crl_missing", "says nothing without `crl`"),
            ],
        ),
        (
            "crl = ['', 'x'], crl_expired = 'allow'",
            &[
                (6, 29, "ssls[0].client.crl[0]", "this is empty"),
                (6, 53, "ssls[0].client.crl_expired", "not known here"),
            ],
        ),
        ("clock_skew = '25h'", &[(6, 35, "ssls[0].client.clock_skew", "no difference of clocks")]),
    ];
    for (keys, wanted) in cases {
        let object = format!("sni = 'a'\ncert = 'c'\nkey = 'k'\nclient = {{ ca = 'a', {keys} }}\n");
        assert_problems(&format!("{TLS_LISTEN}[[ssls]]\n{object}{ROUTE}"), wanted);
    }
    let pin = "spki-sha256:NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=";
    let cases: [(String, &[Wanted<'_>]); 4] = [
        (
            "ca = 'a', pins = []".to_owned(),
            &[(5, 26, "upstreams[0].tls.pins", "this list is empty")],
        ),
        (
            "ca = 'a', pins = ['sha256:00', 'md5:00']".to_owned(),
            &[
                (5, 27, "upstreams[0].tls.pins", "is no SHA-256"),
                (5, 40, "upstreams[0].tls.pins", "is no pin"),
            ],
        ),
        (
            format!("ca = 'a', pins = ['{pin}', '{pin}']"),
            &[(5, 87, "upstreams[0].tls.pins", "stands here twice")],
        ),
        (
            "verify = 'off', crl = 'x'".to_owned(),
            &[(5, 31, "upstreams[0].tls.crl", "needs a chain that is verified")],
        ),
    ];
    for (keys, wanted) in cases {
        let object = "[[upstreams]]\nscheme = 'https'\nnodes = { 'a' = 1 }\n";
        assert_problems(&format!("{LISTEN}{object}tls = {{ {keys} }}\n{ROUTE}"), wanted);
    }
}

/// What is fetched needs a place to be kept, and a URL that is fetched.
#[test]
fn lists_that_are_fetched_are_whole() {
    const FETCH: &str = "crl_fetch.directory = 'lists'\n";
    let table = |keys: &str| {
        let object = format!("sni = 'a'\ncert = 'c'\nkey = 'k'\nclient = {{ ca = 'a', {keys} }}\n");
        format!("{TLS_LISTEN}[[ssls]]\n{object}{ROUTE}")
    };
    let cases: [(&str, &[Wanted<'_>]); 4] = [
        (
            "crl = ['x.crl', 'https://a/x']",
            &[(7, 38, "ssls[0].client.crl[1]", "this is not fetched: a list is signed by its CA")],
        ),
        ("crl = 'ldap://a/x'", &[(7, 28, "ssls[0].client.crl", "this is not fetched: lists come")]),
        (
            "crl = 'http://me:pass@a/x'",
            &[(7, 28, "ssls[0].client.crl", "this has a user, which would be a secret")],
        ),
        ("crl = 'http://a/x', crl_distribution_points = true, crl_missing = 'allow'", &[]),
    ];
    for (keys, wanted) in cases {
        assert_problems(&format!("{FETCH}{}", table(keys)), wanted);
    }
    for (keys, column, key) in [
        ("crl = 'http://a/x'", 28, "crl"),
        ("crl_distribution_points = true", 48, "crl_distribution_points"),
    ] {
        let field = format!("ssls[0].client.{key}");
        assert_problems(&table(keys), &[(6, column, &field, "there is no [crl_fetch]")]);
    }
    let cases: [(&str, &[Wanted<'_>]); 4] = [
        ("crl_fetch = {}\n", &[(1, 13, "crl_fetch.directory", "is missing")]),
        ("crl_fetch.directory = ''\n", &[(1, 23, "crl_fetch.directory", "this is empty")]),
        (
            "crl_fetch = { directory = 'x', refresh = '8d' }\n",
            &[(1, 42, "crl_fetch.refresh", "is out of range")],
        ),
        (
            "crl_fetch = { directory = 'x', timeout = '1ms' }\n",
            &[(1, 42, "crl_fetch.timeout", "is out of range")],
        ),
    ];
    for (fetch, wanted) in cases {
        assert_problems(&format!("{fetch}{}", table("crl = 'x'")), wanted);
    }
    let secret = read_text(
        Path::new("/etc/ferrule.toml"),
        format!("{FETCH}{}", table("crl = 'http://me:hunter2@a/x'")),
        &|_| None,
    );
    let problems = secret.map_or_else(|problems| problems, |draft| draft.problems);
    assert!(!format!("{problems}").contains("hunter2"), "{problems}");
}
