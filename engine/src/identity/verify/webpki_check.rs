//! The second judge of a path: rustls-webpki, given exactly what our own walk has found.
//!
//! Where the walk processes what webpki always refuses, webpki judges a translation of the path
//! ([`super::webpki_translation`]), whose signatures the walk has checked.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::path::Path;
use super::purpose::Purpose;
use super::rules::VerificationRules;
use super::signature_budget::{RecordedAlgorithm, SignatureBudget};
use super::webpki_translation::{self, AlreadyVerified};
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;

/// webpki's word on the path that was found, of whose signatures the account tells.
pub(crate) fn check(
    path: &Path<'_>,
    rules: VerificationRules<'_>,
    budget: &SignatureBudget<'_>,
) -> Result<(), VerifyFailure> {
    let certificates = path.certificates.as_slice();
    if !webpki_translation::is_needed(certificates) {
        let ders: Vec<&[u8]> = certificates.iter().map(|one| one.raw.der).collect();
        let recorded_algorithms = budget.recorded_algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            recorded_algorithms.iter().map(RecordedAlgorithm::as_algorithm).collect();
        return ask(&ders, certificates, &algorithms, rules);
    }
    let translated = webpki_translation::of(certificates).ok_or(VerifyFailure::Application)?;
    let ders: Vec<&[u8]> = translated.iter().map(Vec::as_slice).collect();
    ask(&ders, certificates, &[&AlreadyVerified], rules)
}

/// Asks about these, which are the certificates of the path or say the same.
fn ask(
    ders: &[&[u8]],
    certificates: &[Certificate<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    rules: VerificationRules<'_>,
) -> Result<(), VerifyFailure> {
    let [leaf, between @ .., root] = ders else { return Err(VerifyFailure::Unspecified) };
    let root = CertificateDer::from(*root);
    let Ok(anchor) = webpki::anchor_from_trusted_cert(&root) else {
        return Err(VerifyFailure::Application);
    };
    let anchors: [TrustAnchor<'_>; 1] = [anchor];
    let between: Vec<CertificateDer<'_>> =
        between.iter().map(|der| CertificateDer::from(*der)).collect();
    let usage = match rules.purpose {
        Purpose::Client => AskedUsage::One(webpki::KeyUsage::client_auth()),
        Purpose::AnyClient => AskedUsage::Any,
        Purpose::Server => AskedUsage::One(webpki::KeyUsage::server_auth()),
    };
    // The walk has allowed for the skew; webpki knows none, so it gets a moment at which all are valid.
    let below = certificates.iter().take(certificates.len() - 1);
    let (mut start, mut end) = (i64::MIN, i64::MAX);
    for certificate in below {
        start = start.max(certificate.not_before);
        end = end.min(certificate.not_after.saturating_sub(1));
    }
    let moment = rules.clock.now.min(end).max(start);
    let seconds = u64::try_from(moment).map_err(|_| VerifyFailure::Application)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let leaf_der = CertificateDer::from(*leaf);
    let leaf = webpki::EndEntityCert::try_from(&leaf_der).map_err(|error| word(&error))?;
    leaf.verify_for_usage(algorithms, &anchors, &between, now, usage, None, None)
        .map(|_| ())
        .map_err(|error| word(&error))
}

/// What `extKeyUsage` has to allow.
enum AskedUsage {
    One(webpki::KeyUsage),
    /// Whatever it says.
    Any,
}

impl ExtendedKeyUsageValidator for AskedUsage {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self {
            Self::One(usage) => usage.validate(usages),
            // What cannot be read is still refused.
            Self::Any => usages.try_for_each(|usage| usage.map(|_| ())),
        }
    }
}

/// OpenSSL's word for what webpki found, where it has one.
fn word(error: &webpki::Error) -> VerifyFailure {
    match error {
        webpki::Error::InvalidSignatureForPublicKey
        | webpki::Error::UnsupportedSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            VerifyFailure::Signature
        }
        webpki::Error::NameConstraintViolation => VerifyFailure::Subtree,
        webpki::Error::PathLenConstraintViolated => VerifyFailure::PathLength,
        webpki::Error::UnsupportedCriticalExtension => VerifyFailure::CriticalExtension,
        webpki::Error::EndEntityUsedAsCa => VerifyFailure::InvalidCa,
        webpki::Error::RequiredEkuNotFoundContext(_) => VerifyFailure::Purpose,
        _ => VerifyFailure::Application,
    }
}
