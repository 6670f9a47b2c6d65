//! A path as webpki can read it, where the words of its certificates are beyond webpki.
//!
//! In: a path that our own walk has decided, signatures included. Out: certificates that say the same
//! in webpki's words: names in one spelling; without policies, Netscape's type, and constraints that
//! are no hosts and no addresses, which the walk has processed; self-issued intermediates neither
//! counted nor named. All else stays as it is, so that webpki judges it: what is critical and
//! unknown, CAs, path lengths, purposes, dates, constraints on hosts and addresses.

use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::identity::der::{element, tag};
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::general_name::GeneralName;
use crate::identity::x509::name_constraints::Subtree;
use crate::identity::x509::{extensions, name, raw_extension};

/// webpki reads path lengths of one octet.
const PATH_LENGTH_MAX: u32 = 127;

/// Stands for every signature of a translated path: the walk has checked the true ones.
#[derive(Debug)]
pub(crate) struct AlreadyVerified;

impl SignatureVerificationAlgorithm for AlreadyVerified {
    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }
}

/// Does webpki refuse something on this path that the walk processes?
pub(crate) fn is_needed(path: &[Certificate<'_>]) -> bool {
    let spelled_otherwise = path.windows(2).any(|pair| match pair {
        [below, above] => below.raw.issuer != above.raw.subject,
        _ => false,
    });
    let of_its_own = |(at, certificate): (usize, &Certificate<'_>)| {
        let extensions = &certificate.extensions;
        let constrained = extensions.name_constraints.as_ref().is_some_and(|constraints| {
            constraints.permitted.iter().chain(&constraints.excluded).any(|one| !is_shared(one))
        });
        let length = extensions.basic.and_then(|basic| basic.path_len_constraint);
        extensions.beyond_webpki
            || constrained
            || length.is_some_and(|length| length > PATH_LENGTH_MAX)
            || (at > 0 && at + 1 < path.len() && certificate.self_issued())
    };
    spelled_otherwise || path.iter().enumerate().any(of_its_own)
}

/// Each certificate of the path.
pub(crate) fn of(path: &[Certificate<'_>]) -> Option<Vec<Vec<u8>>> {
    let mut self_issued = 0;
    let mut translated = Vec::with_capacity(path.len());
    for (at, certificate) in path.iter().enumerate() {
        translated.push(one(certificate, at, self_issued)?);
        self_issued += u32::from(at > 0 && certificate.self_issued());
    }
    Some(translated)
}

/// A constraint that webpki processes as well.
const fn is_shared(subtree: &Subtree<'_>) -> bool {
    matches!(subtree.base, GeneralName::Dns(_) | GeneralName::Ip(_))
}

/// The certificate at this place, above so many self-issued intermediates.
fn one(certificate: &Certificate<'_>, at: usize, self_issued: u32) -> Option<Vec<u8>> {
    let raw = &certificate.raw;
    let algorithm = element(tag::SEQUENCE, &[alg_id::ED25519.as_ref()]);
    let name = |name: &[u8]| {
        let key = element(tag::OCTET_STRING, &[&name::key(name)]);
        element(tag::SEQUENCE, &[&key])
    };
    // No two keys are the same, or webpki takes a path for a loop.
    let key = element(tag::BIT_STRING, &[&[0, u8::try_from(at).ok()?]]);
    let unnamed = at > 0 && certificate.self_issued();
    let mut list = Vec::new();
    for extension in raw_extension::list(raw.extensions)? {
        let value = match extension.oid {
            oid if extensions::is_beyond_webpki(oid) => None,
            extensions::ALT_NAMES if unnamed => None,
            extensions::NAME_CONSTRAINTS => shared_constraints(certificate),
            extensions::BASIC_CONSTRAINTS => basic_constraints(certificate, self_issued),
            _ => Some(extension.value.to_vec()),
        };
        let Some(value) = value else { continue };
        let critical = element(tag::BOOLEAN, &[&[0xff]]);
        list.extend(element(
            tag::SEQUENCE,
            &[
                &element(tag::OID, &[extension.oid]),
                if extension.critical { &critical } else { &[] },
                &element(tag::OCTET_STRING, &[&value]),
            ],
        ));
    }
    let body = element(
        tag::SEQUENCE,
        &[
            &element(0xa0, &[&element(tag::INTEGER, &[&[2]])]),
            &element(tag::INTEGER, &[raw.serial]),
            &algorithm,
            &name(raw.issuer),
            raw.validity,
            &name(raw.subject),
            &element(tag::SEQUENCE, &[&algorithm, &key]),
            &element(0xa3, &[&element(tag::SEQUENCE, &[&list])]),
        ],
    );
    let signature = element(tag::BIT_STRING, &[&[0, 0]]);
    Some(element(tag::SEQUENCE, &[&body, &algorithm, &signature]))
}

/// Those on hosts and addresses, if there are any.
fn shared_constraints(certificate: &Certificate<'_>) -> Option<Vec<u8>> {
    let constraints = certificate.extensions.name_constraints.as_ref()?;
    let side = |tag, subtrees: &[Subtree<'_>]| {
        let shared: Vec<&[u8]> =
            subtrees.iter().filter(|one| is_shared(one)).map(|one| one.whole).collect();
        if shared.is_empty() { Vec::new() } else { element(tag, &shared) }
    };
    let sides = [side(0xa0, &constraints.permitted), side(0xa1, &constraints.excluded)].concat();
    (!sides.is_empty()).then(|| element(tag::SEQUENCE, &[&sides]))
}

/// The same, of which self-issued intermediates do not use up any.
fn basic_constraints(certificate: &Certificate<'_>, self_issued: u32) -> Option<Vec<u8>> {
    let basic = certificate.extensions.basic?;
    let ca = if basic.ca { element(tag::BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    let length = basic.path_len_constraint.map(|length| {
        let length = length.saturating_add(self_issued).min(PATH_LENGTH_MAX);
        element(tag::INTEGER, &[&[u8::try_from(length).unwrap_or(0)]])
    });
    Some(element(tag::SEQUENCE, &[&ca, &length.unwrap_or_default()]))
}
