//! `/livez` and `/readyz` on the metrics listener: what an orchestrator and a load balancer ask.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrule_tests::{Gateway, PATIENCE, Setup, Upstream, echo, on_both_drivers, poll, scratch};
use rustix::process::Signal;

use crate::PLAIN;
use crate::drain::{held, in_flight};

const METRICS: &str = "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n";

/// The whole answer to this request line and these fields; `None` if nobody listens or answers.
fn ask(gateway: &Gateway, head: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.port("metrics"))).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn status_of(gateway: &Gateway, path: &str) -> Option<u16> {
    let text = ask(gateway, &format!("GET {path} HTTP/1.1\r\nHost: any.test"))?;
    text.split(' ').nth(1)?.parse().ok()
}

on_both_drivers! {
    fn health_is_told_to_anybody(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = Setup::new(scratch.path(), driver, &format!("{METRICS}{PLAIN}"))
            .set("upstream", &upstream.port).start();
        for path in ["/livez", "/readyz"] {
            // Under whatever name, also under none: HAProxy's checks are HTTP/1.0 without a Host.
            for fields in ["HTTP/1.1\r\nHost: rebound.test", "HTTP/1.1\r\nHost: 127.0.0.1:1", "HTTP/1.0"] {
                let text = ask(&gateway, &format!("GET {path} {fields}")).expect("an answer");
                assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\nok"), "{text}");
                assert!(text.contains("Cache-Control: no-store\r\n"), "{text}");
            }
            let text = ask(&gateway, &format!("HEAD {path} HTTP/1.0")).expect("an answer");
            assert!(text.contains("Content-Length: 2\r\n") && text.ends_with("\r\n\r\n"), "{text}");
            let text = ask(&gateway, &format!("POST {path} HTTP/1.0")).expect("an answer");
            assert!(text.starts_with("HTTP/1.1 405 "), "{text}");
            let text = ask(&gateway, &format!("GET {path}?verbose HTTP/1.0")).expect("an answer");
            assert!(text.contains("[+]cores ok\n") && text.ends_with("check passed\n"), "{text}");
        }
        // The metrics are not, and no answer to HEAD has a body.
        for (path, status) in [("/metrics", 403), ("/livez/", 403), ("/", 403)] {
            assert_eq!(status_of(&gateway, path), Some(status), "{path}");
        }
        let text = ask(&gateway, "HEAD /nothing HTTP/1.1\r\nHost: localhost").expect("an answer");
        assert!(text.starts_with("HTTP/1.1 404 ") && text.ends_with("\r\n\r\n"), "{text}");
    }

    /// From the signal on it is not ready, and says so until the drain is over.
    fn a_drain_is_told_at_once(driver) {
        let gate = Arc::new(AtomicBool::new(false));
        let (scratch, upstream) = (scratch(), Upstream::plain(held(&gate)));
        let mut gateway = Setup::new(scratch.path(), driver, &format!("{METRICS}{PLAIN}"))
            .set("upstream", &upstream.port).start();
        let mut kept = in_flight(&gateway, &upstream);
        assert_eq!(status_of(&gateway, "/readyz"), Some(200));
        gateway.process.signal(Signal::TERM);
        let told = poll(PATIENCE, || (status_of(&gateway, "/readyz") == Some(503)).then_some(()));
        assert!(told.is_some(), "{}", gateway.log());
        let text = ask(&gateway, "GET /readyz HTTP/1.0").expect("an answer");
        assert!(text.contains("[-]shutdown failed: the process is draining\n"), "{text}");
        // It need not be killed for that.
        assert_eq!(status_of(&gateway, "/livez"), Some(200));
        gate.store(true, Ordering::SeqCst);
        assert_eq!(kept.response("GET").expect("a response").status(), 200);
        let status = gateway.wait(PATIENCE);
        assert!(status.success(), "{status}\n{}", gateway.log());
        assert_eq!(status_of(&gateway, "/livez"), None);
    }
}
