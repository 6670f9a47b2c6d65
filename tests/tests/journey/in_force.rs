//! A fresh revocation list comes into force whatever else goes on, and a stop works whatever files do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::zoo::Issuer;
use ferrule_tests::{
    Dial, Driver, Gateway, Leaf, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, raw,
    scratch, shell,
};
use ferrule_tools::process::{Process, ferrule_binary};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use rustls::version::TLS13;

use crate::exhausted::{connect, first_free, limit_descriptors};
use crate::revoke::{self, authority, client, dig, write_list};
use crate::tunnel::{drained, echo_of, echoing};

const ADMIN: &str = "[admin]\nsocket = \"ctl.sock\"\n";

struct Place {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    ca: Issuer,
    bad: Leaf,
}

impl Place {
    fn start(driver: Driver) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let ca = authority(dir);
        let bad = client(dir, &ca, "bad", 3);
        fs::create_dir(dir.join("logs")).expect("a directory");
        fs::write(dir.join("404.html"), "gone").expect("a page");
        let text = format!("{ADMIN}{}", revoke::CONFIG.replace("@client@", revoke::CLIENT));
        let gateway = Setup::new(dir, driver, &text)
            .log_line("access = { path = \"logs/access.log\" }")
            .set("upstream", &upstream.port)
            .start();
        let place = Self { _upstream: upstream, gateway, ca, bad, scratch };
        assert_eq!(place.status(), Some(200));
        place
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// What the client that is to be revoked gets on a new connection; nothing where there is no
    /// descriptor for it.
    fn status(&self) -> Option<u16> {
        let dial = Dial::with(Some("ours.test"), Some(&self.bad), &[&TLS13]);
        let mut raw = dial.connect(self.gateway.port("front")).ok()?;
        raw.send(b"GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n").ok()?;
        raw.response("GET").ok().map(|answer| answer.status())
    }

    /// Writes a list with or without the client, and waits until it counts.
    fn revoke(&self, revoked: bool) {
        write_list(self.dir(), &self.ca, if revoked { &[3] } else { &[] });
        self.counts(revoked);
    }

    fn counts(&self, revoked: bool) {
        let wanted = if revoked { 400 } else { 200 };
        let counts = poll(PATIENCE, || (self.status() == Some(wanted)).then_some(()));
        assert!(counts.is_some(), "revoked: {revoked}\n{}", self.gateway.log());
    }

    fn wait_for(&self, text: &str) {
        let found = poll(PATIENCE, || self.gateway.log().contains(text).then_some(()));
        assert!(found.is_some(), "{text}:\n{}", self.gateway.log());
    }
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
}

fn socket(path: &Path) {
    // Its file stays when it is closed.
    drop(std::os::unix::net::UnixListener::bind(path).expect("a name"));
}

/// What may stand in the place of a file, by mistake or by malice.
struct Intruder {
    name: &'static str,
    put: fn(&Path),
    /// What is said about it.
    words: &'static str,
}

const INTRUDERS: [Intruder; 9] = [
    Intruder { name: "a FIFO", put: fifo, words: "is a FIFO, not a regular file" },
    Intruder { name: "a socket", put: socket, words: "is a socket, not a regular file" },
    Intruder {
        name: "a directory",
        put: |path| fs::create_dir(path).expect("a name"),
        words: "is a directory, not a regular file",
    },
    Intruder {
        name: "a device",
        put: |path| symlink("/dev/zero", path).expect("a name"),
        words: "is a device, not a regular file",
    },
    Intruder {
        name: "a loop",
        put: |path| symlink(path, path).expect("a name"),
        words: "Too many levels of symbolic links",
    },
    Intruder { name: "nothing", put: |_| {}, words: "No such file" },
    Intruder {
        name: "a file without end",
        put: |path| fs::File::create(path).and_then(|file| file.set_len(1 << 40)).expect("a file"),
        words: "is larger than 192 MiB",
    },
    Intruder {
        name: "two lists that were joined",
        put: |path| {
            let list = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----";
            fs::write(path, [list, list].concat()).expect("a file");
        },
        words: "line 3: the first or last line of a block shares its line with other text",
    },
    Intruder {
        name: "a list with another label",
        put: |path| {
            fs::write(path, "-----BEGIN CRL-----\nMAA=\n-----END CRL-----\n").expect("a file");
        },
        words: "line 1: this block is no revocation list (its label: CRL)",
    },
];

on_both_drivers! {
    /// Each is told of, the list before it stays in force, a stop and the next list work.
    fn whatever_stands_in_the_place_of_a_list_holds_nothing_up(driver) {
        let mut place = Place::start(driver);
        let list = place.dir().join("clients.crl");
        for (at, Intruder { name, put, words }) in INTRUDERS.iter().enumerate() {
            let revoked = at % 2 == 0;
            let away = place.dir().join(format!("away-{at}"));
            fs::rename(&list, &away).expect("a rename");
            put(&list);
            place.wait_for(words);
            assert_eq!(place.status(), Some(if revoked { 200 } else { 400 }), "{name}");
            fs::rename(&list, place.dir().join(format!("was-{at}"))).or_else(|error| {
                if *name == "nothing" { Ok(()) } else { Err(error) }
            }).expect("a rename");
            place.revoke(revoked);
        }
        fs::remove_file(&list).expect("the list");
        fifo(&list);
        let status = place.gateway.stop();
        assert!(status.success(), "{status}");
    }

    /// Nothing that belongs to somebody else is touched when a list is read again.
    fn a_list_counts_whatever_is_wrong_beside_it(driver) {
        let place = Place::start(driver);
        let dir = place.dir().to_path_buf();
        // The directory of a log is gone.
        fs::rename(dir.join("logs"), dir.join("away")).expect("a rename");
        place.revoke(true);
        // A file stands in the place of the admin socket.
        fs::rename(dir.join("ctl.sock"), dir.join("other.sock")).expect("a rename");
        fs::write(dir.join("ctl.sock"), "precious").expect("a file");
        place.revoke(false);
        // The configuration is broken, then gone.
        fs::write(dir.join("ferrule.toml"), "[[listen]]\naddress = 7\n").expect("a file");
        place.revoke(true);
        place.gateway.process.signal(Signal::HUP);
        place.wait_for("stays in force");
        fs::remove_file(dir.join("ferrule.toml")).expect("a file");
        place.revoke(false);
        let log = place.gateway.log();
        assert!(!log.contains("changed file refused"), "{log}");
    }

    /// Clients hold every descriptor that there is, and more wait for one.
    fn a_list_counts_without_a_descriptor_left(driver) {
        let place = Place::start(driver);
        let gateway = &place.gateway;
        limit_descriptors(gateway, first_free(gateway) + 3);
        let mut crowd = Vec::new();
        for _ in 0..40 {
            let mut socket = connect(gateway.port("front"));
            // The beginning of a hello: nobody is idle, and nobody makes room.
            socket.write_all(&[22, 3, 1]).expect("a socket that takes bytes");
            crowd.push(socket);
        }
        place.wait_for("out of descriptors");
        for round in 0..3 {
            // The same number of times as before plus one, whatever became of the round before.
            let before = gateway.log().matches("files read again").count();
            write_list(place.dir(), &place.ca, &[3]);
            let taken = || (gateway.log().matches("files read again").count() > before).then_some(());
            assert!(poll(PATIENCE, taken).is_some(), "{round}:\n{}", gateway.log());
        }
        limit_descriptors(gateway, 4_096);
        drop(crowd);
        place.counts(true);
    }

    /// Signals and questions without end: each of them once kept files from being looked at.
    fn a_list_counts_in_a_storm_of_orders(driver) {
        let place = Place::start(driver);
        let socket = place.dir().join("ctl.sock");
        // No reload is taken, and so none reads the list by the way.
        fs::write(place.dir().join("ferrule.toml"), "[[listen]]\naddress = 7\n").expect("a file");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for signal in [Signal::USR1, Signal::HUP] {
                let (over, process) = (&over, &place.gateway.process);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        process.signal(signal);
                        std::thread::park_timeout(Duration::from_millis(20));
                    }
                });
            }
            for question in [r#"{"command":"status"}"#, r#"{"command":"reload","wait":true}"#] {
                let (over, socket) = (&over, &socket);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        if let Ok(mut desk) = UnixStream::connect(socket) {
                            let _ = writeln!(desk, "{question}");
                            let _ = BufReader::new(desk).read_line(&mut String::new());
                        }
                    }
                });
            }
            for revoked in [true, false, true] {
                place.revoke(revoked);
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    /// A tunnel lived as long as the drain did, and the drain waited for the tunnel.
    fn who_is_revoked_during_a_drain_is_sent_away(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let dir = scratch.path();
        let ca = authority(dir);
        let bad = client(dir, &ca, "bad", 3);
        let mut gateway = revoke::tunnels(dir, driver, &upstream, "close");
        let mut tunnel = dig(&gateway, &bad);
        gateway.process.signal(Signal::TERM);
        gateway.process.wait_for_output(0, "that it drains", |text| text.contains("draining"));
        echo_of(&mut tunnel, b"still here");
        write_list(dir, &ca, &[3]);
        assert!(drained(&mut tunnel), "{}", gateway.log());
        let status = gateway.wait(PATIENCE);
        assert!(status.success(), "{status}\n{}", gateway.log());
        assert!(gateway.log().contains("drained in"), "{}", gateway.log());
    }

    /// Three hundred who wait, and one who says stop.
    fn a_stop_goes_before_reloads(driver) {
        let mut place = Place::start(driver);
        let socket = place.dir().join("ctl.sock");
        let waiting: Vec<UnixStream> = (0..300)
            .filter_map(|_| {
                let mut desk = UnixStream::connect(&socket).ok()?;
                desk.write_all(b"{\"command\":\"reload\",\"wait\":true}\n").ok()?;
                place.gateway.process.signal(Signal::HUP);
                Some(desk)
            })
            .collect();
        place.gateway.process.signal(Signal::TERM);
        let status = place.gateway.wait(PATIENCE);
        assert!(status.success(), "{status}");
        let reloads = place.gateway.log().matches("reloaded generation").count();
        assert!(reloads < 300, "{reloads} reloads of 300 orders");
        drop(waiting);
    }
}

/// The limit allows one, and the signal asks for it.
#[test]
fn no_core_file_holds_keys() {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let mut gateway = Setup::new(scratch.path(), Driver::Epoll, crate::PLAIN)
        .under(&["prlimit", "--core=unlimited"])
        .set("upstream", &upstream.port)
        .start();
    gateway.process.signal(Signal::ABORT);
    let status = gateway.wait(PATIENCE);
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped(), "{status}");
}

/// nginx's wish for a new binary, and a log that may not grow any more: the system's answer to either is
/// the end of the process.
#[test]
fn neither_a_habit_nor_a_limit_ends_the_process() {
    const LOG_BYTES_MAX: u64 = 16_384;
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let mut gateway = Setup::new(scratch.path(), Driver::Epoll, crate::PLAIN)
        .log_line("access = { path = \"access.log\", format = '$request_uri' }")
        .under(&["prlimit", &format!("--fsize={LOG_BYTES_MAX}")])
        .set("upstream", &upstream.port)
        .start();
    let target = format!("/{}", "x".repeat(1_000));
    let mut client = raw::plain(gateway.port("front"));
    let log = scratch.path().join("access.log");
    let full = poll(PATIENCE, || {
        assert_eq!(raw::get(&mut client, "x", &target).status(), 200);
        (fs::metadata(&log).ok()?.len() >= LOG_BYTES_MAX).then_some(())
    });
    assert!(full.is_some(), "{}", gateway.process.output());
    for signal in [Signal::USR2, Signal::XFSZ] {
        gateway.process.signal(signal);
        for _ in 0..10 {
            assert_eq!(raw::get(&mut client, "x", &target).status(), 200);
        }
        assert_eq!(gateway.process.exited(), None, "{signal:?}");
    }
    gateway.process.signal(Signal::TERM);
    let status = gateway.wait(PATIENCE);
    assert!(status.success(), "{status} {}", gateway.process.output());
}

/// A key whose pass phrase takes minutes to try stands in for a file that takes long to read.
#[test]
fn signals_are_heard_while_the_first_files_are_read() {
    let scratch = scratch();
    let dir = scratch.path();
    authority(dir);
    shell(
        dir,
        "echo secret > pass && openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 9000000 -in server.key \
         -passout file:pass -out slow.key 2>/dev/null && printf 'wrong%d\\n' 1 2 3 4 5 6 7 8 9 > wrong",
    );
    let text = "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n[[ssls]]\nsni = \"x\"\n\
        cert = \"server.crt\"\nkey = \"slow.key\"\npassword_file = \"wrong\"\n[[routes]]\n\
        uri = \"/*\"\nupstream.nodes = { \"127.0.0.1:9\" = 1 }\n";
    fs::write(dir.join("ferrule.toml"), text).expect("a file");
    let mut command = Command::new(ferrule_binary());
    command.args(["run", "-c"]).arg(dir.join("ferrule.toml"));
    let mut process = Process::start(command, &dir.join("out"));
    let status = format!("/proc/{}/status", process.id());
    let caught = poll(PATIENCE, || {
        let text = fs::read_to_string(&status).ok()?;
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        let wanted = [Signal::HUP, Signal::TERM].map(|signal| 1 << (signal.as_raw() - 1));
        wanted.iter().all(|bit| mask & bit != 0).then_some(())
    });
    assert!(caught.is_some(), "{}", process.output());
    process.signal(Signal::HUP);
    process.signal(Signal::USR1);
    std::thread::park_timeout(Duration::from_millis(100));
    assert_eq!(process.exited(), None, "{}", process.output());
    process.signal(Signal::TERM);
    let status = process.wait(PATIENCE).expect("an end");
    assert!(status.success(), "{status} {}", process.output());
}
