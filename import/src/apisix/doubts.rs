//! What a configuration let through, or only seemed to check: said in the report beside what became of it.

use crate::authorities;
use crate::document::{Node, Value};
use crate::fields::Item;
use crate::report::Kind;

use super::objects::Objects;

/// Variables of Ferrule's that nginx and APISIX do not have: they are empty there.
const OURS: [&str; 12] = [
    "ssl_client_chain_rfc9440",
    "ssl_client_cert_rfc9440",
    "ssl_client_fingerprint_sha256",
    "ssl_client_i_dn_",
    "ssl_client_s_dn_",
    "ssl_client_san",
    "ssl_client_san_",
    "ssl_client_spiffe_id",
    "ssl_client_spki_sha256",
    "ssl_client_x5t_s256",
    "ssl_client_xfcc",
    "outcome",
];

/// The last parts of paths that probes ask for.
const PROBES: [&str; 12] = [
    "health",
    "healthz",
    "health-check",
    "healthcheck",
    "live",
    "livez",
    "liveness",
    "ping",
    "ready",
    "readyz",
    "readiness",
    "status",
];

/// Directives of nginx in a snippet, and what they only seemed to do.
const DIRECTIVES: [Directive; 4] = [
    Directive {
        words: &["ssl_stapling"],
        message: "`ssl_stapling` tells clients about the gateway's own certificate; it never asked whether a client's \
                  is revoked: set client.crl of the [[ssls]]",
    },
    Directive {
        words: &["ssl_verify_client optional", "ssl_verify_client optional_no_ca"],
        message: "`ssl_verify_client optional` lets in clients without a certificate, and `optional_no_ca` those \
                  with any; only what looks at $ssl_client_verify keeps them out: client.verify of the [[ssls]]",
    },
    Directive {
        words: &["ssl_crl"],
        message: "`ssl_crl` needs a list of every authority, or nobody of the others gets in; here client.crl says \
                  with `crl_missing` what holds for those without one",
    },
    Directive {
        words: &["ssl_verify_depth"],
        message: "`ssl_verify_depth` counts the intermediates between client and root, and is 1 if nothing is said: \
                  client.depth of the [[ssls]]",
    },
];

struct Directive {
    words: &'static [&'static str],
    message: &'static str,
}

/// A header that a request gets: whether its name tells the truth, and whether clients could write it.
pub(super) fn header(item: &Item<'_>, name: &str, value: &str) {
    let folded = name.to_ascii_lowercase();
    let after = value.split("ssl_client_fingerprint").skip(1);
    if folded.contains("256") && after.into_iter().any(|rest| !rest.starts_with("_sha256")) {
        let message = "`$ssl_client_fingerprint` is a SHA-1, and the name of this header says SHA-256: that is \
                       $ssl_client_fingerprint_sha256";
        item.say(Kind::Security, message);
    }
    if value.contains("ssl_client_") && name.contains('-') && !item.work.settings.drops_underscores
    {
        let spelt = name.replace('-', "_");
        let message = format!(
            "a client could send `{spelt}`, which many servers take for `{name}`, and any `{name}` where no route \
             sets it; both are removed now"
        );
        item.say(Kind::Security, message);
    }
}

/// Variables that only exist here.
pub(super) fn variables(item: &Item<'_>, text: &str) {
    for name in text.split('$').skip(1) {
        let name = name.trim_start_matches('{');
        let end = name.find(|mark: char| !(mark.is_ascii_alphanumeric() || mark == '_'));
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        // A family ends with `_`, and so does none of the others.
        let is_ours = |ours: &str| name == ours || (ours.ends_with('_') && name.starts_with(ours));
        let legacy = matches!(name, "ssl_client_s_dn_legacy" | "ssl_client_i_dn_legacy");
        if OURS.into_iter().any(is_ours) && !legacy {
            let message = format!(
                "`${name}` does not exist in APISIX, where it is empty; here it has a value"
            );
            item.say(Kind::Security, message);
        }
    }
}

/// A condition on a subject or issuer that searches for a part of it.
pub(super) fn condition(item: &Item<'_>, variable: &str, operator: &str, value: &Value) {
    let is_name =
        variable.starts_with("ssl_client_s_dn") || variable.starts_with("ssl_client_i_dn");
    let Value::Text(pattern) = value else { return };
    if is_name && matches!(operator, "~~" | "~*") && !is_anchored(pattern) {
        let message = format!(
            "`{variable}` is searched for a part: a certificate with that text within another value passes, too. \
             Compare whole attributes: client.allow = [\"CN=...\"]"
        );
        item.say(Kind::Security, message);
    }
}

/// Does an expression say where the value that it looks for begins and ends?
fn is_anchored(pattern: &str) -> bool {
    let begins = ["^", "(^|,)", "(?:^|,)", "(,|^)", "(?:,|^)"];
    let ends = ["$", "(,|$)", "(?:,|$)", "($|,)", "(?:$|,)"];
    begins.iter().any(|front| pattern.starts_with(front))
        && ends.iter().any(|back| pattern.ends_with(back))
        && !pattern.contains(".*")
}

/// What decides who a client is.
fn policy(client: &Node) -> [Option<&Value>; 2] {
    ["ca", "depth"].map(|key| client.get(key).map(|node| &node.value))
}

/// Clients of a server name: who else got in.
pub(super) fn server_names(objects: &Objects<'_>, item: &Item<'_>) {
    let Some(client) = item.node.get("client") else { return };
    let own = policy(client);
    let is_server = |node: &&Node| node.get("type").and_then(Node::text) != Some("client");
    let mut others = objects.ssls.iter().map(|object| object.node).filter(is_server);
    if others.any(|other| other.get("client").is_none_or(|other| policy(other) != own)) {
        let message = "a TLS session of another name could be resumed for this one, without the certificate that it \
                       asks for; here a session counts only for the policy under which it was made";
        item.say(Kind::Security, message);
    }
    if item.work.settings.serves_plain {
        let message = "these names were also served over plain HTTP, where nobody is asked for a certificate; such \
                       requests get 421 now (`mtls_routes` of the listener)";
        item.say(Kind::Security, message);
    }
    if let Some(ca) = client.get("ca").and_then(Node::text)
        && authorities::names(ca).iter().any(authorities::Names::is_intermediate)
    {
        item.changed(
            "an intermediate authority is among those of `client.ca`: here a chain may end at it, and `depth` counts \
             from it; APISIX counts from the root (1, if nothing is said) and needs that there, too",
        );
    }
}

/// A route that probes ask for, where names ask for certificates.
pub(super) fn probes(objects: &Objects<'_>, item: &Item<'_>) {
    let many = item.node.get("uris").map(|node| &node.value);
    let many = if let Some(Value::List(all)) = many { all.as_slice() } else { &[] };
    let uris = item.node.get("uri").into_iter().chain(many).filter_map(Node::text);
    let last = |uri: &str| {
        let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        PROBES.iter().find(|probe| **probe == last).copied()
    };
    let Some(probe) = uris.filter_map(last).next() else { return };
    let exempts = |client: &Node| match client.get("skip_mtls_uri_regex").map(|node| &node.value) {
        Some(Value::List(all)) => {
            all.iter().filter_map(Node::text).any(|text| text.contains(probe))
        }
        _ => false,
    };
    let mut asks = objects.ssls.iter().filter_map(|object| object.node.get("client"));
    if asks.any(|client| !exempts(client)) {
        item.changed(format!(
            "`{probe}` looks like what probes ask for, and they show no certificate: they asked over plain HTTP, \
             or it must be named in client.skip_mtls_uri_regex"
        ));
    }
}

/// What snippets of nginx's configuration seemed to do.
pub(super) fn snippets(item: &Item<'_>) {
    let mut all = Vec::new();
    texts(item.node, &mut all);
    for Directive { words, message } in &DIRECTIVES {
        if all.iter().any(|text| words.iter().any(|word| says(text, word))) {
            item.say(Kind::Security, *message);
        }
    }
}

/// Does a snippet say this directive, whatever space stands in it?
fn says(snippet: &str, words: &str) -> bool {
    let lines = snippet.lines().filter(|line| !line.trim_start().starts_with('#'));
    let statements = lines.flat_map(|line| line.split([';', '{']));
    statements.into_iter().any(|statement| {
        let mut there = statement.split_whitespace();
        words.split(' ').all(|word| there.next() == Some(word))
    })
}

fn texts<'n>(node: &'n Node, all: &mut Vec<&'n str>) {
    match &node.value {
        Value::Text(text) => all.push(text),
        Value::List(nodes) => nodes.iter().for_each(|node| texts(node, all)),
        Value::Table(lines) => lines.iter().for_each(|line| texts(&line.node, all)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchored_expression_finds_whole_values() {
        for (pattern, anchored) in [
            ("CN=ops", false),
            ("^CN=ops$", true),
            ("(^|,)OU=ops(,|$)", true),
            ("(?:^|,)OU=ops(?:,|$)", true),
            ("^CN=ops", false),
            ("^.*CN=ops$", false),
            ("OU=ops(,|$)", false),
        ] {
            assert_eq!(is_anchored(pattern), anchored, "{pattern}");
        }
    }

    #[test]
    fn a_directive_is_found_where_it_is_one() {
        assert!(says("a on;\n  ssl_stapling   on;", "ssl_stapling"));
        assert!(says("server { ssl_verify_client\toptional; }", "ssl_verify_client optional"));
        assert!(!says("ssl_verify_client optional_no_ca;", "ssl_verify_client optional"));
        assert!(!says("# ssl_stapling on;", "ssl_stapling"));
        assert!(!says("ssl_stapling_verify on;", "ssl_stapling"));
    }
}
