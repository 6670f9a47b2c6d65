//! `[[stores]]`, and `store` of a limit: what is taken, what is refused, and that no password is shown.

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::StorePolicy;
use ferrule_config::{Draft, read_text};

const LIMIT: &str = "count = 2, window = 60, key = '$remote_addr', group = 'g', store = 's'";

#[expect(clippy::unwrap_used, reason = "a test ends where this fails")]
fn draft(store: &str, limit: &str) -> Draft {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[stores]]\n{store}\n[[routes]]\nuri = '/*'\n\
         upstream.nodes = {{ 'a' = 1 }}\nlimits.requests = {{ {limit} }}\n"
    );
    let env = |name: &str| (name == "SECRET").then(|| "s3cret".to_owned());
    read_text(Path::new("/etc/ferrule.toml"), text, &env).unwrap()
}

fn whole(store: &str) -> Draft {
    let draft = draft(store, LIMIT);
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    draft
}

#[test]
fn defaults_are_those_of_the_reference() {
    let draft = whole("id = 's'\nnodes = 'redis.example'");
    let [store] = draft.config.stores.as_slice() else { panic!("{:?}", draft.config.stores) };
    assert_eq!(
        (store.policy, store.nodes[0].to_string().as_str()),
        (StorePolicy::Redis, "redis.example:6379")
    );
    assert_eq!(
        (store.timeout, store.sync_interval),
        (Duration::from_secs(1), Duration::from_millis(100))
    );
    assert!(store.username.is_none() && store.password.is_none() && store.tls.is_none());
    let limit = draft.config.routes[0].limits[0].store.as_ref().unwrap();
    assert_eq!((limit.id.as_str(), limit.index, limit.allow_degradation), ("s", 0, false));
}

/// What is of no use, and a password that anybody on the way can read, are told.
#[test]
fn an_unused_store_and_an_open_password_are_warned_about() {
    let told = |store: &str, limit: &str| {
        let draft = draft(store, limit);
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        draft.problems.render_human()
    };
    let other = "count = 2, window = 60, key = '$remote_addr'";
    assert!(told("id = 's'\nnodes = 'a'", other).contains("no limit is counted in this store"));
    assert_eq!(told("id = 's'\nnodes = 'a'", LIMIT), "");
    for (nodes, tls, open) in [
        ("'10.0.0.1'", "", true),
        ("['127.0.0.1', 'redis.example']", "", true),
        ("['127.0.0.1', '[::1]', 'localhost']", "", false),
        ("'10.0.0.1'", "tls = { ca = 'ca.pem' }", false),
    ] {
        let store = format!(
            "id = 's'\npolicy = 'redis-cluster'\nnodes = {nodes}\npassword = '${{env:SECRET}}'\n{tls}"
        );
        let found = told(&store, LIMIT);
        assert_eq!(found.contains("reads the password"), open, "{store}\n{found}");
        assert!(!found.contains("s3cret"), "{found}");
    }
}

/// Its dump reads back as the same, but for the password.
#[test]
fn all_keys_are_taken_and_dumped() {
    let keys = "id = 's'\npolicy = 'redis-cluster'\nnodes = ['[::1]:7000', '10.0.0.1', 'b:7001']\n\
                username = 'gate'\npassword = '${env:SECRET}'\ntimeout = '250ms'\nsync_interval = '50ms'\n\
                tls = { ca = 'ca.pem', server_name = 'redis.example' }";
    let draft = whole(keys);
    let store = &draft.config.stores[0];
    let nodes: Vec<_> = store.nodes.iter().map(ToString::to_string).collect();
    assert_eq!(nodes, ["[::1]:7000", "10.0.0.1:6379", "b:7001"]);
    assert_eq!(store.password.as_ref().unwrap().reveal(), "s3cret");
    assert!(!format!("{:?}", draft.config).contains("s3cret"));
    let dump = draft.config.dump();
    assert!(!dump.contains("s3cret"), "{dump}");
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
    let (one, other) = (store, &again.config.stores[0]);
    assert_eq!((&one.id, one.policy, &one.nodes), (&other.id, other.policy, &other.nodes));
    assert_eq!((one.timeout, one.sync_interval), (other.timeout, other.sync_interval));
    assert_eq!((&one.username, one.tls.is_some()), (&other.username, other.tls.is_some()));
    assert!(draft.config.routes[0].limits[0].says_the_same(&again.config.routes[0].limits[0]));
    assert!(one.is_same(&one.clone()) && !one.is_same(other), "the password is another");
}

#[test]
fn what_cannot_be_is_told_with_its_field() {
    let store = "id = 's'\nnodes = 'a'";
    let with = |more: &str| format!("{store}\n{more}");
    for (store, limit, field, message) in [
        ("id = 's'".to_owned(), LIMIT, "stores[0].nodes", "is missing"),
        ("id = 's'\nnodes = ['a', 'b']".to_owned(), LIMIT, "stores[0].nodes", "one is asked"),
        ("id = 's'\nnodes = 'redis://a'".to_owned(), LIMIT, "stores[0].nodes", "a URL"),
        ("id = 's'\nnodes = 'a:0'".to_owned(), LIMIT, "stores[0].nodes", "no port"),
        ("id = 's'\nnodes = 'a:70000'".to_owned(), LIMIT, "stores[0].nodes", "no port"),
        ("id = 's'\nnodes = 'a b'".to_owned(), LIMIT, "stores[0].nodes", "a b"),
        (with("policy = 'redis-sentinel'"), LIMIT, "stores[0].policy", "redis-sentinel"),
        (with("policy = 'redis-cluster'\ndatabase = 1"), LIMIT, "stores[0].database", "database 0"),
        (with("username = 'me'"), LIMIT, "stores[0].username", "without a password"),
        (with("password = ''"), LIMIT, "stores[0].password", "empty"),
        (with("timeout = '5ms'"), LIMIT, "stores[0].timeout", "out of range"),
        (with("sync_interval = '2m'"), LIMIT, "stores[0].sync_interval", "out of range"),
        (
            with("sync_interval = '1m'"),
            LIMIT,
            "routes[0].limits.requests.window",
            "before gateways",
        ),
        (with("tls = {}"), LIMIT, "stores[0].tls.ca", "`ca` is missing"),
        (with("redis_host = 'a'"), LIMIT, "stores[0].redis_host", "redis_host"),
        (
            store.to_owned(),
            "count = 2, window = 60, key = '$host', store = 's'",
            "routes[0].limits.requests.group",
            "needs `group`",
        ),
        (
            store.to_owned(),
            "count = 2, window = 60, key = '$host', group = 'g', store = 'other'",
            "routes[0].limits.requests.store",
            "no [[stores]]",
        ),
        (
            store.to_owned(),
            "count = 2, window = 60, key = '$host', allow_degradation = true",
            "routes[0].limits.requests.allow_degradation",
            "counted in a store",
        ),
        (
            store.to_owned(),
            "count = 2, window = 60, key = '$host', policy = 'redis'",
            "routes[0].limits.requests.policy",
            "`[[stores]]`",
        ),
    ] {
        let draft = draft(&store, limit);
        let found = draft.problems.iter().find(|problem| problem.field == field);
        let text = found.map(|problem| problem.message.as_str()).unwrap_or_default();
        assert!(text.contains(message), "{store} {limit}: {}", draft.problems);
        assert!(!draft.problems.to_string().contains("s3cret"));
    }
}

/// Only requests in a window are counted in a store.
#[test]
fn other_limits_have_no_store() {
    for limit in [
        "rate = { rate = 1, key = '$host', store = 's' }",
        "connections = { connections = 1, key = '$host', policy = 'redis' }",
    ] {
        let text = format!(
            "listen = [{{ address = '0.0.0.0:80' }}]\n[[stores]]\nid = 's'\nnodes = 'a'\n[[routes]]\nuri = '/*'\n\
             upstream.nodes = {{ 'a' = 1 }}\nlimits.{limit}\n"
        );
        let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None).unwrap();
        let told = draft.problems.to_string();
        assert!(told.contains("only `limits.requests` can be counted in a store"), "{told}");
    }
}

/// A password is shown nowhere, whatever is wrong beside it and whatever it looks like.
#[test]
fn no_message_shows_a_password() {
    for password in ["s3cret", "/s3cret", "s3cret:1@x", "${env:SECRET}"] {
        let store =
            format!("id = 's'\nnodes = 'a'\nusername = 7\npassword = '{password}'\nunknown = 1");
        let draft = draft(&store, LIMIT);
        assert!(!draft.problems.is_empty());
        let report = draft.problems.to_string();
        assert!(!report.contains("s3cret"), "{report}");
    }
}
