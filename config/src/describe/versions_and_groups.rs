//! The keys of TLS that clients and upstreams have in common: versions and groups.

use crate::describe::key::{Key, Kind, Words, optional};
use crate::describe::refused;
use crate::model::KeyExchangeGroup;
use crate::words::{Version, Word};

static PROTOCOLS: Words = Words { words: Version::WORDS, refused: refused::PROTOCOLS };
pub(super) const SSL_PROTOCOLS: Key =
    optional("ssl_protocols", Kind::Words(&PROTOCOLS), "both", "TLS versions.");

static GROUPS: Words = Words { words: KeyExchangeGroup::WORDS, refused: refused::GROUPS };
pub(super) const SSL_ECDH_CURVE: Key = optional(
    "ssl_ecdh_curve",
    Kind::Words(&GROUPS),
    "all, in this order: X25519MLKEM768, X25519, prime256v1, secp384r1",
    "Groups in which keys are exchanged. Upstreams are offered them in this order; of clients, their own order \
         counts. X25519MLKEM768 is safe against a later quantum computer, and for TLS 1.3 alone.",
);
