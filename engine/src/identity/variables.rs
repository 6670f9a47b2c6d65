//! Every `$ssl_client_*` value, rendered once, in nginx's bytes.

/// A value that comes from the client's certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClientValue {
    /// `$ssl_client_verify`
    Verify,
    /// `$ssl_client_fingerprint`
    Fingerprint,
}

/// Which values the configuration uses; only those are rendered and held.
#[derive(Clone, Debug, Default)]
pub struct Wanted {}

/// The rendered values.
#[derive(Debug, Default)]
pub struct ClientValues {}

impl ClientValues {
    /// The value, empty if there is none (or it was not wanted).
    #[must_use]
    pub fn get(&self, value: ClientValue) -> &[u8] {
        let _ = value;
        unimplemented!("room identity")
    }
}
