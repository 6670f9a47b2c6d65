//! The upstream that APISIX's cases expect: a path names what is done.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrule_tests::{Authority, Client, Message, Script, Upstream, tls};
use rustls::DistinguishedName;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, Error, ServerConfig, SignatureScheme};

use crate::ports::Ports;

/// The authority of the clients that the suite's mutual TLS lets in, as their certificates name it.
const AUTHORITY: &[u8] = b"ca.apisix.dev";

/// The running servers.
pub(crate) struct Helper {
    pub(crate) ports: Ports,
    demands: Arc<AtomicBool>,
    _servers: Vec<Upstream>,
}

/// What is sent back.
struct Answer {
    status: u16,
    fields: Vec<String>,
    body: Vec<u8>,
    chunked: bool,
}

impl Helper {
    pub(crate) fn start(authority: &Authority) -> Self {
        let ports = Ports::of(&[1980, 1981, 1982, 1983, 11451, 11452]);
        let demands = Arc::new(AtomicBool::new(false));
        let mut servers = Vec::new();
        for port in ports.iter() {
            let is_tls = port.named == 1983;
            let script = script(port.named, Arc::clone(&demands));
            let hosts = [
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ];
            for host in hosts {
                let at = SocketAddr::new(host, port.ours);
                // A machine may have no IPv6.
                if host.is_ipv6() && TcpListener::bind(at).is_err() {
                    continue;
                }
                let config = is_tls.then(|| server_config(authority));
                servers.push(Upstream::at(at, config, Arc::clone(&script)));
            }
        }
        Self { ports, demands, _servers: servers }
    }

    /// Should the TLS port let in only clients of the suite's authority?
    pub(crate) fn demand(&self, certificates: bool) {
        self.demands.store(certificates, Ordering::SeqCst);
    }
}

/// Asks for a certificate and takes any: what counts is looked at behind.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

fn server_config(authority: &Authority) -> Arc<ServerConfig> {
    let leaf = authority.server(&["localhost"]);
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions the provider has")
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(tls::certified(&leaf))));
    Arc::new(config)
}

fn script(port: u16, demands: Arc<AtomicBool>) -> Script {
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            let good = client
                .certificate
                .as_ref()
                .is_some_and(|der| der.windows(AUTHORITY.len()).any(|part| part == AUTHORITY));
            let sent = if port == 1983 && demands.load(Ordering::SeqCst) && !good {
                Answer::text(400, "400 Bad Request\n").send(&request, client)
            } else {
                match answer(port, &request) {
                    Some(answer) => answer.send(&request, client),
                    None => false,
                }
            };
            if !sent || close_asked(&request) {
                return;
            }
        }
    })
}

fn close_asked(request: &Message) -> bool {
    request.head.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"))
}

impl Answer {
    fn text(status: u16, body: &str) -> Self {
        Self { status, fields: Vec::new(), body: body.as_bytes().to_vec(), chunked: false }
    }

    /// Sends it, with what `resp-NAME` of the request asks for. False if the connection is gone.
    fn send(self, request: &Message, client: &mut Client) -> bool {
        let phrase = if self.status == 200 { "OK" } else { "Status" };
        let mut head = format!("HTTP/1.1 {} {phrase}\r\n", self.status);
        let asked: Vec<String> = lines(request)
            .filter_map(|(name, value)| {
                Some(format!(
                    "{}: {value}",
                    name.get(5..).filter(|_| name.to_ascii_lowercase().starts_with("resp-"))?
                ))
            })
            .collect();
        let fields: Vec<&String> = self.fields.iter().chain(&asked).collect();
        let has = |wanted: &str| {
            fields.iter().any(|field| field.to_ascii_lowercase().starts_with(wanted))
        };
        let switches = self.status == 101;
        if !switches && !has("content-type:") {
            head.push_str("Content-Type: text/plain\r\n");
        }
        for field in &fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        if self.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        } else if switches || has("content-length:") {
            head.push_str("\r\n");
        } else {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n\r\n"]);
        }
        let mut bytes = head.into_bytes();
        if request.head.method() != "HEAD" {
            if self.chunked {
                let third = self.body.len().div_ceil(3).max(1);
                for chunk in self.body.chunks(third) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
            } else {
                bytes.extend(&self.body);
            }
        }
        client.send(&bytes)
    }
}

/// The request's fields: name and value.
fn lines(request: &Message) -> impl Iterator<Item = (&str, &str)> {
    let lines = request.head.raw.split("\r\n").skip(1);
    lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
}

/// Its fields in lower case, sorted, a line each.
fn listed(request: &Message, leave_out: &[&str]) -> String {
    let mut all: Vec<String> = lines(request)
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| !leave_out.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    all.sort();
    all.concat()
}

fn decoded(path: &str) -> String {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten();
        let code =
            code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn argument<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse::<f64>().unwrap_or(0.0).clamp(0.0, 10.0))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an upstream that takes its time is what the case is about"
)]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// What this request is answered with; nothing cuts the connection.
fn answer(port: u16, request: &Message) -> Option<Answer> {
    let target = request.head.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path);
    let name: String = path
        .trim_start_matches('/')
        .chars()
        .map(|mark| if matches!(mark, '/' | '.' | '-') { '_' } else { mark })
        .collect();
    let ok = |body: &str| Some(Answer::text(200, body));
    let forwarded =
        ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
    match name.as_str() {
        "hello" => ok("hello world\n"),
        "hello1" => ok("hello1 world\n"),
        "hello_chunked" => Some(Answer { chunked: true, ..Answer::text(200, "hello world\n") }),
        "server_port" | "server_port_route2" | "server_port_hello" | "server_port_aa" => {
            ok(&port.to_string())
        }
        "limit_conn" => {
            wait(Duration::from_millis(300));
            ok("hello world\n")
        }
        "ewma" => {
            wait(Duration::from_millis(if matches!(port, 1981 | 1982) { 200 } else { 100 }));
            ok(&port.to_string())
        }
        "mysleep" => {
            let time = argument(query, "seconds").unwrap_or("0");
            wait(seconds(time));
            if query.contains("abort") { None } else { ok(time) }
        }
        "status" => ok("ok\n"),
        "opentracing" => ok("opentracing\n"),
        "with_header" => ok("hello\nworld\n!\n"),
        "server_error" => Some(Answer::text(500, "500 Internal Server Error\n")),
        "uri" => ok(&format!("uri: {path}\n{}", listed(request, &forwarded))),
        "old_uri" => ok(&format!("uri: {path}\n{}", listed(request, &[]))),
        "websocket_handshake" | "websocket_handshake_route" => Some(handshake(request)),
        name if name.starts_with("uri_plugin_proxy_rewrite") => {
            ok(&format!("uri: {path}\n{}", listed(request, &forwarded)))
        }
        _ => with_arguments(port, request, &name),
    }
}

/// A handshake of WebSocket's, with the answer to the key that the suite sends; its frame is not compared.
fn handshake(request: &Message) -> Answer {
    let is_asked = request.head.get("upgrade").is_some_and(|name| name == "websocket");
    if !is_asked {
        return Answer::text(400, "400 Bad Request\n");
    }
    let mut fields = vec![
        String::from("Upgrade: websocket"),
        String::from("Connection: upgrade"),
        String::from("Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    ];
    if let Some(protocol) = request.head.get("sec-websocket-protocol") {
        fields.push(format!("Sec-WebSocket-Protocol: {protocol}"));
    }
    Answer { fields, ..Answer::text(101, "") }
}

/// The arguments of a query by name, a line each.
fn arguments_listed(query: &str) -> String {
    let mut found: Vec<[String; 2]> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
        let (key, value) = (decoded(key), decoded(value));
        match found.iter_mut().find(|[name, _]| *name == key) {
            Some([_, values]) => *values = format!("{values},{value}"),
            None => found.push([key, value]),
        }
    }
    found.sort();
    found.iter().map(|[key, value]| format!("{key}: {value}\n")).collect()
}

fn with_arguments(port: u16, request: &Message, name: &str) -> Option<Answer> {
    let target = request.head.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let ok = |body: String| Some(Answer::text(200, &body));
    let scheme = if port == 1983 { "https" } else { "http" };
    match name {
        "plugin_proxy_rewrite" => {
            let host = request.head.get("host").unwrap_or_default();
            ok(format!("uri: {path}\nhost: {host}\nscheme: {scheme}\n"))
        }
        "plugin_proxy_rewrite_args" => {
            let lines = arguments_listed(query);
            ok(format!("uri: {path}\n{lines}"))
        }
        "specific_status" => {
            let status = request.head.get("x-test-upstream-status").unwrap_or("200");
            Some(Answer::text(
                status.parse().unwrap_or(200),
                &format!("upstream status: {status}\n"),
            ))
        }
        "api_breaker" => {
            let code = argument(query, "code").and_then(|code| code.parse().ok()).unwrap_or(200);
            Some(Answer::text(code, ""))
        }
        "print_uri_detailed" => {
            ok(format!("ngx.var.uri: {}\nngx.var.request_uri: {target}\n", decoded(path)))
        }
        // Two further servers of some cases: what they send encoded is never looked into.
        "gzip_hello" | "brotli_hello" => {
            let (coding, words) = if name == "gzip_hello" { ("gzip", 1) } else { ("br", 3) };
            let asked = request.head.get("accept-encoding").unwrap_or_default();
            if !asked.contains(coding) {
                return ok(format!("{}\n", ["hello world"; 3][..words].join(" ")));
            }
            let fields = vec![format!("Content-Encoding: {coding}")];
            Some(Answer { fields, ..Answer::text(200, "packed") })
        }
        "headers" => {
            let fields = query.split('&').filter_map(|pair| pair.split_once('='));
            let fields = fields.map(|(key, value)| format!("{}: {}", decoded(key), decoded(value)));
            Some(Answer { fields: fields.collect(), ..Answer::text(200, "/headers") })
        }
        "echo" => {
            let own = [
                "connection",
                "content-length",
                "transfer-encoding",
                "keep-alive",
                "te",
                "upgrade",
            ];
            let fields = lines(request)
                .filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()))
                .map(|(name, value)| format!("{name}: {value}"));
            let body = request.body.clone();
            Some(Answer { status: 200, fields: fields.collect(), body, chunked: false })
        }
        _ => {
            Some(Answer::text(404, "<html>\n<head><title>404 Not Found</title></head>\n</html>\n"))
        }
    }
}
