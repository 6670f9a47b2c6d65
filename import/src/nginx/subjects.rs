//! Maps that take one attribute out of a certificate's subject, as configurations of nginx's do: there is no variable
//! for it in nginx, and there is one here.

use toml::Value as Toml;

use crate::fields::plain;

use super::conditions::leaf;
use super::job::Job;
use super::tree::Directive;
use super::variables::{AttributeUse, name_of};

/// The attributes that configurations ask for, as nginx writes them.
const ATTRIBUTES: [&str; 10] =
    ["CN", "O", "OU", "C", "L", "ST", "DC", "UID", "emailAddress", "serialNumber"];

/// Those that others end with: `DC=` and `jurisdictionST=` hold them.
const ENDINGS: [&str; 3] = ["C", "L", "ST"];

/// What may stand in front of the attribute in an expression that looks for it in an RFC 2253 name.
const FRONTS: [&str; 7] =
    ["(?:^|,)\\s*", "(?:^|,\\s*)", "(^|,)\\s*", "(?:^|,)", "(?:,|^)", "(^|,)", "(,|^)"];

/// What may stand behind the value.
const BACKS: [&str; 7] = ["", ".*", ".*$", "(?:,|$)", "(?:$|,)", "(,|$)", "($|,)"];

/// Classes that a value is made of.
const VALUES: [&str; 6] = ["[^,]+", "[^,]*", "[^,/]+", "[^/,]+", "[^,/]*", "[^/,]*"];

/// How an expression takes an attribute out of a subject.
#[derive(Clone, Copy, Debug)]
struct TakenAttribute {
    /// As nginx writes it.
    name: &'static str,
    /// It is found at the beginning of a part alone.
    is_anchored: bool,
    ignores_case: bool,
    /// A slash ends it.
    ends_at_slash: bool,
}

impl TakenAttribute {
    /// The attribute of this name, in any case.
    fn named(name: &str) -> Option<Self> {
        let name = ATTRIBUTES.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(Self { name, is_anchored: true, ignores_case: false, ends_at_slash: false })
    }

    /// What a line of a map takes: `~CN=(?<cn>[^,]+) $cn;`.
    fn of_line(key: &str, value: &str) -> Option<Self> {
        let expression = key.strip_prefix("~*").or_else(|| key.strip_prefix('~'))?;
        let ignores_case = key.starts_with("~*");
        let mut fronts = FRONTS.iter().filter_map(|front| expression.strip_prefix(front));
        let front = fronts.next();
        let rest = front.unwrap_or(expression);
        // A group in front takes the first number.
        let number =
            if expression.starts_with("(^") || expression.starts_with("(,") { "2" } else { "1" };
        let (attribute, rest) = rest.split_once("=(")?;
        let (group, rest) = match rest.strip_prefix("?<").or_else(|| rest.strip_prefix("?P<")) {
            Some(named) => named.split_once('>')?,
            None => (number, rest),
        };
        let value = value.strip_prefix('$')?;
        let value =
            value.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(value);
        let (class, back) = rest.split_once(')')?;
        let mut found = Self::named(attribute)?;
        found.is_anchored = front.is_some();
        found.ignores_case = ignores_case;
        found.ends_at_slash = class.contains('/');
        let is_it = (ignores_case || found.name == attribute)
            && (found.is_anchored || !ENDINGS.contains(&found.name))
            && value.eq_ignore_ascii_case(group)
            && VALUES.contains(&class)
            && BACKS.contains(&back);
        is_it.then_some(found)
    }

    /// The variable of Ferrule's.
    fn variable(self) -> String {
        format!("ssl_client_s_dn_{}", self.name.to_ascii_lowercase())
    }

    /// An expression for the subjects of which nginx may take another value than the attribute is here: it is there
    /// several times, in a part with several attributes, or within another value. A comparison reads escapes as well.
    fn doubt(self, used: AttributeUse) -> String {
        let Self { name, is_anchored, ignores_case, ends_at_slash } = self;
        let flags = if ignores_case { "(?is)" } else { "(?s)" };
        let escape = if used == AttributeUse::Compared { "\\\\" } else { "" };
        let slash = if ends_at_slash { "/" } else { "" };
        let within = format!("[^,]*[+{escape}{slash}]");
        if is_anchored {
            return format!(
                "{flags}\\+{name}=|\\\\,\\s*{name}=|(?:^|,)\\s*{name}=(?:{within}|.*[,+]\\s*{name}=)"
            );
        }
        format!("{flags}[^,]{name}=|\\\\,{name}=|{name}=(?:{within}|.*{name}=)")
    }
}

impl Job<'_> {
    /// The map that makes a variable of one attribute of the subject, empty where the subject has none, and how.
    fn taken(&self, variable: &str) -> Option<MapOfAttribute<'_>> {
        let map = self.map_of(variable)?;
        if map.arg(0) != "$ssl_client_s_dn" {
            return None;
        }
        let is_default = |line: &&Directive| line.name == "default";
        let (defaults, lines): (Vec<&Directive>, Vec<&Directive>) =
            map.inner().iter().partition(is_default);
        let [line] = lines.as_slice() else { return None };
        if line.args.len() != 1 || defaults.iter().any(|line| !line.arg(0).is_empty()) {
            return None;
        }
        Some(MapOfAttribute { map, taken: TakenAttribute::of_line(&line.name, line.arg(0))? })
    }

    /// The variable of Ferrule's for a variable that a map makes of one attribute of the subject.
    pub(super) fn attribute(&self, variable: &str) -> Option<String> {
        self.taken(variable).map(|one| one.taken.variable())
    }

    /// These tables of `refuse`, and those for whom the route in the making may take for others than nginx did.
    pub(super) fn with_doubts(&self, mut refuse: Vec<toml::Table>) -> Vec<toml::Table> {
        let table = |expression: &String| {
            let condition = leaf("ssl_client_s_dn", false, "~~", plain(expression));
            [("vars".to_owned(), Toml::Array(vec![condition]))].into_iter().collect()
        };
        refuse.extend(self.doubts.take().iter().map(table));
        refuse
    }

    /// The name that a variable has here, as [`name_of`] says it, or as a map does; what is different is said.
    pub(super) fn variable(
        &self,
        directive: &Directive,
        name: &str,
        used: AttributeUse,
    ) -> Result<String, String> {
        if let Some(MapOfAttribute { map, taken }) = self.taken(name) {
            let ours = taken.variable();
            self.changed(map, format!(
                "`${name}` is the attribute itself (`${ours}`), with its escapes resolved; the expression took the \
                 first text of this form, up to a comma. Where that may be another value (the subject has the \
                 attribute several times, beside a `+`, or within another one; in a condition, with an escape), the \
                 client gets 403"
            ));
            self.let_through(map, format!(
                "an expression searches the subject for `${name}`: a certificate with the same text within another \
                 attribute, as OU=x\\,CN=ops, counted as that name"
            ));
            self.doubts.borrow_mut().insert(taken.doubt(used));
            return Ok(ours);
        }
        if self.map_of(name).is_some() {
            return Err(format!(
                "`${name}` is made by a map, and that is converted behind an `if` alone, or where it takes one \
                 attribute out of `$ssl_client_s_dn`, as `~(?:^|,)OU=([^,]+) $1` does: at the beginning of the \
                 subject, too, and with the name as nginx writes it"
            ));
        }
        let lower = name.to_ascii_lowercase();
        let attribute = lower.strip_prefix("ssl_client_s_dn_");
        if let Some(taken) = attribute.and_then(TakenAttribute::named) {
            self.let_through(directive, format!(
                "nginx has no variable `${name}` and does not start with it, unless another file has a `map` that \
                 makes it; here it is the attribute of the subject, and who has several of them gets 403"
            ));
            self.doubts.borrow_mut().insert(taken.doubt(used));
            return Ok(lower);
        }
        name_of(name)
    }
}

/// A map, and which attribute it takes.
struct MapOfAttribute<'m> {
    map: &'m Directive,
    taken: TakenAttribute,
}

#[cfg(test)]
mod tests {
    use super::TakenAttribute;

    #[test]
    fn lines_that_take_an_attribute_are_known() {
        for (key, value, wanted) in [
            ("~CN=(?<CN>[^,]+)", "$CN", Some("cn")),
            ("~(?:^|,)\\s*CN=(?<cn>[^,]+)", "$cn", Some("cn")),
            ("~*(?:,|^)ou=(?P<unit>[^,/]+)", "${unit}", Some("ou")),
            ("~CN=([^,]+)", "$1", Some("cn")),
            ("~(^|,)CN=([^,]+)(,|$)", "$2", Some("cn")),
            ("~(^|,)CN=([^,]+)(,|$)", "$1", None),
            ("~CN=(?<CN>[^,]+)", "$other", None),
            ("~CN=(?<CN>[^.]+)", "$CN", None),
            ("~CN=(?<CN>[^,]+)\\.test", "$CN", None),
            ("~/CN=(?<CN>[^/]+)", "$CN", None),
            ("~X=(?<CN>[^,]+)", "$CN", None),
            ("CN=ops", "1", None),
            ("~,OU=(?<o>[^,]+)", "$o", None),
            ("~cn=(?<o>[^,]+)", "$o", None),
            ("~C=(?<o>[^,]+)", "$o", None),
        ] {
            let found = TakenAttribute::of_line(key, value).map(TakenAttribute::variable);
            let wanted = wanted.map(|name| format!("ssl_client_s_dn_{name}"));
            assert_eq!(found, wanted, "{key} {value}");
        }
    }
}
