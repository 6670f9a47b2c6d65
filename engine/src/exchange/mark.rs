//! RequestIds a request: gives it an id, and finds or begins its trace.
//!
//! In: the request's head if it was understood, and random bits as they are asked for. Out:
//! [`RequestIds`]. A client's own id is taken only if it is well-formed, so that it is harmless in
//! headers, logs and pages; its trace only if W3C Trace Context (level 1) calls it valid.

use ferrule_config::model::Traceparent;

use super::new_id::{self, lower_hex};
use crate::plan::Plan;
use crate::plan::request_ids::{ID_BYTES_MAX, RequestIds, Trace};
use crate::wire::view::{FieldsView, RequestView};

/// Members of a `tracestate` (W3C Trace Context, section 3.3.1.1).
const STATE_MEMBERS_MAX: usize = 32;

/// RequestIds a request as the configuration asks.
pub fn mark(
    plan: &Plan,
    request: Option<RequestView<'_>>,
    unix_seconds: i64,
    mut random: impl FnMut() -> [u8; 16],
    request_ids: &mut RequestIds,
) {
    request_ids.clear();
    if let Some(rule) = &plan.http.answers.request_id {
        let name = rule.header_name.as_bytes();
        match request.and_then(|request| client_id(name, request.fields())) {
            Some(id) => request_ids.set_id(id),
            None => new_id::make(rule, unix_seconds, &mut random, request_ids),
        }
    }
    let begins = match plan.http.answers.traceparent {
        Traceparent::Off => return,
        Traceparent::Pass => false,
        Traceparent::Begin => true,
    };
    let Some(request) = request else { return };
    request_ids.trace = client_trace(request.fields());
    if begins && request_ids.trace == Trace::None {
        let trace_id = lower_hex(nonzero(random()));
        let [a, b, c, d, e, f, g, h, ..] = nonzero(random());
        let span_id = lower_hex(nonzero([a, b, c, d, e, f, g, h]));
        request_ids.trace = Trace::Begun { trace_id, span_id };
    }
}

/// The client's own id: one field, 1 to 128 bytes, all of them harmless everywhere.
fn client_id<'a>(name: &'a [u8], fields: FieldsView<'a>) -> Option<&'a [u8]> {
    let mut lines = fields.all_named(name);
    let id = lines.next()?.value();
    let harmless = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'=' | b'+' | b'/' | b'@')
    };
    let well_formed = (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(harmless);
    (well_formed && lines.next().is_none()).then_some(id)
}

/// An id of zeros is none (sections 3.2.2.3 and 3.2.2.4).
fn nonzero<const BYTES: usize>(mut bytes: [u8; BYTES]) -> [u8; BYTES] {
    if bytes.iter().all(|byte| *byte == 0)
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
    bytes
}

fn client_trace(fields: FieldsView<'_>) -> Trace {
    let mut lines = fields.all_named(b"traceparent");
    let (Some(field), None) = (lines.next(), lines.next()) else { return Trace::None };
    match traceparent(field.value()) {
        Some((trace_id, span_id)) => {
            Trace::Client { trace_id, span_id, state: has_valid_state(fields) }
        }
        None => Trace::None,
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; a later version may have more behind another `-`, but not what
/// we read changed (section 3.2.4).
fn traceparent(value: &[u8]) -> Option<([u8; 32], [u8; 16])> {
    let (version, rest) = value.split_first_chunk::<2>()?;
    let (dash1, rest) = rest.split_first()?;
    let (trace_id, rest) = rest.split_first_chunk::<32>()?;
    let (dash2, rest) = rest.split_first()?;
    let (span_id, rest) = rest.split_first_chunk::<16>()?;
    let (dash3, rest) = rest.split_first()?;
    let (flags, rest) = rest.split_first_chunk::<2>()?;
    let is_hex = |text: &[u8]| text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |text: &[u8]| text.iter().all(|byte| *byte == b'0');
    let whole = [dash1, dash2, dash3] == [&b'-'; 3]
        && [version, flags].into_iter().all(|text| is_hex(text))
        && version != b"ff"
        && (is_hex(trace_id) && !is_zero(trace_id))
        && (is_hex(span_id) && !is_zero(span_id));
    let ends_well = match (version, rest) {
        (_, []) => true,
        (b"00", _) => false,
        (_, [b'-', ..]) => true,
        _ => false,
    };
    (whole && ends_well).then_some((*trace_id, *span_id))
}

/// Is there a `tracestate`, and all of it well-formed (section 3.3.1)?
fn has_valid_state(fields: FieldsView<'_>) -> bool {
    let mut members = 0_usize;
    for field in fields.all_named(b"tracestate") {
        for member in field.value().split(|byte| *byte == b',') {
            let member = member.trim_ascii();
            if member.is_empty() {
                continue;
            }
            members += 1;
            if members > STATE_MEMBERS_MAX || !is_member(member) {
                return false;
            }
        }
    }
    members > 0
}

/// `key=value`, the key as `vendor` or `tenant@vendor`.
fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = member.split_at(equals);
    let value = value.get(1..).unwrap_or_default();
    let legal = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    let part = |text: &[u8], most: usize, digit_first: bool| {
        text.len() <= most
            && text.iter().all(legal)
            && text.first().is_some_and(|first| {
                first.is_ascii_lowercase() || (digit_first && first.is_ascii_digit())
            })
    };
    let key = match key.iter().position(|byte| *byte == b'@') {
        None => part(key, 256, false),
        Some(at) => {
            let (tenant, vendor) = key.split_at(at);
            part(tenant, 241, true) && part(vendor.get(1..).unwrap_or_default(), 14, false)
        }
    };
    let printable = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    key && (1..=256).contains(&value.len()) && value.iter().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture;
    use crate::wire::head::{RequestHead, parse_request};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn marked(traceparent: Traceparent, fields: &str) -> RequestIds {
        let mut config = fixture::config();
        config.http.answers.request_id = Some(fixture::request_id());
        config.http.answers.traceparent = traceparent;
        let plan = Plan::build(&config);
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let mut head = RequestHead::default();
        parse_request(text.as_bytes(), text.len(), plan.head_limits(), &mut head).unwrap();
        let mut request_ids = RequestIds::default();
        mark(&plan, Some(head.view(text.as_bytes())), 0, || [0xff; 16], &mut request_ids);
        request_ids
    }

    #[test]
    fn a_clients_id_is_taken_only_if_it_is_harmless() {
        const OWN: &str = "ffffffff-ffff-4fff-bfff-ffffffffffff";
        let longest = "a".repeat(ID_BYTES_MAX);
        let too_long = "a".repeat(ID_BYTES_MAX + 1);
        for (given, wanted) in [
            ("abc-1.2_3~:=+/@", "abc-1.2_3~:=+/@"),
            (&longest, longest.as_str()),
            (&too_long, OWN),
            ("", OWN),
            ("a b", OWN),
            ("<script>", OWN),
            ("a\"b", OWN),
            ("a\\b", OWN),
            ("$request_id", OWN),
            ("a;b", OWN),
            ("id\u{e9}", OWN),
            ("a\r\nx-request-id: b", OWN),
        ] {
            let request_ids = marked(Traceparent::Off, &format!("x-REQUEST-id: {given}\r\n"));
            assert_eq!(request_ids.id(), wanted.as_bytes(), "{given:?}");
        }
        let plan = Plan::build(&fixture::config());
        let mut request_ids = RequestIds::default();
        mark(&plan, None, 0, || panic!("nothing is asked for"), &mut request_ids);
        assert_eq!((request_ids.id(), request_ids.trace), (&b""[..], Trace::None));
    }

    #[test]
    fn only_valid_traces_are_taken() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let zeros = "0".repeat(32);
        for (value, valid) in [
            (PARENT.to_owned(), true),
            (format!("00-{trace}-{span}-ff"), true),
            (format!("cc-{trace}-{span}-01"), true),
            (format!("cc-{trace}-{span}-01-what-the-future-brings"), true),
            (format!("cc-{trace}-{span}-01.what"), false),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("00-{trace}-{span}-01-"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("0-{trace}-{span}-01"), false),
            (format!("00-{zeros}-{span}-01"), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (PARENT.to_uppercase(), false),
            (format!("00-{trace}-{span}-1"), false),
            (format!("00-{trace}-{span}-0x"), false),
            (format!("00_{trace}-{span}-01"), false),
            (format!("00-{trace}-{span}"), false),
            (String::new(), false),
            (format!("{PARENT}\r\ntraceparent: {PARENT}"), false),
        ] {
            let field = format!("Traceparent: {value}\r\n");
            let trace = marked(Traceparent::Pass, &field).trace;
            assert_eq!(matches!(trace, Trace::Client { .. }), valid, "{value}");
            assert_eq!(trace == Trace::None, !valid, "{value}");
            let trace = marked(Traceparent::Begin, &field).trace;
            assert_eq!(matches!(trace, Trace::Begun { .. }), !valid, "{value}");
            assert_eq!(marked(Traceparent::Off, &field).trace, Trace::None, "{value}");
        }
    }

    #[test]
    fn a_state_is_passed_whole_or_not_at_all() {
        let most = (0..32).map(|at| format!("k{at}=v,")).collect::<String>();
        for (value, valid) in [
            ("congo=t61rcWkgMzE", true),
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
            ("a=1 , b=2,,", true),
            ("0tenant@vendor=1", true),
            ("a*/_-=x y", true),
            (&most, true),
            (&format!("{most}one=more"), false),
            ("", false),
            ("a", false),
            ("=1", false),
            ("a=", false),
            ("A=1", false),
            ("0a=1", false),
            ("a=b=c", false),
            ("t@0v=1", false),
            ("t@v@w=1", false),
        ] {
            let trace = marked(
                Traceparent::Pass,
                &format!("traceparent: {PARENT}\r\ntracestate: {value}\r\n"),
            );
            let Trace::Client { state, .. } = trace.trace else { panic!("{value}") };
            assert_eq!(state, valid, "{value}");
        }
    }

    #[test]
    fn zeros_are_no_id() {
        assert_eq!(nonzero([0_u8; 4]), [0, 0, 0, 1]);
        assert_eq!(nonzero([0, 1]), [0, 1]);
    }
}
