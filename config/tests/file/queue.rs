//! What is told about the keys that say how much nodes take, and who waits.

use std::path::Path;
use std::time::Duration;

use ferrule_config::model::{Node, QueueStatus, UpstreamQueue};
use ferrule_config::{Draft, Problems, read_text};

fn draft(upstream: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[routes]]\nuri = '/*'\nupstream_id = 'u'\n\
         [[upstreams]]\nid = 'u'\n{upstream}"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

fn limits(draft: &Draft) -> Vec<u32> {
    draft.config.upstreams[0].nodes.iter().map(|node| node.max_connections).collect()
}

#[test]
fn a_node_has_its_own_limit_or_that_of_its_upstream() {
    let listed = "nodes = [{ host = 'a', max_connections = 3 }, { host = 'b', max_connections = 0 }, { host = 'c' }]\n";
    let (none, all) =
        (draft(listed).unwrap(), draft(&format!("{listed}max_connections = 8\n")).unwrap());
    assert_eq!((limits(&none), limits(&all)), (vec![3, 0, 0], vec![3, 0, 8]));
    let queue = UpstreamQueue {
        size: 1_024,
        timeout: Duration::from_secs(5),
        status: QueueStatus::Unavailable,
    };
    assert_eq!(none.config.upstreams[0].queue, queue);
    let given = "nodes = { 'a' = 1 }\nmax_connections = 1\nqueue = { size = 0, timeout = '1m', status = 429 }\n";
    let given = draft(given).unwrap();
    let wanted = UpstreamQueue {
        size: 0,
        timeout: Duration::from_secs(60),
        status: QueueStatus::TooManyRequests,
    };
    assert_eq!((given.config.upstreams[0].queue, limits(&given)), (wanted, vec![1]));
    // The dump says the same.
    let dump = given.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    assert_eq!((again.config.upstreams[0].queue, limits(&again)), (wanted, vec![1]), "{dump}");
}

/// A connection carries one request at a time, so that the smaller limit decides.
#[test]
fn requests_and_connections_are_limited_alike() {
    let listed = "nodes = [{ host = 'a' }, { host = 'b', max_requests = 9 }, { host = 'c', max_connections = 2 }, \
                  { host = 'd', max_requests = 0 }]\nmax_requests = 4\nqueue = { size = 1 }\n";
    let limits = |draft: &Draft| -> Vec<u32> {
        draft.config.upstreams[0].nodes.iter().map(Node::connections_limit).collect()
    };
    let given = draft(listed).unwrap();
    assert_eq!(limits(&given), [4, 9, 2, 0]);
    let dump = given.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    assert_eq!(limits(&again), [4, 9, 2, 0], "{dump}");
    let both = draft("nodes = { 'a' = 1 }\nmax_connections = 7\nmax_requests = 9\n").unwrap();
    assert_eq!(limits(&both), [7]);
}

#[test]
fn a_queue_that_nobody_gets_into_is_told() {
    for (upstream, field, message) in [
        ("queue = { size = 9 }\n", "queue", "no node has a limit"),
        (
            "max_connections = 1\nqueue = { status = 502 }\n",
            "queue.status",
            "does not say that there is too much",
        ),
        (
            "max_connections = 1\nqueue = { timeout = 0 }\n",
            "queue.timeout",
            "this duration is nothing",
        ),
        (
            "max_connections = 2\nkeepalive_pool = { min_idle = 3 }\n",
            "keepalive_pool.min_idle",
            "takes 2 connections",
        ),
        ("max_conns = 2\n", "max_conns", "max_conns"),
    ] {
        let text = format!("nodes = {{ 'a:1' = 2, 'b:1' = 1 }}\n{upstream}");
        let problems = draft(&text).map_or_else(|problems| problems, |draft| draft.problems);
        let found: Vec<_> =
            problems.iter().map(|p| (p.field.as_str(), p.message.as_str())).collect();
        let field = format!("upstreams[0].{field}");
        let same = found.len() == 1 && found[0].0 == field && found[0].1.contains(message);
        assert!(same, "{text}{found:#?}");
    }
}
