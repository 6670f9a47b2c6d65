//! How an upstream chooses among its nodes: which keys belong to which `type`.

use crate::check::context::Check;
use crate::defaults;
use crate::model::{Balance, BalanceMethod, HashInput, HashOn, Node};
use crate::raw::{Raw, Text};
use crate::template::{self, Piece, Scope, Template, Variable};
use crate::values::Wrong;

impl Check<'_> {
    /// `None` if it is not whole.
    pub(super) fn balance(&mut self, raw: &Raw, nodes: &[Node]) -> Option<Balance> {
        self.ranks(raw, nodes);
        let method = raw.word("type")?;
        let hash_key = if method == BalanceMethod::Chash {
            self.ring_fits(raw, nodes);
            Some(self.hash_input(raw)?)
        } else {
            self.no_hash_keys(raw);
            None
        };
        if method == BalanceMethod::Chash && raw.has("slow_start") {
            let help = "a key belongs to one node, at once: take it out, or take another `type`";
            let path = raw.path("slow_start");
            self.error(raw.at("slow_start"), path, "`slow_start` does not go with \"chash\"", help);
        }
        let slow_start = raw.has("slow_start").then(|| raw.duration("slow_start"));
        Some(Balance { method, hash_key, slow_start })
    }

    fn no_hash_keys(&mut self, raw: &Raw) {
        for key in ["hash_on", "key"].into_iter().filter(|key| raw.has(key)) {
            let message = format!("`{key}` is for `type = \"chash\"` only");
            self.error(raw.at(key), raw.path(key), &message, "set `type`, or take it out");
        }
    }

    fn ranks(&mut self, raw: &Raw, nodes: &[Node]) {
        for node in nodes.iter().filter(|node| node.backup && node.priority != 0) {
            let help = "a backup stands below every priority: take one of them out";
            let message = "a node has `backup` and `priority`";
            self.error(node.place, raw.path("nodes"), message, help);
        }
    }

    /// Each unit of weight has its points in memory.
    fn ring_fits(&mut self, raw: &Raw, nodes: &[Node]) {
        let weights = || nodes.iter().map(|node| u64::from(node.weight));
        let divisor = weights().fold(0, gcd).max(1);
        if weights().map(|weight| weight / divisor).sum::<u64>() > defaults::RING_WEIGHT_MAX {
            let max = defaults::RING_WEIGHT_MAX;
            let message = format!("the weights add up to more than {max}, which \"chash\" bounds");
            self.error(raw.at("nodes"), raw.path("nodes"), &message, "give smaller weights");
        }
    }

    fn hash_input(&mut self, raw: &Raw) -> Option<HashInput> {
        let on = raw.word("hash_on")?;
        let Some(key) = raw.text("key") else {
            if !raw.has("key") {
                let help = "name what is hashed, as `key = \"remote_addr\"`";
                self.error(raw.at("type"), raw.path("key"), "`key` is missing", help);
            }
            return None;
        };
        match hash_template(on, &key) {
            Ok(template) => Some(HashInput { on, key: key.text, place: key.place, template }),
            Err(wrong) => {
                self.wrong(key.place, raw.path("key"), wrong);
                None
            }
        }
    }
}

fn hash_template(on: HashOn, key: &Text) -> Result<Template, Wrong> {
    let text = key.text.as_str();
    let one = |name: String| match Variable::parse(&name) {
        Some(variable) => Ok(Template { pieces: vec![Piece::Variable(variable)] }),
        None => Err(Wrong::new(format!("there is no variable `{name}`"))),
    };
    let template = match on {
        HashOn::Vars if text.starts_with('$') => Err(Wrong::new(format!(
            "`{text}` starts with a `$`"
        ))
        .help(
            "the name alone, or `hash_on = \"vars_combinations\"` for text with variables in it",
        )),
        HashOn::Vars => {
            one(text.to_owned()).map_err(|wrong| wrong.help("the reference lists every variable"))
        }
        HashOn::Header => one(format!("http_{}", text.to_ascii_lowercase().replace('-', "_")))
            .map_err(|_| Wrong::new(format!("`{text}` is not the name of a header"))),
        HashOn::Cookie => one(format!("cookie_{text}"))
            .map_err(|_| Wrong::new(format!("`{text}` is not the name of a cookie"))),
        HashOn::VarsCombinations => {
            template::parse(text).map_err(|error| Wrong::new(error.cause.to_string()))
        }
    }?;
    if template.variables().next().is_none() {
        return Err(Wrong::new("there is no variable in it, and all requests would be one")
            .help("as `$host$uri`"));
    }
    let late = template.variables().find(|variable| variable.scope() == Scope::Log);
    if let Some(name) = late.map(Variable::name) {
        return Err(Wrong::new(format!("`{name}` is not known before a node has answered")));
    }
    Ok(template)
}

const fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}
