//! Conditions: lua-resty-expr's lists into `vars`.

use toml::Value as Toml;

use crate::document::Value;
use crate::fields::{Item, plain};
use crate::pcre;

const OPERATORS: [&str; 11] =
    ["==", "~=", ">", ">=", "<", "<=", "~~", "~*", "in", "has", "ipmatch"];
/// Other spellings of them.
const SPELLED: [(&str, &str); 3] = [("IN", "in"), ("HAS", "has"), ("IPMATCH", "ipmatch")];
const LOGICAL: [&str; 4] = ["AND", "OR", "!AND", "!OR"];

/// A whole expression: a list of conditions that must all hold, or a word and what it joins.
pub(super) fn vars(item: &Item<'_>) -> Option<Toml> {
    let Value::List(nodes) = &item.node.value else {
        item.invalid("an expression is a list of conditions, as [[\"arg_a\", \"==\", \"1\"]]");
        return None;
    };
    if nodes
        .first()
        .and_then(crate::document::Node::text)
        .is_some_and(|word| LOGICAL.contains(&word))
    {
        return rule(item).map(|rule| Toml::Array(vec![rule]));
    }
    item.each(0, |rule_item| rule(&rule_item)).map(Toml::Array)
}

fn rule(item: &Item<'_>) -> Option<Toml> {
    let Value::List(nodes) = &item.node.value else {
        item.invalid("a condition is a list, as [\"arg_a\", \"==\", \"1\"]");
        return None;
    };
    let words: Vec<Option<&str>> = nodes.iter().map(crate::document::Node::text).collect();
    if let Some(Some(word)) = words.first()
        && let Some(word) = LOGICAL.iter().find(|logical| *logical == word)
    {
        if nodes.len() < 3 {
            item.invalid(format!("{word:?} joins two conditions or more"));
            return None;
        }
        let mut first = true;
        let joined = item.each(0, |part| {
            if std::mem::take(&mut first) {
                Some(Toml::String((*word).to_owned()))
            } else {
                rule(&part)
            }
        });
        return joined.map(Toml::Array);
    }
    let negated = words.get(1) == Some(&Some("!"));
    let operator = words.get(if negated { 2 } else { 1 }).copied().flatten();
    let (Some(Some(variable)), Some(operator)) = (words.first(), operator) else {
        item.invalid(
            "a condition is [VARIABLE, OPERATOR, VALUE] or [VARIABLE, \"!\", OPERATOR, VALUE]",
        );
        return None;
    };
    let spelled = SPELLED.iter().find(|(word, _)| *word == operator);
    let operator = spelled.map_or(operator, |(_, lower)| lower);
    if !OPERATORS.contains(&operator) {
        item.invalid(format!("there is no operator {operator:?}"));
        return None;
    }
    if nodes.len() != if negated { 4 } else { 3 } {
        item.invalid(
            "a condition is [VARIABLE, OPERATOR, VALUE] or [VARIABLE, \"!\", OPERATOR, VALUE]",
        );
        return None;
    }
    if let Some(why) = nodes.last()?.text().and_then(pcre::differs)
        && matches!(operator, "~~" | "~*")
    {
        item.refuse(why);
    }
    super::doubts::condition(item, variable, operator, &nodes.last()?.value);
    let is_missing = nodes.last()?.value == Value::Null && matches!(operator, "==" | "~=");
    if is_missing {
        item.changed("a variable that is empty counts as one that is not there (`null`)");
    }
    let value =
        is_missing.then(|| plain("")).or_else(|| value(&nodes.last()?.value)).or_else(|| {
            item.invalid("a condition compares with text, a number, a flag or a list of them");
            None
        })?;
    let mut rule = vec![plain(super::template::renamed(variable))];
    if negated {
        rule.push(plain("!"));
    }
    rule.extend([plain(operator), value]);
    Some(Toml::Array(rule))
}

fn value(value: &Value) -> Option<Toml> {
    Some(match value {
        Value::Text(text) => plain(text),
        Value::Integer(number) => Toml::Integer(*number),
        Value::Float(number) => Toml::Float(*number),
        Value::Flag(flag) => Toml::String(flag.to_string()),
        Value::List(nodes) => {
            Toml::Array(nodes.iter().map(|node| self::value(&node.value)).collect::<Option<_>>()?)
        }
        Value::Null | Value::Table(_) => return None,
    })
}
