//! What both sides of a WebSocket are told that the gateway ends: a close frame, where it cannot land inside
//! another one, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, PATIENCE, Raw, Reloaded, Script, Setup, Upstream, now,
    on_both_drivers, poll, raw, scratch,
};
use rustix::process::Signal;

use crate::write_ca;

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const GRANT: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@plain@"
mtls_routes = "allow"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A text frame of a server, and a client's under a mask of zeros.
pub(crate) const FROM_SERVER: &[u8] = b"\x81\x02ok";
pub(crate) const FROM_CLIENT: &[u8] = b"\x81\x82\0\0\0\0ok";

/// What the upstream was sent behind the 101, of all tunnels one after the other.
pub(crate) type Heard = Arc<Mutex<Vec<u8>>>;

/// Sends these bytes behind its 101, and remembers what comes.
pub(crate) fn saying(words: &'static [u8], heard: &Heard) -> Script {
    let heard = Arc::clone(heard);
    Arc::new(move |client| {
        if client.request().is_none() || !client.send(GRANT) || !client.send(words) {
            return;
        }
        let mut bytes = [0; 1_024];
        while let Ok(count @ 1..) = client.talk.stream.read(&mut bytes) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend_from_slice(&bytes[..count]);
        }
    })
}

pub(crate) fn copied(heard: &Heard) -> Vec<u8> {
    heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn start(dir: &Path, driver: Driver, upstream: u16) -> (Gateway, Dial) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["x"]).write(dir, "server");
    let gateway = Setup::new(dir, driver, TEXT)
        .runtime_line("shutdown_timeout = \"1s\"")
        .set("upstream", &upstream)
        .start();
    let leaf = authority.client("alice");
    (gateway, Dial::with(Some("x"), Some(&leaf), rustls::ALL_VERSIONS))
}

/// A tunnel through which both have said their words.
pub(crate) fn open(mut raw: Raw, from_upstream: &[u8], from_client: &[u8], heard: &Heard) -> Raw {
    let before = copied(heard).len();
    raw.send(ASK).expect("a connection");
    assert_eq!(raw.head().expect("a head").expect("not an end").status(), 101);
    assert_eq!(raw.exactly(from_upstream.len()).expect("its words"), from_upstream);
    raw.send(from_client).expect("an open tunnel");
    let wanted = before + from_client.len();
    let there = poll(PATIENCE, || (copied(heard).len() == wanted).then_some(()));
    assert!(there.is_some(), "{:?}", copied(heard));
    raw
}

/// All that comes until the end, in whatever way that comes.
pub(crate) fn last_words(raw: &mut Raw) -> Vec<u8> {
    let (mut words, mut bytes) = (Vec::new(), [0; 1_024]);
    let over = poll(PATIENCE, || match raw.stream.read(&mut bytes) {
        Ok(0) => Some(()),
        Ok(count) => {
            words.extend_from_slice(&bytes[..count]);
            None
        }
        Err(error) => (error.kind() != std::io::ErrorKind::WouldBlock).then_some(()),
    });
    assert!(over.is_some(), "it never ended: {words:?}");
    words
}

/// An upstream that sends frames of 64 KiB, until nobody takes more, and remembers what it hears meanwhile. Its port.
fn flooding(heard: &Heard) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        let mut bytes = [0; 1_024];
        while !head.ends_with(b"\r\n\r\n") {
            let count = socket.read(&mut bytes).expect("a head");
            assert!(count > 0, "it has ended");
            head.extend_from_slice(&bytes[..count]);
        }
        socket.write_all(GRANT).expect("a connection");
        let mut sending = socket.try_clone().expect("a descriptor");
        std::thread::spawn(move || {
            let mut frame = b"\x82\x7f\0\0\0\0\0\x01\0\0".to_vec();
            frame.resize(frame.len() + 65_536, 0x88);
            while sending.write_all(&frame).is_ok() {}
        });
        while let Ok(count @ 1..) = socket.read(&mut bytes) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend_from_slice(&bytes[..count]);
        }
    });
    port
}

/// What has arrived on a connection under TLS that takes nothing more.
fn unread(raw: &mut Raw) -> Vec<u8> {
    let Line::Tls(stream) = &mut raw.stream else { unreachable!("it is under TLS") };
    while let Ok(1..) = stream.conn.read_tls(&mut stream.sock) {
        stream.conn.process_new_packets().expect("records");
    }
    let mut words = Vec::new();
    // It ends as a connection does that was cut.
    let _: Result<usize, std::io::Error> = stream.conn.reader().read_to_end(&mut words);
    words
}

/// What a close frame to the upstream says, whose mask nobody knows before.
fn code_to_upstream(frame: &[u8]) -> Option<u16> {
    let [0x88, 0x82, a, b, _, _, high, low] = frame else { return None };
    assert_ne!(&frame[2..6], [0; 4], "a mask that everybody can guess");
    Some(u16::from_be_bytes([high ^ a, low ^ b]))
}

/// One tunnel at the end of a drain.
struct Case {
    from_upstream: &'static [u8],
    from_client: &'static [u8],
    /// Is the client told, and is the upstream?
    told: [bool; 2],
}

const CASES: [Case; 8] = [
    Case { from_upstream: b"", from_client: b"", told: [true, true] },
    Case { from_upstream: FROM_SERVER, from_client: FROM_CLIENT, told: [true, true] },
    // Between the pieces of a message.
    Case {
        from_upstream: b"\x01\x01o\x00\x01k",
        from_client: b"\x01\x81\0\0\0\0o",
        told: [true, true],
    },
    // Within a payload that looks like the end of a frame, and within a header.
    Case { from_upstream: b"\x82\x04\x81\x00", from_client: b"\x81\xfe", told: [false, false] },
    Case { from_upstream: FROM_SERVER, from_client: b"\x81\x82\0\0\0\0o", told: [true, false] },
    // Has closed already, or does not speak WebSocket.
    Case { from_upstream: b"\x88\x02\x03\xe8", from_client: FROM_CLIENT, told: [false, true] },
    Case { from_upstream: b"hello", from_client: b"\x81\x02ok", told: [false, false] },
    // Would go on with a message that nobody has begun.
    Case {
        from_upstream: b"\0\0\0\x05hello",
        from_client: b"\x80\x80\0\0\0\0",
        told: [false, false],
    },
];

on_both_drivers! {
    /// Over plain HTTP and over TLS, each direction by itself.
    fn a_drain_tells_both_sides_where_no_frame_is_cut(driver) {
        for case in CASES {
            let (scratch, heard) = (scratch(), Heard::default());
            let upstream = Upstream::plain(saying(case.from_upstream, &heard));
            let (mut gateway, dial) = start(scratch.path(), driver, upstream.port);
            let plain = raw::plain(gateway.port("plain"));
            let mut plain = open(plain, case.from_upstream, case.from_client, &heard);
            let sent = copied(&heard).len();
            let sealed = dial.connect(gateway.port("front")).expect("a handshake");
            let mut sealed = open(sealed, case.from_upstream, case.from_client, &heard);
            assert_eq!(sent * 2, copied(&heard).len());
            gateway.process.signal(Signal::TERM);
            for raw in [&mut plain, &mut sealed] {
                let wanted: &[u8] = if case.told[0] { b"\x88\x02\x03\xe9" } else { b"" };
                assert_eq!(last_words(raw), wanted, "{:?}", case.from_upstream);
            }
            gateway.wait(Duration::from_secs(9));
            let frames = poll(PATIENCE, || {
                let heard = copied(&heard);
                (heard.len() == sent * 2 + if case.told[1] { 16 } else { 0 }).then_some(heard)
            });
            assert!(frames.is_some(), "{:?}", copied(&heard));
            for frame in frames.expect("just seen")[sent * 2..].chunks(8) {
                assert_eq!(code_to_upstream(frame), Some(1001), "{frame:?}");
            }
        }
    }

    /// A client that may not be here any more is told why, and its upstream that it is gone.
    fn a_client_that_is_not_let_in_any_more_is_told(driver) {
        let (scratch, heard) = (scratch(), Heard::default());
        let upstream = Upstream::plain(saying(FROM_SERVER, &heard));
        let (mut gateway, dial) = start(scratch.path(), driver, upstream.port);
        let raw = dial.connect(gateway.port("front")).expect("a handshake");
        let mut raw = open(raw, FROM_SERVER, FROM_CLIENT, &heard);
        write_ca(scratch.path(), "ca", &Authority::new("other"));
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(last_words(&mut raw), b"\x88\x02\x03\xf0");
        let told = || code_to_upstream(&copied(&heard)[FROM_CLIENT.len()..]);
        assert_eq!(poll(PATIENCE, told), Some(1001));
    }

    /// One that takes nothing holds up neither the process nor the other side.
    fn a_client_that_reads_nothing_holds_nothing_up(driver) {
        let heard = Heard::default();
        let (scratch, upstream) = (scratch(), flooding(&heard));
        let (mut gateway, _) = start(scratch.path(), driver, upstream);
        let mut raw = raw::plain(gateway.port("plain"));
        raw.send(ASK).expect("a connection");
        assert_eq!(raw.head().expect("a head").expect("not an end").status(), 101);
        gateway.process.signal(Signal::TERM);
        let told = poll(PATIENCE, || code_to_upstream(&copied(&heard)));
        assert_eq!(told, Some(1001), "{:?}", copied(&heard));
        assert!(gateway.process.wait(Duration::from_secs(9)).is_some(), "{}", gateway.log());
        drop(raw);
    }

    /// It is told nevertheless: it is not served until it pauses.
    fn a_client_that_sends_all_the_time_is_told(driver) {
        for refused in [false, true] {
            let (scratch, heard) = (scratch(), Heard::default());
            let upstream = Upstream::plain(saying(FROM_SERVER, &heard));
            let (mut gateway, dial) = start(scratch.path(), driver, upstream.port);
            let sealed = dial.connect(gateway.port("front")).expect("a handshake");
            let mut sealed = open(sealed, FROM_SERVER, FROM_CLIENT, &heard);
            if refused {
                write_ca(scratch.path(), "ca", &Authority::new("other"));
                assert_eq!(gateway.signal_reload(), Reloaded::Taken);
            } else {
                gateway.process.signal(Signal::TERM);
            }
            let cut = poll(PATIENCE, || sealed.send(&FROM_CLIENT.repeat(2_048)).err());
            assert!(cut.is_some(), "{}", gateway.log());
            let wanted: &[u8] = if refused { b"\x88\x02\x03\xf0" } else { b"\x88\x02\x03\xe9" };
            assert_eq!(unread(&mut sealed), wanted, "{refused}: {}", gateway.log());
        }
    }

    /// Not before it has had the time to hear its goodbye, whatever it still sends.
    fn a_client_that_still_sends_is_not_reset_at_once(driver) {
        let (scratch, heard) = (scratch(), Heard::default());
        let upstream = Upstream::plain(saying(FROM_SERVER, &heard));
        let (gateway, _) = start(scratch.path(), driver, upstream.port);
        let raw = raw::plain(gateway.port("plain"));
        let mut raw = open(raw, FROM_SERVER, FROM_CLIENT, &heard);
        let Line::Plain(socket) = &raw.stream else { unreachable!("it is plain") };
        let mut sending = socket.try_clone().expect("a descriptor");
        // All the time: what flows is not read in small pieces.
        let flood = std::thread::spawn(move || {
            let frames = FROM_CLIENT.repeat(32_768);
            while sending.write_all(&frames).is_ok() {}
            now()
        });
        gateway.process.signal(Signal::TERM);
        assert_eq!(raw.exactly(4).expect("a frame"), b"\x88\x02\x03\xe9", "{}", gateway.log());
        let told = now();
        let cut = flood.join().expect("a sender").saturating_duration_since(told);
        assert!(cut > Duration::from_millis(100), "{cut:?}");
    }

    /// What ends a tunnel beside the client's certificate and access is not its doing: it may come back.
    fn a_tunnel_whose_route_is_gone_goes_away(driver) {
        let (scratch, heard) = (scratch(), Heard::default());
        let upstream = Upstream::plain(saying(FROM_SERVER, &heard));
        let (mut gateway, _) = start(scratch.path(), driver, upstream.port);
        let mut raw = open(raw::plain(gateway.port("plain")), FROM_SERVER, FROM_CLIENT, &heard);
        let written = std::fs::read_to_string(&gateway.file).expect("our own file");
        let other = written.replace("uri = \"/*\"", "uri = \"/other\"");
        std::fs::write(&gateway.file, other).expect("our own file");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(last_words(&mut raw), b"\x88\x02\x03\xe9");
        let told = || code_to_upstream(&copied(&heard)[FROM_CLIENT.len()..]);
        assert_eq!(poll(PATIENCE, told), Some(1001));
    }
}
