//! What requests are refused for besides their certificates: addresses, claims of tokens, conditions.

use ipnet::IpNet;

use crate::check::captures::reads_captures;
use crate::check::context::Check;
use crate::model::{AddressDemand, AddressList, BreakHeader, BreakResponse, RefuseRule, Satisfy};
use crate::raw::Raw;
use crate::values::{Wrong, client_range};

/// APISIX's bound of `message`.
const MESSAGE_CHARS_MAX: usize = 1_024;

impl Check<'_> {
    /// `allow_addrs` or `deny_addrs`, and what the others are told.
    pub(super) fn address_demand(&mut self, raw: &Raw) -> Option<AddressDemand> {
        self.exclusive(raw, "allow_addrs", "deny_addrs");
        let given = ["allow_addrs", "deny_addrs"].into_iter().find(|key| raw.has(key));
        let message = raw.text("addrs_message").map(|text| text.text).unwrap_or_default();
        if given.is_none() {
            for key in ["addrs_status", "addrs_message"] {
                if raw.has(key) {
                    let help = "set `allow_addrs` or `deny_addrs`, or take it out";
                    self.error(raw.at(key), raw.path(key), "no address is refused here", help);
                }
            }
        }
        if message.is_empty() || message.chars().count() > MESSAGE_CHARS_MAX {
            let (at, path) = (raw.at("addrs_message"), raw.path("addrs_message"));
            self.error(at, path, "this has no length that is sent", "from 1 to 1024 characters");
        }
        let key = given?;
        let networks = self.networks(raw, key);
        let list = match key {
            "allow_addrs" => AddressList::Allow(networks),
            _ => AddressList::Deny(networks),
        };
        let json = serde_json::json!({ "message": message });
        let content_type =
            BreakHeader { name: "Content-Type".to_owned(), value: "application/json".to_owned() };
        let answer = BreakResponse {
            status: raw.int("addrs_status"),
            body: Some(json.to_string()),
            headers: vec![content_type],
        };
        Some(AddressDemand { list, answer, message })
    }

    /// Addresses and ranges of clients, each once.
    pub(super) fn networks(&mut self, raw: &Raw, key: &str) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> = Vec::new();
        for (index, text) in raw.texts(key).iter().enumerate() {
            let path = format!("{}[{index}]", raw.path(key));
            match client_range(&text.text) {
                Ok(net) if networks.contains(&net) => {
                    self.wrong(text.place, path, Wrong::new("this address stands here twice"));
                }
                Ok(net) => networks.push(net),
                Err(wrong) => self.wrong(text.place, path, wrong),
            }
        }
        networks
    }

    /// `demands`: does the table demand a verified certificate?
    pub(super) fn satisfy(&mut self, raw: &Raw, demands: bool) -> Satisfy {
        let satisfy = raw.word("satisfy").unwrap_or_default();
        if satisfy == Satisfy::All {
            return satisfy;
        }
        let (at, path) = (raw.at("satisfy"), raw.path("satisfy"));
        if !demands || !raw.has("allow_addrs") {
            let message = "there are no two of which one could do";
            let help = "give `allow_addrs`, and what a certificate must be: `verify = \"on\"`, `allow` or `ca`";
            self.error(at, path, message, help);
        }
        if raw.has("deny") {
            let help = "put `deny` into a `client` table of its own, which must be passed as well";
            self.error(raw.at("deny"), raw.path("deny"), "an address would pass this by", help);
        }
        for key in ["addrs_status", "addrs_message"] {
            if raw.has(key) {
                let message = "nobody is told this: who has neither is told about the certificate";
                self.error(raw.at(key), raw.path(key), message, "take it out");
            }
        }
        satisfy
    }

    /// The field of a token's claim.
    pub(super) fn cnf_header(&mut self, raw: &Raw) -> Option<String> {
        let text = raw.text("cnf_header")?;
        let path = raw.path("cnf_header");
        if !self.header_name(&text.text, text.place, &path) {
            return None;
        }
        if !raw.has("allow") {
            let message = "whoever is let in here can write this header, and with it pass";
            let help = "name in `allow` the services that check tokens and write it, or send them \
                        `$ssl_client_x5t_s256`, which they compare themselves";
            self.warn(text.place, path, message, help);
        }
        Some(text.text)
    }

    /// `refuse` of a rule, service or route.
    pub(super) fn refuse_rules(&mut self, raw: &Raw) -> Vec<RefuseRule> {
        raw.tables("refuse").iter().filter_map(|table| self.refuse_rule(table)).collect()
    }

    fn refuse_rule(&mut self, raw: &Raw) -> Option<RefuseRule> {
        let when = self.vars(raw)?;
        if reads_captures(&when) {
            let wrong =
                Wrong::new("`capture_...` is not known before the request may take its route");
            self.wrong(
                raw.at("vars"),
                raw.path("vars"),
                wrong.help("say all of it in one expression"),
            );
        }
        let status = raw.int("status");
        let body = raw.text("body").map(|text| text.text);
        let answer = BreakResponse { status, body, headers: Vec::new() };
        Some(RefuseRule { place: raw.place, field: raw.field.clone(), when, answer })
    }
}
