//! Every byte and count limit of this room, each with its reason.

/// What one head may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub head_bytes_max: u32,
    /// Field lines.
    pub fields_max: u16,
}
