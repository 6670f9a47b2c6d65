//! A client that asks one question of a gateway: no redirects, no cookies, one connection each, everything bounded.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::answer::PlayedAnswer;
use super::requests::PlayedRequest;
use crate::control::process::clock;
use crate::control::upgrade::any_gateway::AnyGateway;
use crate::tls::pem::{self, Contents};
use crate::tls::provider;

/// The longest that one answer may take, and its most bytes.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// The largest certificate or key file.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// Where a gateway listens: `https://host:port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct GatewayUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl GatewayUrl {
    /// # Errors
    /// It is no URL of scheme, host and port alone.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no URL as https://host:port");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (rest, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(wrong());
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// The files of a client's certificate.
#[derive(Clone, Copy)]
pub(super) struct ClientPair<'a> {
    pub(super) cert: &'a Path,
    pub(super) key: &'a Path,
}

/// Makes what TLS to both gateways needs.
///
/// # Errors
/// A file cannot be read, or is no PEM.
pub(super) fn tls_config(
    pair: Option<ClientPair<'_>>,
    authorities: Option<&Path>,
) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match authorities {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyGateway::new(&provider))),
    };
    let config = match pair {
        Some(ClientPair { cert, key }) => {
            let bytes = read(key)?;
            let found = private_key(&bytes)
                .ok_or_else(|| format!("{} holds no private key", key.display()))?;
            builder
                .with_client_auth_cert(certificates(cert)?, found)
                .map_err(|error| format!("{} and {}: {error}", cert.display(), key.display()))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = ferrule_config::read_file(path, PEM_BYTES_MAX);
    file.map(|file| file.bytes)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let blocks = pem::read(&bytes, Contents::Chain);
    let blocks = blocks.map_err(|error| format!("{}, {error}", path.display()))?;
    if blocks.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(blocks.into_iter().map(|block| CertificateDer::from(block.der)).collect())
}

fn private_key(bytes: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let block = pem::read(bytes, Contents::Key).ok()?.into_iter().next()?;
    PrivateKeyDer::try_from(block.der).ok()
}

/// Asks, and waits for the whole answer.
///
/// # Errors
/// Why there is none: for the report, without secrets.
pub(super) fn ask(
    gateway: &GatewayUrl,
    request: &PlayedRequest,
    tls: &Arc<ClientConfig>,
) -> Result<PlayedAnswer, String> {
    let addresses = (gateway.host.as_str(), gateway.port).to_socket_addrs();
    let address = addresses.ok().and_then(|mut all| all.next());
    let address = address.ok_or_else(|| format!("{} has no address", gateway.host))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .map_err(|error| word(&error, "no connection"))?;
    let end = clock::monotonic() + PATIENCE;
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .map_err(|error| word(&error, "no connection"))?;
    let host = if request.host.is_empty() { gateway.host.as_str() } else { request.host.as_str() };
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ferrule-compare\r\nAccept: */*\r\nConnection: close\r\n{}\r\n",
        request.method,
        request.target,
        if request.has_body() { "Content-Length: 0\r\n" } else { "" },
    );
    let bytes = if gateway.tls {
        let server = ServerName::try_from(bare(host).to_owned())
            .map_err(|_| format!("{host:?} is no server name"))?;
        let connection =
            ClientConnection::new(Arc::clone(tls), server).map_err(|error| error.to_string())?;
        exchange(StreamOwned::new(connection, stream), head.as_bytes(), end)
    } else {
        exchange(stream, head.as_bytes(), end)
    };
    PlayedAnswer::read(&bytes?, &request.method)
}

/// A host without its port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.trim_start_matches('[').trim_end_matches(']')
        }
        _ => host,
    }
}

fn exchange(mut stream: impl Read + Write, head: &[u8], end: Instant) -> Result<Vec<u8>, String> {
    let sent = stream.write_all(head).and_then(|()| stream.flush());
    let mut all = Vec::new();
    let mut piece = vec![0; 16 << 10];
    loop {
        if clock::monotonic() > end {
            return Err(String::from("no whole answer within 10 s"));
        }
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(piece.get(..count).unwrap_or_default()),
            // Whoever has answered may end as it likes.
            Err(_) if !all.is_empty() => break,
            Err(error) => return Err(word(sent.as_ref().err().unwrap_or(&error), "no answer")),
        }
        if u64::try_from(all.len()).unwrap_or(u64::MAX) > ANSWER_BYTES_MAX {
            return Err(format!("more than {ANSWER_BYTES_MAX} bytes"));
        }
    }
    if all.is_empty() { Err(String::from("it closed without an answer")) } else { Ok(all) }
}

/// Alerts of TLS are what a refused client sees.
fn word(error: &io::Error, otherwise: &str) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => format!("TLS: {error}"),
        None => format!("{otherwise}: {}", error.kind()),
    }
}
