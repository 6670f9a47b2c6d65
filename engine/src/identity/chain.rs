//! The verdict on a chain: path, depth, extended key usage, v1 leaves, and OpenSSL's words for it.

/// Which clients a server name trusts. Compared and hashed by content.
#[derive(Debug)]
pub struct ClientPolicy {
    /// DER of the trust anchors.
    pub anchors: Vec<Vec<u8>>,
    /// Intermediates allowed between leaf and anchor (OpenSSL's count).
    pub depth: u32,
    /// Accept v1 leaves issued directly by an anchor.
    pub allow_v1: bool,
}

/// What verification said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// No certificate was sent.
    None,
    /// It verified.
    Success,
    /// It did not, for OpenSSL's reason.
    Failed(VerifyFailure),
}

/// OpenSSL's reasons (`X509_verify_cert_error_string`); grows with the checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerifyFailure {
    /// `certificate has expired`
    Expired,
    /// `unable to get local issuer certificate`
    NoLocalIssuer,
}

impl VerifyFailure {
    /// OpenSSL's words, as they follow `FAILED:`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Expired => "certificate has expired",
            Self::NoLocalIssuer => "unable to get local issuer certificate",
        }
    }
}

/// Judges a client's chain, leaf first, as DER. `now` is Unix seconds.
#[must_use]
pub fn judge(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verdict {
    let _ = (chain, policy, now);
    unimplemented!("room identity")
}
