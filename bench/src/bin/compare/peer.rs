//! Who is compared: how each is set up for the job, and the proof that it does all of it.

use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use ferrule_tools::clock::PATIENCE;
use ferrule_tools::gateway::{Driver, Gateway, Setup};
use ferrule_tools::http::{Conversation, Message};
use ferrule_tools::nginx::{Nginx, Shape, binary};
use ferrule_tools::pki::Leaf;
use ferrule_tools::process::{ferrule_binary, free_port, shell};
use ferrule_tools::tls;

use crate::case::Case;
use crate::stage::{NAME, Stage};

/// A proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    /// The one to beat.
    Nginx,
    /// Ours.
    Ferrule,
}

/// A proxy at work. Ends with the value.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) port: u16,
    running: Running,
}

enum Running {
    Nginx(Nginx),
    Ferrule(Box<Gateway>),
}

const LAUNCHER: [&str; 3] = ["taskset", "-c", "0"];

impl Proxy {
    /// Its first process.
    pub(crate) fn id(&self) -> u32 {
        match &self.running {
            Running::Nginx(nginx) => nginx.process.id(),
            Running::Ferrule(gateway) => gateway.process.id(),
        }
    }
}

impl Peer {
    /// In the order in which they take turns.
    pub(crate) const ALL: [Self; 2] = [Self::Nginx, Self::Ferrule];

    /// In tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Ferrule => "ferrule",
        }
    }

    /// What exactly is measured.
    pub(crate) fn version(self) -> String {
        let text = match self {
            Self::Nginx => {
                let done = Command::new(binary()).arg("-V").output().expect("nginx");
                String::from_utf8_lossy(&done.stderr).into_owned()
            }
            Self::Ferrule => {
                let done = Command::new(ferrule_binary()).arg("--version").output();
                String::from_utf8_lossy(&done.expect("ferrule").stdout).into_owned()
            }
        };
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("configure") && !line.starts_with("TLS SNI"))
            .collect();
        lines.join(", ")
    }

    /// Starts it on core 0, set up for this case.
    pub(crate) fn start(self, stage: &Stage, case: &Case) -> Proxy {
        match self {
            Self::Nginx => {
                let port = free_port();
                let http = nginx_config(stage, case, port);
                let shape = Shape::MasterAndWorker;
                let nginx = Nginx::start_under(&LAUNCHER, stage.dir(), port, &http, shape);
                Proxy { port, running: Running::Nginx(nginx) }
            }
            Self::Ferrule => {
                let upstream = if case.tls { stage.tls_port } else { stage.plain_port };
                let text = if case.tls { FERRULE_TLS } else { FERRULE_PLAIN };
                let gateway = Setup::new(stage.dir(), Driver::IoUring, text)
                    .runtime("workers = 1\ncpu_affinity = false\nio_driver = \"io_uring\"\n")
                    .named(&format!("ferrule-{}", case.name))
                    .quiet()
                    .set("upstream", &upstream)
                    .under(&LAUNCHER)
                    .start();
                let port = gateway.port("front");
                Proxy { port, running: Running::Ferrule(Box::new(gateway)) }
            }
        }
    }

    /// Does it refuse who has no certificate, show its own, and send the three fields?
    pub(crate) fn prove(self, stage: &Stage, case: &Case, proxy: &Proxy) {
        if !case.tls {
            let small = ask(proxy.port, None, case.path);
            assert_eq!((small.status(), small.text().as_str()), (200, "ok"), "{self:?}");
            return;
        }
        let dir = stage.dir();
        let leaf = Leaf::read(&dir.join("client.crt"), &dir.join("client.key"));
        let none = ask(proxy.port, Some(None), "/proof");
        assert_eq!(none.status(), 400, "{self:?} lets in who shows no certificate");
        let fact = |option: &str| {
            let text = shell(dir, &format!("openssl x509 -in client.crt -noout {option}"));
            text.trim().split_once('=').map(|(_, value)| value.to_owned()).expect("name=value")
        };
        let wanted = format!(
            "SUCCESS|CN=proxy|{}|{}|CN=load",
            fact("-fingerprint -sha1").replace(':', "").to_ascii_lowercase(),
            fact("-serial")
        );
        let proof = ask(proxy.port, Some(Some(&leaf)), "/proof");
        assert_eq!(proof.text(), wanted, "{self:?} does not do the whole job");
    }
}

/// `tls`: `None` is plaintext, `Some(None)` TLS without a certificate.
fn ask(port: u16, tls: Option<Option<&Leaf>>, path: &str) -> Message {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("a listening proxy");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    match tls {
        None => {
            let mut talk = Conversation::new(socket);
            talk.send(request.as_bytes()).expect("a request");
            talk.response("GET").expect("a response")
        }
        Some(leaf) => {
            let config = Arc::new(tls::client(leaf, &[&rustls::version::TLS13]));
            let name = NAME.try_into().expect("a server name");
            let session = rustls::ClientConnection::new(config, name).expect("a session");
            let mut talk = Conversation::new(rustls::StreamOwned::new(session, socket));
            talk.send(request.as_bytes()).expect("a request");
            talk.response("GET").expect("a response")
        }
    }
}

/// Tuned as nginx's own documents say.
fn nginx_config(stage: &Stage, case: &Case, port: u16) -> String {
    let at = stage.dir().display();
    let common = "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
                  proxy_set_header Host $http_host;\nproxy_max_temp_file_size 0;\n\
                  client_body_buffer_size 256k;";
    let pool = |upstream: u16| {
        format!(
            "upstream backend {{\nserver 127.0.0.1:{upstream};\nkeepalive 128;\n\
             keepalive_requests 1000000000;\nkeepalive_time 24h;\n}}\nkeepalive_time 24h;\n"
        )
    };
    if !case.tls {
        return format!(
            "{}server {{\nlisten 127.0.0.1:{port} reuseport backlog=4096;\nlocation / {{\n{common}\n\
             proxy_pass http://backend;\n}}\n}}",
            pool(stage.plain_port)
        );
    }
    format!(
        "{}server {{\nlisten 127.0.0.1:{port} ssl reuseport backlog=4096;\nserver_name {NAME};\n\
         ssl_protocols TLSv1.3;\nssl_certificate {at}/front.crt;\nssl_certificate_key {at}/front.key;\n\
         ssl_client_certificate {at}/clients-ca.crt;\nssl_verify_client on;\nlocation / {{\n{common}\n\
         proxy_set_header X-Client-Fingerprint $ssl_client_fingerprint;\n\
         proxy_set_header X-Client-Serial $ssl_client_serial;\n\
         proxy_set_header X-Client-Subject $ssl_client_s_dn;\nproxy_pass https://backend;\n\
         proxy_ssl_protocols TLSv1.3;\nproxy_ssl_certificate {at}/proxy.crt;\n\
         proxy_ssl_certificate_key {at}/proxy.key;\n\
         proxy_ssl_trusted_certificate {at}/upstream-ca.crt;\nproxy_ssl_verify on;\n\
         proxy_ssl_name upstream.test;\nproxy_ssl_server_name on;\n}}\n}}",
        pool(stage.tls_port)
    )
}

const FERRULE_TLS: &str = r#"
[http]
keepalive_requests = 1000000000

[identity_headers]
X-Client-Fingerprint = "$ssl_client_fingerprint"
X-Client-Serial = "$ssl_client_serial"
X-Client-Subject = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "compare.test"
cert = "front.crt"
key = "front.key"
ssl_protocols = ["TLSv1.3"]
client.ca = "clients-ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
keepalive_pool = { size = 128, requests = 1000000000 }
[routes.upstream.tls]
client_cert = "proxy.crt"
client_key = "proxy.key"
ca = "upstream-ca.crt"
server_name = "upstream.test"
ssl_protocols = ["TLSv1.3"]
"#;

const FERRULE_PLAIN: &str = r#"
[http]
keepalive_requests = 1000000000

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
[routes.upstream]
nodes = { "127.0.0.1:@upstream@" = 1 }
keepalive_pool = { size = 128, requests = 1000000000 }
"#;
