//! `limits`: how many requests of one key go on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::context::Check;
use crate::model::{
    BucketRule, ConcurrencyRule, LimitKind, LimitNumber, LimitRule, RequestLimit, Route,
    WindowRule, WindowType,
};
use crate::raw::Raw;
use crate::template::{Scope, Template, Variable};
use crate::values::Wrong;
use crate::words::Word;

/// A request that is held back keeps its connection and its memory.
const DELAY_MAX: Duration = Duration::from_secs(60);
/// No name is longer.
const GROUP_BYTES_MAX: usize = 128;
/// Each has its own look-up for every request.
const ENTRIES_MAX: usize = 16;

impl Check<'_> {
    /// The limits of a route, a service or a global rule; `owner` is what a service or rule counts
    /// under, whichever route its requests take. `None` if it says nothing about limits.
    pub(super) fn request_limits(
        &mut self,
        holder: &Raw,
        owner: Option<&str>,
    ) -> Option<Vec<RequestLimit>> {
        let raw = holder.table("limits")?;
        let mut limits = Vec::new();
        // In this order they are asked, as APISIX's plugins are.
        for kind in [LimitKind::Connections, LimitKind::Requests, LimitKind::Rate] {
            let key = kind.word();
            for (index, entry) in raw.tables(key).iter().enumerate() {
                let own = owner.map(|owner| format!("{owner} {key}[{index}]"));
                limits.extend(self.request_limit(entry, kind, own));
            }
            if raw.tables(key).len() > ENTRIES_MAX {
                let message = format!("these are more than {ENTRIES_MAX}");
                let help = Some("each is asked for every request: take some out".to_owned());
                self.problems.push_at(raw.at(key), raw.path(key), message, help);
            }
        }
        let nothing = !["requests", "rate", "connections"].iter().any(|key| raw.has(key));
        if nothing {
            let help = "add `requests`, `rate` or `connections`, or take `limits` out";
            self.error(raw.place, raw.field.clone(), "nothing is limited", help);
        }
        Some(limits)
    }

    /// Those of all global rules.
    pub(super) fn global_limits(&mut self, rules: &[Raw]) -> Vec<RequestLimit> {
        let limits = rules.iter().enumerate().filter_map(|(index, raw)| {
            self.request_limits(raw, Some(&format!("global_rules[{index}]")))
        });
        limits.flatten().collect()
    }

    fn request_limit(
        &mut self,
        raw: &Raw,
        kind: LimitKind,
        own: Option<String>,
    ) -> Option<RequestLimit> {
        let rule = match kind {
            LimitKind::Requests => LimitRule::Requests(WindowRule {
                count: raw.int("count"),
                window: raw.duration("window"),
                window_type: raw.word("window_type").unwrap_or(WindowType::Fixed),
                show_headers: raw.flag("show_headers"),
            }),
            LimitKind::Rate => LimitRule::Rate(self.bucket(raw)),
            LimitKind::Connections => LimitRule::Connections(self.concurrency(raw)),
        };
        let numbers = self.limit_numbers(raw, kind);
        let store = match rule {
            LimitRule::Requests(rule) => self.limit_store(raw, rule.window),
            LimitRule::Rate(_) | LimitRule::Connections(_) => None,
        };
        let key = raw.template("key").cloned();
        if let Some(Err(wrong)) = key.as_ref().map(limit_key) {
            self.wrong(raw.at("key"), raw.path("key"), wrong);
        }
        let message = raw.text("message");
        if let Some(text) = message.as_ref().filter(|text| text.text.is_empty()) {
            let help = "leave it out for the text of Ferrule's";
            self.error(text.place, raw.path("message"), "this is empty", help);
        }
        let group = raw.text("group");
        if let Some(text) = &group
            && (text.text.trim().is_empty() || text.text.len() > GROUP_BYTES_MAX)
        {
            let help = format!("a name of at most {GROUP_BYTES_MAX} bytes");
            self.wrong(text.place, raw.path("group"), Wrong::new("this names nothing").help(help));
        }
        Some(RequestLimit {
            place: raw.place,
            field: raw.field.clone(),
            group: group.map(|text| text.text).or(own),
            key: key?,
            status: raw.int("status"),
            message: message.map(|text| text.text),
            rule,
            numbers,
            store,
        })
    }

    /// The numbers that requests say: `count_from` and its like.
    fn limit_numbers(&mut self, raw: &Raw, kind: LimitKind) -> Vec<LimitNumber> {
        let mut numbers = Vec::new();
        for number in kind.numbers() {
            let key = format!("{}_from", number.word());
            let Some(from) = raw.template(&key) else { continue };
            let (place, path) = (raw.at(&key), raw.path(&key));
            if let Err(wrong) = limit_number(from) {
                self.wrong(place, path, wrong);
            } else if let Some(variable) = from.variables().find(|one| one.is_written_by_client()) {
                let message = format!("whoever writes `{}` chooses his own limit", variable.name());
                let help = "take what the gateway knows, or let nobody else send it";
                self.warn(place, path, &message, help);
            }
            if kind == LimitKind::Requests && raw.has("store") {
                let message = "gateways that count together need one number for all";
                let help = format!("take `store` out, or `{key}`");
                self.error(raw.at(&key), raw.path(&key), message, &help);
            }
            numbers.push(LimitNumber { key: *number, from: from.clone() });
        }
        numbers
    }

    fn bucket(&mut self, raw: &Raw) -> BucketRule {
        let rule = BucketRule {
            rate_thousandths: raw.thousandths("rate"),
            burst_thousandths: raw.thousandths("burst"),
            nodelay: raw.flag("nodelay"),
        };
        if rule.longest_delay() > DELAY_MAX {
            let wrong = Wrong::new(format!(
                "the last of this burst would be held back for {} s",
                rule.longest_delay().as_secs()
            ));
            let help = "at most 60 s: lower `burst`, raise `rate`, or set `nodelay = true`";
            self.wrong(raw.at("burst"), raw.path("burst"), wrong.help(help));
        }
        rule
    }

    fn concurrency(&mut self, raw: &Raw) -> ConcurrencyRule {
        let rule = ConcurrencyRule {
            connections: raw.int("connections"),
            burst: raw.int("burst"),
            delay: raw.duration("delay"),
            only_use_default_delay: raw.flag("only_use_default_delay"),
        };
        let holds_back = rule.burst > 0 || raw.has("burst_from");
        if holds_back && !raw.has("delay") {
            let help = "say how long they are held back, as `delay = \"100ms\"`";
            let at = if raw.has("burst") { "burst" } else { "burst_from" };
            self.error(raw.at(at), raw.path("delay"), "`burst` needs `delay`", help);
        } else if !holds_back {
            for key in ["delay", "only_use_default_delay"].into_iter().filter(|key| raw.has(key)) {
                let message = format!("`{key}` is for requests within `burst`, and there is none");
                self.error(raw.at(key), raw.path(key), &message, "set `burst`, or take it out");
            }
        }
        let levels = u64::from(rule.most().saturating_sub(1)) / u64::from(rule.connections.max(1));
        let longest = rule.delay.as_millis().saturating_mul(u128::from(levels));
        if longest > DELAY_MAX.as_millis() {
            let message =
                format!("the last of this burst would be held back for {} s", longest / 1_000);
            let help = Some("at most 60 s: lower `burst` or `delay`".to_owned());
            self.problems.push_at(raw.at("burst"), raw.path("burst"), message, help);
        }
        rule
    }

    /// Entries that count together must say the same: which of them held would be chance.
    pub(super) fn groups_agree(&mut self, routes: &[Route]) {
        let mut known: BTreeMap<(LimitKind, &str), &RequestLimit> = BTreeMap::new();
        let mut told = Vec::new();
        for limit in routes.iter().flat_map(|route| &route.limits) {
            let Some(group) = limit.group.as_deref() else { continue };
            let first = *known.entry((limit.rule.kind(), group)).or_insert(limit);
            if first.says_the_same(limit) || told.contains(&limit.place) {
                continue;
            }
            told.push(limit.place);
            let message = format!("the group `{group}` says something else in `{}`", first.field);
            let help = Some("give both the same keys, or another group".to_owned());
            self.problems.push_at(limit.place, limit.field.clone(), message, help);
        }
    }
}

/// Can a request say a number by it, before it is sent on?
fn limit_number(from: &Template) -> Result<(), Wrong> {
    let help =
        "as \"$http_x_count\"; a number that is the same for all has the key without `_from`";
    if from.variables().next().is_none() {
        return Err(Wrong::new("there is no variable in it").help(help));
    }
    let late = from.variables().find(|variable| variable.scope() == Scope::Log);
    late.map_or(Ok(()), |variable| {
        let name = variable.name();
        Err(Wrong::new(format!("`{name}` is not known before an upstream has answered")).help(help))
    })
}

/// Can requests be told apart by it, before they are sent on?
fn limit_key(key: &Template) -> Result<(), Wrong> {
    if key.variables().next().is_none() {
        return Err(Wrong::new("there is no variable in it, and all requests would be one")
            .help("as \"$remote_addr\" or \"$ssl_client_spki_sha256\""));
    }
    let late = key.variables().find(|variable| variable.scope() == Scope::Log);
    match late.map(Variable::name) {
        Some(name) => {
            Err(Wrong::new(format!("`{name}` is not known before an upstream has answered"))
                .help("as \"$remote_addr\" or \"$ssl_client_spki_sha256\""))
        }
        None => Ok(()),
    }
}
