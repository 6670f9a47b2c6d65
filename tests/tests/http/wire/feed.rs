//! Feeds bytes to the room in every split and insists on one verdict.

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::error::WireError;
use ferrule_engine::wire::fields::Fields;
use ferrule_engine::wire::framing::{BodyLength, request_body, response_body};
use ferrule_engine::wire::head::{
    HeadScan, Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;

/// Roomy limits for cases that are not about limits.
pub(crate) const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, fields_max: 16 };

/// A parsed head with its parts copied out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    /// Method and target, or status and reason.
    pub(crate) first: (String, Vec<u8>),
    pub(crate) version: Version,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) len: usize,
}

/// What a body came to: its data, the bytes it took, and whether it was complete; or its fault.
pub(crate) type Body = Result<(Vec<u8>, usize, bool), WireError>;

/// Runs [`HeadScan`] over pieces that grow as told, as reads would.
fn scan_cut(bytes: &[u8], limits: HeadLimits, cuts: &[usize]) -> Result<Option<usize>, WireError> {
    let mut scan = HeadScan::default();
    for &cut in cuts.iter().chain([&bytes.len()]) {
        if let Some(len) = scan.advance(&bytes[..cut], limits)? {
            return Ok(Some(len));
        }
    }
    Ok(None)
}

/// The end of the head, the same one for the whole, in all two pieces, and byte by byte.
pub(crate) fn scan(bytes: &[u8], limits: HeadLimits) -> Result<Option<usize>, WireError> {
    let whole = scan_cut(bytes, limits, &[]);
    for cut in 0..=bytes.len() {
        assert_eq!(scan_cut(bytes, limits, &[cut]), whole, "cut at {cut}: {}", show(bytes));
    }
    let all: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(scan_cut(bytes, limits, &all), whole, "byte by byte: {}", show(bytes));
    whole
}

/// Scans and parses a request; `None` if it is not all there.
pub(crate) fn request_within(bytes: &[u8], limits: HeadLimits) -> Result<Option<Head>, WireError> {
    let Some(len) = scan(bytes, limits)? else { return Ok(None) };
    let mut head = RequestHead::default();
    let parsed = parse_request(bytes, len, limits, &mut head);
    assert!(parsed.is_ok() || head.fields.as_slice().is_empty());
    parsed?;
    assert_eq!(Method::of(head.method_text.of(bytes)), head.method);
    Ok(Some(Head {
        first: (text(head.method_text.of(bytes)), head.target.of(bytes).to_vec()),
        version: head.version,
        fields: pairs(bytes, &head.fields),
        len: head.len,
    }))
}

/// [`request_within`] roomy limits.
pub(crate) fn request(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    request_within(bytes, LIMITS)
}

/// Scans and parses a response; `None` if it is not all there.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let Some(len) = scan(bytes, LIMITS)? else { return Ok(None) };
    let mut head = ResponseHead::default();
    let parsed = parse_response(bytes, len, LIMITS, &mut head);
    assert!(parsed.is_ok() || head.fields.as_slice().is_empty());
    parsed?;
    Ok(Some(Head {
        first: (head.status.to_string(), head.reason.of(bytes).to_vec()),
        version: head.version,
        fields: pairs(bytes, &head.fields),
        len: head.len,
    }))
}

/// The body of a whole request head.
pub(crate) fn request_framing(bytes: &[u8]) -> Result<BodyLength, WireError> {
    let mut head = RequestHead::default();
    parse_request(bytes, bytes.len(), LIMITS, &mut head)?;
    request_body(head.view(bytes))
}

/// The body of a whole response head.
pub(crate) fn response_framing(bytes: &[u8], method: Method) -> Result<BodyLength, WireError> {
    let mut head = ResponseHead::default();
    parse_response(bytes, bytes.len(), LIMITS, &mut head)?;
    response_body(head.view(bytes), method)
}

/// Reads a body from pieces; also the data that came before a fault.
pub(crate) fn body_cut(length: BodyLength, pieces: &[&[u8]]) -> (Vec<u8>, Body) {
    let mut reader = BodyReader::new(length);
    let (mut data, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && !reader.is_done() {
            let step = match reader.step(rest) {
                Ok(step) => step,
                Err(error) => return (data, Err(error)),
            };
            assert!(step.consumed > 0, "a step over bytes that stands still");
            assert!(step.data.end <= step.consumed);
            assert_eq!(step.done, reader.is_done());
            data.extend_from_slice(&rest[step.data]);
            consumed += step.consumed;
            rest = &rest[step.consumed..];
        }
    }
    let empty = reader.step(b"").unwrap();
    assert_eq!((empty.consumed, empty.data), (0, 0..0));
    let until_close = length == BodyLength::UntilClose;
    assert_eq!(reader.may_end_here(), reader.is_done() || until_close);
    (data.clone(), Ok((data, consumed, reader.is_done())))
}

/// Reads a body, the same one from the whole, from all two pieces, and byte by byte.
pub(crate) fn body(length: BodyLength, bytes: &[u8]) -> Body {
    let whole = body_cut(length, &[bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(body_cut(length, &[left, right]), whole, "cut at {cut}: {}", show(bytes));
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(body_cut(length, &single), whole, "byte by byte: {}", show(bytes));
    whole.1
}

/// Names and values of all fields.
pub(crate) fn pairs(buf: &[u8], fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields
        .as_slice()
        .iter()
        .map(|field| (text(field.name.of(buf)), field.value.of(buf).to_vec()))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Bytes as they can be read in a failure.
pub(crate) fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
