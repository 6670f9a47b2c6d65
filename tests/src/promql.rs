//! As much of `PromQL` as the documents use, evaluated over two scrapes.
//!
//! In: an expression, and the samples before and now. Out: the labels for which an alert would fire. A form
//! that is not known here is an error, not a guess.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::exposition::{Exposition, Labels};

/// What there is to evaluate: two scrapes within the range of every `increase`.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'s> {
    /// The first scrape.
    pub before: &'s Exposition,
    /// The scrape now.
    pub now: &'s Exposition,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Number(f64),
    Time,
    Samples(Selector),
    Increase(Selector),
    /// The increase divided by the seconds of its range.
    Rate {
        selector: Selector,
        seconds: f64,
    },
    /// Added up by these labels.
    Sum {
        by: Vec<String>,
        of: Box<Self>,
    },
    Operation {
        operator: &'static str,
        left: Box<Self>,
        right: Box<Self>,
    },
}

#[derive(Clone, Debug)]
struct Selector {
    metric: String,
    labels: Vec<LabelMatch>,
}

#[derive(Clone, Debug)]
struct LabelMatch {
    name: String,
    value: String,
}

/// A sample of a result.
struct Sample {
    labels: Labels,
    value: f64,
}

enum Value {
    Scalar(f64),
    Vector(Vec<Sample>),
}

/// Operators by how strongly they bind, the weakest first.
const OPERATORS: [&[&str]; 3] = [&["==", "!=", ">=", "<=", ">", "<"], &["+", "-"], &["*", "/"]];

impl Expression {
    /// Reads an expression.
    ///
    /// # Panics
    /// If it is in a form that is not known here.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut rest = text;
        let root = operation(&mut rest, 0);
        assert!(rest.trim().is_empty(), "{text}: {rest} is not understood");
        Self { text: text.to_owned(), root }
    }

    fn compares(&self) -> bool {
        matches!(&self.root, Node::Operation { operator, .. } if OPERATORS[0].contains(operator))
    }

    /// The metric that it is about.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn metric(&self) -> &str {
        self.root.metric().unwrap_or_else(|| panic!("{}: no metric", self.text))
    }

    /// The labels for which it holds; for which it is above zero, if it compares nothing.
    ///
    /// # Panics
    /// If its value is a number.
    #[must_use]
    pub fn fires(&self, moment: &Moment<'_>) -> Vec<Labels> {
        match self.root.value(moment) {
            Value::Vector(mut samples) => {
                if !self.compares() {
                    samples.retain(|sample| sample.value > 0.0);
                }
                samples.into_iter().map(|sample| sample.labels).collect()
            }
            Value::Scalar(value) => panic!("{}: a number, {value}", self.text),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Node {
    fn metric(&self) -> Option<&str> {
        match self {
            Self::Number(_) | Self::Time => None,
            Self::Samples(selector) | Self::Increase(selector) | Self::Rate { selector, .. } => {
                Some(&selector.metric)
            }
            Self::Sum { of, .. } => of.metric(),
            Self::Operation { left, right, .. } => left.metric().or_else(|| right.metric()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "tests run outside the core")]
    fn value(&self, moment: &Moment<'_>) -> Value {
        match self {
            Self::Number(number) => Value::Scalar(*number),
            Self::Time => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                Value::Scalar(now.expect("after 1970").as_secs_f64())
            }
            Self::Samples(selector) => Value::Vector(selector.samples(moment.now)),
            Self::Increase(selector) => Value::Vector(selector.increases(moment)),
            Self::Rate { selector, seconds } => {
                let mut samples = selector.increases(moment);
                samples.iter_mut().for_each(|sample| sample.value /= seconds);
                Value::Vector(samples)
            }
            Self::Sum { by, of } => {
                let Value::Vector(samples) = of.value(moment) else { panic!("a sum of a number") };
                let mut sums: BTreeMap<Labels, f64> = BTreeMap::new();
                for Sample { mut labels, value } in samples {
                    labels.retain(|name, _| by.contains(name));
                    *sums.entry(labels).or_default() += value;
                }
                let sums = sums.into_iter().map(|(labels, value)| Sample { labels, value });
                Value::Vector(sums.collect())
            }
            Self::Operation { operator, left, right } => {
                apply(operator, left.value(moment), right.value(moment))
            }
        }
    }
}

impl Selector {
    fn samples(&self, of: &Exposition) -> Vec<Sample> {
        let fits = |labels: &Labels| {
            self.labels.iter().all(|wanted| labels.get(&wanted.name) == Some(&wanted.value))
        };
        let samples = of.samples(&self.metric).filter(|(labels, _)| fits(labels));
        samples.map(|(labels, value)| Sample { labels: labels.clone(), value }).collect()
    }
}

impl Selector {
    /// Of a series that is new there is no increase, in Prometheus neither.
    fn increases(&self, moment: &Moment<'_>) -> Vec<Sample> {
        let before = self.samples(moment.before);
        let mut samples = self.samples(moment.now);
        samples.retain_mut(|sample| {
            let old = before.iter().find(|old| old.labels == sample.labels);
            old.is_some_and(|old| {
                sample.value -= old.value;
                true
            })
        });
        samples
    }
}

fn compute(operator: &str, left: f64, right: f64) -> Option<f64> {
    let holds = match operator {
        "+" => return Some(left + right),
        "-" => return Some(left - right),
        "*" => return Some(left * right),
        "/" => return Some(left / right),
        "==" => left.total_cmp(&right).is_eq(),
        "!=" => left.total_cmp(&right).is_ne(),
        ">=" => left >= right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left < right,
    };
    holds.then_some(left)
}

fn apply(operator: &str, left: Value, right: Value) -> Value {
    let each = |samples: Vec<Sample>, compute: &dyn Fn(f64) -> Option<f64>| {
        let kept = samples.into_iter().filter_map(|sample| {
            compute(sample.value).map(|value| Sample { labels: sample.labels, value })
        });
        Value::Vector(kept.collect())
    };
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            assert!(!OPERATORS[0].contains(&operator), "a comparison of two numbers");
            Value::Scalar(compute(operator, left, right).unwrap_or(f64::NAN))
        }
        (Value::Vector(samples), Value::Scalar(right)) => {
            each(samples, &|left| compute(operator, left, right))
        }
        (Value::Scalar(left), Value::Vector(samples)) => {
            assert!(!OPERATORS[0].contains(&operator), "a number in front of a comparison");
            each(samples, &|right| compute(operator, left, right))
        }
        // One to one, by equal labels.
        (Value::Vector(left), Value::Vector(right)) => each_with_labels(left, &right, operator),
    }
}

fn each_with_labels(left: Vec<Sample>, right: &[Sample], operator: &str) -> Value {
    let pairs = left.into_iter().filter_map(|sample| {
        let other = right.iter().find(|other| other.labels == sample.labels)?;
        let value = compute(operator, sample.value, other.value)?;
        Some(Sample { labels: sample.labels, value })
    });
    Value::Vector(pairs.collect())
}

fn operation(rest: &mut &str, level: usize) -> Node {
    let Some(operators) = OPERATORS.get(level) else { return operand(rest) };
    let mut left = operation(rest, level + 1);
    while let Some(operator) = operators.iter().find(|operator| eats(rest, operator)) {
        let right = operation(rest, level + 1);
        left = Node::Operation { operator, left: Box::new(left), right: Box::new(right) };
    }
    left
}

fn operand(rest: &mut &str) -> Node {
    if eats(rest, "(") {
        let inner = operation(rest, 0);
        wants(rest, ")");
        return inner;
    }
    let word = word(rest);
    if let Ok(number) = word.parse() {
        return Node::Number(number);
    }
    match word.as_str() {
        "time" => {
            wants(rest, "(");
            wants(rest, ")");
            Node::Time
        }
        "increase" => Node::Increase(ranged(rest).selector),
        "rate" => {
            let RangedSelector { selector, seconds } = ranged(rest);
            Node::Rate { selector, seconds }
        }
        "sum" => {
            let mut by = Vec::new();
            assert!(self::word(rest) == "by", "a sum by nothing is not understood");
            wants(rest, "(");
            while !eats(rest, ")") {
                by.push(self::word(rest));
                let _ = eats(rest, ",");
            }
            wants(rest, "(");
            let of = Box::new(operation(rest, 0));
            wants(rest, ")");
            Node::Sum { by, of }
        }
        _ => Node::Samples(selector(word, rest)),
    }
}

/// A selector with a range, `(metric[5m])`.
struct RangedSelector {
    selector: Selector,
    seconds: f64,
}

fn ranged(rest: &mut &str) -> RangedSelector {
    wants(rest, "(");
    let metric = word(rest);
    let selector = selector(metric, rest);
    wants(rest, "[");
    let range = word(rest);
    let (number, unit) = range.split_at(range.len() - 1);
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        other => panic!("{other} is no unit of time"),
    };
    let seconds = number.parse::<f64>().expect("a number") * unit;
    wants(rest, "]");
    wants(rest, ")");
    RangedSelector { selector, seconds }
}

fn selector(metric: String, rest: &mut &str) -> Selector {
    assert!(metric.starts_with("ferrule_"), "{metric} is not understood");
    let mut labels = Vec::new();
    if eats(rest, "{") {
        while !eats(rest, "}") {
            let name = word(rest);
            wants(rest, "=");
            wants(rest, "\"");
            let (value, behind) = rest.split_once('"').expect("the end of a value");
            labels.push(LabelMatch { name, value: value.to_owned() });
            *rest = behind;
            let _ = eats(rest, ",");
        }
    }
    Selector { metric, labels }
}

fn eats(rest: &mut &str, token: &str) -> bool {
    let found = rest.trim_start().strip_prefix(token);
    if let Some(behind) = found {
        *rest = behind;
    }
    found.is_some()
}

fn wants(rest: &mut &str, token: &str) {
    assert!(eats(rest, token), "{token} is missing in front of {rest}");
}

fn word(rest: &mut &str) -> String {
    *rest = rest.trim_start();
    let is_part = |one: char| one.is_ascii_alphanumeric() || "_.".contains(one);
    let end = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    assert!(!word.is_empty(), "nothing is understood of {rest}");
    *rest = behind;
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposition(lines: &str) -> Exposition {
        Exposition::read(&format!("# HELP ferrule_t T\n# TYPE ferrule_t gauge\n{lines}"))
    }

    #[test]
    fn an_alert_fires_for_the_series_that_it_holds_for() {
        let before = exposition("ferrule_t{a=\"x\"} 1\nferrule_t{a=\"y\"} 5\n");
        let now = exposition("ferrule_t{a=\"x\"} 3\nferrule_t{a=\"y\"} 5\nferrule_t{a=\"z\"} 9\n");
        let fires = |text: &str| {
            let fired = Expression::read(text).fires(&Moment { before: &before, now: &now });
            fired.iter().map(|labels| labels["a"].clone()).collect::<String>()
        };
        assert_eq!(fires("ferrule_t > 4"), "yz");
        assert_eq!(fires("ferrule_t{a=\"x\"} == 3"), "x");
        assert_eq!(fires("increase(ferrule_t[1h]) > 0"), "x", "a new series has no increase");
        assert_eq!(fires("rate(ferrule_t[1m]) * 60 == 2"), "x");
        assert_eq!(fires("sum by (a) (rate(ferrule_t[5m])) / sum by (a) (ferrule_t)"), "x");
        assert_eq!(fires("2 * ferrule_t - 1 < 2 * 3"), "x");
        assert_eq!(fires("time() - ferrule_t > 7 * 86400"), "xyz");
        assert_eq!(Expression::read("time() - ferrule_t > 7 * 86400").metric(), "ferrule_t");
    }

    #[test]
    #[should_panic(expected = "is not understood")]
    fn what_is_not_known_is_not_guessed() {
        let _ = Expression::read("histogram_quantile(0.9, ferrule_t) > 0");
    }
}
