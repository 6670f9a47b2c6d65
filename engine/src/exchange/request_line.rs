//! The request line that goes upstream, and with a rewrite the host.
//!
//! In: an admitted request. Out: what the client asked for, without the prefix that its service strips; or what its
//! route sends in its place.

use super::refusal::Refusal;
use super::request::Admission;
use super::rewritten::Rewritten;
use crate::plan::Plan;
use crate::plan::facts::RequestFacts;
use crate::wire::write;

/// The request line and the host of a route that may rewrite them; `host` is sent if it does not.
#[cold]
pub(super) fn own_request_line(
    plan: &Plan,
    admission: &Admission,
    request: &RequestFacts<'_>,
    rewritten: &Rewritten,
    host: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let route = plan.route(admission.route);
    let rewrite = route.policy.as_deref().and_then(|policy| policy.rewrite.as_ref());
    let Some(rewrite) = rewrite.filter(|_| !admission.features.asks_the_server) else {
        request_line(admission, route.strip_prefix.as_deref(), request, out)?;
        write::field(b"Host", host, out);
        return Ok(());
    };
    let method = rewrite.method.as_ref().map(|method| &*method.text);
    if rewritten.target.is_empty() {
        let start = out.len();
        request_line(admission, route.strip_prefix.as_deref(), request, out)?;
        if let Some(method) = method {
            let end = start.saturating_add(request.head.method_text().len());
            out.splice(start..end, method.iter().copied());
        }
    } else {
        let method = method.unwrap_or_else(|| request.head.method_text());
        write::request_line(method, &rewritten.target, out);
    }
    write::field(b"Host", rewrite.host.as_deref().unwrap_or(host), out);
    Ok(())
}

pub(super) fn request_line(
    admission: &Admission,
    strip_prefix: Option<&[u8]>,
    request: &RequestFacts<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let head = request.head;
    let target = head.text(admission.target.path_and_query);
    let rest = match strip_prefix {
        _ if admission.features.asks_the_server => b"*",
        Some(prefix) => {
            let path = head.text(admission.target.path);
            let taken = prefix_len(path, prefix).ok_or(Refusal::Internal)?;
            let rest = target.get(taken..).ok_or(Refusal::Internal)?;
            // What was a path must not become a reference with an authority (RFC 3986, section 4.2).
            let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
            rest.get(slashes.saturating_sub(1)..).unwrap_or_default()
        }
        None => target,
    };
    out.extend_from_slice(head.method_text());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_found_however_it_is_spelt() {
        assert_eq!(prefix_len(b"/x%2fy/z", b"/x%2Fy"), Some(6));
        assert_eq!(prefix_len(b"/x/y/z", b"/x%2Fy"), None);
        assert_eq!(prefix_len(b"/%2561", b"/a"), None);
        assert_eq!(prefix_len(b"/v", b"/v1"), None);
    }
}
