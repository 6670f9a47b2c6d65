//! The examples load, say every key, and survive what people and chance do to them.

use std::path::Path;

use ferrule_config::model::{
    HostPattern, NodeAddress, PassHost, PemSource, UpstreamCa, UpstreamVerify, UriPattern,
};
use ferrule_config::{Config, Problems, read, read_text};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["client-mtls.toml", "upstream-mtls.toml", "full.toml"];

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn load(name: &str) -> Config {
    let env = |name: &str| (name == "REDIS_PASSWORD").then(|| "secret".to_owned());
    let draft = read(&path(name), &env).unwrap();
    assert_eq!(draft.problems.all(), [], "{}", draft.problems);
    draft.finish().unwrap()
}

#[test]
fn every_example_loads_without_a_warning() {
    for name in NAMES {
        load(name);
    }
}

#[test]
fn the_client_guide_reads_as_it_says() {
    let config = load("client-mtls.toml");
    assert!(config.listens[0].tls);
    let server = &config.servers[0];
    assert_eq!(server.snis, [HostPattern::Exact("test.com".to_owned())]);
    assert_eq!(server.pairs[0].cert.source, PemSource::Path(path("server.cer")));
    let client = server.client.as_ref().unwrap();
    assert_eq!((client.depth, client.ca.len()), (1, 1));
    let route = &config.routes[0];
    assert_eq!(route.uris, [UriPattern::Exact("/anything".to_owned())]);
    let node = &config.upstreams[route.upstream.unwrap()].nodes[0];
    let host = "httpbin.org".to_owned();
    assert_eq!(node.address, NodeAddress::Name { host, port: 80 });
    let names: Vec<_> = route.headers[0].set.iter().map(|header| header.name.as_str()).collect();
    let order = ["X-Ssl-Client-Fingerprint", "X-Ssl-Client-Serial", "X-Ssl-Client-S-DN"];
    assert_eq!(names, order);
}

#[test]
fn the_upstream_guide_reads_as_it_says() {
    let config = load("upstream-mtls.toml");
    assert!(config.servers.is_empty() && !config.listens[0].tls);
    let route = &config.routes[0];
    assert_eq!(route.hosts, [HostPattern::Exact("app.example.com".to_owned())]);
    assert_eq!(route.uris, [UriPattern::Exact("/v1/anything".to_owned())]);
    assert_eq!((route.methods.as_slice(), &route.strip_prefix), (&["GET".to_owned()][..], &None));
    let upstream = &config.upstreams[route.upstream.unwrap()];
    assert_eq!(upstream.pass_host, PassHost::Pass);
    let tls = upstream.tls.as_ref().unwrap();
    assert_eq!(tls.verify, UpstreamVerify::Ca);
    assert!(matches!(&tls.ca, Some(UpstreamCa::Files(files)) if files.len() == 1));
    let key = &tls.client.as_ref().unwrap().key;
    assert_eq!(key.source, PemSource::Path(path("client.key")));
}

#[test]
fn the_full_example_merges_services_and_rules() {
    let config = load("full.toml");
    let route = &config.routes[0];
    assert_eq!(route.id, "pay-admin");
    assert_eq!(route.strip_prefix.as_deref(), Some("/v1"));
    assert_eq!(route.uris[1], UriPattern::Prefix("/v1/admin/".to_owned()));
    let timeout = route.timeout.unwrap();
    assert_eq!((timeout.connect.as_secs(), timeout.read.as_secs()), (2, 300));
    // The rule, the service, the route, and what stands behind the route's list of values.
    assert_eq!(route.headers.len(), 4);
    assert_eq!(route.headers[0].set[0].name, "X-Real-IP");
    assert_eq!(route.headers[3].add[0].value.to_string(), "b");
    assert_eq!(config.upstreams[route.upstream.unwrap()].id, "pay");
    let ids: Vec<_> = config.upstreams.iter().map(|upstream| upstream.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "pay",
            "2",
            "addressed",
            "local",
            "services.1.upstream",
            "routes.0.traffic_split.0.0",
            "own"
        ]
    );
    assert_eq!(config.upstreams[4].nodes.len(), 1);
    assert_eq!(config.upstreams[config.routes[2].upstream.unwrap()].id, "2");
}

#[test]
fn a_dump_reads_back_to_the_same_dump() {
    for name in NAMES {
        let dump = load(name).dump();
        let again = read_text(Path::new("/elsewhere/ferrule.toml"), dump.clone(), &|_| None);
        let again = again.unwrap_or_else(|problems| panic!("{problems}\n{dump}"));
        assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
        assert_eq!(again.config.dump(), dump);
    }
}

/// Keys that the example cannot hold beside their opposites stand in other tables of it.
#[test]
fn the_full_example_says_every_key() {
    let text = text("full.toml");
    let schema: serde_json::Value = serde_json::from_str(&ferrule_config::schema()).unwrap();
    let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for key in tables.flat_map(|table| table["properties"].as_object().unwrap().keys()) {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        assert!(text.split(|letter| !word(letter)).any(|found| found == key), "{key}");
    }
}

#[test]
fn the_schema_and_the_reference_name_every_table() {
    let reference = ferrule_config::reference();
    for part in ["## `[[ssls]]`", "## `ssls.client`", "| `$ssl_client_s_dn_NAME` |", "| `allow` |"]
    {
        assert!(reference.contains(part), "{part}");
    }
    let schema: serde_json::Value = serde_json::from_str(&ferrule_config::schema()).unwrap();
    assert_eq!(schema["properties"]["ssls"]["items"]["$ref"], "#/$defs/ssls");
    assert_eq!(schema["$defs"]["ssls.client"]["additionalProperties"], false);
}

#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn render(problems: &Problems) {
    let all = problems.all().len();
    let json: serde_json::Value = serde_json::from_str(&problems.render_json()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), all);
    assert_eq!(problems.render_human().is_empty(), all == 0);
}

/// Reads and shows; the answer does not matter, that there is one does.
#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn survives(text: String) {
    match read_text(Path::new("f.toml"), text, &|name| Some(format!("${name}"))) {
        Ok(draft) => {
            render(&draft.problems);
            let dump = draft.config.dump();
            if draft.problems.is_empty() && !dump.contains("<redacted>") {
                let again = read_text(Path::new("f.toml"), dump.clone(), &|_| None).unwrap();
                assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
                assert_eq!(again.config.dump(), dump);
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            render(&problems);
        }
    }
}

/// What stands in a file where it means something.
const PIECES: [&str; 24] = [
    "\"\"",
    "[]",
    "{}",
    "0",
    "-1",
    "1.5",
    "true",
    "\"*\"",
    "\"$\"",
    "\"${env:X}\"",
    "\"/\"",
    "\"a\"",
    "[[routes]]\n",
    "[ssls.client]\n",
    "status = 0\n",
    "\n",
    "'''",
    "\"",
    "=",
    ".",
    "\u{e4}",
    "99999999999999999999",
    "\"system\"",
    "1979-05-27",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_example_never_panics(
        name in 0..NAMES.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..PIECES.len()), 1..4),
    ) {
        let mut text: Vec<char> = text(NAMES[name]).chars().collect();
        for (at, len, piece) in cuts {
            let at = at.index(text.len());
            let end = (at + len).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        survives(text.into_iter().collect());
    }

    #[test]
    fn a_damaged_value_never_panics(
        name in 0..NAMES.len(),
        line in any::<prop::sample::Index>(),
        piece in 0..PIECES.len(),
    ) {
        let text = text(NAMES[name]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = line.index(lines.len());
        if let Some((key, _)) = lines[at].split_once('=') {
            lines[at] = format!("{key}= {}", PIECES[piece]);
        } else {
            lines.remove(at);
        }
        survives(lines.join("\n"));
    }

    #[test]
    fn any_text_never_panics(text in "[\\[\\]a-z{}=.\"'$\n 0-9-]{0,80}") {
        survives(text);
    }
}
