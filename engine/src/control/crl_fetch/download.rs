//! One fetch over HTTP: bounded in time, in bytes, in redirects and in where it may lead.
//!
//! In: a URL. Out: the body of a 200, or word that it has not changed, or why there is neither. Redirects lead to
//! `http` alone. Addresses of the own link are not asked: what answers there without a login (the metadata of a
//! cloud's machines) is not for those who can write a redirect or a name server's answer.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ferrule_config::model::{CrlUrl, Resolving};

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
/// Longer ones are not sent back.
const VALIDATOR_BYTES_MAX: usize = 256;
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

/// What a server calls the state of the list that it has sent (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
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
    for _ in 0..=REDIRECTS_MAX {
        let socket = connect(&url, limits, end)?;
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

/// The first address that takes a connection.
fn connect(url: &CrlUrl, limits: &DownloadLimits, end: Instant) -> Result<TcpStream, String> {
    let mut last = String::from("the name has no address that is asked");
    for address in addresses(url, limits)? {
        if is_of_link(address) {
            last = format!("{address} is an address of the own link, which is not asked");
            continue;
        }
        let left = end.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(too_late(limits));
        }
        match TcpStream::connect_timeout(&SocketAddr::new(address, url.port()), left) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("no connection to {address}: {}", error.kind()),
        }
    }
    Err(last)
}

fn addresses(url: &CrlUrl, limits: &DownloadLimits) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = url.host().parse() {
        return Ok(vec![address]);
    }
    let settings = LookUpSettings::system(&limits.resolving);
    let resolved = settings
        .look_up(url.host(), false)
        .map_err(|error| format!("the name leads nowhere: {error}"))?;
    Ok(resolved.found.into_iter().map(|found| found.address).collect())
}

/// Of the own link, of a group, or of nobody.
fn is_of_link(address: IpAddr) -> bool {
    let v6 = |address: Ipv6Addr| {
        address.is_unicast_link_local() || address.is_multicast() || address.is_unspecified()
    };
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => v6(address),
    }
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
                    let validators = validators(view);
                    self.read.drain(..len);
                    let bytes = self.body(body)?;
                    let body = DownloadedBody { bytes, validators };
                    return Ok(Answered::Download(Download::Body(body)));
                }
                304 if *known != Validators::default() => {
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
            while !reader.is_done() && !self.read.is_empty() {
                let step = reader.step(&self.read).map_err(no_http)?;
                body.extend_from_slice(self.read.get(step.data.clone()).unwrap_or_default());
                self.read.drain(..step.consumed);
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
    let conditions = [("If-None-Match", &known.etag), ("If-Modified-Since", &known.last_modified)];
    for (name, value) in conditions {
        if let Some(value) = value {
            text.extend([name, ": ", value, "\r\n"]);
        }
    }
    text.push_str("\r\n");
    text
}

fn no_http(error: WireError) -> String {
    format!("what it sends is no HTTP: {}", error.upstream_word())
}

/// A field of an answer, if it is text and there is one of it.
fn text_of<'a>(view: ResponseView<'a>, name: &'a [u8]) -> Option<&'a str> {
    let mut all = view.fields().all_named(name);
    let first = all.next().filter(|_| all.next().is_none())?;
    str::from_utf8(first.value()).ok()
}

/// A list that is compressed is none: whoever unpacks what strangers send has to bound it once more.
fn check_coding(view: ResponseView<'_>) -> Result<(), String> {
    let mut codings = view.fields().all_named(b"content-encoding");
    if codings.all(|field| field.value().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(String::from("it sends the list compressed (Content-Encoding), which nobody has asked for"))
}

fn validators(view: ResponseView<'_>) -> Validators {
    let shown = |name: &'static [u8]| {
        let text = text_of(view, name)?;
        let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (plain && !text.is_empty() && text.len() <= VALIDATOR_BYTES_MAX).then(|| text.to_owned())
    };
    Validators { etag: shown(b"etag"), last_modified: shown(b"last-modified") }
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
    fn addresses_of_the_own_link_are_not_asked() {
        for text in [
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:169.254.169.254",
        ] {
            assert!(is_of_link(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "192.0.2.1", "::1", "fd00::1", "2001:db8::1"] {
            assert!(!is_of_link(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_request_asks_for_what_is_new() {
        let url = CrlUrl::parse("http://[::1]:81/a?b").unwrap();
        let text = request(&url, &Validators::default());
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\nHost: [::1]:81\r\n"), "{text}");
        let known = Validators { etag: Some("\"x\"".to_owned()), last_modified: None };
        assert!(request(&url, &known).contains("\r\nIf-None-Match: \"x\"\r\n\r\n"));
    }
}
