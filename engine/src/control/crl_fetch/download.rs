//! One fetch over HTTP: bounded in time, in bytes, in redirects and in where it may lead.
//!
//! In: a URL. Out: the body of a 200, or word that it has not changed, or why there is neither. Redirects lead to
//! `http` alone, and no further inside than the configuration has asked for.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ferrule_config::model::{CrlUrl, Resolving};

use super::addresses::{self, Neighbourhood};
use super::validators::{Validators, text_of};
use crate::control::names::LookUpSettings;
use crate::control::process::clock;
use crate::wire::body::BodyReader;
use crate::wire::error::WireError;
use crate::wire::framing::{BodyLength, response_body};
use crate::wire::head::{HeadScan, Method, ResponseHead, parse_response};
use crate::wire::limits::HeadLimits;
use crate::wire::view::ResponseView;

/// Redirects that are followed. A certificate's URL may have moved to another server, and that to a better path.
const REDIRECTS_MAX: usize = 3;
/// Answers before the final one (1xx).
const INTERIM_MAX: usize = 8;
/// A head of nginx has 300 bytes.
const HEAD: HeadLimits = HeadLimits { head_bytes_max: 16 << 10, fields_max: 128 };
const PIECE_BYTES: usize = 16 << 10;

/// How a list is fetched.
#[derive(Clone, Debug)]
pub(super) struct DownloadLimits {
    /// For everything together.
    pub(super) timeout: Duration,
    /// Bytes of the body.
    pub(super) size_max: u64,
    /// Where names are looked up.
    pub(super) resolving: Resolving,
}

/// What a fetch has brought.
#[derive(Debug)]
pub(super) enum Download {
    /// The list is the one that these validators belong to.
    Unchanged,
    /// A body, whole, and its validators.
    Body(DownloadedBody),
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct DownloadedBody {
    pub(super) bytes: Vec<u8>,
    pub(super) validators: Validators,
}

/// An answer that was read as far as it matters.
enum Answered {
    Download(Download),
    Redirect(CrlUrl),
}

/// Fetches a list.
///
/// # Errors
/// Why there is none, for operators; nothing of what a server has sent is quoted.
pub(super) fn download(
    url: &CrlUrl,
    known: &Validators,
    limits: &DownloadLimits,
) -> Result<Download, String> {
    let end = clock::monotonic() + limits.timeout;
    let mut url = url.clone();
    let mut inmost = Neighbourhood::Machine;
    for _ in 0..=REDIRECTS_MAX {
        let socket = connect(&url, limits, end, inmost)?;
        // Where the first one was is where the configuration has sent us.
        let reached = socket.peer_addr().map_err(|error| format!("{}", error.kind()))?;
        inmost = inmost.min(Neighbourhood::of(reached.ip()));
        let mut exchange = Exchange { socket, end, limits, read: Vec::new() };
        match exchange.ask(&url, known)? {
            Answered::Download(download) => return Ok(download),
            Answered::Redirect(next) => url = next,
        }
    }
    Err(format!("it redirects more than {REDIRECTS_MAX} times"))
}

fn too_late(limits: &DownloadLimits) -> String {
    format!("no whole answer within {} ms", limits.timeout.as_millis())
}

/// The first address that takes a connection. Each has its share of the time, so that one that says nothing leaves
/// some for the others.
fn connect(
    url: &CrlUrl,
    limits: &DownloadLimits,
    end: Instant,
    inmost: Neighbourhood,
) -> Result<TcpStream, String> {
    let mut last = String::from("the name has no address that is asked");
    let all = addresses(url, limits, end)?;
    for (at, address) in all.iter().copied().enumerate() {
        if let Some(why) = addresses::why_not_asked(address, inmost) {
            last = format!("{address} is {why}, which is not asked");
            continue;
        }
        let left = end.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(too_late(limits));
        }
        let share = left / u32::try_from(all.len().saturating_sub(at)).unwrap_or(u32::MAX).max(1);
        // A socket would not wait for no time at all.
        let share = share.max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&SocketAddr::new(address, url.port()), share) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("no connection to {address}: {}", error.kind()),
        }
    }
    Err(last)
}

fn addresses(url: &CrlUrl, limits: &DownloadLimits, end: Instant) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = url.host().parse() {
        return Ok(vec![address]);
    }
    let settings = LookUpSettings::system(&limits.resolving);
    let resolved = settings
        .look_up_until(end, url.host(), false)
        .map_err(|error| format!("the name leads nowhere: {error}"))?;
    Ok(resolved.found.into_iter().map(|found| found.address).collect())
}

/// One question, and the answer to it.
struct Exchange<'l> {
    socket: TcpStream,
    end: Instant,
    limits: &'l DownloadLimits,
    /// What was read and not looked at yet.
    read: Vec<u8>,
}

impl Exchange<'_> {
    fn ask(&mut self, url: &CrlUrl, known: &Validators) -> Result<Answered, String> {
        self.send(request(url, known).as_bytes())?;
        for _ in 0..INTERIM_MAX {
            let len = self.head()?;
            let mut head = ResponseHead::default();
            parse_response(&self.read, len, HEAD, &mut head).map_err(no_http)?;
            let view = head.view(&self.read);
            match head.status {
                100..=199 if head.status != 101 => {}
                200 => {
                    let body = response_body(view, Method::Get).map_err(no_http)?;
                    check_coding(view)?;
                    let validators = Validators::of(view, clock::unix_seconds());
                    self.read.drain(..len);
                    let bytes = self.body(body)?;
                    let body = DownloadedBody { bytes, validators };
                    return Ok(Answered::Download(Download::Body(body)));
                }
                304 if !known.is_empty() => {
                    return Ok(Answered::Download(Download::Unchanged));
                }
                301 | 302 | 303 | 307 | 308 => return redirect(url, view).map(Answered::Redirect),
                status => return Err(format!("it answers with status {status}")),
            }
            self.read.drain(..len);
        }
        Err(String::from("it does not come to its answer"))
    }

    fn time_left(&self) -> Result<Duration, String> {
        let left = self.end.saturating_duration_since(clock::monotonic());
        // A socket would take nothing for no end at all.
        if left < Duration::from_millis(1) { Err(too_late(self.limits)) } else { Ok(left) }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let left = self.time_left()?;
        // A request is shorter than the buffer of any socket: this is one write.
        let sent =
            self.socket.set_write_timeout(Some(left)).and_then(|()| self.socket.write_all(bytes));
        sent.map_err(|error| format!("it does not take the request: {}", error.kind()))
    }

    /// Reads a piece more; without one the server has ended.
    fn more(&mut self) -> Result<bool, String> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let left = self.time_left()?;
            let read = self
                .socket
                .set_read_timeout(Some(left))
                .and_then(|()| self.socket.read(&mut piece));
            match read {
                Ok(count) => {
                    self.read.extend_from_slice(piece.get(..count).unwrap_or_default());
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(too_late(self.limits));
                }
                Err(error) => return Err(format!("its answer broke off: {}", error.kind())),
            }
        }
    }

    /// The length of the head, once it is all there.
    fn head(&mut self) -> Result<usize, String> {
        let mut scan = HeadScan::default();
        loop {
            if let Some(len) = scan.advance(&self.read, HEAD).map_err(no_http)? {
                return Ok(len);
            }
            if !self.more()? {
                return Err(String::from("its answer broke off"));
            }
        }
    }

    fn body(&mut self, length: BodyLength) -> Result<Vec<u8>, String> {
        let most = usize::try_from(self.limits.size_max).unwrap_or(usize::MAX);
        let too_large = || format!("it sends more than {most} bytes");
        if let BodyLength::Length(length) = length
            && length > self.limits.size_max
        {
            return Err(too_large());
        }
        let (mut reader, mut body) = (BodyReader::new(length), Vec::new());
        loop {
            // What was looked at goes once a read: a piece may hold thousands of chunks.
            let mut at = 0;
            while !reader.is_done() && at < self.read.len() {
                let rest = self.read.get(at..).unwrap_or_default();
                let step = reader.step(rest).map_err(no_http)?;
                body.extend_from_slice(rest.get(step.data.clone()).unwrap_or_default());
                at += step.consumed;
                if body.len() > most {
                    return Err(too_large());
                }
                if step.consumed == 0 {
                    break;
                }
            }
            if reader.is_done() {
                return Ok(body);
            }
            self.read.drain(..at);
            if !self.more()? {
                let whole = reader.may_end_here();
                return if whole { Ok(body) } else { Err(String::from("its answer broke off")) };
            }
        }
    }
}

fn request(url: &CrlUrl, known: &Validators) -> String {
    let host =
        if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
    let port = if url.port() == 80 { String::new() } else { format!(":{}", url.port()) };
    let mut text = format!(
        "GET {} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: ferrule/{}\r\nAccept: application/pkix-crl, \
         */*;q=0.5\r\nAccept-Encoding: identity\r\nConnection: close\r\n",
        url.target(),
        env!("CARGO_PKG_VERSION"),
    );
    known.write(&mut text);
    text.push_str("\r\n");
    text
}

fn no_http(error: WireError) -> String {
    format!("what it sends is no HTTP: {}", error.upstream_word())
}

/// A list that is compressed is none: whoever unpacks what strangers send has to bound it once more.
fn check_coding(view: ResponseView<'_>) -> Result<(), String> {
    let mut codings = view.fields().all_named(b"content-encoding");
    if codings.all(|field| field.value().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(String::from("it sends the list compressed (Content-Encoding), which nobody has asked for"))
}

fn redirect(from: &CrlUrl, view: ResponseView<'_>) -> Result<CrlUrl, String> {
    let wrong = |words: &str| format!("it redirects to what {words}");
    let target = text_of(view, b"location").ok_or_else(|| wrong("is no URL"))?;
    let next = if target.starts_with('/') && !target.starts_with("//") {
        from.with_target(target)
    } else {
        CrlUrl::parse(target)
    };
    next.map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_what_is_new() {
        let url = CrlUrl::parse("http://[::1]:81/a?b").unwrap();
        let text = request(&url, &Validators::default());
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: [::1]:81\r\n"), "{text}");
        assert!(!text.contains("If-"), "{text}");
    }
}
