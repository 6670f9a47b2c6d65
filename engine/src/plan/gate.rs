//! May a client with this verdict go on? Asked in the handshake and again for each request, and
//! answered here only.

use ferrule_config::model::ClientVerify;

use crate::identity::{Verdict, VerifyFailure};

/// The answer, as nginx decides between 200, 496 and 495.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// Yes.
    Pass,
    /// No: there is no certificate (nginx's 496).
    NoCertificate,
    /// No: it is not good, for this reason (nginx's 495).
    BadCertificate(VerifyFailure),
}

impl Gate {
    /// Decides. `optional_no_ca` lets pass what only lacks a known issuer; whatever else may be wrong
    /// with a certificate is refused there too.
    #[must_use]
    pub const fn of(verify: ClientVerify, verdict: Verdict) -> Self {
        match (verify, verdict) {
            (ClientVerify::Off, _)
            | (_, Verdict::Success)
            | (ClientVerify::Optional | ClientVerify::OptionalNoCa, Verdict::None) => Self::Pass,
            (ClientVerify::On, Verdict::None) => Self::NoCertificate,
            (ClientVerify::OptionalNoCa, Verdict::Failed(failure))
                if failure.is_unknown_issuer() =>
            {
                Self::Pass
            }
            (_, Verdict::Failed(failure)) => Self::BadCertificate(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_lets_pass_what_nginx_does() {
        let expired = Verdict::Failed(VerifyFailure::Expired);
        let stranger = Verdict::Failed(VerifyFailure::NoLocalIssuer);
        for (verify, none, success, bad, unknown) in [
            (ClientVerify::On, false, true, false, false),
            (ClientVerify::Optional, true, true, false, false),
            (ClientVerify::OptionalNoCa, true, true, false, true),
            (ClientVerify::Off, true, true, true, true),
        ] {
            let passes = |verdict| Gate::of(verify, verdict) == Gate::Pass;
            assert_eq!(passes(Verdict::None), none, "{verify:?}");
            assert_eq!(passes(Verdict::Success), success, "{verify:?}");
            assert_eq!(passes(expired), bad, "{verify:?}");
            assert_eq!(passes(stranger), unknown, "{verify:?}");
        }
        assert_eq!(Gate::of(ClientVerify::On, Verdict::None), Gate::NoCertificate);
    }
}
