//! Servers with TLS as `[[ssls]]`.

use std::collections::HashMap;

use toml::Value as Toml;

use crate::proof::Draft;

use super::job::{Job, Refused, source};
use super::listen::{Ports, ServerBlock};
use super::names::{is_unreachable, tls_ports};
use super::{risks, tls};

/// A server with TLS, and what is said of its names.
struct Secured<'s, 'a> {
    which: usize,
    server: &'s ServerBlock<'a>,
    table: toml::Table,
}

impl Secured<'_, '_> {
    fn client(&self) -> Option<&Toml> {
        self.table.get("client")
    }
}

/// `[[ssls]]` of all servers with TLS; servers with one name must say the same.
pub(super) fn write(
    job: &Job<'_>,
    servers: &[ServerBlock<'_>],
    ports: &Ports,
    draft: &mut Draft,
) -> Result<(), Refused> {
    let all = secured(job, servers, ports)?;
    clients(job, ports, &all)?;
    let mut written: HashMap<String, &toml::Table> = HashMap::new();
    for Secured { which, server, table } in &all {
        let mut snis = server.snis();
        if snis.is_empty() && tls_ports(server).iter().all(|port| ports.is_default(*which, *port)) {
            snis.push(String::from("*"));
        }
        let mut fresh = Vec::new();
        for sni in snis {
            match written.get(&sni) {
                Some(other) if *other == table => {}
                Some(_) => {
                    job.refuse(server.directive, format!("the name {sni} has other certificates or demands in another server: there is one answer to a name here, whatever its port"));
                    return Err(Refused);
                }
                None => fresh.push(sni),
            }
        }
        if fresh.is_empty() {
            continue;
        }
        let mut whole = toml::Table::new();
        whole.insert(
            "snis".to_owned(),
            Toml::Array(fresh.iter().map(|sni| Toml::from(sni.as_str())).collect()),
        );
        whole.extend(table.clone());
        written.extend(fresh.into_iter().map(|sni| (sni, table)));
        draft.push("ssls", whole, source(server.directive));
    }
    Ok(())
}

/// The servers with TLS that answer handshakes and that somebody reaches.
fn secured<'s, 'a>(
    job: &Job<'a>,
    servers: &'s [ServerBlock<'a>],
    ports: &Ports,
) -> Result<Vec<Secured<'s, 'a>>, Refused> {
    let mut all = Vec::new();
    for (which, server) in servers.iter().enumerate().filter(|(_, server)| server.has_tls()) {
        if server.rejects {
            if !server.listens.iter().all(|listen| ports.is_default(which, listen.port)) {
                job.refuse(
                    server.directive,
                    "`ssl_reject_handshake` is converted for a default server alone",
                );
                return Err(Refused);
            }
            continue;
        }
        if is_unreachable(server, which, ports) {
            continue;
        }
        let table = tls::of_server(job, &server.scope, server.directive)?;
        if let Some(client) = table.get("client") {
            let list = client.get("ca").and_then(Toml::as_array);
            let texts = list.into_iter().flatten().filter_map(Toml::as_str);
            let authorities: Vec<&str> = texts.collect();
            risks::of_client(job, &server.scope, server.directive, &authorities);
        }
        all.push(Secured { which, server, table });
    }
    Ok(all)
}

/// Names are not tied to ports: a name of one port may be asked for on another, under its own demands.
fn clients(job: &Job<'_>, ports: &Ports, all: &[Secured<'_, '_>]) -> Result<(), Refused> {
    let numbered: HashMap<usize, &Secured<'_, '_>> =
        all.iter().map(|one| (one.which, one)).collect();
    let Some(first) = all.first() else { return Ok(()) };
    let (mut same_ports, mut same_client) = (true, true);
    for one in all {
        let on_ports = tls_ports(one.server);
        same_ports &= on_ports == tls_ports(first.server);
        same_client &= one.client() == first.client();
        // Whoever ends the second of both differs in both from one in front of it.
        if !same_ports && !same_client {
            job.refuse(
                one.server.directive,
                "another server demands other certificates of clients on other ports, and names are not tied to ports \
                 here: let both listen on the same ports of TLS, or run a process for each",
            );
            return Err(Refused);
        }
        if !one.server.snis().is_empty() {
            continue;
        }
        // Who asks for an address shows no name, and so has shaken hands with the default server.
        let mut defaults = on_ports.iter().filter_map(|port| ports.default_on(*port));
        let differs = |which: usize| {
            numbered.get(&which).is_some_and(|default| default.client() != one.client())
        };
        if defaults.any(differs) {
            job.refuse(
                one.server.directive,
                "it is asked for by an address, so without a server name, and the default server of its port demands \
                 other certificates of clients: let both demand the same, or give it a name",
            );
            return Err(Refused);
        }
    }
    Ok(())
}
