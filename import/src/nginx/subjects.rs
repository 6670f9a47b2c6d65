//! Maps that take one attribute out of a certificate's subject, as configurations of nginx's do: there is no variable
//! for it in nginx, and there is one here.

use super::job::Job;
use super::tree::Directive;
use super::variables::name_of;

/// The attributes that configurations ask for, by their short names in lower case.
const ATTRIBUTES: [&str; 10] =
    ["cn", "o", "ou", "c", "l", "st", "dc", "uid", "emailaddress", "serialnumber"];

/// What may stand in front of the attribute in an expression that looks for it in an RFC 2253 name.
const FRONTS: [&str; 8] =
    ["(?:^|,)\\s*", "(?:^|,\\s*)", "(^|,)\\s*", "(?:^|,)", "(?:,|^)", "(^|,)", "(,|^)", ","];

/// What may stand behind the value.
const BACKS: [&str; 7] = ["", ".*", ".*$", "(?:,|$)", "(?:$|,)", "(,|$)", "($|,)"];

/// Classes that a value is made of.
const VALUES: [&str; 6] = ["[^,]+", "[^,]*", "[^,/]+", "[^/,]+", "[^,/]*", "[^/,]*"];

/// A line of a map: `~CN=(?<cn>[^,]+) $cn;`. The attribute that it takes, in lower case.
fn attribute_of(key: &str, value: &str) -> Option<String> {
    let expression = key.strip_prefix("~*").or_else(|| key.strip_prefix('~'))?;
    let mut fronts = FRONTS.iter().filter_map(|front| expression.strip_prefix(front));
    let rest = fronts.next().unwrap_or(expression);
    // A group in front takes the first number.
    let number =
        if expression.starts_with("(^") || expression.starts_with("(,") { "2" } else { "1" };
    let (attribute, rest) = rest.split_once("=(")?;
    let (group, rest) = match rest.strip_prefix("?<").or_else(|| rest.strip_prefix("?P<")) {
        Some(named) => named.split_once('>')?,
        None => (number, rest),
    };
    let value = value.strip_prefix('$')?;
    let value = value.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(value);
    let (class, back) = rest.split_once(')')?;
    let attribute = attribute.to_ascii_lowercase();
    let is_it = ATTRIBUTES.contains(&attribute.as_str())
        && value.eq_ignore_ascii_case(group)
        && VALUES.contains(&class)
        && BACKS.contains(&back);
    is_it.then_some(attribute)
}

impl Job<'_> {
    /// The variable of Ferrule's for a variable that a map makes of one attribute of the subject; empty where the
    /// subject has none.
    pub(super) fn attribute(&self, variable: &str) -> Option<(&Directive, String)> {
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
        Some((map, format!("ssl_client_s_dn_{}", attribute_of(&line.name, line.arg(0))?)))
    }

    /// The name that a variable has here, as [`name_of`] says it, or as a map does; what is different is said.
    pub(super) fn variable(&self, directive: &Directive, name: &str) -> Result<String, String> {
        if let Some((map, ours)) = self.attribute(name) {
            self.changed(map, format!(
                "`${name}` is the attribute itself (`${ours}`), with its escapes resolved; the expression took the \
                 first text of this form, up to a comma"
            ));
            self.let_through(map, format!(
                "an expression searches the subject for `${name}`: a certificate with the same text within another \
                 attribute, as OU=x\\,CN=ops, counted as that name"
            ));
            return Ok(ours);
        }
        if self.map_of(name).is_some() {
            return Err(format!(
                "`${name}` is made by a map, and that is converted behind an `if` alone, or where it takes one \
                 attribute out of `$ssl_client_s_dn`"
            ));
        }
        let lower = name.to_ascii_lowercase();
        let attribute = lower.strip_prefix("ssl_client_s_dn_");
        if attribute.is_some_and(|attribute| ATTRIBUTES.contains(&attribute)) {
            self.let_through(directive, format!(
                "nginx has no variable `${name}` and does not start with it, unless another file has a `map` that \
                 makes it; here it is the attribute of the subject"
            ));
            return Ok(lower);
        }
        name_of(name)
    }
}

#[cfg(test)]
mod tests {
    use super::attribute_of;

    #[test]
    fn lines_that_take_an_attribute_are_known() {
        for (key, value, wanted) in [
            ("~CN=(?<CN>[^,]+)", "$CN", Some("cn")),
            ("~(?:^|,)\\s*CN=(?<cn>[^,]+)", "$cn", Some("cn")),
            ("~*,OU=(?P<unit>[^,/]+)", "${unit}", Some("ou")),
            ("~CN=([^,]+)", "$1", Some("cn")),
            ("~(^|,)CN=([^,]+)(,|$)", "$2", Some("cn")),
            ("~(^|,)CN=([^,]+)(,|$)", "$1", None),
            ("~CN=(?<CN>[^,]+)", "$other", None),
            ("~CN=(?<CN>[^.]+)", "$CN", None),
            ("~CN=(?<CN>[^,]+)\\.test", "$CN", None),
            ("~/CN=(?<CN>[^/]+)", "$CN", None),
            ("~X=(?<CN>[^,]+)", "$CN", None),
            ("CN=ops", "1", None),
        ] {
            assert_eq!(attribute_of(key, value).as_deref(), wanted, "{key} {value}");
        }
    }
}
