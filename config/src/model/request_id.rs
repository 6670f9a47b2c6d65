//! `global_rules.request_id`: the ids that requests are given.

use strum::{IntoStaticStr, VariantArray, VariantNames};

/// The id of every request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestIdRule {
    /// The field that holds it, as written.
    pub header_name: String,
    /// Is the client told?
    pub include_in_response: bool,
    /// How an id is made for a request that brings none.
    pub algorithm: IdAlgorithm,
    /// What ids of [`IdAlgorithm::RangeId`] are made of.
    pub range: IdRange,
}

/// How ids are made, by APISIX's names.
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum IdAlgorithm {
    /// A random UUID (RFC 9562, version 4).
    #[default]
    Uuid,
    /// 21 random letters, digits, `_` and `-`.
    Nanoid,
    /// Random characters of a set.
    RangeId,
    /// 27 letters and digits that sort by the second: seconds since 2014 in 32 bits, and 128 random bits.
    Ksuid,
}

/// `request_id.range_id`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdRange {
    /// Characters of an id.
    pub length: u8,
    /// What they are chosen from, each once.
    pub char_set: String,
}
