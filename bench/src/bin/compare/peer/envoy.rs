//! Envoy, one worker thread, without the statistics, headers and ids that nobody asked for.

use std::fs;

use ferrule_tools::process::Process;
use serde_json::{Value, json};

use super::Place;
use crate::case::Tls;
use crate::stage::files;

/// Starts it on `port`.
pub(super) fn start(place: &Place<'_>, port: u16) -> Process {
    let dir = place.stage.dir();
    let file = dir.join(format!("envoy-{port}.json"));
    fs::write(&file, format!("{:#}", config(place, port))).expect("a writable directory");
    let binary = place.stage.envoy.as_deref().expect("looked for before");
    let mut command = place.command(binary);
    command.arg("-c").arg(&file).args(["--concurrency", "1", "--disable-hot-restart"]);
    command.args(["--log-level", "error"]);
    let mut process = Process::start(command, &dir.join(format!("envoy-{port}.log")));
    process.wait_for_port(port);
    process
}

/// `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`.
pub(super) fn version(text: &str) -> String {
    let said = text.lines().find_map(|line| line.split_once("version: ")).map(|(_, rest)| rest);
    // The commit comes first.
    let parts: Vec<&str> = said.unwrap_or("/unknown").split('/').skip(1).collect();
    format!("Envoy {}", parts.join(" "))
}

const HCM: &str = "type.googleapis.com/envoy.extensions.filters.network.\
                   http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const DOWNSTREAM: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const UPSTREAM: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const OPTIONS: &str = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

fn config(place: &Place<'_>, port: u16) -> Value {
    let mut filters = json!({
        "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager(place.setting.tls),
        }],
    });
    let mut cluster = json!({
        "name": "back",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": "back", "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": address(place.upstream) } },
        ] }] },
        "circuit_breakers": { "thresholds": [{
            "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000,
        }] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": OPTIONS,
                "explicit_http_config": { "http_protocol_options": {} },
            },
        },
    });
    if let Some((front, back)) = contexts(place) {
        put(&mut filters, "transport_socket", socket(&front));
        put(&mut cluster, "transport_socket", socket(&back));
    }
    json!({
        "static_resources": {
            "listeners": [{
                "name": "front",
                "address": address(port),
                "tcp_backlog_size": 4096,
                "ignore_global_conn_limit": true,
                "filter_chains": [filters],
            }],
            "clusters": [cluster],
        },
        "stats_config": { "stats_matcher": { "reject_all": true } },
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn socket(context: &Value) -> Value {
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

fn manager(tls: Tls) -> Value {
    let set = |name: &str, value: &str| {
        json!({
            "header": { "key": name, "value": value },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        })
    };
    let mut route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "back" } });
    if tls != Tls::Off {
        let headers = json!([
            set("X-Client-Fingerprint", "%DOWNSTREAM_PEER_FINGERPRINT_1%"),
            set("X-Client-Serial", "%DOWNSTREAM_PEER_SERIAL%"),
            set("X-Client-Subject", "%DOWNSTREAM_PEER_SUBJECT%"),
        ]);
        put(&mut route, "request_headers_to_add", headers);
    }
    json!({
        "@type": HCM,
        "stat_prefix": "front",
        "codec_type": "HTTP1",
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        "route_config": { "virtual_hosts": [
            { "name": "all", "domains": ["*"], "routes": [route] },
        ] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": ROUTER, "dynamic_stats": false, "suppress_envoy_headers": true,
            },
        }],
    })
}

/// The client's side and the upstream's.
fn contexts(place: &Place<'_>) -> Option<(Value, Value)> {
    let at = |name: &str| json!({ "filename": place.stage.dir().join(name).display().to_string() });
    let pair = |name: &str| {
        json!([{
            "certificate_chain": at(&format!("{name}.crt")),
            "private_key": at(&format!("{name}.key")),
        }])
    };
    let version = match place.setting.tls {
        Tls::Off => return None,
        Tls::V12 => "TLSv1_2",
        Tls::V13 => "TLSv1_3",
    };
    let params = json!({
        "tls_minimum_protocol_version": version,
        "tls_maximum_protocol_version": version,
        "cipher_suites": ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
    });
    let files = files(place.setting.keys);
    let front = json!({
        "@type": DOWNSTREAM,
        "require_client_certificate": true,
        "common_tls_context": {
            "tls_params": params,
            "tls_certificates": pair(files.front),
            "validation_context": { "trusted_ca": at(&format!("{}.crt", files.ca)) },
        },
    });
    let back = json!({
        "@type": UPSTREAM,
        "sni": "upstream.test",
        "common_tls_context": {
            "tls_params": params,
            "tls_certificates": pair("proxy"),
            "validation_context": {
                "trusted_ca": at("upstream-ca.crt"),
                "match_typed_subject_alt_names": [
                    { "san_type": "DNS", "matcher": { "exact": "upstream.test" } },
                ],
            },
        },
    });
    Some((front, back))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_names_the_tls_library() {
        let text = "\n/a/b/envoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(version(text), "Envoy 1.40.0 Clean RELEASE BoringSSL");
        assert_eq!(version(""), "Envoy unknown");
    }
}
