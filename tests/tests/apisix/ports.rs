//! The ports that APISIX's suite has, and those that stand for them here.

use ferrule_tests::free_port;
use serde_json::Value;

/// A port of the suite's, and ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) named: u16,
    pub(crate) ours: u16,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(Vec<Port>);

impl Ports {
    pub(crate) fn of(named: &[u16]) -> Self {
        Self(named.iter().map(|named| Port { named: *named, ours: free_port() }).collect())
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).copied().collect())
    }

    pub(crate) fn ours(&self, named: u16) -> u16 {
        self.0.iter().find(|port| port.named == named).expect("a port of the suite's").ours
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Port> {
        self.0.iter().copied()
    }

    /// `host:1980` with our port.
    pub(crate) fn forth(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for Port { named, ours } in &self.0 {
            text = replaced(&text, &format!(":{named}"), &format!(":{ours}"));
        }
        text
    }

    /// Our ports as the suite's, wherever they stand.
    pub(crate) fn back(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for Port { named, ours } in &self.0 {
            text = replaced(&text, &ours.to_string(), &named.to_string());
        }
        text
    }

    /// A configuration with our ports.
    pub(crate) fn config(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if !text.contains("-----BEGIN") => Value::String(self.forth(text)),
            Value::Array(items) => items.iter().map(|item| self.config(item)).collect(),
            Value::Object(lines) => {
                let line = |(key, value): (&String, &Value)| {
                    let value = match value.as_u64().filter(|_| key == "port") {
                        Some(number) => Value::from(self.number(number)),
                        None => self.config(value),
                    };
                    (self.forth(key), value)
                };
                Value::Object(lines.iter().map(line).collect())
            }
            other => other.clone(),
        }
    }

    fn number(&self, number: u64) -> u64 {
        let found = self.0.iter().find(|port| u64::from(port.named) == number);
        found.map_or(number, |port| u64::from(port.ours))
    }
}

/// Replaces a number, but not a part of a longer one.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let is_digit = |mark: Option<char>| mark.is_some_and(|mark| mark.is_ascii_digit());
    while let Some((front, behind)) = rest.split_once(from) {
        let inside = is_digit(behind.chars().next())
            || (!from.starts_with(':') && is_digit(front.chars().next_back()));
        out.push_str(front);
        out.push_str(if inside { from } else { to });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[test]
fn only_whole_numbers_are_ports() {
    let ports = Ports(vec![Port { named: 1980, ours: 23456 }]);
    assert_eq!(ports.forth("127.0.0.1:1980 a:19800 /1980"), "127.0.0.1:23456 a:19800 /1980");
    assert_eq!(ports.back("23456 a:23456 123456 234567"), "1980 a:1980 123456 234567");
    let config =
        serde_json::json!({"nodes": {"[::1]:1980": 1}, "list": [{"port": 1980, "weight": 1980}]});
    let wanted =
        serde_json::json!({"nodes": {"[::1]:23456": 1}, "list": [{"port": 23456, "weight": 1980}]});
    assert_eq!(ports.config(&config), wanted);
}
