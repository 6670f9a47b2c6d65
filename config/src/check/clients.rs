//! Allow and deny lists, exempt paths, and the `client` tables of rules, services and routes.

use crate::check::context::Check;
use crate::client_match;
use crate::model::{
    ClientAuth, ClientEku, ClientLists, ClientMatch, ClientRule, ClientTerm, ClientVerify,
    OnRevoke, Reject, Satisfy,
};
use crate::pattern::Pattern;
use crate::place::Place;
use crate::raw::{Item, Raw};
use crate::values::Wrong;

/// What a `deny` without a demand means.
const PASSES: &str = "whom this keeps out comes without a certificate, and passes";
const DEMAND: &str = "`verify = \"on\"` demands one";

impl Check<'_> {
    /// `allow` and `deny` of a table.
    pub(super) fn client_lists(&mut self, raw: &Raw) -> ClientLists {
        ClientLists {
            allow: self.client_matches(raw, "allow"),
            deny: self.client_matches(raw, "deny"),
        }
    }

    fn client_matches(&mut self, raw: &Raw, key: &str) -> Vec<ClientMatch> {
        let Some(items) = raw.items(key) else { return Vec::new() };
        let path = raw.path(key);
        let mut matches: Vec<ClientMatch> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let terms: Vec<&Item> = match item {
                Item::List(_, inner) => inner.iter().collect(),
                Item::Text(_) | Item::Number(..) => vec![item],
            };
            let read: Vec<_> = terms.iter().map(|item| self.client_term(item, &path)).collect();
            let Some(terms) = read.into_iter().collect::<Option<Vec<_>>>() else { continue };
            if terms.is_empty() {
                let help = "it would match every certificate";
                self.error(item.place(), path, "this entry is empty", help);
                continue;
            }
            if key == "deny" && terms.iter().any(|term| matches!(term, ClientTerm::Sha256(_))) {
                let message = "a client can change this fingerprint, and would pass: an ECDSA \
                               signature has two forms, and only what is signed is the CA's";
                let help = "name the key, `\"spki-sha256:...\"`, or the certificate, `[\"issuer:...\", \
                            \"serial:...\"]`; `ferrule explain CERT` prints both";
                self.error(item.place(), path, message, help);
                continue;
            }
            if key == "allow" && terms.iter().all(|term| matches!(term, ClientTerm::Serial(_))) {
                let message = "a serial number is unique among the certificates of one issuer only";
                let help = "write `[\"serial:...\", \"issuer:...\"]`";
                self.warn(item.place(), path.clone(), message, help);
            }
            let entry = ClientMatch { terms };
            if matches.contains(&entry) {
                self.wrong(item.place(), path, Wrong::new("this entry stands here twice"));
            } else {
                matches.push(entry);
            }
        }
        matches
    }

    fn client_term(&mut self, item: &Item, path: &str) -> Option<ClientTerm> {
        let Item::Text(text) = item else {
            let wrong = Wrong::new("an entry is a text, or a list of texts that must all hold");
            self.wrong(item.place(), path, wrong);
            return None;
        };
        match text.pattern().and_then(client_match::term) {
            Ok(term) => Some(term),
            Err(wrong) => {
                self.wrong(text.place, path, wrong);
                None
            }
        }
    }

    /// `skip_mtls_uri_regex`.
    pub(super) fn exempt_paths(&mut self, raw: &Raw) -> Vec<Pattern> {
        let key = "skip_mtls_uri_regex";
        let mut patterns = Vec::new();
        for (index, text) in raw.texts(key).iter().enumerate() {
            match Pattern::of_paths(&text.expression()) {
                Ok(pattern) => {
                    if !text.text.contains('^') {
                        let message = "this expression is held against the start of a path";
                        let help = "begin it with `^` to say so; what has to match further behind \
                                    begins with `^/.*`";
                        self.warn(text.place, raw.path(key), message, help);
                    }
                    patterns.push(pattern);
                }
                Err(wrong) => self.wrong(text.place, format!("{}[{index}]", raw.path(key)), wrong),
            }
        }
        patterns
    }

    /// What only holds together: lists and exempt paths of an `[[ssls]]`.
    pub(super) fn client_auth_agrees(&mut self, raw: &Raw, auth: &ClientAuth) {
        let required = auth.verify == ClientVerify::On;
        for key in ["allow", "skip_mtls_uri_regex"] {
            if raw.has(key) && !required {
                let message = format!("`{key}` needs `verify = \"on\"`");
                let help = if key == "allow" {
                    "who shows no certificate would pass by; or put the list on routes"
                } else {
                    "without it every path can be asked for without a certificate"
                };
                self.disagrees(raw, key, &message, help);
            }
        }
        let may_pass = !matches!(auth.verify, ClientVerify::On | ClientVerify::Off);
        if raw.has("deny") && may_pass {
            self.warn(raw.at("deny"), raw.path("deny"), PASSES, DEMAND);
        }
        if raw.has("deny") && auth.verify == ClientVerify::Off {
            let help = "set `verify`, or leave the list out";
            self.disagrees(raw, "deny", "nobody is asked for a certificate here", help);
        }
        if auth.explain && auth.reject == Reject::Handshake {
            let message = "there is no answer to explain in: refused clients get a TLS alert";
            self.disagrees(raw, "explain", message, "reject = \"http\", or take `explain` out");
        }
        let key = "skip_mtls_uri_regex";
        if raw.has(key) && auth.reject == Reject::Handshake {
            let help = "a path is known only after the handshake: `reject = \"http\"`";
            self.disagrees(raw, key, "this needs `reject = \"http\"`", help);
        }
    }

    /// A key that does not go with others of its table, or of the table that took it over.
    fn disagrees(&mut self, raw: &Raw, key: &str, message: &str, help: &str) {
        if raw.is_taken_over(key) {
            let message = format!("{message}; `{key}` comes from [ssl_defaults.client]");
            let help = format!("{help}; `defaults = false` here takes nothing from there");
            self.error(raw.place, format!("{}.{key}", raw.field), &message, &help);
        } else {
            self.error(raw.at(key), raw.path(key), message, help);
        }
    }

    /// The `client` tables of a rule, service or route.
    pub(super) fn client_rules(&mut self, raw: &Raw) -> Vec<ClientRule> {
        raw.tables("client").iter().map(|table| self.client_rule(table)).collect()
    }

    fn client_rule(&mut self, raw: &Raw) -> ClientRule {
        let lists = self.client_lists(raw);
        let trust = self.trust(raw);
        let addresses = self.address_demand(raw);
        let cnf_header = self.cnf_header(raw);
        let demands = ["verify", "allow", "ca", "cnf_header"].iter().any(|key| raw.has(key));
        let others = ["deny", "allow_addrs", "deny_addrs"];
        if !demands && others.iter().all(|key| !raw.has(key)) {
            let help = "set `verify = \"on\"`, `allow`, `deny`, `ca`, `allow_addrs`, `deny_addrs` or `cnf_header`";
            self.error(raw.place, &*raw.field, "this table asks for nothing", help);
        }
        let satisfy = self.satisfy(raw, demands);
        let required = demands && satisfy == Satisfy::All;
        ClientRule { place: raw.place, required, lists, trust, addresses, satisfy, cnf_header }
    }

    /// Authorities of its own.
    fn trust(&mut self, raw: &Raw) -> Option<usize> {
        const NEED_CA: [&str; 8] = [
            "depth",
            "allow_v1",
            "eku",
            "clock_skew",
            "crl",
            "crl_distribution_points",
            "crl_expired",
            "crl_missing",
        ];
        for key in NEED_CA {
            if raw.has(key) && !raw.has("ca") {
                let help = "the server name's own holds without it";
                self.error(raw.at(key), raw.path(key), "this needs `ca`", help);
            }
        }
        if !raw.has("ca") {
            return None;
        }
        let auth = ClientAuth {
            place: raw.place,
            ca: self.authorities(raw),
            verify: ClientVerify::On,
            depth: raw.int("depth"),
            reject: Reject::Http,
            on_revoke: OnRevoke::Close,
            allow_v1: raw.flag("allow_v1"),
            eku: self.eku(raw),
            clock_skew: raw.duration("clock_skew"),
            revocation: self.revocation(raw),
            send_ca_names: false,
            explain: false,
            lists: ClientLists::default(),
            exempt: Vec::new(),
        };
        self.trusts.push(auth);
        Some(self.trusts.len() - 1)
    }

    /// What `extKeyUsage` has to allow.
    pub(super) fn eku(&mut self, raw: &Raw) -> ClientEku {
        // What [ssl_defaults.client] says was told once, there.
        if !raw.is_taken_over("eku") {
            self.warn_of_any_eku(raw);
        }
        raw.word("eku").unwrap_or(ClientEku::Client)
    }

    /// A web server's certificate is anybody's who has a web server.
    pub(super) fn warn_of_any_eku(&mut self, raw: &Raw) {
        if raw.word("eku") == Some(ClientEku::Any) {
            let message =
                "whoever has any certificate of these authorities is let in, a web server's, too";
            let help = "name everybody in `allow`, and go back to \"client\" when the last certificate is replaced";
            self.warn(raw.at("eku"), raw.path("eku"), message, help);
        }
    }

    /// A table with authorities of its own must not take the place of what another one demands: its
    /// `allow` would hold for other people of the same names.
    pub(super) fn trusts_agree(&mut self, above: &[ClientRule], own: &[ClientRule]) {
        let mut demand = above.iter().find(|rule| rule.asks_for_certificate());
        for rule in own {
            if let (Some(demand), true) = (demand, rule.trust.is_some()) {
                let line = self.problems.position(demand.place).line;
                let message = format!(
                    "this `ca` would judge the clients that line {line} asks for, by other \
                     authorities"
                );
                let help = "leave `ca` out here, or say `ca` and lists on the routes, each its own";
                self.error(rule.place, "", &message, help);
            }
            demand = demand.or_else(|| Some(rule).filter(|rule| rule.asks_for_certificate()));
        }
    }

    /// Whoever is on a `deny` list and shows no certificate is nobody, and passes where none is
    /// demanded: by the tables above, or by every server name.
    pub(super) fn denies_agree(&mut self, above: &[ClientRule], own: &[ClientRule]) {
        let demanded =
            self.demanded_everywhere || above.iter().chain(own).any(|rule| rule.required);
        for rule in own.iter().filter(|rule| !demanded && !rule.lists.deny.is_empty()) {
            self.warn(rule.place, "client.deny".to_owned(), PASSES, DEMAND);
        }
    }

    /// Rules that nobody can pass because no server name asks for a certificate.
    pub(super) fn somebody_asks(&mut self, asked: bool, rules: &[(Place, String)]) {
        for (place, field) in rules.iter().filter(|_| !asked) {
            let message = "no [[ssls]] asks for a certificate: nobody could pass";
            let help = "set `client.ca` of the [[ssls]], with `verify = \"optional_no_ca\"` if only \
                        some routes need one";
            self.error(*place, field.clone(), message, help);
        }
    }
}
