//! `traffic_split`, as TOML.

use super::writer::{Writer, text, vars};
use crate::model::{SplitRule, Upstream};

pub(super) fn dump_split(out: &mut Writer, rules: &[SplitRule], upstreams: &[Upstream]) {
    let rules: Vec<String> = rules.iter().map(|rule| rule_table(out, rule, upstreams)).collect();
    if !rules.is_empty() {
        out.line("traffic_split", format!("[{}]", rules.join(", ")));
    }
}

fn rule_table(out: &Writer, rule: &SplitRule, upstreams: &[Upstream]) -> String {
    let vars = rule.when.as_ref().map(|when| vars(out, when));
    let vars = vars.map(|vars| format!("vars = {vars}, ")).unwrap_or_default();
    let shares = rule.shares.iter().map(|share| {
        let upstream = share.upstream.and_then(|at| upstreams.get(at));
        let id = upstream.map(|upstream| format!("upstream_id = {}, ", text(&upstream.id)));
        format!("{{ {}weight = {} }}", id.unwrap_or_default(), share.weight)
    });
    let shares: Vec<String> = shares.collect();
    format!("{{ {vars}weighted_upstreams = [{}] }}", shares.join(", "))
}
