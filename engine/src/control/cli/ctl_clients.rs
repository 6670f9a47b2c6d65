//! `ferrule ctl clients`: the answer as tables.

use serde_json::Value;

use super::ctl_table::{age, list, shown, table};

/// What is said of the clients of each finding.
const FINDINGS: [(&str, &str); 3] = [
    ("without_client_auth", "let in although their certificates lack clientAuth"),
    ("refused", "refused because their certificates lack clientAuth"),
    ("issuer_stops", "whose issuer stops issuing certificates with clientAuth"),
];

pub(super) fn clients(answer: &Value) -> String {
    let now = answer.get("now").and_then(Value::as_i64).unwrap_or(0);
    let ago = |one: &Value| {
        let seen = one.get("last_seen").and_then(Value::as_i64).unwrap_or(now);
        format!("{} ago", age(u64::try_from(now.saturating_sub(seen)).unwrap_or(0)))
    };
    let rows = list(answer, "clients").iter().map(|one| {
        let mut row =
            ["/days_left", "/subject", "/server_name", "/sha256"].map(|at| shown(one, at)).to_vec();
        row.insert(3, ago(one));
        row
    });
    let mut out = table(&["DAYS LEFT", "SUBJECT", "SERVER NAME", "LAST SEEN", "SHA-256"], rows);
    out.extend([&shown(answer, "/known"), " clients seen in the last 24 hours\n"]);
    for (finding, words) in FINDINGS {
        let Some(found) = answer.pointer(&format!("/client_auth/{finding}")) else { continue };
        let known = found.get("known").and_then(Value::as_u64).unwrap_or(0);
        if known == 0 {
            continue;
        }
        out.extend(["\n", itoa::Buffer::new().format(known), " clients ", words, ":"]);
        let rows = list(found, "clients").iter().map(|one| {
            let mut row =
                ["/days_left", "/subject", "/server_name"].map(|at| shown(one, at)).to_vec();
            row.push(match one.pointer("/issuer/organisation") {
                Some(_) => format!(
                    "{}, {}",
                    shown(one, "/issuer/organisation"),
                    shown(one, "/issuer/ends")
                ),
                None => "-".to_owned(),
            });
            row.push(shown(one, "/without_client_auth"));
            row
        });
        let titles = ["DAYS LEFT", "SUBJECT", "SERVER NAME", "ISSUER, ENDS", "WITHOUT CLIENTAUTH"];
        out.push_str(&table(&titles, rows));
    }
    out
}
