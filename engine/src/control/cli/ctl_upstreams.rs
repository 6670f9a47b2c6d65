//! `ferrule ctl upstreams`, `ferrule ctl breakers` and `ferrule ctl limits`: the answers as tables.

use serde_json::Value;

use super::ctl_table::{age, list, shown, table};

pub(super) fn upstreams(answer: &Value) -> String {
    let now = answer.get("now").and_then(Value::as_u64).unwrap_or(0);
    let ago = |value: &Value, path: &str| match value.pointer(path).and_then(Value::as_u64) {
        Some(at) => age(now.saturating_sub(at)),
        None => "-".to_owned(),
    };
    let mut out = String::new();
    for upstream in list(answer, "upstreams") {
        let at = |path: &str| shown(upstream, path);
        let [id, healthy, eligible] = [at("/id"), at("/healthy"), at("/eligible")];
        out.extend(["\n", &id, ": ", &healthy, " of ", &eligible, " nodes healthy"]);
        if upstream.get("panic_since").is_some_and(|since| !since.is_null()) {
            let since = ago(upstream, "/panic_since");
            out.extend(["; too few, so all are asked, for ", &since]);
        }
        if upstream.get("waiting").and_then(Value::as_u64).is_some_and(|waiting| waiting > 0) {
            out.extend(["; ", &at("/waiting"), " requests wait for a connection"]);
        }
        out.push('\n');
        let rows = list(upstream, "nodes").iter().map(|node| {
            let again = node.get("asked_again_in_ms").and_then(Value::as_u64);
            let again = again.map_or_else(|| "-".to_owned(), |left| age(left.div_ceil(1_000)));
            let mut row = ["/node", "/weight", "/state", "/why"].map(|at| shown(node, at)).to_vec();
            let [connections, most] =
                ["/connections", "/max_connections"].map(|at| shown(node, at));
            let connections =
                if most == "-" { connections } else { format!("{connections}/{most}") };
            row.extend([ago(node, "/since"), again, connections]);
            let figures =
                ["/idle_connections", "/ejections", "/tries", "/failures", "/p50_ms", "/p99_ms"];
            row.extend(figures.map(|at| shown(node, at)));
            row
        });
        let titles = [
            "NODE",
            "WEIGHT",
            "STATE",
            "WHY",
            "SINCE",
            "AGAIN IN",
            "CONNECTIONS",
            "IDLE",
            "EJECTIONS",
            "TRIES",
            "FAILED",
            "P50 MS",
            "P99 MS",
        ];
        out.push_str(table(&titles, rows).trim_start());
        if upstream.get("nodes_left_out").and_then(Value::as_u64).is_some_and(|more| more > 0) {
            out.extend(["and ", &at("/nodes_left_out"), " more\n"]);
        }
        out.push_str(&names(upstream));
    }
    let changes = list(answer, "changes").iter().map(|one| {
        let mut row = vec![ago(one, "/at")];
        row.extend(["/upstream", "/node", "/change"].map(|at| shown(one, at)));
        row
    });
    out.push_str(&table(&["AGO", "UPSTREAM", "NODE", "CHANGE"], changes));
    out
}

pub(super) fn breakers(answer: &Value) -> String {
    let rows = list(answer, "breakers").iter().map(|one| {
        let left = one.get("broken_for_ms").and_then(Value::as_u64);
        let state = if left.is_some() { "broken" } else { "closed" };
        let left = left.map_or_else(|| "-".to_owned(), |left| age(left.div_ceil(1_000)));
        let [failures, most] = ["/failures", "/failures_max"].map(|at| shown(one, at));
        let mut row = vec![shown(one, "/route"), state.to_owned(), left];
        row.push(format!("{failures}/{most}"));
        row.extend(["/breaks", "/changes/broken", "/changes/recovered"].map(|at| shown(one, at)));
        row
    });
    let titles = ["ROUTE", "CIRCUIT", "FOR", "FAILURES", "BREAKS IN A ROW", "BROKEN", "RECOVERED"];
    let mut out = table(&titles, rows);
    if out.is_empty() {
        out.push_str("no route has an `api_breaker`\n");
    }
    if answer.get("left_out").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        out.extend(["and ", &shown(answer, "/left_out"), " more\n"]);
    }
    out
}

pub(super) fn limits(answer: &Value) -> String {
    let rows = list(answer, "limits").iter().map(|one| {
        let columns = ["/limit", "/kind", "/keys", "/refused", "/delayed", "/crowded"];
        columns.map(|at| shown(one, at)).to_vec()
    });
    let mut out = table(&["LIMIT", "KIND", "KEYS", "REFUSED", "DELAYED", "CROWDED"], rows);
    if out.is_empty() {
        out.push_str("no route has `limits`\n");
    }
    if answer.get("left_out").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        out.extend(["and ", &shown(answer, "/left_out"), " more\n"]);
    }
    out
}

/// Where the names of an upstream's nodes lead; nothing without names.
fn names(upstream: &Value) -> String {
    let named = list(upstream, "nodes").iter().filter(|node| node.get("name").is_some());
    let rows = named.map(|node| {
        let seconds = |path: &str| {
            node.pointer(path).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), age)
        };
        let found = node.pointer("/name").map(|name| list(name, "addresses")).unwrap_or_default();
        let text = |found: &Value| match found.get("fails_check").and_then(Value::as_bool) {
            Some(true) => shown(found, "/address") + " (fails)",
            _ => shown(found, "/address"),
        };
        let mut addresses: Vec<String> = found.iter().map(text).collect();
        match node.pointer("/name/addresses_left_out").and_then(Value::as_u64) {
            Some(more) if more > 0 => addresses.push(format!("and {more} more")),
            _ if addresses.is_empty() => addresses.push("none".to_owned()),
            _ => {}
        }
        vec![
            shown(node, "/node"),
            seconds("/name/age_seconds"),
            seconds("/name/again_in_seconds"),
            shown(node, "/name/failed_lookups"),
            addresses.join(", "),
        ]
    });
    table(&["NAME", "LOOKED UP BEFORE", "AGAIN IN", "FAILED SINCE", "ADDRESSES"], rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_shown_with_where_they_lead() {
        let node = |name: Value| json!({ "node": "app.test:80", "name": name });
        let answer = |nodes: Vec<Value>| json!({ "upstreams": [{ "id": "app", "nodes": nodes }] });
        let known = json!({
            "addresses": [
                { "address": "10.0.0.1:80", "fails_check": false },
                { "address": "[::1]:80", "fails_check": true },
            ],
            "addresses_left_out": 2,
            "age_seconds": 61,
            "again_in_seconds": 9,
            "failed_lookups": 0,
        });
        let text = upstreams(&answer(vec![node(known)]));
        let line = text.lines().last().unwrap_or_default();
        let words: Vec<&str> =
            line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        assert_eq!(
            words,
            ["app.test:80", "1 min", "9 s", "0", "10.0.0.1:80, [::1]:80 (fails), and 2 more"],
            "{text}"
        );
        let unknown = upstreams(&answer(vec![node(json!({ "failed_lookups": 3 }))]));
        let last = unknown.lines().last().unwrap_or_default();
        assert!(last.ends_with(" none") && last.contains(" 3 "), "{unknown}");
        let plain = upstreams(&answer(vec![json!({ "node": "10.0.0.1:80" })]));
        assert!(!plain.contains("ADDRESSES"), "{plain}");
    }
}
