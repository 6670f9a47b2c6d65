//! The head that goes upstream: re-made, never passed on.
//!
//! In: an admitted request. Out: `METHOD original-path HTTP/1.1`, one Host, one framing, the client's
//! end-to-end fields in their order, then what the configuration adds, then who the client is.
//! Framing and hop-by-hop fields are ours alone; `Expect` is answered by us, `TE` and `Trailer` are
//! dropped because trailers are. `X-Forwarded-*` and `Forwarded` are end-to-end here: they pass as
//! they came, unless header rules say otherwise.

use ferrule_config::model::PassHost;

use super::hop::{self, Nominations};
use super::refusal::Refusal;
use super::request::Admission;
use crate::plan::facts::RequestFacts;
use crate::plan::{Facts, NodePlan, Plan};
use crate::wire::fields::Known;
use crate::wire::framing::BodyLength;
use crate::wire::target;
use crate::wire::write;

/// What may be added to a head, over what the client may send: what is sent upstream never grows
/// beyond the sum, whatever certificates and templates hold.
const HEAD_BYTES_ADDED_MAX: usize = 32 * 1024;

/// Where a request goes, and what is known of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Towards<'a> {
    /// The node.
    pub node: &'a NodePlan,
    /// What [`IdentityHeaders::render_block`](crate::plan::IdentityHeaders::render_block) made of
    /// the client connection.
    pub identity_block: &'a [u8],
    /// May the upstream connection be kept? Otherwise it is told to close.
    pub keep_alive: bool,
}

/// Appends the request head for the upstream. `facts.request` must be there.
///
/// # Errors
/// [`Refusal::HeadOverflow`] if it outgrows its bound; `out` is as it was then.
pub fn upstream_head(
    plan: &Plan,
    admission: &Admission,
    facts: &Facts<'_>,
    towards: &Towards<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = out.len();
    let request = facts.request.as_ref().ok_or(Refusal::Internal)?;
    let route = plan.route(admission.route);
    request_line(admission, route.strip_prefix.as_deref(), request, out)?;
    write::field(b"Host", upstream_host(plan, admission, request.buf, towards.node), out);
    client_fields(plan, admission, request, out)?;
    match admission.body {
        BodyLength::None | BodyLength::UntilClose => {}
        BodyLength::Length(len) => write::content_length(len, out),
        BodyLength::Chunked => out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED),
    }
    if !towards.keep_alive {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    }
    for field in route.headers.append() {
        field.render(facts, out);
    }
    out.extend_from_slice(towards.identity_block);
    plan.identity.render_request(facts, out);
    out.extend_from_slice(write::CRLF);
    let bound = HEAD_BYTES_ADDED_MAX.saturating_add(plan.http.head_bytes_max as usize);
    if out.len() - start > bound {
        out.truncate(start);
        return Err(Refusal::HeadOverflow);
    }
    Ok(())
}

/// The client's fields, minus everything that is not its to say.
fn client_fields(
    plan: &Plan,
    admission: &Admission,
    request: &RequestFacts<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let RequestFacts { buf, head, .. } = *request;
    let rules = &plan.route(admission.route).headers;
    let nominations = Nominations::of(buf, &head.fields).ok_or(Refusal::Internal)?;
    for field in head.fields.as_slice() {
        let name = field.name.of(buf);
        let dropped = hop::ends_here(field.known)
            || matches!(field.known, Known::Host | Known::Expect)
            || (!plan.http.underscores_in_headers && name.contains(&b'_'))
            || plan.identity.strips(name)
            || rules.drops(name)
            || nominations.contain(name, field.known);
        if !dropped {
            write::field(name, field.value.of(buf), out);
        }
    }
    Ok(())
}

fn request_line(
    admission: &Admission,
    strip_prefix: Option<&[u8]>,
    request: &RequestFacts<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let buf = request.buf;
    let target = admission.target.path_and_query.of(buf);
    let rest = match strip_prefix {
        // The asterisk form has no prefix.
        Some(prefix) if target != b"*" => {
            let path = admission.target.path.of(buf);
            let taken = prefix_len(path, prefix).ok_or(Refusal::Internal)?;
            target.get(taken..).ok_or(Refusal::Internal)?
        }
        _ => target,
    };
    out.extend_from_slice(request.head.method_text.of(buf));
    out.push(b' ');
    if !matches!(rest.first(), Some(b'/' | b'*')) {
        out.push(b'/');
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// How many bytes of a path, as it came, mean the prefix: the path may spell it with escapes and
/// repeated slashes, because routing looked at its normal form.
fn prefix_len(path: &[u8], prefix: &[u8]) -> Option<usize> {
    let mut rest = path;
    let mut after_slash = false;
    let mut wanted = prefix;
    while let [first, tail @ ..] = wanted {
        let taken = match rest {
            [b'/', ..] if after_slash && *first != b'/' => {
                rest = rest.get(1..)?;
                continue;
            }
            [byte, ..] if byte == first && *byte != b'%' => 1,
            [b'%', high, low, ..]
                if unescaped(*high, *low) == Some(*first) && !matches!(first, b'/' | b'%') =>
            {
                3
            }
            // What stays encoded in the normal form, as `%2F`.
            [b'%', high, low, ..] => {
                let same = wanted.get(..3)?.eq_ignore_ascii_case(&[b'%', *high, *low]);
                rest = rest.get(3..).filter(|_| same)?;
                wanted = wanted.get(3..)?;
                after_slash = false;
                continue;
            }
            _ => return None,
        };
        after_slash = *first == b'/';
        rest = rest.get(taken..)?;
        wanted = tail;
    }
    path.len().checked_sub(rest.len())
}

fn unescaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The `Host` that goes upstream.
#[must_use]
pub fn upstream_host<'a>(
    plan: &'a Plan,
    admission: &Admission,
    buf: &'a [u8],
    node: &'a NodePlan,
) -> &'a [u8] {
    match &plan.upstream(admission.upstream).pass_host {
        PassHost::Rewrite(host) => host.as_bytes(),
        // HTTP/1.0 may have sent none.
        PassHost::Pass if !admission.authority.is_empty() => admission.authority.of(buf),
        PassHost::Pass | PassHost::Node => &node.host,
    }
}

/// The name for SNI and for the check of the upstream's certificate: `server_name`, else the Host
/// sent upstream if it is a DNS name (without port), else the node's own; empty for none. Its case
/// is as it came.
#[must_use]
pub fn upstream_name<'a>(
    plan: &'a Plan,
    admission: &Admission,
    buf: &'a [u8],
    node: &'a NodePlan,
) -> &'a [u8] {
    if let Some(name) = &plan.upstream(admission.upstream).server_name {
        return name.as_bytes();
    }
    let host = upstream_host(plan, admission, buf, node);
    let host = target::parse_authority(host).map_or(&[][..], |(host, _)| host);
    let is_address = host.starts_with(b"[")
        || str::from_utf8(host).is_ok_and(|host| host.parse::<core::net::Ipv4Addr>().is_ok());
    if is_address || host.is_empty() {
        return node.name.as_bytes();
    }
    host.strip_suffix(b".").unwrap_or(host)
}
