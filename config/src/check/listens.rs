//! `[[listen]]`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::check::context::{Check, is_off};
use crate::host_names;
use crate::model::{Listen, Server};
use crate::place::Place;
use crate::raw::{Raw, Text};
use crate::values::nearest;
use crate::words::SslType;

/// The port that clients are sent to for TLS: 443 if somebody listens there, or nobody does anywhere.
pub(super) fn tls_port(root: &Raw) -> u16 {
    let ports = root.tables("listen").iter().filter(|raw| raw.flag("tls"));
    let ports = ports.filter_map(|raw| {
        let address = raw.text("address")?;
        let port = address.text.rsplit_once(':')?.1.parse::<u16>().ok()?;
        (port != 0).then_some(port)
    });
    let ports: Vec<u16> = ports.collect();
    if ports.contains(&443) { 443 } else { ports.first().copied().unwrap_or(443) }
}

/// An address that a listener has.
struct Taken {
    place: Place,
    /// Does it take IPv4 on an IPv6 address?
    both: bool,
}

impl Check<'_> {
    pub(super) fn listens(&mut self, root: &Raw, servers: &[Server]) -> Vec<Listen> {
        let raws = root.tables("listen");
        let mut taken = BTreeMap::new();
        let listens: Vec<_> = raws
            .iter()
            .filter_map(|raw| {
                let listen = self.listen(raw, root, servers);
                if let Some(listen) = &listen {
                    self.listen_once(raw, listen, &mut taken);
                }
                listen
            })
            .collect();
        if !raws.iter().any(|raw| raw.flag("tls") || raw.is_broken("tls")) {
            for raw in root.tables("ssls").iter().filter(|raw| !is_client(raw) && !is_off(raw)) {
                let help = "set `tls = true` for a [[listen]]";
                let message = "no listener speaks TLS: nobody will see this certificate";
                self.warn(raw.place, raw.field.clone(), message, help);
            }
        }
        listens
    }

    fn listen_once(&mut self, raw: &Raw, listen: &Listen, taken: &mut BTreeMap<SocketAddr, Taken>) {
        let place = raw.at("address");
        let any_port = listen.address.port() == 0;
        // Port 0 is a new port for each address.
        for address in bound(listen).take(if any_port { 1 } else { usize::MAX }) {
            let Some(first) = taken.get(&address) else {
                taken.insert(address, Taken { place, both: both(listen) });
                continue;
            };
            let line = self.problems.position(first.place).line;
            let (message, help) = if any_port {
                let message = format!(
                    "port 0 is on line {line} already for this address: two tables would share one port"
                );
                (message, Some("give ports, or different addresses".to_owned()))
            } else {
                let help = (both(listen) || first.both).then(|| {
                    "`ipv6only = false` takes IPv4, too: one of the two is enough".to_owned()
                });
                (format!("line {line} listens on {address} already"), help)
            };
            self.problems.push_at(place, raw.path("address"), message, help);
            break;
        }
    }

    fn listen(&mut self, raw: &Raw, root: &Raw, servers: &[Server]) -> Option<Listen> {
        let tls = raw.flag("tls");
        if tls && servers.is_empty() && root.tables("ssls").iter().all(is_client) {
            let message = "TLS needs a certificate, and there is none";
            self.error(raw.at("tls"), raw.path("tls"), message, "add [[ssls]] of type \"server\"");
        }
        let proxied = raw.flag("proxy_protocol");
        for key in ["handshake_timeout", "fallback_sni"] {
            let used = tls || (proxied && key == "handshake_timeout");
            if !used && raw.has(key) && !raw.is_broken("tls") {
                let message = format!("`{key}` is for TLS only");
                let help = Some("set `tls = true`, or take it out".to_owned());
                self.problems.push_at(raw.at(key), raw.path(key), message, help);
            }
        }
        if tls && raw.has("mtls_routes") {
            let help = "take it out: over TLS each server name asks for itself";
            let (at, path) = (raw.at("mtls_routes"), raw.path("mtls_routes"));
            self.error(at, path, "`mtls_routes` is for plain HTTP only", help);
        }
        let fallback_sni = self.fallback_sni(raw);
        let address = self.address(raw, &raw.text("address")?)?;
        self.speaks_as_its_port(raw, tls, address.port());
        self.ipv6only_agrees(raw, address);
        Some(Listen {
            place: raw.place,
            address_place: raw.at("address"),
            address,
            ipv6only: raw.flag("ipv6only"),
            tls,
            handshake_timeout: raw.duration("handshake_timeout"),
            fallback_sni,
            proxy_protocol: self.proxy_protocol(raw)?,
            https_port: self.redirect_port(raw, root, tls),
            mtls_routes: raw.word("mtls_routes"),
        })
    }

    /// Where every request is sent, if it is.
    fn redirect_port(&mut self, raw: &Raw, root: &Raw, tls: bool) -> Option<u16> {
        let redirects = raw.flag("redirect_to_https");
        let path = raw.path("redirect_to_https");
        if redirects && tls {
            let help = "take it out, or set it for a listener on port 80";
            self.error(raw.at("redirect_to_https"), path, "this listener speaks TLS itself", help);
        } else if redirects && raw.has("mtls_routes") {
            let help = "every request is redirected: take `mtls_routes` out";
            self.error(
                raw.at("mtls_routes"),
                raw.path("mtls_routes"),
                "no route is asked here",
                help,
            );
        } else if !redirects && raw.has("https_port") {
            let help = "set `redirect_to_https = true`, or take it out";
            self.error(
                raw.at("https_port"),
                raw.path("https_port"),
                "the port of `redirect_to_https`",
                help,
            );
        }
        redirects.then(|| raw.int_given("https_port").unwrap_or_else(|| tls_port(root)))
    }

    /// Whoever connects to port 443 speaks TLS.
    fn speaks_as_its_port(&mut self, raw: &Raw, tls: bool, port: u16) {
        if port == 443 && !tls && !raw.is_broken("tls") && !raw.flag("proxy_protocol") {
            let message = "clients speak TLS to port 443, and this listener does not";
            let help = "set `tls = true`, or take port 80";
            self.warn(raw.at("address"), raw.path("address"), message, help);
        }
    }

    /// `ipv6only = false` of one address is no more than that address.
    fn ipv6only_agrees(&mut self, raw: &Raw, address: SocketAddr) {
        if !raw.has("ipv6only") || raw.is_broken("ipv6only") {
            return;
        }
        let (at, path, port) = (raw.at("ipv6only"), raw.path("ipv6only"), address.port());
        if address.is_ipv4() {
            let help = format!("take it out, or listen on \"[::]:{port}\"");
            self.error(at, path, "`ipv6only` is for IPv6 addresses only", &help);
        } else if !raw.flag("ipv6only") && !address.ip().is_unspecified() {
            let message =
                format!("{} is one IPv6 address: no IPv4 client gets there", address.ip());
            let help = format!("listen on \"[::]:{port}\", or add a [[listen]] for IPv4");
            self.error(at, path, &message, &help);
        }
    }

    fn address(&mut self, raw: &Raw, text: &Text) -> Option<SocketAddr> {
        if let Ok(address) = text.text.parse::<SocketAddr>() {
            let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
            if canonical.is_ipv6() || address.is_ipv4() {
                return Some(address);
            }
            let message = format!("{} is an IPv4 address in IPv6 spelling", address.ip());
            self.error(
                text.place,
                raw.path("address"),
                &message,
                &format!("write \"{canonical}\""),
            );
            return None;
        }
        let written = &text.text;
        let bare = written.trim_start_matches('[').trim_end_matches(']');
        let help = if let Some(port) = written.strip_prefix(':') {
            format!("write \"0.0.0.0:{port}\", or \"[::]:{port}\" for IPv6")
        } else if written.parse::<u16>().is_ok() {
            format!("write \"0.0.0.0:{written}\", or \"[::]:{written}\" for IPv6")
        } else if let Some(port) = written.strip_prefix("*:") {
            format!("write \"0.0.0.0:{port}\", or \"[::]:{port}\" for IPv6")
        } else if written.starts_with("unix:") {
            "only IPv4 and IPv6 addresses can be listened on".to_owned()
        } else if bare.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("the port is missing: write \"[{bare}]:443\"")
        } else if bare.parse::<Ipv4Addr>().is_ok() {
            format!("the port is missing: write \"{bare}:443\"")
        } else {
            "write an address and a port, as \"0.0.0.0:443\" or \"[::]:443\"; names are not \
             looked up here"
                .to_owned()
        };
        let message = format!("`{written}` is not an address to listen on");
        self.problems.push_at(text.place, raw.path("address"), message, Some(help));
        None
    }

    fn fallback_sni(&mut self, raw: &Raw) -> Option<String> {
        let text = raw.text("fallback_sni").filter(|text| !text.text.is_empty())?;
        let path = raw.path("fallback_sni");
        let name = match host_names::dns_name(&text.text) {
            Ok(name) => name,
            Err(wrong) => {
                self.wrong(text.place, path, wrong);
                return None;
            }
        };
        if self.server_names.keys().any(|pattern| host_names::host_matches(pattern, &name)) {
            return Some(name);
        }
        let names: Vec<_> = self.server_names.keys().map(ToString::to_string).collect();
        let help = match nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("configured names: {}", names.join(", ")),
        };
        let message = format!("no [[ssls]] serves the name `{name}`");
        self.problems.push_at(text.place, path, message, Some(help));
        None
    }
}

/// Does it take IPv4 on an IPv6 address?
fn both(listen: &Listen) -> bool {
    listen.address.is_ipv6() && !listen.ipv6only
}

/// What a listener is bound to: with `ipv6only = false`, every IPv4 address as well.
pub(super) fn bound(listen: &Listen) -> impl Iterator<Item = SocketAddr> {
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.address.port()));
    std::iter::once(listen.address).chain(both(listen).then_some(four))
}

fn is_client(raw: &Raw) -> bool {
    raw.word("type") == Some(SslType::Client)
}
