//! Attributes of a subject in conditions: HAProxy asks the first one, and here a condition holds if it holds for any.

use std::collections::BTreeSet;

use toml::Value as Toml;

use super::rules::RuleChain;

/// How the variables of attributes begin.
const FRONT: &str = "ssl_client_s_dn_";

/// Tables of `refuse` for clients with several values of an attribute that any of these rules asks: HAProxy looks at one
/// of them. They are for all routes of a frontend, as a rule that does not hold leads to the next route.
pub(super) fn doubts<'c>(chains: impl Iterator<Item = &'c RuleChain>) -> Vec<toml::Table> {
    let mut asked = BTreeSet::new();
    for chain in chains {
        chain.condition.vars().iter().for_each(|value| collect(value, &mut asked));
        let refusals = chain.refusals.iter().filter_map(|table| table.get("vars"));
        refusals.for_each(|value| collect(value, &mut asked));
    }
    let table = |name: String| {
        let expression = format!("(?is)(?:^|[,+]){name}=.*[,+]{name}=");
        let condition = ["ssl_client_s_dn", "~~", &expression].map(Toml::from).to_vec();
        let vars = Toml::Array(vec![Toml::Array(condition)]);
        [("vars".to_owned(), vars)].into_iter().collect()
    };
    asked.into_iter().map(table).collect()
}

/// The attributes that a condition names.
fn collect(value: &Toml, asked: &mut BTreeSet<String>) {
    match value {
        Toml::Array(list) => list.iter().for_each(|inner| collect(inner, asked)),
        Toml::String(text) => {
            let name = text.strip_prefix(FRONT).filter(|name| *name != "legacy");
            let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            asked.extend(name.filter(is_name).map(str::to_owned));
        }
        _ => {}
    }
}
