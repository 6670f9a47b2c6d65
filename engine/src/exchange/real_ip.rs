//! Which address does a request say that its client has?
//!
//! In: the request, and who has sent it. Out: the address, if the sender may tell one and does. Of a list each proxy adds
//! one address at its end, so it is read from there: whoever stands in front of a proxy that nobody trusts may have
//! written anything. What is no address ends the search, and the sender is the client.

use core::net::{IpAddr, SocketAddr};

use ferrule_config::model::RealIpSource;

use crate::plan::arguments::parameters;
use crate::plan::real_ip::{RealIpPlan, ToldAddress};
use crate::wire::target;
use crate::wire::view::{FieldsView, RequestView};

/// The address that a request tells; `None`: that of `sender`.
#[must_use]
pub fn told_address(
    plan: &RealIpPlan,
    sender: IpAddr,
    request: RequestView<'_>,
) -> Option<ToldAddress> {
    if !plan.trusts(sender) {
        return None;
    }
    match &plan.source {
        RealIpSource::ForwardedFor => in_list(plan, request.fields()),
        RealIpSource::Header(name) => {
            let mut lines = request.fields().all_named(name.as_bytes());
            let (field, None) = (lines.next()?, lines.next()) else { return None };
            address(field.value())
        }
        RealIpSource::Argument(name) => {
            let target = target::request_target(request).ok()?;
            let mut values = parameters(request.text(target.query), b"&")
                .filter(|(found, _)| *found == name.as_bytes())
                .map(|(_, value)| value);
            let (value, None) = (values.next()?, values.next()) else { return None };
            address(value)
        }
    }
}

/// What is known while a list is read from its start.
enum Seen {
    /// Nothing that counts: no address yet, or something that is none.
    Nothing,
    /// Trusted addresses alone; the first of them.
    Trusted(ToldAddress),
    /// The last address that is not trusted.
    Stranger(ToldAddress),
}

/// All lines are one list (RFC 9110, section 5.3).
fn in_list(plan: &RealIpPlan, fields: FieldsView<'_>) -> Option<ToldAddress> {
    let lines = fields.all_named(b"x-forwarded-for");
    let elements = lines.flat_map(|field| field.value().split(|byte| *byte == b','));
    let elements = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
    if !plan.recursive {
        return address(elements.last()?);
    }
    let mut seen = Seen::Nothing;
    let mut broken = false;
    for element in elements {
        seen = match (address(element), seen) {
            (None, _) => {
                broken = true;
                Seen::Nothing
            }
            (Some(told), _) if !plan.trusts(told.ip) => {
                broken = false;
                Seen::Stranger(told)
            }
            // Read from its end, the list is broken in front of this one.
            (Some(_), _) if broken => Seen::Nothing,
            (Some(told), Seen::Nothing) => Seen::Trusted(told),
            (Some(_), seen) => seen,
        };
    }
    match seen {
        Seen::Nothing => None,
        Seen::Trusted(told) | Seen::Stranger(told) => Some(told),
    }
}

/// An address, with or without a port; one of IPv6 may stand in brackets.
fn address(text: &[u8]) -> Option<ToldAddress> {
    let text = str::from_utf8(text.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let told = match bare {
        Some(six) => ToldAddress { ip: IpAddr::V6(six.parse().ok()?), port: None },
        None => match text.parse::<IpAddr>() {
            Ok(ip) => ToldAddress { ip, port: None },
            Err(_) => {
                let end = text.parse::<SocketAddr>().ok()?;
                ToldAddress { ip: end.ip(), port: Some(end.port()).filter(|port| *port > 0) }
            }
        },
    };
    Some(ToldAddress { ip: told.ip.to_canonical(), ..told })
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::RealIp;

    use super::*;
    use crate::plan::{Plan, fixture};
    use crate::wire::head::{RequestHead, parse_request};

    fn told(source: RealIpSource, recursive: bool, sender: &str, head: &str) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().unwrap()).to_vec();
        let mut config = fixture::config();
        config.http.real_ip = Some(RealIp { source, trusted, recursive });
        let plan = Plan::build(&config);
        let text = format!("GET {head}\r\nHost: h\r\n\r\n");
        let mut parsed = RequestHead::default();
        parse_request(text.as_bytes(), text.len(), plan.head_limits(), &mut parsed).unwrap();
        let real_ip = plan.real_ip.as_ref().unwrap();
        let told = told_address(real_ip, sender.parse().unwrap(), parsed.view(text.as_bytes()));
        told.map_or_else(String::new, |told| match told.port {
            Some(port) => SocketAddr::new(told.ip, port).to_string(),
            None => told.ip.to_string(),
        })
    }

    #[test]
    fn a_list_is_read_from_its_end_as_far_as_it_is_trusted() {
        for (list, last, recursive) in [
            ("1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.1.1.1", "10.1.1.1", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4,10.1.1.1 ,, 2001:db8::1", "2001:db8::1", "1.2.3.4"),
            ("10.1.1.1, 10.1.1.2", "10.1.1.2", "10.1.1.1"),
            ("::ffff:10.1.1.1", "10.1.1.1", "10.1.1.1"),
            ("1.2.3.4:5, [2001:db8::1]:9", "[2001:db8::1]:9", "1.2.3.4:5"),
            ("[2001:dead::1]", "2001:dead::1", "2001:dead::1"),
            ("1.2.3.4:0", "1.2.3.4", "1.2.3.4"),
            ("", "", ""),
            (", ,", "", ""),
            ("1.2.3.4, unknown", "", ""),
            ("1.2.3.4, unknown, 10.1.1.1", "10.1.1.1", ""),
            ("unknown, 1.2.3.4, 10.1.1.1", "10.1.1.1", "1.2.3.4"),
            ("1.2.3.4 5.6.7.8", "", ""),
            ("1.2.3.4/8", "", ""),
            ("01.2.3.4", "", ""),
            ("1.2.3", "", ""),
            ("0x7f000001", "", ""),
            ("[1.2.3.4]", "", ""),
            ("1.2.3.4:99999", "", ""),
            ("fe80::1%eth0", "", ""),
            ("for=1.2.3.4", "", ""),
            ("1.2.3.4\r\nX-Forwarded-For: 10.1.1.1", "10.1.1.1", "1.2.3.4"),
            ("10.1.1.1\r\nx-forwarded-for: 1.2.3.4", "1.2.3.4", "1.2.3.4"),
        ] {
            let head = format!("/ HTTP/1.1\r\nX-Forwarded-For: {list}");
            let source = || RealIpSource::ForwardedFor;
            assert_eq!(told(source(), false, "10.0.0.1", &head), last, "{list}");
            assert_eq!(told(source(), true, "10.0.0.1", &head), recursive, "{list}");
            for stranger in ["11.0.0.1", "::1"] {
                assert_eq!(told(source(), true, stranger, &head), "", "{list}");
            }
            assert_eq!(told(source(), true, "::ffff:10.0.0.1", &head), recursive, "{list}");
        }
    }

    #[test]
    fn another_header_or_a_parameter_names_one_address() {
        for (fields, wanted) in [
            ("X-Real-IP: 1.2.3.4", "1.2.3.4"),
            ("x-real-ip: [::2]:7", "[::2]:7"),
            ("X-Real-IP: 1.2.3.4\r\nX-Real-IP: 1.2.3.4", ""),
            ("X-Real-IP: 1.2.3.4, 1.2.3.4", ""),
            ("X_Real_IP: 1.2.3.4", ""),
            ("X-Real-IP:", ""),
        ] {
            let header = RealIpSource::Header("x-real-ip".to_owned());
            let head = format!("/ HTTP/1.1\r\n{fields}");
            assert_eq!(told(header, false, "10.0.0.1", &head), wanted, "{fields}");
        }
        for (target, wanted) in [
            ("/?ip=1.2.3.4", "1.2.3.4"),
            ("/?a=1&ip=1.2.3.4:80&b", "1.2.3.4:80"),
            ("/?ip=1.2.3.4&ip=1.2.3.4", ""),
            ("/?ip", ""),
            ("/?IP=1.2.3.4", ""),
            ("/?ip=1.2.3.%34", ""),
            ("/", ""),
        ] {
            let argument = RealIpSource::Argument("ip".to_owned());
            let head = format!("{target} HTTP/1.1\r\nA: b");
            assert_eq!(told(argument, false, "10.0.0.1", &head), wanted, "{target}");
        }
    }
}
