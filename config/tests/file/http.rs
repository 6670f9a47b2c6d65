//! `[http]`: what its keys become, and what is wrong with them.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::{Expect, ForwardedHost, HalfClose, Http};
use ferrule_config::{Config, read_text};

const REST: &str = "listen = [{ address = '0.0.0.0:80' }]\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

fn read(text: &str) -> Result<Config, Vec<(String, String)>> {
    let draft = read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None);
    draft
        .map_err(|problems| problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect())
        .and_then(|draft| {
            let errors: Vec<_> =
                draft.problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            if errors.is_empty() { Ok(draft.config) } else { Err(errors) }
        })
}

fn http(lines: &str) -> Http {
    read(&format!("{REST}{lines}\n{ROUTE}")).unwrap().http
}

#[test]
fn what_nobody_writes_is_safe() {
    let http = http("");
    assert!(!http.server_tokens);
    assert_eq!((http.via, http.expect), (None, Expect::Answer));
    assert!(http.forwarded.enabled && http.forwarded.trusted.is_empty());
    assert_eq!((http.forwarded.host, http.wrong_method_status), (ForwardedHost::Host, 405));
    let seconds = (http.lingering_time.as_secs(), http.lingering_timeout.as_secs());
    assert_eq!((seconds, http.client_half_close), ((30, 5), HalfClose::Abort));
}

#[test]
fn requests_and_responses_have_limits_of_their_own() {
    let limits = |http: Http| {
        [
            http.head_bytes_max,
            http.fields_max.into(),
            http.response_head_bytes_max,
            http.response_fields_max.into(),
        ]
    };
    assert_eq!(limits(http("")), [32_768, 100, 32_768, 1_024]);
    let lines = "large_client_header_buffers = '1k', max_headers = 8";
    assert_eq!(limits(http(&format!("http = {{ {lines} }}"))), [1_024, 8, 32_768, 1_024]);
    let lines = "response_header_buffer = '64k', max_response_headers = 2048";
    assert_eq!(limits(http(&format!("http = {{ {lines} }}"))), [32_768, 100, 65_536, 2_048]);
}

#[test]
fn keys_become_values() {
    let http = http(
        "http = { lingering_time = '2m', lingering_timeout = '500ms', client_half_close = 'serve', \
         server_tokens = true, via = 'edge-1', expect = 'forward', \
         trusted_addresses = ['10.0.0.0/8', '192.0.2.1', 'fd00::/8'], forwarded_host = 'http_host', \
         wrong_method_status = 404 }",
    );
    assert!(http.server_tokens);
    assert_eq!((http.forwarded.host, http.wrong_method_status), (ForwardedHost::HttpHost, 404));
    let millis = (http.lingering_time.as_millis(), http.lingering_timeout.as_millis());
    assert_eq!((millis, http.client_half_close), ((120_000, 500), HalfClose::Serve));
    assert_eq!((http.via.as_deref(), http.expect), (Some("edge-1"), Expect::Forward));
    for (peer, trusted) in [
        ("10.255.0.1", true),
        ("::ffff:10.1.1.1", true),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("fd12::1", true),
        ("fe80::1", false),
    ] {
        assert_eq!(http.forwarded.trusts(peer.parse().unwrap()), trusted, "{peer}");
    }
}

#[test]
fn every_mistake_is_told_by_field() {
    for (line, field, message) in [
        ("http.via = 'two words'", "http.via", "no name that can stand in `Via`"),
        ("http.via = ''", "http.via", "no name that can stand in `Via`"),
        ("http.via = 'a,b'", "http.via", "no name that can stand in `Via`"),
        ("http.expect = 'ignore'", "http.expect", "ignore"),
        ("http.lingering_time = '0s'", "http.lingering_time", "nothing"),
        ("http.lingering_timeout = 5", "http.lingering_timeout", "a duration needs a unit"),
        ("http.client_half_close = 'on'", "http.client_half_close", "not known here"),
        (
            "http.trusted_addresses = ['10.0.0.1/8']",
            "http.trusted_addresses[0]",
            "behind its prefix",
        ),
        ("http.trusted_addresses = ['a.test']", "http.trusted_addresses[0]", "neither an address"),
        ("http.trusted_addresses = ['10.0.0.0/40']", "http.trusted_addresses[0]", "neither"),
        (
            "http.trusted_addresses = ['::1', '::1/128']",
            "http.trusted_addresses[1]",
            "stands here twice",
        ),
        (
            "http = { forwarded_headers = false, trusted_addresses = ['::1'] }",
            "http.trusted_addresses",
            "means nothing without `forwarded_headers`",
        ),
        (
            "http = { forwarded_headers = false, forwarded_host = 'host' }",
            "http.forwarded_host",
            "means nothing without `forwarded_headers`",
        ),
        ("http.forwarded_host = '$http_host'", "http.forwarded_host", "not known here"),
        ("http.wrong_method_status = 403", "http.wrong_method_status", "out of range"),
        ("http.server_tokens = 'off'", "http.server_tokens", "a string"),
    ] {
        let found = read(&format!("{REST}{line}\n{ROUTE}")).unwrap_err();
        assert!(
            found.iter().any(|(at, text)| at == field && text.contains(message)),
            "{line}: {found:?}"
        );
    }
}

/// The route's own word, else its service's, else that of `[http]`; 0 lifts the bound of the others.
#[test]
fn the_nearest_body_size_counts() {
    let text = format!(
        "{REST}http.client_max_body_size = 100\n\
         [[services]]\nid = 's'\nclient_max_body_size = '1k'\nupstream.nodes = {{ 'a:1' = 1 }}\n\
         [[routes]]\nuri = '/a'\nservice_id = 's'\n\
         [[routes]]\nuri = '/b'\nservice_id = 's'\nclient_max_body_size = 0\n\
         [[routes]]\nuri = '/c'\nservice_id = 's'\nclient_max_body_size = 7\n\
         [[routes]]\nuri = '/d'\nupstream.nodes = {{ 'b:1' = 1 }}\n"
    );
    let config = read(&text).unwrap();
    let sizes: Vec<_> = config.routes.iter().map(|route| route.client_max_body_size).collect();
    assert_eq!(sizes, [Some(1024), None, Some(7), Some(100)]);
    let again = read(&config.dump()).unwrap();
    let sizes: Vec<_> = again.routes.iter().map(|route| route.client_max_body_size).collect();
    assert_eq!(sizes, [Some(1024), None, Some(7), Some(100)]);
}

/// Field by field, the route's own word, else its service's, else its upstream's, else the default.
#[test]
fn the_nearest_timeout_counts_field_by_field() {
    let text = format!(
        "{REST}[[services]]\nid = 's'\ntimeout = {{ send = 2, read = 3, total = 30 }}\n\
         [services.upstream]\nnodes = {{ 'a:1' = 1 }}\ntimeout = {{ connect = 1, send = 9, read = 9, total = 9 }}\n\
         [[routes]]\nuri = '/a'\nservice_id = 's'\n\
         [[routes]]\nuri = '/b'\nservice_id = 's'\ntimeout = {{ read = '4s', total = 5.5 }}\n\
         [[routes]]\nuri = '/c'\nservice_id = 's'\ntimeout = {{ connect = 7 }}\nupstream.nodes = {{ 'b:1' = 1 }}\n\
         [[routes]]\nuri = '/d'\nupstream.nodes = {{ 'c:1' = 1 }}\n\
         [[routes]]\nuri = '/e'\nupstream.nodes = {{ 'd:1' = 1 }}\ntimeout.total = 8\n"
    );
    let wanted = [
        Some([1_000, 2_000, 3_000, 30_000]),
        Some([1_000, 2_000, 4_000, 5_500]),
        // The upstream is another one, and what the service says holds for it.
        Some([7_000, 2_000, 3_000, 30_000]),
        None,
        Some([5_000, 60_000, 60_000, 8_000]),
    ];
    let config = read(&text).unwrap();
    for config in [&config, &read(&config.dump()).unwrap()] {
        let found = config.routes.iter().map(|route| {
            let timeout = route.timeout?;
            let total = timeout.total?;
            Some([timeout.connect, timeout.send, timeout.read, total].map(|time| time.as_millis()))
        });
        assert_eq!(found.collect::<Vec<_>>(), wanted);
        assert!(config.upstreams.iter().skip(1).all(|upstream| upstream.timeout.total.is_none()));
        assert_eq!(config.upstreams[0].timeout.total, Some(Duration::from_secs(9)));
    }
    for (timeout, wrong) in
        [("total = 0", "services[0].timeout.total"), ("idle = 1", "services[0].timeout.idle")]
    {
        let text = format!("{REST}{ROUTE}[[services]]\nid = 's'\ntimeout = {{ {timeout} }}\n");
        let fields = read(&text).unwrap_err().into_iter().map(|(field, _)| field);
        assert_eq!(fields.collect::<Vec<_>>(), [wrong]);
    }
}
