//! `[[ssls]]`: server names with their certificates and trusted clients, and our own client
//! certificates.

use crate::check::alike::Asking;
use crate::check::context::{Check, is_off};
use crate::check::ids::Ids;
use crate::check::tls_choices::protocols;
use crate::host_names;
use crate::model::{
    ClientAuth, ClientVerify, FileAt, HostPattern, KeyPair, OnRevoke, Pem, Reject, Server,
};
use crate::raw::Raw;
use crate::values::nearest;
use crate::words::SslType;

impl Check<'_> {
    pub(super) fn ssls(&mut self, root: &Raw) -> Vec<Server> {
        let raws = root.tables("ssls");
        let defaults = self.client_defaults(root);
        let mut ids = Ids::new("ssls");
        ids.claim(self.problems, raws.iter());
        let (mut servers, mut asking) = (Vec::new(), Vec::new());
        for (index, raw) in raws.iter().enumerate() {
            if is_off(raw) {
                continue;
            }
            let id = ids.name(raw, format!("ssls.{index}"));
            match raw.word("type") {
                Some(SslType::Server) => {
                    let client = client_table(raw, defaults);
                    let auth = client.as_ref().map(|table| self.client_auth(table));
                    if let (Some(table), Some(auth)) = (&client, &auth)
                        && table.flag("defaults")
                    {
                        asking.extend(Asking::of(auth, table.field.clone()));
                    }
                    servers.extend(self.server(raw, &id, auth));
                    self.client_certs.servers.push(id);
                }
                Some(SslType::Client) => {
                    let pair = self.client_cert(raw);
                    self.client_certs.by_id.insert(id, pair);
                }
                None => {}
            }
        }
        self.alike(&asking);
        servers
    }

    /// `[ssl_defaults.client]`
    fn client_defaults<'r>(&mut self, root: &'r Raw) -> Option<&'r Raw> {
        let defaults = root.table("ssl_defaults")?.table("client")?;
        if defaults.has("defaults") {
            let help = "take it out; a server name says it in its own `client` table";
            let (at, path) = (defaults.at("defaults"), defaults.path("defaults"));
            self.error(at, path, "these are the defaults", help);
        }
        let is_server = |raw: &Raw| raw.word("type") == Some(SslType::Server) && !is_off(raw);
        if !root.tables("ssls").iter().any(is_server) && !root.is_broken("ssls") {
            let message = "no [[ssls]] of type \"server\" takes these defaults";
            self.warn(defaults.place, defaults.field.clone(), message, "add one, or take them out");
        }
        self.warn_of_any_eku(defaults);
        Some(defaults)
    }

    fn server(&mut self, raw: &Raw, id: &str, client: Option<ClientAuth>) -> Option<Server> {
        let snis = self.snis(raw);
        let pairs = self.pairs(raw);
        let protocols = protocols(raw);
        let groups = self.groups(raw);
        let ciphers = self.ciphers(raw);
        let stapling_files = self.stapling_files(raw, pairs.len());
        if snis.is_empty() || pairs.is_empty() || raw.is_broken("client") {
            return None;
        }
        Some(Server {
            place: raw.place,
            id: id.to_owned(),
            snis,
            pairs,
            protocols,
            groups,
            ciphers,
            prefer_server_ciphers: raw.flag("ssl_prefer_server_ciphers"),
            stapling_files,
            session_tickets: raw.flag("session_tickets"),
            session_ticket_count: raw.int("session_ticket_count"),
            session_cache: raw.flag("session_cache"),
            client,
        })
    }

    /// As many as there are pairs, or none.
    fn stapling_files(&mut self, raw: &Raw, pairs: usize) -> Vec<FileAt> {
        let files = self.files(raw, "ssl_stapling_file");
        if !files.is_empty() && pairs > 0 && files.len() != pairs {
            let (at, path) = (raw.at("ssl_stapling_file"), raw.path("ssl_stapling_file"));
            let message = format!("there are {pairs} certificates and {} responses", files.len());
            let help = "one for `cert` and one for each of `certs`, in that order";
            self.error(at, path, &message, help);
        }
        files
    }

    fn snis(&mut self, raw: &Raw) -> Vec<HostPattern> {
        if !raw.has("sni") && !raw.has("snis") {
            let help = "the name clients ask for; \"*\" is every name";
            self.error(raw.place, raw.path("sni"), "`sni` is missing", help);
        }
        let mut snis = Vec::new();
        for (text, path) in self.one_or_more(raw, "sni", "snis") {
            let pattern =
                match text.pattern().and_then(|text| host_names::host_pattern(text, false)) {
                    Ok(pattern) => pattern,
                    Err(wrong) => {
                        self.wrong(text.place, path, wrong);
                        continue;
                    }
                };
            if let Some(first) = self.server_names.get(&pattern) {
                let line = self.problems.position(*first).line;
                let message = format!("the server name `{}` is taken by line {line}", text.text);
                let help = Some("each name leads to one [[ssls]]".to_owned());
                self.problems.push_at(text.place, path, message, help);
            } else {
                self.server_names.insert(pattern.clone(), text.place);
            }
            snis.push(pattern);
        }
        snis
    }

    /// The certificates with their keys. None if one of them is not whole.
    fn pairs(&mut self, raw: &Raw) -> Vec<KeyPair> {
        let certs = self.certs_of(raw, "cert", "certs");
        let keys = self.certs_of(raw, "key", "keys");
        let (more, more_keys) = (raw.texts("certs").len(), raw.texts("keys").len());
        let broken = ["cert", "certs", "key", "keys"].iter().any(|key| raw.is_broken(key));
        if more != more_keys && !broken {
            let at = if raw.has("keys") { "keys" } else { "certs" };
            let message = format!("there are {more} further certificates and {more_keys} keys");
            let help = Some("`certs` and `keys` go together, in the same order".to_owned());
            self.problems.push_at(raw.at(at), raw.path(at), message, help);
        }
        if certs.len() != keys.len() {
            return Vec::new();
        }
        let password_file = self.file(raw, "password_file");
        let pair = |(cert, key)| KeyPair { cert, key, password_file: password_file.clone() };
        certs.into_iter().zip(keys).map(pair).collect()
    }

    fn certs_of(&mut self, raw: &Raw, one: &str, more: &str) -> Vec<Pem> {
        let first = raw.text(one).and_then(|text| self.pem(&text, raw.path(one)));
        let mut pems: Vec<_> = first.into_iter().collect();
        pems.extend(self.pems(raw, more));
        pems
    }

    fn client_cert(&mut self, raw: &Raw) -> Option<KeyPair> {
        let for_servers = [
            "sni",
            "snis",
            "certs",
            "keys",
            "ssl_stapling_file",
            "ssl_protocols",
            "ssl_ecdh_curve",
            "ssl_ciphers",
            "ssl_prefer_server_ciphers",
            "session_tickets",
            "session_ticket_count",
            "session_cache",
            "client",
        ];
        for key in for_servers {
            if raw.has(key) {
                let message = format!("`{key}` is for `type = \"server\"` only");
                let help = Some("this certificate is what upstreams are shown".to_owned());
                self.problems.push_at(raw.at(key), raw.path(key), message, help);
            }
        }
        if !raw.has("id") {
            let help = "`client_cert_id` of an upstream refers to it";
            self.error(raw.place, raw.path("id"), "`id` is missing", help);
        }
        let cert = raw.text("cert").and_then(|text| self.pem(&text, raw.path("cert")));
        let key = raw.text("key").and_then(|text| self.pem(&text, raw.path("key")));
        Some(KeyPair { cert: cert?, key: key?, password_file: self.file(raw, "password_file") })
    }

    fn client_auth(&mut self, raw: &Raw) -> ClientAuth {
        let verify = raw.word("verify").unwrap_or(ClientVerify::On);
        let needs_ca = matches!(verify, ClientVerify::On | ClientVerify::Optional);
        if !raw.has("ca") && needs_ca {
            let help = "name the authorities whose certificates are accepted; there is no default";
            self.error(raw.place, raw.path("ca"), "`ca` is missing", help);
        }
        let auth = ClientAuth {
            place: raw.place,
            ca: self.authorities(raw),
            verify,
            depth: raw.int("depth"),
            reject: raw.word("reject").unwrap_or(Reject::Http),
            on_revoke: raw.word("on_revoke").unwrap_or(OnRevoke::Close),
            allow_v1: raw.flag("allow_v1"),
            eku: self.eku(raw),
            clock_skew: raw.duration("clock_skew"),
            revocation: self.revocation(raw),
            send_ca_names: raw.flag("send_ca_names"),
            explain: raw.flag("explain"),
            lists: self.client_lists(raw),
            exempt: self.exempt_paths(raw),
        };
        self.client_auth_agrees(raw, &auth);
        auth
    }

    /// The trusted authorities of a table.
    pub(super) fn authorities(&mut self, raw: &Raw) -> Vec<Pem> {
        for (index, text) in raw.texts("ca").iter().enumerate() {
            if text.text == "system" {
                let help = "name the authorities; a public one would let in whomever it certifies";
                let path = format!("{}[{index}]", raw.path("ca"));
                self.error(text.place, path, "clients are never trusted by system roots", help);
            }
        }
        self.pems(raw, "ca")
    }

    /// The client certificate that an upstream refers to.
    pub(super) fn client_cert_by_id(&mut self, raw: &Raw) -> Option<KeyPair> {
        let id = raw.text("client_cert_id")?;
        if let Some(pair) = self.client_certs.by_id.get(&id.text) {
            return pair.clone();
        }
        let names = || self.client_certs.by_id.keys().map(String::as_str);
        let help = if self.client_certs.servers.contains(&id.text) {
            "that one is of type \"server\"".to_owned()
        } else if let Some(near) = nearest(&id.text, names()) {
            format!("did you mean \"{near}\"?")
        } else {
            let known = names().collect::<Vec<_>>().join(", ");
            if known.is_empty() {
                "there are none".to_owned()
            } else {
                format!("known ids: {known}")
            }
        };
        let message = format!("there are no [[ssls]] of type \"client\" with the id `{}`", id.text);
        self.problems.push_at(id.place, raw.path("client_cert_id"), message, Some(help));
        None
    }
}

/// What a server object says about clients: its own table, and what it takes from the defaults. Defaults that
/// say whom to trust hold without a table, too: none may be open by oversight.
fn client_table(raw: &Raw, defaults: Option<&Raw>) -> Option<Raw> {
    let verify = |table: &Raw| table.word::<ClientVerify>("verify");
    match (raw.table("client"), defaults) {
        (Some(own), Some(defaults))
            if own.flag("defaults") && verify(own) != Some(ClientVerify::Off) =>
        {
            Some(own.over(defaults))
        }
        (Some(own), _) => Some(own.clone()),
        (None, Some(defaults))
            if !raw.has("client")
                && (defaults.has("ca") || defaults.has("verify"))
                && verify(defaults) != Some(ClientVerify::Off) =>
        {
            Some(raw.absent_table("client").over(defaults))
        }
        (None, _) => None,
    }
}
