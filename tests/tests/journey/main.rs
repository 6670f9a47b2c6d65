//! Promises to users, kept on real sockets by the real binary, on `io_uring` and on epoll.
//!
//! Every wait is bounded, every port and directory is the test's own.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod access;
mod access_log;
mod active_checks;
mod alerts;
mod algorithms;
mod answers;
mod asides;
mod asked_routes;
mod balancing;
mod bare;
mod between;
mod bodies;
mod body_filters;
mod byte_counts;
mod checked_addresses;
mod circuit_breaker;
mod conditions;
mod cors;
mod crl_fetch;
mod crl_fetch_attacks;
mod ctl_operator;
mod cut;
mod cve;
mod dead_nodes;
mod demands;
mod desync;
mod drain;
mod duties;
mod early;
mod early_slow;
mod ejection;
mod eku;
mod events;
mod exhausted;
mod exhaustion;
mod explain;
mod families;
mod fingerprint;
mod first_flights;
mod flood;
mod full;
mod guides;
mod half_close;
mod health;
mod heard;
mod held_bodies;
mod hidden;
mod hostile;
mod in_doubt;
mod in_force;
mod kept;
mod kept_verdict;
mod key_shares;
mod keys;
mod last_words;
mod liars;
mod limit_numbers;
mod limit_stores;
mod limits;
mod listeners;
mod live;
mod load;
mod log_lines;
mod log_places;
mod many_names;
mod misdirected;
mod next_node;
mod node_limits;
mod node_names;
mod observe;
mod outliers;
mod policies;
mod pool;
mod pool_identity;
mod preconditions;
mod promptly;
mod proxy_protocol;
mod radar;
mod reach;
mod readings;
mod real_ip;
mod reload;
mod reloaded;
mod renewal;
mod request_ids;
mod request_limits;
mod reshaped;
mod response_limits;
mod response_rules;
mod resume;
mod retries;
mod revoke;
mod rewrite;
mod rolling;
mod router;
mod routing;
mod signals;
mod slow;
mod sni;
mod spoken;
mod spoof;
mod ssl_defaults;
mod stale;
mod static_answers;
mod stops;
mod strangers;
mod system_roots;
mod systemd;
mod total_time;
mod traffic_split;
mod tries;
mod tunnel;
mod tunnel_goodbye;
mod unasked;
mod upgrade;
mod upgrade_changes;
mod upgrade_ends;
mod upgrade_refused;
mod upstream_fields;
mod upstream_trust;
mod warm;
mod warned;
mod without_uring;

use std::fs;
use std::path::Path;

use ferrule_tests::{Authority, Driver, Gateway, Setup, Upstream};

/// Everything to one plain upstream.
const PLAIN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const HASTY: &str = "lingering_time = '3s'\nclient_body_timeout = '3s'\nmin_rate_grace = '3s'\n";

/// A gateway with [`PLAIN`] in front of this upstream.
fn plain_gateway(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    Setup::new(dir, driver, PLAIN).set("upstream", &upstream.port).start()
}

/// One that waits a few seconds, not half a minute or more, for the rest of a request that was answered.
fn hasty_gateway(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    let text = format!("{PLAIN}\n[http]\n{HASTY}");
    Setup::new(dir, driver, &text).set("upstream", &upstream.port).start()
}

/// Writes an authority's certificate as `NAME.crt`.
fn write_ca(dir: &Path, name: &str, authority: &Authority) {
    fs::write(dir.join(format!("{name}.crt")), &authority.cert_pem).expect("a writable directory");
}
