//! Locations within locations, beside what becomes no route: no guard is lost, and nothing hangs.

use crate::kit::{PASS, import, refused, routes};

/// The page of an error is no route, and it moves no location to another place.
#[test]
fn a_page_of_an_error_in_front_keeps_the_locations_apart() {
    const PAGE: &str = "error_page 502 /50x.html; location = /50x.html { root /srv; }";
    let inner = format!(
        "location /a/ {{ location ~ \\.secret$ {{ deny all; {PASS} }} location /a/b/ {{ {PASS} }} {PASS} }}"
    );
    let made = |lines: &str| {
        let mut all = routes(&import("", lines));
        all.sort_by_key(ToString::to_string);
        all
    };
    let with = made(&format!("{PAGE} {inner}"));
    assert_eq!(with, made(&inner));
    assert_eq!(with, made(&format!("{inner} {PAGE}")));
    let guarded = |uri: &str| {
        with.iter().any(|route| route["uri"].as_str() == Some(uri) && route.contains_key("client"))
    };
    assert!(guarded("/a/*") && guarded("/a/b/*"), "{with:?}");
}

/// A named location inherits from the server, and a location within another one from that as well.
#[test]
fn files_within_a_location_keep_what_holds_around_them() {
    for outer in [
        "deny all;",
        "limit_req zone=z;",
        "client_max_body_size 1k;",
        "add_header X-A 1;",
        "proxy_set_header X-A 1;",
        "if ($arg_a = b) { return 403; }",
        "satisfy all;",
    ] {
        for lines in [
            format!("location /in/ {{ {outer} location /in/app/ {{ try_files $uri @app; }} }}"),
            format!("location /in/ {{ {outer} location ~ x$ {{ try_files $uri @app; }} {PASS} }}"),
            format!(
                "location /in/ {{ {outer} location /in/a/ {{ location /in/a/b/ {{ try_files $uri @app; }} }} }}"
            ),
        ] {
            refused(
                "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;",
                &format!("root /srv; location @app {{ {PASS} }} {lines}"),
                "it stands around `try_files`",
            );
        }
    }
    let made = import(
        "",
        &format!(
            "root /srv; deny 10.0.0.9; location @app {{ {PASS} }} \
             location /in/ {{ root /srv/in; location /in/app/ {{ try_files $uri @app; }} {PASS} }}"
        ),
    );
    let all = routes(&made);
    let app = all.iter().find(|route| route["uri"].as_str() == Some("/in/app/*"));
    let app = app.map(ToString::to_string).unwrap_or_default();
    assert!(app.contains("upstream_id") && app.contains("10.0.0.9"), "{app}");
}

/// nginx redirects to the last slash of an exact location as well.
#[test]
fn a_path_without_the_last_slash_of_an_exact_location_is_redirected() {
    for lines in [
        format!("location = /a/b/ {{ {PASS} }}"),
        format!("location = /a/b/ {{ {PASS} }} location /a/b/ {{ {PASS} }}"),
        format!("location / {{ {PASS} location = /a/b/ {{ {PASS} }} }}"),
    ] {
        let all = routes(&import("", &lines));
        let bare: Vec<&toml::Table> =
            all.iter().filter(|route| route["uri"].as_str() == Some("/a/b")).collect();
        let [bare] = bare.as_slice() else { panic!("{lines}: {all:?}") };
        assert_eq!(bare["redirect"]["uri"].as_str(), Some("/a/b/"), "{lines}");
        assert_eq!(bare["redirect"]["status"].as_integer(), Some(301), "{lines}");
    }
    for lines in [
        "location = /a/b/ { return 204; }".to_owned(),
        format!("location = /a/b/ {{ {PASS} }} location = /a/b {{ return 204; }}"),
    ] {
        let all = routes(&import("", &lines));
        assert!(all.iter().all(|route| !route.contains_key("redirect")), "{lines}: {all:?}");
    }
}
