//! What has to hold for any bytes at all. The property tests, the seeds and the fuzz targets call
//! the same five functions; each panics where an invariant is broken.

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::error::WireError;
use ferrule_engine::wire::fields::Fields;
use ferrule_engine::wire::framing::{BodyLength, request_body, response_body};
use ferrule_engine::wire::head::{
    HeadScan, Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;
use ferrule_engine::wire::proxy::{HEADER_BYTES_MAX, parse_header};
use ferrule_engine::wire::proxy_write;
use ferrule_engine::wire::span::Span;
use ferrule_engine::wire::target::{
    Form, normalise_path, parse_authority, parse_target, request_authority, request_target,
};
use ferrule_engine::wire::write;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 2048, fields_max: 32 };

/// A request head ends where a naive search says, is read as httparse reads it, holds nothing that
/// a lenient reader could take for a line end, and means the same when it is written again.
pub(crate) fn request_head(bytes: &[u8]) {
    let Some(len) = head_end(bytes) else { return };
    let mut head = RequestHead::default();
    if let Err(error) = parse_request(bytes, len, LIMITS, &mut head) {
        return well_explained(error);
    }
    only_crlf(&bytes[..len]);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut theirs = httparse::Request::new(&mut lines);
    assert_eq!(theirs.parse(bytes), Ok(httparse::Status::Complete(len)));
    assert_eq!(theirs.method.unwrap().as_bytes(), head.method_text.of(bytes));
    assert_eq!(theirs.path.unwrap().as_bytes(), head.target.of(bytes));
    assert_eq!(theirs.version == Some(1), head.version == Version::Http11);
    same_fields(bytes, &head.fields, theirs.headers);

    let mut out = Vec::new();
    write::request_line(head.method_text.of(bytes), head.target.of(bytes), &mut out);
    write_fields(bytes, &head.fields, &mut out);
    let mut again = RequestHead::default();
    assert_eq!(parse_request(&out, out.len(), LIMITS_AGAIN, &mut again), Ok(()));
    assert_eq!(again.method, head.method);
    assert_eq!(again.target.of(&out), head.target.of(bytes));
    assert_eq!(parts(&out, &again.fields), parts(bytes, &head.fields));
    if head.version == Version::Http11 {
        assert_eq!(request_body(again.view(&out)), request_body(head.view(bytes)));
    }
    assert_ne!(request_body(head.view(bytes)), Ok(BodyLength::UntilClose));
    if let Ok(target) = request_target(head.view(bytes)) {
        let _ = request_authority(head.view(bytes), &target);
    }
}

/// The same for a response head.
pub(crate) fn response_head(bytes: &[u8]) {
    let Some(len) = head_end(bytes) else { return };
    let mut head = ResponseHead::default();
    if let Err(error) = parse_response(bytes, len, LIMITS, &mut head) {
        return well_explained(error);
    }
    only_crlf(&bytes[..len]);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut theirs = httparse::Response::new(&mut lines);
    assert_eq!(theirs.parse(bytes), Ok(httparse::Status::Complete(len)));
    assert_eq!(theirs.code, Some(head.status));
    let reason = head.reason.of(bytes);
    assert!(!reason.is_ascii() || theirs.reason.unwrap().as_bytes() == reason);
    same_fields(bytes, &head.fields, theirs.headers);

    let mut out = Vec::new();
    write::status_line_with(head.status, reason, &mut out);
    write_fields(bytes, &head.fields, &mut out);
    let mut again = ResponseHead::default();
    assert_eq!(parse_response(&out, out.len(), LIMITS_AGAIN, &mut again), Ok(()));
    assert_eq!((again.status, again.reason.of(&out)), (head.status, reason));
    assert_eq!(parts(&out, &again.fields), parts(bytes, &head.fields));
    for method in [Method::Get, Method::Head, Method::Connect] {
        let length = response_body(head.view(bytes), method);
        if head.version == Version::Http11 {
            assert_eq!(response_body(again.view(&out), method), length);
        }
        let bodiless = method == Method::Head || matches!(head.status, 100..=199 | 204 | 304);
        assert!(!bodiless || matches!(length, Ok(BodyLength::None) | Err(_)));
    }
}

/// A chunked body is the same data or the same fault however it is cut, and the data is what a
/// naive decoder finds.
pub(crate) fn chunked(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for size in [1, 2, 3, 7] {
        assert_eq!(read(bytes, size), whole, "in pieces of {size}");
    }
    let (data, Ok(Some(consumed))) = whole else { return };
    assert_eq!(naive_chunks(&bytes[..consumed]).as_deref(), Some(&data[..]));
}

/// A trailer section is what the same lines would be in a head: the same end, and refused where they
/// would be.
pub(crate) fn trailers(bytes: &[u8]) {
    let body = [b"0\r\n", bytes].concat();
    let (data, ours) = read(&body, usize::MAX);
    assert!(data.is_empty());
    for size in [1, 2, 3, 7] {
        assert_eq!(read(&body, size), (data.clone(), ours), "in pieces of {size}");
    }
    let head = [b"HTTP/1.1 200 OK\r\n", bytes].concat();
    let len = HeadScan::default().advance(&head, TRAILER_LIMITS);
    let mut parsed = ResponseHead::default();
    let theirs = match len {
        Ok(Some(len)) => parse_response(&head, len, TRAILER_LIMITS, &mut parsed).map(|()| len),
        // The one sees a fault in a line at once, the other at its end.
        Ok(None) => return,
        Err(error) => Err(error),
    };
    let own_limit = ours == Err(WireError::TrailersTooLarge);
    if let (Ok(Some(end)), Ok(len)) = (ours, theirs) {
        assert_eq!(end - b"0\r\n".len(), len - b"HTTP/1.1 200 OK\r\n".len());
        only_crlf(&body[..end]);
    } else if !own_limit && theirs != Err(WireError::HeadTooLarge) {
        assert!(ours.is_err() && theirs.is_err(), "{ours:?}, but {theirs:?} in a head");
    }
}

/// More than trailers may be, so that only their own limits count.
const TRAILER_LIMITS: HeadLimits = HeadLimits { head_bytes_max: 16_384, fields_max: 64 };

/// A target that passes lies in its buffer, has one normal form, and nothing in that form can be
/// read as another path.
pub(crate) fn target(bytes: &[u8]) {
    let Some(span) = Span::new(0, bytes.len()) else { return };
    for method in [Method::Get, Method::Options, Method::Connect] {
        let Ok(target) = parse_target(bytes, method, span) else { continue };
        let (path, query) = (target.path.of(bytes), target.query.of(bytes));
        assert_eq!(target.form == Form::Authority, method == Method::Connect);
        assert_eq!(target.form == Form::Authority, path.is_empty());
        assert!(target.path_and_query.of(bytes).starts_with(path));
        assert!(target.path_and_query.of(bytes).ends_with(query));
        assert!(target.authority.is_empty() || parse_authority(target.authority.of(bytes)).is_ok());
        normal_path(path);
    }
    normal_path(bytes);
    if let Ok((host, port)) = parse_authority(bytes) {
        assert!(bytes.starts_with(host) && !host.is_empty() && host.is_ascii());
        assert!(port.is_none() || host.len() + 1 < bytes.len());
    }
}

/// Room for the space that writing puts behind each colon.
const LIMITS_AGAIN: HeadLimits = HeadLimits { head_bytes_max: 4096, fields_max: 32 };

/// Where the head ends, the same for all cuts and as a naive search finds it.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut whole = HeadScan::default();
    let verdict = whole.advance(bytes, LIMITS);
    let mut scan = HeadScan::default();
    let single = (0..=bytes.len())
        .map(|len| scan.advance(&bytes[..len], LIMITS))
        .find(|verdict| *verdict != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(single, verdict);
    let len = verdict.ok()??;
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let rest = &bytes[skipped..];
    let naive = if rest.starts_with(b"\r\n") {
        2
    } else {
        rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
    };
    assert_eq!(len, skipped + naive);
    Some(len)
}

/// A head that has an end is refused for a reason: the scanner that parses and the one that looks
/// for the fault agree that there is one.
fn well_explained(error: WireError) {
    assert_ne!(error, WireError::MalformedHead);
}

/// No CR without LF, no LF without CR, no other control byte but tabs.
fn only_crlf(head: &[u8]) {
    for (at, byte) in head.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(head.get(at + 1), Some(&b'\n')),
            b'\n' => assert_eq!(head[at - 1], b'\r'),
            _ => assert!(*byte == b'\t' || !byte.is_ascii_control()),
        }
    }
}

fn same_fields(bytes: &[u8], ours: &Fields, theirs: &[httparse::Header<'_>]) {
    let theirs: Vec<_> = theirs.iter().map(|line| (line.name.as_bytes(), line.value)).collect();
    assert_eq!(parts(bytes, ours), theirs);
}

fn parts<'a>(buf: &'a [u8], fields: &Fields) -> Vec<(&'a [u8], &'a [u8])> {
    fields.as_slice().iter().map(|field| (field.name.of(buf), field.value.of(buf))).collect()
}

fn write_fields(buf: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    for (name, value) in parts(buf, fields) {
        write::field(name, value, out);
    }
    out.extend_from_slice(write::CRLF);
}

/// The data, and where the body ended, in pieces of `size`.
fn read(bytes: &[u8], size: usize) -> (Vec<u8>, Result<Option<usize>, WireError>) {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let (mut data, mut consumed) = (Vec::new(), 0);
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() && !reader.is_done() {
            let step = match reader.step(rest) {
                Ok(step) => step,
                Err(error) => return (data, Err(error)),
            };
            assert!(step.consumed > 0);
            data.extend_from_slice(&rest[step.data]);
            consumed += step.consumed;
            rest = &rest[step.consumed..];
        }
    }
    (data, Ok(reader.is_done().then_some(consumed)))
}

/// The data of a whole chunked body, trailers ignored; nothing if it does not even look like one.
fn naive_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let line = str::from_utf8(bytes[..end].split(|&byte| byte == b';').next()?).ok()?;
        let size = usize::from_str_radix(line.trim_end_matches([' ', '\t']), 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Some(data);
        }
        data.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// A path that passes has no dot segment in any reading, no double slash, and is its own normal
/// form.
fn normal_path(path: &[u8]) {
    let mut normal = Vec::new();
    if normalise_path(path, &mut normal).is_err() {
        assert!(normal.is_empty());
        return;
    }
    assert!(normal == b"*" || normal.starts_with(b"/"));
    assert!(!normal.windows(2).any(|window| window == b"//"));
    assert!(!normal.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n' | b'\\' | b'#')));
    let text: String = normal.iter().map(|&byte| char::from(byte)).collect();
    let opened = text.replace("%2F", "/").replace("%5C", "/").replace("%3B", ";");
    for segment in opened.split('/') {
        assert!(!matches!(segment.split(';').next(), Some("." | "..")), "{text}");
    }
    let mut twice = Vec::new();
    assert_eq!(normalise_path(&normal, &mut twice), Ok(()));
    assert_eq!(twice, normal);
}

/// A PROXY protocol header has one verdict however it comes, never reaches into what follows it, is
/// bounded, and says the same when it is written again.
pub(crate) fn proxy_header(bytes: &[u8]) {
    let verdict = parse_header(bytes);
    // The first prefix that says anything says what the whole says; those before it ask for more.
    for len in 0..bytes.len() {
        match parse_header(&bytes[..len]) {
            Ok(None) => {}
            early => {
                assert_eq!(early, verdict, "after {len} bytes");
                break;
            }
        }
    }
    match verdict {
        Err(error) => assert!(!error.text().is_empty()),
        Ok(None) => assert!(bytes.len() < HEADER_BYTES_MAX),
        Ok(Some(header)) => {
            assert!(header.len <= bytes.len() && header.len <= HEADER_BYTES_MAX);
            // One byte less is not enough, and none behind it counts.
            assert_eq!(parse_header(&bytes[..header.len]), verdict);
            assert_eq!(parse_header(&bytes[..header.len - 1]), Ok(None));
            let other = [&bytes[..header.len], b"PROXY"].concat();
            assert_eq!(parse_header(&other), verdict);
            let Some(ends) = header.ends else { return };
            let mut line = Vec::new();
            proxy_write::version_1(&ends, &mut line);
            let mut binary = proxy_write::Version2::new(&ends);
            binary.checksum();
            for written in [line, binary.finish().unwrap()] {
                let read = parse_header(&written).unwrap().unwrap();
                assert_eq!((read.len, read.ends), (written.len(), Some(ends)));
            }
        }
    }
}
