//! nginx, tuned as its own documents say.

use ferrule_tools::nginx::{Nginx, Shape};

use super::Place;
use crate::case::Tls;
use crate::stage::{NAME, SUITES_12, files};

/// Starts it on `port`.
pub(super) fn start(place: &Place<'_>, port: u16) -> Nginx {
    let http = config(place, port);
    let dir = place.stage.dir();
    Nginx::start_under(&place.words(), dir, port, &http, Shape::MasterAndWorker)
}

/// Its name, and its TLS library.
pub(super) fn version(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("configure") && !line.starts_with("TLS SNI"))
        .map(|line| line.trim_start_matches("nginx version: "))
        .collect();
    lines.join(", ")
}

/// The text inside `http`.
pub(super) fn config(place: &Place<'_>, port: u16) -> String {
    let at = place.stage.dir().display();
    let upstream = place.upstream;
    let pool = format!(
        "upstream backend {{\nserver 127.0.0.1:{upstream};\nkeepalive 128;\n\
         keepalive_requests 1000000000;\nkeepalive_time 24h;\n}}\nkeepalive_time 24h;\n\
         keepalive_timeout 1h;\nclient_max_body_size 8m;"
    );
    let common = "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
                  proxy_set_header Host $http_host;\nproxy_max_temp_file_size 0;\n\
                  client_body_buffer_size 256k;";
    let version = match place.setting.tls {
        Tls::Off => {
            return format!(
                "{pool}\nserver {{\nlisten 127.0.0.1:{port} reuseport backlog=4096;\n\
                 location / {{\n{common}\nproxy_pass http://backend;\n}}\n}}"
            );
        }
        Tls::V12 => "TLSv1.2",
        Tls::V13 => "TLSv1.3",
    };
    let files = files(place.setting.keys);
    let (front, ca) = (files.front, files.ca);
    format!(
        "{pool}\nserver {{\nlisten 127.0.0.1:{port} ssl reuseport backlog=4096;\nserver_name {NAME};\n\
         ssl_protocols {version};\nssl_ciphers {SUITES_12};\n\
         ssl_certificate {at}/{front}.crt;\nssl_certificate_key {at}/{front}.key;\n\
         ssl_client_certificate {at}/{ca}.crt;\nssl_verify_client on;\n\
         location / {{\n{common}\n\
         proxy_set_header X-Client-Fingerprint $ssl_client_fingerprint;\n\
         proxy_set_header X-Client-Serial $ssl_client_serial;\n\
         proxy_set_header X-Client-Subject $ssl_client_s_dn;\nproxy_pass https://backend;\n\
         proxy_ssl_protocols {version};\nproxy_ssl_certificate {at}/proxy.crt;\n\
         proxy_ssl_certificate_key {at}/proxy.key;\n\
         proxy_ssl_trusted_certificate {at}/upstream-ca.crt;\nproxy_ssl_verify on;\n\
         proxy_ssl_name upstream.test;\nproxy_ssl_server_name on;\n}}\n}}"
    )
}
