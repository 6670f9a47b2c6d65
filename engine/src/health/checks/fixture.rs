//! Settings for the tests of this folder: the defaults, but for two intervals that can be told apart.

use std::time::Duration;

use ferrule_config::model::{ActiveChecks, ActiveHealthy, ActiveUnhealthy, CheckKind};

pub(super) fn checks() -> ActiveChecks {
    ActiveChecks {
        kind: CheckKind::Http,
        timeout: Duration::from_secs(1),
        concurrency: 10,
        http_path: "/".to_owned(),
        host: None,
        port: None,
        req_headers: Vec::new(),
        healthy: ActiveHealthy {
            interval: Duration::from_secs(2),
            http_statuses: vec![200, 302],
            successes: 2,
        },
        unhealthy: ActiveUnhealthy {
            interval: Duration::from_secs(1),
            http_statuses: None,
            http_failures: 5,
            tcp_failures: 2,
            timeouts: 3,
        },
    }
}
