//! Names of servers, judged together: a name has one answer here, whatever its port.

use std::collections::BTreeSet;

use crate::report::Kind;

use super::job::{Job, Refused};
use super::listen::{Ports, ServerBlock};

/// Refuses servers whose names lead elsewhere here than in nginx, and tells those that no request reaches.
pub(super) fn check(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<(), Refused> {
    twice(job, servers)?;
    defaults(job, servers)?;
    rejected(job, servers)?;
    for (which, server) in servers.iter().enumerate() {
        if is_unreachable(servers, which) {
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
pub(super) fn is_unreachable(servers: &[ServerBlock<'_>], which: usize) -> bool {
    servers.get(which).is_some_and(|server| {
        server.names.is_empty()
            && !server.listens.iter().any(|listen| Ports::is_default(servers, which, listen.port))
    })
}

/// The server that takes what no other one takes on a port.
pub(super) fn default_of(servers: &[ServerBlock<'_>], port: u16) -> Option<usize> {
    (0..servers.len()).find(|which| Ports::is_default(servers, *which, port))
}

/// The ports on which a server speaks TLS.
pub(super) fn tls_ports(server: &ServerBlock<'_>) -> BTreeSet<u16> {
    server.listens.iter().filter(|listen| listen.tls).map(|listen| listen.port).collect()
}

/// nginx takes the first of two servers with one name, and never the other.
fn twice(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<(), Refused> {
    for (which, server) in servers.iter().enumerate() {
        let shares = |other: &&ServerBlock<'_>| {
            let has = |port: u16| other.listens.iter().any(|listen| listen.port == port);
            server.listens.iter().any(|listen| has(listen.port))
                && server.names.iter().any(|name| other.names.contains(name))
        };
        if servers.iter().take(which).any(|other| shares(&other)) {
            job.refuse(
                server.directive,
                "a server in front of it has one of its names on the same port, and nginx asks that one alone: \
                 take the name out here, or join both servers",
            );
            return Err(Refused);
        }
    }
    Ok(())
}

/// A default without a name takes every name that is not known, on every port.
fn defaults(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<(), Refused> {
    let ports: BTreeSet<u16> = servers.iter().flat_map(tls_ports).collect();
    let all: BTreeSet<usize> =
        ports.into_iter().filter_map(|port| default_of(servers, port)).collect();
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
    let mut answered: Vec<String> = Vec::new();
    for server in servers.iter().filter(|server| server.has_tls() && !server.rejects) {
        answered.extend(server.snis());
    }
    for server in servers.iter().filter(|server| server.has_tls() && server.rejects) {
        let covers = |name: &str| answered.iter().any(|other| covers(other, name));
        if let Some(name) = server.names.iter().find(|name| covers(name)) {
            job.refuse(
                server.directive,
                format!("`ssl_reject_handshake` for {name}: another server answers to this name here; list the names of that one"),
            );
            return Err(Refused);
        }
    }
    Ok(())
}

/// Is every name of the second kind, or the name itself, one of the first kind?
fn covers(pattern: &str, name: &str) -> bool {
    let end = pattern.strip_prefix('*');
    pattern == name || end.is_some_and(|end| name.trim_start_matches('*').ends_with(end))
}
