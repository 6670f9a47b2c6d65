//! Nodes, and how one of them is chosen.

use super::writer::{Writer, text};
use crate::model::{Balance, Node, NodeAddress};
use crate::values::duration_text;
use crate::words::Word;

pub(super) fn dump_balance(out: &mut Writer, balance: &Balance) {
    out.text_line("type", balance.method.word());
    if let Some(input) = &balance.hash_key {
        out.text_line("hash_on", input.on.word());
        out.text_line("key", &input.key);
    }
    if let Some(time) = balance.slow_start {
        out.text_line("slow_start", &duration_text(time));
    }
}

pub(super) fn node_table(node: &Node) -> String {
    let (host, port) = match &node.address {
        NodeAddress::Ip(address) => (address.ip().to_string(), Some(address.port())),
        NodeAddress::Name { host, port } => (host.clone(), Some(*port)),
        NodeAddress::Srv { name } => (name.clone(), None),
        NodeAddress::Unix(path) => (format!("unix:{}", path.display()), None),
    };
    let port = port.map(|port| format!("port = {port}, ")).unwrap_or_default();
    let rank = match (node.backup, node.priority) {
        (true, _) => ", backup = true".to_owned(),
        (false, 0) => String::new(),
        (false, priority) => format!(", priority = {priority}"),
    };
    let limits = [("connections", node.max_connections), ("requests", node.max_requests)];
    let limits = limits.into_iter().filter(|(_, limit)| *limit > 0);
    let limit: String = limits.map(|(of, limit)| format!(", max_{of} = {limit}")).collect();
    format!("{{ host = {}, {port}weight = {}{rank}{limit} }}", text(&host), node.weight)
}
