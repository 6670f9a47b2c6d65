//! What a check asks: its request, its `Host`, and the name for TLS.

use ferrule_config::model::{ActiveChecks, PassHost};

use crate::plan::node::NodePlan;
use crate::plan::upstream::UpstreamPlan;
use crate::wire::fields::eq_ignore_case;
use crate::wire::target::parse_authority;

/// The `Host` of the check: its own, else the one that the upstream gets with every request, else the node's.
#[must_use]
pub fn check_host(upstream: &UpstreamPlan, node: &NodePlan, checks: &ActiveChecks) -> Vec<u8> {
    match (&checks.host, &upstream.pass_host, checks.port) {
        (Some(host), _, _) | (None, PassHost::Rewrite(host), _) => host.as_bytes().to_vec(),
        (None, PassHost::Pass | PassHost::Node, Some(port)) if node.name().contains(':') => {
            format!("[{}]:{port}", node.name()).into_bytes()
        }
        (None, PassHost::Pass | PassHost::Node, Some(port)) => {
            format!("{}:{port}", node.name()).into_bytes()
        }
        (None, PassHost::Pass | PassHost::Node, None) => node.host().as_bytes().to_vec(),
    }
}

/// The name that a `Host` has without its port, and an address without its brackets.
#[must_use]
pub fn server_name_of(host: &[u8]) -> &str {
    let name = parse_authority(host).map_or(host, |(name, _)| name);
    std::str::from_utf8(name).unwrap_or_default().trim_matches(['[', ']'])
}

/// The request of a check. It asks the node to close the connection: the next check opens another one, as a
/// node that takes no connections does not work.
#[must_use]
pub fn check_request(checks: &ActiveChecks, host: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(b"GET ");
    bytes.extend_from_slice(checks.http_path.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    bytes.extend_from_slice(host);
    bytes.extend_from_slice(b"\r\n");
    for header in &checks.req_headers {
        for part in [header.name.as_str(), ": ", &header.value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    let named = |name: &[u8]| {
        checks.req_headers.iter().any(|header| eq_ignore_case(header.name.as_bytes(), name))
    };
    if !named(b"User-Agent") {
        bytes.extend_from_slice(b"User-Agent: ferrule-check\r\n");
    }
    bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::{CheckHeader, NodeAddress, Scheme};

    use super::super::fixture;
    use super::*;
    use crate::plan::{Plan, fixture as plans};
    use crate::wire::head::{HeadScan, RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    fn checks() -> ActiveChecks {
        ActiveChecks {
            http_path: "/health?a=1".to_owned(),
            req_headers: vec![CheckHeader { name: "X-Probe".to_owned(), value: "1".to_owned() }],
            ..fixture::checks()
        }
    }

    fn host(pass_host: PassHost, node: &str, checks: &ActiveChecks) -> String {
        let mut config = plans::config();
        config.upstreams = vec![plans::upstream(pass_host, Scheme::Http)];
        let plan = Plan::build(&config);
        let node = NodePlan::build(&NodeAddress::Ip(node.parse().unwrap()), 1, Scheme::Http);
        String::from_utf8(check_host(&plan.upstreams()[0], &node, checks)).unwrap()
    }

    #[test]
    fn the_host_is_the_one_that_requests_have() {
        let (pass, other) = (PassHost::Pass, PassHost::Rewrite("app.test".to_owned()));
        assert_eq!(host(pass.clone(), "10.0.0.1:80", &checks()), "10.0.0.1");
        assert_eq!(host(pass.clone(), "10.0.0.1:81", &checks()), "10.0.0.1:81");
        assert_eq!(host(other.clone(), "10.0.0.1:80", &checks()), "app.test");
        let port = ActiveChecks { port: Some(9_000), ..checks() };
        assert_eq!(host(pass.clone(), "10.0.0.1:80", &port), "10.0.0.1:9000");
        assert_eq!(host(pass, "[::1]:80", &port), "[::1]:9000");
        let own = ActiveChecks { host: Some("own.test".to_owned()), ..port };
        assert_eq!(host(other, "10.0.0.1:80", &own), "own.test");
    }

    #[test]
    fn a_name_has_no_port_and_no_brackets() {
        for (host, name) in [
            ("a.test:443", "a.test"),
            ("a.test", "a.test"),
            ("[::1]:80", "::1"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(server_name_of(host.as_bytes()), name);
        }
    }

    #[test]
    fn a_request_is_one_that_we_would_take() {
        let bytes = check_request(&checks(), b"a.test");
        let limits = HeadLimits { head_bytes_max: 1_024, fields_max: 16 };
        let len = HeadScan::default().advance(&bytes, limits).unwrap().unwrap();
        let mut head = RequestHead::default();
        parse_request(&bytes, len, limits, &mut head).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(len, text.len());
        assert!(text.starts_with("GET /health?a=1 HTTP/1.1\r\nHost: a.test\r\nX-Probe: 1\r\n"));
        assert!(text.contains("\r\nUser-Agent: ferrule-check\r\n"));
        let mut named = checks();
        named.req_headers[0].name = "user-agent".to_owned();
        let text = String::from_utf8(check_request(&named, b"a.test")).unwrap();
        assert!(text.contains("user-agent: 1\r\n") && !text.contains("ferrule-check"));
    }
}
