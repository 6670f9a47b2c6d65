//! Asks a new process one question through each listener that it has opened for that on loopback.
//!
//! In: what the new process says of these listeners. Out: nothing, or why it does not serve. The question has no
//! `Host`, so Ferrule itself answers it (400, RFC 9112 section 3.2): no upstream sees it. Over TLS the whole
//! handshake is made; a server that refuses clients without a certificate may refuse this one after it has shown
//! its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_config::Config;
use ferrule_config::model::HostPattern;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::any_gateway::AnyGateway;
use super::channel::Patience;
use super::messages::SelfTest;
use crate::control::process::clock;
use crate::setup::inherited::SelfTestSockets;
use crate::tls::provider;

/// How long one answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How often a wait asks whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// No `Host`.
const QUESTION: &[u8] = b"GET /ferrule-self-test HTTP/1.1\r\nConnection: close\r\n\r\n";
/// From this machine to itself.
const PROXY_HEADER: &[u8] = b"PROXY TCP4 127.0.0.1 127.0.0.1 9 9\r\n";
/// What an answer begins with.
const ANSWER: &[u8] = b"HTTP/1.1 400 ";

/// What is to be asked of a process with this configuration: each core and each listener once.
pub(crate) fn tests(config: &Config, sockets: &SelfTestSockets, cores: usize) -> Vec<SelfTest> {
    let listeners = config.listens.len();
    let mut tests: Vec<SelfTest> = Vec::new();
    for number in 0..cores.max(listeners) {
        let open = sockets.of_core(number % cores.max(1));
        let index = number % listeners.max(1);
        let (Some(listen), Some(open)) = (config.listens.get(index), open.get(index)) else {
            continue;
        };
        tests.push(SelfTest {
            address: open.address.address,
            server_name: listen.tls.then(|| server_name(config)),
            proxy_protocol: listen.proxy_protocol.is_some(),
        });
    }
    tests
}

/// A name that the configuration has a certificate for.
fn server_name(config: &Config) -> String {
    let names = config.servers.iter().flat_map(|server| &server.snis).map(|name| match name {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(name) => format!("self-test.{name}"),
        HostPattern::Any => String::from("localhost"),
    });
    names.into_iter().next().unwrap_or_else(|| String::from("localhost"))
}

/// Asks at all of them, within this patience.
///
/// # Errors
/// The first that does not answer as it should, in words.
pub(crate) fn run(tests: &[SelfTest], patience: &Patience<'_>) -> Result<(), String> {
    if tests.is_empty() {
        return Err(String::from("it opened no listener for the self-test"));
    }
    let provider = Arc::new(provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyGateway::new(&provider)))
        .with_no_client_auth();
    let config = Arc::new(config);
    for test in tests {
        ask(test, &config, patience)
            .map_err(|words| format!("the self-test at {} failed: {words}", test.address))?;
    }
    Ok(())
}

fn ask(test: &SelfTest, config: &Arc<ClientConfig>, patience: &Patience<'_>) -> Result<(), String> {
    if !test.address.ip().is_loopback() {
        return Err(String::from("it is not on loopback"));
    }
    let stream = connect(test.address).map_err(|error| format!("no connection: {error}"))?;
    let until = patience.until.min(clock::monotonic() + ANSWER_PATIENCE);
    let mut stream = PatientStream { stream, until, goes_on: patience.goes_on };
    if test.proxy_protocol {
        stream.write_all(PROXY_HEADER).map_err(|error| error.to_string())?;
    }
    let answer = match &test.server_name {
        None => exchange(&mut stream),
        Some(name) => {
            let name = ServerName::try_from(name.clone()).map_err(|error| error.to_string())?;
            let connection = ClientConnection::new(Arc::clone(config), name);
            let connection = connection.map_err(|error| error.to_string())?;
            let mut stream = StreamOwned::new(connection, stream);
            let answer = exchange(&mut stream);
            let shown = stream.conn.peer_certificates().is_some_and(|shown| !shown.is_empty());
            match answer {
                // It asks clients for certificates before it listens to them.
                Err(error) if shown && is_alert(&error) => return Ok(()),
                answer => answer,
            }
        }
    };
    match answer {
        Ok(bytes) if bytes.starts_with(ANSWER) => Ok(()),
        // It does not trust loopback to say who its clients are.
        Ok(bytes) if bytes.is_empty() && test.proxy_protocol => Ok(()),
        Err(error) if test.proxy_protocol && is_closed(&error) => Ok(()),
        Ok(bytes) if bytes.is_empty() => Err(String::from("it closed without an answer")),
        Ok(_) => Err(String::from("it answered something else than a 400")),
        Err(error) => Err(error.to_string()),
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    // On loopback it is there at once, or never.
    let stream = TcpStream::connect_timeout(&address, ANSWER_PATIENCE)?;
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    stream.set_write_timeout(Some(LOOK_EVERY))?;
    Ok(stream)
}

/// A connection whose waits end at a time, and with the wish to go on.
struct PatientStream<'p> {
    stream: TcpStream,
    until: Instant,
    goes_on: &'p dyn Fn() -> bool,
}

impl PatientStream<'_> {
    fn wait(
        &mut self,
        mut step: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if !(self.goes_on)() {
                return Err(io::Error::other("this process was told to stop"));
            }
            if clock::monotonic() >= self.until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match step(&mut self.stream) {
                Err(error) if is_late(&error) => {}
                done => return done,
            }
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Read for PatientStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(|stream| stream.read(buf))
    }
}

impl Write for PatientStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The beginning of the answer.
fn exchange(stream: &mut (impl Read + Write)) -> io::Result<Vec<u8>> {
    stream.write_all(QUESTION)?;
    stream.flush()?;
    let mut all = Vec::new();
    let mut piece = [0; 64];
    while all.len() < ANSWER.len() {
        match stream.read(&mut piece)? {
            0 => break,
            count => all.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    Ok(all)
}

fn is_alert(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::AlertReceived(_)))
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(bytes: &'static [u8]) -> SelfTest {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            let mut question = [0; QUESTION.len()];
            stream.read_exact(&mut question).unwrap();
            drop(stream.write_all(bytes));
        });
        SelfTest { address, server_name: None, proxy_protocol: false }
    }

    fn patience(goes_on: &dyn Fn() -> bool) -> Patience<'_> {
        Patience { until: clock::monotonic() + ANSWER_PATIENCE * 4, goes_on }
    }

    /// Nobody accepts, so nobody answers.
    #[test]
    fn a_stop_and_the_end_of_the_patience_end_it() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let test = SelfTest { address, server_name: None, proxy_protocol: false };
        let started = clock::monotonic();
        let stopped = run(std::slice::from_ref(&test), &patience(&|| false)).unwrap_err();
        assert!(stopped.contains("told to stop"), "{stopped}");
        let short = Patience { until: clock::monotonic(), goes_on: &|| true };
        assert!(run(&[test], &short).is_err());
        assert!(started.elapsed() < ANSWER_PATIENCE);
    }

    #[test]
    fn only_an_answer_of_our_own_is_one() {
        let run = |tests: &[SelfTest]| run(tests, &patience(&|| true));
        assert_eq!(run(&[answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")]), Ok(()));
        let failed = |test: SelfTest| run(&[test]).unwrap_err();
        assert!(failed(answering(b"HTTP/1.1 200 OK\r\n\r\n")).contains("something else"));
        assert!(failed(answering(b"")).contains("without an answer"));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = SelfTest { address: closed, server_name: None, proxy_protocol: false };
        assert!(failed(nobody.clone()).contains("no connection"));
        let elsewhere = SelfTest { address: "192.0.2.1:80".parse().unwrap(), ..nobody };
        assert!(failed(elsewhere).contains("loopback"));
        assert!(run(&[]).is_err());
    }
}
