//! Variables that never have a value, because a client's word under that name is not taken.
//!
//! In: a checked configuration. Out: an error for each condition that asks for one, since it could only
//! ever hold, or never; a warning for each header value, log format and hash key with one; and what to write
//! instead.

use ferrule_config::model::{Condition, HashInput, HashOn, HeaderValue, Route, UriPattern};
use ferrule_config::template::{Piece, Template, Variable};
use ferrule_config::{Config, Place, Problem, Problems};

use super::field::{EmptyReason, FieldRules};
use super::headers;
use super::names::{Folded, fold};

pub(super) fn check(config: &Config, problems: &mut Problems) {
    let search = EmptyVariableSearch { config, rules: headers::field_rules(config) };
    for route in &config.routes {
        let mut found = Vec::new();
        route.when.iter().for_each(|when| search.in_condition(when, route, &mut found));
        for about in found {
            problems.push(about.problem(route.place, format!("routes.{}.vars", route.id), ""));
        }
        for rule in &route.refuse {
            let mut found = Vec::new();
            search.in_condition(&rule.when, route, &mut found);
            for about in found {
                problems.push(about.problem(rule.place, format!("{}.vars", rule.field), ""));
            }
        }
        let mut found = Vec::new();
        let split = route.split.iter().filter_map(|rule| rule.when.as_ref());
        split.for_each(|when| search.in_condition(when, route, &mut found));
        for about in found {
            let field = format!("routes.{}.traffic_split", route.id);
            problems.push(about.problem(route.place, field, ""));
        }
    }
    let ops = config.routes.iter().flat_map(|route| &route.headers);
    let mut seen = Vec::new();
    for field in ops.flat_map(|ops| ops.add.iter().chain(&ops.set)) {
        // A rule that many routes inherit is one line of the file.
        if !seen.contains(&(field.place, &field.name)) {
            seen.push((field.place, &field.name));
            search.in_template(&field.value, field.place, &field.name, problems);
        }
    }
    for limit in config.routes.iter().flat_map(|route| &route.limits) {
        if !seen.contains(&(limit.place, &limit.field)) {
            seen.push((limit.place, &limit.field));
            search.in_template(&limit.key, limit.place, &format!("{}.key", limit.field), problems);
            for number in &limit.numbers {
                let key: &str = number.key.into();
                let field = format!("{}.{key}_from", limit.field);
                search.in_template(&number.from, limit.place, &field, problems);
            }
        }
    }
    if let Some(log) = &config.log.access
        && let Some(own) = log.format.own()
    {
        search.in_template(own.template, log.format_place, "log.access.format", problems);
    }
    let hashes = config.upstreams.iter().filter_map(|upstream| upstream.balance.hash_key.as_ref());
    hashes.for_each(|input| search.in_hash(input, problems));
}

struct EmptyVariableSearch<'a> {
    config: &'a Config,
    rules: FieldRules,
}

/// A variable without a value.
struct EmptyVariable {
    variable: String,
    field: String,
    why: EmptyReason,
    /// The variable that holds what the gateway itself knows.
    instead: String,
}

impl EmptyVariableSearch<'_> {
    fn in_condition(&self, condition: &Condition, route: &Route, found: &mut Vec<EmptyVariable>) {
        match condition {
            Condition::All(list) | Condition::Any(list) => {
                list.iter().for_each(|one| self.in_condition(one, route, found));
            }
            Condition::Not(inner) => self.in_condition(inner, route, found),
            Condition::Test(variable, _) => {
                let unfound = is_unfound(variable, std::slice::from_ref(route));
                found.extend(unfound.or_else(|| self.about(variable)));
            }
        }
    }

    fn in_template(&self, template: &Template, place: Place, field: &str, problems: &mut Problems) {
        for about in template.variables().filter_map(|variable| self.about(variable)) {
            problems.warn(about.problem(place, field.to_owned(), "$"));
        }
    }

    /// What `chash` hashes.
    fn in_hash(&self, input: &HashInput, problems: &mut Problems) {
        let sigil = if input.on == HashOn::VarsCombinations { "$" } else { "" };
        let alone = input.template.variables().count() == 1;
        for about in input.template.variables().filter_map(|variable| self.about(variable)) {
            let instead = about.instead.clone();
            let mut problem = about.problem(input.place, String::new(), sigil);
            problem.message.push_str(if alone {
                "; the address of the client is hashed in its place"
            } else {
                "; it tells no two requests apart"
            });
            if input.on != HashOn::VarsCombinations && !instead.is_empty() {
                problem.help = Some(format!(
                    "`hash_on = \"vars\"` and `key = \"{instead}\"` hash what the gateway knows of the client"
                ));
            }
            problems.warn(problem);
        }
    }

    fn about(&self, variable: &Variable) -> Option<EmptyVariable> {
        let name = match variable {
            Variable::Http(name) => name.as_str(),
            Variable::Cookie(_) => "cookie",
            _ => return is_unfound(variable, &self.config.routes),
        };
        let why = self.rules.empty_reason(name)?;
        let field = name.split('_').map(capitalised).collect::<Vec<_>>().join("-");
        Some(EmptyVariable { variable: variable.name(), field, why, instead: self.instead(name) })
    }

    /// The variable that says what a client may only claim: the one that fills the header, or that is
    /// named like it.
    fn instead(&self, name: &str) -> String {
        let folded: Vec<u8> = name.bytes().map(fold).collect();
        let connection = match name {
            "x_real_ip" | "x_forwarded_for" | "forwarded" => Some("remote_addr"),
            "x_forwarded_host" => Some("host"),
            "x_forwarded_port" => Some("server_port"),
            "x_forwarded_proto" => Some("scheme"),
            _ => None,
        };
        let rules = self.config.routes.iter().flat_map(|route| &route.headers);
        let set = rules.flat_map(|ops| ops.add.iter().chain(&ops.set));
        let mut fields = self.config.identity_headers.iter().chain(set);
        let same = |field: &&HeaderValue| {
            Folded::of(field.name.as_bytes()).is_some_and(|name| name.as_bytes() == folded)
        };
        let filled = fields.find(same).and_then(|field| match field.value.pieces.as_slice() {
            [Piece::Variable(variable)] => Some(variable.name()),
            _ => None,
        });
        let alike = || {
            let alike = name.strip_prefix("x_").unwrap_or(name);
            let alike = Variable::parse(alike).map(|variable| variable.name());
            alike.filter(|name| name.starts_with("ssl_client_"))
        };
        let known = connection.map(str::to_owned).or(filled).or_else(alike);
        known.unwrap_or_else(|| "ssl_client_verify".to_owned())
    }
}

/// Does it name what none of these routes finds in a request?
fn is_unfound(variable: &Variable, routes: &[Route]) -> Option<EmptyVariable> {
    let in_path = |route: &Route, name: &str| {
        route.uris.iter().any(|uri| match uri {
            UriPattern::Params(path) => path.names().any(|one| one == name),
            UriPattern::Exact(_) | UriPattern::Prefix(_) => false,
        })
    };
    let in_values = |route: &Route, name: &str| {
        let mut names = route.captures.iter().flat_map(|capture| &capture.names);
        names.any(|one| one.name == name)
    };
    let in_rewrite = |route: &Route, name: &str| {
        let mut rules = route.rewrite.iter().flat_map(|rewrite| &rewrite.regex_uri);
        rules.any(|rule| rule.pattern.has_group(name))
    };
    let (name, why, found) = match variable {
        Variable::Rewrite(name) => {
            let found = routes.iter().any(|route| in_rewrite(route, name));
            (name, EmptyReason::NotAGroup, found)
        }
        Variable::UriParam(name) => {
            let found = routes.iter().any(|route| in_path(route, name));
            (name, EmptyReason::NotInPath, found)
        }
        Variable::Capture(name) => {
            let found = routes.iter().any(|route| in_values(route, name));
            (name, EmptyReason::NotNamed, found)
        }
        _ => return None,
    };
    let (variable, field, instead) = (variable.name(), name.clone(), String::new());
    (!found).then_some(EmptyVariable { variable, field, why, instead })
}

impl EmptyVariable {
    fn problem(&self, place: Place, field: String, sigil: &str) -> Problem {
        let Self { variable, field: name, why, instead } = self;
        let (message, help) = match why {
            EmptyReason::GatewayOnly => (
                format!(
                    "`{sigil}{variable}` never has a value: `{name}` is taken out of every \
                     request, because only the gateway may send it"
                ),
                format!("`{sigil}{instead}` is what the gateway knows of the client"),
            ),
            EmptyReason::NoTrustedPeers => (
                format!(
                    "`{sigil}{variable}` never has a value: `{name}` is the word of peers in \
                     `http.trusted_addresses` alone, and none is listed"
                ),
                format!("`{sigil}{instead}` is what the gateway knows; or list who is believed"),
            ),
            EmptyReason::NotInPath => (
                format!("`{sigil}{variable}` never has a value: no path has a `:{name}`"),
                format!(
                    "write `:{name}` in `uri`, with `router = \"radixtree_uri_with_parameter\"` in \
                     [http]"
                ),
            ),
            EmptyReason::NotAGroup => (
                format!(
                    "`{sigil}{variable}` never has a value: no `regex_uri` of a `rewrite` has this group"
                ),
                "`(...)` makes a group, and `(?P<name>...)` one with a name".to_owned(),
            ),
            EmptyReason::NotNamed => (
                format!("`{sigil}{variable}` never has a value: no `vars` of a route name it"),
                format!("write `(?<{name}>...)` in an expression of `vars`"),
            ),
        };
        Problem { place, field, message, help: Some(help) }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The warnings about an upstream that hashes this.
    fn warned(keys: &str) -> Vec<String> {
        let text = format!(
            "identity_headers = {{ X-Client-Subject = \"$ssl_client_s_dn\" }}\n\
             listen = [{{ address = \"0.0.0.0:80\" }}]\n[[routes]]\nuri = \"/*\"\n[routes.upstream]\n\
             nodes = {{ \"a:1\" = 1 }}\ntype = \"chash\"\n{keys}\n"
        );
        let draft = ferrule_config::read_text(Path::new("/f.toml"), text, &|_| None).unwrap();
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        let mut problems = Problems::default();
        check(&draft.config, &mut problems);
        let warnings = problems.warnings().map(|problem| format!("{problem:?}"));
        warnings.filter(|warning| warning.contains("never has a value")).collect()
    }

    #[test]
    fn a_hash_of_what_is_always_taken_out_is_warned_about() {
        for keys in [
            "hash_on = \"header\"\nkey = \"X-Client-Subject\"",
            "hash_on = \"header\"\nkey = \"x_client_subject\"",
            "key = \"http_x_client_subject\"",
            "hash_on = \"vars_combinations\"\nkey = \"$http_x_client_subject\"",
            "hash_on = \"vars_combinations\"\nkey = \"$uri$http_x_client_subject\"",
        ] {
            let found = warned(keys);
            assert_eq!(found.len(), 1, "{keys}: {found:?}");
            assert!(found[0].contains("ssl_client_s_dn"), "{found:?}");
            let combined = keys.contains("$uri");
            assert_eq!(found[0].contains("it tells no two requests apart"), combined, "{found:?}");
            assert_eq!(found[0].contains("the address of the client is hashed"), !combined);
        }
        for keys in [
            "hash_on = \"header\"\nkey = \"X-User\"",
            "hash_on = \"cookie\"\nkey = \"session\"",
            "key = \"ssl_client_s_dn\"",
            "hash_on = \"vars_combinations\"\nkey = \"$host$uri\"",
        ] {
            assert_eq!(warned(keys), Vec::<String>::new(), "{keys}");
        }
    }
}
