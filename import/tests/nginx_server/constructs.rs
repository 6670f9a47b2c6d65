//! What public files of nginx's use beyond the plain kind: locations within locations, named ones, `set`, `satisfy`,
//! maps that take a name out of a subject, parts of a configuration.

use ferrule_import::{Import, Kind, Outcome};

use crate::kit::{PASS, import_with, said, server};

/// What it becomes.
fn file(import: &Import) -> toml::Table {
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}", import.report.text());
    let file = import.configuration.parse();
    assert!(file.is_ok(), "{}", import.configuration);
    file.unwrap_or_default()
}

/// The routes, each by its path, in their order.
fn routes(file: &toml::Table) -> Vec<(&str, &toml::Table)> {
    let list = file.get("routes").and_then(toml::Value::as_array);
    let tables = list.into_iter().flatten().filter_map(toml::Value::as_table);
    tables.map(|route| (route["uri"].as_str().unwrap_or_default(), route)).collect()
}

/// The only route of a path.
fn route<'t>(file: &'t toml::Table, uri: &str) -> &'t toml::Table {
    let found: Vec<&toml::Table> =
        routes(file).into_iter().filter(|(own, _)| *own == uri).map(|(_, route)| route).collect();
    assert_eq!(found.len(), 1, "{uri}: {file}");
    found[0]
}

#[test]
fn locations_within_locations_are_taken_as_nginx_takes_them() {
    let made = import_with(
        &server(
            "",
            &format!(
                "location / {{ {PASS} allow 10.0.0.0/8; deny all; location /in/ {{ {PASS} }} \
                 location = /in/one {{ allow all; {PASS} }} location ~ \\.php$ {{ deny all; }} }}"
            ),
        ),
        false,
    );
    let file = file(&made);
    let paths: Vec<&str> = routes(&file).iter().map(|(uri, _)| *uri).collect();
    assert_eq!(paths, ["/*", "/*", "/in/*", "/in/*", "/in", "/in/one"], "{file}");
    let all = routes(&file);
    // The expression stands in front of each prefix.
    for (at, (_, route)) in all.iter().enumerate().take(4) {
        let asks = route.get("vars").is_some_and(|vars| vars.to_string().contains("php"));
        assert_eq!(asks, at % 2 == 0, "{route}");
    }
    // Addresses are inherited, unless the inner one has its own.
    assert!(all[3].1["client"].to_string().contains("10.0.0.0/8"), "{file}");
    assert!(!route(&file, "/in/one").contains_key("client"), "{file}");
}

#[test]
fn an_if_around_a_location_is_not_asked_within() {
    let guard = "if ($ssl_client_verify != SUCCESS) { return 403; }";
    let made = import_with(
        &server(
            "",
            &format!(
                "ssl_verify_client optional; location / {{ {guard} {PASS} location /open {{ {PASS} }} }}"
            ),
        ),
        false,
    );
    let file = file(&made);
    assert!(
        route(&file, "/*").contains_key("client") && !route(&file, "/open*").contains_key("client")
    );
    // As in nginx; and the report says so.
    let told = said(&made, Kind::Security);
    assert!(told.contains("/open") && told.contains("nothing here asks"), "{told}");
}

#[test]
fn files_in_front_of_a_named_location_are_left_out_on_demand() {
    let lines = |outer: &str, named: &str| {
        server(
            "",
            &format!(
                "deny 10.0.0.9; location / {{ root /srv; try_files $uri $uri/ @app; {outer} }} \
                 location @app {{ {named} {PASS} }}"
            ),
        )
    };
    let made = import_with(&lines("", "proxy_set_header X-A 1;"), true);
    let file = file(&made);
    let all = route(&file, "/*");
    assert!(
        all.contains_key("upstream_id") && all["headers"].to_string().contains("X-A"),
        "{file}"
    );
    assert!(all["client"].to_string().contains("10.0.0.9"), "{file}");
    assert!(said(&made, Kind::Skipped).contains("all of these paths go to `@app`"));
    // What judges in one of both is asked in nginx, too.
    for (outer, named) in [
        ("allow 10.0.0.1; deny all;", ""),
        ("", "allow all;"),
        ("if ($arg_a = b) { return 403; }", ""),
        ("", "limit_conn x 1;"),
        ("add_header X-A 1;", ""),
    ] {
        let made = import_with(&lines(outer, named), true);
        let refused = said(&made, Kind::Refused);
        assert!(refused.contains("nginx asks both"), "{outer}|{named}: {}", made.report.text());
    }
    let made = import_with(&server("", "location / { try_files $uri @none; }"), true);
    assert!(said(&made, Kind::Refused).contains("there is no location `@none`"));
    let unused = server("", &format!("location / {{ {PASS} }} location @x {{ {PASS} }}"));
    let made = import_with(&unused, false);
    assert!(said(&made, Kind::Dropped).contains("nothing leads to this named location"));
    assert_eq!(routes(&self::file(&made)).len(), 1);
}

#[test]
fn variables_that_stand_for_a_text_are_that_text() {
    for (lines, host) in [
        ("set $up http://app.internal:81; location / { proxy_pass $up; }", "app.internal"),
        ("location / { set $up app.internal; proxy_pass http://$up:81; }", "app.internal"),
        (
            "set $a app; set $b $a.internal; location / { proxy_pass http://${b}:81$request_uri; }",
            "app.internal",
        ),
        (
            "location / { set $up app.internal:81; proxy_pass http://$up$uri$is_args$args; }",
            "app.internal",
        ),
    ] {
        let made = import_with(&server("", lines), false);
        let file = file(&made);
        let node = file["upstreams"][0]["nodes"][0].to_string();
        assert!(node.contains(host) && node.contains("81"), "{lines}: {node}");
        assert!(!route(&file, "/*").contains_key("rewrite"), "{lines}");
    }
    let lines = format!(
        "set $who $ssl_client_s_dn; location / {{ proxy_set_header X-Who \"is $who\"; {PASS} }}"
    );
    let file = file(&import_with(&server("", &lines), false));
    assert_eq!(
        route(&file, "/*")["headers"]["set"]["X-Who"].as_str(),
        Some("is ${ssl_client_s_dn}")
    );
    // It decides nothing.
    let lines = format!("set $a 1; location / {{ if ($a = 1) {{ return 403; }} {PASS} }}");
    let made = import_with(&server("", &lines), false);
    assert!(said(&made, Kind::Refused).contains("`$a` is not converted"), "{}", made.report.text());
    // Nor may an `if` set it.
    let lines = format!("location / {{ if ($arg_a) {{ set $a 1; }} {PASS} }}");
    assert_eq!(import_with(&server("", &lines), false).report.outcome(), Outcome::Refused);
}

#[test]
fn addresses_have_nothing_to_join() {
    for word in ["any", "all"] {
        let lines = format!("satisfy {word}; allow 10.0.0.0/8; deny all; location / {{ {PASS} }}");
        let made = import_with(&server("", &lines), false);
        let file = file(&made);
        assert!(route(&file, "/*")["client"].to_string().contains("10.0.0.0/8"), "{file}");
        assert_eq!(said(&made, Kind::Dropped).contains("`satisfy any`"), word == "any");
    }
    let lines =
        format!("satisfy any; auth_basic x; allow 10.0.0.0/8; deny all; location / {{ {PASS} }}");
    assert_eq!(import_with(&server("", &lines), false).report.outcome(), Outcome::Refused);
}

#[test]
fn a_name_taken_out_of_a_subject_is_the_attribute() {
    let map = "map $ssl_client_s_dn $cn { default \"\"; \"~(?:^|,)CN=(?<cn>[^,]+)\" $cn; }";
    let lines = format!("location / {{ proxy_set_header X-CN $cn; {PASS} }}");
    let made = import_with(&server(map, &lines), false);
    let file = file(&made);
    assert_eq!(
        route(&file, "/*")["headers"]["set"]["X-CN"].as_str(),
        Some("${ssl_client_s_dn_cn}")
    );
    assert!(said(&made, Kind::Security).contains("searches the subject"), "{}", made.report.text());
    // A list of such names.
    let list = format!("{map} map $cn $ok {{ default 0; ops 1; }}");
    let lines =
        format!("ssl_verify_client on; location / {{ if ($ok = 0) {{ return 403; }} {PASS} }}");
    let file = self::file(&import_with(&server(&list, &lines), false));
    let refuse = route(&file, "/*")["refuse"].to_string();
    assert!(refuse.contains("ssl_client_s_dn_cn") && refuse.contains("ops"), "{refuse}");
    // Another map, and another expression, are refused by their name.
    for map in [
        map.replace("[^,]+", "[^.]+"),
        map.replace("default \"\"", "default nobody"),
        map.replace("$ssl_client_s_dn ", "$http_x "),
        map.replace("$cn; }", "$cn; x y; }"),
    ] {
        let lines = format!("location / {{ proxy_set_header X-CN $cn; {PASS} }}");
        let made = import_with(&server(&map, &lines), false);
        assert!(said(&made, Kind::Refused).contains("`$cn` is made by a map"), "{map}");
    }
    // nginx has no such variable; what is meant is clear, and told.
    let lines = format!("location / {{ proxy_set_header X-CN $ssl_client_s_dn_cn; {PASS} }}");
    let made = import_with(&server("", &lines), false);
    assert!(said(&made, Kind::Security).contains("nginx has no variable `$ssl_client_s_dn_cn`"));
    assert_eq!(made.report.outcome(), Outcome::Changed);
}

#[test]
fn a_rewrite_of_the_server_stays_with_its_only_location() {
    for flag in ["break", "last"] {
        let lines = format!("rewrite ^/old/(.*)$ /new/$1 {flag}; location / {{ {PASS} }}");
        let file = file(&import_with(&server("", &lines), false));
        assert!(route(&file, "/*")["rewrite"].to_string().contains("/new/"), "{file}");
        let lines = format!("{lines} location ^~ /new/ {{ deny all; }}");
        let made = import_with(&server("", &lines), false);
        assert!(said(&made, Kind::Refused).contains("in front of all locations"), "{lines}");
    }
}

#[test]
fn what_is_relative_or_missing_and_decides_nothing_is_told() {
    let made = import_with(
        &server("include mime.types; access_log logs/a.log;", &format!("location / {{ {PASS} }}")),
        false,
    );
    let told = said(&made, Kind::Changed);
    assert!(told.contains("hold the types of files alone"), "{told}");
    assert!(told.contains("`--prefix DIR` names another"), "{told}");
    assert_eq!(file(&made)["log"]["access"]["path"].as_str(), Some("/etc/nginx/logs/a.log"));
    let made = import_with(&server("include other.types;", "return 204;"), false);
    assert!(said(&made, Kind::Refused).contains("other.types cannot be read"));
}

#[test]
fn a_part_of_a_server_is_told_to_be_one() {
    for (text, more) in [
        ("location / { proxy_pass http://u; auth_basic x; }", "`auth_basic`"),
        ("location /a { location /a/b { root /srv; } }", "files are not served here"),
        ("proxy_set_header X-A 1;\nproxy_pass http://u;", "a part of a `server`"),
        ("ssl_verify_client on;", "a part of a `server`"),
    ] {
        let refused = said(&import_with(text, false), Kind::Refused);
        assert!(
            refused.starts_with("1:1: ") && refused.contains("a part of a `server`"),
            "{refused}"
        );
        assert!(refused.contains(more), "{text}: {refused}");
        assert!(!refused.contains("nginx does not allow it here"), "{text}: {refused}");
    }
}

#[test]
fn constructs_that_mean_something_else_are_refused() {
    for (lines, wanted) in [
        (
            "location / { proxy_pass http://u; set $args b; }",
            "http.server[0].location /.set: a variable of nginx's own",
        ),
        ("set $a b; location / { proxy_pass http://u; set $A c; }", "a variable that is set twice"),
        (
            "location / { rewrite ^/a /b break; set $a b; proxy_pass http://$a; }",
            "set behind a `rewrite`",
        ),
        ("location / { set $a $uri; proxy_pass http://u; }", "with the path, the query"),
        ("location / { set $a b; proxy_pass http://$a/x; }", "a path behind variables"),
        (
            "location / { rewrite ^/a /b break; proxy_pass http://u$request_uri; }",
            "`rewrite` and `$request_uri`",
        ),
        (
            "location / { root /srv; try_files $uri @b; } location @b { proxy_pass http://u; }",
            "nginx looks for them first (those below \"/srv\"), and sends what it does not find to `@b`",
        ),
        (
            "error_page 502 = @a; location / { proxy_pass http://u; } location @a { proxy_pass http://v; }",
            "`error_page` leads to the named location `@a`",
        ),
        (
            "location ~ a { proxy_pass http://u; location ~ b { proxy_pass http://u; } }",
            "within one with an expression",
        ),
        ("location = /a { location /a/b { } proxy_pass http://u; }", "within an exact"),
        (
            "location /a { location /b { } proxy_pass http://u; }",
            "outside of the location around it",
        ),
        ("location /a { location @b { } proxy_pass http://u; }", "stands in the server alone"),
        (
            "location /a { location /a/b/c { deny all; } proxy_pass http://u; } location /a/b { proxy_pass http://u; }",
            "another location takes these paths",
        ),
        (
            "rewrite ^/a/(.*)$ /b/$1 break; location / { proxy_pass http://u; } location /b/ { deny all; }",
            "a `rewrite` in front of all locations",
        ),
        (
            "rewrite ^/a /b last; location / { rewrite ^/b /c break; proxy_pass http://u; }",
            "a `rewrite` behind one of the server",
        ),
    ] {
        let made = import_with(&server("", lines), false);
        assert_eq!(made.report.outcome(), Outcome::Refused, "{lines}");
        let refused = said(&made, Kind::Refused);
        assert!(refused.contains(wanted), "{lines}: {refused}");
        assert!(made.configuration.is_empty());
    }
}

#[test]
fn a_small_file_becomes_no_huge_one() {
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    // Each prefix has a route for each expression.
    let prefixes = many(1500, &|at| format!("location /p{at} {{ return 204; }}"));
    let expressions = many(1500, &|at| format!("location ~ x{at} {{ return 204; }}"));
    // Each variable is twice the one before.
    let doubled = many(40, &|at| format!("set $a{} $a{at}$a{at};", at + 1));
    for (lines, wanted) in [
        (format!("{prefixes}{expressions}"), "more than 1000000 values"),
        (format!("set $a0 0123456789; {doubled} location / {{ {PASS} }}"), "more than 1024 bytes"),
    ] {
        let made = import_with(&server("", &lines), false);
        assert!(said(&made, Kind::Refused).contains(wanted), "{}", said(&made, Kind::Refused));
    }
}
