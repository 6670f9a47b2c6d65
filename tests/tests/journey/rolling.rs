//! A stop followed by a start, under load: clients that connect for each request see answers and, for a
//! moment, refusals, but no connection that was accepted and then lost.
//!
//! For longer, and with nginx in the same run:
//! `cargo test -p ferrule-tests --test journey rolling -- --ignored --nocapture`

#![expect(clippy::print_stdout, reason = "the counts are for the reader")]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Nginx, PATIENCE, Setup, Shape, Upstream, echo, free_port,
    on_both_drivers, poll, raw, scratch,
};
use rustix::process::Signal;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@plain@"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Clients of each kind.
const CLIENTS: usize = 3;

/// How long each process serves before the next stop.
const BETWEEN: Duration = Duration::from_millis(100);

/// Where the clients connect.
#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    secure: u16,
}

/// What became of the connections of one kind of client.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    /// Nobody listened: the client knows at once, and nothing was sent.
    refused: AtomicU64,
    /// The kernel took the connection, and there was no whole answer.
    lost: AtomicU64,
}

/// Of clients without TLS and with it.
#[derive(Debug, Default)]
struct Seen {
    plain: Counts,
    tls: Counts,
}

impl Counts {
    fn count(&self, result: Result<u16, ErrorKind>) {
        let which = match result {
            Ok(200) => &self.answered,
            Err(ErrorKind::ConnectionRefused) => &self.refused,
            Ok(_) | Err(_) => &self.lost,
        };
        which.fetch_add(1, Ordering::Relaxed);
        if matches!(result, Err(ErrorKind::ConnectionRefused)) {
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Answered, refused, lost.
    fn all(&self) -> [u64; 3] {
        [&self.answered, &self.refused, &self.lost].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Seen {
    fn check(&self) {
        for counts in [&self.plain, &self.tls] {
            let [answered, _, lost] = counts.all();
            assert!(answered > 0 && lost == 0, "{self:?}");
        }
    }
}

fn plain(port: u16) -> Result<u16, ErrorKind> {
    let mut raw = raw::try_plain(port).map_err(|error| error.kind())?;
    raw.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        .map_err(|error| error.kind())?;
    raw.response("GET").map(|response| response.status()).map_err(|error| error.kind())
}

fn secure(dial: &Dial, port: u16) -> Result<u16, ErrorKind> {
    dial.get(port, "a.test", "/").map(|response| response.status()).map_err(|error| error.kind())
}

/// Runs clients for as long as `work` takes.
fn under_load(ports: Ports, work: impl FnOnce()) -> Seen {
    let (seen, over) = (Seen::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    seen.plain.count(plain(ports.plain));
                }
            });
            scope.spawn(|| {
                let dial = Dial::new(Some("a.test"));
                while !over.load(Ordering::Relaxed) {
                    seen.tls.count(secure(&dial, ports.secure));
                }
            });
        }
        // A panic in here must end the clients, too.
        let _over = SetOnDrop(&over);
        work();
    });
    seen
}

struct SetOnDrop<'f>(&'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two ports that belong to one gateway after the other.
struct Place {
    scratch: tempfile::TempDir,
    upstream: Upstream,
    ports: Ports,
}

fn place() -> Place {
    let scratch = scratch();
    let authority = Authority::new("ca");
    authority.server(&["a.test"]).write(scratch.path(), "server");
    let ports = Ports { plain: free_port(), secure: free_port() };
    Place { scratch, upstream: Upstream::plain(echo()), ports }
}

impl Place {
    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn setup(&self, driver: Driver) -> Setup {
        Setup::new(self.dir(), driver, CONFIG)
            .runtime(&format!("workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n"))
            .set("upstream", &self.upstream.port)
            .set("plain", &self.ports.plain)
            .set("secure", &self.ports.secure)
            .quiet()
    }

    /// Stops and starts so many times; the new process starts while the old one still drains, because of a
    /// client in the middle of a request.
    fn roll(&self, driver: Driver, times: usize) -> Seen {
        let setup = self.setup(driver);
        let mut current: Gateway = setup.clone().start();
        let seen = under_load(self.ports, || {
            for number in 0..times {
                // Half a request: the drain waits for the rest.
                let mut half = raw::plain(self.ports.plain);
                half.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: clo").expect("room");
                poll(BETWEEN, || None::<()>);
                current.process.signal(Signal::TERM);
                let next = setup.clone().named(&format!("next-{number}")).start();
                let mut old = std::mem::replace(&mut current, next);
                assert!(old.process.exited().is_none(), "it still drains: {}", old.log());
                half.send(b"se\r\n\r\n").expect("the old process");
                assert_eq!(half.response("GET").expect("an answer").status(), 200);
                drop(half);
                assert!(old.wait(PATIENCE).success(), "{}", old.log());
            }
        });
        assert!(current.stop().success());
        seen
    }

    /// The same with nginx.
    fn roll_nginx(&self, times: usize) -> Seen {
        let (dir, ports) = (self.dir().display(), self.ports);
        let http = format!(
            "server {{ listen 127.0.0.1:{}; listen 127.0.0.1:{} ssl; ssl_certificate \
             {dir}/server.crt; ssl_certificate_key {dir}/server.key; location / {{ proxy_pass \
             http://127.0.0.1:{}; }} }}",
            ports.plain, ports.secure, self.upstream.port
        );
        let start = || Nginx::start(self.dir(), ports.plain, &http, Shape::MasterAndWorker);
        let mut current = start();
        under_load(ports, || {
            for _ in 0..times {
                poll(BETWEEN, || None::<()>);
                current.process.signal(Signal::QUIT);
                let next = start();
                let mut old = std::mem::replace(&mut current, next);
                assert!(old.process.wait(PATIENCE).is_some(), "nginx ends");
            }
        })
    }
}

on_both_drivers! {
    fn a_stop_followed_by_a_start_loses_nothing(driver) {
        place().roll(driver, 3).check();
    }
}

#[test]
#[ignore = "a figure beside nginx's, which takes a minute"]
fn rolling_beside_nginx() {
    const TIMES: usize = 30;
    for driver in [Driver::IoUring, Driver::Epoll] {
        let seen = place().roll(driver, TIMES);
        print_counts(&driver.to_string(), &seen);
        seen.check();
    }
    print_counts("nginx", &place().roll_nginx(TIMES));
}

fn print_counts(name: &str, seen: &Seen) {
    for (kind, counts) in [("plain", &seen.plain), ("TLS", &seen.tls)] {
        let [answered, refused, lost] = counts.all();
        println!("{name}, {kind}: {answered} answered, {refused} refused, {lost} lost");
    }
}
