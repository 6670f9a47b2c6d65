//! Files of ADC, APISIX's declarative command line: services hold their routes, global rules are a table of plugins,
//! certificates are pairs. They are brought into the form that the admin API has.

use crate::document::{Entry, Node, Value};

use super::objects::{Found, id_of};

/// Is this a file of ADC's? Something in it must be said as only ADC says it.
pub(super) fn is_adc(document: &Node) -> bool {
    let any = |kind: &str, keys: &[&str]| {
        list(document.get(kind)).iter().any(|node| keys.iter().any(|key| node.get(key).is_some()))
    };
    let rules = document.get("global_rules");
    rules.is_some_and(|node| matches!(node.value, Value::Table(_)))
        || any("services", &["routes", "stream_routes", "description", "upstreams"])
        || any("ssls", &["certificates"])
}

/// Its objects, and what of its lines is left to be read as ever.
pub(super) fn objects(document: &Node) -> Vec<Found> {
    let mut all = Vec::new();
    for Entry { key, spot, node } in document.entries() {
        match key.as_str() {
            "services" => {
                for (index, service) in list(Some(node)).iter().enumerate() {
                    add_service(service, index, &mut all);
                }
            }
            "ssls" => {
                for (index, ssl) in list(Some(node)).iter().enumerate() {
                    let path = format!("ssls[{index}]");
                    all.push(Found { kind: "ssls", path, node: certificate(ssl) });
                }
            }
            "global_rules" if matches!(node.value, Value::Table(_)) => {
                for Entry { key, spot, node: plugin } in node.entries() {
                    let plugins = table(*spot, vec![entry(key, plugin.clone())]);
                    let id = Node { spot: *spot, value: Value::Text(key.clone()) };
                    let rule = table(*spot, vec![entry("id", id), entry("plugins", plugins)]);
                    let path = format!("global_rules.{key}");
                    all.push(Found { kind: "global_rules", path, node: rule });
                }
            }
            "routes" | "upstreams" | "consumers" | "plugin_configs" => {
                let kind = KINDS.into_iter().find(|kind| kind == key).unwrap_or("routes");
                for (index, object) in list(Some(node)).iter().enumerate() {
                    all.push(Found {
                        kind,
                        path: format!("{key}[{index}]"),
                        node: renamed(object),
                    });
                }
            }
            _ => all.push(Found {
                // Has no counterpart; a kind that nobody knows is refused by its place.
                kind: FOREIGN.into_iter().find(|kind| kind == key).unwrap_or("(unknown)"),
                path: key.clone(),
                node: Node { spot: *spot, value: node.value.clone() },
            }),
        }
    }
    all
}

const KINDS: [&str; 4] = ["routes", "upstreams", "consumers", "plugin_configs"];
const FOREIGN: [&str; 3] = ["consumer_groups", "plugin_metadata", "stream_routes"];

fn add_service(service: &Node, index: usize, all: &mut Vec<Found>) {
    let path = format!("services[{index}]");
    let name = service.get("name").and_then(Node::text);
    let id = service.get("id").and_then(id_of);
    let id = id.unwrap_or_else(|| {
        let of_name = name.map(slug).filter(|slug| !slug.is_empty());
        format!("{}-{index}", of_name.unwrap_or_else(|| String::from("service")))
    });
    let id = Node { spot: service.spot, value: Value::Text(id) };
    let mut lines = Vec::new();
    for line in renamed(service).entries() {
        match line.key.as_str() {
            "id" => {}
            "routes" => {
                for (number, route) in list(Some(&line.node)).iter().enumerate() {
                    let mut route = renamed(route);
                    if let Value::Table(lines) = &mut route.value {
                        lines.retain(|line| line.key != "service_id");
                        lines.push(entry("service_id", id.clone()));
                    }
                    let path = format!("{path}.routes[{number}]");
                    all.push(Found { kind: "routes", path, node: route });
                }
            }
            "upstreams" => {
                for (number, upstream) in list(Some(&line.node)).iter().enumerate() {
                    let path = format!("{path}.upstreams[{number}]");
                    all.push(Found { kind: "upstreams", path, node: renamed(upstream) });
                }
            }
            "stream_routes" => {
                let path = format!("{path}.stream_routes");
                all.push(Found { kind: "stream_routes", path, node: line.node.clone() });
            }
            _ => lines.push(line.clone()),
        }
    }
    lines.push(entry("id", id));
    all.push(Found { kind: "services", path, node: table(service.spot, lines) });
}

/// `certificates: [{certificate, key}]` as `cert`, `key` and further pairs.
fn certificate(ssl: &Node) -> Node {
    let Some(pairs) = ssl.get("certificates") else { return renamed(ssl) };
    let of = |key: &str| -> Vec<Node> {
        list(Some(pairs)).iter().filter_map(|pair| pair.get(key)).cloned().collect()
    };
    let mut lines = Vec::new();
    for (from, one, more) in [("certificate", "cert", "certs"), ("key", "key", "keys")] {
        let mut all = of(from).into_iter();
        lines.extend(all.next().map(|first| entry(one, first)));
        let rest: Vec<Node> = all.collect();
        if !rest.is_empty() {
            lines.push(entry(more, Node { spot: pairs.spot, value: Value::List(rest) }));
        }
    }
    let others = renamed(ssl);
    let others = others.entries().iter().filter(|line| line.key != "certificates");
    lines.extend(others.cloned());
    table(ssl.spot, lines)
}

/// With APISIX's names for what ADC calls something else, here and in what it holds.
fn renamed(node: &Node) -> Node {
    let Value::Table(lines) = &node.value else { return node.clone() };
    let each = |line: &Entry| {
        let key = match line.key.as_str() {
            "description" => "desc",
            "http_request_headers" => "req_headers",
            other => other,
        };
        let node = match key {
            "labels" => labels(&line.node),
            "upstream" | "checks" | "active" => renamed(&line.node),
            _ => line.node.clone(),
        };
        Entry { key: key.to_owned(), spot: line.spot, node }
    };
    table(node.spot, lines.iter().map(each).collect())
}

/// Labels may be lists there.
fn labels(node: &Node) -> Node {
    let Value::Table(lines) = &node.value else { return node.clone() };
    let each = |line: &Entry| {
        let mut line = line.clone();
        if let Value::List(all) = &line.node.value {
            let all: Option<Vec<&str>> = all.iter().map(Node::text).collect();
            if let Some(all) = all {
                line.node.value = Value::Text(all.join(","));
            }
        }
        line
    };
    table(node.spot, lines.iter().map(each).collect())
}

fn slug(name: &str) -> String {
    let allowed = |mark: char| mark.is_ascii_alphanumeric() || matches!(mark, '-' | '_' | '.');
    name.chars().filter(|mark| allowed(*mark)).take(48).collect()
}

fn list(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(nodes)) => nodes,
        _ => &[],
    }
}

fn table(spot: crate::document::Spot, lines: Vec<Entry>) -> Node {
    Node { spot, value: Value::Table(lines) }
}

fn entry(key: &str, node: Node) -> Entry {
    Entry { key: key.to_owned(), spot: node.spot, node }
}
