//! What keeps people out in nginx keeps them out here, or is refused: no guard is lost in silence.

use std::path::{Path, PathBuf};

use ferrule_import::nginx::{Files, NginxOptions, convert};
use ferrule_import::{Import, Kind, Outcome};

/// No file but the one that is converted.
struct Nothing;

impl Files for Nothing {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err(String::from("it is not there"))
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

fn import(text: &str) -> Import {
    let options = NginxOptions {
        source: String::from("nginx.conf"),
        path: PathBuf::from("/etc/nginx/nginx.conf"),
        ..NginxOptions::default()
    };
    convert(text.as_bytes(), &options, &Nothing)
}

/// These lines in `http`, with a certificate for all.
fn http(lines: &str) -> String {
    format!(
        "events {{}} http {{ ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate ca.crt;\n{lines}\n}}"
    )
}

/// A server with TLS and these lines in it.
fn server(lines: &str) -> String {
    http(&format!("server {{ listen 443 ssl; server_name a.test; {lines} }}"))
}

fn said(import: &Import, kind: Kind) -> String {
    let of = import.report.findings.iter().filter(|finding| finding.kind == kind);
    of.map(|finding| format!("{}: {}: {}\n", finding.spot, finding.path, finding.message)).collect()
}

/// Each is refused with a text.
fn refused(text: &str, wanted: &str) {
    let made = import(text);
    assert_eq!(made.report.outcome(), Outcome::Refused, "{text}\n{}", made.configuration);
    let said = said(&made, Kind::Refused);
    assert!(said.contains(wanted), "{text}: {said}");
    assert!(made.configuration.is_empty());
}

/// Each is converted; this is the file.
fn converted(text: &str) -> toml::Table {
    let made = import(text);
    assert_ne!(made.report.outcome(), Outcome::Refused, "{text}\n{}", made.report.text());
    let file = made.configuration.parse();
    assert!(file.is_ok(), "{}", made.configuration);
    file.unwrap_or_default()
}

/// The tables of this name.
fn tables<'t>(file: &'t toml::Table, name: &str) -> Vec<&'t toml::Table> {
    let list = file.get(name).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_table).collect()
}

#[test]
fn guards_behind_a_redirect_to_https_are_kept() {
    const REDIRECT: &str = "if ($scheme = http) { return 301 https://$host$request_uri; }";
    const GUARD: &str = "if ($ssl_client_verify != SUCCESS) { return 403; }";
    const REFUSE: &str = "if ($request_method = PUT) { return 405; }";
    const PASS: &str = "proxy_pass http://10.0.0.1:80;";
    for inner in [
        format!("{REDIRECT} {GUARD} {REFUSE} location / {{ {PASS} }}"),
        format!("{REDIRECT} location / {{ {GUARD} {REFUSE} {PASS} }}"),
        format!("location / {{ {REDIRECT} {GUARD} {REFUSE} {PASS} }}"),
        format!("{REDIRECT} {GUARD} location / {{ {REDIRECT} {REFUSE} {PASS} }}"),
    ] {
        let file = converted(&http(&format!(
            "server {{ listen 80; listen 443 ssl; server_name a.test; ssl_verify_client optional; {inner} }}"
        )));
        let routes = tables(&file, "routes");
        let [plain, route] = routes.as_slice() else { panic!("{routes:?}") };
        assert_eq!(plain["redirect"]["http_to_https"].as_bool(), Some(true), "{plain:?}");
        assert_eq!(plain["vars"][0][2][0].as_str(), Some("80"), "{plain:?}");
        assert!(!plain.contains_key("client") && !plain.contains_key("upstream_id"), "{plain:?}");
        assert_eq!(route["vars"][0][2][0].as_str(), Some("443"), "{route:?}");
        assert!(!route.contains_key("redirect"), "{route:?}");
        assert_eq!(route["client"][0]["verify"].as_str(), Some("on"), "{route:?}");
        assert_eq!(route["refuse"][0]["status"].as_integer(), Some(405), "{route:?}");
        assert!(route.contains_key("upstream_id"), "{route:?}");
    }
    // What is asked in front of it is asked of everybody.
    let file = converted(&http(&format!(
        "server {{ listen 80; listen 443 ssl; server_name a.test; {REFUSE} {REDIRECT} location / {{ deny 10.0.0.1; {PASS} }} }}"
    )));
    let routes = tables(&file, "routes");
    let [route] = routes.as_slice() else { panic!("{routes:?}") };
    for key in ["redirect", "client", "refuse", "upstream_id"] {
        assert!(route.contains_key(key), "{route:?}");
    }
    for answer in
        ["return 404;", "rewrite ^ https://b.test permanent;", "return 301 https://b.test/;"]
    {
        let wanted = "an answer behind the redirect to https";
        refused(&server(&format!("{REFUSE} {REDIRECT} {answer}")), wanted);
        let location = format!("{REFUSE} location / {{ {REDIRECT} {answer} }}");
        refused(&server(&location), wanted);
        // Where nothing stands in front of both, TLS gets the other one.
        for inner in [
            format!("{REDIRECT} {answer}"),
            format!("{REDIRECT} location / {{ {answer} }}"),
            format!("location / {{ {REDIRECT} {answer} }}"),
        ] {
            let file = converted(&http(&format!(
                "server {{ listen 80; listen 443 ssl; server_name a.test; {inner} }}"
            )));
            let routes = tables(&file, "routes");
            let [plain, route] = routes.as_slice() else { panic!("{routes:?}") };
            assert_eq!(plain["redirect"]["http_to_https"].as_bool(), Some(true), "{plain:?}");
            assert_eq!(plain["vars"][0][2][0].as_str(), Some("80"), "{plain:?}");
            assert_eq!(route["vars"][0][2][0].as_str(), Some("443"), "{route:?}");
            let answers = route.get("return").or_else(|| route["redirect"].get("uri"));
            assert!(answers.is_some(), "{route:?}");
        }
    }
}

#[test]
fn demands_of_one_port_do_not_hold_on_another() {
    const PASS: &str = "location / { proxy_pass http://10.0.0.1:80; }";
    let two = |first: &str, second: &str| {
        http(&format!("server {{ {first} {PASS} }}\nserver {{ {second} {PASS} }}"))
    };
    const A: &str = "listen 443 ssl; server_name a.test;";
    const B: &str = "listen 8443 ssl; server_name b.test;";
    let on = |server: &str| format!("{server} ssl_verify_client on;");
    let process = "3:1: http.server[1]: another server demands other certificates";
    refused(&two(A, &on(B)), process);
    refused(&two(&on(A), B), process);
    refused(&two(&on(A), &format!("{B} ssl_verify_client optional;")), process);
    refused(&two(&on(A), &format!("{} ssl_client_certificate b.crt;", on(B))), process);
    refused(&two(&format!("{A} listen 8443 ssl;"), &on(B)), process);
    assert_eq!(tables(&converted(&two(&on(A), &on(B))), "ssls").len(), 2);
    let same = "listen 443 ssl; server_name b.test;";
    assert_eq!(tables(&converted(&two(A, &on(same))), "ssls").len(), 2);
}

#[test]
fn servers_without_a_name_take_what_they_took() {
    const PASS: &str = "location / { proxy_pass http://10.0.0.1:80; }";
    let a =
        format!("server {{ listen 443 ssl; server_name a.test; ssl_verify_client on; {PASS} }}");
    // Not the default: nobody reaches it, and its lack of demands must not hold for unknown names.
    let text = http(&format!("{a}\nserver {{ listen 443 ssl; server_name _; return 404; }}"));
    let file = converted(&text);
    let ssls = tables(&file, "ssls");
    assert_eq!(ssls.len(), 1, "{ssls:?}");
    assert_eq!(ssls[0]["snis"][0].as_str(), Some("a.test"));
    assert_eq!(file["listen"][0]["fallback_sni"].as_str(), Some("a.test"));
    assert!(
        said(&import(&text), Kind::Dropped).contains("3:1: http.server[1]: no request reaches it")
    );
    // The default on all its ports.
    let file = converted(&http(&format!(
        "{a}\nserver {{ listen 443 ssl default_server; server_name _; return 404; }}"
    )));
    assert_eq!(tables(&file, "ssls")[1]["snis"][0].as_str(), Some("*"));
    // An address is no name that TLS shows.
    let address = format!("server {{ listen 443 ssl; server_name 10.0.0.1; {PASS} }}");
    refused(
        &http(&format!("{a}\n{address}")),
        "3:1: http.server[1]: it is asked for by an address",
    );
    let b = a.replace(" ssl_verify_client on;", "");
    assert_eq!(tables(&converted(&http(&format!("{b}\n{address}"))), "ssls").len(), 1);
    // Every unknown name on one port, and another default on the other.
    for nameless in ["", "server_name _;", "server_name 10.0.0.1;"] {
        refused(
            &http(&format!(
                "server {{ listen 443 ssl; {nameless} {PASS} }}\nserver {{ listen 8443 ssl; server_name b.test; {PASS} }}"
            )),
            "2:1: http.server[0]: it takes every unknown name on one port",
        );
    }
}

#[test]
fn one_name_has_one_server() {
    const PASS: &str = "location / { proxy_pass http://10.0.0.1:80; }";
    for (first, second) in [
        ("listen 443 ssl; server_name a.test;", "listen 443 ssl; server_name b.test A.test;"),
        ("listen 80; server_name .a.test;", "listen 80; server_name *.a.test;"),
        ("listen 80; server_name a.test;", "listen 80; listen 81; server_name a.test;"),
    ] {
        refused(
            &http(&format!("server {{ {first} {PASS} }}\nserver {{ {second} {PASS} }}")),
            "a server in front of it has one of its names",
        );
    }
    converted(&http(&format!(
        "server {{ listen 80; server_name a.test; {PASS} }} server {{ listen 81; server_name a.test; {PASS} }}"
    )));
    // Rejected handshakes.
    for name in ["*.test", "*.a.test", "x.a.test"] {
        refused(
            &http(&format!(
                "server {{ listen 443 ssl default_server; server_name x.a.test; ssl_reject_handshake on; }}\n\
                 server {{ listen {} ssl; server_name {name}; {PASS} }}",
                if name == "x.a.test" { 8443 } else { 443 }
            )),
            "`ssl_reject_handshake` for x.a.test",
        );
    }
    converted(&http(&format!(
        "server {{ listen 443 ssl default_server; server_name b.test; ssl_reject_handshake on; }}\n\
         server {{ listen 443 ssl; server_name *.a.test; {PASS} }}"
    )));
}

#[test]
fn trusted_addresses_are_compared_as_a_whole() {
    let two = |first: &str, second: &str| {
        http(&format!(
            "server {{ listen 80; server_name a.test; {first} return 204; }}\n\
             server {{ listen 80; server_name b.test; {second} location / {{ allow 10.0.0.5; deny all; proxy_pass http://10.0.0.1:80; }} }}"
        ))
    };
    let one = "set_real_ip_from 10.0.0.1;";
    let more = "set_real_ip_from 10.0.0.1; set_real_ip_from 0.0.0.0/0;";
    refused(&two(more, one), "servers believe different addresses");
    refused(&two(one, more), "servers believe different addresses");
    refused(&two(one, ""), "servers have different values");
    converted(&two(more, more));
}

#[test]
fn pages_of_errors_keep_their_guards() {
    let guarded = |file: &toml::Table, uri: &str| {
        tables(file, "routes")
            .iter()
            .any(|route| route["uri"].as_str() == Some(uri) && route.contains_key("client"))
    };
    let file = converted(&server(
        "root /srv; error_page 404 /err; location /err { deny all; } location / { proxy_pass http://10.0.0.1:80; }",
    ));
    assert!(guarded(&file, "/err*"), "{file:?}");
    let file = converted(&server(
        "root /srv; error_page 404 /err; location = /err { deny all; } location / { proxy_pass http://10.0.0.1:80; }",
    ));
    assert!(guarded(&file, "/err"), "{file:?}");
    // The page of one server is a location like any other in another.
    let file = converted(&http(
        "root /srv; server { listen 443 ssl; server_name a.test; error_page 500 /adm; return 204; }\n\
         server { listen 443 ssl; server_name b.test; location /adm { deny all; proxy_pass http://10.0.0.1:80; } \
         location / { proxy_pass http://10.0.0.1:80; } }",
    ));
    assert!(guarded(&file, "/adm*"), "{file:?}");
    let file = converted(&server(
        "error_page 404 /err; location = /err { root /srv; } location / { proxy_pass http://10.0.0.1:80; }",
    ));
    assert_eq!(tables(&file, "routes").len(), 1, "{file:?}");
}

#[test]
fn conditions_that_mean_something_else_are_refused() {
    let guarded = |guard: &str| {
        server(&format!(
            "location / {{ if ({guard}) {{ return 403; }} proxy_pass http://10.0.0.1:80; }}"
        ))
    };
    for guard in ["$http_x_a = $http_x_b", "$http_x_a != \"a${host}\""] {
        refused(&guarded(guard), "a variable to compare with is not converted");
    }
    for guard in
        ["$cookie_c = bad", "$cookie_c", "$cookie_c ~ bad", "$cookie_c !~ good", "$cookie_c != ''"]
    {
        refused(&guarded(guard), "a cookie that keeps requests out");
    }
    converted(&guarded("$cookie_c != good"));
    for expression in ["[a&&b]", "[a--z]", "[a~~z]", "[a[b]", "a\\Z", "(?x)a"] {
        refused(
            &guarded(&format!("$request_uri ~ \"{expression}\"")),
            "http.server[0].location /.if",
        );
        refused(
            &server(&format!(
                "location ~ \"{expression}\" {{ deny all; }} location / {{ proxy_pass http://10.0.0.1; }}"
            )),
            "http.server[0].location ~",
        );
    }
    converted(&guarded("$request_uri ~ \"^/\\d+[-.]$\""));
}

#[test]
fn maps_are_taken_as_nginx_takes_them() {
    let mapped = |maps: &str| {
        http(&format!(
            "{maps} server {{ listen 443 ssl; server_name a.test; ssl_verify_client on; \
             location / {{ if ($ok = 0) {{ return 403; }} proxy_pass http://10.0.0.1:80; }} }}"
        ))
    };
    let one = "map $ssl_client_s_dn $ok { default 0; \"CN=a\" 1; }\n";
    converted(&mapped(one));
    refused(
        &mapped(&format!("{one}{}", one.replace("$ok", "$OK"))),
        "there are two maps for `$ok`",
    );
    refused(
        &mapped(&format!("{one} map $host $http_x {{ default 1; }}")),
        "a variable of nginx's own",
    );
    refused(
        &mapped(&one.replace("$ssl_client_s_dn", "$cookie_c")),
        "a cookie that keeps requests out",
    );
    refused(&mapped(&one.replace("\"CN=a\"", "\"~[a&&b]\"")), "`&&`, `--` and `~~`");
}

#[test]
fn no_secret_is_in_the_report() {
    for text in [
        http(
            "map $http_x_key $c { default \"\"; \"SECRET1\" $remote_addr; }\n\
             server { listen 80; server_name a.test; location / { if ($c = \"\") { return 403; } proxy_pass http://u; } }",
        ),
        http(
            "map $http_x_key $c { default 0; \"~^SECRET1(?=a)$\" 1; }\n\
             server { listen 80; server_name a.test; location / { if ($c = 0) { return 403; } proxy_pass http://u; } }",
        ),
        server(
            "location / { proxy_set_header Authorization \"Bearer SECRET1 ${\"; proxy_pass http://u; }",
        ),
        server(
            "location / { proxy_set_header Authorization \"Bearer SECRET1\x01\"; proxy_pass http://u; }",
        ),
        server(
            "location / { proxy_set_header Authorization \"Bearer SECRET1\nx\"; proxy_pass http://u; }",
        ),
        server(
            "location / { proxy_set_header \"Authorization: SECRET1\" x; proxy_pass http://u; }",
        ),
        server(
            "location / { if ($http_x_key != \"SECRET1$host\") { return 403; } proxy_pass http://u; }",
        ),
        server(
            "location / { if ($http_x_key !~ \"SECRET1(?=a)\") { return 403; } proxy_pass http://u; }",
        ),
        server("location / { add_header X-Key \"SECRET1\x01\"; proxy_pass http://u; }"),
        server("location / { add_header \"X-Key: SECRET1\" x; proxy_pass http://u; }"),
        server("location / { proxy_pass http://user:SECRET1@u; }"),
    ] {
        let made = import(&text);
        let report = made.report.text();
        assert!(!report.contains("SECRET1"), "{text}\n{report}");
    }
}

#[test]
fn a_part_of_a_configuration_lacks_what_is_around_it() {
    let made = import(
        "server { listen 80; server_name a.test; location / { proxy_pass http://10.0.0.1:80; } }",
    );
    assert_eq!(made.report.outcome(), Outcome::Changed, "{}", made.report.text());
    assert!(
        said(&made, Kind::Security).contains("this file has no `http`"),
        "{}",
        made.report.text()
    );
}
