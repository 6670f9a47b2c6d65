//! What nginx's rewrite phase does with a request: `if`, `return` and `rewrite`, in the order of the file.

use toml::Value as Toml;

use crate::fields::plain;

use super::conditions::{Question, Test, leaf};
use super::guards::nobody;
use super::job::{Job, Refused};
use super::jumps::is_jump;
use super::scope::Scope;
use super::tree::Directive;
use super::variables::{Fixed, Part, parts};

/// What becomes of the requests of a location.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Tables of `client`.
    pub(super) client: Vec<toml::Table>,
    /// Tables of `refuse`.
    pub(super) refuse: Vec<toml::Table>,
    /// `return` or `redirect`, and its table: nothing is sent upstream.
    pub(super) answer: Option<Answer>,
    /// Pairs of `rewrite.regex_uri`.
    pub(super) rewrites: Vec<Toml>,
    /// Some of them stand in the server, in front of all locations.
    rewrites_outside: bool,
    /// Some `if` asks whether the certificate was verified.
    pub(super) asks_verify: bool,
    /// Requests without TLS are redirected to https before anything else is asked.
    pub(super) redirects_first: bool,
}

/// An answer of the gateway's own.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) key: &'static str,
    pub(super) table: toml::Table,
    /// Nobody gets anything: the status is one of an error.
    pub(super) refuses: bool,
}

impl Answer {
    /// Is it for requests without TLS alone?
    pub(super) fn lets_tls_pass(&self) -> bool {
        self.table.contains_key("http_to_https")
    }

    /// What keeps everybody out as well: a guarded path stays one in every spelling, where a mere answer would not.
    pub(super) fn guard(&self) -> Option<toml::Table> {
        let status = self.table.get("status").and_then(Toml::as_integer);
        match status {
            Some(403) if self.refuses => Some(nobody(403)),
            Some(404) if self.refuses => Some(nobody(404)),
            _ => None,
        }
    }
}

/// The key of an answer of an own text or status.
pub(super) const RETURN: &str = "return";

impl Job<'_> {
    /// Reads the rewrite phase of a location, or of a server if it has no locations. `behind` is the rewrite that led
    /// there, if one did: no further one of that location matches.
    pub(super) fn script(
        &self,
        scope: &Scope<'_>,
        blocks: &[&[Directive]],
        fixed: Fixed<'_>,
        behind: &[Toml],
    ) -> Result<Script, Refused> {
        let mut script = Script { rewrites: behind.to_vec(), ..Script::default() };
        self.doubts.take();
        let outer = blocks.first().copied().unwrap_or_default();
        for directive in blocks.iter().flat_map(|block| block.iter()) {
            if !matches!(directive.name.as_str(), "if" | "return" | "rewrite") {
                continue;
            }
            if script.answer.as_ref().is_some_and(|answer| !answer.lets_tls_pass()) {
                self.changed(directive, "an answer stands in front of it, so it is never reached");
                continue;
            }
            if !script.rewrites.is_empty() && directive.name == "return" {
                self.answers_what_came(directive)?;
            }
            match directive.name.as_str() {
                "if" => self.read_if(directive, &mut script)?,
                "return" => {
                    let answer = self.answer(directive, scope, fixed).ok_or(Refused)?;
                    self.put_answer(directive, &mut script, answer)?;
                }
                _ => {
                    let is_outer = outer.iter().any(|one| std::ptr::eq(one, directive));
                    // Its requests are for another location.
                    if !is_outer && (!behind.is_empty() || is_jump(directive)) {
                        continue;
                    }
                    let place = is_outer.then_some(outer);
                    self.read_rewrite(directive, place, &mut script, fixed)?;
                }
            }
        }
        Ok(script)
    }

    /// Keeps an answer. Behind one that lets TLS pass the guards still hold, and another answer does for TLS, unless
    /// something was asked in front of both.
    fn put_answer(
        &self,
        directive: &Directive,
        script: &mut Script,
        answer: Answer,
    ) -> Result<(), Refused> {
        let is_other = script.answer.as_ref().is_some_and(|first| first.table != answer.table);
        if is_other && !script.redirects_first {
            self.refuse(
                directive,
                "an answer behind the redirect to https is not converted where a guard stands in front of both: write \
                 a server of its own for the port without TLS",
            );
            return Err(Refused);
        }
        let is_first = script.client.is_empty() && script.refuse.is_empty();
        script.redirects_first |= answer.lets_tls_pass() && is_first;
        script.answer = Some(answer);
        Ok(())
    }

    fn read_if(&self, directive: &Directive, script: &mut Script) -> Result<(), Refused> {
        let question = self.question(directive).ok_or(Refused)?;
        if !script.rewrites.is_empty() {
            self.asks_what_came(directive, &question.variable)?;
        }
        let [done] = directive.inner() else {
            self.refuse(directive, "an `if` with one `return` in it is converted, and no other");
            return Err(Refused);
        };
        let status = done.arg(0).parse::<u16>().unwrap_or(0);
        if done.name != "return" || !(400..=599).contains(&status) {
            return self.read_other_if(directive, done, &question, script);
        }
        script.asks_verify |= question.variable == "ssl_client_verify"
            || self
                .map_of(&question.variable)
                .is_some_and(|map| map.arg(0).starts_with("$ssl_client_"));
        let status = self.error_status(done, status);
        let body = done.args.get(1).map(|word| word.text.as_str());
        if question.variable == "ssl_client_verify"
            && matches!(&question.test, Test::Equals { text, negated: false } if text == "NONE")
        {
            self.let_through(
                directive,
                "a certificate that cannot be verified is not NONE but FAILED: ask for `!= SUCCESS`",
            );
        }
        let is_success =
            matches!(&question.test, Test::Equals { text, negated: true } if text == "SUCCESS");
        if question.variable == "ssl_client_verify" && is_success && status == 403 && body.is_none()
        {
            script.client.push([("verify".to_owned(), Toml::from("on"))].into_iter().collect());
            return Ok(());
        }
        if let Some(allow) = self.allow_list(&question)
            && status == 403
            && body.is_none()
        {
            script.client.push([("allow".to_owned(), allow)].into_iter().collect());
            return Ok(());
        }
        let conditions = self.conditions(directive, &question).ok_or(Refused)?;
        let mut table = toml::Table::new();
        table.insert("vars".to_owned(), Toml::Array(conditions));
        table.insert("status".to_owned(), Toml::from(i64::from(status)));
        if let Some(body) = body {
            if body.contains('$') {
                self.refuse(done, "variables in the text of a refusal are not converted");
                return Err(Refused);
            }
            table.insert("body".to_owned(), plain(body));
        }
        script.refuse.push(table);
        Ok(())
    }

    /// `if ($scheme = http) { return 301 https://...; }` and nothing else.
    fn read_other_if(
        &self,
        directive: &Directive,
        done: &Directive,
        question: &Question,
        script: &mut Script,
    ) -> Result<(), Refused> {
        let is_plain = question.variable == "scheme"
            && matches!(&question.test, Test::Equals { text, negated }
                if (text == "http" && !*negated) || (text == "https" && *negated));
        let to = done.args.last().map_or("", |word| word.text.as_str());
        let leads = ["https://$host$request_uri", "https://$server_name$request_uri"].contains(&to);
        if !(is_plain && done.name == "return" && leads) {
            self.refuse(
                directive,
                "an `if` that refuses (`return` with 400 or more) is converted, and `if ($scheme = http)` that leads to https",
            );
            return Err(Refused);
        }
        self.changed(directive, "requests other than GET and HEAD are redirected with 308, so that their bodies are sent again");
        self.put_answer(directive, script, to_https())
    }

    /// The list of subjects that a map lets in, if that is all it does.
    fn allow_list(&self, question: &Question) -> Option<Toml> {
        let map = self.map_of(&question.variable)?;
        if map.arg(0) != "$ssl_client_s_dn" || self.attribute(&question.variable).is_some() {
            return None;
        }
        let sorted = self.sort(map, &question.test)?;
        let only_lets_in = sorted.default
            && !sorted.has_expressions()
            && sorted.texts_that_hold.is_empty()
            && !sorted.texts_that_do_not.is_empty();
        if !only_lets_in {
            return None;
        }
        self.let_through(
            map,
            "a map compares texts without case: `CN=OPS` came in where `CN=ops` is listed; `client.allow` compares bytes",
        );
        let entry = |text: &String| plain(&format!("subject:{text}"));
        Some(Toml::Array(sorted.texts_that_do_not.iter().map(entry).collect()))
    }

    /// The status of a refusal. nginx's 444 is no answer at all.
    fn error_status(&self, directive: &Directive, status: u16) -> u16 {
        if status == 444 {
            self.changed(
                directive,
                "444 closes the connection without an answer; here it is answered with 403",
            );
            return 403;
        }
        status
    }

    /// `return`.
    fn answer(&self, directive: &Directive, scope: &Scope<'_>, fixed: Fixed<'_>) -> Option<Answer> {
        let (code, rest) = match directive.args.as_slice() {
            [one] => match one.text.parse::<u16>() {
                Ok(code) => (code, None),
                Err(_) => (302, Some(one.text.as_str())),
            },
            [code, rest] => (code.text.parse::<u16>().ok()?, Some(rest.text.as_str())),
            _ => (0, None),
        };
        match code {
            301 | 302 | 303 | 307 | 308 => {
                let Some(to) = rest else {
                    self.refuse(directive, "a redirect without a place to go to");
                    return None;
                };
                self.redirect(directive, to, code, fixed)
            }
            200..=599 => {
                let status = if code >= 400 { self.error_status(directive, code) } else { code };
                let mut table = toml::Table::new();
                table.insert("status".to_owned(), Toml::from(i64::from(status)));
                if let Some(body) = rest {
                    table.insert("body".to_owned(), self.template(directive, body, fixed)?.into());
                    let kind = scope.word("default_type").unwrap_or("text/plain");
                    table.insert("content_type".to_owned(), plain(kind));
                }
                Some(Answer { key: RETURN, table, refuses: status >= 400 })
            }
            _ => {
                self.refuse(directive, "this status is not converted: 200 to 599 are");
                None
            }
        }
    }

    /// A redirect to a text with variables.
    fn redirect(
        &self,
        directive: &Directive,
        to: &str,
        code: u16,
        fixed: Fixed<'_>,
    ) -> Option<Answer> {
        let (to, asks) =
            match to.strip_suffix("$is_args$args").or_else(|| to.strip_suffix("?$args")) {
                Some(to) => (to, true),
                None => (to, false),
            };
        let mut table = toml::Table::new();
        table.insert("uri".to_owned(), self.template(directive, to, fixed)?.into());
        table.insert("status".to_owned(), Toml::from(i64::from(code)));
        if asks {
            table.insert("append_query_string".to_owned(), Toml::from(true));
        }
        Some(Answer { key: "redirect", table, refuses: false })
    }

    fn read_rewrite(
        &self,
        directive: &Directive,
        server: Option<&[Directive]>,
        script: &mut Script,
        fixed: Fixed<'_>,
    ) -> Result<(), Refused> {
        let (expression, to, flag) = (directive.arg(0), directive.arg(1), directive.arg(2));
        let code = match flag {
            "permanent" => 301,
            "redirect" => 302,
            "" if to.starts_with("http://")
                || to.starts_with("https://")
                || to.starts_with("$scheme") =>
            {
                302
            }
            "break" => 0,
            // The location is looked for behind the rewrites of the server, whatever they say.
            "last" if server.is_some() => 0,
            _ => {
                self.refuse(
                    directive,
                    "`rewrite` is converted with `break`, `last`, `redirect` and `permanent`: without one of them nginx \
                     goes on with the new path",
                );
                return Err(Refused);
            }
        };
        if code == 0 {
            self.stays_where_it_is(directive, server, script)?;
            let pair = self.pair(directive, expression, to, fixed).ok_or(Refused)?;
            script.rewrites.extend(pair);
            return Ok(());
        }
        if !script.rewrites.is_empty() {
            self.answers_what_came(directive)?;
        }
        let (to, asks) = match to.strip_suffix('?') {
            Some(to) => (to, false),
            None => (to, !to.contains("$request_uri") && !to.contains("$args")),
        };
        // What matches every path needs no expression.
        if ["^", ".*", "^.*$", "^.*", "^/", "^(.*)$", "^(.*)", "^/(.*)$", "^/(.*)"]
            .contains(&expression)
        {
            let to = to.replace("/$1", "$uri").replace("$1", "$uri");
            let mut answer = self.redirect(directive, &to, code, fixed).ok_or(Refused)?;
            if asks {
                answer.table.insert("append_query_string".to_owned(), Toml::from(true));
            }
            return self.put_answer(directive, script, answer);
        }
        self.refuse(
            directive,
            "a redirect of some paths is not converted: write `redirect.regex_uri` into a route",
        );
        Err(Refused)
    }

    /// Refuses a `rewrite` in front of all locations that may lead to another one than the path that came, and one
    /// behind it: here a request is routed by the path that came, and rewritten once.
    fn stays_where_it_is(
        &self,
        directive: &Directive,
        server: Option<&[Directive]>,
        script: &mut Script,
    ) -> Result<(), Refused> {
        let is_root = |one: &&Directive| one.args.len() == 1 && one.arg(0) == "/";
        let mut locations =
            server.into_iter().flatten().filter(|one| one.name == "location").peekable();
        let nested = |one: &Directive| one.inner().iter().any(|inner| inner.name == "location");
        if server.is_some() && locations.any(|one| !is_root(&one) || nested(one)) {
            self.refuse(
                directive,
                "a `rewrite` in front of all locations is converted where `location /` is the only one: the new path \
                 may lead to another location, and to what that one asks; write it into a location, with `break`",
            );
            return Err(Refused);
        }
        if server.is_none() && script.rewrites_outside {
            self.refuse(directive, "a `rewrite` behind one of the server is not converted");
            return Err(Refused);
        }
        script.rewrites_outside |= server.is_some();
        Ok(())
    }

    /// An expression and what the whole path becomes, for `rewrite.regex_uri`.
    pub(super) fn pair(
        &self,
        directive: &Directive,
        expression: &str,
        to: &str,
        fixed: Fixed<'_>,
    ) -> Option<Vec<Toml>> {
        let expression = self.expression(directive, expression)?;
        let mut out = String::new();
        for part in parts(to).inspect_err(|message| self.refuse(directive, message)).ok()? {
            match part {
                Part::Text(text) => out.push_str(&text),
                Part::Variable(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                    out.push_str("${");
                    out.push_str(&name);
                    out.push('}');
                }
                Part::Variable(name) => {
                    out.push_str(&self.template(directive, &format!("${{{name}}}"), fixed)?);
                }
            }
        }
        // nginx replaces the whole path, wherever the expression matches; here its match alone is.
        let whole = format!("^(?s:.*?)(?:{expression})(?s:.*)$");
        Some(vec![plain(&whole), plain(&out)])
    }

    /// The rewrite that a path in `proxy_pass` stands for: the text of the location becomes that path.
    pub(super) fn replaced(location: &str, exact: bool, to: &str) -> Vec<Toml> {
        let end = if exact { "$" } else { "" };
        let expression = format!("^{}{end}", super::conditions::escaped(location));
        vec![plain(&expression), Toml::from(to.replace('$', "$$"))]
    }
}

/// The redirect of what did not come by TLS.
pub(super) fn to_https() -> Answer {
    let table = [("http_to_https".to_owned(), Toml::from(true))].into_iter().collect();
    Answer { key: "redirect", table, refuses: false }
}

/// A condition that requests came to one of these ports.
pub(super) fn on_ports(ports: &[u16]) -> Toml {
    let list = ports.iter().map(|port| Toml::from(port.to_string())).collect();
    leaf("server_port", false, "in", Toml::Array(list))
}
