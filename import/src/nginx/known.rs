//! Which directives are known, where they may stand, and what becomes of those that no converter takes.

use super::tree::Directive;

/// Where a directive stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Context {
    Main,
    Http,
    Server,
    Location,
    If,
    Upstream,
}

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// A converter takes it.
    Taken,
    /// It has no meaning for the answer of any request here.
    Dropped(&'static str),
    /// It is left out, and something is different without it.
    Changed(&'static str),
    /// It cannot be left out.
    Refused(&'static str),
}

/// Directives that converters take, and where nginx allows them: `m`ain, `h`ttp, `s`erver, `l`ocation, `i`f,
/// `u`pstream.
const TAKEN: &str = "\
    http:m events:m error_log:mhsl upstream:h server:hu map:h log_format:h limit_req_zone:h limit_conn_zone:h \
    location:sl listen:s server_name:s if:sl return:sli rewrite:sli set:sli \
    ssl:hs ssl_certificate:hs ssl_certificate_key:hs ssl_password_file:hs ssl_client_certificate:hs \
    ssl_trusted_certificate:hs ssl_verify_client:hs ssl_verify_depth:hs ssl_crl:hs ssl_protocols:hs ssl_ciphers:hs \
    ssl_prefer_server_ciphers:hs ssl_ecdh_curve:hs ssl_session_tickets:hs ssl_session_cache:hs ssl_stapling:hs \
    ssl_stapling_file:hs ssl_reject_handshake:hs \
    proxy_pass:li proxy_set_header:hsl proxy_connect_timeout:hsl proxy_read_timeout:hsl proxy_send_timeout:hsl \
    proxy_ssl_certificate:hsl proxy_ssl_certificate_key:hsl proxy_ssl_password_file:hsl \
    proxy_ssl_trusted_certificate:hsl proxy_ssl_verify:hsl proxy_ssl_verify_depth:hsl proxy_ssl_crl:hsl \
    proxy_ssl_protocols:hsl proxy_ssl_ciphers:hsl proxy_ssl_name:hsl proxy_ssl_server_name:hsl \
    proxy_hide_header:hsl proxy_pass_header:hsl proxy_redirect:hsl proxy_next_upstream:hsl \
    proxy_next_upstream_tries:hsl proxy_next_upstream_timeout:hsl proxy_method:hsl \
    proxy_pass_request_headers:hsl proxy_pass_request_body:hsl proxy_http_version:hsl proxy_intercept_errors:hsl \
    add_header:hsl default_type:hsl error_page:hsl allow:hsl deny:hsl satisfy:hsl limit_req:hsl limit_conn:hsl \
    limit_req_status:hsl limit_conn_status:hsl client_max_body_size:hsl access_log:hsl \
    client_header_timeout:hs client_body_timeout:hsl send_timeout:hsl keepalive_timeout:hsl \
    keepalive_requests:hsl large_client_header_buffers:hs underscores_in_headers:hs \
    set_real_ip_from:hs real_ip_header:hs real_ip_recursive:hs merge_slashes:hs ignore_invalid_headers:hs \
    root:hsl index:hsl try_files:sl alias:l autoindex:hsl \
    least_conn:u hash:u ip_hash:u random:u keepalive:u keepalive_timeout:u keepalive_requests:u keepalive_time:u zone:u";

/// Directives that say nothing about an answer.
const DROPPED: &str = "\
    user:m worker_processes:m worker_rlimit_nofile:m worker_cpu_affinity:m worker_priority:m \
    worker_shutdown_timeout:m pid:m daemon:m master_process:m env:m timer_resolution:m pcre_jit:m thread_pool:m \
    lock_file:m types:hsl types_hash_max_size:hsl types_hash_bucket_size:hsl sendfile:hsl tcp_nopush:hsl \
    tcp_nodelay:hsl aio:hsl directio:hsl server_tokens:hsl log_not_found:hsl log_subrequest:hsl \
    open_log_file_cache:hsl open_file_cache:hsl open_file_cache_valid:hsl open_file_cache_errors:hsl \
    open_file_cache_min_uses:hsl server_names_hash_bucket_size:h server_names_hash_max_size:h \
    map_hash_bucket_size:h map_hash_max_size:h variables_hash_max_size:h variables_hash_bucket_size:h \
    proxy_headers_hash_max_size:hsl proxy_headers_hash_bucket_size:hsl client_body_buffer_size:hsl \
    client_header_buffer_size:hs client_body_temp_path:hsl proxy_temp_path:hsl fastcgi_temp_path:hsl \
    uwsgi_temp_path:hsl scgi_temp_path:hsl connection_pool_size:hs request_pool_size:hs output_buffers:hsl \
    postpone_output:hsl reset_timedout_connection:hsl keepalive_disable:hsl lingering_close:hsl \
    lingering_time:hsl lingering_timeout:hsl proxy_buffer_size:hsl proxy_buffers:hsl \
    proxy_busy_buffers_size:hsl proxy_max_temp_file_size:hsl proxy_temp_file_write_size:hsl \
    proxy_socket_keepalive:hsl proxy_ssl_session_reuse:hsl proxy_cache_bypass:hsl proxy_no_cache:hsl \
    ssl_session_timeout:hs ssl_buffer_size:hs ssl_stapling_verify:hs ssl_stapling_responder:hs resolver:hsl \
    resolver_timeout:hsl limit_req_log_level:hsl limit_conn_log_level:hsl rewrite_log:hsli \
    server_name_in_redirect:hsl port_in_redirect:hsl absolute_redirect:hsl recursive_error_pages:hsl \
    max_ranges:hsl etag:hsl if_modified_since:hsl msie_padding:hsl chunked_transfer_encoding:hsl \
    proxy_ignore_client_abort:hsl worker_connections:m";

/// The reasons for what is left out although it does something.
const CHANGED: [(&str, &str); 15] = [
    ("gzip:hsl gzip_types:hsl gzip_vary:hsl gzip_min_length:hsl gzip_proxied:hsl", NO_COMPRESSION),
    ("gzip_comp_level:hsl gzip_buffers:hsl gzip_disable:hsl gzip_http_version:hsl", NO_COMPRESSION),
    ("gunzip:hsl gzip_static:hsl", NO_COMPRESSION),
    (
        "http2:hs http2_max_concurrent_streams:hs",
        "only HTTP/1.1 is spoken; clients that can do more fall back to it",
    ),
    ("load_module:m", "modules are not loaded; their directives are refused by name"),
    ("proxy_buffering:hsl", "bodies are always streamed, never buffered whole"),
    ("proxy_request_buffering:hsl", "bodies are always streamed, never buffered whole"),
    (
        "ssl_dhparam:hs",
        "there is no finite-field Diffie-Hellman; `ssl_ecdh_curve` chooses the groups",
    ),
    ("ssl_early_data:hs", "early data is never accepted"),
    ("client_body_in_file_only:hsl", "bodies are never written to files"),
    ("limit_rate:hsli limit_rate_after:hsli", "no response is slowed down"),
    ("charset:hsli", "the charset of a response stays as it is"),
    ("proxy_limit_rate:hsl", "no response is slowed down"),
    ("proxy_bind:hsl", "the system chooses the address that connections to upstreams come from"),
    ("proxy_ignore_headers:hsl", "fields of upstreams steer nothing here"),
];

const NO_COMPRESSION: &str =
    "nothing is compressed or decompressed: responses pass as the upstream sends them";

/// Why some directives cannot be left out; every other unknown one gets [`UNKNOWN`].
const REFUSED: [(&str, &str); 11] = [
    ("auth_basic", "it keeps people out, and there are no passwords here: let certificates decide"),
    ("auth_request", "it keeps people out, and there are no subrequests here"),
    ("geo", "write `remote_addrs` or `client.allow_addrs`"),
    ("split_clients", "write a `traffic_split`"),
    ("stream", "only HTTP is proxied"),
    ("mail", "only HTTP is proxied"),
    ("internal", "there are no internal redirects"),
    ("limit_except", "write routes with `methods`"),
    ("ssl_ocsp", "clients' certificates are not asked about by OCSP: use `ssl_crl`"),
    ("ssl_session_ticket_key", "name the file in `http.ssl_session_ticket_key` by hand"),
    (
        "proxy_ssl_conf_command",
        "`tls.ssl_protocols`, `ssl_ciphers` and `ssl_ecdh_curve` are what there is",
    ),
];

const UNKNOWN: &str = "it is not converted, and nobody knows what would be open without it";

impl Context {
    const fn letter(self) -> char {
        match self {
            Self::Main => 'm',
            Self::Http => 'h',
            Self::Server => 's',
            Self::Location => 'l',
            Self::If => 'i',
            Self::Upstream => 'u',
        }
    }
}

/// Where a directive of a list may stand.
fn listed(list: &'static str, name: &str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace().filter_map(move |entry| {
        entry.split_once(':').filter(|(known, _)| *known == name).map(|(_, letters)| letters)
    })
}

/// What becomes of this directive here.
pub(super) fn fate(directive: &Directive, context: Context) -> Fate {
    let name = directive.name.as_str();
    let judge = |list: &'static str, fate: Fate| {
        let mut known = listed(list, name).peekable();
        known.peek()?;
        let allowed = known.any(|letters| letters.contains(context.letter()));
        Some(if allowed { fate } else { Fate::Refused("nginx does not allow it here") })
    };
    let changed = || CHANGED.iter().find_map(|(list, why)| judge(list, Fate::Changed(why)));
    judge(TAKEN, Fate::Taken)
        .or_else(|| judge(DROPPED, Fate::Dropped("no answer depends on it here")))
        .or_else(changed)
        .unwrap_or_else(|| {
            let reason = REFUSED.iter().find(|(known, _)| *known == name);
            Fate::Refused(reason.map_or(UNKNOWN, |(_, why)| why))
        })
}

/// Blocks whose lines are no directives.
pub(super) fn is_table(name: &str) -> bool {
    matches!(name, "map" | "types" | "events")
}

/// The context of what is in the block of a directive.
pub(super) fn inside(name: &str) -> Option<Context> {
    match name {
        "http" => Some(Context::Http),
        "server" => Some(Context::Server),
        "location" => Some(Context::Location),
        "if" => Some(Context::If),
        "upstream" => Some(Context::Upstream),
        _ => None,
    }
}

/// Does it make sense to write it several times on one level?
pub(super) fn is_list(name: &str) -> bool {
    matches!(
        name,
        "listen"
            | "server_name"
            | "location"
            | "if"
            | "server"
            | "upstream"
            | "map"
            | "log_format"
            | "limit_req_zone"
            | "limit_conn_zone"
            | "proxy_set_header"
            | "add_header"
            | "allow"
            | "deny"
            | "limit_req"
            | "limit_conn"
            | "error_page"
            | "access_log"
            | "error_log"
            | "set_real_ip_from"
            | "ssl_certificate"
            | "ssl_certificate_key"
            | "proxy_hide_header"
            | "proxy_pass_header"
            | "proxy_redirect"
            | "rewrite"
            | "set"
            | "return"
            | "types"
            | "env"
            | "load_module"
            | "ssl_session_cache"
            | "proxy_temp_path"
            | "gzip_types"
            | "gzip_disable"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What public configurations for mutual TLS use most: each is converted, or its fate is told with a reason.
    const USED: &str = "\
        location server listen ssl_certificate ssl_certificate_key ssl_verify_client ssl_client_certificate \
        server_name proxy_pass proxy_set_header ssl_protocols ssl_verify_depth ssl_prefer_server_ciphers \
        ssl_ciphers return access_log add_header client_max_body_size error_log proxy_read_timeout http \
        proxy_http_version ssl_session_cache ssl_session_timeout events worker_connections upstream if root \
        proxy_connect_timeout proxy_send_timeout index ssl_trusted_certificate default_type try_files \
        proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_trusted_certificate proxy_ssl_verify_depth \
        proxy_ssl_verify proxy_ssl_protocols worker_processes proxy_ssl_session_reuse proxy_ssl_server_name \
        proxy_ssl_ciphers keepalive sendfile proxy_pass_request_headers ssl_dhparam ssl_session_tickets ssl_crl \
        ssl_stapling ssl_stapling_verify daemon error_page resolver map limit_req_zone limit_req log_format pid \
        proxy_ssl_name http2 proxy_buffering proxy_buffer_size proxy_buffers send_timeout allow deny";

    fn directive(name: &str) -> Directive {
        let (name, path) = (name.to_owned(), String::new());
        let spot = crate::document::Spot::default();
        Directive { name, args: Vec::new(), block: None, spot, file: None, path }
    }

    fn fates(name: &str) -> Vec<Fate> {
        use Context::{Http, If, Location, Main, Server, Upstream};
        let all = [Main, Http, Server, Location, If, Upstream];
        all.iter().map(|context| fate(&directive(name), *context)).collect()
    }

    #[test]
    fn what_public_files_use_is_known_somewhere_and_refused_elsewhere() {
        for name in USED.split_ascii_whitespace() {
            let known = fates(name).into_iter().any(|fate| !matches!(fate, Fate::Refused(_)));
            assert!(known, "{name}");
        }
        for name in
            ["auth_basic", "auth_request", "auth_jwt", "proxy_passs", "perl", "lua_package_path"]
        {
            assert!(fates(name).iter().all(|fate| matches!(fate, Fate::Refused(_))), "{name}");
        }
        assert_eq!(
            fate(&directive("proxy_pass"), Context::Http),
            Fate::Refused("nginx does not allow it here")
        );
    }
}
