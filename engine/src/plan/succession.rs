//! Which listener of a configuration takes the place of one of the configuration before.
//!
//! In: two plans, and a listener of the older one. Out: the listener of the newer one by which the
//! connections that it has accepted are judged. A connection outlives its listener, whose address may be
//! another one after a reload. It must not gain a right by that: if the new configuration does not say in
//! one way what it demands of such a connection, there is no such listener.

use std::net::IpAddr;

use ferrule_config::model::{Listen, MtlsRoutes};

use super::compiled::{ListenerPlan, Plan};
use super::ids::{ListenerId, index};

impl Plan {
    /// The listener by which connections are judged that came in by listener `id` of the plan `before`:
    /// the same one, or else those that are new, if all that are alike say what that one said.
    #[must_use]
    pub fn successor_of(&self, before: &Self, id: ListenerId) -> Option<ListenerId> {
        let old = before.listener(id);
        if let Some(at) = self.listeners().iter().position(|listener| listener.is_same(old)) {
            return Some(ListenerId(index(at)));
        }
        let is_known = |listener: &ListenerPlan| {
            before.listeners().iter().any(|known| known.is_same(listener))
        };
        let mut new =
            self.listeners().iter().enumerate().filter(|(_, listener)| {
                is_alike(&listener.listen, &old.listen) && !is_known(listener)
            });
        let (first, _) = new.clone().next()?;
        new.all(|(_, listener)| says_the_same(&listener.listen, &old.listen))
            .then_some(ListenerId(index(first)))
    }
}

impl ListenerPlan {
    /// Is it the same listener, whatever else is configured: the address with the families that it takes, TLS
    /// or not, the PROXY protocol or not? Otherwise what has been accepted by the one could not have been by
    /// the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.listen.listen_address() == other.listen.listen_address()
            && is_alike(&self.listen, &other.listen)
    }

    /// May this peer say by a PROXY protocol header who its client is?
    #[must_use]
    pub fn trusts_sender(&self, peer: IpAddr) -> bool {
        let trusted = self.listen.proxy_protocol.as_ref();
        trusted.is_some_and(|trusted| trusted.iter().any(|network| network.contains(&peer)))
    }
}

fn is_alike(one: &Listen, other: &Listen) -> bool {
    one.tls == other.tls && one.proxy_protocol.is_some() == other.proxy_protocol.is_some()
}

/// Do both demand the same of requests?
fn says_the_same(one: &Listen, other: &Listen) -> bool {
    let allows = |listen: &Listen| listen.mtls_routes == Some(MtlsRoutes::Allow);
    one.fallback_sni == other.fallback_sni
        && allows(one) == allows(other)
        && one.proxy_protocol == other.proxy_protocol
        && one.https_port.is_some() == other.https_port.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::config;

    /// A listener: a letter for its address, `t` for TLS, `p` for the PROXY protocol with a digit for whom it
    /// trusts, `a` for `mtls_routes = "allow"`, `f` for a fallback, `+` for IPv4 beside IPv6.
    fn listen(text: &str) -> Listen {
        let port = u16::from(text.as_bytes()[0]);
        let trusted = text.split_once('p').map(|(_, rest)| {
            vec![format!("10.{}.0.0/16", rest.get(..1).unwrap()).parse().unwrap()]
        });
        Listen {
            address: ([127, 0, 0, 1], port).into(),
            tls: text.contains('t'),
            proxy_protocol: trusted,
            mtls_routes: text.contains('a').then_some(MtlsRoutes::Allow),
            https_port: None,
            ipv6only: !text.contains('+'),
            fallback_sni: text.contains('f').then(|| "f.test".to_owned()),
            ..config().listens.remove(0)
        }
    }

    fn plan(listeners: &str) -> Plan {
        let mut config = config();
        config.listens = listeners.split_whitespace().map(listen).collect();
        Plan::build(&config)
    }

    /// The successor of the first listener of `before` in `after`, by its text.
    fn successor<'a>(before: &str, after: &'a str) -> Option<&'a str> {
        let found = plan(after).successor_of(&plan(before), ListenerId(0));
        found.map(|id| after.split_whitespace().nth(id.0 as usize).unwrap())
    }

    #[test]
    fn it_is_the_same_one_or_one_that_says_the_same() {
        for (before, after, wanted) in [
            // The same address, wherever it stands, and whatever else it says now.
            ("A", "B A", Some("A")),
            ("Atf", "At B", Some("At")),
            ("A", "Aa", Some("Aa")),
            ("Ap1", "Ap2", Some("Ap2")),
            // Another address.
            ("A", "B", Some("B")),
            ("A B", "C B", Some("C")),
            ("At B", "B Ct", Some("Ct")),
            ("Aa", "Ba", Some("Ba")),
            ("Atf", "Btf", Some("Btf")),
            ("A", "B C", Some("B")),
            // TLS and plain have changed places.
            ("A Bt", "At B", Some("B")),
            ("At B", "A Bt", Some("Bt")),
            // It takes other families now: what took IPv4 may be anybody's.
            ("A+a", "Aa B", None),
            ("A+a", "Aa Ba", Some("Aa")),
            ("A+a", "A+ B", Some("A+")),
            ("Aa", "A+a", Some("A+a")),
            ("Aa", "A+", None),
            // It is gone, and what is like it was there before.
            ("A B", "B", None),
            ("A Bt", "Bt", None),
            // What took its place is of another kind.
            ("A", "At", None),
            ("At", "A", None),
            ("A", "Ap1", None),
            ("Ap1", "A", None),
            ("A", "Bt", None),
            // What took its place says something else, or one of several does.
            ("A", "Ba", None),
            ("Aa", "B", None),
            ("At", "Btf", None),
            ("Atf", "Bt", None),
            ("Ap1", "Bp2", None),
            ("Aa", "Ba C", None),
            ("Atf", "Ct Btf", None),
        ] {
            assert_eq!(successor(before, after), wanted, "{before} -> {after}");
        }
    }

    #[test]
    fn only_networks_that_are_named_are_trusted() {
        let trusts =
            |text, peer: &str| plan(text).listeners()[0].trusts_sender(peer.parse().unwrap());
        assert!(trusts("Ap1", "10.1.2.3"));
        assert!(!trusts("Ap1", "10.2.2.3"));
        assert!(!trusts("A", "10.1.2.3"));
    }
}
