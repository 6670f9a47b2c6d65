//! Which node of a cluster has a key: its slots, as `CLUSTER SLOTS` says.

use ferrule_config::model::StoreNode;
use redis::Value;

/// Slots of every cluster.
const SLOTS: u16 = 16_384;
/// No cluster has more; each has a connection.
const NODES_MAX: usize = 256;
/// No host name is longer.
const HOST_BYTES_MAX: usize = 255;

/// The slots from the first to the second, and who writes them.
#[derive(Debug)]
struct SlotRange {
    first: u16,
    last: u16,
    node: usize,
}

/// Who has which slots.
#[derive(Debug)]
pub(super) struct SlotTable {
    nodes: Vec<StoreNode>,
    ranges: Vec<SlotRange>,
}

impl SlotTable {
    /// The answer to `CLUSTER SLOTS` of the node `asked`, which may leave its own name out; `None` if it is none.
    pub(super) fn read(answer: &Value, asked: &StoreNode) -> Option<Self> {
        let Value::Array(entries) = answer else { return None };
        let mut table = Self { nodes: Vec::new(), ranges: Vec::new() };
        for entry in entries {
            let Value::Array(parts) = entry else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice()
            else {
                return None;
            };
            let slot = |number: &i64| u16::try_from(*number).ok().filter(|slot| *slot < SLOTS);
            let (first, last) = (slot(first)?, slot(last)?);
            let node = read_node(primary, asked)?;
            let known = table.nodes.iter().position(|known| *known == node);
            let node = known.unwrap_or_else(|| {
                table.nodes.push(node);
                table.nodes.len() - 1
            });
            if first > last || table.nodes.len() > NODES_MAX || table.ranges.len() >= SLOTS.into() {
                return None;
            }
            table.ranges.push(SlotRange { first, last, node });
        }
        Some(table)
    }

    /// Is it one of the cluster's?
    pub(super) fn names(&self, node: &str) -> bool {
        self.nodes.iter().any(|known| known.to_string() == node)
    }

    /// Who has this key; `None` if nobody does.
    pub(super) fn node_of(&self, key: &str) -> Option<&StoreNode> {
        let slot = crc16(key.as_bytes()) % SLOTS;
        let range = self.ranges.iter().find(|range| (range.first..=range.last).contains(&slot))?;
        self.nodes.get(range.node)
    }
}

fn read_node(parts: &[Value], asked: &StoreNode) -> Option<StoreNode> {
    let [host, Value::Int(port), ..] = parts else { return None };
    let port = u16::try_from(*port).ok().filter(|port| *port > 0)?;
    let host = match host {
        Value::Nil => String::new(),
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok()?,
        Value::SimpleString(text) => text.clone(),
        _ => return None,
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.len() > HOST_BYTES_MAX || !host.bytes().all(letters) {
        return None;
    }
    let host = if host.is_empty() { asked.host.clone() } else { host };
    Some(StoreNode { host, port })
}

/// CRC-16/XMODEM, by which a cluster spreads its keys. Our keys have no braces, which would choose a part.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let mixed = crc ^ (u16::from(*byte) << 8);
        (0..8).fold(mixed, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> StoreNode {
        StoreNode { host: "seed".to_owned(), port: 1 }
    }

    fn range(first: i64, last: i64, host: &[u8], port: i64) -> Value {
        let node = Value::Array(vec![Value::BulkString(host.to_vec()), Value::Int(port)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn a_key_is_where_the_cluster_says() {
        // The check value of CRC-16/XMODEM; a key of the cluster specification.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        let answer = Value::Array(vec![range(0, 12_738, b"a", 1), range(12_739, 16_383, b"", 2)]);
        let table = SlotTable::read(&answer, &asked()).unwrap();
        // 0x31c3 is 12739.
        let node = table.node_of("123456789").unwrap();
        assert_eq!((node.host.as_str(), node.port), ("seed", 2));
        let part = SlotTable::read(&Value::Array(vec![range(0, 1, b"a", 1)]), &asked()).unwrap();
        assert!(part.node_of("123456789").is_none());
    }

    #[test]
    fn no_cluster_says_this() {
        for lie in [
            range(0, 16_384, b"a", 1),
            range(-1, 5, b"a", 1),
            range(5, 4, b"a", 1),
            range(0, 5, b"a", 0),
            range(0, 5, b"a", 65_536),
            range(0, 5, b"a b", 1),
            range(0, 5, b"\xff", 1),
            range(0, 5, &[b'a'; 256], 1),
            Value::Nil,
            Value::Array(Vec::new()),
        ] {
            let answer = Value::Array(vec![lie]);
            assert!(SlotTable::read(&answer, &asked()).is_none(), "{answer:?}");
        }
        assert!(SlotTable::read(&Value::Okay, &asked()).is_none());
    }
}
