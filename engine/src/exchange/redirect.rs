//! Where a client is sent by a `redirect`.
//!
//! In: a request on a route that has one. Out: the status and the `Location`. The host in it is one of the
//! configuration's, or the request's own as it was judged; a path never becomes a host.

use super::refusal::Refusal;
use super::rewritten::one_slash;
use crate::plan::Facts;
use crate::plan::reshape::{RedirectPlan, RedirectPlanTarget};
use crate::plan::uri_plan::{UriMemory, append_by_rules, query};
use crate::wire::head::Method;
use crate::wire::write;

/// Appends the `Location`; the status, if this request is redirected.
///
/// # Errors
/// [`Refusal::UnusableUri`] if where it would lead is unclear.
pub fn redirect(
    redirect: &RedirectPlan,
    facts: &Facts<'_>,
    memory: &mut UriMemory,
    location: &mut Vec<u8>,
) -> Result<Option<u16>, Refusal> {
    let Some(request) = facts.request.as_ref() else { return Err(Refusal::Internal) };
    let (uri, status) = match &redirect.to {
        RedirectPlanTarget::Https(_) if facts.connection.tls => return Ok(None),
        RedirectPlanTarget::Https(port) => {
            return to_https(*port, facts, location).map(Some);
        }
        RedirectPlanTarget::Uri(uri) => {
            uri.append(facts, redirect.escapes, memory, location);
            (uri, redirect.status)
        }
        RedirectPlanTarget::Rules(rules) => {
            match append_by_rules(rules, facts, redirect.escapes, memory, None, location) {
                Some(uri) => (uri, redirect.status),
                None => return Ok(None),
            }
        }
    };
    if location.starts_with(b"/") {
        one_slash(location);
    } else if !location.starts_with(b"http://") && !location.starts_with(b"https://") {
        return Err(Refusal::UnusableUri);
    }
    if uri.needs_host && request.host.is_empty() {
        return Err(Refusal::UnusableUri);
    }
    let query = query(facts);
    if redirect.append_query && !query.is_empty() {
        location.push(if location.contains(&b'?') { b'&' } else { b'?' });
        location.extend_from_slice(query);
    }
    Ok(Some(status))
}

/// The same by TLS. A client may ask by another method after a 301, but not after a 308 (RFC 9110, sections
/// 15.4.2 and 15.4.9).
///
/// # Errors
/// [`Refusal::UnusableUri`] if the request names no host.
pub fn to_https(port: u16, facts: &Facts<'_>, location: &mut Vec<u8>) -> Result<u16, Refusal> {
    let Some(request) = facts.request.as_ref() else { return Err(Refusal::Internal) };
    if request.host.is_empty() {
        return Err(Refusal::UnusableUri);
    }
    location.extend_from_slice(b"https://");
    location.extend_from_slice(request.host);
    if port != 443 {
        location.push(b':');
        write::decimal(port.into(), location);
    }
    let target = request.target.map(|target| request.head.text(target.path_and_query));
    let target = target.filter(|target| target.starts_with(b"/")).unwrap_or(b"/");
    location.extend_from_slice(target);
    Ok(match request.head.method() {
        Method::Get | Method::Head => 301,
        _ => 308,
    })
}
