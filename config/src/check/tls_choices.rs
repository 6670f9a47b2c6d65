//! What clients and upstreams have in common: versions, groups and cipher suites.

use crate::check::context::Check;
use crate::cipher_list;
use crate::model::{CipherSuite, KeyExchangeGroup, Protocols};
use crate::raw::Raw;
use crate::words::{Version, Word};

impl Check<'_> {
    /// The groups of a table; all where it names none.
    pub(super) fn groups(&mut self, raw: &Raw) -> Vec<KeyExchangeGroup> {
        let Some(words) = raw.words("ssl_ecdh_curve") else {
            return KeyExchangeGroup::ALL.to_vec();
        };
        let groups: Vec<KeyExchangeGroup> =
            words.iter().filter_map(|word| KeyExchangeGroup::of_word(word)).collect();
        if protocols(raw).tls12 && !groups.iter().any(|group| group.is_for_tls12()) {
            let message = "TLS 1.2 can exchange keys in none of these groups";
            let help = "add \"X25519\", or set `ssl_protocols` to [\"TLSv1.3\"]";
            self.error(raw.at("ssl_ecdh_curve"), raw.path("ssl_ecdh_curve"), message, help);
        }
        groups
    }

    /// The cipher suites of a table; all where it says nothing.
    pub(super) fn ciphers(&mut self, raw: &Raw) -> Vec<CipherSuite> {
        const KEY: &str = "ssl_ciphers";
        let Some(text) = raw.text(KEY) else { return CipherSuite::ALL.to_vec() };
        let list = match cipher_list::parse(&text.text) {
            Ok(list) => list,
            Err(wrongs) => {
                wrongs.into_iter().for_each(|wrong| self.wrong(text.place, raw.path(KEY), wrong));
                return CipherSuite::ALL.to_vec();
            }
        };
        let spoken = protocols(raw);
        let of_version = |tls13| list.suites.iter().any(|suite| suite.is_for_tls13() == tls13);
        if spoken.tls12 && !of_version(false) {
            let help = "add some, as \"HIGH\", or set `ssl_protocols` to [\"TLSv1.3\"]";
            self.error(text.place, raw.path(KEY), "this leaves TLS 1.2 no cipher suite", help);
        }
        if spoken.tls13 && !of_version(true) {
            let help = "leave one, or set `ssl_protocols` to [\"TLSv1.2\"]";
            self.error(text.place, raw.path(KEY), "this leaves TLS 1.3 no cipher suite", help);
        }
        if !spoken.tls12 && !list.names_tls13 {
            let message = "this chooses nothing: it names suites of TLS 1.2, which is off; TLS 1.3 keeps its three";
            let help = "name those of TLS 1.3, or take it out";
            self.warn(text.place, raw.path(KEY), message, help);
        }
        list.suites
    }
}

/// The TLS versions of a table; both where it names none.
pub(super) fn protocols(raw: &Raw) -> Protocols {
    let has = |version: Version| {
        raw.words("ssl_protocols").is_none_or(|words| words.contains(&version.word()))
    };
    Protocols { tls12: has(Version::Tls12), tls13: has(Version::Tls13) }
}
