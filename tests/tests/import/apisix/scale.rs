//! A large configuration: 4,000 routes and 500 certificates.
//!
//! The figure counts in a release build, so the test is not part of every run:
//!
//! ```sh
//! cargo build --release -p ferrule-engine --bin ferrule
//! cargo test --release -p ferrule-tests --test import scale -- --ignored --nocapture
//! ```
#![expect(clippy::print_stdout, reason = "the figure is for people")]

use std::fmt::Write as _;
use std::time::Duration;

use ferrule_tools::clock::now;

use super::kit::{Home, said};

const ROUTES: usize = 4_000;
const CERTIFICATES: usize = 500;
const SERVICES: usize = 200;

/// Certificates with a client CA each, services, and routes that take plugins from both.
fn large(home: &Home) -> String {
    let (cert, key, ca) = (home.pem("server.crt"), home.pem("server.key"), home.pem("ca.pem"));
    let mut text = String::from("ssls:\n");
    for number in 0..CERTIFICATES {
        let _ = writeln!(
            text,
            "  - {{id: s{number}, sni: h{number}.test, cert: {cert}, key: {key}, client: {{ca: {ca}}}}}"
        );
    }
    text.push_str("services:\n");
    for number in 0..SERVICES {
        let _ = writeln!(
            text,
            "  - {{id: v{number}, hosts: [h{number}.test], plugins: {{cors: {{}}, limit-count: {{count: 9, time_window: 60, key: \
             remote_addr}}}}, upstream: {{type: roundrobin, nodes: {{\"127.0.0.1:80\": 1}}}}}}"
        );
    }
    text.push_str("routes:\n");
    for number in 0..ROUTES {
        let service = number % SERVICES;
        let _ = writeln!(
            text,
            "  - {{id: r{number}, uri: /p{number}/*, service_id: v{service}, plugins: {{proxy-rewrite: {{headers: {{set: {{X-Who: \
             $ssl_client_s_dn}}}}}}}}}}"
        );
    }
    text
}

#[test]
#[ignore = "measures a release build: the command is above"]
fn a_large_configuration_is_moved_in_two_seconds() {
    let home = Home::new();
    let text = large(&home);
    let begin = now();
    let done = home.import(&text, "", &[]);
    let took = begin.elapsed();
    assert_eq!(done.status.code(), Some(2), "{}", said(&done).lines().take(20).collect::<String>());
    println!("{ROUTES} routes and {CERTIFICATES} certificates, {} bytes: {took:?}", text.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
}
