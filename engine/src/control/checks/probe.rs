//! One check: a connection, perhaps TLS, a request, and the head of the answer.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt};
use monoio::net::{TcpStream, UnixStream};
use monoio_rustls::{TlsConnector, TlsError};
use rustix::io::Errno;

use super::targets::{CheckPlace, Question};
use crate::health::checks::{AnswerReader, CheckResult, CheckStage};
use crate::tls::client::reason;

/// Heads of answers are below this; a longer one takes more reads.
const READ_BYTES: usize = 2 * 1_024;

/// Asks one node, within its time.
pub(super) async fn probe(place: CheckPlace, question: &Question) -> CheckResult {
    let stage = Cell::new(CheckStage::Connecting);
    match monoio::time::timeout(question.timeout, ask(place, question, &stage)).await {
        Ok(Ok(result) | Err(result)) => result,
        Err(_) => CheckResult::TimedOut(stage.get()),
    }
}

/// # Errors
/// What kept the node from being asked to the end.
async fn ask(
    place: CheckPlace,
    question: &Question,
    stage: &Cell<CheckStage>,
) -> Result<CheckResult, CheckResult> {
    match place {
        CheckPlace::Ip(address) => {
            let stream =
                TcpStream::connect_addr(address).await.map_err(|error| unconnected(&error))?;
            converse(stream, question, stage).await
        }
        CheckPlace::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| unconnected(&error))?;
            converse(stream, question, stage).await
        }
    }
}

async fn converse<S: AsyncReadRent + AsyncWriteRent>(
    mut stream: S,
    question: &Question,
    stage: &Cell<CheckStage>,
) -> Result<CheckResult, CheckResult> {
    if !question.proxy_header.is_empty() {
        let (written, _) = stream.write_all(question.proxy_header).await;
        written.map_err(|error| broken(&error))?;
    }
    let Some(request) = &question.request else { return Ok(CheckResult::Connected) };
    let Some(tls) = &question.tls else {
        stage.set(CheckStage::Waiting);
        return answer(stream, request, question).await;
    };
    stage.set(CheckStage::Handshake);
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    let stream =
        connector.connect(tls.name.clone(), stream).await.map_err(|error| match error {
            TlsError::Rustls(error) => CheckResult::Tls(tls_reason(&error)),
            TlsError::Io(error) => match broken(&error) {
                CheckResult::Closed => {
                    CheckResult::Tls("it closed within the handshake".to_owned())
                }
                result => result,
            },
        })?;
    stage.set(CheckStage::Waiting);
    answer(stream, request, question).await
}

async fn answer<S: AsyncReadRent + AsyncWriteRent>(
    mut stream: S,
    request: &Rc<Box<[u8]>>,
    question: &Question,
) -> Result<CheckResult, CheckResult> {
    let (written, _) = stream.write_all(Rc::clone(request)).await;
    // A node that refuses us may close before it has read the request; what it says counts.
    let unwritten = match written {
        Ok(_) => stream.flush().await.err(),
        Err(error) => Some(error),
    };
    let mut reader = AnswerReader::default();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let read;
        (read, buffer) = stream.read(buffer).await;
        match read {
            Ok(0) => return Err(unwritten.as_ref().map_or(CheckResult::Closed, broken)),
            Ok(_) => {}
            Err(error) => return Err(broken(&error)),
        }
        match reader.read(&buffer) {
            Ok(None) => buffer.clear(),
            Ok(Some(400)) if question.tls.is_some() && !question.shows_certificate => {
                return Ok(CheckResult::WantsCertificate);
            }
            Ok(Some(status)) => return Ok(CheckResult::Answered(status)),
            Err(error) => return Err(CheckResult::NotHttp(error.upstream_word())),
        }
    }
}

/// A shortage of ours says nothing of the node.
fn unconnected(error: &io::Error) -> CheckResult {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::ADDRNOTAVAIL) => {
            CheckResult::NotAsked
        }
        _ => CheckResult::NoConnection(error.kind().to_string()),
    }
}

/// What was there broke.
fn broken(error: &io::Error) -> CheckResult {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or(CheckResult::Closed, |error| CheckResult::Tls(tls_reason(error)))
}

/// Names the alert: it is what the node has to say.
fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => match alert.as_str() {
            Some(name) => format!("the node refuses with the alert {name}"),
            None => format!("the node refuses with the alert {}", u8::from(*alert)),
        },
        _ => reason(error).to_owned(),
    }
}
