//! The keys of TLS that clients and upstreams have in common: versions, groups and cipher suites.

use crate::describe::key::{Key, Kind, Words, flag, optional};
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

pub(super) const SSL_CIPHERS: Key = optional(
    "ssl_ciphers",
    Kind::Text,
    "all nine (tls.md)",
    "Cipher suites as an OpenSSL list, such as \"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384\" or \
         \"HIGH:!aNULL:!MD5\". TLS 1.3 keeps its three suites, unless the list names some of them. A name that \
         selects nothing is refused (tls.md).",
);
pub(super) const SSL_PREFER_SERVER_CIPHERS: Key = flag(
    "ssl_prefer_server_ciphers",
    false,
    "The first suite of `ssl_ciphers` that the client has is taken, and not the client's first.",
);
