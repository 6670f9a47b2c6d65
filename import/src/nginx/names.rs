//! Names of servers, judged together: a name has one answer here, whatever its port.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::report::Kind;

use super::job::{Job, Refused};
use super::listen::{Ports, ServerBlock};

/// Refuses servers whose names lead elsewhere here than in nginx, and tells those that no request reaches.
pub(super) fn check(
    job: &Job<'_>,
    servers: &[ServerBlock<'_>],
    ports: &Ports,
) -> Result<(), Refused> {
    twice(job, servers)?;
    defaults(job, servers, ports)?;
    rejected(job, servers)?;
    for (which, server) in servers.iter().enumerate() {
        if is_unreachable(server, which, ports) {
            job.say(
                Kind::Dropped,
                server.directive,
                "no request reaches it: it has no name, and another server takes what has none on its ports",
            );
        }
    }
    Ok(())
}

/// Has it no name, and is it the default nowhere?
pub(super) fn is_unreachable(server: &ServerBlock<'_>, which: usize, ports: &Ports) -> bool {
    let mut listens = server.listens.iter();
    server.names.is_empty() && !listens.any(|listen| ports.is_default(which, listen.port))
}

/// The ports on which a server speaks TLS.
pub(super) fn tls_ports(server: &ServerBlock<'_>) -> BTreeSet<u16> {
    server.listens.iter().filter(|listen| listen.tls).map(|listen| listen.port).collect()
}

/// nginx takes the first of two servers with one name, and never the other.
fn twice(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<(), Refused> {
    let mut taken: BTreeMap<u16, HashSet<&str>> = BTreeMap::new();
    for server in servers {
        let on_ports: BTreeSet<u16> = server.listens.iter().map(|listen| listen.port).collect();
        let is_taken = |port: &u16| {
            let names = taken.get(port);
            names.is_some_and(|names| server.names.iter().any(|name| names.contains(name.as_str())))
        };
        if on_ports.iter().any(is_taken) {
            job.refuse(
                server.directive,
                "a server in front of it has one of its names on the same port, and nginx asks that one alone: \
                 take the name out here, or join both servers",
            );
            return Err(Refused);
        }
        for port in on_ports {
            taken.entry(port).or_default().extend(server.names.iter().map(String::as_str));
        }
    }
    Ok(())
}

/// A default without a name takes every name that is not known, on every port.
fn defaults(job: &Job<'_>, servers: &[ServerBlock<'_>], ports: &Ports) -> Result<(), Refused> {
    let with_tls: BTreeSet<u16> = servers.iter().flat_map(tls_ports).collect();
    let all: BTreeSet<usize> =
        with_tls.into_iter().filter_map(|port| ports.default_on(port)).collect();
    let mut defaults = all.iter().filter_map(|which| servers.get(*which));
    let nameless = defaults.find(|server| server.snis().is_empty() && !server.rejects);
    if let Some(server) = nameless.filter(|_| all.len() > 1) {
        job.refuse(
            server.directive,
            "it takes every unknown name on one port of TLS, and another server does on another port: names are not \
             tied to ports here, so give it a name, or run a process for each",
        );
        return Err(Refused);
    }
    Ok(())
}

/// A name whose handshakes are rejected must not be one that another server answers to.
fn rejected(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<(), Refused> {
    let mut answered: HashSet<String> = HashSet::new();
    for server in servers.iter().filter(|server| server.has_tls() && !server.rejects) {
        answered.extend(server.snis());
    }
    for server in servers.iter().filter(|server| server.has_tls() && server.rejects) {
        if let Some(name) = server.names.iter().find(|name| is_covered(name, &answered)) {
            job.refuse(
                server.directive,
                format!("`ssl_reject_handshake` for {name}: another server answers to this name here; list the names of that one"),
            );
            return Err(Refused);
        }
    }
    Ok(())
}

/// Is this name one of these, or is every name that it stands for one of theirs?
fn is_covered(name: &str, names: &HashSet<String>) -> bool {
    let bare = name.trim_start_matches('*');
    let dots = bare.match_indices('.').map(|found| found.0);
    let mut patterns = dots.filter_map(|at| Some(format!("*{}", bare.get(at..)?)));
    names.contains(name) || patterns.any(|pattern| names.contains(&pattern))
}
