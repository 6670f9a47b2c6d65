//! `global_rules.request_id`, as TOML.

use super::writer::{Writer, text};
use crate::model::{IdAlgorithm, RequestIdRule};
use crate::words::Word;

pub(super) fn dump_request_id(out: &mut Writer, rule: &RequestIdRule) {
    let mut keys = vec![
        format!("header_name = {}", text(&rule.header_name)),
        format!("include_in_response = {}", rule.include_in_response),
        format!("algorithm = {}", text(rule.algorithm.word())),
    ];
    if rule.algorithm == IdAlgorithm::RangeId {
        let chars = text(&rule.range.char_set);
        keys.push(format!("range_id = {{ length = {}, char_set = {chars} }}", rule.range.length));
    }
    out.header("[[global_rules]]");
    out.line("request_id", format!("{{ {} }}", keys.join(", ")));
}
