//! `ssls`: certificates, and the clients they trust.

use toml::Value as Toml;

use crate::document::Value;
use crate::fields::{Fields, Item, plain, put};
use crate::report::Kind;
use crate::work::Pem;

use super::objects::{Object, Objects, describe};

/// One object.
pub(super) fn convert(
    fields: &Fields<'_>,
    object: &Object<'_>,
    _objects: &Objects<'_>,
) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "id", object.id.clone());
    describe(fields, &mut table);
    let kind = fields.with("type", |item| item.word(&["server", "client"])).unwrap_or("server");
    if kind == "client" {
        put(&mut table, "type", Some(kind));
    }
    fields.exclusive("sni", "snis");
    let sni = fields.with("sni", |item| item.filled().map(plain));
    let snis = fields.with("snis", |item| item.each(1, |item| item.filled().map(plain)));
    // A client's certificate is found by its id; the names that APISIX lets it have say nothing.
    if kind == "server" {
        put(&mut table, "sni", sni);
        put(&mut table, "snis", snis.map(Toml::Array));
    }
    if kind == "server" && !fields.has("sni") && !fields.has("snis") {
        fields.item().invalid("a server's certificate needs `sni` or `snis`");
    }
    let stem = stem(object, &table);
    put(&mut table, "cert", fields.need("cert", |item| item.pem(Pem::Certificate, &stem)));
    put(&mut table, "key", fields.need("key", |item| item.pem(Pem::Key, &stem)));
    further_pairs(fields, &stem, &mut table);
    let client = fields.with("client", |item| client(item, &stem));
    if kind == "client" && client.is_some() {
        fields.item().invalid("`client` belongs to a server's certificate");
    }
    put(&mut table, "client", client);
    let _ = fields.with("ocsp_stapling", |item| {
        stapling(&item);
        Some(())
    });
    put(&mut table, "ssl_protocols", fields.with("ssl_protocols", |item| protocols(&item)));
    table
}

/// What its files are called after.
fn stem(object: &Object<'_>, table: &toml::Table) -> String {
    let name = table.get("sni").or_else(|| table.get("snis").and_then(|names| names.get(0)));
    let name = name.and_then(Toml::as_str).map(|name| name.replace('*', "wildcard"));
    name.or_else(|| object.id.clone()).unwrap_or_else(|| String::from("certificate"))
}

fn further_pairs(fields: &Fields<'_>, stem: &str, table: &mut toml::Table) {
    let mut count = [0, 0];
    for (at, key, what) in [(0, "certs", Pem::Certificate), (1, "keys", Pem::Key)] {
        let list = fields.with(key, |item| {
            let list = item.each(0, |item| item.pem(what, stem).map(Toml::String));
            if let (Some(list), Some(count)) = (&list, count.get_mut(at)) {
                *count = list.len();
            }
            list.filter(|list| !list.is_empty())
        });
        put(table, key, list.map(Toml::Array));
    }
    if count[0] != count[1] {
        fields.item().invalid("`certs` and `keys` must have as many items as each other");
    }
}

fn client(item: Item<'_>, stem: &str) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    let ca = fields.need("ca", |item| item.pem(Pem::Certificate, &format!("{stem}-client-ca")));
    put(&mut table, "ca", ca);
    put(&mut table, "depth", fields.with("depth", |item| item.integer(0..=10)));
    let exempt = fields.with("skip_mtls_uri_regex", |item| {
        item.each_once();
        item.each(1, |item| {
            let text = item.filled()?;
            if !text.starts_with('^') {
                item.changed(
                    "this expression was looked for anywhere in the path; here it must match from its beginning",
                );
            }
            Some(plain(text))
        })
    });
    if exempt.is_some() {
        item.say(
            Kind::Security,
            "the paths of `skip_mtls_uri_regex` are served without a certificate",
        );
    }
    put(&mut table, "skip_mtls_uri_regex", exempt.map(Toml::Array));
    fields.finish();
    Some(table)
}

/// What the plugin `ocsp-stapling` reads: the gateway fetches no answers, and they never spoke of clients.
fn stapling(item: &Item<'_>) {
    let enabled = item.node.get("enabled").is_some_and(|node| node.value == Value::Flag(true));
    if enabled {
        item.changed(
            "no OCSP answers are fetched: let a program of yours write them (ssl_stapling_file)",
        );
        let message = "stapling tells clients about this certificate; nobody asked whether a client's is revoked: \
                       set client.crl";
        item.say(Kind::Security, message);
    }
}

/// Versions of TLS, without those that do not exist here.
fn protocols(item: &Item<'_>) -> Option<Vec<Toml>> {
    item.each_once();
    let all = item.each(1, |item| {
        let word = item.word(&["TLSv1.1", "TLSv1.2", "TLSv1.3"])?;
        if word == "TLSv1.1" {
            item.changed("TLS 1.1 is broken, and does not exist here");
            return Some(None);
        }
        Some(Some(plain(word)))
    })?;
    let kept: Vec<Toml> = all.into_iter().flatten().collect();
    if kept.is_empty() {
        item.refuse("no version of TLS is left");
        return None;
    }
    Some(kept)
}
