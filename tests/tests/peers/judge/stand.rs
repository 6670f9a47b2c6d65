//! The proxies that are judged, each in front of a recorder of its own: Ferrule on both drivers,
//! nginx, HAProxy, and a relay that copies bytes, which proves the judge by failing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use ferrule_tests::{Driver, Gateway, Haproxy, Nginx, Setup, Shape, free_port, scratch};
use tempfile::TempDir;

use super::line::{Below, HOST, Keys};
use super::recorder::Recorder;

/// Who is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proxy {
    Ferrule(Driver),
    Nginx,
    Haproxy,
    Relay,
}

/// One of them at work. Ends with the value.
pub(crate) struct Stand {
    pub(crate) port: u16,
    pub(crate) keys: Keys,
    pub(crate) recorder: Recorder,
    running: Running,
    _scratch: TempDir,
}

enum Running {
    Ferrule(Box<Gateway>),
    Nginx(Box<Nginx>),
    Haproxy(#[expect(dead_code, reason = "ends with the value")] Haproxy),
    Relay(#[expect(dead_code, reason = "ends with the value")] Relay),
}

impl Proxy {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Ferrule(driver) => format!("Ferrule ({driver})"),
            Self::Nginx => "nginx".to_owned(),
            Self::Haproxy => "HAProxy".to_owned(),
            Self::Relay => "TCP relay".to_owned(),
        }
    }

    /// Is it ours?
    pub(crate) const fn is_ferrule(self) -> bool {
        matches!(self, Self::Ferrule(_))
    }
}

impl Stand {
    pub(crate) fn start(proxy: Proxy, below: Below) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let keys = Keys::new(dir, below);
        let recorder = Recorder::start(&keys);
        let port = free_port();
        let running = match proxy {
            Proxy::Ferrule(driver) => {
                let setup = Setup::new(dir, driver, &ferrule_text(below)).quiet();
                let setup = setup.set("front", &port).set("upstream", &recorder.port);
                Running::Ferrule(Box::new(setup.start()))
            }
            Proxy::Nginx => {
                let text = nginx_text(dir, below, port, recorder.port);
                Running::Nginx(Box::new(Nginx::start(dir, port, &text, Shape::Single)))
            }
            Proxy::Haproxy => {
                let text = haproxy_text(dir, below, port, recorder.port);
                Running::Haproxy(Haproxy::start(dir, port, &text))
            }
            Proxy::Relay => Running::Relay(Relay::start(port, recorder.port)),
        };
        Self { port, keys, recorder, running, _scratch: scratch }
    }

    /// Is it ours?
    pub(crate) const fn is_ferrule(&self) -> bool {
        matches!(self.running, Running::Ferrule(_))
    }

    /// What the proxy says of itself, where it is ours.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Ferrule(gateway) => gateway.log(),
            Running::Nginx(nginx) => nginx.errors(),
            Running::Haproxy(_) | Running::Relay(_) => String::new(),
        }
    }
}

fn ferrule_text(below: Below) -> String {
    let mut text = "[[listen]]\naddress = \"127.0.0.1:@front@\"\n".to_owned();
    if below == Below::Mutual {
        text.push_str("tls = true\nfallback_sni = \"judge.test\"\n");
        text.push_str(
            "[[ssls]]\nsnis = [\"judge.test\", \"*.judge.test\"]\ncert = \"server.crt\"\n\
             key = \"server.key\"\nclient.ca = \"ca.crt\"\n",
        );
    }
    text.push_str("[[routes]]\nuri = \"/*\"\nupstream_id = \"recorder\"\n");
    text.push_str("[[upstreams]]\nid = \"recorder\"\nnodes = { \"127.0.0.1:@upstream@\" = 1 }\n");
    if below == Below::Mutual {
        text.push_str(
            "scheme = \"https\"\n[upstreams.tls]\nclient_cert = \"client.crt\"\n\
             client_key = \"client.key\"\nca = \"ca.crt\"\nserver_name = \"judge.test\"\n",
        );
    }
    text
}

fn nginx_text(dir: &Path, below: Below, port: u16, upstream: u16) -> String {
    let dir = dir.display();
    let (listen, scheme, tls) = match below {
        Below::Plain => ("", "http", String::new()),
        Below::Mutual => (
            " ssl",
            "https",
            format!(
                "ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_protocols TLSv1.2 TLSv1.3;\n\
                 ssl_certificate {dir}/server.crt; ssl_certificate_key {dir}/server.key;\n\
                 ssl_client_certificate {dir}/ca.crt; ssl_verify_client on;\n\
                 proxy_ssl_certificate {dir}/client.crt; proxy_ssl_certificate_key {dir}/client.key;\n\
                 proxy_ssl_trusted_certificate {dir}/ca.crt; proxy_ssl_verify on;\n\
                 proxy_ssl_name {HOST}; proxy_ssl_server_name on;\n"
            ),
        ),
    };
    format!(
        "upstream recorder {{ server 127.0.0.1:{upstream}; keepalive 8; }}\n\
         server {{ listen 127.0.0.1:{port}{listen}; server_name _;\n{tls}\
         location / {{ proxy_pass {scheme}://recorder; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }}"
    )
}

fn haproxy_text(dir: &Path, below: Below, port: u16, upstream: u16) -> String {
    let at = dir.display();
    let (bind, server) = match below {
        Below::Plain => (String::new(), String::new()),
        Below::Mutual => (
            format!(" ssl crt {at}/server.pem ca-file {at}/ca.crt verify required"),
            format!(
                " ssl crt {at}/client.pem ca-file {at}/ca.crt verify required sni str({HOST}) verifyhost {HOST}"
            ),
        ),
    };
    format!(
        "  http-reuse always\nfrontend front\n  bind 127.0.0.1:{port}{bind}\n\
         \x20 default_backend recorder\nbackend recorder\n\
         \x20 server one 127.0.0.1:{upstream}{server}\n"
    )
}

/// Copies bytes from one socket to another, both ways, and knows nothing.
struct Relay {
    port: u16,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(port: u16, upstream: u16) -> Self {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address(port)).expect("a free port");
        let stop = Arc::<AtomicBool>::default();
        let end = Arc::clone(&stop);
        let listener = thread::spawn(move || {
            for front in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(back) = TcpStream::connect(address(upstream)) else { continue };
                let _ = (front.set_nodelay(true), back.set_nodelay(true));
                let pair = (front.try_clone(), back.try_clone());
                let (Ok(front_too), Ok(back_too)) = pair else { continue };
                thread::spawn(move || copy(front, back));
                thread::spawn(move || copy(back_too, front_too));
            }
        });
        Self { port, stop, listener: Some(listener) }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 16_384];
    loop {
        match from.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
            Ok(count) if to.write_all(&piece[..count]).is_ok() => {}
            Ok(_) => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}
