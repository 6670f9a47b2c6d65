//! Listening sockets that end, by a stop or a reload: nothing that arrived before is lost, what comes
//! later is refused at once, and the address is free for the next process.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, echo, free_port, now,
    on_both_drivers, poll, raw, scratch,
};
use ferrule_tools::process::Process;
use ferrule_tools::{haproxy, nginx};
use rustix::process::Signal;

use crate::PLAIN;

const TWO_LISTENERS: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[listen]]
address = "127.0.0.1:@second@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Two cores, so that there are two sockets for each address.
fn setup(dir: &Path, driver: Driver, text: &str, upstream: &Upstream) -> Setup {
    Setup::new(dir, driver, text)
        .runtime(&format!("workers = 2\ncpu_affinity = false\nio_driver = \"{driver}\"\n"))
        .set("upstream", &upstream.port)
}

/// What became of a new connection with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Attempt {
    Answered,
    /// Nobody listens: the client knows, and may try another gateway.
    Refused,
    /// The kernel has taken the connection, and there was no answer.
    Lost(ErrorKind),
}

fn attempt(port: u16) -> Attempt {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Attempt::Refused,
        Err(error) => return Attempt::Lost(error.kind()),
    };
    match request(stream) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Attempt::Answered,
        Ok(_) => Attempt::Lost(ErrorKind::UnexpectedEof),
        Err(error) => Attempt::Lost(error.kind()),
    }
}

fn request(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Binds as nginx does, without `SO_REUSEPORT`; the standard library sets `SO_REUSEADDR`.
fn can_bind(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Answers `/held` only when told to, and everything else at once.
fn held(gate: &Arc<AtomicBool>) -> Script {
    let gate = Arc::clone(gate);
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            if request.head.target() == "/held" {
                poll(PATIENCE, || gate.load(Ordering::SeqCst).then_some(()));
            }
            if !client.answer(b"here") {
                return;
            }
        }
    })
}

/// A request that keeps a drain waiting.
fn in_flight(gateway: &Gateway, upstream: &Upstream) -> raw::Raw {
    let before = upstream.seen().len();
    let mut raw = raw::plain(gateway.port("front"));
    raw.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
    poll(PATIENCE, || (upstream.seen().len() > before).then_some(())).expect("it arrives");
    raw
}

/// Connections that the kernel has accepted and that no core has seen: the process stands still.
fn queued(gateway: &Gateway, port: u16, count: usize) -> Vec<TcpStream> {
    gateway.process.signal(Signal::STOP);
    let connect = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("room");
        stream
    };
    std::iter::repeat_with(connect).take(count).collect()
}

fn answers(queued: Vec<TcpStream>) -> usize {
    let answered = queued.into_iter().filter_map(|mut stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 ").then_some(())
    });
    answered.count()
}

/// What a process says once it has what another one had.
const OPENED: [&str; 2] = [
    "the admin socket of the former process is open here now",
    "the metrics endpoint of the former process is open here now",
];

/// With metrics, and an admin socket `ctl.sock`.
fn with_endpoints(dir: &Path, driver: Driver, upstream: &Upstream) -> Setup {
    let socket = dir.join("ctl.sock").display().to_string();
    let text = format!(
        "{PLAIN}\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n[admin]\nsocket = {socket:?}\n"
    );
    let setup = setup(dir, driver, &text, upstream);
    setup.set("front", &free_port()).set("metrics", &free_port())
}

on_both_drivers! {
    /// While a request keeps the drain waiting: every connection is answered or refused, soon it is
    /// refused, and then another process can have the address.
    fn a_drain_refuses_new_connections_and_frees_the_address(driver) {
        for signal in [Signal::TERM, Signal::QUIT, Signal::INT] {
            let gate = Arc::new(AtomicBool::new(false));
            let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
            let mut gateway = setup(scratch.path(), driver, PLAIN, &upstream).start();
            let mut raw = in_flight(&gateway, &upstream);
            let port = gateway.port("front");
            gateway.process.signal(signal);
            let start = now();
            let refused = poll(PATIENCE, || match attempt(port) {
                Attempt::Answered => None,
                Attempt::Refused => Some(()),
                lost @ Attempt::Lost(_) => unreachable!("{lost:?}\n{}", gateway.log()),
            });
            assert!(refused.is_some(), "{}", gateway.log());
            poll(PATIENCE, || can_bind(port).then_some(())).expect("the address is free");
            // The kernel of a machine that is not overloaded needs some 30 ms for both.
            assert!(start.elapsed() < Duration::from_secs(2), "{}", gateway.log());
            for _ in 0..20 {
                assert_eq!(attempt(port), Attempt::Refused);
            }
            assert!(gateway.process.exited().is_none(), "{}", gateway.log());
            gate.store(true, Ordering::SeqCst);
            assert_eq!(raw.response("GET").expect("a response").status(), 200);
            drop(raw);
            assert!(gateway.wait(PATIENCE).success(), "{}", gateway.log());
        }
    }

    /// The signal comes while connections wait in the accept queues.
    fn what_waits_to_be_accepted_is_served(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        for _ in 0..5 {
            let mut gateway = setup(scratch.path(), driver, PLAIN, &upstream).start();
            let queued = queued(&gateway, gateway.port("front"), 100);
            gateway.process.signal(Signal::TERM);
            gateway.process.signal(Signal::CONT);
            assert_eq!(answers(queued), 100, "{}", gateway.log());
            assert!(gateway.wait(PATIENCE).success(), "{}", gateway.log());
        }
    }

    /// A listener that a reload removes ends as gently, and its address can be had again.
    fn a_listener_that_is_removed_loses_nothing(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = setup(scratch.path(), driver, TWO_LISTENERS, &upstream).start();
        let second = gateway.port("second");
        for _ in 0..5 {
            let queued = queued(&gateway, second, 100);
            gateway.rewrite(PLAIN);
            gateway.process.signal(Signal::HUP);
            gateway.process.signal(Signal::CONT);
            assert_eq!(answers(queued), 100, "{}", gateway.log());
            let gone = poll(PATIENCE, || (attempt(second) == Attempt::Refused).then_some(()));
            assert!(gone.is_some(), "{}", gateway.log());
            poll(PATIENCE, || can_bind(second).then_some(())).expect("the address is free");
            assert_eq!(attempt(gateway.port("front")), Attempt::Answered);
            assert_eq!(gateway.reload(TWO_LISTENERS), Reloaded::Taken, "{}", gateway.log());
            poll(PATIENCE, || (attempt(second) == Attempt::Answered).then_some(()))
                .expect("it is back");
        }
        assert!(gateway.stop().success(), "{}", gateway.log());
    }

    /// A process that drains keeps its metrics and its admin socket. The next one starts all the same, and
    /// has them when the old one has ended.
    fn a_start_during_a_drain_gets_the_endpoints_later(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let socket = scratch.path().join("ctl.sock");
        let setup = with_endpoints(scratch.path(), driver, &upstream);
        let mut old = setup.clone().start();
        let mut raw = in_flight(&old, &upstream);
        old.process.signal(Signal::TERM);
        let mut new = setup.named("new").start();
        assert_eq!(attempt(new.port("front")), Attempt::Answered);
        for key in ["metrics.listen", "admin.socket"] {
            assert!(new.log().contains(key), "{}", new.log());
        }
        gate.store(true, Ordering::SeqCst);
        assert_eq!(raw.response("GET").expect("a response").status(), 200);
        drop(raw);
        assert!(old.wait(PATIENCE).success(), "{}", old.log());
        new.process.wait_for_output(0, "that it has them", |text| {
            OPENED.iter().all(|opened| text.contains(opened))
        });
        assert!(socket.exists());
        let metrics = TcpStream::connect((Ipv4Addr::LOCALHOST, new.port("metrics")));
        assert!(metrics.is_ok(), "{}", new.log());
        assert!(new.stop().success(), "{}", new.log());
        assert!(!socket.exists());
    }

    /// What stands in the way of one of the two is no business of the other.
    fn an_endpoint_that_cannot_be_opened_costs_no_other_one(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let socket = scratch.path().join("ctl.sock");
        let setup = with_endpoints(scratch.path(), driver, &upstream);
        let mut old = setup.clone().start();
        let mut raw = in_flight(&old, &upstream);
        old.process.signal(Signal::TERM);
        let mut new = setup.named("new").start();
        std::fs::remove_file(&socket).expect("the old process's");
        std::fs::write(&socket, "precious").expect("a writable directory");
        let given_up = "it stays closed until the next reload (SIGHUP)";
        new.process.wait_for_output(0, "that one stays closed", |text| text.contains(given_up));
        gate.store(true, Ordering::SeqCst);
        assert_eq!(raw.response("GET").expect("a response").status(), 200);
        drop(raw);
        assert!(old.wait(PATIENCE).success(), "{}", old.log());
        let [admin, metrics] = OPENED;
        new.process.wait_for_output(0, "that it has the other one", |text| text.contains(metrics));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, new.port("metrics"))).is_ok());
        let log = new.log();
        assert!(log.matches(given_up).count() == 1 && !log.contains(admin), "{log}");
        std::fs::remove_file(&socket).expect("ours");
        assert_eq!(new.signal_reload(), Reloaded::Taken);
        assert!(socket.exists());
        assert!(new.stop().success(), "{}", new.log());
    }

    /// The second signal ends everything at once, the address too.
    fn a_second_signal_frees_the_address(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let mut gateway = setup(scratch.path(), driver, PLAIN, &upstream).start();
        let _raw = in_flight(&gateway, &upstream);
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        gateway.process.signal(Signal::TERM);
        gateway.wait(PATIENCE);
        assert!(can_bind(gateway.port("front")));
        gate.store(true, Ordering::SeqCst);
    }

    /// After any end of a process, the next one gets its address: the kernel lets go of the sockets of
    /// an `io_uring` a moment after its process has ended.
    fn a_restart_is_never_refused(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let setup = setup(scratch.path(), driver, PLAIN, &upstream).set("front", &free_port());
        for signal in [Signal::KILL, Signal::TERM] {
            for _ in 0..20 {
                let mut gateway = setup.clone().start();
                let port = gateway.port("front");
                let open = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
                let _open: Vec<_> = std::iter::repeat_with(open).take(20).collect();
                assert_eq!(attempt(port), Attempt::Answered);
                // No pause between the end of one and the start of the next.
                if signal == Signal::KILL {
                    gateway.process.kill();
                } else {
                    gateway.process.signal(signal);
                    gateway.wait(PATIENCE);
                }
            }
        }
    }

    /// A process that really listens there is named, and the start is refused without much waiting.
    fn an_address_in_use_is_refused_with_its_owner(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = setup(scratch.path(), driver, PLAIN, &upstream).start();
        let again = setup(scratch.path(), driver, PLAIN, &upstream)
            .named("again")
            .set("front", &gateway.port("front"));
        let start = now();
        let (status, output) = again.run_to_end();
        assert_eq!(status.code(), Some(3), "{output}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let owner = format!("another process listens there: ferrule (process {})", gateway.process.id());
        assert!(output.contains(&owner), "{output}");
    }

    /// `SO_REUSEPORT` alone would let any program of the same user take a share of the connections.
    fn no_other_program_can_take_a_share(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = setup(scratch.path(), driver, PLAIN, &upstream).start();
        takes_nothing(&gateway, scratch.path(), "front");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        takes_nothing(&gateway, scratch.path(), "front");
        assert_eq!(gateway.reload(TWO_LISTENERS), Reloaded::Taken, "{}", gateway.log());
        takes_nothing(&gateway, scratch.path(), "front");
        takes_nothing(&gateway, scratch.path(), "second");
        let wide = TWO_LISTENERS.replace("127.0.0.1:@second@", "0.0.0.0:@front@");
        assert_eq!(gateway.reload(&wide), Reloaded::Taken, "{}", gateway.log());
        takes_nothing(&gateway, scratch.path(), "front");
        assert!(gateway.stop().success(), "{}", gateway.log());
    }
}

on_both_drivers! {
    /// Where Linux leaves a gap, the error log says that somebody takes a share: an IPv6 wildcard that
    /// takes IPv4 cannot be held against `SO_REUSEPORT`.
    fn a_program_that_takes_a_share_is_reported(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let wide = PLAIN.replace("\"127.0.0.1:@front@\"", "\"[::]:@front@\"\nipv6only = false");
        let mut gateway = setup(scratch.path(), driver, &wide, &upstream).start();
        let file = scratch.path().join("other.py");
        std::fs::write(&file, bare("::", gateway.port("front"))).expect("a writable directory");
        let mut command = Command::new("python3");
        command.arg(&file);
        let mut other = Process::start(command, &scratch.path().join("other.log"));
        let reported = format!("and gets a part of the connections: python3 (process {})", other.id());
        gateway.process.wait_for_output(0, "who else listens", |text| text.contains(&reported));
        assert!(other.exited().is_none(), "{}", other.output());
        other.kill();
    }
}

/// A program that listens with `SO_REUSEPORT`.
fn bare(address: &str, port: u16) -> String {
    let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
    format!(
        "import socket, time\ns = socket.socket(socket.{family})\nfor option in \
         (socket.SO_REUSEADDR, socket.SO_REUSEPORT):\n  s.setsockopt(socket.SOL_SOCKET, option, 1)\n\
         s.bind(('{address}', {port}))\ns.listen()\ntime.sleep(60)\n"
    )
}

/// HAProxy, nginx and a bare socket try to listen beside the gateway; then every answer is still its.
fn takes_nothing(gateway: &Gateway, dir: &Path, name: &str) {
    let port = gateway.port(name);
    for address in ["127.0.0.1", "0.0.0.0"] {
        let haproxy = format!(
            "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
             frontend f\n  bind {address}:{port}\n  http-request return status 418\n"
        );
        let nginx = format!(
            "daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
             http {{ access_log off; server {{ listen {address}:{port} reuseport; return 418; }} }}\n",
            dir.display()
        );
        let programs = [
            (haproxy::binary(), ["-db", "-f"], haproxy),
            (nginx::binary(), ["-q", "-c"], nginx),
            ("python3".into(), ["-u", "-B"], bare(address, port)),
        ];
        for (program, arguments, text) in programs {
            let file = dir.join("other.conf");
            std::fs::write(&file, text).expect("a writable directory");
            let mut command = Command::new(&program);
            command.args(arguments).arg(&file);
            let program = program.display();
            let mut other = Process::start(command, &dir.join("other.log"));
            let status = other.wait(PATIENCE);
            let failed = status.is_some_and(|status| !status.success());
            assert!(failed, "{program} on {address}: {status:?}\n{}", other.output());
        }
    }
    for _ in 0..50 {
        assert_eq!(attempt(port), Attempt::Answered);
    }
}
