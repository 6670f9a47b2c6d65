//! Every default, each with its reason.

use std::time::Duration;

/// Submission entries of each ring: far above what one core has in flight, and 256 KiB of memory.
pub(crate) const RING_ENTRIES: i64 = 4_096;
/// Client connections: what 4 GB carry with room to spare.
pub(crate) const MAX_CONNECTIONS: i64 = 100_000;
/// A drain ends before the usual kill: systemd waits 90 s, Kubernetes 30 s.
/// A TTL of 0 would have a name looked up all the time.
pub(crate) const RESOLVER_MIN_TTL: Duration = Duration::from_secs(1);
/// A change is seen after this time, though the record promised to stay for a day.
pub(crate) const RESOLVER_MAX_TTL: Duration = Duration::from_secs(300);
/// Nobody waits unless it is asked for.
pub(crate) const SHUTDOWN_DELAY: Duration = Duration::ZERO;
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// A large configuration takes a second or two to load, a slow machine some more; one that hangs is not waited for.
pub(crate) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60);

/// nginx's 60 s; a slow head costs one buffer for that long.
pub(crate) const CLIENT_HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// nginx's 60 s, between two reads.
pub(crate) const CLIENT_BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// nginx's 60 s, between two writes.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// nginx's 30 s: time for 45 MB at 12 Mbit/s, and no longer than a drain.
pub(crate) const LINGERING_TIME: Duration = Duration::from_secs(30);
/// nginx's 5 s.
pub(crate) const LINGERING_TIMEOUT: Duration = Duration::from_secs(5);
/// APISIX's 60 s.
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// nginx's 1000: per-connection state is renewed now and then.
pub(crate) const KEEPALIVE_REQUESTS: i64 = 1_000;
/// Kestrel's 240 bytes a second: nobody who means it is slower, and an upload would otherwise hold a
/// connection to an upstream for as long as it likes.
pub(crate) const MIN_RATE: i64 = 240;
/// As long as one wait may be: a client that pauses once is not slow.
pub(crate) const MIN_RATE_GRACE: Duration = Duration::from_secs(60);
/// One address takes a few percent of all connections, and 200 MB of memory at most before a request;
/// a large office behind one address stays far below it. Load balancers without a PROXY protocol header
/// have more, and need more.
pub(crate) const CONNECTIONS_PER_ADDRESS: i64 = 4_096;
/// Unlimited, as in APISIX: bodies are streamed and never held.
pub(crate) const CLIENT_MAX_BODY_SIZE: u64 = 0;
/// nginx's 4 x 8k together: one head is held in one buffer.
pub(crate) const HEAD_BYTES: u64 = 32 * 1_024;
/// Browsers send 20 to 40 field lines.
pub(crate) const MAX_HEADERS: i64 = 100;

/// What nginx takes by default and more: its `proxy_buffer_size` is 4k or 8k.
pub(crate) const RESPONSE_HEAD_BYTES: u64 = 32 * 1_024;
/// nginx does not count them: 1,013 of the shortest fit into its 4k.
pub(crate) const MAX_RESPONSE_HEADERS: i64 = 1_024;

/// A handshake needs two round trips; a peer that takes longer holds a buffer for nothing.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// nginx's: clocks are right.
pub(crate) const CLOCK_SKEW: Duration = Duration::ZERO;
/// Two, as OpenSSL sends: a client that opens two connections at once spends both.
pub(crate) const SESSION_TICKET_COUNT: i64 = 2;
/// OpenSSL's count in nginx and APISIX: one intermediate certificate.
pub(crate) const DEPTH: i64 = 1;

/// APISIX's 60 s for send and read.
pub(crate) const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// Envoy's and HAProxy's 5 s: a SYN is sent at 0, 1 and 3 s, and no network needs a fourth one. nginx and
/// APISIX wait for 60 s, and so does every client of a node that is gone without a word.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// APISIX's `redis_timeout`.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest that APISIX takes for `sync_interval`.
pub(crate) const STORE_SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// APISIX's 320 idle connections; here of each core.
pub(crate) const POOL_SIZE: i64 = 320;
/// APISIX's 60 s; shorter than the 75 s of an nginx upstream, so that we close first.
pub(crate) const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// APISIX's 1000.
pub(crate) const POOL_REQUESTS: i64 = 1_000;
/// nginx's `keepalive_time`: what a connection was made with (addresses behind a balancer, own certificate)
/// is renewed now and then, however busy it is.
pub(crate) const POOL_MAX_AGE: Duration = Duration::from_secs(3_600);
/// None: connections are opened as they are needed.
pub(crate) const POOL_MIN_IDLE: i64 = 0;
/// A node's share.
pub(crate) const WEIGHT: i64 = 1;
/// 1.6 million points on a ring, 6.4 MB.
pub(crate) const RING_WEIGHT_MAX: u64 = 10_000;
/// APISIX tries every other node; with many nodes and long timeouts a client would wait for ever.
pub(crate) const RETRIES_MAX_BY_DEFAULT: usize = 2;

/// APISIX's.
pub(crate) const MAX_BREAKER_SEC: i64 = 300;
/// APISIX's, of failures and of successes.
pub(crate) const BREAKER_COUNT: i64 = 3;
/// APISIX's, of `cors`, in seconds.
pub(crate) const CORS_MAX_AGE: i64 = 5;
/// APISIX's `ret_code`.
pub(crate) const REDIRECT_STATUS: i64 = 302;
/// Bytes of a body that filters search: more than pages have, and few enough to be searched within milliseconds.
pub(crate) const FILTER_BODY_BYTES: u64 = 1 << 20;
/// nginx's, of a `return` with a text.
pub(crate) const RETURN_STATUS: i64 = 200;
/// Of bodies in the configuration: nginx's `default_type`, with the encoding that a file of TOML has.
pub(crate) const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
/// APISIX's.
pub(crate) const SPLIT_WEIGHT: i64 = 1;
/// Envoy's `max_pending_requests`.
pub(crate) const QUEUE_SIZE: i64 = 1_024;
/// As HAProxy's `timeout queue`, which is its time to connect unless it is set.
pub(crate) const QUEUE_TIMEOUT: Duration = CONNECT_TIMEOUT;

/// Envoy's: with less than half of the nodes, each would get more than twice its load.
pub(crate) const PANIC_THRESHOLD: i64 = 50;
/// APISIX's: one failure may be chance.
pub(crate) const TCP_FAILURES: i64 = 2;
/// As for connections: each wait costs a client its time. APISIX has 7, which is 7 minutes at its 60 s.
pub(crate) const TIMEOUTS: i64 = 2;
/// APISIX's.
pub(crate) const HTTP_FAILURES: i64 = 5;
/// The statuses of a gateway whose own upstream fails, as Envoy's `consecutive_gateway_failure`. Not 500: a
/// client could set nodes aside by asking for what fails.
pub(crate) const FAILING_STATUSES: [u16; 3] = [502, 503, 504];
/// nginx's.
pub(crate) const FAIL_TIMEOUT: Duration = Duration::from_secs(10);
/// Envoy's.
pub(crate) const MAX_EJECTION_TIME: Duration = Duration::from_secs(300);
/// Envoy's `interval`.
pub(crate) const OUTLIER_INTERVAL: Duration = Duration::from_secs(10);
/// Envoy's `success_rate_minimum_hosts`.
pub(crate) const OUTLIER_MIN_NODES: i64 = 5;
/// Envoy's `success_rate_request_volume`.
pub(crate) const OUTLIER_MIN_REQUESTS: i64 = 100;
/// Envoy's.
pub(crate) const SUCCESS_RATE_STDEV_FACTOR: i64 = 1_900;
/// Envoy's `failure_percentage_threshold`.
pub(crate) const FAILURE_PERCENTAGE: i64 = 85;
/// Envoy has nothing of the kind. Nodes of different age or load differ by less.
pub(crate) const LATENCY_FACTOR: i64 = 3;
/// One is a pause, a deployment or a cold cache.
pub(crate) const LATENCY_INTERVALS: i64 = 3;
/// Few users notice less, and a node in another zone is that much slower than its neighbours.
pub(crate) const LATENCY_MIN: Duration = Duration::from_millis(50);
/// One request that is answered tells more than any number of failures before it.
pub(crate) const SUCCESSES: i64 = 1;

/// APISIX's. A node that needs longer for a check needs longer for requests.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// APISIX's.
pub(crate) const CHECK_CONCURRENCY: i64 = 10;
/// APISIX's, for nodes that work and for those that do not.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// APISIX's.
pub(crate) const CHECK_PASSING_STATUSES: [u16; 2] = [200, 302];
/// APISIX's.
pub(crate) const CHECK_SUCCESSES: i64 = 2;
/// APISIX's.
pub(crate) const CHECK_HTTP_FAILURES: i64 = 5;
/// APISIX's.
pub(crate) const CHECK_TCP_FAILURES: i64 = 2;
/// APISIX's.
pub(crate) const CHECK_TIMEOUTS: i64 = 3;
/// Three connections that are not answered; nginx and APISIX know no limit, and a client has left long before.
pub(crate) const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
/// What Envoy and linkerd allow: 20 of a hundred.
pub(crate) const RETRY_PERCENT: i64 = 20;
/// Forms and documents; what is larger is a file, and nginx, which holds all of a request, puts it on disk. A core
/// holds this for each upload that may be sent again and is under way.
pub(crate) const RETRY_BUFFER: u64 = 64 * 1_024;
/// Envoy's 3: where there are few requests, each counts.
pub(crate) const RETRY_MIN_PER_SECOND: i64 = 3;

/// `client.addrs_message`: APISIX's.
pub(crate) const ADDRS_MESSAGE: &str = "Your IP address is not allowed";

/// `request_id.header_name`: APISIX's.
pub(crate) const REQUEST_ID_HEADER: &str = "X-Request-Id";
/// `request_id.range_id.char_set`: APISIX's.
pub(crate) const RANGE_ID_CHARS: &str =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// `crl_fetch.refresh`. Most lists are issued for a day or more; who asks whether there is a new one costs a
/// server little.
pub(crate) const CRL_REFRESH: Duration = Duration::from_secs(3_600);
/// `crl_fetch.timeout`: a list of some MiB over a slow line.
pub(crate) const CRL_TIMEOUT: Duration = Duration::from_secs(30);
/// `crl_fetch.max_size`: two million entries. The largest lists in use have some 10 MiB.
pub(crate) const CRL_SIZE_MAX: u64 = 64 << 20;
