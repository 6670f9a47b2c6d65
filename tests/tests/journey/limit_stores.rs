//! `[[stores]]` (docs/request-limits.md): gateways that count requests together, and what they do when the store is
//! away, slow or lies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, Message, PATIENCE, Reloaded, Setup, Upstream, echo, free_port, now,
    on_both_drivers, poll, raw, scratch, shell,
};
use ferrule_tools::redis::Redis;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::write_ca;

/// `/strict` is refused without its store, `/loose` is counted alone then, `/free` has no limit.
const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[metrics]
listen = "127.0.0.1:@metrics@"

[[upstreams]]
id = "far"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[stores]]
id = "shared"
sync_interval = "20ms"
STORE

[[routes]]
uri = "/strict"
upstream_id = "far"
limits.requests = { count = 20, window = "1h", window_type = "WINDOW", key = "$http_x_user", status = 429, group = "strict", store = "shared" }

[[routes]]
uri = "/loose"
upstream_id = "far"
limits.requests = { count = 20, window = "1h", key = "$http_x_user", status = 429, group = "loose", store = "shared", allow_degradation = true }

[[routes]]
uri = "/free"
upstream_id = "far"
"#;

/// A gateway, with a directory of its own.
struct StoreGateway {
    gateway: Gateway,
    dir: TempDir,
}

fn text(store: &str, window: &str) -> String {
    CONFIG.replace("STORE", store).replace("WINDOW", window)
}

fn at(port: u16) -> String {
    format!("nodes = \"127.0.0.1:{port}\"")
}

fn start(driver: Driver, upstream: u16, store: &str, window: &str) -> StoreGateway {
    start_with(driver, upstream, store, window, |_| {})
}

fn start_with(
    driver: Driver,
    upstream: u16,
    store: &str,
    window: &str,
    files: impl Fn(&Path),
) -> StoreGateway {
    let dir = scratch();
    files(dir.path());
    let runtime = format!("workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
    let setup = Setup::new(dir.path(), driver, &text(store, window)).runtime(&runtime);
    StoreGateway { gateway: setup.set("upstream", &upstream).start(), dir }
}

impl StoreGateway {
    fn get(&self, target: &str, user: &str) -> Message {
        let mut client = raw::plain(self.gateway.port("front"));
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-User: {user}\r\n\r\n");
        client.send(head.as_bytes()).expect("a gateway");
        client.response("GET").expect("an answer")
    }

    fn status(&self, target: &str) -> u16 {
        self.get(target, "alice").status()
    }

    /// How many of so many requests pass.
    fn passed(&self, target: &str, asked: usize) -> usize {
        (0..asked).filter(|_| self.status(target) == 200).count()
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let answer = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics");
        Exposition::read(&answer.text()).sum(name, labels)
    }

    fn is_up(&self) -> bool {
        self.metric("ferrule_limit_store_up", &[("store", "shared")]) > 0.5
    }

    /// Counts that the store has answered to.
    fn told(&self) -> f64 {
        self.metric("ferrule_limit_store_keys_total", &[])
    }

    fn exchanges(&self, result: &str) -> f64 {
        self.metric("ferrule_limit_store_exchanges_total", &[("result", result)])
    }

    /// The answer to a request, after which the store has been told and has answered.
    fn heard(&self, target: &str) -> u16 {
        // Nothing is under way that was asked for before.
        let (mut seen, mut since) = (self.told(), now());
        let quiet = poll(PATIENCE, || {
            let told = self.told();
            if told > seen {
                (seen, since) = (told, now());
            }
            (since.elapsed() > Duration::from_millis(300)).then_some(())
        });
        assert!(quiet.is_some(), "{}", self.gateway.log());
        let status = self.status(target);
        assert!(until(|| self.told() > seen), "{}", self.gateway.log());
        status
    }

    fn is_ready(&self) -> &Self {
        assert!(until(|| self.exchanges("done") > 0.5), "{}", self.gateway.log());
        self
    }
}

fn left(answer: &Message) -> usize {
    let text = answer.head.get("X-RateLimit-Remaining");
    text.and_then(|text| text.parse().ok()).expect("a number")
}

fn until(is: impl Fn() -> bool) -> bool {
    poll(PATIENCE, || is().then_some(())).is_some()
}

/// Two gateways and a limit of 20: all of it is given, and beyond it only what a gateway lets pass before it hears of
/// the other.
fn two_count_together(driver: Driver, window: &str) {
    let (dir, upstream) = (scratch(), Upstream::plain(echo()));
    let redis = Redis::start(dir.path(), free_port(), &[]);
    let (one, two) = (
        start(driver, upstream.port, &at(redis.port), window),
        start(driver, upstream.port, &at(redis.port), window),
    );
    one.is_ready();
    two.is_ready();
    assert_eq!(one.passed("/strict", 9), 9);
    assert_eq!(one.heard("/strict"), 200);
    assert_eq!(two.heard("/strict"), 200, "it knows of its own alone");
    let answer = two.get("/strict", "alice");
    assert_eq!((answer.status(), left(&answer)), (200, 8), "ten there, two here");
    assert_eq!(two.passed("/strict", 20), 8);
    // 20 have passed. The first gateway knows of ten or eleven, and hears of the others with its next request.
    let beyond = usize::from(one.heard("/strict") == 200);
    assert!(beyond <= 1 && one.passed("/strict", 5) == 0 && two.passed("/strict", 5) == 0);
    assert_eq!(upstream.seen().len(), 20 + beyond, "the error is what one interval brings");
    assert_eq!(one.get("/strict", "bob").status(), 200, "another key");
}

/// A server that answers PING as it should, and then this to everything.
fn liar(lie: &'static [u8], endless: bool) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("a port").port();
    // Ends with the process of the test.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut buffer = [0; 8_192];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    let asked = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    let lies = asked.contains("EVALSHA");
                    let commands = asked.matches("AUTH").count() + asked.matches("PING").count();
                    let pong = b"+PONG\r\n".repeat(commands);
                    let answer = if lies { lie } else { &pong };
                    while stream.write_all(answer).is_ok() && lies && endless {}
                }
            });
        }
    });
    port
}

on_both_drivers! {
    fn two_gateways_count_together_in_a_fixed_window(driver) {
        two_count_together(driver, "fixed");
    }

    fn two_gateways_count_together_in_a_sliding_window(driver) {
        two_count_together(driver, "sliding");
    }

    /// What a gateway has let pass stays counted when it is gone.
    fn a_gateway_is_killed(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let redis = Redis::start(dir.path(), free_port(), &[]);
        let mut one = start(driver, upstream.port, &at(redis.port), "fixed");
        one.is_ready();
        assert_eq!(one.passed("/strict", 14), 14);
        assert_eq!(one.heard("/strict"), 200);
        one.gateway.process.kill();
        let two = start(driver, upstream.port, &at(redis.port), "fixed");
        assert_eq!(two.is_ready().heard("/strict"), 200);
        assert_eq!(two.passed("/strict", 20), 4, "15 and 1 have passed");
    }

    /// Without the store, strict limits are refused and loose ones counted alone; what has no limit is not touched. When
    /// it is back, empty, it is told everything again.
    fn a_store_is_killed_and_comes_back(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let mut redis = Redis::start(dir.path(), free_port(), &[]);
        let one = start(driver, upstream.port, &at(redis.port), "fixed");
        let two = start(driver, upstream.port, &at(redis.port), "fixed");
        two.is_ready();
        assert_eq!(one.is_ready().passed("/strict", 9), 9);
        assert_eq!(one.heard("/strict"), 200);
        redis.process.kill();
        assert!(until(|| !one.is_up() && !two.is_up()), "{}", one.gateway.log());
        let refused = one.get("/strict", "alice");
        assert_eq!(refused.status(), 503);
        let counted = || one.metric("ferrule_refusals_total", &[("reason", "limit-store-away")]) > 0.5;
        assert!(until(counted), "{}", one.gateway.log());
        assert_eq!((one.status("/free"), one.passed("/loose", 30)), (200, 20));
        let told = one.gateway.log().matches("counts are not exchanged").count();
        assert!((1..=3).contains(&told), "once for each reason: {}", one.gateway.log());
        let port = redis.port;
        drop(redis);
        let _again = Redis::start(dir.path(), port, &[]);
        assert!(until(|| one.is_up() && two.is_up()), "{}", one.gateway.log());
        assert_eq!(one.heard("/strict"), 200);
        assert_eq!(two.heard("/strict"), 200);
        assert_eq!(two.passed("/strict", 20), 8, "eleven and one have passed");
        assert!(one.gateway.log().contains("store shared: counts are exchanged"));
    }

    /// A store that takes connections and says nothing: nobody waits for it.
    fn a_store_that_stands_still_holds_up_nobody(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let redis = Redis::start(dir.path(), free_port(), &[]);
        let store = format!("{}\ntimeout = \"8s\"", at(redis.port));
        let one = start(driver, upstream.port, &store, "fixed");
        one.is_ready();
        redis.process.signal(Signal::STOP);
        let began = now();
        let statuses: Vec<_> = (0..100).map(|at| one.get("/strict", &at.to_string()).status()).collect();
        let took = began.elapsed();
        redis.process.signal(Signal::CONT);
        // A hundred requests that each waited for it, or one that did, would take as long as it may.
        assert!(statuses.iter().all(|status| *status == 200) && took < Duration::from_secs(8), "{took:?}");
        // One that stands still for good is away.
        let hasty = start(driver, upstream.port, &format!("{}\ntimeout = \"50ms\"", at(redis.port)), "fixed");
        hasty.is_ready();
        redis.process.signal(Signal::STOP);
        assert!(until(|| !hasty.is_up()));
        assert_eq!((hasty.status("/strict"), hasty.status("/loose"), hasty.status("/free")), (503, 200, 200));
        assert!(until(|| hasty.exchanges("timeout") > 0.5), "{}", hasty.gateway.log());
        redis.process.signal(Signal::CONT);
        assert!(until(|| hasty.is_up()));
        assert_eq!(hasty.status("/strict"), 200);
    }

    /// Whatever it answers: it is a fault with a reason, and the gateway serves.
    fn a_store_that_lies_is_away(driver) {
        let upstream = Upstream::plain(echo());
        for (lie, endless, result) in [
            (&b"hello\r\n"[..], false, "nonsense"),
            (b"*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n", true, "nonsense"),
            (b"*5\r\n:9007199254740993\r\n:1\r\n:1\r\n:0\r\n:0\r\n", false, "nonsense"),
            (b"*5\r\n:1700000000000\r\n:1000\r\n:-1\r\n:0\r\n:0\r\n", false, "nonsense"),
            (b"*5\r\n:1700000000000\r\n:99999999999\r\n:1\r\n:0\r\n:0\r\n", false, "nonsense"),
            (b"*9223372036854775807\r\n", true, "nonsense"),
            (b"$9223372036854775807\r\nx", true, "nonsense"),
            (b"$-7\r\n", false, "nonsense"),
            (b"+OK\r\n", false, "nonsense"),
            (b"-WRONGTYPE s3cret\r\n", false, "refused"),
            (b"-s3cret s3cret\r\n", false, "refused"),
            (b"", false, "timeout"),
        ] {
            let store = format!("{}\ntimeout = \"2s\"\npassword = \"s3cret\"", at(liar(lie, endless)));
            let one = start(driver, upstream.port, &store, "fixed");
            one.is_ready();
            let _ = one.status("/loose");
            let shown = String::from_utf8_lossy(lie).into_owned();
            assert!(until(|| one.exchanges(result) > 0.5), "{shown:?}: {}", one.gateway.log());
            assert_eq!((one.status("/loose"), one.status("/free")), (200, 200), "{shown:?}");
            assert!(!one.gateway.log().contains("s3cret"), "{}", one.gateway.log());
        }
    }

    /// Password and certificate: right ones are taken, wrong ones are told without the secret.
    fn a_store_behind_a_password_and_tls(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let (ca, other) = (Authority::new("stores"), Authority::new("others"));
        ca.server(&["127.0.0.1"]).write(dir.path(), "store");
        write_ca(dir.path(), "ca", &ca);
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (port, cert, key, roots) = (free_port(), path("store.crt"), path("store.key"), path("ca.crt"));
        let text = port.to_string();
        let options = [
            "--tls-port", &text, "--tls-cert-file", &cert, "--tls-key-file", &key,
            "--tls-ca-cert-file", &roots, "--tls-auth-clients", "no", "--requirepass", "s3cret",
        ];
        let _redis = Redis::start(dir.path(), port, &options);
        let files = |dir: &Path| {
            write_ca(dir, "ca", &ca);
            write_ca(dir, "other", &other);
        };
        let store = |password: &str, ca: &str| {
            format!("{}\npassword = \"{password}\"\ntls = {{ ca = \"{ca}.crt\" }}\ndatabase = 2", at(port))
        };
        let mut one = start_with(driver, upstream.port, &store("s3cret", "ca"), "fixed", files);
        assert_eq!(one.is_ready().heard("/strict"), 200);
        // A wrong password, and a certificate of somebody else's.
        assert_eq!(one.gateway.reload(&self::text(&store("wr0ng", "ca"), "fixed")), Reloaded::Taken);
        assert!(until(|| one.exchanges("login") > 0.5), "{}", one.gateway.log());
        assert_eq!(one.gateway.reload(&self::text(&store("s3cret", "other"), "fixed")), Reloaded::Taken);
        assert!(until(|| one.exchanges("tls") > 0.5), "{}", one.gateway.log());
        assert_eq!(one.status("/strict"), 503);
        let log = one.gateway.log();
        assert!(log.contains("user or password is wrong") && !log.contains("wr0ng"), "{log}");
        // And back: what it has let pass before is still counted.
        assert_eq!(one.gateway.reload(&self::text(&store("s3cret", "ca"), "fixed")), Reloaded::Taken);
        assert!(until(|| one.is_up() && one.exchanges("done") > 0.5), "{}", one.gateway.log());
        assert_eq!(one.heard("/strict"), 200);
        assert_eq!(one.passed("/strict", 30), 18);
        assert!(one.dir.path().join("ca.crt").is_file());
    }

    /// After a reload another store counts, which knows of nothing.
    fn a_reload_takes_another_store(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let (first, second) = (
            Redis::start(dir.path(), free_port(), &[]),
            Redis::start(dir.path(), free_port(), &[]),
        );
        let mut one = start(driver, upstream.port, &at(first.port), "fixed");
        assert_eq!(one.is_ready().passed("/strict", 30), 20);
        assert_eq!(one.gateway.reload(&text(&at(second.port), "fixed")), Reloaded::Taken);
        assert!(until(|| one.exchanges("done") > 0.5));
        assert_eq!(one.heard("/strict"), 200);
        let other = start(driver, upstream.port, &at(second.port), "fixed");
        assert_eq!(other.is_ready().heard("/strict"), 200);
        assert_eq!(other.passed("/strict", 30), 18);
    }

    /// Three nodes, of which one is named: each key is counted where the cluster has it.
    fn a_cluster_counts_too(driver) {
        let (dir, upstream) = (scratch(), Upstream::plain(echo()));
        let nodes: Vec<_> = (0..3).map(|_| {
            let port = free_port();
            let file = format!("nodes-{port}.conf");
            Redis::start(dir.path(), port, &["--cluster-enabled", "yes", "--cluster-config-file", &file])
        }).collect();
        let names: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let _ = shell(dir.path(), &format!("redis-cli --cluster create {} --cluster-yes", names.join(" ")));
        let all_know = || nodes.iter().all(|node| {
            shell(dir.path(), &format!("redis-cli -p {} cluster info", node.port)).contains("cluster_state:ok")
        });
        assert!(until(all_know));
        let store = format!("{}\npolicy = \"redis-cluster\"", at(nodes[0].port));
        let (one, two) = (start(driver, upstream.port, &store, "fixed"), start(driver, upstream.port, &store, "fixed"));
        one.is_ready();
        two.is_ready();
        let users: Vec<_> = (0..12).map(|user| format!("user-{user}")).collect();
        let ask_all = |gateway: &StoreGateway| {
            let before = gateway.told();
            let answers: Vec<_> = users.iter().map(|user| left(&gateway.get("/strict", user))).collect();
            assert!(until(|| gateway.told() >= before + 12.0), "{}", gateway.gateway.log());
            answers
        };
        assert_eq!(ask_all(&one), [19; 12]);
        assert_eq!(ask_all(&two), [19; 12], "it has not heard of the other yet");
        assert_eq!(ask_all(&two), [17; 12]);
        let keys = |node: &Redis| shell(dir.path(), &format!("redis-cli -p {} dbsize", node.port));
        assert!(nodes.iter().all(|node| keys(node).trim() != "0"), "{:?}", nodes.iter().map(keys).collect::<Vec<_>>());
    }
}
