//! What is told about the keys of WebSockets, of the PROXY protocol and of kept connections.

use std::path::Path;

use ferrule_config::model::HttpReuse;
use ferrule_config::{Draft, Problems, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

fn draft(text: &str) -> Result<Draft, Problems> {
    read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None)
}

/// Column, field and message of every error.
fn problems(text: &str) -> Vec<(usize, String, String)> {
    let problems = draft(text).map_or_else(|problems| problems, |draft| draft.problems);
    let each = problems.iter().map(|problem| {
        let column = problems.position(problem.place).column;
        (column, problem.field.clone(), problem.message.clone())
    });
    each.collect()
}

#[test]
fn proxy_protocol_headers_need_trusted_senders() {
    let trusted = "listen[0].proxy_protocol_trusted";
    for (listen, column, message) in [
        ("proxy_protocol = true", 54, "`proxy_protocol_trusted` is missing"),
        ("proxy_protocol = true, proxy_protocol_trusted = []", 85, "this list is empty"),
        ("proxy_protocol_trusted = ['10.0.0.0/8']", 62, "for `proxy_protocol = true` only"),
        ("proxy_protocol = true, proxy_protocol_trusted = ['a']", 86, "neither an address nor"),
        ("proxy_protocol = true, proxy_protocol_trusted = '10.0.0.0/33'", 85, "neither an address"),
        (
            "proxy_protocol = true, proxy_protocol_trusted = '10.0.0.1/8'",
            85,
            "bits behind its prefix",
        ),
    ] {
        let text = format!("listen = [{{ address = '0.0.0.0:80', {listen} }}]\n{ROUTE}");
        let found = problems(&text);
        let same = found.len() == 1
            && (found[0].0, found[0].1.as_str()) == (column, trusted)
            && found[0].2.contains(message);
        assert!(same, "{text}{found:#?}");
    }
    let good = "proxy_protocol = true, proxy_protocol_trusted = ['::/0', '10.0.0.1'], handshake_timeout = '1s'";
    let found = problems(&format!("listen = [{{ address = '0.0.0.0:80', {good} }}]\n{ROUTE}"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn proxy_protocol_values_are_for_version_2() {
    let tlvs = "upstreams[0].proxy_protocol_tlvs";
    for (keys, field, message) in [
        ("proxy_protocol_tlvs = ['ssl']", tlvs, "only"),
        ("proxy_protocol = 'v1', proxy_protocol_tlvs = ['ssl']", tlvs, "only"),
        ("proxy_protocol = 'v3'", "upstreams[0].proxy_protocol", "`v3` is not known here"),
        (
            "proxy_protocol = 'v2', proxy_protocol_tlvs = ['sll']",
            "upstreams[0].proxy_protocol_tlvs[0]",
            "`sll` is not known here",
        ),
    ] {
        let text = format!("{LISTEN}upstreams = [{{ nodes = {{ 'a' = 1 }}, {keys} }}]\n{ROUTE}");
        let found = problems(&text);
        let same = found.len() == 1 && found[0].1 == field && found[0].2.contains(message);
        assert!(same, "{text}{found:#?}");
    }
}

#[test]
fn a_routes_word_on_websockets_wins_over_its_services() {
    let services = "services = [{ id = 's', enable_websocket = true }]\n";
    for (of_route, wanted) in [("", true), ("enable_websocket = false\n", false)] {
        let route = ROUTE.replace("uri =", &format!("service_id = 's'\n{of_route}uri ="));
        let config = draft(&format!("{LISTEN}{services}{route}")).map(|draft| draft.config);
        assert_eq!(config.expect("it is TOML").routes[0].websocket, wanted);
    }
}

#[test]
fn kept_connections_are_for_every_request_or_for_safe_ones() {
    let text = |line: &str| {
        format!(
            "{LISTEN}[[routes]]\nuri = '/*'\n[routes.upstream]\nnodes = {{ 'a:1' = 1 }}\n{line}\n"
        )
    };
    for (line, wanted) in [
        ("", HttpReuse::Always),
        ("http_reuse = 'always'", HttpReuse::Always),
        ("http_reuse = 'safe'", HttpReuse::Safe),
    ] {
        let config = draft(&text(line)).expect("no problem").config;
        assert_eq!(config.upstreams[0].http_reuse, wanted, "{line}");
    }
    for (line, message) in [
        ("http_reuse = 'never'", "`never` is out of scope"),
        ("http_reuse = 'aggressive'", "`aggressive` is out of scope"),
        ("http_reuse = 'Safe'", "`Safe`"),
        ("http_reuse = true", ""),
    ] {
        let found = problems(&text(line));
        let fits = |problem: &(usize, String, String)| {
            problem.1 == "routes[0].upstream.http_reuse" && problem.2.contains(message)
        };
        assert!(found.len() == 1 && fits(&found[0]), "{line}: {found:?}");
    }
}
