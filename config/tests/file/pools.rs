//! What is told about connections that are kept, and about those that are opened ahead of requests.

use std::path::Path;
use std::time::Duration;

use ferrule_config::{Draft, Problems, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";

fn draft(upstream: &str) -> Result<Draft, Problems> {
    let route = "[[routes]]\nuri = '/*'\nupstream_id = 'u'\n";
    let text = format!("{LISTEN}{route}[[upstreams]]\nid = 'u'\n{upstream}\n");
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

/// Field, message and help of every error.
fn problems(upstream: &str) -> Vec<[String; 3]> {
    let problems = draft(upstream).map_or_else(|problems| problems, |draft| draft.problems);
    let each = problems.iter().map(|problem| {
        let help = problem.help.clone().unwrap_or_default();
        [problem.field.clone(), problem.message.clone(), help]
    });
    each.collect()
}

#[test]
fn a_connection_lives_an_hour_and_none_is_opened_ahead() {
    let pool = |upstream: &str| match draft(upstream) {
        Ok(draft) => draft.config.upstreams[0].pool,
        Err(problems) => panic!("{problems:#?}"),
    };
    let default = pool("nodes = { 'a:1' = 1 }");
    assert_eq!((default.max_age, default.min_idle), (Duration::from_secs(3_600), 0));
    let set = pool("nodes = { 'a:1' = 1 }\nkeepalive_pool = { max_age = '90s', min_idle = 4 }");
    assert_eq!((set.max_age, set.min_idle), (Duration::from_secs(90), 4));
    assert_eq!((set.size, set.idle_timeout), (default.size, default.idle_timeout));
}

#[test]
fn what_cannot_be_opened_ahead_is_told() {
    let nodes = "nodes = { 'a:81' = 1, 'b:81' = 2, 'c:81' = 0 }";
    let tls = "scheme = 'https'\ntls = { verify = 'off' }";
    for (upstream, message, help) in [
        (
            "keepalive_pool = { min_idle = 2, size = 3 }".to_owned(),
            "is 4 connections",
            "at least 4",
        ),
        ("keepalive_pool = { min_idle = 1, size = 0 }".to_owned(), "keeps 0", "at least 2"),
        (
            "proxy_protocol = 'v1'\nkeepalive_pool = { min_idle = 1 }".to_owned(),
            "for its client",
            "`proxy_protocol`",
        ),
        (format!("{tls}\nkeepalive_pool = {{ min_idle = 1 }}"), "not known", "`tls.server_name`"),
    ] {
        let found = problems(&format!("{nodes}\n{upstream}"));
        let told = found.iter().any(|[field, told, fix]| {
            field == "upstreams[0].keepalive_pool.min_idle"
                && told.contains(message)
                && fix.contains(help)
        });
        assert!(told, "{upstream}: {found:#?}");
    }
    for good in [
        "keepalive_pool = { min_idle = 2, size = 4 }".to_owned(),
        format!("{tls}\npass_host = 'node'\nkeepalive_pool = {{ min_idle = 1 }}"),
        "scheme = 'https'\ntls = { verify = 'off', server_name = 'a' }\n\
         keepalive_pool = { min_idle = 1 }"
            .to_owned(),
        "proxy_protocol = 'v1'\nkeepalive_pool = { min_idle = 0 }".to_owned(),
    ] {
        let found = problems(&format!("{nodes}\n{good}"));
        assert!(found.iter().all(|[field, ..]| !field.contains("keepalive_pool")), "{found:#?}");
    }
}
