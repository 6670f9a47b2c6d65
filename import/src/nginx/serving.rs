//! What serves files: `root`, `alias`, `index`, `try_files`. Files are not served here, so it is refused, or left out.

use crate::report::Kind;

use super::job::{Job, Refused};
use super::listen::ServerBlock;
use super::location::{Comparison, LocationBlock};
use super::scope::Scope;
use super::tree::Directive;

/// What may stand beside a `try_files` that leads to a named location: nothing of it judges a request.
const BESIDE: [&str; 10] = [
    "root",
    "alias",
    "index",
    "autoindex",
    "try_files",
    "access_log",
    "error_log",
    "default_type",
    "log_not_found",
    "types",
];

/// What judges a request before it is served, and so would be asked in both locations.
const JUDGES: [&str; 5] = ["allow", "deny", "satisfy", "limit_req", "limit_conn"];

/// What is said of what serves files.
pub(super) const NO_FILES: &str =
    "files are not served here (`root`, `alias`, `index`, `try_files`): leave them to a web server";

/// Are files served where nothing else is said?
pub(super) fn is_file(scope: &Scope<'_>) -> bool {
    ["root", "alias", "try_files"].iter().any(|name| scope.one(name).is_some())
}

/// Is it the page of an error of this server, and nothing else?
pub(super) fn is_page(server: &ServerBlock<'_>, location: &LocationBlock<'_>) -> bool {
    let is_named = |line: &&Directive| line.args.last().is_some_and(|to| to.text == location.text);
    let is_plain =
        |line: &Directive| matches!(line.name.as_str(), "root" | "internal" | "access_log");
    location.comparison == Comparison::Exact
        && location.parent.is_none()
        && server.scope.all("error_page").iter().any(is_named)
        && location.scope.own().iter().all(is_plain)
        && is_file(&location.scope)
}

/// Where a `try_files` of this block leads if it finds nothing: `@name`.
fn named_last(block: &[Directive]) -> Option<(&Directive, &str)> {
    let line = block.iter().find(|one| one.name == "try_files")?;
    let last = line.args.last()?.text.as_str();
    last.starts_with('@').then_some((line, last))
}

impl<'a> Job<'a> {
    /// Says that files are not served, or that they are left out.
    pub(super) fn serves_files(
        &self,
        scope: &Scope<'_>,
        directive: &Directive,
    ) -> Result<(), Refused> {
        if self.skips_files {
            let message = "files are not served here: these paths are answered with 404";
            self.say(Kind::Skipped, directive, message);
            return Ok(());
        }
        if let Some((line, to)) = named_last(scope.own()) {
            self.refuse(line, format!(
                "files are not served here: nginx looks for them first{}, and sends what it does not find to `{to}`; \
                 leave the files to a web server and write the `proxy_pass` of `{to}` here, or say --skip-files, which \
                 sends all of it there", below(scope)
            ));
            return Err(Refused);
        }
        self.refuse(directive, format!(
            "{NO_FILES}{}, and write a `proxy_pass` to it, or say --skip-files, which answers these paths with 404",
            below(scope)
        ));
        Err(Refused)
    }

    /// The named location that takes the requests of this one where files are left out: its `try_files` leads there.
    pub(super) fn leads_to<'l>(
        &self,
        location: &LocationBlock<'a>,
        all: &'l [LocationBlock<'a>],
    ) -> Result<Option<&'l LocationBlock<'a>>, Refused> {
        let own = location.scope.own();
        let Some((line, to)) = named_last(own) else { return Ok(None) };
        if !self.skips_files || own.iter().any(|one| one.name == "proxy_pass") {
            return Ok(None);
        }
        let is_it =
            |one: &&LocationBlock<'a>| one.comparison == Comparison::Named && one.text == to;
        let Some(named) = all.iter().find(is_it) else {
            self.refuse(line, format!("there is no location `{to}` in this server"));
            return Err(Refused);
        };
        let judges = |one: &&Directive| JUDGES.contains(&one.name.as_str());
        let other = own.iter().find(|one| !BESIDE.contains(&one.name.as_str()));
        if let Some(both) = other.or_else(|| named.scope.own().iter().find(judges)) {
            self.refuse(both, format!(
                "it stands beside `try_files`, or in `{to}` to which that leads, and nginx asks both: write one \
                 location with the `proxy_pass`"
            ));
            return Err(Refused);
        }
        if let Some(around) = judge_around(location, all) {
            self.refuse(around, format!(
                "it stands around `try_files` that leads to `{to}`, and here it would not be asked: write the \
                 `proxy_pass` of `{to}` in the place of `try_files`"
            ));
            return Err(Refused);
        }
        if let Some(size) = named.scope.own().iter().find(|one| one.name == "client_max_body_size")
        {
            self.changed(
                size,
                "it holds for these requests; nginx asks the one around `try_files`",
            );
        }
        let message = format!("files are not served here: all of these paths go to `{to}`");
        self.say(Kind::Skipped, line, message);
        Ok(Some(named))
    }

    /// Says of the named locations that nothing leads to them.
    pub(super) fn tell_unnamed(&self, server: &ServerBlock<'a>, all: &[LocationBlock<'a>]) {
        let blocks = || {
            let own = all.iter().map(|one| one.scope.own());
            own.chain([server.directive.inner()])
        };
        for named in all.iter().filter(|one| one.comparison == Comparison::Named) {
            let leads = |one: &Directive| {
                matches!(one.name.as_str(), "try_files" | "error_page")
                    && one.args.last().is_some_and(|to| to.text == named.text)
            };
            if !blocks().any(|block| block.iter().any(leads)) {
                self.say(Kind::Dropped, named.directive, "nothing leads to this named location");
            }
        }
    }
}

/// What stands in a location around this one and may judge or change its requests: a named location inherits from the
/// server alone, and nginx asks this one first.
fn judge_around<'a>(
    location: &LocationBlock<'a>,
    all: &[LocationBlock<'a>],
) -> Option<&'a Directive> {
    let mut around = location.parent;
    while let Some((number, outer)) = around.and_then(|number| Some((number, all.get(number)?))) {
        let mut own = outer.scope.own().iter();
        // Neither is inherited.
        let is_other = |one: &&Directive| {
            !matches!(one.name.as_str(), "location" | "proxy_pass")
                && !BESIDE.contains(&one.name.as_str())
        };
        if let Some(found) = own.find(is_other) {
            return Some(found);
        }
        around = outer.parent.filter(|further| *further < number);
    }
    None
}

/// Below which folder files are looked for.
fn below(scope: &Scope<'_>) -> String {
    let root = scope.one("alias").or_else(|| scope.one("root"));
    root.map(|root| format!(" (those below {:?})", root.arg(0))).unwrap_or_default()
}
