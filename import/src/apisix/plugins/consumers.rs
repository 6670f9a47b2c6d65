//! Consumers that are known by their certificate: `cert-auth` of Frank!Gateway and APISIX's `consumer-restriction`
//! become `client.allow`.
//!
//! `cert-auth` takes a certificate's DNS names, the `serialNumber` and the `CN` of its subject, and looks for the
//! consumer that has one of them. It finds the attributes by searching the whole subject as text, so that a value that
//! holds `CN=...` counts, and it does not ask whether the certificate is verified. Here whole attributes of verified
//! certificates are compared.

use toml::Value as Toml;

use crate::fields::{Fields, Item, Path, put};
use crate::report::Kind;

use super::super::objects::{Object, Objects};
use super::{Target, push};

/// What tells one consumer's certificates.
struct Certified<'a> {
    name: &'a str,
    entries: Vec<Toml>,
}

/// `cert-auth` alone lets in every consumer; with `consumer-restriction` beside it that says whom.
pub(super) fn cert_auth(fields: &Fields<'_>, target: &mut Target<'_>) {
    let item = fields.item();
    say_differences(&item);
    if target.others.contains(&"consumer-restriction") {
        return;
    }
    let all = known(target.objects);
    if all.is_empty() {
        item.refuse("there is no consumer with `cert-auth`: nobody would be let in");
        return;
    }
    let entries = all.into_iter().flat_map(|known| known.entries).collect();
    push(target.table, "client", table("allow", entries));
}

pub(super) fn restriction(fields: &Fields<'_>, target: &mut Target<'_>) {
    let item = fields.item();
    let word = fields.with("type", |item| item.text().map(str::to_owned));
    if word.as_deref().unwrap_or("consumer_name") != "consumer_name" {
        item.refuse("only consumers are told apart here, by their certificates (`consumer_name`)");
    }
    fields.refuse(
        "allowed_by_methods",
        "write a route for these methods, with a `client.allow` of its own",
    );
    let status = fields.with("rejected_code", |item| item.integer(200..=999));
    if status.is_some_and(|status| status != 403) {
        item.changed("who is not let in gets 403");
    }
    let _ = fields.with("rejected_msg", |item| {
        item.filled()?;
        item.changed("who is not let in is told why in Ferrule's words");
        Some(())
    });
    if fields.has("whitelist") == fields.has("blacklist") {
        item.invalid("exactly one of `whitelist` and `blacklist` is needed");
        return;
    }
    let everywhere = target.objects.global_rules.iter();
    let skipped = item.work.skipped_plugins.contains("cert-auth");
    let everywhere = everywhere.filter(|rule| !skipped && super::has(rule.node, "cert-auth"));
    if !target.others.contains(&"cert-auth") && everywhere.count() == 0 {
        item.refuse(
            "only `cert-auth` beside it tells consumers by their certificates; say whom to let in with client.allow",
        );
        return;
    }
    let consumers = known(target.objects);
    let white = fields.with("whitelist", |item| named(&item, &consumers));
    let black = fields.with("blacklist", |item| named(&item, &consumers));
    let mut client = toml::Table::new();
    if let Some(white) = &white {
        put(
            &mut client,
            "allow",
            Some(Toml::Array(entries(&consumers, |name| white.contains(&name)))),
        );
    }
    if let Some(black) = &black {
        let others = entries(&consumers, |name| !black.contains(&name));
        if others.is_empty() {
            item.refuse("every consumer is on the `blacklist`: nobody would be let in");
        }
        put(&mut client, "allow", Some(Toml::Array(others)));
        put(
            &mut client,
            "deny",
            Some(Toml::Array(entries(&consumers, |name| black.contains(&name)))),
        );
    }
    if !client.is_empty() {
        push(target.table, "client", client);
    }
}

fn table(key: &str, entries: Vec<Toml>) -> toml::Table {
    [(key.to_owned(), Toml::Array(entries))].into_iter().collect()
}

fn entries(consumers: &[Certified<'_>], wanted: impl Fn(String) -> bool) -> Vec<Toml> {
    let chosen = consumers.iter().filter(|consumer| wanted(consumer.name.to_owned()));
    chosen.flat_map(|consumer| consumer.entries.clone()).collect()
}

/// Names of consumers; one that has no certificate lets nobody in.
fn named(item: &Item<'_>, consumers: &[Certified<'_>]) -> Option<Vec<String>> {
    item.each(1, |item| {
        let name = item.filled()?;
        if !consumers.iter().any(|consumer| consumer.name == name) {
            item.refuse(format!("there is no consumer {name:?} with `cert-auth`"));
            return None;
        }
        Some(name.to_owned())
    })
}

fn say_differences(item: &Item<'_>) {
    item.changed(
        "who is not let in gets 403 with a reason of Ferrule's, also without a certificate (401 there); no header \
         tells the consumer",
    );
    item.say(
        Kind::Security,
        "`cert-auth` searched the subject as text, so that another attribute with `CN=...` in its value counted, and \
         took certificates that nobody had verified; whole attributes of verified certificates are compared now",
    );
}

/// The consumers that are known by their certificate.
fn known<'a>(objects: &Objects<'a>) -> Vec<Certified<'a>> {
    let of = |object: &Object<'a>| {
        let name = object.node.get("username")?.text()?;
        let plugin = object.node.get("plugins")?.get("cert-auth")?;
        if super::is_disabled(plugin) {
            return None;
        }
        let mut entries = Vec::new();
        if let Some(identifier) = plugin.get("identifier").and_then(crate::document::Node::text) {
            if is_host(identifier) {
                entries.push(Toml::String(format!("DNS:{identifier}")));
            }
            entries.push(Toml::String(format!("serialNumber={identifier}")));
        }
        if let Some(cn) = plugin.get("cn").and_then(crate::document::Node::text) {
            entries.push(Toml::String(format!("CN={cn}")));
        }
        Some(Certified { name, entries })
    };
    objects.consumers.iter().filter_map(of).collect()
}

/// Can it be a name of a host? One whose last label is numbers alone is none (RFC 1123, section 2.1).
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let last = text.rsplit('.').next().unwrap_or_default();
    text.bytes().all(allowed)
        && text.split('.').all(|label| !label.is_empty())
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Judges a consumer, which becomes a part of what names it.
pub(in super::super) fn check(
    object: &Object<'_>,
    objects: &Objects<'_>,
    work: &crate::work::Work,
) {
    let path = Path::Root(&object.path);
    let Some(fields) = (Item { node: object.node, path: &path, work }).fields() else { return };
    let _ = fields.need("username", |item| {
        let name = item.filled()?;
        let named = |other: &&Object<'_>| {
            other.node.get("username").and_then(crate::document::Node::text) == Some(name)
        };
        if objects.consumers.iter().filter(named).count() > 1 {
            item.refuse(format!("there are two consumers {name:?}: write one of them"));
        }
        Some(name.to_owned())
    });
    fields.ignore(&["id", "desc", "labels", "create_time", "update_time"]);
    for key in ["group_id", "credentials"] {
        fields.refuse(key, "a consumer is known by its certificate alone (`cert-auth`)");
    }
    let found = fields.need("plugins", |item| {
        let mut found = Judged::SaysNothing;
        for entry in item.lines()? {
            let path = Path::Key(item.path, &entry.key);
            let line = Item { node: &entry.node, path: &path, work };
            if entry.key == "cert-auth" {
                found = judge(&line);
            } else if super::is_disabled(&entry.node) {
                line.say(Kind::Dropped, super::SWITCHED_OFF);
            } else if work.skipped_plugins.contains(&entry.key) {
                super::skip(&line, &entry.key);
            } else {
                line.refuse(format!(
                    "`{}` of a consumer is not converted: who a client is, its certificate says (`cert-auth`)",
                    entry.key
                ));
            }
        }
        Some(found)
    });
    fields.finish();
    if found == Some(Judged::Identifies) {
        let message = "into `client.allow` of what lets it in";
        work.log.add(Kind::Converted, object.node.spot, &object.path, message);
    }
}

/// What a consumer's `cert-auth` is good for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Judged {
    /// A certificate tells the consumer.
    Identifies,
    /// It is switched off, or wrong.
    SaysNothing,
}

fn judge(item: &Item<'_>) -> Judged {
    let Some(fields) = item.fields() else { return Judged::SaysNothing };
    let meta = fields.with("_meta", super::meta).unwrap_or_default();
    if meta.disabled {
        item.say(
            Kind::Dropped,
            format!("{}: no certificate tells this consumer", super::SWITCHED_OFF),
        );
        return Judged::SaysNothing;
    }
    if meta.filter.is_some() {
        item.refuse("`_meta.filter` of a consumer: a certificate tells it always or never");
    }
    if fields.has("cn") == fields.has("identifier") {
        item.invalid("exactly one of `cn` and `identifier` is needed");
    }
    for key in ["cn", "identifier"] {
        let _ = fields.with(key, |item| {
            let text = item.filled()?;
            // In an entry of `allow` a star would stand for more than itself, and an escape for something else.
            if text.contains(['*', '$', '\\']) || text.chars().any(char::is_control) {
                item.refuse("a name is compared as a whole: `*`, `$`, `\\` and control characters are not taken");
            }
            Some(())
        });
    }
    fields.finish();
    Judged::Identifies
}
