//! Revocation lists and pins: what narrows a trust that authorities give.

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::crl_fetch::CrlUrl;
use super::files::Pem;
use crate::place::Place;

/// `crl`, `crl_distribution_points`, `crl_expired` and `crl_missing`
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Where in the file.
    pub place: Place,
    /// Files and texts.
    pub crls: Vec<Pem>,
    /// Lists that are fetched.
    pub urls: Vec<CrlUrl>,
    /// Are the lists fetched that the certificates of the authorities name? If not, there is a list
    /// or a URL.
    pub distribution_points: bool,
    /// What a list past its `nextUpdate` means.
    pub expired: CrlExpired,
    /// What it means that there is no list of an authority.
    pub missing: CrlMissing,
}

/// `crl_expired`
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CrlExpired {
    /// What the list could tell is unknown, so the certificate is refused.
    Reject,
    /// The list is used as it is, and warned about.
    Warn,
}

/// `crl_missing`
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CrlMissing {
    /// Every authority of a chain needs a list, as in nginx.
    Reject,
    /// Certificates of an authority without a list are not looked up.
    Allow,
}

/// One of `pins`
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pin {
    /// SHA-256 of the certificate.
    Certificate([u8; 32]),
    /// SHA-256 of its subject public key info.
    Spki([u8; 32]),
}
