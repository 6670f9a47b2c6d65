//! Our own certificates, as those see them to whom they are shown: do they carry the names that they are
//! shown for, and can they be verified with what is sent beside them?
//!
//! In: a configuration and what was loaded for it. Out: warnings. Files alone do not tell which roots others
//! have, so an issuer that nobody here knows is taken for one. `ferrule check` then has a note, even if the
//! certificate says where to fetch its issuer: private authorities that issue from the root directly say that
//! of their root.

use std::collections::{HashMap, HashSet};

use ferrule_config::model::{HostPattern, KeyPair, Pem};
use ferrule_config::{Config, Problems};
use rustls::pki_types::CertificateDer;

use super::bounded_names::BoundedNames;
use super::findings::Findings;
use super::loaded_objects::LoadedObjects;
use crate::identity::verify::explain;
use crate::identity::verify::server_name;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::general_name::GeneralName;
use crate::identity::x509::name::{self, Selector};
use crate::identity::x509::raw_extension;

/// `id-pe-authorityInfoAccess` (RFC 5280, section 4.2.2.1), content octets.
const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
/// `id-ad-caIssuers`, with tag and length.
const CA_ISSUERS: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];

/// Authorities that the configuration names anywhere, by subject.
struct KnownIssuers {
    /// They have issued themselves.
    roots: HashSet<Box<[u8]>>,
    /// Others have issued them.
    intermediates: HashSet<Box<[u8]>>,
}

impl KnownIssuers {
    fn of(objects: &LoadedObjects) -> Self {
        let (mut roots, mut intermediates) = (HashSet::new(), HashSet::new());
        // Many server names share one file.
        let mut seen = HashSet::new();
        let lists = objects.authorities.values().filter(|list| seen.insert(list.as_ptr()));
        for authority in
            lists.flat_map(|list| list.iter()).filter_map(|der| Certificate::parse(der))
        {
            let kind = if authority.self_issued() { &mut roots } else { &mut intermediates };
            kind.insert(authority.subject_key);
        }
        Self { roots, intermediates }
    }
}

/// A chain of ours, and what it is shown for. Many server names may share a file, which is told once.
struct Shown<'c> {
    pem: &'c Pem,
    field: String,
    names: Vec<&'c HostPattern>,
}

/// Every file of certificates that are shown to clients, with the names of all who share it. `fields` knows the
/// paths of keys in the file.
fn shown_to_clients<'c>(config: &'c Config, fields: &Problems) -> Vec<Shown<'c>> {
    let (mut shown, mut at) = (Vec::<Shown<'_>>::new(), HashMap::new());
    for server in &config.servers {
        for KeyPair { cert, .. } in &server.pairs {
            let index = *at.entry(&cert.source).or_insert_with(|| {
                let field = format!("{}.cert", fields.field_at(server.place));
                shown.push(Shown { pem: cert, field, names: Vec::new() });
                shown.len() - 1
            });
            if let Some(shown) = shown.get_mut(index) {
                shown.names.extend(&server.snis);
            }
        }
    }
    shown
}

/// Warns of own certificates that others will not take.
pub(crate) fn warn(config: &Config, fields: &Problems, found: &mut Findings<'_>) {
    let known = KnownIssuers::of(&found.objects);
    let mut shown = shown_to_clients(config, fields);
    shown.extend(config.upstreams.iter().filter_map(|upstream| {
        let pair = upstream.tls.as_ref()?.client.as_ref()?;
        let field = format!("{}.tls.client_cert", fields.field_at(upstream.place));
        Some(Shown { pem: &pair.cert, field, names: Vec::new() })
    }));
    for Shown { pem, field, names } in shown {
        let chain = found.objects.certificates(pem.place);
        let Some(leaf) = chain.first().and_then(|leaf| Certificate::parse(leaf)) else { continue };
        let messages = [strange_names(&names, &leaf), gap(&leaf, chain.get(1), &known)];
        for message in messages.into_iter().flatten() {
            found.warning(pem.place, &field, format!("{} {message}", pem.name()));
        }
    }
}

/// Server certificates that stand alone in their file, of an issuer that nobody here knows: it may be a root
/// that clients have, or an intermediate that is missing. One line for each file, to be looked at.
pub(crate) fn unknown_issuers(
    config: &Config,
    fields: &Problems,
    objects: &LoadedObjects,
) -> Vec<String> {
    let known = KnownIssuers::of(objects);
    let lines = shown_to_clients(config, fields).into_iter().filter_map(|Shown { pem, field, .. }| {
        let [leaf] = objects.certificates(pem.place) else { return None };
        let leaf = Certificate::parse(leaf)?;
        let is_known = leaf.self_issued()
            || known.roots.contains(&leaf.issuer_key)
            || gap(&leaf, None, &known).is_some();
        (!is_known).then(|| {
            format!(
                "{field}: {} holds no other certificate, and its issuer {} is in no file here{}; if that \
                 is an intermediate, put its certificate behind the first one",
                pem.name(),
                explain::text(leaf.raw.issuer),
                if names_its_issuer(&leaf) { ", but may be fetched" } else { "" }
            )
        })
    });
    lines.collect()
}

/// The server names that the certificate does not carry.
fn strange_names(names: &[&HostPattern], leaf: &Certificate<'_>) -> Option<String> {
    let mut strange = BoundedNames::default();
    names.iter().filter(|name| !carries(leaf, name)).for_each(|name| strange.add(name));
    (strange != BoundedNames::default()).then(|| {
        format!("does not carry the server name {strange}: clients that verify it refuse it")
    })
}

/// Is the name among its alternative names; or, without any, its common name, as OpenSSL has it?
fn carries(leaf: &Certificate<'_>, name: &HostPattern) -> bool {
    let names = leaf.extensions.alt_names.as_deref().unwrap_or_default();
    let has_host = names.iter().any(|name| matches!(name, GeneralName::Dns(_)));
    let text = name.to_string();
    let in_common_name = || {
        let names = Selector::new("cn").map(|cn| name::safe_values(leaf.raw.subject, &cn));
        names.is_some_and(|names| names.iter().any(|name| name.eq_ignore_ascii_case(&text)))
    };
    match name {
        // Nobody verifies this name, but the one that was asked for.
        HostPattern::Any => true,
        _ if !has_host && in_common_name() => true,
        HostPattern::Exact(host) => {
            server_name::read(host).is_some_and(|host| server_name::is_among(names, &host))
        }
        HostPattern::Wildcard(_) => names.iter().any(|name| {
            matches!(name, GeneralName::Dns(name) if name.eq_ignore_ascii_case(text.as_bytes()))
        }),
    }
}

/// What keeps others from getting from the leaf to a root; `next` is what is sent behind it.
fn gap(
    leaf: &Certificate<'_>,
    next: Option<&CertificateDer<'_>>,
    known: &KnownIssuers,
) -> Option<String> {
    if leaf.self_issued() {
        return None;
    }
    let issuer = explain::text(leaf.raw.issuer);
    if let Some(next) = next.and_then(|next| Certificate::parse(next)) {
        return (!leaf.may_be_issued_by(&next)).then(|| {
            format!(
                "has its certificates in the wrong order: the second one is not {issuer}, who issued \
                 the first"
            )
        });
    }
    let is_intermediate =
        !known.roots.contains(&leaf.issuer_key) && known.intermediates.contains(&leaf.issuer_key);
    is_intermediate.then(|| {
        format!(
            "holds no intermediate certificate: put that of {issuer} behind the first one, or those \
             who know only its root refuse it"
        )
    })
}

/// Does it say where its issuer's certificate is to be had?
fn names_its_issuer(leaf: &Certificate<'_>) -> bool {
    let extensions = raw_extension::list(leaf.raw.extensions).unwrap_or_default();
    extensions.iter().any(|extension| {
        extension.oid == AUTHORITY_INFO_ACCESS
            && memchr::memmem::find(extension.value, CA_ISSUERS).is_some()
    })
}
