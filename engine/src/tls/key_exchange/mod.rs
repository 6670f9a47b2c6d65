//! The groups in which keys are exchanged.
//!
//! In: `ssl_ecdh_curve`. Out: a provider that has these groups alone. As a server rustls takes the first of the
//! client's groups that is one of them, and asks for it (`HelloRetryRequest`) if the client sent no share of it;
//! as a client it offers all, with a share of the first, and of `X25519` where the first contains it.

#[cfg(test)]
mod known_answers;
mod x25519_ml_kem768;

use ferrule_config::model::KeyExchangeGroup;
use rustls::crypto::ring::kx_group::{SECP256R1, SECP384R1, X25519};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use self::x25519_ml_kem768::X25519MlKem768;

/// The same provider, with these groups in this order.
pub(super) fn with_groups(
    provider: &CryptoProvider,
    groups: &[KeyExchangeGroup],
) -> CryptoProvider {
    let kx_groups = groups.iter().copied().map(implementation).collect();
    CryptoProvider { kx_groups, ..provider.clone() }
}

/// Who exchanges keys in it.
fn implementation(group: KeyExchangeGroup) -> &'static dyn SupportedKxGroup {
    match group {
        KeyExchangeGroup::X25519MlKem768 => &X25519MlKem768,
        KeyExchangeGroup::X25519 => X25519,
        KeyExchangeGroup::P256 => SECP256R1,
        KeyExchangeGroup::P384 => SECP384R1,
    }
}
