//! Which trailers of a response reach the client.
//!
//! A client gets them only if it asked (`TE: trailers`), and never those that decide something
//! before the content is read: framing, routing, authentication, controls, content format (RFC
//! 9110, section 6.5.1), nor names that carry an identity. A recipient may merge trailers into the
//! head; so names are compared as the most careless one would, in any case, and whatever is no letter or digit for `-`.

use super::response_block::ResponseBlock;
use crate::plan::IdentityHeaders;
use crate::plan::names::Folded;
use crate::wire::fields::{Known, is_token};
use crate::wire::limits::HeadLimits;
use crate::wire::trailers::parse_trailers;
use crate::wire::view::FieldsView;
use crate::wire::write;

/// Names that are never trailers, sorted.
const NEVER: [&[u8]; 43] = [
    b"age",
    b"allow",
    b"alt-svc",
    b"authentication-info",
    b"authorization",
    b"cache-control",
    b"clear-site-data",
    b"connection",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-length",
    b"content-location",
    b"content-range",
    b"content-security-policy",
    b"content-type",
    b"cookie",
    b"date",
    b"early-data",
    b"expect",
    b"expires",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"location",
    b"max-forwards",
    b"pragma",
    b"range",
    b"refresh",
    b"retry-after",
    b"server",
    b"set-cookie",
    b"status",
    b"strict-transport-security",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
    b"x-real-ip",
];

/// What such names start with.
const NEVER_PREFIXES: [&[u8]; 5] =
    [b"access-control-", b"if-", b"proxy-", b"sec-", b"x-forwarded-"];

/// Which trailers of one response may pass.
#[derive(Clone, Copy, Debug)]
pub struct TrailerRules<'a> {
    /// The names that carry an identity.
    pub identity: &'a IdentityHeaders,
    /// What changes in the head: what was removed or replaced there does not come back behind the body.
    pub block: Option<&'a ResponseBlock>,
}

impl TrailerRules<'_> {
    /// May a client get a trailer of this name?
    #[must_use]
    pub fn pass(&self, name: &[u8]) -> bool {
        if self.block.is_some_and(|block| block.replaces_respelt(name)) {
            return false;
        }
        // Nothing that long is among the names; a trailer section is bounded as a whole.
        let Some(folded) = Folded::of(name) else { return !self.identity.strips(name) };
        let folded = folded.as_bytes();
        NEVER.binary_search(&folded).is_err()
            && !NEVER_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
            && !self.identity.strips(name)
    }
}

/// Appends the lines of a section that may pass. One that is no section has none.
pub fn render(section: &[u8], rules: TrailerRules<'_>, out: &mut Vec<u8>) {
    // Whoever has found it has bounded it.
    let limits = HeadLimits { head_bytes_max: u32::MAX, fields_max: u16::MAX };
    let Ok(trailers) = parse_trailers(section, limits) else { return };
    for (name, value) in trailers.filter(|(name, _)| rules.pass(name)) {
        write::field(name, value, out);
    }
}

/// Appends the `Trailer` field anew: of what the upstream announces, what may pass (RFC 9110,
/// section 6.6.2).
pub fn announce(fields: FieldsView<'_>, rules: TrailerRules<'_>, out: &mut Vec<u8>) {
    let mut any = false;
    for name in fields.items(Known::Trailer) {
        if !is_token(name) || !rules.pass(name) {
            continue;
        }
        out.extend_from_slice(if any { b", " } else { b"Trailer: " });
        out.extend_from_slice(name);
        any = true;
    }
    if any {
        out.extend_from_slice(write::CRLF);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::plan::fixture::{config, field, text};

    #[test]
    fn names_that_decide_something_never_pass_however_they_are_spelt() {
        assert!(NEVER.is_sorted());
        let mut config = config();
        config.identity_headers = vec![field("X-Client-Verify", text("x"))];
        let identity = &Plan::build(&config).identity;
        let rules = TrailerRules { identity, block: None };
        for name in [
            "Content-Length",
            "content_length",
            "TRANSFER-ENCODING",
            "Transfer_Encoding",
            "Host",
            "Set-Cookie",
            "set_cookie",
            "Connection",
            "TE",
            "Trailer",
            "If-Match",
            "if_none_match",
            "Location",
            "Content-Type",
            "content_type",
            "X-Client-Verify",
            "x_client_verify",
            "X-SSL-Client-S-DN",
            "x_ssl_client_cert",
            "X-Forwarded-For",
            "x_forwarded_host",
            "Client-Cert",
            "Proxy-Authenticate",
            "Access-Control-Allow-Origin",
        ] {
            assert!(!rules.pass(name.as_bytes()), "{name}");
        }
        for name in ["Digest", "Content-Digest", "Server-Timing", "grpc-status", "X-Sum", "ETag"] {
            assert!(rules.pass(name.as_bytes()), "{name}");
        }
        assert!(rules.pass(&[b'x'; 300]));
    }

    /// A name of any length, and in any spelling that a careless reader takes for it.
    #[test]
    fn what_the_head_lost_does_not_come_back() {
        let identity = &Plan::build(&config()).identity;
        let mut block = ResponseBlock::default();
        block.remove(b"X-Internal");
        block.set(b"X-Sum", b"1");
        block.add(b"X-Added", b"1");
        block.remove(&[b'y'; 300]);
        let rules = TrailerRules { identity, block: Some(&block) };
        for name in ["X-Internal", "x_internal", "x.INTERNAL", "X-Sum", "x_sum", &"Y".repeat(300)] {
            assert!(!rules.pass(name.as_bytes()), "{name}");
        }
        for name in ["X-Added", "X-Internals", "Internal", &"y".repeat(299)] {
            assert!(rules.pass(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_passes_is_written_anew() {
        let identity = &Plan::build(&config()).identity;
        let rules = TrailerRules { identity, block: None };
        let mut out = Vec::new();
        render(b"X-Sum: \t1 2 \r\nHost: evil\r\nEmpty:\r\n\r\n", rules, &mut out);
        assert_eq!(out, b"X-Sum: 1 2\r\nEmpty: \r\n");
        out.clear();
        render(b"X-Sum: 1\r\n", rules, &mut out);
        assert_eq!(out, b"", "a section without its end");
    }
}
