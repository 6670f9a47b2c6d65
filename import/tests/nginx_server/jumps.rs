//! `rewrite ... last` in a location: its requests are for the location of the new path, and for no other.

use ferrule_import::{Kind, Outcome};
use toml::Table;

use crate::kit::{PASS, import, import_with, refused, routes, said, server};

/// What a route asks of the path.
fn asked(route: &Table) -> String {
    route.get("vars").map(ToString::to_string).unwrap_or_default()
}

/// The routes of a path, in their order.
fn of<'r>(routes: &'r [Table], uri: &str) -> Vec<&'r Table> {
    routes.iter().filter(|route| route["uri"].as_str() == Some(uri)).collect()
}

#[test]
fn requests_are_for_the_location_of_the_new_path() {
    let lines = format!(
        "ssl_verify_client optional;
         location /old/ {{ rewrite ^/old/(a.*)$ /new/$1?b=c last; rewrite ^/old/z$ /exact last; {PASS} }}
         location /new/ {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }} allow 10.0.0.0/8; deny all; {PASS} }}
         location = /exact {{ return 200 z; }}
         location / {{ {PASS} }}"
    );
    let all = routes(&import("", &lines));
    let old = of(&all, "/old/*");
    assert_eq!(old.len(), 3, "{all:?}");
    let (first, second, rest) = (old[0], old[1], old[2]);
    assert!(asked(first).contains("^/old/(a.*)$"), "{first}");
    assert!(first["rewrite"].to_string().contains("/new/"), "{first}");
    // What the other location asks is asked, and what is beside it is not.
    assert_eq!(first["client"], of(&all, "/new/*")[0]["client"]);
    assert!(first["client"].to_string().contains("10.0.0.0/8"), "{first}");
    assert!(asked(second).contains("^/old/z$") && second.contains_key("return"), "{second}");
    assert!(!rest.contains_key("client") && !rest.contains_key("rewrite"), "{rest}");
    assert!(asked(rest).is_empty(), "{rest}");
}

#[test]
fn a_location_that_only_leads_elsewhere_needs_nothing_else() {
    for (location, expression) in [
        ("/old/", "^/old/(.*)$"),
        ("/old/", "^/old(.*)$"),
        ("/old/", "^"),
        ("= /old", "^/old$"),
        ("= /old", "^"),
        ("^~ /old/", "^(.*)$"),
        ("/o.d/", r"^/o\.d/(.*)$"),
    ] {
        let lines = format!(
            "location {location} {{ rewrite {expression} /new/ last; }} location /new/ {{ {PASS} }}"
        );
        let all = routes(&import("", &lines));
        let path = location.split(' ').next_back().unwrap_or_default();
        let is_mine =
            |route: &&Table| route["uri"].as_str().is_some_and(|uri| uri.starts_with(path));
        let first = all.iter().find(is_mine).map(|route| route["rewrite"].to_string());
        assert!(first.is_some_and(|text| text.contains("/new/")), "{location}: {all:?}");
    }
    // Here some paths are left, and files would be served there.
    let lines = format!(
        "location /old/ {{ rewrite ^/old/(a.*)$ /new/$1 last; }} location /new/ {{ {PASS} }}"
    );
    let made = import_with(&server("", &lines), false);
    assert!(said(&made, Kind::Refused).contains("files are not served"));
}

#[test]
fn a_location_leads_to_itself_if_no_rewrite_matches_again() {
    let lines = format!("location / {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }}");
    let all = routes(&import("", &lines));
    assert_eq!(of(&all, "/*").len(), 2);
    for expression in
        ["^/(.*)$", "old", "^/(new|old)", "^/n?ew/(.*)$", "^/ne", "^/new/x(.*)$", "(?i)^/old"]
    {
        let lines = format!("location / {{ rewrite {expression} /new/$1 last; {PASS} }}");
        refused("", &lines, "may rewrite it once more");
    }
    let lines = format!(
        "location /old/ {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }}
         location /new/ {{ rewrite ^/new/(.*)$ /$1 break; {PASS} }}"
    );
    refused("", &lines, "may rewrite it once more");
}

#[test]
fn a_new_path_that_may_be_anybodys_is_refused() {
    const OPEN: &str = "does not tell its location";
    for others in [
        // An expression is asked before the prefix.
        "location /new/ { deny all; } location ~ x { deny all; }",
        // A longer path may follow.
        "location /new/ { deny all; } location /new/secret/ { deny all; }",
        "location /new/ { deny all; } location = /new/secret { deny all; }",
        "location /new/ { deny all; location /new/in/ { deny all; } }",
        "location ^~ /new/ { deny all; location ~ x { deny all; } }",
        "location = /new/ { deny all; }",
        "",
    ] {
        let lines =
            format!("location /old/ {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }} {others}");
        refused("", &lines, OPEN);
    }
    // nginx adds the slash that is missing.
    let lines = format!(
        "location /old/ {{ rewrite ^ /new last; {PASS} }} location / {{ {PASS} }} location /new/ {{ {PASS} }}"
    );
    refused("", &lines, OPEN);
    // No expression is asked behind these.
    let others = "location ^~ /new/ { return 200; } location ~ x { deny all; }";
    let lines = format!("location /old/ {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }} {others}");
    assert!(!of(&routes(&import("", &lines)), "/old/*").is_empty());
    for to in ["$1", "new/$1", "/a/../b", "//b", "/a%20b", "/.$1", "https://b.test/$1"] {
        let lines = format!(
            "location /old/ {{ rewrite ^/old/(.*)$ {to} last; {PASS} }} location / {{ {PASS} }}"
        );
        let made = import("", &lines);
        assert_eq!(made.report.outcome(), Outcome::Refused, "{to}");
    }
}

#[test]
fn what_stands_in_front_of_it_or_asks_what_it_changes_is_refused() {
    let new = format!("location /new/ {{ {PASS} }}");
    for front in [
        "if ($http_x = a) { return 403; }",
        "set $a b;",
        "rewrite ^/old/x$ /y break;",
        "return 200;",
    ] {
        let lines =
            format!("location /old/ {{ {front} rewrite ^/old/(.*)$ /new/$1 last; {PASS} }} {new}");
        refused("", &lines, "stands in front of a `rewrite ... last`");
    }
    let lines =
        format!("rewrite ^/x$ /y last; location / {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }}");
    refused("", &lines, "stands in front of a `rewrite ... last`");
    for inside in [
        "if ($uri ~ secret) { return 403; }",
        "proxy_set_header X-A $uri;",
        "return 302 /login?to=$uri;",
    ] {
        let lines = format!(
            "location /old/ {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }} location /new/ {{ {inside} {PASS} }}"
        );
        refused("", &lines, "behind a `rewrite`");
    }
    // Behind it, it is for the others alone.
    let lines = format!(
        "location /old/ {{ rewrite ^/old/(a.*)$ /new/$1 last; if ($http_x = a) {{ return 403; }} {PASS} }} {new}"
    );
    let all = routes(&import("", &lines));
    let old = of(&all, "/old/*");
    assert_eq!(old.len(), 2, "{all:?}");
    assert!(!old[0].contains_key("refuse") && old[1].contains_key("refuse"), "{all:?}");
}

#[test]
fn a_named_location_rewrites_nothing_once_more() {
    const WANTED: &str = "in a named location";
    let files = "location /new/ { try_files $uri @app; }";
    let lines = format!("{files} location @app {{ rewrite ^/(.*)$ /app/$1 last; {PASS} }}");
    refused("", &lines, WANTED);
    let old = format!("location /old/ {{ rewrite ^/old/(.*)$ /new/$1 last; {PASS} }}");
    let lines = format!("{old} {files} location @app {{ rewrite ^/x/(.*)$ /$1 break; {PASS} }}");
    refused("", &lines, WANTED);
    let lines = format!("{old} {files} location @app {{ {PASS} }}");
    assert_eq!(of(&routes(&import("", &lines)), "/old/*").len(), 2);
}
