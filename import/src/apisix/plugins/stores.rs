//! The keys `redis_...` of `limit-count` become a `[[stores]]`, which limits that say the same share.

use toml::Value as Toml;

use crate::fields::{Fields, Item, plain, put};
use crate::report::Kind;

/// What Ferrule takes for its times, in milliseconds.
const TIME_MS: std::ops::RangeInclusive<i64> = 10..=60_000;

/// The store of a limit with this policy; puts `store` and what belongs to it into the limit's table.
pub(super) fn store(fields: &Fields<'_>, policy: &'static str, limit: &mut toml::Table) {
    let work = fields.item().work;
    let mut table = toml::Table::new();
    put(&mut table, "policy", Some(policy.to_owned()));
    let cluster = policy == "redis-cluster";
    let [ssl, verify] = if cluster {
        put(&mut table, "nodes", fields.need("redis_cluster_nodes", |item| item.texts(1)));
        // A name for APISIX's own connections.
        let _ = fields.need("redis_cluster_name", |item| item.text().map(|_| ()));
        ["redis_cluster_ssl", "redis_cluster_ssl_verify"]
    } else {
        let host = fields.need("redis_host", |item| item.filled().map(str::to_owned));
        let port = fields.with("redis_port", |item| item.integer(1..=65_535)).unwrap_or(6_379);
        let node = |host: String| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        put(&mut table, "nodes", host.map(|host| plain(&node(host))));
        put(&mut table, "username", fields.with("redis_username", |item| item.filled().map(plain)));
        let database = fields.with("redis_database", |item| item.integer(0..=65_535));
        put(&mut table, "database", database);
        ["redis_ssl", "redis_ssl_verify"]
    };
    put(&mut table, "password", fields.with("redis_password", password));
    let timeout = fields.with("redis_timeout", |item| item.integer(1..=*TIME_MS.end()));
    put(&mut table, "timeout", timeout.map(|ms| format!("{}ms", ms.max(*TIME_MS.start()))));
    let verified = fields.with(verify, |item| item.flag()).unwrap_or(false);
    if fields.with(ssl, |item| item.flag()).unwrap_or(false) {
        let mut tls = toml::Table::new();
        match (verified, &work.settings.trusted_certificate) {
            (true, Some(file)) => put(&mut tls, "ca", Some(file.clone())),
            (true, None) => put(&mut tls, "ca", Some("system".to_owned())),
            (false, _) => {
                put(&mut tls, "verify", Some("off".to_owned()));
                let message = "the store's certificate is not verified, as before: set `tls.ca`";
                fields.item().say(Kind::Security, message);
            }
        }
        table.insert("tls".to_owned(), Toml::Table(tls));
    }
    let interval = fields.with("sync_interval", interval);
    if interval.is_none() {
        fields.item().changed(
            "APISIX asks the store for every request, Ferrule every `sync_interval`, 100 ms: so much later \
             gateways know of each other's requests",
        );
    }
    put(&mut table, "sync_interval", interval);
    // Each gateway keeps its connections.
    fields.ignore(&["redis_keepalive_timeout", "redis_keepalive_pool"]);
    put(limit, "store", Some(work.store(table)));
    put(limit, "allow_degradation", fields.with("allow_degradation", |item| item.flag()));
    if !limit.contains_key("group") {
        limit.insert("group".to_owned(), plain(&fields.item().place()));
    }
}

/// `$ENV://NAME` is a variable of the environment here too. Nothing of the text is ever shown.
fn password(item: Item<'_>) -> Option<Toml> {
    let text = item.text().filter(|text| !text.is_empty())?;
    let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, name)) if scheme == "$env" => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                item.refuse("this names no variable of the environment");
                return None;
            }
            Some(Toml::String(format!("${{env:{name}}}")))
        }
        Some((scheme, _)) if scheme == "$secret" => {
            item.refuse("there is no secret manager: write `$ENV://NAME`");
            None
        }
        _ => {
            let message = "the password stands in the file, as it did: `${env:NAME}` takes it from the \
                           environment";
            item.say(Kind::Security, message);
            Some(plain(text))
        }
    }
}

/// Seconds, perhaps with a part; -1 is to ask for every request.
fn interval(item: Item<'_>) -> Option<String> {
    let text = item.scalar()?;
    if text == "-1" {
        return None;
    }
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
    let Some(seconds) = seconds else {
        item.refuse("this is no interval: from 0.1 to 60 seconds");
        return None;
    };
    // Between 100 and 60000.
    Some(format!("{:.0}ms", seconds * 1_000.0))
}
