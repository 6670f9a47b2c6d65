//! Keys of other proxies: what is written here in their place, or that nothing is.
//!
//! In: an unknown key. Out: what is meant here. Names are compared without case, `-` and `_`, because each of
//! nginx, APISIX, HAProxy, Traefik, Caddy and Envoy joins words in its own way.

/// Keys of other proxies that mean the same.
#[derive(Debug)]
pub(crate) struct ForeignKeys {
    /// As the others write them, with spaces between them.
    pub(crate) names: &'static str,
    /// What to write here.
    pub(crate) here: Here,
}

/// What a key of another proxy is here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Here {
    /// There is a key for it; the text begins with it.
    Key(&'static str),
    /// There is none; why, and what to do instead.
    Nothing(&'static str),
}

/// The entry of this name.
pub(crate) fn find(name: &str) -> Option<&'static ForeignKeys> {
    let bare = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let wanted = bare(name);
    FOREIGN_KEYS.iter().find(|entry| entry.names.split(' ').any(|name| bare(name) == wanted))
}

impl Here {
    /// The first key that it names, or the table of it.
    pub(crate) fn first_key(self) -> Option<&'static str> {
        let Self::Key(here) = self else { return None };
        let bare = here.trim_start_matches(['[', '`']);
        bare.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
    }
}

const fn key(names: &'static str, here: &'static str) -> ForeignKeys {
    ForeignKeys { names, here: Here::Key(here) }
}

const fn nothing(names: &'static str, why: &'static str) -> ForeignKeys {
    ForeignKeys { names, here: Here::Nothing(why) }
}

/// All of them, by subject.
pub(crate) static FOREIGN_KEYS: &[ForeignKeys] = &[
    // Where requests come in.
    key(
        "server servers virtual_host virtual_hosts vhost frontend frontends",
        "[[listen]] for an address, [[ssls]] for a server name, [[routes]] for its paths",
    ),
    key("listeners bind entryPoints ports", "[[listen]], with `address` and `tls`"),
    key(
        "server_name server_names domain domains hostname",
        "`sni` of an [[ssls]] for the certificate, `host` of a route for its requests",
    ),
    key(
        "ssl certificates tls_certificates",
        "[[ssls]] for certificates, `tls = true` of a [[listen]]",
    ),
    key("ssl_certificate certificate certFile", "`cert` of an [[ssls]]"),
    key("ssl_certificate_key certificate_key private_key keyFile", "`key` of an [[ssls]]"),
    key(
        "ssl_client_certificate ssl_trusted_certificate ca_file clientAuth trust_store",
        "`client.ca` of an [[ssls]]",
    ),
    key("ssl_verify_client clientAuthType verify_client", "`client.verify` of an [[ssls]]"),
    key("ssl_verify_depth verify_depth", "`client.depth` of an [[ssls]]"),
    key("ssl_crl crl_file", "`client.crl` of an [[ssls]]"),
    key("ssl_password_file", "`password_file` of an [[ssls]]"),
    key("ssl_session_cache", "`session_cache` of an [[ssls]]"),
    key("ssl_session_tickets", "`session_tickets` of an [[ssls]]"),
    key("ssl_stapling ssl_stapling_verify", "`ssl_stapling_file` of an [[ssls]]"),
    key("minVersion ssl_min_ver tls_versions", "`ssl_protocols` of an [[ssls]]"),
    key("ciphers cipherSuites ssl_ciphersuites", "`ssl_ciphers` of an [[ssls]]"),
    key("proxy_ssl_ciphers", "`tls.ssl_ciphers` of an upstream"),
    key("curvePreferences ecdh_curves curves ssl_curves", "`ssl_ecdh_curve` of an [[ssls]]"),
    key(
        "set_real_ip_from real_ip_header real_ip_recursive trustedIPs trusted_proxies",
        "`http.real_ip`; `http.trusted_addresses` for `X-Forwarded-Proto`, `proxy_protocol_trusted` of a [[listen]]",
    ),
    key("accept_proxy proxyProtocol", "`proxy_protocol` of a [[listen]]"),
    // Which requests go where.
    key("location locations paths path path_beg match", "`uri` of a [[routes]]"),
    key(
        "routers rule use_backend default_backend route_config handle",
        "[[routes]], with `host`, `uri` and `upstream_id`",
    ),
    key("acl acls http_request if", "`vars`, `remote_addrs` or `client.allow` of a [[routes]]"),
    key(
        "ip_restriction whitelist blacklist allowlist denylist ipWhiteList ipAllowList \
         remote_ip",
        "`client.allow_addrs` and `client.deny_addrs` for addresses, `client.allow` and `client.deny` for \
         certificates",
    ),
    key("middlewares filters http_filters", "the keys of a [[routes]]; there are no plugins"),
    // Upstreams.
    key(
        "proxy_pass reverse_proxy backend backends cluster clusters endpoints load_assignment \
         fastcgi_pass uwsgi_pass grpc_pass",
        "`upstream.nodes` of a [[routes]], as `{ \"127.0.0.1:8080\" = 1 }`, or an [[upstreams]]",
    ),
    key("loadBalancer targets hosts_and_ports", "`nodes` of an [[upstreams]]"),
    key("proxy_ssl_certificate", "`tls.client_cert` of an [[upstreams]]"),
    key("proxy_ssl_certificate_key", "`tls.client_key` of an [[upstreams]]"),
    key("proxy_ssl_trusted_certificate rootCAs", "`tls.ca` of an [[upstreams]]"),
    key(
        "proxy_ssl_verify insecureSkipVerify tls_insecure_skip_verify",
        "`tls.verify` of an [[upstreams]]; it is \"full\" unless said otherwise",
    ),
    key(
        "proxy_ssl_name proxy_ssl_server_name",
        "`tls.server_name` of an [[upstreams]]; it is always sent",
    ),
    key("proxy_ssl_crl", "`tls.crl` of an [[upstreams]]"),
    key("proxy_ssl_protocols", "`tls.ssl_protocols` of an [[upstreams]]"),
    key(
        "proxy_connect_timeout connect_timeout dialTimeout",
        "`timeout.connect` of an [[upstreams]], a [[services]] or a [[routes]]",
    ),
    key(
        "proxy_read_timeout read_timeout server_timeout timeout_server",
        "`timeout.read` of an [[upstreams]], a [[services]] or a [[routes]]",
    ),
    key("proxy_send_timeout", "`timeout.send` of an [[upstreams]], a [[services]] or a [[routes]]"),
    key(
        "proxy_next_upstream proxy_next_upstream_tries retry retry_policy num_retries",
        "`retries` of an [[upstreams]]",
    ),
    key("keepalive pool_max_conn maxIdleConnsPerHost", "`keepalive_pool` of an [[upstreams]]"),
    key(
        "websocket websockets upgrade upgrade_configs",
        "`enable_websocket = true` of a [[routes]]",
    ),
    key("send_proxy send_proxy_v2", "`proxy_protocol` of an [[upstreams]]"),
    key("passHostHeader preserve_host host_rewrite", "`pass_host` of an [[upstreams]]"),
    key(
        "traffic_split weighted_clusters weighted split_clients canary",
        "`traffic_split` of a [[routes]]; within one upstream, weights of `nodes`",
    ),
    // Headers.
    key(
        "proxy_set_header set_header customRequestHeaders header_up request_headers_to_add",
        "`headers.set` of a [[routes]], a [[services]] or a [[global_rules]]",
    ),
    key("request_headers_to_remove proxy_hide_request_header", "`headers.remove` of a [[routes]]"),
    key(
        "forward_client_cert_details passTLSClientCert",
        "`xfcc` and `preset` of [identity_headers]",
    ),
    key(
        "add_header more_set_headers customResponseHeaders header_down response_headers_to_add \
         http_response response_headers proxy_hide_header expires response_rewrite",
        "`response.headers` of a [[routes]], a [[services]] or a [[global_rules]]",
    ),
    key(
        "hsts strict_transport_security stsSeconds csp x_frame_options content_security_policy \
         security_headers csrf",
        "`response.headers` of a [[global_rules]], with `set = { Strict-Transport-Security = \"...\" }`",
    ),
    key("accessControlAllowOriginList cors_policy", "`cors` of a [[routes]] or [[services]]"),
    key(
        "max_fails fail_timeout fail_duration unhealthy_status outlier_detection",
        "`checks.passive.unhealthy` of an [[upstreams]]",
    ),
    key("health_check health_checks health_uri", "`checks.active` of an [[upstreams]]"),
    // What is not done.
    key("redis_host redis_port redis_cluster_nodes", "`nodes` of a [[stores]], as [\"host:port\"]"),
    key("redis_username", "`username` of a [[stores]]"),
    key("redis_password", "`password` of a [[stores]]"),
    key("redis_database", "`database` of a [[stores]]"),
    key("redis_timeout", "`timeout` of a [[stores]], as \"1s\""),
    key("redis_ssl redis_cluster_ssl", "`tls` of a [[stores]], with `ca`"),
    key("redis_ssl_verify redis_cluster_ssl_verify", "`tls.verify` of a [[stores]]"),
    nothing("redis_cluster_name", "a cluster is known by its nodes"),
    nothing(
        "redis_keepalive_timeout redis_keepalive_pool",
        "one connection to each server is kept as long as the store is used",
    ),
    key("limit_count", "`limits.requests` of a [[routes]], a [[services]] or a [[global_rules]]"),
    key(
        "limit_req limit_req_zone rate_limit rate_limits throttle stick_table",
        "`limits.rate` of a [[routes]], a [[services]] or a [[global_rules]]",
    ),
    key(
        "limit_conn limit_conn_zone inFlightReq",
        "`limits.connections` of a [[routes]], a [[services]] or a [[global_rules]]",
    ),
    nothing(
        "limit_rate limit_rate_after",
        "bodies pass as fast as both sides take them; `http.client_body_min_rate` bounds slow clients",
    ),
    key("circuit_breaker", "`api_breaker` of a [[routes]]"),
    nothing(
        "down lb_try_duration",
        "nodes that fail are set aside (`checks.passive`), a request whose connection fails tries \
          other nodes (`retries`), and a node with weight 0 gets none",
    ),
    key(
        "least_conn ip_hash hash random sticky balance lb_policy lb session_affinity",
        "`type` of an [[upstreams]], with `hash_on` and `key` where equal keys go to equal nodes",
    ),
    key(
        "redirects http_to_https redirectScheme redirectRegex https_redirect",
        "`redirect` of a [[routes]] or [[services]]",
    ),
    key(
        "rewrites proxy_rewrite replacePath replacePathRegex url_rewrite prefix_rewrite \
         regex_rewrite",
        "`rewrite` of a [[routes]] or [[services]]; headers are changed with `headers.set`",
    ),
    key(
        "sub_filter sub_filter_once sub_filter_types",
        "`response.filters` of a [[routes]], [[services]] or [[global_rules]]",
    ),
    key("stripPrefix handle_path", "`path_prefix` and `strip_path_prefix` of a [[services]]"),
    nothing(
        "cache proxy_cache proxy_cache_path proxy_cache_valid proxy_cache_key proxy_store \
         http_cache",
        "there is no cache; every request goes upstream",
    ),
    nothing(
        "gzip gzip_types gzip_static brotli compress compression compressor encode zstd gunzip",
        "bodies pass as they are; let the upstream compress them",
    ),
    nothing(
        "proxy_buffering proxy_request_buffering proxy_buffers proxy_buffer_size \
         proxy_busy_buffers_size client_body_buffer_size buffering",
        "bodies stream; `retry_buffer` of an [[upstreams]] holds small ones for a second try, and \
         `runtime.buffer_memory` bounds all buffers",
    ),
    nothing(
        "root alias index try_files autoindex file_server static static_files",
        "no files are served; lead the route to a server that does",
    ),
    nothing(
        "auth_basic auth_request auth_jwt basicAuth digestAuth forwardAuth jwt jwt_auth \
         jwt_authn key_auth oauth2 oidc openid_connect ext_authz ldap_auth hmac_auth userlist \
         rbac",
        "clients are authenticated by their certificates alone: `client.ca` of an [[ssls]], \
         `client.allow` of a [[routes]]",
    ),
    nothing(
        "import includes providers",
        "files of a configuration are named by `include` at its top; values may come from the environment, as \
         `${env:NAME}`",
    ),
    nothing(
        "lua map geo set perl_set js_content njs wasm serverless templates",
        "the gateway runs no scripts; conditions are `vars` of a [[routes]]",
    ),
    nothing(
        "http2 http3 h2c alpn quic grpc http2_protocol_options http_version proxy_http_version",
        "only HTTP/1.1 is spoken, on both sides",
    ),
    nothing(
        "letsencrypt certbot autocert certificatesResolvers certResolver auto_https",
        "certificates are read from files; let an ACME client write them, and they are read \
         again",
    ),
    nothing(
        "ssl_dhparam",
        "there is no finite-field Diffie-Hellman; `ssl_ecdh_curve` chooses the groups",
    ),
    nothing(
        "ssl_conf_command ssl_buffer_size",
        "`ssl_ciphers`, `ssl_ecdh_curve` and `ssl_protocols` choose what there is to choose of TLS",
    ),
    nothing(
        "error_page_redirect mirror mirrors request_mirror_policies fault_injection",
        "requests are not copied, and no faults are made",
    ),
    // The process.
    key("error_page errorfile errors handle_errors", "`http.error_pages`"),
    key("access_log", "`log.access`"),
    key("error_log", "`log.error`"),
    key("log_format", "`log.access = { path = ..., format = ... }`"),
    key("worker_processes nbthread threads concurrency", "`runtime.workers`"),
    key("worker_connections maxconn max_conns max_connections_global", "`runtime.max_connections`"),
    key(
        "worker_shutdown_timeout grace_period graceTimeOut hard_stop_after",
        "`runtime.shutdown_timeout`",
    ),
    key("worker_cpu_affinity cpu_map", "`runtime.cpu_affinity`"),
    key("prometheus stats stub_status stats_sinks", "[metrics]"),
    key("api admin_key ping master_process", "[admin] for `ferrule ctl`, [metrics] for Prometheus"),
    key(
        "opentelemetry otel tracing zipkin jaeger skywalking",
        "`http.traceparent`; the gateway passes traces on, and sends none itself",
    ),
    nothing(
        "user group daemon pid chroot setuid worker_rlimit_nofile",
        "the service manager starts the process as its user; the limit of open files is raised \
         by itself",
    ),
    key("resolver resolvers dns dns_resolver", "`runtime.resolver`"),
    nothing(
        "global defaults events stream mail apps static_resources dynamic_resources",
        "the tables here are [runtime], [log], [http], [[listen]], [[ssls]], [[upstreams]], \
         [[services]] and [[routes]]",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once_and_found_in_every_spelling() {
        let mut names: Vec<String> = FOREIGN_KEYS
            .iter()
            .flat_map(|entry| entry.names.split(' '))
            .map(|name| name.replace(['-', '_'], "").to_ascii_lowercase())
            .collect();
        let count = names.len();
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        assert!(count > 200, "{count}");
        for name in ["limit_req", "limit-req", "LimitReq", "ipWhiteList", "ip-white-list"] {
            assert!(find(name).is_some(), "{name}");
        }
        assert!(find("adress").is_none());
        let first = |name| find(name).and_then(|entry| entry.here.first_key());
        assert_eq!(first("proxy_pass"), Some("upstream"));
        assert_eq!(first("entry_points"), Some("listen"));
        assert_eq!(first("ssl-certificate-key"), Some("key"));
        assert_eq!(first("gzip"), None);
    }
}
