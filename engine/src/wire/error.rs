//! What the bytes got wrong.

/// Why bytes are not a message we accept. One variant per cause; grows with the rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WireError {
    /// The head is larger than the limit.
    HeadTooLarge,
    /// The request line alone is larger than the limit.
    TargetTooLong,
    /// Not a head at all.
    MalformedHead,
    /// Two answers to where the body ends.
    AmbiguousLength,
    /// A transfer coding we do not know.
    UnknownTransferCoding,
    /// A version other than 1.0 and 1.1.
    UnsupportedVersion,
}
