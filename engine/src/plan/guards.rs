//! The policies of server names that ask for a certificate and could lead to one place.
//!
//! In: policies. Out: whether a connection of some policy is held to no less than they ask for. They
//! decide about hosts that no server name is meant for: such a host must not reach a route over a
//! connection that is held to less than a name which leads there as well.

use super::ids::PolicyId;

/// The policies of some server names, as far as they ask for a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Guards {
    asking: Asking,
    /// One of them lets nobody in without a verified certificate.
    requiring: bool,
}

/// Which policies ask for a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Asking {
    #[default]
    Nobody,
    One(PolicyId),
    Several,
}

impl Guards {
    /// The demands of one policy: does it ask for a certificate, and does it require one?
    pub(super) const fn of(policy: PolicyId, asks: bool, requires: bool) -> Self {
        let asking = if asks { Asking::One(policy) } else { Asking::Nobody };
        Self { asking, requiring: requires }
    }

    /// Adds the policies of another.
    pub(super) fn join(&mut self, other: Self) {
        self.asking = match (self.asking, other.asking) {
            (one, Asking::Nobody) => one,
            (Asking::Nobody, two) => two,
            (Asking::One(one), Asking::One(two)) if one == two => Asking::One(one),
            _ => Asking::Several,
        };
        self.requiring |= other.requiring;
    }

    /// Is a connection of this policy (`None`: plain HTTP) held to no less than they all ask for?
    ///
    /// Of two policies that ask, neither is stricter: they trust different people. On plain HTTP a
    /// client is who it is over TLS without a certificate, which some names let in.
    #[must_use]
    pub fn admit(self, used: Option<PolicyId>) -> bool {
        match (used, self.asking) {
            (None, _) => !self.requiring,
            (Some(_), Asking::Nobody) => true,
            (Some(used), Asking::One(policy)) => used == policy,
            (Some(_), Asking::Several) => false,
        }
    }
}
