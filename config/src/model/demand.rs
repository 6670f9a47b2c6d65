//! What a request may be refused for besides its client's certificate: its address, a token's claim, a condition.

use ipnet::IpNet;
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::breaker::BreakResponse;
use super::condition::Condition;
use crate::place::Place;

/// `allow_addrs` or `deny_addrs` of a `client` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressDemand {
    /// Which addresses.
    pub list: AddressList,
    /// What the others are answered with.
    pub answer: BreakResponse,
    /// `addrs_message`, as it is written.
    pub message: String,
}

/// Addresses that are let in, or kept out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AddressList {
    /// Nobody else is served.
    Allow(Vec<IpNet>),
    /// Everybody else is served.
    Deny(Vec<IpNet>),
}

/// `satisfy` of a `client` table (nginx's).
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Satisfy {
    /// Address and certificate.
    #[default]
    All,
    /// One of them.
    Any,
}

/// `refuse`: requests that a condition holds for are answered here.
#[derive(Clone, Debug)]
pub struct RefuseRule {
    /// Where in the file.
    pub place: Place,
    /// Its path there.
    pub field: String,
    /// For which requests.
    pub when: Condition,
    /// What they are answered with.
    pub answer: BreakResponse,
}
