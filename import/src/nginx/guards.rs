//! Who is let in by address, and how often: `allow`, `deny`, `limit_req`, `limit_conn`.

use toml::Value as Toml;

use crate::fields::network;
use crate::report::Kind;

use super::job::{Job, Refused};
use super::scope::Scope;
use super::tree::Directive;
use super::variables::Fixed;

/// Every address.
const EVERYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// A table that lets nobody in.
pub(super) fn nobody(status: u16) -> toml::Table {
    let mut table = toml::Table::new();
    table.insert("deny_addrs".to_owned(), EVERYBODY.map(Toml::from).to_vec().into());
    let message = if status == 404 { "not found" } else { "forbidden" };
    table.insert("addrs_message".to_owned(), Toml::from(message));
    if status == 404 {
        table.insert("addrs_status".to_owned(), Toml::from(404));
    }
    table
}

impl Job<'_> {
    /// `allow` and `deny` as tables of `client`: those that are denied first, then those that alone are let in.
    pub(super) fn addresses(&self, scope: &Scope<'_>) -> Result<Vec<toml::Table>, Refused> {
        let lines = scope.all_of(&["allow", "deny"]);
        if let Some(any) = scope.one("satisfy").filter(|one| one.arg(0) != "all") {
            // What else it joins (`auth_basic`, `auth_request`, `auth_jwt`) is refused by its own name.
            self.say(
                Kind::Dropped,
                any,
                "`satisfy any` has nothing to join but addresses: `ssl_verify_client` and `if` are no part of it in \
                 nginx, and both hold (`client.satisfy = \"any\"` joins addresses and certificates here)",
            );
        }
        let (mut denied, mut allowed): (Vec<Toml>, Vec<Toml>) = (Vec::new(), Vec::new());
        let mut closed = false;
        for line in &lines {
            let address = line.arg(0);
            if address == "unix:" {
                self.refuse(line, "there are no listeners on Unix sockets here");
                return Err(Refused);
            }
            match (line.name.as_str(), address) {
                _ if closed => {
                    self.changed(line, "`deny all` stands in front of it, so it has no effect");
                }
                ("deny", "all") => closed = true,
                ("allow", "all") => break,
                ("deny", _) if allowed.is_empty() => denied.push(network(address)),
                ("allow", _) => allowed.push(network(address)),
                _ => {
                    self.refuse(line, "a `deny` behind an `allow` is not converted, unless it is `deny all`: write `client` by hand");
                    return Err(Refused);
                }
            }
        }
        let mut tables = Vec::new();
        let table = |key: &str, list: Vec<Toml>| -> toml::Table {
            [(key.to_owned(), Toml::Array(list))].into_iter().collect()
        };
        if !denied.is_empty() {
            tables.push(table("deny_addrs", denied));
        }
        match (closed, allowed.is_empty(), lines.last()) {
            (true, true, _) => tables.push(nobody(403)),
            (true, false, _) => tables.push(table("allow_addrs", allowed)),
            (false, false, Some(last)) => {
                self.let_through(
                    last,
                    "without `deny all` at the end, these `allow` let everybody in",
                );
            }
            _ => {}
        }
        Ok(tables)
    }

    /// `limit_req` and `limit_conn` as `limits`.
    pub(super) fn limits(&self, scope: &Scope<'_>) -> Result<toml::Table, Refused> {
        let mut limits = toml::Table::new();
        for (directive_name, zone_name, key) in [
            ("limit_req", "limit_req_zone", "rate"),
            ("limit_conn", "limit_conn_zone", "connections"),
        ] {
            let mut list = Vec::new();
            for directive in scope.all(directive_name) {
                let made = self.limit(directive, scope, zone_name).ok_or(Refused)?;
                list.push(Toml::Table(made));
            }
            if !list.is_empty() {
                limits.insert(key.to_owned(), Toml::Array(list));
            }
        }
        Ok(limits)
    }

    fn limit(
        &self,
        directive: &Directive,
        scope: &Scope<'_>,
        zone_name: &str,
    ) -> Option<toml::Table> {
        let is_rate = zone_name == "limit_req_zone";
        let name = zone_name_of(directive);
        let Some(zone) = self.zone(directive) else {
            self.refuse(directive, format!("there is no `{zone_name}` of this name"));
            return None;
        };
        let mut table = toml::Table::new();
        if is_rate {
            self.rate(zone, directive, &mut table)?;
        } else {
            let count: i64 = directive.arg(1).parse().ok()?;
            table.insert("connections".to_owned(), Toml::from(count));
        }
        let key = self.template(zone, zone.arg(0), Fixed::default())?;
        table.insert("key".to_owned(), Toml::from(key));
        table.insert("group".to_owned(), Toml::from(name));
        let status = if is_rate { "limit_req_status" } else { "limit_conn_status" };
        if let Some(set) = scope.one(status) {
            table.insert("status".to_owned(), Toml::from(set.arg(0).parse::<i64>().ok()?));
        }
        Some(table)
    }

    /// The zone that a `limit_req` or `limit_conn` counts in.
    pub(super) fn zone(&self, directive: &Directive) -> Option<&Directive> {
        self.named(&format!("{}_zone", directive.name), 1, zone_name_of(directive))
    }

    fn rate(&self, zone: &Directive, directive: &Directive, table: &mut toml::Table) -> Option<()> {
        let rate = zone.texts().find_map(|text| text.strip_prefix("rate=")).unwrap_or_default();
        let per_second = rate.strip_suffix("r/s").and_then(|number| number.parse::<f64>().ok());
        let per_minute = rate.strip_suffix("r/m").and_then(|number| number.parse::<f64>().ok());
        let Some(rate) = per_second.or_else(|| per_minute.map(|number| number / 60.0)) else {
            self.refuse(zone, "a rate is a number and `r/s` or `r/m`");
            return None;
        };
        // Rounded down: never more than was allowed.
        let rounded = (rate * 1000.0).floor() / 1000.0;
        if (rounded - rate).abs() > f64::EPSILON {
            self.changed(
                zone,
                format!("the rate is {rounded} per second: three decimals are kept"),
            );
        }
        table.insert("rate".to_owned(), Toml::Float(rounded));
        for text in directive.texts().filter(|text| !text.starts_with("zone=")) {
            match (text, text.strip_prefix("burst=").and_then(|burst| burst.parse::<i64>().ok())) {
                ("nodelay", _) => table.insert("nodelay".to_owned(), Toml::from(true)),
                (_, Some(burst)) => table.insert("burst".to_owned(), Toml::from(burst)),
                _ => {
                    self.refuse(
                        directive,
                        "only `burst` and `nodelay` are converted: all of a burst waits, or none",
                    );
                    return None;
                }
            };
        }
        Some(())
    }
}

/// The name of the zone of a `limit_req` or `limit_conn`.
fn zone_name_of(directive: &Directive) -> &str {
    if directive.name == "limit_conn" {
        return directive.arg(0);
    }
    directive.texts().find_map(|text| text.strip_prefix("zone=")).unwrap_or_default()
}
