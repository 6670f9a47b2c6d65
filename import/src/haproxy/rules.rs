//! `http-request`, `http-response` and `redirect` lines, in their order.
//!
//! HAProxy takes one rule after another. Here a request takes one route: so each rule that answers by itself becomes a
//! route in front of the others, and every route has the refusals and the header changes that stood before it.

use std::collections::BTreeSet;

use toml::Value as Toml;

use crate::fields::{plain, put};
use crate::pcre;
use crate::report::Kind;
use crate::work::Work;

use super::answers;
use super::condition::{AclCondition, Acls};
use super::sample::{FrontScene, format};
use super::words::ConfigLine;

/// What a request has met so far.
#[derive(Clone, Debug)]
pub(super) struct RuleChain {
    pub(super) condition: AclCondition,
    pub(super) refusals: Vec<toml::Table>,
    pub(super) headers: Vec<toml::Table>,
    pub(super) rewrite: toml::Table,
    /// Variables whose value rules have changed: a later condition would read the new one.
    changed: BTreeSet<String>,
    /// Every request was answered: what follows is never reached.
    pub(super) closed: bool,
}

impl RuleChain {
    /// How much it holds: each route behind it has all of it.
    pub(super) fn size(&self) -> usize {
        let lists = self.refusals.len().saturating_add(self.headers.len());
        lists.saturating_add(self.changed.len()).saturating_add(1)
    }
}

/// A route that a rule or a section becomes.
#[derive(Debug)]
pub(super) struct PlannedRoute {
    pub(super) chain: RuleChain,
    /// `return` or `redirect`, or the upstream.
    pub(super) key: &'static str,
    pub(super) value: Toml,
    pub(super) responses: Vec<Toml>,
    pub(super) line: ConfigLine,
}

/// What a rule is read with.
#[derive(Clone, Copy)]
pub(super) struct RuleReader<'a> {
    pub(super) acls: &'a Acls<'a>,
    pub(super) scene: FrontScene,
    pub(super) work: &'a Work,
    /// The same lines are read for other connections, too: what has no effect for these is not told.
    pub(super) quiet: bool,
}

impl Default for RuleChain {
    fn default() -> Self {
        Self {
            condition: AclCondition::Constant(true),
            refusals: Vec::new(),
            headers: Vec::new(),
            rewrite: toml::Table::new(),
            changed: BTreeSet::new(),
            closed: false,
        }
    }
}

impl RuleChain {
    /// The same for requests of which this holds, too.
    pub(super) fn narrowed(&self, condition: &AclCondition) -> Self {
        let all = AclCondition::All(vec![self.condition.clone(), condition.clone()]);
        Self { condition: all.simplified(), ..self.clone() }
    }
}

impl RuleReader<'_> {
    /// The condition of a line, which must not read what rules before it have changed.
    pub(super) fn condition(
        self,
        line: &ConfigLine,
        at: usize,
        chain: &RuleChain,
    ) -> Option<AclCondition> {
        let condition = self.acls.condition(line, at, self.scene, self.work)?;
        let mut stale = None;
        condition.each_variable(&mut |name| {
            if chain.changed.contains(name) {
                stale = Some(name.to_owned());
            }
        });
        if let Some(name) = stale {
            line.refuse(
                self.work,
                at,
                format!("a rule before this one changes what `{name}` is read from; here conditions see the client's"),
            );
            return None;
        }
        Some(condition)
    }

    /// Takes a rule about requests.
    pub(super) fn request(
        self,
        line: &ConfigLine,
        chain: &mut RuleChain,
        routes: &mut Vec<PlannedRoute>,
    ) {
        if chain.closed {
            self.dropped(line, 0, "no request gets this far");
            return;
        }
        // `redirect` is a rule without its first word.
        let at = usize::from(line.word(0) == "http-request");
        match line.word(at) {
            "deny" | "return" | "redirect" => answers::read(self, line, at, chain, routes),
            "set-header" | "add-header" | "del-header" => self.header(line, at, chain),
            "set-method" => self.rewrite(line, at, chain, "method", "request_method"),
            "set-path" => self.rewrite(line, at, chain, "uri", "uri"),
            "replace-path" => self.replace_path(line, at, chain),
            "capture" | "set-log-level" | "set-nice" | "set-tos" | "set-mark"
            | "disable-l7-retry" => {
                line.say(self.work, Kind::Dropped, at, "this changes no request, and is left out");
            }
            word => line.refuse(self.work, at, format!("`http-request {word}` is not converted")),
        }
    }

    pub(super) fn dropped(self, line: &ConfigLine, at: usize, message: &str) {
        if !self.quiet {
            line.say(self.work, Kind::Dropped, at, message);
        }
    }

    fn formatted(self, line: &ConfigLine, at: usize) -> Option<String> {
        let mut note = |text: &'static str| line.changed(self.work, at, text);
        match format(line.word(at), self.scene, &mut note) {
            Ok(text) => Some(text),
            Err(message) => {
                line.refuse(self.work, at, message);
                None
            }
        }
    }

    fn header(self, line: &ConfigLine, at: usize, chain: &mut RuleChain) {
        let kind = line.word(at);
        let name_at = at.saturating_add(1);
        let name = line.word(name_at).to_owned();
        let removes = kind == "del-header";
        let value_at = name_at.saturating_add(1);
        let condition_at = if removes { value_at } else { value_at.saturating_add(1) };
        if removes && line.word(value_at) == "-m" {
            line.refuse(self.work, value_at, "only whole names are removed");
            return;
        }
        let value = if removes { Some(String::new()) } else { self.formatted(line, value_at) };
        let condition = self.condition(line, condition_at, chain);
        let (Some(value), Some(condition)) = (value, condition) else { return };
        if name.is_empty() || !self.applies(line, at, &condition, &value) {
            return;
        }
        chain.changed.insert(format!("http_{}", name.to_ascii_lowercase().replace('-', "_")));
        if name.eq_ignore_ascii_case("host") {
            chain.changed.insert(String::from("host"));
            if kind != "set-header" || value.contains("${") {
                line.refuse(self.work, at, "`Host` can be set to fixed text only");
            }
            put(&mut chain.rewrite, "host", Some(value.replace("$$", "$")));
            return;
        }
        change(&mut chain.headers, kind, &name, &value);
    }

    /// Is the change made at all? A condition must be decided, or say what the value says by being empty.
    fn applies(self, line: &ConfigLine, at: usize, condition: &AclCondition, value: &str) -> bool {
        match condition {
            AclCondition::Constant(true) => true,
            AclCondition::Constant(false) => {
                self.dropped(line, at, "its condition never holds");
                false
            }
            shown
                if *shown == AclCondition::test("ssl_client_verify", "==", "SUCCESS")
                    && of_certificate(value) =>
            {
                line.say(
                    self.work,
                    Kind::Security,
                    at,
                    "a client without a certificate could send this header itself, and it passed; here it is \
                     removed from every request",
                );
                true
            }
            _ => {
                line.refuse(
                    self.work,
                    at,
                    "headers are changed of every request of a route: write the condition as `use_backend`, and \
                     the change into the backend",
                );
                false
            }
        }
    }

    fn rewrite(
        self,
        line: &ConfigLine,
        at: usize,
        chain: &mut RuleChain,
        key: &'static str,
        variable: &str,
    ) {
        let value_at = at.saturating_add(1);
        let value = self.formatted(line, value_at);
        let condition = self.condition(line, value_at.saturating_add(1), chain);
        let (Some(value), Some(condition)) = (value, condition) else { return };
        if condition != AclCondition::Constant(true) {
            line.refuse(self.work, at, "requests are rewritten without conditions only");
            return;
        }
        chain.changed.insert(variable.to_owned());
        let value = if key == "method" { value.replace("$$", "$") } else { value };
        if chain.rewrite.insert(key.to_owned(), Toml::String(value)).is_some() {
            line.refuse(self.work, at, "this is rewritten twice");
        }
    }

    fn replace_path(self, line: &ConfigLine, at: usize, chain: &mut RuleChain) {
        let expression = line.word(at.saturating_add(1));
        let replacement = line.word(at.saturating_add(2));
        let condition = self.condition(line, at.saturating_add(3), chain);
        if condition != Some(AclCondition::Constant(true)) {
            line.refuse(self.work, at, "paths are replaced without conditions only");
            return;
        }
        if let Some(why) = pcre::differs(expression) {
            line.refuse(self.work, at.saturating_add(1), why);
            return;
        }
        if !is_whole(expression) || replacement.contains(['%', '$']) || !escapes_groups(replacement)
        {
            line.refuse(
                self.work,
                at,
                "the expression must be for the whole path (`^...$` or `^...(.*)`), and what replaces it must be text \
                 and groups",
            );
            return;
        }
        let mut template = replacement.to_owned();
        for number in 0..10 {
            template = template.replace(&format!("\\{number}"), &format!("${{{number}}}"));
        }
        chain.changed.insert(String::from("uri"));
        let pair = [plain(expression), plain(&template)];
        if chain.rewrite.insert("regex_uri".to_owned(), Toml::Array(pair.to_vec())).is_some() {
            line.refuse(self.work, at, "paths are replaced twice");
        }
    }

    /// A rule about responses, as a table of `response`.
    pub(super) fn response(self, line: &ConfigLine) -> Option<Toml> {
        let kind = line.word(1);
        let name = line.word(2);
        if !matches!(kind, "set-header" | "add-header" | "del-header") || name.is_empty() {
            line.refuse(self.work, 1, format!("`{} {kind}` is not converted", line.word(0)));
            return None;
        }
        let removes = kind == "del-header";
        let value = if removes { Some(String::new()) } else { self.formatted(line, 3) };
        let condition_at = if removes { 3 } else { 4 };
        let condition = self.acls.condition(line, condition_at, self.scene, self.work)?;
        match condition {
            AclCondition::Constant(true) => {}
            AclCondition::Constant(false) => return None,
            _ => {
                line.refuse(
                    self.work,
                    condition_at,
                    "headers of responses are changed without conditions only",
                );
                return None;
            }
        }
        let mut list = Vec::new();
        change(&mut list, kind, name, &value?);
        let headers = list.pop()?;
        Some(Toml::Table([("headers".to_owned(), Toml::Table(headers))].into_iter().collect()))
    }
}

/// Is the expression for the whole path?
fn is_whole(expression: &str) -> bool {
    let ends = (expression.ends_with('$') && !expression.ends_with(r"\$"))
        || (expression.ends_with("(.*)") && !expression.ends_with(r"\(.*)"));
    // Of `^/a|/b$` neither case is for the whole path.
    let mut depth = 0_usize;
    let split = expression.chars().any(|mark| {
        match mark {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        mark == '|' && depth == 0
    });
    expression.starts_with('^') && ends && !split
}

/// Does each `\` of a replacement name a group?
fn escapes_groups(replacement: &str) -> bool {
    let mut parts = replacement.split('\\').skip(1);
    parts.all(|part| part.starts_with(|mark: char| mark.is_ascii_digit()))
}

/// Does the value hold nothing but what a certificate says? It is empty without one.
fn of_certificate(value: &str) -> bool {
    value.starts_with("${ssl_client_") && value.matches('$').count() == 1 && value.ends_with('}')
}

/// Adds a change of headers behind those that there are.
fn change(list: &mut Vec<toml::Table>, kind: &str, name: &str, value: &str) {
    let key = match kind {
        // A header without a value is not sent, and the client's own must not pass for it.
        "set-header" if value.is_empty() => "remove",
        "add-header" if value.is_empty() => return,
        "set-header" => "set",
        "add-header" => "add",
        _ => "remove",
    };
    if key == "remove" {
        let names = Toml::Array(vec![Toml::from(name)]);
        list.push([(key.to_owned(), names)].into_iter().collect());
        return;
    }
    // Several `set` in a row are one table, as long as each is about another header.
    if let Some(last) = list.last_mut()
        && last.len() == 1
        && let Some(Toml::Table(lines)) = last.get_mut(key)
        && key == "set"
        && !lines.keys().any(|known| known.eq_ignore_ascii_case(name))
    {
        lines.insert(name.to_owned(), Toml::from(value));
        return;
    }
    let lines: toml::Table = [(name.to_owned(), Toml::from(value))].into_iter().collect();
    list.push([(key.to_owned(), Toml::Table(lines))].into_iter().collect());
}
