//! `ferrule ctl connections`, `log-level` and `config-diff`: what is asked, and the answers as tables and words.

use clap::Args;
use serde_json::Value;

use super::ctl_table::{age, list, printable, shown, table};
use crate::control::endpoints::admin_protocol::AdminCommand;
use crate::control::endpoints::operator_answers::ConnectionFilter;

/// The arguments of `ferrule ctl connections`.
#[derive(Args, Debug)]
pub(crate) struct ConnectionsArguments {
    /// Those that this listener accepted, written as in the configuration (`0.0.0.0:443`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    listener: Option<String>,
    /// Those that asked for this server name.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Those of clients at this IP address.
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// How many at most, the oldest first; 1000 at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

impl ConnectionsArguments {
    pub(super) fn command(&self) -> AdminCommand {
        let Self { listener, server_name, address, limit } = self;
        AdminCommand::Connections(ConnectionFilter {
            listener: listener.clone(),
            server_name: server_name.clone(),
            address: address.clone(),
            limit: *limit,
        })
    }
}

pub(super) fn connections(answer: &Value) -> String {
    let rows = list(answer, "connections").iter().map(|one| {
        let old = age(one.get("age_seconds").and_then(Value::as_u64).unwrap_or(0));
        let mut row = ["/address", "/listener", "/state"].map(|at| shown(one, at)).to_vec();
        row.push(old);
        row.extend(
            ["/requests", "/tls", "/server_name", "/client/subject"].map(|at| shown(one, at)),
        );
        row
    });
    let mut out =
        format!("{} open, {} asked for\n", shown(answer, "/open"), shown(answer, "/matching"));
    let late = list(answer, "cores_without_answer");
    if !late.is_empty() {
        let late: Vec<String> = late.iter().map(ToString::to_string).collect();
        out.extend([format!("cores without an answer: {}\n", late.join(", "))]);
    }
    let titles =
        ["ADDRESS", "LISTENER", "STATE", "AGE", "REQUESTS", "TLS", "SERVER NAME", "SUBJECT"];
    out.push_str(&table(&titles, rows));
    if answer.get("left_out").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        out.extend([format!("and {} more, which are younger", shown(answer, "/left_out"))]);
    }
    out
}

/// The level of the error log, in the answer to `status` as well.
pub(super) fn log_level(answer: &Value) -> String {
    let (level, configured) = (shown(answer, "/log/level"), shown(answer, "/log/configured"));
    if level == configured {
        return format!("log level: {level}");
    }
    format!("log level: {level} until the next reload; the configuration says {configured}")
}

pub(super) fn config_diff(answer: &Value) -> String {
    let (file, generation) = (shown(answer, "/file"), shown(answer, "/generation"));
    if answer.get("same").and_then(Value::as_bool) == Some(true) {
        return format!("{file} says what is in force (generation {generation})");
    }
    let mut out = format!("{file} differs from what is in force (generation {generation})\n");
    let mut last = String::new();
    for one in list(answer, "differences") {
        let object = match one.get("id").and_then(Value::as_str) {
            Some(id) => format!("[[{}]] {}", shown(one, "/table"), printable(id)),
            None => format!("[{}]", shown(one, "/table")),
        };
        let key = one.get("key").filter(|key| !key.is_null());
        if key.is_none() {
            out.extend([format!("\n{object}: {}\n", shown(one, "/change"))]);
            continue;
        }
        if object != last {
            out.extend([format!("\n{object}\n")]);
            last = object;
        }
        let (before, after) = (shown(one, "/in_force"), shown(one, "/on_disk"));
        out.extend([format!("  {}\n    - {before}\n    + {after}\n", shown(one, "/key"))]);
    }
    if answer.get("left_out").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        out.extend([format!("\nand {} more\n", shown(answer, "/left_out"))]);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_stand_below_their_object() {
        let one = |table: &str, id: Option<&str>, key: Option<&str>, change: &str| json!({ "table": table, "id": id, "key": key, "change": change, "in_force": "a", "on_disk": null });
        let answer = json!({
            "file": "f.toml", "generation": 3, "same": false, "left_out": 2,
            "differences": [
                one("http", None, Some("max_headers"), "changed"),
                one("routes", Some("a\u{1b}"), Some("uris"), "changed"),
                one("routes", Some("a\u{1b}"), Some("vars"), "changed"),
                one("routes", Some("b"), None, "added"),
            ],
        });
        let wanted = "f.toml differs from what is in force (generation 3)\n\
            \n[http]\n  max_headers\n    - a\n    + -\n\
            \n[[routes]] a?\n  uris\n    - a\n    + -\n  vars\n    - a\n    + -\n\
            \n[[routes]] b: added\n\nand 2 more\n";
        assert_eq!(config_diff(&answer), wanted);
    }
}
