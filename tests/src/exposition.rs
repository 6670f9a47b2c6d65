//! A strict reader of Prometheus' text format 0.0.4: stricter than Prometheus itself.
//!
//! Each family has its HELP, its TYPE and its samples, in that order and in one piece; no sample twice;
//! counters end in `_total`; histograms add up.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values of labels.
pub type Labels = BTreeMap<String, String>;

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Families and their types.
    pub families: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// Reads a text.
    ///
    /// # Panics
    /// If anything is not as it must be.
    #[must_use]
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n') && text.is_ascii(), "{text}");
        let mut found = Self::default();
        let mut helped = String::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and its help");
                assert!(is_name(name) && !help.trim().is_empty(), "{line}");
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and its type");
                assert_eq!(name, helped, "TYPE follows HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                let new = found.families.insert(name.to_owned(), kind.to_owned()).is_none();
                assert!(new, "{name} is there twice");
                family = name.to_owned();
            } else {
                found.sample(line, &family);
            }
        }
        found.check_histograms();
        found
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (name, labels, value) = split(line);
        let kind = self.families.get(family).expect("samples follow their family");
        let belongs = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix) == Some(family)),
            _ => name == family,
        };
        assert!(belongs, "{line} is not of {family}");
        let value: f64 = value.parse().expect("a number");
        assert!(value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
        assert!(self.samples.insert((name, labels), value).is_none(), "{line} is there twice");
    }

    /// The names of the labels of a family's samples, without `le`.
    #[must_use]
    pub fn label_names(&self, family: &str) -> BTreeSet<&str> {
        let of = |name: &str| {
            name.strip_prefix(family)
                .is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let samples = self.samples.keys().filter(|(name, _)| of(name));
        let names = samples.flat_map(|(_, labels)| labels.keys().map(String::as_str));
        names.filter(|name| *name != "le").collect()
    }

    fn check_histograms(&self) {
        let mut seen = BTreeSet::new();
        for (name, labels) in self.samples.keys() {
            let Some(family) = name.strip_suffix("_bucket") else { continue };
            let mut rest = labels.clone();
            rest.remove("le").expect("a bucket has a bound");
            if !seen.insert((family.to_owned(), rest.clone())) {
                continue;
            }
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter(|((other, labels), _)| {
                    let mut labels = labels.clone();
                    other == name && labels.remove("le").is_some() && labels == rest
                })
                .map(|((_, labels), count)| {
                    (labels["le"].replace("+Inf", "inf").parse().expect("a bound"), *count)
                })
                .collect();
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name} {rest:?}");
            let (bound, count) = buckets.last().copied().expect("at least one");
            assert!(bound.is_infinite(), "{name} has no +Inf");
            let total = self.samples.get(&(format!("{family}_count"), rest.clone()));
            assert_eq!(total, Some(&count), "{family} {rest:?}");
            assert!(self.samples.contains_key(&(format!("{family}_sum"), rest)));
        }
    }

    /// The sum of all samples of this name that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |own: &Labels| {
            labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
        };
        let found = self.samples.iter().filter(|((own, labels), _)| own == name && fits(labels));
        found.map(|(_, value)| value).sum()
    }

    /// Every sample of this name: its labels and value.
    pub fn samples(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let found = self.samples.iter().filter(move |((own, _), _)| own == name);
        found.map(|((_, labels), value)| (labels, *value))
    }

    /// The labels of every sample of this name.
    pub fn labels(&self, name: &str) -> impl Iterator<Item = &Labels> {
        self.samples.keys().filter(move |(own, _)| own == name).map(|(_, labels)| labels)
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Name, labels and value of a line.
fn split(line: &str) -> (String, Labels, &str) {
    let mut labels = Labels::new();
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        assert!(is_name(name), "{line}");
        return (name.to_owned(), labels, value);
    };
    assert!(is_name(name), "{line}");
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").expect("a label");
        assert!(is_name(label), "{line}");
        let (value, after) = unquote(after);
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let value = after.strip_prefix("} ").expect("the end of the labels");
                return (name.to_owned(), labels, value);
            }
        }
    }
}

/// A quoted value, and what is behind its quote.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().expect("a closing quote") {
            (at, '"') => return (value, text.get(at + 1..).expect("a quote is one byte")),
            (_, '\\') => value.push(match chars.next().expect("an escape").1 {
                'n' => '\n',
                one @ ('"' | '\\') => one,
                other => panic!("\\{other} is no escape"),
            }),
            (_, one) => value.push(one),
        }
    }
}
