//! `vars` and `remote_addrs` of routes, by the rules of lua-resty-expr.
//!
//! A condition is `[variable, operator, value]`, with `"!"` in front of the operator for its opposite;
//! a list of conditions is all of them; `["OR", ...]`, `["AND", ...]`, `["!OR", ...]` and
//! `["!AND", ...]` join two or more. A condition that could never be decided is refused.

use ipnet::IpNet;
use toml::Value as Toml;

use crate::check::captures::reads_captures;
use crate::check::constants;
use crate::check::context::Check;
use crate::model::{Condition, Order, Test};
use crate::pattern::Pattern;
use crate::place::Place;
use crate::raw::{self, Item, Raw};
use crate::source::sounds_secret;
use crate::template::{Scope, Variable};
use crate::values::{self, Wrong, nearest};
use crate::words::Word;

const OPERATORS: [&str; 11] =
    ["==", "~=", ">", ">=", "<", "<=", "~~", "~*", "in", "has", "ipmatch"];
/// Conditions within conditions: far more than anybody can read.
const DEPTH_MAX: usize = 16;

impl Check<'_> {
    /// What a route asks of a request beside host, path and method; `None` for nothing.
    pub(super) fn conditions(&mut self, raw: &Raw) -> Option<Condition> {
        let mut all = Vec::new();
        let mut networks = Vec::new();
        for (text, path) in self.one_or_more(raw, "remote_addr", "remote_addrs") {
            match values::client_range(&text.text) {
                Ok(network) => networks.push(network),
                Err(wrong) => self.wrong(text.place, path, wrong),
            }
        }
        if !networks.is_empty() {
            all.push(Condition::Test(Variable::RemoteAddr, Test::IpMatch(networks)));
        }
        all.extend(self.vars(raw));
        if all.iter().any(reads_captures) {
            let wrong = Wrong::new("`capture_...` is not known before there is a route");
            let help = "ask for it in `traffic_split`, or say all of it in one expression";
            self.wrong(raw.at("vars"), raw.path("vars"), wrong.help(help));
        }
        if all.iter().any(|condition| keeps_fingerprint_out(condition, false)) {
            let message = "this keeps nobody out: a client can change the fingerprint of its \
                           certificate, because an ECDSA signature has two forms";
            let help = "compare `ssl_client_spki_sha256`, or use `client.deny`";
            self.warn(raw.at("vars"), raw.path("vars"), message, help);
        }
        match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Condition::All(all)),
        }
    }

    /// `vars` of a table.
    pub(super) fn vars(&mut self, raw: &Raw) -> Option<Condition> {
        let items = raw.items("vars")?;
        let (place, path) = (raw.at("vars"), raw.path("vars"));
        let bare = matches!(items.first(), Some(Item::Text(text)) if !is_joint(&text.text));
        if bare {
            let wrong = Wrong::new("a condition stands in brackets of its own");
            self.wrong(place, path, wrong.help("write `[[\"name\", \"==\", \"value\"]]`"));
            return None;
        }
        self.group(items, place, &path, 0)
    }

    fn group(
        &mut self,
        items: &[Item],
        place: Place,
        path: &str,
        depth: usize,
    ) -> Option<Condition> {
        if depth > DEPTH_MAX {
            self.wrong(place, path, Wrong::new("these conditions are nested too deeply"));
            return None;
        }
        match items {
            [] => {
                let wrong = Wrong::new("this list is empty");
                self.wrong(place, path, wrong.help("leave it out, or write a condition"));
                None
            }
            [Item::Text(joint), rest @ ..] if is_joint(&joint.text) => {
                if rest.len() < 2 {
                    let wrong = Wrong::new(format!("`{}` joins two or more", joint.text));
                    self.wrong(place, path, wrong.help("give it conditions in brackets"));
                    return None;
                }
                let list = self.list(rest, path, depth);
                let word = joint.text.to_ascii_uppercase();
                let joined =
                    if word.ends_with("OR") { Condition::Any(list) } else { Condition::All(list) };
                Some(if word.starts_with('!') { not(joined) } else { joined })
            }
            [Item::List(..), ..] => {
                let mut list = self.list(items, path, depth);
                if list.len() == 1 { list.pop() } else { Some(Condition::All(list)) }
            }
            _ => match expression(items, self.in_response) {
                Ok(condition) => {
                    self.whole_names(&condition, place, path);
                    Some(condition)
                }
                Err(wrong) => {
                    self.wrong(place, path, wrong);
                    None
                }
            },
        }
    }

    /// An expression cannot tell a comma within a value from the end of it, and finds no comma where
    /// names are looked at one by one.
    fn whole_names(&mut self, condition: &Condition, place: Place, path: &str) {
        let test = match condition {
            Condition::Not(inner) => inner,
            other => other,
        };
        let Condition::Test(variable, Test::Matches(pattern)) = test else { return };
        if constants::is_one_by_one(variable) && pattern.as_str().contains(',') {
            let message = "names are looked at one by one: no comma stands between them";
            let help = "`^` and `$` are the ends of one name";
            self.warn(place, path.to_owned(), message, help);
            return;
        }
        let modern = match variable {
            Variable::SslClientSDn | Variable::SslClientSDnLegacy => {
                "compare an attribute, as `ssl_client_s_dn_ou`, or use `client.allow`"
            }
            Variable::SslClientIDn | Variable::SslClientIDnLegacy => {
                "compare the whole name with `==`, or use `client.allow`"
            }
            Variable::SslClientXfcc | Variable::SslClientInfoTraefik => {
                "compare `ssl_client_san_uri` or another value of its own, or use `client.allow`"
            }
            _ => return,
        };
        let message = "in a whole name a comma within a value looks like the start of the next \
                       attribute: `CN=x\\,OU=ops` holds `,OU=ops`";
        self.warn(place, path.to_owned(), message, modern);
    }

    fn list(&mut self, items: &[Item], path: &str, depth: usize) -> Vec<Condition> {
        let mut list = Vec::new();
        for item in items {
            match item {
                Item::List(place, inner) => {
                    list.extend(self.group(inner, *place, path, depth + 1));
                }
                Item::Text(_) | Item::Number(..) => {
                    let wrong = Wrong::new("a condition stands in brackets");
                    self.wrong(item.place(), path, wrong);
                }
            }
        }
        list
    }
}

/// Does it hold for whoever has another fingerprint than the ones it names?
fn keeps_fingerprint_out(condition: &Condition, negated: bool) -> bool {
    match condition {
        Condition::All(list) | Condition::Any(list) => {
            list.iter().any(|inner| keeps_fingerprint_out(inner, negated))
        }
        Condition::Not(inner) => keeps_fingerprint_out(inner, !negated),
        Condition::Test(variable, _) => {
            let fingerprint = matches!(
                variable,
                Variable::SslClientFingerprint
                    | Variable::SslClientFingerprintSha256
                    | Variable::SslClientX5tS256
            );
            negated && fingerprint
        }
    }
}

fn is_joint(text: &str) -> bool {
    matches!(text.to_ascii_uppercase().as_str(), "AND" | "OR" | "!AND" | "!OR")
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

/// `[name, value]`, `[name, operator, value]` or `[name, "!", operator, value]`.
fn expression(items: &[Item], in_response: bool) -> Result<Condition, Wrong> {
    let shape = || {
        Wrong::new("this is no condition").help(
            "`[\"name\", \"==\", \"value\"]`, with `\"!\"` in front of the operator for `not`",
        )
    };
    let text = |item: &Item| match item {
        Item::Text(text) => Ok(text.text.clone()),
        Item::Number(..) | Item::List(..) => Err(shape()),
    };
    let (name, negated, operator, value) = match items {
        [name, value] => (name, false, "==".to_owned(), value),
        [name, operator, value] => (name, false, text(operator)?, value),
        [name, bang, operator, value] if text(bang)? == "!" => (name, true, text(operator)?, value),
        _ => return Err(shape()),
    };
    let variable = variable(&text(name)?, in_response)?;
    let operator = operator.to_ascii_lowercase();
    let (opposite, operator) =
        if operator == "~=" { (true, "==") } else { (false, operator.as_str()) };
    let test = test(operator, value)?;
    constants::check(&variable, &test)?;
    let test = Condition::Test(variable, test);
    Ok(if negated == opposite { test } else { not(test) })
}

fn variable(name: &str, in_response: bool) -> Result<Variable, Wrong> {
    if let Some(bare) = name.strip_prefix('$') {
        return Err(Wrong::new(format!("`{name}` starts with a `$`"))
            .help(format!("the name alone: \"{bare}\"")));
    }
    if name.starts_with("post_arg") {
        return Err(Wrong::new(format!(
            "`{name}` is not supported: bodies are passed on as they come"
        ))
        .help("ask for a header, a cookie or a query parameter (`arg_NAME`)"));
    }
    let Some(variable) = Variable::parse(name) else {
        let names = Variable::ALL.iter().map(|listed| listed.name);
        let near = nearest(name, names.filter(|name| !name.ends_with('_')));
        let wrong = Wrong::new(format!("there is no variable `{name}`"));
        return Err(match near {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong.help("the reference lists every variable"),
        });
    };
    let known = in_response && matches!(variable, Variable::Status | Variable::RouteId);
    if !known && (variable.scope() == Scope::Log || variable == Variable::RouteId) {
        return Err(Wrong::new(format!("`{name}` is not known before there is a route")));
    }
    if !in_response && matches!(variable, Variable::Rewrite(_)) {
        return Err(Wrong::new(format!("`{name}` is not known before the request is rewritten"))
            .help("ask for `uri`, and name a part of it: `capture_NAME`"));
    }
    Ok(variable)
}

fn test(operator: &str, value: &Item) -> Result<Test, Wrong> {
    let wants = |what: &str| Wrong::new(format!("`{operator}` is followed by {what}"));
    match (operator, value) {
        ("==", Item::Number(_, number)) => Ok(Test::Equals(*number)),
        ("==", Item::Text(text)) => Ok(Test::Is(text.text.clone())),
        ("==", Item::List(..)) => Err(wants("a text or a number")),
        (">" | ">=" | "<" | "<=", value) => {
            let number = match value {
                Item::Number(_, number) => Some(*number),
                Item::Text(text) => values::number(text.text.as_bytes()),
                Item::List(..) => None,
            };
            let order = Order::of_word(operator);
            match (order, number) {
                (Some(order), Some(number)) => Ok(Test::Compares(order, number)),
                _ => Err(wants("a number")),
            }
        }
        ("~~" | "~*", Item::Text(text)) => {
            Pattern::new(&text.expression(), operator == "~*").map(Test::Matches)
        }
        ("~~" | "~*", _) => Err(wants("a regular expression")),
        ("in", Item::List(_, items)) if !items.is_empty() => items
            .iter()
            .map(plain)
            .collect::<Option<_>>()
            .map(Test::In)
            .ok_or_else(|| wants("texts")),
        ("in", _) => Err(wants("a list that is not empty")),
        ("has", value) => plain(value).map(Test::Has).ok_or_else(|| wants("a text")),
        ("ipmatch", Item::List(_, items)) if !items.is_empty() => {
            let networks = items.iter().map(|item| match item {
                Item::Text(text) => values::client_range(&text.text),
                Item::Number(..) | Item::List(..) => Err(wants("addresses and networks")),
            });
            networks.collect::<Result<Vec<IpNet>, _>>().map(Test::IpMatch)
        }
        ("ipmatch", Item::Text(text)) => {
            values::client_range(&text.text).map(|network| Test::IpMatch(vec![network]))
        }
        ("ipmatch", _) => Err(wants("addresses and networks")),
        _ => Err(Wrong::new(format!("there is no operator `{operator}`"))
            .help(format!("one of `{}`", OPERATORS.join("`, `")))),
    }
}

/// A text, or a number as it would be written.
fn plain(item: &Item) -> Option<String> {
    match item {
        Item::Text(text) => Some(text.text.clone()),
        Item::Number(_, number) => Some(number.to_string()),
        Item::List(..) => None,
    }
}

impl Condition {
    /// As it is written in a file: one that stands in the list `vars`. `redact` says what stands in the place of a
    /// secret: what a client has to send to be let in.
    pub(crate) fn to_toml(&self, redact: &dyn Fn(&str) -> String) -> Toml {
        let text = |text: &str| Toml::String(text.to_owned());
        let join = |joint: &str, list: &[Self]| {
            let inner = list.iter().map(|one| one.to_toml(redact));
            Toml::Array(std::iter::once(text(joint)).chain(inner).collect())
        };
        let value = |variable: &Variable, test: &Test| {
            if opens_doors(variable) { test.to_toml(redact) } else { test.to_toml(&str::to_owned) }
        };
        match self {
            Self::All(list) => join("AND", list),
            Self::Any(list) => join("OR", list),
            Self::Not(inner) => match &**inner {
                Self::All(list) => join("!AND", list),
                Self::Any(list) => join("!OR", list),
                Self::Test(variable, test) => {
                    let Operand { operator, value } = value(variable, test);
                    let name = text(&variable.name());
                    Toml::Array(vec![name, text("!"), text(operator), value])
                }
                // Two negations are none.
                Self::Not(inner) => inner.to_toml(redact),
            },
            Self::Test(variable, test) => {
                let Operand { operator, value } = value(variable, test);
                Toml::Array(vec![text(&variable.name()), text(operator), value])
            }
        }
    }
}

/// Is it the client's to send, under a name that says that nobody else knows it?
fn opens_doors(variable: &Variable) -> bool {
    let sent = matches!(variable, Variable::Http(_) | Variable::Cookie(_) | Variable::Arg(_));
    sent && sounds_secret(&variable.name())
}

/// What stands behind the name in a condition.
struct Operand {
    operator: &'static str,
    value: Toml,
}

impl Test {
    fn to_toml(&self, shown: &dyn Fn(&str) -> String) -> Operand {
        let plain = |text: &str| Toml::String(raw::escaped(&shown(text)));
        let texts = |list: &[String]| Toml::Array(list.iter().map(|text| plain(text)).collect());
        let (operator, value) = match self {
            Self::Is(text) => ("==", plain(text)),
            Self::Equals(number) => {
                // As a text it is compared as one, and it says as little.
                let written = number.to_string();
                let text = shown(&written);
                let value = if text == written { Toml::Float(*number) } else { Toml::String(text) };
                ("==", value)
            }
            Self::Compares(order, number) => (order.word(), Toml::Float(*number)),
            Self::Matches(pattern) => {
                let operator = if pattern.ignores_case() { "~*" } else { "~~" };
                (operator, plain(pattern.as_str()))
            }
            Self::In(list) => ("in", texts(list)),
            Self::Has(text) => ("has", plain(text)),
            Self::IpMatch(networks) => {
                let networks = networks.iter().map(|network| Toml::String(network.to_string()));
                ("ipmatch", Toml::Array(networks.collect()))
            }
        };
        Operand { operator, value }
    }
}
