//! What is told about the keys by which an upstream chooses its nodes.

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::{BalanceMethod, HashOn};
use ferrule_config::{Draft, Problems, read_text};

fn draft(upstream: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[routes]]\nuri = '/*'\nupstream_id = 'u'\n\
         [[upstreams]]\nid = 'u'\n{upstream}"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

const NODES: &str = "nodes = { 'a:1' = 2, 'b:1' = 1 }\n";

#[test]
fn every_way_to_choose_is_read() {
    for (word, method) in [
        ("roundrobin", BalanceMethod::RoundRobin),
        ("least_conn", BalanceMethod::LeastConn),
        ("ewma", BalanceMethod::Ewma),
        ("random", BalanceMethod::Random),
    ] {
        let draft = draft(&format!("{NODES}type = '{word}'\nslow_start = 30\n")).unwrap();
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        let balance = &draft.config.upstreams[0].balance;
        assert_eq!((balance.method, balance.slow_start), (method, Some(Duration::from_secs(30))));
    }
    for (on, key, wanted, variables) in [
        ("", "remote_addr", HashOn::Vars, "${remote_addr}"),
        ("hash_on = 'vars'\n", "ssl_client_fingerprint", HashOn::Vars, "${ssl_client_fingerprint}"),
        ("hash_on = 'header'\n", "X-User", HashOn::Header, "${http_x_user}"),
        ("hash_on = 'cookie'\n", "sid", HashOn::Cookie, "${cookie_sid}"),
        (
            "hash_on = 'vars_combinations'\n",
            "$host:$uri",
            HashOn::VarsCombinations,
            "${host}:${uri}",
        ),
    ] {
        let draft = draft(&format!("{NODES}type = 'chash'\n{on}key = '{key}'\n")).unwrap();
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        let input = draft.config.upstreams[0].balance.hash_key.clone().unwrap();
        assert_eq!((input.on, input.key.as_str()), (wanted, key));
        assert_eq!(input.template.to_string(), variables);
    }
}

#[test]
fn ranks_of_nodes_are_read() {
    let nodes =
        "nodes = [{ host = 'a', priority = -1 }, { host = 'b' }, { host = 'c', backup = true }]\n";
    let draft = draft(nodes).unwrap();
    let ranks = draft.config.upstreams[0].nodes.iter().map(|node| (node.priority, node.backup));
    assert_eq!(ranks.collect::<Vec<_>>(), [(-1, false), (0, false), (0, true)]);
}

#[test]
fn keys_that_a_type_has_no_use_for_are_told() {
    let chash = "type = 'chash'\nkey = 'remote_addr'\n";
    for (upstream, field, message) in [
        ("key = 'uri'\n".to_owned(), "key", "`key` is for `type = \"chash\"` only"),
        ("type = 'ewma'\nhash_on = 'vars'\n".to_owned(), "hash_on", "for `type = \"chash\"` only"),
        ("type = 'chash'\n".to_owned(), "key", "`key` is missing"),
        (format!("{chash}hash_on = 'consumer'\n"), "hash_on", "`consumer`"),
        (format!("{chash}slow_start = 1\n"), "slow_start", "does not go with \"chash\""),
        ("type = 'chash'\nkey = '$uri'\n".to_owned(), "key", "starts with a `$`"),
        ("type = 'chash'\nkey = 'nobody'\n".to_owned(), "key", "no variable `nobody`"),
        ("type = 'chash'\nkey = 'status'\n".to_owned(), "key", "not known before a node"),
        ("type = 'chash'\nhash_on = 'header'\nkey = 'a b'\n".to_owned(), "key", "not the name of"),
        (
            "type = 'chash'\nhash_on = 'vars_combinations'\nkey = 'x'\n".to_owned(),
            "key",
            "no variable in it",
        ),
        (
            "type = 'chash'\nhash_on = 'vars_combinations'\nkey = '$'\n".to_owned(),
            "key",
            "starts no variable",
        ),
        ("type = 'ip_hash'\n".to_owned(), "type", "`ip_hash`"),
    ] {
        let text = format!("{NODES}{upstream}");
        let problems = draft(&text).map_or_else(|problems| problems, |draft| draft.problems);
        let found: Vec<_> =
            problems.iter().map(|p| (p.field.as_str(), p.message.as_str())).collect();
        let field = format!("upstreams[0].{field}");
        let same = found.len() == 1 && found[0].0 == field && found[0].1.contains(message);
        assert!(same, "{text}{found:#?}");
    }
    for (nodes, message) in [
        (
            "[{ host = 'a', backup = true, priority = 1 }, { host = 'b' }]",
            "`backup` and `priority`",
        ),
        ("{ 'a' = 999_999, 'b' = 2 }", "add up to more than 10000"),
    ] {
        let text = format!("nodes = {nodes}\n{chash}");
        let problems = draft(&text).map_or_else(|problems| problems, |draft| draft.problems);
        assert!(problems.to_string().contains(message), "{text}{problems}");
    }
}
