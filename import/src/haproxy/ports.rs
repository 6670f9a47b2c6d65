//! What `bind` lines ask of clients, compared: in HAProxy each has its own certificates, and here server names are known
//! on every port.

use crate::work::Work;

use super::bind::{BindLine, BindTls};
use super::words::ConfigLine;

/// What the names of a bind ask of clients.
struct Demands<'a> {
    line: &'a ConfigLine,
    tls: &'a BindTls,
    /// Each way in which they ask for certificates, and where it stands first.
    clients: Vec<ClientDemand<'a>>,
}

struct ClientDemand<'a> {
    client: &'a toml::Value,
    line: &'a ConfigLine,
}

impl<'a> Demands<'a> {
    fn of(bind: &'a BindLine) -> Option<Self> {
        let tls = bind.tls.as_ref()?;
        let mut clients: Vec<ClientDemand<'a>> = Vec::new();
        for certificate in &tls.certificates {
            let Some(client) = certificate.settings.get("client") else { continue };
            // A second one decides; more of them change nothing.
            if clients.len() < 2 && clients.iter().all(|known| known.client != client) {
                clients.push(ClientDemand { client, line: &certificate.line });
            }
        }
        Some(Self { line: &bind.line, tls, clients })
    }

    /// Has it the same certificates for the same names, as a second address of one frontend has?
    fn is_same(&self, other: &Self) -> bool {
        let (own, others) = (&self.tls.certificates, &other.tls.certificates);
        own.len() == others.len()
            && own.iter().zip(others).all(|(one, other)| {
                one.path == other.path
                    && one.names == other.names
                    && one.excluded == other.excluded
                    && one.settings == other.settings
            })
    }
}

/// Refuses binds of which clients of one would get in at another, or with less than it asks.
pub(super) fn refuse_other_demands<'a>(binds: impl Iterator<Item = &'a BindLine>, work: &Work) {
    let mut all: Vec<Demands<'a>> = Vec::new();
    for demands in binds.filter_map(Demands::of) {
        if !all.iter().any(|known| known.is_same(&demands)) {
            all.push(demands);
        }
    }
    if all.len() < 2 {
        return;
    }
    for mixed in all.iter().filter(|one| one.tls.is_mixed) {
        mixed.line.refuse(
            work,
            0,
            "some names of this `bind` ask for certificates and others do not, and there is another `bind` with TLS: \
             here server names are known on every port, and one of the other `bind` would get past its rules; write a \
             `bind` for each, or run a process for each",
        );
    }
    let mut asking = all.iter().filter(|one| !one.clients.is_empty());
    let Some(first) = asking.next() else { return };
    for other in asking {
        let known = first.clients.first().map(|one| one.client);
        let differs = other.clients.iter().find(|one| Some(one.client) != known);
        let several = (first.clients.len() > 1).then(|| other.clients.first()).flatten();
        if let Some(one) = differs.or(several) {
            one.line.refuse(
                work,
                0,
                "another `bind` asks for certificates in another way (`ca-file`, `crl-file` or `verify`): here server \
                 names are known on every port, so run a process for each",
            );
        }
    }
}
