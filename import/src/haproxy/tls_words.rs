//! Words about TLS that `bind` and `server` share: versions, cipher suites, curves.

use toml::Value as Toml;

use crate::fields::plain;
use crate::work::Work;

use super::words::ConfigLine;

/// The cipher suites of TLS 1.2 and 1.3 that exist here, by OpenSSL's names.
const SUITES: [&str; 9] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// Versions of TLS that are spoken.
#[derive(Clone, Debug)]
pub(super) struct TlsVersions {
    least: u8,
    most: u8,
    without_12: bool,
    without_13: bool,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { least: 2, most: 3, without_12: false, without_13: false }
    }
}

impl TlsVersions {
    /// Takes what `ssl-default-bind-options` and its twin say.
    pub(super) fn take_options(&mut self, lines: &[ConfigLine], work: &Work) {
        for line in lines {
            let mut at = 1;
            while at < line.words.len() {
                at = match self.take(line, at, work) {
                    Some(next) => next,
                    None => {
                        let known = ["no-tls-tickets", "strict-sni", "prefer-client-ciphers"];
                        if !known.contains(&line.word(at)) {
                            line.refuse(work, at, format!("`{}` is not converted", line.word(at)));
                        }
                        at.saturating_add(1)
                    }
                };
            }
        }
    }

    /// Takes the word at `at` if it is about versions; returns where the next one stands.
    pub(super) fn take(&mut self, line: &ConfigLine, at: usize, work: &Work) -> Option<usize> {
        let next = at.saturating_add(1);
        match line.word(at) {
            "ssl-min-ver" => {
                match number(line.word(next)) {
                    Some(least) if least >= 2 => self.least = least,
                    Some(_) => {
                        line.changed(work, next, "versions before TLS 1.2 do not exist here");
                    }
                    None => line.refuse(work, next, "this is no version of TLS"),
                }
                Some(next.saturating_add(1))
            }
            "ssl-max-ver" => {
                match number(line.word(next)) {
                    Some(most) => self.most = most,
                    None => line.refuse(work, next, "this is no version of TLS"),
                }
                Some(next.saturating_add(1))
            }
            "no-sslv3" | "no-tlsv10" | "no-tlsv11" => Some(next),
            "no-tlsv12" => {
                self.without_12 = true;
                Some(next)
            }
            "no-tlsv13" => {
                self.without_13 = true;
                Some(next)
            }
            "force-tlsv12" => {
                (self.least, self.most) = (2, 2);
                Some(next)
            }
            "force-tlsv13" => {
                (self.least, self.most) = (3, 3);
                Some(next)
            }
            _ => None,
        }
    }

    /// The list; nothing where all are spoken.
    pub(super) fn list(&self, line: &ConfigLine, work: &Work) -> Option<Vec<Toml>> {
        let twelve = self.least <= 2 && self.most >= 2 && !self.without_12;
        let thirteen = self.least <= 3 && self.most >= 3 && !self.without_13;
        match (twelve, thirteen) {
            (true, true) => None,
            (true, false) => Some(vec![plain("TLSv1.2")]),
            (false, true) => Some(vec![plain("TLSv1.3")]),
            (false, false) => {
                line.refuse(work, 0, "no version of TLS is left that exists here: 1.2 and 1.3");
                None
            }
        }
    }
}

fn number(word: &str) -> Option<u8> {
    match word {
        "SSLv3" | "TLSv1.0" => Some(0),
        "TLSv1.1" => Some(1),
        "TLSv1.2" => Some(2),
        "TLSv1.3" => Some(3),
        _ => None,
    }
}

/// A list of suites without those that do not exist here; words such as `HIGH` are kept as they are.
pub(super) fn cipher_suites(
    line: &ConfigLine,
    at: usize,
    text: &str,
    work: &Work,
) -> Option<String> {
    let words: Vec<&str> = text.split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    let is_name = |word: &str| word.contains(['-', '_']) && !word.starts_with(['!', '-', '+', '@']);
    let (lost, kept): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| is_name(word) && !SUITES.contains(word));
    if !lost.is_empty() {
        line.changed(
            work,
            at,
            format!("these cipher suites do not exist here: {}", lost.join(", ")),
        );
    }
    if kept.is_empty() {
        line.refuse(work, at, "no cipher suite is left that exists here");
        return None;
    }
    Some(kept.join(":"))
}

/// Curves without those that do not exist here.
pub(super) fn curves(line: &ConfigLine, at: usize, text: &str, work: &Work) -> Option<Vec<Toml>> {
    let mut kept = Vec::new();
    for name in text.split(':') {
        let found = match name {
            "X25519MLKEM768" => "X25519MLKEM768",
            "X25519" | "x25519" => "X25519",
            "P-256" | "prime256v1" | "secp256r1" => "prime256v1",
            "P-384" | "secp384r1" => "secp384r1",
            other => {
                line.changed(work, at, format!("the curve {other} does not exist here"));
                continue;
            }
        };
        kept.push(plain(found));
    }
    if kept.is_empty() {
        line.refuse(work, at, "no curve is left that exists here");
        return None;
    }
    Some(kept)
}
