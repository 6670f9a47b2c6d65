//! What Ferrule writes reads back as what it meant: for random requests and responses.

use ferrule_engine::wire::body::BodyReader;
use ferrule_engine::wire::fields::{Known, known};
use ferrule_engine::wire::framing::{BodyLength, request_body, response_body};
use ferrule_engine::wire::head::{
    Method, RequestHead, ResponseHead, Version, parse_request, parse_response,
};
use ferrule_engine::wire::limits::HeadLimits;
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;

use super::gate::Gate;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 65_536, fields_max: 200 };

/// Names that decide something, in any case, and others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z][A-Za-z0-9!#$%&'*+.^`|~-]{0,12}".prop_filter("no framing", |name| {
            known(name.as_bytes()) == Known::Other
        }),
        4 => select(&[
            "connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Via", "X-Forwarded-For",
            "X-Forwarded-Proto", "Forwarded", "Date", "Server", "X-Id", "X_Id", "Proxy-Connection",
            "Authorization", "Cookie", "Max-Forwards", "X-SSL-Client-Cert", "Range", "Digest",
        ][..]).prop_map(ToOwned::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[!-~]([ -~]{0,20}[!-~])?",
        1 => Just(String::new()),
        3 => select(&["trailers", "close", "keep-alive, x-a", "x-id, host", "gzip", "1.1 edge2"][..])
            .prop_map(ToOwned::to_owned),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((name(), value()), 0..12)
}

fn lines(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// Cuts of a body into pieces.
fn pieces<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    ends.push(body.len());
    ends.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(&body[start..end]);
        start = end;
    }
    pieces
}

/// Reads a body to its end; its data and what follows it.
fn data(length: BodyLength, mut rest: &[u8]) -> (Vec<u8>, usize, bool) {
    let mut reader = BodyReader::new(length);
    let mut data = Vec::new();
    while !rest.is_empty() && !reader.is_done() {
        let step = reader.step(rest).unwrap();
        data.extend_from_slice(&rest[step.data]);
        rest = &rest[step.consumed..];
    }
    (data, rest.len(), reader.may_end_here())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_keeps_its_meaning(
        method in select(&["GET", "POST", "OPTIONS", "BREW"][..]),
        path in "/[a-zA-Z0-9/_~-]{0,12}(\\?[!-\"$-~]{0,12})?",
        fields in fields(),
        framing in select(&["", "Content-Length: 0\r\n", "Content-Length: 0017\r\n", "Transfer-Encoding: Chunked\r\n"][..]),
        old in any::<bool>(),
    ) {
        let gate = Gate::new("via = 'edge'", "", "192.0.2.7");
        let version = if old { "1.0" } else { "1.1" };
        let text = format!("{method} {path} HTTP/{version}\r\nHost: h\r\n{}{framing}\r\n", lines(&fields));
        let Ok((admission, sent)) = gate.request(&text) else {
            // What may be refused of these: never a plain request.
            prop_assert!(!fields.is_empty() || (old && framing.starts_with('T')), "{text}");
            return Ok(());
        };
        let mut head = RequestHead::default();
        let parsed = parse_request(sent.as_bytes(), sent.len(), LIMITS, &mut head);
        prop_assert!(parsed.is_ok(), "{parsed:?} {sent}");
        let buf = sent.as_bytes();
        prop_assert_eq!(head.method_text.of(buf), method.as_bytes());
        prop_assert_eq!(head.target.of(buf), path.as_bytes());
        let sent_fields = head.view(buf).fields();
        prop_assert_eq!(request_body(head.view(buf)), Ok(admission.body));
        prop_assert_eq!(sent_fields.all(Known::Host).count(), 1);
        prop_assert_eq!(sent_fields.items(Known::Via).last(), Some(&if old { *b"1.0 edge" } else { *b"1.1 edge" }[..]));
        for known in [Known::KeepAlive, Known::ProxyConnection, Known::Upgrade, Known::Trailer, Known::Forwarded] {
            prop_assert!(!sent_fields.contains(known), "{sent}");
        }
        for item in sent_fields.items(Known::Connection) {
            prop_assert_eq!(item, b"TE");
        }
        // Nobody but us says who the client is.
        prop_assert!(sent_fields.named(b"x-id").is_none(), "{sent}");
        prop_assert!(!sent.to_ascii_lowercase().contains("x_id:") && !sent.contains("SSL-Client"));
        prop_assert_eq!(sent_fields.all(Known::XForwardedFor).count(), 1);
        // Whatever else is meant for everybody arrives, in its order.
        let kept = |name: &str| ["authorization", "cookie", "range"].contains(&name.to_ascii_lowercase().as_str());
        let wanted: Vec<_> = fields.iter().filter(|(name, _)| kept(name)).cloned().collect();
        let text = |span: ferrule_engine::wire::span::Span| String::from_utf8(span.of(buf).to_vec()).unwrap();
        let found: Vec<_> = head.fields.as_slice().iter()
            .map(|field| (text(field.name), text(field.value)))
            .filter(|(name, _)| kept(name)).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn a_response_keeps_its_meaning(
        status in select(&[200_u16, 204, 205, 206, 304, 404, 500][..]),
        fields in fields(),
        body in vec(any::<u8>(), 0..40),
        chunk in 1_usize..9,
        framing in 0..3_usize,
        asked in (any::<bool>(), any::<bool>(), any::<bool>()),
        cuts in vec(any::<usize>(), 0..4),
    ) {
        let gate = Gate::new("via = 'edge'", "", "192.0.2.7");
        let (is_head, old, takes_trailers) = asked;
        let method = if is_head { Method::Head } else { Method::Get };
        let version = if old { Version::Http10 } else { Version::Http11 };
        let declared = match framing {
            0 => format!("Content-Length: {}\r\n", body.len()),
            1 => "Transfer-Encoding: chunked\r\n".to_owned(),
            _ => String::new(),
        };
        let coded = if framing == 1 {
            let mut coded = Vec::new();
            for piece in body.chunks(chunk) {
                coded.extend_from_slice(format!("{:x};e\r\n", piece.len()).as_bytes());
                coded.extend_from_slice(piece);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n");
            coded
        } else {
            body.clone()
        };
        let head = format!("HTTP/1.1 {status} Some Reason\r\n{}{declared}\r\n", lines(&fields));
        let pieces = pieces(&coded, &cuts);
        let Ok((delivery, mut out, done)) =
            gate.response((method, version, takes_trailers), head.as_bytes(), &pieces)
        else {
            // A response that may have no content, and says otherwise.
            prop_assert!(matches!(status, 204 | 205), "{head}");
            return Ok(());
        };
        // What nothing may follow ends with the connection.
        let until_close = delivery.body == BodyLength::UntilClose;
        prop_assert!(done || until_close, "{head}");
        if until_close && delivery.to_client == ferrule_engine::exchange::flow::Framing::Chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        let len = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let mut parsed = ResponseHead::default();
        prop_assert_eq!(parse_response(&out, len, LIMITS, &mut parsed), Ok(()));
        prop_assert_eq!(parsed.status, status);
        let length = response_body(parsed.view(&out), method).unwrap();
        let (data, behind, whole) = data(length, &out[len..]);
        let empty = is_head || matches!(status, 204 | 205 | 304);
        prop_assert_eq!(data, if empty { Vec::new() } else { body });
        prop_assert!(behind == 0 && whole, "{}", String::from_utf8_lossy(&out));
        let fields = parsed.view(&out).fields();
        prop_assert_eq!(fields.all(Known::Date).count(), 1);
        prop_assert_eq!(fields.items(Known::Via).last(), Some(&b"1.1 edge"[..]));
        // No chunks and no trailers to who did not ask for them.
        let text = String::from_utf8_lossy(&out[len..]).into_owned();
        prop_assert!(!(old && fields.contains(Known::TransferEncoding)));
        prop_assert!(!text.contains("evil"));
        prop_assert!(takes_trailers && !old || !text.contains("X-Sum"));
    }
}
