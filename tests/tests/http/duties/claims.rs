//! No request brings along what some gateway tells of a client, however it is spelt; what the
//! configuration says of the same name is sent all the same.

use std::fs;

use ferrule_engine::plan::claims::CLAIMS;
use ferrule_tests::source_dir;

use super::gate::Gate;

/// Names that a client may send for these: the name itself, or some that begin so.
fn meant(name: &str) -> Vec<String> {
    match name.strip_suffix('*') {
        Some(start) => ["Verify", "x", "S-DN-CN"].map(|end| format!("{start}{end}")).to_vec(),
        None => vec![name.to_owned()],
    }
}

/// As CGI and its heirs read them alike.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned(), name.to_lowercase(), name.to_uppercase()];
    all.extend("_.!~+".chars().map(|sign| name.replace(['-', '_', '$'], &sign.to_string())));
    all.push(name.replacen('-', "_", 1).to_lowercase());
    all
}

#[test]
fn what_tells_of_clients_is_not_brought_along() {
    for underscores in [false, true] {
        let gate = Gate::new(&format!("underscores_in_headers = {underscores}"), "", "192.0.2.7");
        let usual = gate.sent("GET /", "").unwrap();
        for name in CLAIMS.iter().flat_map(|claim| meant(claim.name)) {
            for written in spellings(&name) {
                let fields = format!("{written}: 1\r\n{written}:\r\nConnection: {written}\r\n");
                assert_eq!(gate.sent("GET /", &fields).unwrap(), usual, "{written}");
            }
        }
    }
}

#[test]
fn what_the_configuration_sets_is_sent() {
    for name in CLAIMS.iter().flat_map(|claim| meant(claim.name)) {
        // A `$` begins a variable where it may stand.
        let route = format!("headers.set = {{ '{name}' = 'ours' }}");
        let sent = Gate::new("", &route, "192.0.2.7").sent("GET /", &format!("{name}: theirs\r\n"));
        let sent = sent.unwrap();
        assert!(sent.contains(&format!("{name}: ours")), "{name}: {sent:?}");
        assert!(!sent.iter().any(|line| line.contains("theirs")), "{name}: {sent:?}");
    }
}

/// What clients and proxies send for other reasons.
#[test]
fn what_says_nothing_of_certificates_passes() {
    const USUAL: [&str; 22] = [
        "Accept",
        "Authorization",
        "CDN-Loop",
        "CF-Connecting-IP",
        "CF-IPCountry",
        "CF-Ray",
        "Client-Ip",
        "Certificate",
        "Sec-CH-UA",
        "SSL-Session",
        "X-Amzn-Trace-Id",
        "X-Api-Key",
        "X-ARR-LOG-ID",
        "X-Client-Data",
        "X-Client-IP",
        "X-Client-Version",
        "X-Csrf-Token",
        "X-Forwarded-Prefix",
        "X-Forwarded-Ssl",
        "X-Requested-With",
        "X-SSL",
        "X-Scheme",
    ];
    let gate = Gate::new("", "", "192.0.2.7");
    for name in USUAL {
        let sent = gate.sent("GET /", &format!("{name}: 1\r\n")).unwrap();
        assert!(sent.contains(&format!("{name}: 1")), "{name}: {sent:?}");
    }
}

#[test]
fn every_claim_is_documented() {
    let text = fs::read_to_string(source_dir().join("docs/access.md")).unwrap();
    for claim in CLAIMS {
        let row = format!("| `{}` | {} |", claim.name, claim.whose);
        assert!(text.contains(&row), "missing in docs/access.md: {row}");
    }
    let rows = text.split("| header | whose |").nth(1).unwrap_or_default();
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|')).count();
    assert_eq!(rows, CLAIMS.len(), "rows for what is no more");
}
