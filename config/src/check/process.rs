//! `[runtime]` and `[http]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::check::context::Check;
use crate::model::{Expect, Forwarded, HalfClose, Http, IoDriver, Resolving, Router, Runtime};
use crate::raw::Raw;
use crate::values::Wrong;

/// Runs `read` on a table of the file, or on its defaults.
pub(super) fn with_table<T>(root: &Raw, key: &str, read: impl FnOnce(&Raw) -> T) -> T {
    match root.table(key) {
        Some(raw) => read(raw),
        None => read(&root.absent_table(key)),
    }
}

impl Check<'_> {
    pub(super) fn runtime(&mut self, root: &Raw) -> Runtime {
        with_table(root, "runtime", |raw| Runtime {
            workers: raw.int_given("workers"),
            cpu_affinity: raw.flag("cpu_affinity"),
            ring_entries: raw.int("ring_entries"),
            io_driver: raw.word("io_driver").unwrap_or(IoDriver::Auto),
            max_connections: raw.int("max_connections"),
            buffer_memory: raw.size_given("buffer_memory"),
            tls_fast_path: raw.flag("tls_fast_path"),
            watch_files: raw.flag("watch_files"),
            pid_file: self.pid_file(raw),
            pid_file_place: raw.at("pid_file"),
            shutdown_delay: raw.duration("shutdown_delay"),
            shutdown_timeout: raw.duration("shutdown_timeout"),
            upgrade_timeout: raw.duration("upgrade_timeout"),
            resolver: with_table(raw, "resolver", |raw| self.resolver(raw)),
        })
    }

    fn pid_file(&mut self, raw: &Raw) -> Option<PathBuf> {
        let text = raw.text("pid_file")?;
        if text.text.is_empty() {
            let help = "the path of a file, as \"/run/ferrule/ferrule.pid\"";
            self.error(text.place, raw.path("pid_file"), "this is empty", help);
            return None;
        }
        Some(self.path(&text.text))
    }

    fn resolver(&mut self, raw: &Raw) -> Resolving {
        let mut nameservers = Vec::new();
        for (index, text) in raw.texts("nameservers").iter().enumerate() {
            let path = format!("{}[{index}]", raw.path("nameservers"));
            match name_server(&text.text) {
                Some(server) if nameservers.contains(&server) => {
                    self.wrong(text.place, path, Wrong::new("this server stands here twice"));
                }
                Some(server) => nameservers.push(server),
                None => {
                    let message = format!("`{}` is not the address of a DNS server", text.text);
                    let help =
                        "write an IP address: \"10.0.0.2\", \"10.0.0.2:5353\", \"[fd00::2]:53\"";
                    self.error(text.place, path, &message, help);
                }
            }
        }
        let (min_ttl, max_ttl) = (raw.duration("min_ttl"), raw.duration("max_ttl"));
        if min_ttl > max_ttl && !raw.is_broken("min_ttl") && !raw.is_broken("max_ttl") {
            let key = if raw.has("min_ttl") { "min_ttl" } else { "max_ttl" };
            let help = "make `min_ttl` shorter, or `max_ttl` longer";
            self.error(raw.at(key), raw.path(key), "`min_ttl` is longer than `max_ttl`", help);
        }
        Resolving { nameservers, min_ttl, max_ttl }
    }

    pub(super) fn http(&mut self, root: &Raw) -> Http {
        let answers = self.answers(root);
        with_table(root, "http", |raw| Http {
            client_header_timeout: raw.duration("client_header_timeout"),
            client_body_timeout: raw.duration("client_body_timeout"),
            send_timeout: raw.duration("send_timeout"),
            lingering_time: raw.duration("lingering_time"),
            lingering_timeout: raw.duration("lingering_timeout"),
            client_half_close: raw.word("client_half_close").unwrap_or(HalfClose::Abort),
            keepalive_timeout: raw.duration("keepalive_timeout"),
            keepalive_requests: raw.int("keepalive_requests"),
            client_max_body_size: Some(raw.size("client_max_body_size")).filter(|size| *size > 0),
            head_bytes_max: u32::try_from(raw.size("large_client_header_buffers"))
                .unwrap_or(u32::MAX),
            fields_max: raw.int("max_headers"),
            response_head_bytes_max: u32::try_from(raw.size("response_header_buffer"))
                .unwrap_or(u32::MAX),
            response_fields_max: raw.int("max_response_headers"),
            ticket_key_files: self.files(raw, "ssl_session_ticket_key"),
            underscores_in_headers: raw.flag("underscores_in_headers"),
            server_tokens: raw.flag("server_tokens"),
            via: self.via(raw),
            wrong_method_status: self.wrong_method_status(raw),
            router: raw.word("router").unwrap_or(Router::RadixtreeHostUri),
            expect: raw.word("expect").unwrap_or(Expect::Answer),
            forwarded: self.forwarded(raw),
            real_ip: self.real_ip(raw),
            answers,
            pacing: Self::pacing(root),
        })
    }

    /// Our name in `Via`, as RFC 9110, section 7.6.3, has it: a token.
    fn via(&mut self, raw: &Raw) -> Option<String> {
        let name = raw.text("via").filter(|name| name.text != "off")?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.text.is_empty() || name.text.len() > 64 || !name.text.bytes().all(legal) {
            let message = "this is no name that can stand in `Via`";
            let help = "write \"off\", or up to 64 letters, digits, `-`, `.` and `_`";
            self.error(name.place, raw.path("via"), message, help);
            return None;
        }
        Some(name.text)
    }

    fn wrong_method_status(&mut self, raw: &Raw) -> u16 {
        let status = raw.int("wrong_method_status");
        if !matches!(status, 404 | 405) && !raw.is_broken("wrong_method_status") {
            let message = format!("{status} does not say that there is nothing for this method");
            let help = Some("write 405, or 404".to_owned());
            let (place, path) = (raw.at("wrong_method_status"), raw.path("wrong_method_status"));
            self.problems.push_at(place, path, message, help);
        }
        status
    }

    fn forwarded(&mut self, raw: &Raw) -> Forwarded {
        let trusted = self.networks(raw, "trusted_addresses");
        let enabled = raw.flag("forwarded_headers");
        if !enabled && !trusted.is_empty() {
            let message = "`trusted_addresses` means nothing without `forwarded_headers`";
            let help = "without it, these headers of every client pass as they came";
            self.error(raw.at("trusted_addresses"), raw.path("trusted_addresses"), message, help);
        }
        if !enabled && raw.has("forwarded_host") {
            let message = "`forwarded_host` means nothing without `forwarded_headers`";
            let help = "without it, these headers of every client pass as they came";
            self.error(raw.at("forwarded_host"), raw.path("forwarded_host"), message, help);
        }
        let host = raw.word("forwarded_host").unwrap_or_default();
        Forwarded { enabled, trusted, host }
    }
}

/// An address with or without a port, which is 53.
fn name_server(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let server = text.parse::<SocketAddr>().ok();
    let server = server.or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
    server.filter(|server| server.port() > 0 && !server.ip().is_unspecified())
}
