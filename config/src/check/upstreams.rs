//! `[[upstreams]]`, and the inline ones of services and routes.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::check::context::Check;
use crate::check::pools;
use crate::check::tls_choices::protocols;
use crate::host_names;
use crate::model::{
    HttpReuse, KeyPair, Node, NodeAddress, PassHost, Scheme, Upstream, UpstreamCa, UpstreamTimeout,
    UpstreamTls, UpstreamVerify,
};
use crate::raw::{Raw, RawNode};
use crate::values::Wrong;
use crate::words::HostMode;

impl Check<'_> {
    /// The upstreams that have a table of their own.
    pub(super) fn named_upstreams(&mut self, raws: &[Raw]) {
        self.upstream_ids.claim(self.problems, raws.iter());
        for (index, raw) in raws.iter().enumerate() {
            self.add_upstream(raw, format!("upstreams.{index}"));
        }
    }

    /// Checks an upstream and gives its index, if it is whole.
    pub(super) fn add_upstream(&mut self, raw: &Raw, made_up: String) -> Option<usize> {
        let id = self.upstream_ids.name(raw, made_up);
        let upstream = self.upstream(raw, id.clone())?;
        let index = self.upstreams.len();
        self.upstreams.push(upstream);
        self.upstream_ids.set(&id, index);
        Some(index)
    }

    fn upstream(&mut self, raw: &Raw, id: String) -> Option<Upstream> {
        let scheme = raw.word("scheme");
        let nodes = self.nodes(raw, scheme.unwrap_or(Scheme::Http));
        let balance = self.balance(raw, &nodes);
        let queue = self.queue(raw, &nodes);
        let pass_host = self.pass_host(raw);
        let tls = self.upstream_tls(raw, scheme, &nodes);
        let proxy_protocol = self.proxy_header(raw);
        let checks = self.checks(raw);
        let timeout = timeout(raw.table("timeout"), None, raw);
        let retry = self.retry(raw, &nodes);
        if nodes.is_empty() {
            return None;
        }
        self.scheme_fits_ports(raw, scheme?, &nodes);
        let upstream = Upstream {
            place: raw.place,
            id,
            scheme: scheme?,
            nodes,
            balance: balance?,
            queue,
            pass_host,
            retry,
            timeout,
            pool: pools::pool(raw),
            http_reuse: raw.word("http_reuse").unwrap_or(HttpReuse::Always),
            checks,
            tls: tls?,
            proxy_protocol,
        };
        self.pool_can_be_warm(raw, &upstream);
        Some(upstream)
    }

    fn nodes(&mut self, raw: &Raw, scheme: Scheme) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut taken = BTreeSet::new();
        let (max_connections, max_requests) = (raw.int("max_connections"), raw.int("max_requests"));
        for written in raw.nodes("nodes") {
            match node_address(written, scheme) {
                Ok(address) => {
                    if !taken.insert(address.clone()) {
                        let wrong = Wrong::new("this node stands here twice");
                        self.wrong(
                            written.place,
                            &*written.field,
                            wrong.help("give it more weight"),
                        );
                    }
                    let RawNode { place, weight, priority, backup, .. } = *written;
                    nodes.push(Node {
                        place,
                        address,
                        weight,
                        priority,
                        backup,
                        max_connections: written.max_connections.unwrap_or(max_connections),
                        max_requests: written.max_requests.unwrap_or(max_requests),
                    });
                }
                Err(wrong) => self.wrong(written.place, &*written.field, wrong),
            }
        }
        if !nodes.is_empty() && nodes.iter().all(|node| node.weight == 0) {
            let help = "a weight of 0 gets nothing; give one node more";
            self.error(raw.at("nodes"), raw.path("nodes"), "every weight is 0", help);
        }
        nodes
    }

    fn pass_host(&mut self, raw: &Raw) -> PassHost {
        let mode = raw.word("pass_host").unwrap_or(HostMode::Pass);
        let host = raw.text("upstream_host");
        match (mode, host) {
            (HostMode::Rewrite, Some(host)) => {
                if let Err(wrong) = authority(&host.text) {
                    self.wrong(host.place, raw.path("upstream_host"), wrong);
                }
                PassHost::Rewrite(host.text)
            }
            (HostMode::Rewrite, None) => {
                if !raw.has("upstream_host") {
                    let help = "`pass_host = \"rewrite\"` sends it";
                    let path = raw.path("upstream_host");
                    self.error(raw.at("pass_host"), path, "`upstream_host` is missing", help);
                }
                PassHost::Pass
            }
            (HostMode::Pass | HostMode::Node, host) => {
                if host.is_some() && !raw.is_broken("pass_host") {
                    let message = "`upstream_host` is for `pass_host = \"rewrite\"` only";
                    let help = "set `pass_host`, or take it out";
                    self.error(raw.at("upstream_host"), raw.path("upstream_host"), message, help);
                }
                if mode == HostMode::Node { PassHost::Node } else { PassHost::Pass }
            }
        }
    }

    /// `None` if it is not whole.
    fn upstream_tls(
        &mut self,
        raw: &Raw,
        scheme: Option<Scheme>,
        nodes: &[Node],
    ) -> Option<Option<UpstreamTls>> {
        let found = raw.table("tls");
        match (scheme?, found) {
            (Scheme::Http, None) => Some(None),
            (Scheme::Http, Some(tls)) => {
                let help = "set `scheme = \"https\"`, or take it out";
                self.error(tls.place, &*tls.field, "`tls` is for `scheme = \"https\"` only", help);
                Some(None)
            }
            (Scheme::Https, None) => {
                if !raw.has("tls") {
                    let message = "TLS to an upstream needs to know whom to trust";
                    let help = "set `tls.ca`: a path, or \"system\" for the operating system's \
                                store (which is never taken by itself)";
                    self.error(raw.at("scheme"), format!("{}.ca", raw.path("tls")), message, help);
                }
                None
            }
            (Scheme::Https, Some(tls)) => Some(Some(self.tls(tls, nodes)?)),
        }
    }

    pub(super) fn tls(&mut self, raw: &Raw, nodes: &[Node]) -> Option<UpstreamTls> {
        let verify = raw.word("verify").unwrap_or(UpstreamVerify::Full);
        let ca = self.upstream_ca(raw, verify);
        let client = self.own_cert(raw);
        let server_name = raw.text("server_name").and_then(|text| {
            let name = if host_names::is_address(&text.text) {
                Ok(text.text.trim_matches(['[', ']']).to_owned())
            } else {
                host_names::dns_name(&text.text)
            };
            name.map_err(|wrong| self.wrong(text.place, raw.path("server_name"), wrong)).ok()
        });
        let unix = nodes.iter().any(|node| matches!(node.address, NodeAddress::Unix(_)));
        if unix && verify == UpstreamVerify::Full && !raw.has("server_name") {
            let message = "`server_name` is missing: a path has no name that could be checked";
            self.error(raw.place, raw.path("server_name"), message, "name the certificate's host");
        }
        let revocation = self.revocation(raw);
        if revocation.is_some() && verify == UpstreamVerify::Off {
            let message = "`crl` needs a chain that is verified";
            let help = "set `verify` to \"full\" or \"ca\"";
            let key = if raw.has("crl") { "crl" } else { "crl_distribution_points" };
            self.error(raw.at(key), raw.path(key), message, help);
        }
        let pins = self.pins(raw);
        let broken = ["ca", "client_cert", "client_key", "client_cert_id", "crl", "pins"];
        if broken.iter().any(|key| raw.is_broken(key)) {
            return None;
        }
        Some(UpstreamTls {
            place: raw.place,
            client,
            ca,
            verify,
            revocation,
            pins,
            server_name,
            protocols: protocols(raw),
            groups: self.groups(raw),
            ciphers: self.ciphers(raw),
        })
    }

    fn upstream_ca(&mut self, raw: &Raw, verify: UpstreamVerify) -> Option<UpstreamCa> {
        let place = raw.at("verify");
        if verify == UpstreamVerify::Off {
            let message = "the upstream's certificate is not checked: anyone in between can be it";
            let help = "\"ca\" checks the chain alone, \"full\" the name as well";
            self.warn(place, raw.path("verify"), message, help);
        } else if !raw.has("ca") {
            let message = "`ca` is missing: there are no system roots by default";
            let help = "name the authorities, or say `ca = \"system\"` for the operating system's";
            self.error(raw.place, raw.path("ca"), message, help);
        }
        let texts = raw.texts("ca");
        match texts {
            [] => None,
            [one] if one.text == "system" => Some(UpstreamCa::System),
            _ => {
                if let Some(text) = texts.iter().find(|text| text.text == "system") {
                    let message = "\"system\" stands alone";
                    self.error(text.place, raw.path("ca"), message, "write `ca = \"system\"`");
                }
                Some(UpstreamCa::Files(self.pems(raw, "ca")))
            }
        }
    }

    fn own_cert(&mut self, raw: &Raw) -> Option<KeyPair> {
        self.exclusive(raw, "client_cert", "client_cert_id");
        if raw.has("client_key") && !raw.has("client_cert") {
            self.exclusive(raw, "client_key", "client_cert_id");
        }
        for (one, other) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
            if raw.has(one) && !raw.has(other) && !raw.has("client_cert_id") {
                let message = format!("`{other}` is missing");
                let help = Some(format!("it goes with `{one}`"));
                self.problems.push_at(raw.at(one), raw.path(other), message, help);
            }
        }
        if raw.has("password_file") && !raw.has("client_key") {
            let help = "that of a certificate in [[ssls]] is given there";
            let path = raw.path("password_file");
            self.error(raw.at("password_file"), path, "there is no `client_key` here", help);
        }
        if raw.has("client_cert_id") {
            return self.client_cert_by_id(raw);
        }
        let cert =
            raw.text("client_cert").and_then(|text| self.pem(&text, raw.path("client_cert")));
        let key = raw.text("client_key").and_then(|text| self.pem(&text, raw.path("client_key")));
        Some(KeyPair { cert: cert?, key: key?, password_file: self.file(raw, "password_file") })
    }
}

/// What a table says; what it leaves out is as `base` has it, or the default.
pub(super) fn timeout(
    raw: Option<&Raw>,
    base: Option<UpstreamTimeout>,
    holder: &Raw,
) -> UpstreamTimeout {
    let absent = holder.absent_table("timeout");
    let table = raw.unwrap_or(&absent);
    let pick = |key: &str, of: fn(&UpstreamTimeout) -> std::time::Duration| match &base {
        Some(base) if !table.has(key) => of(base),
        _ => table.duration(key),
    };
    UpstreamTimeout {
        connect: pick("connect", |base| base.connect),
        send: pick("send", |base| base.send),
        read: pick("read", |base| base.read),
        total: if table.has("total") {
            Some(table.duration("total"))
        } else {
            base.and_then(|base| base.total)
        },
    }
}

impl Check<'_> {
    /// Plain HTTP to port 443 is answered with 400, and a handshake with port 80 fails.
    fn scheme_fits_ports(&mut self, raw: &Raw, scheme: Scheme, nodes: &[Node]) {
        let has = |wanted: u16| {
            nodes.iter().any(|node| match &node.address {
                NodeAddress::Ip(address) => address.port() == wanted,
                NodeAddress::Name { port, .. } => *port == wanted,
                NodeAddress::Srv { .. } | NodeAddress::Unix(_) => false,
            })
        };
        let (message, help) = match scheme {
            Scheme::Http if has(443) => (
                "a node on port 443 is spoken to in plain HTTP",
                "set `scheme = \"https\"`, with `tls.ca`",
            ),
            Scheme::Https if has(80) => {
                ("a node on port 80 is spoken to in TLS", "set `scheme = \"http\"`, or port 443")
            }
            _ => return,
        };
        self.warn(raw.at("nodes"), raw.path("nodes"), message, help);
    }
}

/// Where a node is: `unix:/path`, an address or a name, with or without a port.
fn node_address(node: &RawNode, scheme: Scheme) -> Result<NodeAddress, Wrong> {
    let written = node.host.as_str();
    if let Some(path) = written.strip_prefix("unix:") {
        return if path.starts_with('/') && node.port.is_none() {
            Ok(NodeAddress::Unix(path.into()))
        } else {
            Err(Wrong::new(format!("`{written}` is not a Unix socket"))
                .help("write \"unix:\" and an absolute path, without a port"))
        };
    }
    if written.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//")) {
        return Err(Wrong::new(format!("`{written}` is a URL, and a host is wanted"))
            .help("write \"host:port\"; `scheme` says whether it is TLS"));
    }
    let (host, port) = split_port(written);
    let has_port = port.is_some() || node.port.is_some();
    let by_scheme = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let port = match (port, node.joined) {
        (Some(_), false) => {
            return Err(Wrong::new(format!("`{written}` has a port")).help("write it as `port`"));
        }
        (Some(port), true) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(Wrong::new(format!("`{port}` is not a port")).help("from 1 to 65535")),
        },
        (None, _) => node.port.unwrap_or(by_scheme),
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        if node.joined && address.is_ipv6() && !host.starts_with('[') {
            return Err(Wrong::new("an IPv6 address of a node stands in brackets")
                .help(format!("write \"[{bare}]:{port}\"")));
        }
        return Ok(NodeAddress::Ip(SocketAddr::new(address, port)));
    }
    let host = host_names::dns_name(host)?;
    if !has_port && is_service(&host) {
        return Ok(NodeAddress::Srv { name: host });
    }
    Ok(NodeAddress::Name { host, port })
}

/// Is it a name of SRV records, as RFC 2782 writes them? Services over HTTP are all over TCP.
fn is_service(name: &str) -> bool {
    let mut labels = name.splitn(3, '.');
    let service = labels.next().is_some_and(|label| label.len() > 1 && label.starts_with('_'));
    service && labels.next() == Some("_tcp") && labels.next().is_some()
}

/// Host and port; an IPv6 address without brackets has no port.
pub(super) fn split_port(written: &str) -> (&str, Option<&str>) {
    match written.rsplit_once(':') {
        // Without brackets, only an IPv6 address has a second colon.
        Some((host, _)) if host.contains(':') && written.parse::<IpAddr>().is_ok() => {
            (written, None)
        }
        Some((host, port)) if !written.ends_with(']') => (host, Some(port)),
        Some(_) | None => (written, None),
    }
}

/// Is it fit for a `Host` field: a host, and perhaps a port?
pub(super) fn authority(text: &str) -> Result<(), Wrong> {
    let (host, port) = split_port(text);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(Wrong::new(format!("`{text}` is not a host with a port")));
    }
    if host.starts_with('[') && host_names::is_address(host) {
        return Ok(());
    }
    host_names::dns_name(host).map(|_| ())
}
