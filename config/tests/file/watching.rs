//! Mistakes in what lets the gateway be watched: `[metrics]`, `[admin]`, `client.explain`.

use std::path::Path;

use ferrule_config::model::LogEscape;
use ferrule_config::{Problems, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";
const TLS_LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

fn problems(text: &str) -> Problems {
    let draft = read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None);
    draft.map_or_else(|problems| problems, |draft| draft.problems)
}

/// The one error of a text: line, column, field and a part of its message.
fn assert_problems(text: &str, wanted: &[(usize, usize, &str, &str)]) {
    let problems = problems(text);
    let found: Vec<_> = problems
        .iter()
        .map(|one| {
            let position = problems.position(one.place);
            (position.line, position.column, one.field.as_str(), one.message.as_str())
        })
        .collect();
    let same = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| {
            (found.0, found.1, found.2) == (wanted.0, wanted.1, wanted.2)
                && found.3.contains(wanted.3)
        });
    assert!(same, "{text}\nwanted {wanted:#?}\nfound {found:#?}");
}

fn assert_line_2(cases: &[(&str, usize, &str, &str)]) {
    for (line, column, field, message) in cases {
        assert_problems(&format!("{LISTEN}{line}\n{ROUTE}"), &[(2, *column, *field, *message)]);
    }
}

#[test]
fn metrics_and_the_admin_socket_are_checked() {
    assert_line_2(&[
        ("metrics.listen = 'localhost:9091'", 18, "metrics.listen", "is not an address"),
        ("metrics.listen = '0.0.0.0:80'", 18, "metrics.listen", "line 1 listens on 0.0.0.0:80"),
        ("metrics.path = 'metrics'", 16, "metrics.path", "this is not a path"),
        ("metrics.path = '/a?b'", 16, "metrics.path", "this is not a path"),
        ("metrics.path = '/livez'", 16, "metrics.path", "whether the process is healthy"),
        ("metrics.path = '/readyz'", 16, "metrics.path", "whether the process is healthy"),
        ("metrics.status_path = 'status'", 23, "metrics.status_path", "not a path of a page"),
        ("metrics.status_path = '/'", 23, "metrics.status_path", "not a path of a page"),
        ("metrics.status_path = '/a/../b'", 23, "metrics.status_path", "not a path of a page"),
        ("metrics.status_path = '/a\"b'", 23, "metrics.status_path", "not a path of a page"),
        ("metrics.status_path = '/status/'", 23, "metrics.status_path", "not a path of a page"),
        ("metrics.status_path = '/readyz'", 23, "metrics.status_path", "below `/readyz`"),
        ("metrics.status_path = '/metrics'", 23, "metrics.status_path", "below `/metrics`"),
        ("metrics.status_path = '/metrics/status'", 23, "metrics.status_path", "below `/metrics`"),
        ("metrics.import_report = 'a.txt'", 25, "metrics.import_report", "no status page"),
        ("metrics.import_report = ''", 25, "metrics.import_report", "this is empty"),
        ("metrics.hosts = ['a_b.test', 'x y']", 30, "metrics.hosts[1]", "x y"),
        ("admin.socket = ''", 16, "admin.socket", "this is empty"),
    ]);
    let long = format!("admin.socket = '/{}'", "x".repeat(107));
    assert_line_2(&[(&long, 16, "admin.socket", "this socket has 108 bytes")]);
    let open = problems(&format!("{LISTEN}metrics.listen = '[::]:9091'\n{ROUTE}"));
    assert!(open.is_empty());
    assert!(open.warnings().any(|one| one.message.contains("from other machines")));
}

#[test]
fn only_an_http_answer_explains() {
    let text = format!(
        "{TLS_LISTEN}[[ssls]]\nsni = 'a.test'\ncert = 'c'\nkey = 'k'\n\
         client = {{ ca = 'ca', reject = 'handshake', explain = true }}\n{ROUTE}"
    );
    assert_problems(&text, &[(6, 55, "ssls[0].client.explain", "no answer to explain in")]);
}

#[test]
fn a_log_format_of_ones_own_says_how_it_is_escaped() {
    let own = |format: &str| {
        let text = format!("{LISTEN}log.access = {{ path = 'a', {format} }}\n{ROUTE}");
        let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None).unwrap();
        let config = draft.finish().unwrap();
        // What is dumped reads back.
        let dumped = read_text(Path::new("/etc/ferrule.toml"), config.dump(), &|_| None).unwrap();
        let again = dumped.finish().unwrap().log.access.unwrap().format;
        let access = config.log.access.unwrap();
        let escape = access.format.own().map(|own| own.escape);
        assert_eq!(again.own().map(|own| own.escape), escape, "{format}");
        escape
    };
    assert_eq!(own("format = 'json'"), None);
    assert_eq!(own("format = '$uri'"), Some(LogEscape::Default));
    assert_eq!(own("format = '$uri', escape = 'default'"), Some(LogEscape::Default));
    assert_eq!(own("format = '$uri', escape = 'none'"), Some(LogEscape::None));
    assert_eq!(own("format = '{\"uri\":\"$uri\"}', escape = 'json'"), Some(LogEscape::Json));
    assert_eq!(
        own("escape = 'json', format = \"\"\"\n{\n \"a\":$uri\n}\n\"\"\""),
        Some(LogEscape::Json)
    );
}

#[test]
fn a_log_format_that_breaks_its_lines_is_refused() {
    let format = "log.access.format";
    let line = |rest: &str| format!("log.access = {{ path = 'a', {rest} }}");
    let cases = [
        (
            r#"format = '"$uri"', escape = 'json'"#,
            37,
            format,
            "the whole format has to be one object",
        ),
        (r#"format = '{"a":$uri$args}', escape = 'json'"#, 37, format, "this format is not JSON"),
        (r#"format = '{"$uri":1}', escape = 'json'"#, 37, format, "may hold no variable"),
        (r#"format = "$uri\n$args""#, 37, format, "one request would be several lines"),
        (r#"format = "$uri\n", escape = "none""#, 37, format, "one request would be several lines"),
        ("format = 'json', escape = 'json'", 54, "log.access.escape", "of your own"),
        ("escape = 'none'", 37, "log.access.escape", "of your own"),
        ("format = '$uri', escape = 'xml'", 54, "log.access.escape", "`xml` is not known here"),
    ];
    for (rest, column, field, message) in cases {
        assert_line_2(&[(&line(rest), column, field, message)]);
    }
}
