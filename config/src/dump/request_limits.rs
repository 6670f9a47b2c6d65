//! `limits`, as TOML.

use super::writer::{Writer, template_text, text};
use crate::model::{LimitKind, LimitNumber, LimitNumberKey, LimitRule, RequestLimit};
use crate::values::{duration_text, thousandths_text};
use crate::words::Word;

pub(super) fn dump_request_limits(out: &mut Writer, limits: &[RequestLimit]) {
    for kind in [LimitKind::Requests, LimitKind::Rate, LimitKind::Connections] {
        let entries = limits.iter().filter(|limit| limit.rule.kind() == kind).map(entry);
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            out.line(&format!("limits.{}", kind.word()), format!("[{}]", entries.join(", ")));
        }
    }
}

fn entry(limit: &RequestLimit) -> String {
    let mut keys = match limit.rule {
        LimitRule::Requests(rule) => vec![
            format!("count = {}", rule.count),
            format!("window = {}", text(&duration_text(rule.window))),
            format!("window_type = {}", text(rule.window_type.word())),
            format!("show_headers = {}", rule.show_headers),
        ],
        LimitRule::Rate(rule) => vec![
            format!("rate = {}", thousandths_text(rule.rate_thousandths)),
            format!("burst = {}", thousandths_text(rule.burst_thousandths)),
            format!("nodelay = {}", rule.nodelay),
        ],
        LimitRule::Connections(rule) => {
            let mut keys = vec![format!("connections = {}", rule.connections)];
            let says_burst = |number: &LimitNumber| number.key == LimitNumberKey::Burst;
            if rule.burst > 0 || limit.numbers.iter().any(says_burst) {
                keys.push(format!("burst = {}", rule.burst));
                keys.push(format!("delay = {}", text(&duration_text(rule.delay))));
                keys.push(format!("only_use_default_delay = {}", rule.only_use_default_delay));
            }
            keys
        }
    };
    keys.extend(
        limit
            .numbers
            .iter()
            .map(|number| format!("{}_from = {}", number.key.word(), template_text(&number.from))),
    );
    keys.push(format!("key = {}", template_text(&limit.key)));
    keys.push(format!("status = {}", limit.status));
    keys.extend(limit.message.as_ref().map(|message| format!("message = {}", text(message))));
    keys.extend(limit.group.as_ref().map(|group| format!("group = {}", text(group))));
    if let Some(store) = &limit.store {
        keys.push(format!("store = {}", text(&store.id)));
        keys.push(format!("allow_degradation = {}", store.allow_degradation));
    }
    format!("{{ {} }}", keys.join(", "))
}
