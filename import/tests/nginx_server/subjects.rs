//! Maps that take a name out of a subject: who lets others in here than there is refused.

use ferrule_import::{Import, Kind};

use crate::kit::{PASS, import, routes, said};

/// A map that makes `$v` of the subject with this line, and a header with it.
fn field(line: &str) -> Import {
    let map = format!("map $ssl_client_s_dn $v {{ default \"\"; {line} }}");
    import(&map, &format!("location / {{ proxy_set_header X-V $v; {PASS} }}"))
}

/// The expression over the whole subject that refuses whom both may read as another.
fn doubt(import: &Import) -> String {
    let all = routes(import);
    let tables = all[0].get("refuse").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let is_it = |vars: &&toml::Value| vars[0].as_str() == Some("ssl_client_s_dn");
    let found: Vec<String> = tables
        .iter()
        .filter_map(|table| table.get("vars")?.get(0))
        .filter(is_it)
        .filter_map(|vars| vars[2].as_str().map(str::to_owned))
        .collect();
    assert_eq!(found.len(), 1, "{all:?}");
    found.concat()
}

/// Are clients of this subject refused?
fn is_doubted(expression: &str, subject: &str) -> bool {
    let compiled = regex::Regex::new(expression);
    assert!(compiled.is_ok(), "{expression}");
    compiled.is_ok_and(|compiled| compiled.is_match(subject))
}

#[test]
fn a_subject_that_both_read_in_different_ways_is_refused() {
    let expression = doubt(&field("\"~(?:^|,)OU=([^,]+)\" $1;"));
    for subject in [
        "OU=guest,OU=ops,CN=a",
        "CN=a,OU=guest,O=x,OU=ops",
        "OU=ops+CN=a",
        "CN=a+OU=ops",
        "CN=x\\,OU=ops,OU=staff",
    ] {
        assert!(is_doubted(&expression, subject), "{subject}");
    }
    for subject in ["", "CN=a", "CN=a,OU=ops,O=x", "OU=ops", "CN=xOU=ops,OU=a", "OU=M\\C3\\BC,CN=a"]
    {
        assert!(!is_doubted(&expression, subject), "{subject}");
    }
    // Without anything in front it is found within other attributes as well.
    let expression = doubt(&field("\"~CN=([^,/]+)\" $1;"));
    for subject in ["CN=a,CN=b", "O=xCN=a,CN=b", "CN=a/b,O=x"] {
        assert!(is_doubted(&expression, subject), "{subject}");
    }
    assert!(!is_doubted(&expression, "O=x,CN=a"));
    // A condition reads escapes as well.
    let map = "map $ssl_client_s_dn $v { default \"\"; \"~CN=(?<c>[^,]+)\" $c; }";
    for around in [map.to_owned(), format!("{map} map $v $bad {{ default 1; ops 0; }}")] {
        let guard = if around.contains("$bad") { "$bad = 1" } else { "$v != ops" };
        let lines = format!("location / {{ if ({guard}) {{ return 404; }} {PASS} }}");
        let expression = doubt(&import(&around, &lines));
        for subject in ["CN=a,CN=ops", "CN=ops,CN=a", "CN=M\\C3\\BC,O=x"] {
            assert!(is_doubted(&expression, subject), "{subject}");
        }
        assert!(!is_doubted(&expression, "CN=ops,O=x"));
    }
}

#[test]
fn a_condition_on_an_attribute_is_one_of_its_value() {
    let map = "map $ssl_client_s_dn $cn { default \"\"; \"~CN=(?<c>[^,]+)\" $c; }";
    let lines = format!("location / {{ if ($cn != \"ops\") {{ return 403; }} {PASS} }}");
    let all = routes(&import(map, &lines));
    let refuse = all[0]["refuse"].to_string();
    assert!(refuse.contains("ssl_client_s_dn_cn") && refuse.contains("ops"), "{refuse}");
}

#[test]
fn expressions_that_find_something_else_are_refused() {
    const WANTED: &str = "`$v` is made by a map";
    for line in [
        // A subject that begins with it has no comma in front.
        "\"~,OU=([^,]+)\" $1;",
        // `DC=` ends so as well.
        "\"~C=([^,]+)\" $1;",
        "\"~ST=([^,]+)\" $1;",
        // nginx compares names with case, and writes them in one way.
        "\"~cn=([^,]+)\" $1;",
        "\"~emailaddress=([^,]+)\" $1;",
    ] {
        let made = field(line);
        assert!(said(&made, Kind::Refused).contains(WANTED), "{line}: {}", made.report.text());
    }
    for line in ["\"~*cn=([^,]+)\" $1;", "\"~emailAddress=([^,]+)\" $1;"] {
        doubt(&field(line));
    }
}
