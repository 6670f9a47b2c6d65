//! HAProxy, tuned as its own documents say: one thread, every idle server connection reused.

use ferrule_tools::haproxy::Haproxy;

use super::Place;
use crate::case::Tls;
use crate::stage::{SUITES_12, files};

/// How much of the job it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// All of it.
    Http,
    /// TLS on both sides, and bytes between them.
    Tcp,
}

/// Starts it on `port`.
pub(super) fn start(place: &Place<'_>, port: u16, mode: Mode) -> Haproxy {
    let text = config(place, port, mode);
    Haproxy::start_under(&place.words(), place.stage.dir(), port, &text)
}

/// Its name, and its TLS library.
pub(super) fn version(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let library = text.lines().find_map(|line| line.strip_prefix("Running on OpenSSL version : "));
    format!("{first}, {}", library.unwrap_or("without OpenSSL"))
}

fn config(place: &Place<'_>, port: u16, mode: Mode) -> String {
    let at = place.stage.dir().display();
    let word = if mode == Mode::Http { "http" } else { "tcp" };
    // The harness's own timeouts would end idle connections.
    let top = format!(
        "defaults\n  mode {word}\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
    );
    let upstream = place.upstream;
    let version = match place.setting.tls {
        Tls::Off => {
            return format!(
                "{top}frontend front\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend back\n\
                 backend back\n  http-reuse always\n  server s 127.0.0.1:{upstream}\n"
            );
        }
        Tls::V12 => "TLSv1.2",
        Tls::V13 => "TLSv1.3",
    };
    let files = files(place.setting.keys);
    let (front, ca) = (files.front, files.ca);
    let (headers, reuse) = match mode {
        Mode::Http => (
            "  http-request set-header X-Client-Fingerprint %[ssl_c_sha1,hex]\n\
             \x20 http-request set-header X-Client-Serial %[ssl_c_serial,hex]\n\
             \x20 http-request set-header X-Client-Subject %[ssl_c_s_dn(,0,rfc2253)]\n",
            "  http-reuse always\n",
        ),
        Mode::Tcp => ("", ""),
    };
    format!(
        "{top}frontend front\n  bind 127.0.0.1:{port} backlog 4096 ssl crt {at}/{front}.pem \
         ca-file {at}/{ca}.crt verify required ssl-min-ver {version} ssl-max-ver {version} \
         ciphers {SUITES_12}\n{headers}  default_backend back\n\
         backend back\n{reuse}  server s 127.0.0.1:{upstream} ssl crt {at}/proxy.pem \
         ca-file {at}/upstream-ca.crt verify required verifyhost upstream.test sni str(upstream.test) \
         ssl-min-ver {version} ssl-max-ver {version}\n"
    )
}
