//! `set`: variables of a configuration's own that stand for one text wherever they are used.

use super::job::{Job, Refused};
use super::tree::Directive;
use super::variables::{Constant, Part, found, is_rewritten, name_of, parts};

/// Variables of nginx's that can be set, and then do something, or that cannot, and nginx does not start with it.
const SETTABLE: [&str; 12] = [
    "args",
    "limit_rate",
    "is_args",
    "document_root",
    "realpath_root",
    "request_filename",
    "proxy_host",
    "proxy_port",
    "proxy_internal_host",
    "proxy_add_x_forwarded_for",
    "server_name",
    "remote_user",
];

/// Values of nginx's that may be others where the variable is used than where it was set.
const CHANGING: [&str; 4] = ["uri", "document_uri", "args", "query_string"];

/// The longest text of a variable: such texts may hold each other.
const TEXT_BYTES: usize = 1024;

/// The text with these variables in it replaced by what they stand for.
pub(super) fn expanded(text: &str, constants: &[Constant]) -> String {
    let Ok(parts) = parts(text) else { return text.to_owned() };
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(&text),
            Part::Variable(name) => match found(constants, &name) {
                Some(text) => out.push_str(text),
                None => {
                    out.push_str("${");
                    out.push_str(&name);
                    out.push('}');
                }
            },
        }
    }
    out
}

impl Job<'_> {
    /// The variables that a server and a location in it set, each once and to one text.
    pub(super) fn constants(&self, blocks: &[&[Directive]]) -> Result<Vec<Constant>, Refused> {
        let mut all: Vec<Constant> = Vec::new();
        let mut rewrites_outside = false;
        for block in blocks {
            let mut rewrites = false;
            for line in *block {
                match line.name.as_str() {
                    "rewrite" => rewrites = true,
                    "set" => {
                        let one = self.constant(line, rewrites, &all)?;
                        self.is_set_in_front(line, rewrites_outside)?;
                        all.push(one);
                    }
                    _ => {}
                }
            }
            rewrites_outside |= rewrites;
        }
        Ok(all)
    }

    /// Behind a `rewrite` of the server a location sets its variables to what that made.
    fn is_set_in_front(&self, line: &Directive, rewrites: bool) -> Result<(), Refused> {
        if rewrites && is_rewritten(line.arg(1)) {
            self.refuse(
                line,
                "a variable with a parameter of the query that is set behind a `rewrite` is not converted: put it in \
                 front",
            );
            return Err(Refused);
        }
        Ok(())
    }

    fn constant(
        &self,
        line: &Directive,
        rewrites: bool,
        before: &[Constant],
    ) -> Result<Constant, Refused> {
        let name = line.arg(0).strip_prefix('$').unwrap_or_default().to_ascii_lowercase();
        let text = expanded(line.arg(1), before);
        let refused = |why: &str| {
            self.refuse(line, why);
            Err(Refused)
        };
        let is_name = |mark: char| mark.is_ascii_alphanumeric() || mark == '_';
        if name.is_empty() || !name.chars().all(is_name) || line.args.len() != 2 {
            return refused("`set` takes the name of a variable and its value");
        }
        if name_of(&name).is_ok() || SETTABLE.contains(&name.as_str()) {
            return refused("a variable of nginx's own that is changed is not converted");
        }
        if found(before, &name).is_some() || self.map_of(&name).is_some() {
            return refused("a variable that is set twice, or by a map as well, is not converted");
        }
        if text.len() > TEXT_BYTES {
            return refused("a variable of more than 1024 bytes is not converted");
        }
        if rewrites {
            return refused(
                "a variable that is set behind a `rewrite` is not converted: put it in front",
            );
        }
        let parts = parts(&text).inspect_err(|why| self.refuse(line, why)).map_err(|_| Refused)?;
        let changes = |part: &Part| {
            matches!(part, Part::Variable(name)
                if CHANGING.contains(&name.as_str()) || name.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if parts.iter().any(changes) {
            return refused(
                "a variable with the path, the query or a group of an expression in it is not converted",
            );
        }
        Ok(Constant { name, text })
    }
}
