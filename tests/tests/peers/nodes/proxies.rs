//! The proxies that the nodes stand behind, each as its manual says: the next node for what may be repeated,
//! a second to connect, two seconds to answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_tests::{Driver, Gateway, Haproxy, Nginx, Setup, Shape, free_port, source_dir};
use ferrule_tools::process::Process;
use serde_json::{Value, json};

use super::cluster::Cluster;

/// A proxy at work. Ends with the value.
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) port: u16,
    _runs: Box<dyn std::any::Any>,
}

const FERRULE: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream_id = "nodes"

[[upstreams]]
id = "nodes"
timeout = { connect = 1, send = 2, read = 2 }
"#;

fn each(cluster: &Cluster, line: impl Fn(usize, String) -> String, between: &str) -> String {
    let lines = cluster.nodes.iter().enumerate();
    lines.map(|(at, node)| line(at, node.address.to_string())).collect::<Vec<_>>().join(between)
}

pub(super) fn ferrule(dir: &Path, driver: Driver, cluster: &Cluster) -> Proxy {
    let nodes = each(cluster, |_, node| format!("\"{node}\" = 1"), ", ");
    let runtime = format!(
        "workers = 2\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\nio_driver = \"{driver}\"\n"
    );
    let setup = Setup::new(dir, driver, &format!("{FERRULE}nodes = {{ {nodes} }}\n"));
    let gateway: Gateway = setup.runtime(&runtime).quiet().start();
    let port = gateway.port("front");
    Proxy { name: format!("Ferrule {driver}"), port, _runs: Box::new(gateway) }
}

pub(super) fn nginx(dir: &Path, cluster: &Cluster) -> Proxy {
    let servers =
        each(cluster, |_, node| format!("server {node} max_fails=1 fail_timeout=10s;"), " ");
    let port = free_port();
    let http = format!(
        "upstream nodes {{ {servers} keepalive 16; }}\nserver {{ listen 127.0.0.1:{port};\n\
         location / {{ proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_connect_timeout 1s; proxy_read_timeout 2s;\n\
         proxy_next_upstream error timeout invalid_header http_502 http_503 http_504; }} }}"
    );
    let nginx = Nginx::start(dir, port, &http, Shape::MasterAndWorker);
    Proxy { name: "nginx".to_owned(), port, _runs: Box::new(nginx) }
}

pub(super) fn haproxy(dir: &Path, cluster: &Cluster) -> Proxy {
    let servers = each(cluster, |at, node| format!("  server n{at} {node}"), "\n");
    let port = free_port();
    let text = format!(
        "frontend front\n  bind 127.0.0.1:{port}\n  default_backend nodes\nbackend nodes\n  \
         balance roundrobin\n  option redispatch 1\n  retries 3\n  retry-on all-retryable-errors\n  \
         http-request disable-l7-retry if METH_POST\n  timeout connect 1s\n  timeout server 2s\n  \
         option httpchk GET /-/check\n  default-server check inter 1s fall 2 rise 2 \
         observe layer7 error-limit 3 on-error mark-down\n{servers}\n"
    );
    let haproxy = Haproxy::start(dir, port, &text);
    Proxy { name: "HAProxy".to_owned(), port, _runs: Box::new(haproxy) }
}

/// Where `bench/envoy` puts it; `None` where it was not called.
fn envoy_binary() -> Option<PathBuf> {
    let root = source_dir().join("target/envoy");
    let found =
        Command::new("find").arg(root).args(["-path", "*/_bin/envoy", "-type", "f"]).output();
    let text = String::from_utf8(found.ok()?.stdout).ok()?;
    text.lines().next().map(PathBuf::from)
}

pub(super) fn envoy(dir: &Path, cluster: &Cluster) -> Option<Proxy> {
    let (binary, port) = (envoy_binary()?, free_port());
    let file = dir.join("envoy.json");
    fs::write(&file, envoy_config(port, cluster).to_string()).expect("a writable directory");
    let mut command = Command::new(binary);
    command.arg("-c").arg(&file);
    command.args(["--concurrency", "2", "--disable-hot-restart", "--log-level", "error"]);
    let mut process = Process::start(command, &dir.join("envoy.log"));
    process.wait_for_port(port);
    Some(Proxy { name: "Envoy".to_owned(), port, _runs: Box::new(process) })
}

fn envoy_config(port: u16, cluster: &Cluster) -> Value {
    let of = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    let address =
        |ip: String, port: u16| json!({ "socket_address": { "address": ip, "port_value": port } });
    let endpoints: Vec<Value> = cluster
        .nodes
        .iter()
        .map(|node| json!({ "endpoint": { "address": address(node.address.ip().to_string(), node.address.port()) } }))
        .collect();
    let route = |methods: Value, retries: Value| json!({ "match": methods, "route": { "cluster": "nodes", "timeout": "8s", "retry_policy": retries } });
    let gets = json!({ "prefix": "/", "headers": [{ "name": ":method", "string_match": { "exact": "GET" } }] });
    let retried = json!({
        "retry_on": "connect-failure,refused-stream,reset,5xx", "num_retries": 3, "per_try_timeout": "2s",
        "retry_host_predicate": [{ "name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" } }],
    });
    let connects =
        json!({ "retry_on": "connect-failure", "num_retries": 3, "per_try_timeout": "2s" });
    let manager = json!({
        "@type": of("network.http_connection_manager.v3.HttpConnectionManager"), "stat_prefix": "front",
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"],
            "routes": [route(gets, retried), route(json!({ "prefix": "/" }), connects)] }] },
        "http_filters": [{ "name": "envoy.filters.http.router",
            "typed_config": { "@type": of("http.router.v3.Router") } }],
    });
    json!({ "static_resources": {
        "listeners": [{ "address": address("127.0.0.1".to_owned(), port), "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] }] }],
        "clusters": [{ "name": "nodes", "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": "nodes", "endpoints": [{ "lb_endpoints": endpoints }] },
            "outlier_detection": { "consecutive_5xx": 3, "base_ejection_time": "10s", "interval": "1s",
                "max_ejection_percent": 50 } }],
    } })
}
