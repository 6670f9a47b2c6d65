//! What a service manager is told, the file with the number of the process, and the delay of a stop.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use ferrule_tests::{
    Driver, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::PLAIN;
use crate::observe::ctl;

const ADMIN: &str = "[admin]\nsocket = \"ctl.sock\"\n[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

/// A service manager, as far as it is listened to.
struct Manager {
    socket: UnixDatagram,
    /// The value of `NOTIFY_SOCKET`.
    name: String,
}

impl Manager {
    /// By a path on one driver, by an abstract name on the other.
    fn new(dir: &Path, driver: Driver) -> Self {
        let path = dir.join("notify.sock");
        let name = path.to_str().expect("text").to_owned();
        let (socket, name) = match driver {
            Driver::IoUring => (UnixDatagram::bind(&path).expect("a socket"), name),
            Driver::Epoll => {
                let address = SocketAddr::from_abstract_name(&name).expect("a name");
                (UnixDatagram::bind_addr(&address).expect("a socket"), format!("@{name}"))
            }
        };
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { socket, name }
    }

    /// The next message that is no sign of life.
    fn said(&self) -> String {
        let said = poll(PATIENCE, || Some(self.any()).filter(|text| text != "WATCHDOG=1"));
        said.expect("another message")
    }

    fn any(&self) -> String {
        let mut buf = [0; 512];
        let count = self.socket.recv(&mut buf).expect("a message");
        String::from_utf8(buf[..count].to_vec()).expect("text")
    }
}

on_both_drivers! {
    fn the_manager_is_told(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let manager = Manager::new(scratch.path(), driver);
        let variable = format!("NOTIFY_SOCKET={}", manager.name);
        let mut gateway = Setup::new(scratch.path(), driver, &format!("{ADMIN}{PLAIN}"))
            .under(&["env", &variable, "WATCHDOG_USEC=2000000"])
            .runtime_line("pid_file = \"ferrule.pid\"")
            .set("upstream", &upstream.port)
            .start();
        let number = || fs::read_to_string(scratch.path().join("ferrule.pid")).unwrap_or_default();
        assert_eq!(manager.said(), "READY=1\nSTATUS=serving");
        assert_eq!(number(), format!("{}\n", gateway.process.id()));
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        let reloading = manager.said();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(manager.said(), "READY=1\nSTATUS=serving");
        let good = fs::read_to_string(&gateway.file).expect("our file");
        fs::write(&gateway.file, "nonsense = 1").expect("our file");
        assert_eq!(gateway.signal_reload(), Reloaded::Refused);
        assert!(manager.said().starts_with("RELOADING=1\n"));
        assert_eq!(manager.said(), "READY=1\nSTATUS=serving; the last reload was refused");
        for _ in 0..2 {
            poll(PATIENCE, || (manager.any() == "WATCHDOG=1").then_some(())).expect("a sign of life");
        }
        // A new process that may not take over says nothing, not even that it stops.
        let port = gateway.port("metrics");
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = other.local_addr().expect("an address").port();
        let listen = |port| format!("listen = \"127.0.0.1:{port}\"");
        fs::write(&gateway.file, good.replace(&listen(port), &listen(taken))).expect("our file");
        let (code, out, error) = ctl(scratch.path(), &["upgrade", "--wait"]);
        assert!(code == Some(1) && error.contains("metrics.listen"), "{out} {error}");
        assert_eq!(number(), format!("{}\n", gateway.process.id()));
        // The new process is the main one, says after that that it is ready, and is alive.
        fs::write(&gateway.file, &good).expect("our file");
        let (code, out, error) = ctl(scratch.path(), &["upgrade", "--wait"]);
        assert_eq!(code, Some(0), "{out} {error}\n{}", gateway.log());
        let said = [manager.said(), manager.said()];
        assert_eq!(said[1], "READY=1\nSTATUS=serving");
        let new: i32 = said[0].strip_prefix("MAINPID=").and_then(|text| text.parse().ok()).expect("a number");
        assert!(gateway.wait(PATIENCE).success(), "{}", gateway.log());
        assert_eq!(number(), format!("{new}\n"), "the old one leaves the file");
        poll(PATIENCE, || (manager.any() == "WATCHDOG=1").then_some(())).expect("a sign of life");
        kill_process(Pid::from_raw(new).expect("a number"), Signal::TERM).expect("a process of ours");
        assert_eq!(manager.said(), "STOPPING=1\nSTATUS=draining");
        let gone = poll(PATIENCE, || number().is_empty().then_some(()));
        assert!(gone.is_some(), "{}", gateway.log());
    }

    /// Not ready, and yet everything is served: until the delay is over, or a second signal.
    fn a_stop_may_be_announced(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = Setup::new(scratch.path(), driver, &format!("{ADMIN}{PLAIN}"))
            .runtime_line("shutdown_delay = \"5m\"")
            .set("upstream", &upstream.port)
            .start();
        let ready = || {
            let mut raw = raw::plain(gateway.port("metrics"));
            raw::get(&mut raw, "x", "/readyz").status()
        };
        assert_eq!(ready(), 200);
        let mut kept = raw::plain(gateway.port("front"));
        gateway.process.signal(Signal::TERM);
        poll(PATIENCE, || (ready() == 503).then_some(())).expect("it is not ready");
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200, "a new connection");
        let answer = raw::get(&mut kept, "x", "/");
        assert_eq!((answer.status(), answer.head.get("Connection")), (200, None));
        drop(kept);
        gateway.process.signal(Signal::TERM);
        assert!(gateway.wait(PATIENCE).success(), "{}", gateway.log());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.port("front"))).is_err());
    }
}
