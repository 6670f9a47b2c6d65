//! `ferrule ctl upstreams`: the answer as tables.

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
            let figures = ["/ejections", "/tries", "/failures", "/p50_ms", "/p99_ms"];
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
    }
    let changes = list(answer, "changes").iter().map(|one| {
        let mut row = vec![ago(one, "/at")];
        row.extend(["/upstream", "/node", "/change"].map(|at| shown(one, at)));
        row
    });
    out.push_str(&table(&["AGO", "UPSTREAM", "NODE", "CHANGE"], changes));
    out
}
