//! OCSP responses from files, stapled to our certificates while they hold.
//!
//! A response that is over, revoked or of another certificate is never sent: clients that insist on
//! one treat it as an attack, and the others need none.

use std::sync::Arc;

use ferrule_config::model::FileAt;
use ferrule_config::read_file;
use rustls::sign::CertifiedKey;

use super::findings::Findings;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::ocsp::{OcspStatus, status_of};
use crate::tls::pem::Object;

/// Bytes of one response; they travel in every full handshake.
const RESPONSE_BYTES_MAX: u64 = 32 * 1024;

/// A response, and what it says about the certificate it was read for.
struct OcspResponse {
    der: Arc<[u8]>,
    status: OcspStatus,
}

impl OcspResponse {
    /// Nothing if it is about another certificate.
    fn of(plain: &CertifiedKey, der: Arc<[u8]>) -> Option<Self> {
        let leaf = plain.cert.first().and_then(|leaf| Certificate::parse(leaf))?;
        let status = status_of(&der, leaf.raw.serial)?;
        Some(Self { der, status })
    }
}

fn read(
    plain: &CertifiedKey,
    file: &FileAt,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<OcspResponse> {
    let path = file.path.display();
    let der = match read_file(&file.path, RESPONSE_BYTES_MAX) {
        Ok(read) => read.bytes,
        Err(error) => {
            found.error(file.place, field, error.about(&path), None);
            return None;
        }
    };
    let is_pem = der.trim_ascii_start().starts_with(b"-----BEGIN ");
    let object = Object::of(&der);
    let instead = match (is_pem, object) {
        _ if der.is_empty() => ": it is empty".to_owned(),
        (true, Some(object)) => format!(": it is {}, in PEM, and DER is needed", object.text()),
        (true, None) => ": it is PEM, and DER is needed".to_owned(),
        (false, Some(object)) if object != Object::OcspResponse => {
            format!(": it is {}", object.text())
        }
        (false, _) => String::new(),
    };
    let response = OcspResponse::of(plain, der.into());
    if response.is_none() {
        let message = format!("{path} holds no OCSP response for this certificate{instead}");
        let help = match (is_pem, object) {
            (true, Some(Object::OcspResponse)) => {
                "convert it: sed /-----/d FILE | openssl base64 -d -out NEW"
            }
            _ => {
                "a DER response for the certificate in `cert`: openssl ocsp -issuer CA -cert CERT -url URL \
                 -respout FILE"
            }
        };
        found.error(file.place, field, message, Some(help));
    }
    response
}

/// A pair to which a response is stapled.
#[derive(Debug)]
struct StapledPair {
    pair: Arc<CertifiedKey>,
    /// What the response says; it is shown while that is current.
    status: OcspStatus,
}

/// A pair, with and without what is stapled to it.
#[derive(Debug)]
pub(crate) struct Stapled {
    /// The pair without a response.
    pub(crate) plain: Arc<CertifiedKey>,
    with_response: Option<StapledPair>,
}

impl Stapled {
    /// Nothing is stapled.
    pub(crate) const fn none(plain: Arc<CertifiedKey>) -> Self {
        Self { plain, with_response: None }
    }

    /// Staples the response in `file`; problems are pushed. Unusable responses only warn: the
    /// certificate is as good as it was.
    pub(crate) fn load(
        plain: Arc<CertifiedKey>,
        file: &FileAt,
        field: &str,
        found: &mut Findings<'_>,
    ) -> Option<Self> {
        let path = file.path.display();
        let response = match found.tried(|found| read(&plain, file, field, found)) {
            Ok(response) => response,
            Err(refusals) => {
                let kept = found.before.is_some();
                found.refuse_or_keep(kept, &[&file.path], refusals);
                if !kept {
                    return None;
                }
                // The one of before, unless it belongs to the certificate of before.
                let before =
                    found.in_force(file.place).and_then(|der| OcspResponse::of(&plain, der));
                let Some(before) = before else { return Some(Self::none(plain)) };
                before
            }
        };
        let OcspResponse { der, status } = response;
        found.objects.responses.insert(file.place, Arc::clone(&der));
        if !status.good {
            let message = format!("{path} says that this certificate is revoked or unknown");
            found.warn_of_file(file.place, field, message);
            return Some(Self::none(plain));
        }
        if !status.is_current(found.now) {
            let message = format!("the response in {path} is over or not yet valid: not stapled");
            found.warn_of_file(file.place, field, message);
        }
        let mut pair = CertifiedKey::clone(&plain);
        pair.ocsp = Some(der.to_vec());
        Some(Self { plain, with_response: Some(StapledPair { pair: Arc::new(pair), status }) })
    }

    /// What to show at this time (Unix seconds); `None` for the time is outside of a handshake.
    pub(crate) fn at(&self, now: Option<i64>) -> Arc<CertifiedKey> {
        match (&self.with_response, now) {
            (Some(stapled), Some(now)) if stapled.status.is_current(now) => {
                Arc::clone(&stapled.pair)
            }
            _ => Arc::clone(&self.plain),
        }
    }
}
