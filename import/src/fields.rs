//! Tables of the source, read strictly: what nobody asked for is refused, and so is a value of another type.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use toml::Value as Toml;

use crate::document::{Entry, Node, Value};
use crate::report::Kind;
use crate::work::Work;

/// A value that is being converted.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: &'a Path<'a>,
    pub(crate) work: &'a Work,
}

/// Where a value stands: rendered only if something is to be said about it.
pub(crate) enum Path<'a> {
    Root(&'a str),
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl Path<'_> {
    fn render(&self) -> String {
        match self {
            Self::Root(name) => (*name).to_owned(),
            Self::Key(parent, key) => format!("{}.{key}", parent.render()),
            Self::Index(parent, index) => format!("{}[{index}]", parent.render()),
        }
    }
}

/// A table whose keys are taken one after another.
pub(crate) struct Fields<'a> {
    item: Item<'a>,
    taken: RefCell<Vec<&'static str>>,
}

impl<'a> Item<'a> {
    /// Does it belong to an object of this kind?
    pub(crate) fn is_below(&self, kind: &str) -> bool {
        self.path.render().starts_with(kind)
    }

    pub(crate) fn say(&self, kind: Kind, message: impl Into<String>) {
        self.work.log.add(kind, self.node.spot, &self.path.render(), message);
    }

    /// Where it stands, as reports say it.
    pub(crate) fn place(&self) -> String {
        self.path.render()
    }

    pub(crate) fn refuse(&self, message: impl Into<String>) {
        self.say(Kind::Refused, message);
    }

    /// Refuses what APISIX's own schema does not take either: `--drop-invalid` leaves such objects out.
    pub(crate) fn invalid(&self, message: impl Into<String>) {
        self.work.log.found_invalid();
        self.refuse(message);
    }

    pub(crate) fn changed(&self, message: impl Into<String>) {
        self.say(Kind::Changed, message);
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let is = self.node.value.kind();
        let help = match self.node.text() {
            Some("yes" | "on" | "Yes" | "On" | "YES" | "ON") => ": write `true`",
            Some("no" | "off" | "No" | "Off" | "NO" | "OFF") => ": write `false`",
            _ => "",
        };
        self.invalid(format!("this is {is}, and {wanted} is needed{help}"));
        None
    }

    pub(crate) fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => self.wrong_type("text"),
        }
    }

    /// Text that is not empty.
    pub(crate) fn filled(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.is_empty() {
            self.invalid("this text is empty");
            return None;
        }
        Some(text)
    }

    /// Text, or a number or flag as text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            _ => self.wrong_type("text or a number"),
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Flag(flag) => Some(flag),
            _ => self.wrong_type("a flag"),
        }
    }

    pub(crate) fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let Value::Integer(number) = self.node.value else {
            return self.wrong_type("a whole number");
        };
        if !range.contains(&number) {
            self.invalid(format!("{number} is not from {} to {}", range.start(), range.end()));
            return None;
        }
        Some(number)
    }

    /// A number above (or from) a bound.
    pub(crate) fn number(&self, least: f64, exclusive: bool) -> Option<Toml> {
        let (value, number) = match self.node.value {
            #[expect(clippy::cast_precision_loss, reason = "compared with a small bound only")]
            Value::Integer(number) => (number as f64, Toml::Integer(number)),
            Value::Float(number) => (number, Toml::Float(number)),
            _ => return self.wrong_type("a number"),
        };
        if value < least || (exclusive && value <= least) {
            let word = if exclusive { "above" } else { "at least" };
            self.invalid(format!("{value} is not {word} {least}"));
            return None;
        }
        Some(number)
    }

    /// One of these words.
    pub(crate) fn word(&self, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text()?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.invalid(format!("{text:?} is none of: {}", words.join(", ")));
        }
        found
    }

    /// The items of a list, each given to `each` with its place.
    pub(crate) fn each<T>(
        &self,
        least: usize,
        mut each: impl FnMut(Item<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(nodes) = &self.node.value else { return self.wrong_type("a list") };
        if nodes.len() < least {
            self.invalid(format!("this list needs {least} or more items"));
            return None;
        }
        let mut all = Some(Vec::with_capacity(nodes.len()));
        for (index, node) in nodes.iter().enumerate() {
            let path = Path::Index(self.path, index);
            match each(Item { node, path: &path, work: self.work }) {
                Some(value) => all.as_mut().map(|all| all.push(value)).unwrap_or_default(),
                None => all = None,
            }
        }
        all
    }

    /// Refuses a list that says something twice.
    pub(crate) fn each_once(&self) {
        if let Value::List(nodes) = &self.node.value {
            // Lists may be long, and nearly all are of texts.
            let mut texts = HashSet::new();
            let twice = nodes.iter().enumerate().find(|(at, node)| match &node.value {
                Value::Text(text) => !texts.insert(text.as_str()),
                value => nodes.iter().take(*at).any(|before| before.value == *value),
            });
            if let Some((index, node)) = twice {
                let path = Path::Index(self.path, index);
                Item { node, path: &path, work: self.work }.invalid("this is there twice");
            }
        }
    }

    pub(crate) fn texts(&self, least: usize) -> Option<Vec<Toml>> {
        self.each(least, |item| item.text().map(plain))
    }

    /// Addresses and networks.
    pub(crate) fn networks(&self, least: usize) -> Option<Vec<Toml>> {
        self.each(least, |item| item.filled().map(network))
    }

    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        match &self.node.value {
            Value::Table(_) => Some(Fields { item: *self, taken: RefCell::default() }),
            // An empty table is an empty list in the Lua of APISIX, and JSON that it wrote says so.
            Value::List(nodes) if nodes.is_empty() => {
                Some(Fields { item: *self, taken: RefCell::default() })
            }
            _ => self.wrong_type("a table"),
        }
    }

    /// The lines of a table whose keys are names of the user's.
    pub(crate) fn lines(&self) -> Option<&'a [Entry]> {
        match &self.node.value {
            Value::Table(entries) => Some(entries),
            Value::List(nodes) if nodes.is_empty() => Some(&[]),
            _ => self.wrong_type("a table"),
        }
    }
}

impl<'a> Fields<'a> {
    pub(crate) const fn item(&self) -> Item<'a> {
        self.item
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.item.node.get(key).is_some_and(|node| node.value != Value::Null)
    }

    /// Gives the value of this key to `then`, if it is there; a null is as if it were not.
    pub(crate) fn with<T>(
        &self,
        key: &'static str,
        then: impl FnOnce(Item<'_>) -> Option<T>,
    ) -> Option<T> {
        self.taken.borrow_mut().push(key);
        let node = self.item.node.get(key)?;
        let path = Path::Key(self.item.path, key);
        let item = Item { node, path: &path, work: self.item.work };
        if item.is_null() { None } else { then(item) }
    }

    /// The same for a key that must be there.
    pub(crate) fn need<T>(
        &self,
        key: &'static str,
        then: impl FnOnce(Item<'_>) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.item.invalid(format!("`{key}` is missing"));
        }
        self.with(key, then)
    }

    /// Takes a key that says nothing here.
    pub(crate) fn ignore(&self, keys: &[&'static str]) {
        self.taken.borrow_mut().extend(keys);
    }

    /// Takes a key whose value would mean something here, and refuses it.
    pub(crate) fn refuse(&self, key: &'static str, message: &str) {
        let _: Option<()> = self.with(key, |item| {
            item.refuse(message);
            None
        });
    }

    pub(crate) fn exclusive(&self, one: &str, other: &str) {
        if self.has(one) && self.has(other) {
            self.item.invalid(format!("only one of `{one}` and `{other}` is allowed"));
        }
    }

    /// Gives every key that nobody took.
    pub(crate) fn each_left(&self, each: impl Fn(Item<'_>)) {
        let taken = self.taken.borrow();
        for entry in self.item.node.entries() {
            if !taken.contains(&entry.key.as_str()) {
                let path = Path::Key(self.item.path, &entry.key);
                let node = &Node { spot: entry.spot, value: Value::Null };
                each(Item { node, path: &path, work: self.item.work });
            }
        }
    }

    /// Refuses every key that nobody took.
    pub(crate) fn finish(&self) {
        self.each_left(|item| item.refuse("there is no such key"));
    }
}

/// A network without the bits behind its prefix, which APISIX overlooks; any other text as it is.
pub(crate) fn network(text: &str) -> Toml {
    let masked = text.split_once('/').and_then(|(address, bits)| {
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
                Some(format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & mask)))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
                Some(format!("{}/{bits}", Ipv6Addr::from(u128::from(address) & mask)))
            }
        }
    });
    masked.map_or_else(|| plain(text), Toml::String)
}

/// Text that holds no variable of the file: `${` would begin one.
pub(crate) fn plain(text: &str) -> Toml {
    Toml::String(text.replace("${", "$${"))
}

/// Adds a line, if there is something to add.
pub(crate) fn put(table: &mut toml::Table, key: &str, value: Option<impl Into<Toml>>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_lose_the_bits_behind_their_prefix() {
        for (text, wanted) in [
            ("127.0.0.3/24", "127.0.0.0/24"),
            ("10.0.0.1", "10.0.0.1"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("1.2.3.4/32", "1.2.3.4/32"),
            ("1.2.3.4/33", "1.2.3.4/33"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1/128", "::1/128"),
            ("::1/129", "::1/129"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(network(text), Toml::from(wanted));
        }
    }
}
