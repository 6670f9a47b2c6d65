//! OpenSSL's names for what TLS numbers.

pub use ferrule_config::openssl_ciphers::name as cipher;

/// The name of a group, if OpenSSL 3.5 knows it.
#[must_use]
pub fn curve(group: u16) -> Option<&'static str> {
    match group {
        0x0100 => Some("ffdhe2048"),
        0x0101 => Some("ffdhe3072"),
        0x0102 => Some("ffdhe4096"),
        0x0103 => Some("ffdhe6144"),
        0x0104 => Some("ffdhe8192"),
        0x0200 => Some("MLKEM512"),
        0x0201 => Some("MLKEM768"),
        0x0202 => Some("MLKEM1024"),
        0x11eb => Some("SecP256r1MLKEM768"),
        0x11ec => Some("X25519MLKEM768"),
        0x11ed => Some("SecP384r1MLKEM1024"),
        _ => CURVES.get(usize::from(group).checked_sub(1)?).copied(),
    }
}

/// From 1 on.
const CURVES: [&str; 30] = [
    "sect163k1",
    "sect163r1",
    "sect163r2",
    "sect193r1",
    "sect193r2",
    "sect233k1",
    "sect233r1",
    "sect239k1",
    "sect283k1",
    "sect283r1",
    "sect409k1",
    "sect409r1",
    "sect571k1",
    "sect571r1",
    "secp160k1",
    "secp160r1",
    "secp160r2",
    "secp192k1",
    "prime192v1",
    "secp224k1",
    "secp224r1",
    "secp256k1",
    "prime256v1",
    "secp384r1",
    "secp521r1",
    "brainpoolP256r1",
    "brainpoolP384r1",
    "brainpoolP512r1",
    "X25519",
    "X448",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_openssls_names() {
        assert_eq!(cipher(0xc02c), Some("ECDHE-ECDSA-AES256-GCM-SHA384"));
        assert_eq!(cipher(0x1302), Some("TLS_AES_256_GCM_SHA384"));
        assert_eq!(cipher(0x0a0a), None);
        assert_eq!(curve(23), Some("prime256v1"));
        assert_eq!(curve(29), Some("X25519"));
        assert_eq!(curve(0x11ec), Some("X25519MLKEM768"));
        assert_eq!((curve(0), curve(31), curve(0x11ee)), (None, None, None));
    }
}
