//! `ssl_ciphers`: OpenSSL's cipher lists, for the suites there are here.
//!
//! In: a list as `man openssl-ciphers` describes it. Out: suites in their order, or everything in the list that is
//! not understood or selects nothing, with the reason. Words keep OpenSSL's meaning: `RSA` is the key exchange,
//! `SHA384` the suites with CBC, and nothing but its full name touches a suite of TLS 1.3.

use crate::model::CipherSuite;
use crate::openssl_ciphers;
use crate::values::{Wrong, nearest};

/// The suites of TLS 1.2 in the order in which OpenSSL begins.
const TLS12: [CipherSuite; 6] = [
    CipherSuite::EcdsaAes256Gcm,
    CipherSuite::RsaAes256Gcm,
    CipherSuite::EcdsaChaCha20Poly1305,
    CipherSuite::RsaChaCha20Poly1305,
    CipherSuite::EcdsaAes128Gcm,
    CipherSuite::RsaAes128Gcm,
];

/// A word of OpenSSL's, and the suites that it stands for.
type SuiteWord = (&'static str, fn(CipherSuite) -> bool);

/// What each word means that some suite of ours has.
const WORDS: [SuiteWord; 18] = [
    ("ALL", |_| true),
    ("DEFAULT", |_| true),
    ("HIGH", |_| true),
    ("TLSv1.2", |_| true),
    ("ECDH", |_| true),
    ("ECDHE", |_| true),
    ("EECDH", |_| true),
    ("kECDHE", |_| true),
    ("kEECDH", |_| true),
    ("ECDSA", is_ecdsa),
    ("aECDSA", is_ecdsa),
    ("aRSA", |suite| !is_ecdsa(suite)),
    ("AES", is_aes),
    ("AESGCM", is_aes),
    ("FIPS", is_aes),
    ("AES128", |suite| bits(suite) == 128),
    ("AES256", |suite| is_aes(suite) && bits(suite) == 256),
    ("CHACHA20", |suite| !is_aes(suite)),
];

const PLAIN: &str = "it does not encrypt";
const NOBODY: &str = "nobody shows a certificate";
const BROKEN: &str = "its cipher is broken or weak";
const STATIC: &str = "it has no forward secrecy: whoever gets the key reads old connections";
const FINITE: &str = "there is no finite-field Diffie-Hellman in this build; ECDHE does the same";
const CBC: &str = "its mode is CBC, which attacks on padding read; write one with GCM or CHACHA20";
const ABSENT: &str = "this build has AES-GCM and ChaCha20-Poly1305 alone";
const SHARED: &str = "peers are known by certificates here, not by secrets that they share";
const DSA: &str = "there are no DSA certificates any more";
const GOST: &str = "this build has no GOST";

/// Words of OpenSSL that no suite of ours has: with `!` they are fine.
const EMPTY_WORDS: [(&str, &str); 12] = [
    ("eNULL NULL COMPLEMENTOFALL", PLAIN),
    ("aNULL ADH AECDH", NOBODY),
    ("LOW MEDIUM EXP EXPORT EXPORT40 EXPORT56 RC2 RC4 DES 3DES IDEA SEED MD5", BROKEN),
    ("RSA kRSA kECDH kECDHr kECDHe aECDH", STATIC),
    ("DH DHE EDH kDH kDHE kEDH kDHr kDHd aDH", FINITE),
    ("SHA SHA1 SHA256 SHA384 SSLv3 TLSv1 TLSv1.0 TLSv1.1", CBC),
    ("COMPLEMENTOFDEFAULT AESCCM AESCCM8 CAMELLIA CAMELLIA128 CAMELLIA256", ABSENT),
    ("ARIA ARIA128 ARIA256 ARIAGCM SSLv2", ABSENT),
    ("PSK aPSK kPSK kECDHEPSK kDHEPSK kRSAPSK", SHARED),
    ("SRP aSRP kSRP KRB5 kKRB5 aKRB5", SHARED),
    ("DSS aDSS", DSA),
    ("kGOST aGOST aGOST01 aGOST12 GOST GOST94 GOST89MAC GOST2012 kGOST18", GOST),
];

/// What a list means.
#[derive(Debug)]
pub(crate) struct CipherList {
    /// Those of TLS 1.3, then those of TLS 1.2; of each version the most wanted first.
    pub(crate) suites: Vec<CipherSuite>,
    /// Does it say anything about TLS 1.3?
    pub(crate) names_tls13: bool,
}

/// Reads a list.
///
/// # Errors
/// Each element that is not understood, or that selects nothing.
pub(crate) fn parse(text: &str) -> Result<CipherList, Vec<Wrong>> {
    let mut list = SuiteOrder::new();
    let mut wrongs = Vec::new();
    for (at, element) in text.split([':', ',', ' ']).filter(|part| !part.is_empty()).enumerate() {
        // `DEFAULT@SECLEVEL=1` is two elements.
        let (first, more) = match element.split_once('@') {
            Some((first, more)) => (first, Some(more)),
            None => (element, None),
        };
        let results = [
            (!first.is_empty()).then(|| list.apply(first, at == 0)),
            more.map(|command| list.command(command)),
        ];
        wrongs.extend(results.into_iter().flatten().filter_map(Result::err));
    }
    if wrongs.is_empty() { Ok(list.finish()) } else { Err(wrongs) }
}

/// A suite of TLS 1.2 on its way through a list.
#[derive(Clone, Copy)]
struct Entry {
    suite: CipherSuite,
    active: bool,
}

/// OpenSSL's own procedure (`ssl_cipher_apply_rule`): a list in which suites are moved.
struct SuiteOrder {
    tls12: Vec<Entry>,
    /// Those of TLS 1.3 that the list names, in its order; all where it names none.
    tls13: Vec<CipherSuite>,
    killed13: Vec<CipherSuite>,
}

impl SuiteOrder {
    fn new() -> Self {
        let tls12 = TLS12.map(|suite| Entry { suite, active: false }).to_vec();
        Self { tls12, tls13: Vec::new(), killed13: Vec::new() }
    }

    fn finish(&self) -> CipherList {
        let all13 = CipherSuite::ALL.iter().copied().filter(|suite| suite.is_for_tls13());
        let named = if self.tls13.is_empty() { all13.collect() } else { self.tls13.clone() };
        let kept = named.into_iter().filter(|suite| !self.killed13.contains(suite));
        let active = self.tls12.iter().filter(|entry| entry.active).map(|entry| entry.suite);
        let names_tls13 = !self.tls13.is_empty() || !self.killed13.is_empty();
        CipherList { suites: kept.chain(active).collect(), names_tls13 }
    }

    fn apply(&mut self, element: &str, is_first: bool) -> Result<(), Wrong> {
        let (operator, words) = match element.as_bytes().first() {
            Some(b'!' | b'-' | b'+') => element.split_at(1),
            _ => ("", element),
        };
        let by_name =
            |suite: &&CipherSuite| suite.name() == words || suite.standard_name() == words;
        if let Some(suite) =
            CipherSuite::ALL.iter().filter(|suite| suite.is_for_tls13()).find(by_name)
        {
            return self.apply13(operator, *suite);
        }
        if words.split('+').any(|word| word == "DEFAULT") && (!is_first || words != element) {
            return Err(
                Wrong::new("`DEFAULT` stands in front, and alone").help("as OpenSSL has it")
            );
        }
        let mut chosen = TLS12.to_vec();
        let mut reason = None;
        for word in words.split('+') {
            let meaning = meaning(word)?;
            chosen.retain(|suite| meaning.suites.contains(suite));
            reason = reason.or(meaning.why_empty);
        }
        // OpenSSL has them in one field (`SSL_STRONG_MASK`), as it has LOW and MEDIUM.
        if ["HIGH", "FIPS"].iter().all(|grade| words.split('+').any(|word| word == *grade)) {
            chosen.clear();
            reason = reason.or(Some("OpenSSL takes no suite for both `HIGH` and `FIPS`"));
        }
        if chosen.is_empty() && matches!(operator, "" | "+") {
            let reason = reason.unwrap_or("no cipher suite is all of this");
            let message = format!("`{words}` selects no cipher suite: {reason}");
            return Err(Wrong::new(message).help("take it out; with `!` in front it is fine"));
        }
        match operator {
            "!" => self.tls12.retain(|entry| !chosen.contains(&entry.suite)),
            "-" => self.delete(&chosen),
            "+" => self.move_back(&chosen, true),
            _ => self.move_back(&chosen, false),
        }
        Ok(())
    }

    fn apply13(&mut self, operator: &str, suite: CipherSuite) -> Result<(), Wrong> {
        match operator {
            "!" => self.killed13.push(suite),
            "" if self.tls13.contains(&suite) => {}
            "" => self.tls13.push(suite),
            _ => {
                let wrong =
                    Wrong::new("suites of TLS 1.3 stand in the order in which they are wanted");
                return Err(wrong.help("write the name alone, or `!` in front of it"));
            }
        }
        Ok(())
    }

    /// To the end, in their order: those that are chosen already (`active`), or those that are not.
    fn move_back(&mut self, chosen: &[CipherSuite], active: bool) {
        let moves = |entry: &Entry| entry.active == active && chosen.contains(&entry.suite);
        let (moved, stay): (Vec<Entry>, Vec<Entry>) =
            self.tls12.iter().partition(|entry| moves(entry));
        self.tls12 = stay;
        self.tls12.extend(moved.into_iter().map(|entry| Entry { active: true, ..entry }));
    }

    /// To the front, in their order, and no longer chosen.
    fn delete(&mut self, chosen: &[CipherSuite]) {
        let moves = |entry: &Entry| entry.active && chosen.contains(&entry.suite);
        let (moved, stay): (Vec<Entry>, Vec<Entry>) =
            self.tls12.iter().partition(|entry| moves(entry));
        self.tls12 = moved.into_iter().map(|entry| Entry { active: false, ..entry }).collect();
        self.tls12.extend(stay);
    }

    /// What stands behind an `@`.
    fn command(&mut self, command: &str) -> Result<(), Wrong> {
        if command == "STRENGTH" {
            for strength in [256, 128] {
                let alike: Vec<CipherSuite> =
                    TLS12.into_iter().filter(|suite| bits(*suite) == strength).collect();
                self.move_back(&alike, true);
            }
            return Ok(());
        }
        let wrong = Wrong::new(format!("there is no `@{command}` here"));
        Err(if command.starts_with("SECLEVEL") {
            wrong.help(
                "take it out: suites and signatures are those of level 2, whatever the list says",
            )
        } else {
            wrong.help("`@STRENGTH` sorts by the length of keys")
        })
    }
}

struct Meaning {
    suites: Vec<CipherSuite>,
    why_empty: Option<&'static str>,
}

/// What one word, or the name of one suite, selects.
fn meaning(word: &str) -> Result<Meaning, Wrong> {
    if let Some((_, has)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Ok(Meaning {
            suites: TLS12.into_iter().filter(|suite| has(*suite)).collect(),
            why_empty: None,
        });
    }
    let named = |suite: &CipherSuite| suite.name() == word || suite.standard_name() == word;
    if let Some(suite) = TLS12.into_iter().find(named) {
        return Ok(Meaning { suites: vec![suite], why_empty: None });
    }
    let mut empty = EMPTY_WORDS.iter();
    let reason = match empty.find(|(words, _)| words.split(' ').any(|known| known == word)) {
        Some((_, reason)) => *reason,
        None if openssl_ciphers::is_one(word) => why_not(word),
        None => return Err(unknown(word)),
    };
    Ok(Meaning { suites: Vec::new(), why_empty: Some(reason) })
}

/// Why a suite of OpenSSL's is none of ours.
fn why_not(name: &str) -> &'static str {
    let has = |part: &str| name.split('-').any(|one| one == part);
    if has("NULL") {
        PLAIN
    } else if openssl_ciphers::is_old(name) {
        BROKEN
    } else if has("ADH") || has("AECDH") {
        NOBODY
    } else if has("PSK") || has("SRP") {
        SHARED
    } else if has("DSS") {
        DSA
    } else if has("DHE") || has("EDH") {
        FINITE
    } else if !has("ECDHE") {
        STATIC
    } else if name.contains("ARIA") || name.contains("CCM") {
        ABSENT
    } else {
        CBC
    }
}

fn unknown(word: &str) -> Wrong {
    let wrong = Wrong::new(format!("OpenSSL has no cipher suite and no word `{word}`"));
    let words = WORDS.iter().map(|(word, _)| *word);
    let empty = EMPTY_WORDS.iter().flat_map(|(words, _)| words.split(' '));
    match nearest(word, words.chain(empty).chain(openssl_ciphers::names())) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None if word.starts_with("SUITEB") => wrong.help("name the two suites with ECDSA and AES"),
        None => wrong.help("tls.md lists the cipher suites"),
    }
}

const fn is_ecdsa(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::EcdsaAes256Gcm
            | CipherSuite::EcdsaAes128Gcm
            | CipherSuite::EcdsaChaCha20Poly1305
    )
}

const fn is_aes(suite: CipherSuite) -> bool {
    !matches!(
        suite,
        CipherSuite::EcdsaChaCha20Poly1305
            | CipherSuite::RsaChaCha20Poly1305
            | CipherSuite::ChaCha20Poly1305
    )
}

/// Of its key.
const fn bits(suite: CipherSuite) -> u32 {
    match suite {
        CipherSuite::EcdsaAes128Gcm | CipherSuite::RsaAes128Gcm | CipherSuite::Aes128Gcm => 128,
        _ => 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> String {
        let suites = parse(text).unwrap().suites;
        let tls12 = suites.iter().filter(|suite| !suite.is_for_tls13());
        tls12.map(|suite| suite.name()).collect::<Vec<_>>().join(":")
    }

    fn wrongs(text: &str) -> Vec<String> {
        let wrongs = parse(text).unwrap_err().into_iter();
        wrongs
            .map(|wrong| format!("{} ({})", wrong.message, wrong.help.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn words_select_what_they_select_in_openssl() {
        const ECDSA: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
        const GCM: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
                           ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
        assert_eq!(names("HIGH:!aNULL:!MD5:!SHA256:!RSA").matches(':').count(), 5);
        assert_eq!(names("EECDH+AESGCM"), GCM);
        assert_eq!(names("ECDHE+AESGCM !kRSA,!3DES"), GCM);
        assert_eq!(names("ALL:!aRSA"), ECDSA);
        assert_eq!(names("ECDHE+aRSA+AES128"), "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(names("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "ECDHE-RSA-AES128-GCM-SHA256");
        let reordered = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256";
        assert_eq!(names("aRSA+AES:-AES256:AES256+aRSA:+AES128"), reordered);
        assert_eq!(names("AES128+aRSA:AES256+aRSA:@STRENGTH"), reordered);
    }

    #[test]
    fn tls_1_3_keeps_its_suites_unless_they_are_named() {
        let of = |text: &str| {
            let list = parse(text).unwrap();
            let named = list.suites.into_iter().filter(|suite| suite.is_for_tls13());
            (named.collect::<Vec<_>>(), list.names_tls13)
        };
        let all = [CipherSuite::Aes256Gcm, CipherSuite::Aes128Gcm, CipherSuite::ChaCha20Poly1305];
        assert_eq!(of("HIGH:!AES128:!CHACHA20"), (all.to_vec(), false));
        let two = vec![CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm];
        assert_eq!(of("TLS_CHACHA20_POLY1305_SHA256:HIGH:TLS_AES_256_GCM_SHA384"), (two, true));
        assert_eq!(of("HIGH:!TLS_AES_128_GCM_SHA256").0, [all[0], all[2]]);
        assert!(wrongs("HIGH:-TLS_AES_128_GCM_SHA256")[0].contains("`!` in front"));
    }

    #[test]
    fn what_selects_nothing_says_why() {
        for (element, reason) in [
            ("DHE-RSA-AES128-GCM-SHA256", FINITE),
            ("EDH+AESGCM", FINITE),
            ("AES128-GCM-SHA256", STATIC),
            ("kRSA", STATIC),
            ("RSA+AESGCM", STATIC),
            ("ECDHE-RSA-AES128-SHA", CBC),
            ("ECDHE-ECDSA-AES256-SHA384", CBC),
            ("SHA256", CBC),
            ("ECDHE-ECDSA-AES128-CCM", ABSENT),
            ("ECDHE-ARIA256-GCM-SHA384", ABSENT),
            ("DES-CBC3-SHA", BROKEN),
            ("RC4", BROKEN),
            ("NULL-SHA256", PLAIN),
            ("ADH-AES128-GCM-SHA256", NOBODY),
            ("ECDHE-PSK-CHACHA20-POLY1305", SHARED),
            ("DHE-DSS-AES128-GCM-SHA256", DSA),
            ("GOST2012", GOST),
        ] {
            let said = wrongs(&format!("HIGH:{element}"));
            assert_eq!(said.len(), 1, "{element}");
            assert!(said[0].contains(element) && said[0].contains(reason), "{said:?}");
            assert!(parse(&format!("HIGH:!{element}")).is_ok(), "{element}");
        }
        assert!(wrongs("AES128+CHACHA20")[0].contains("no cipher suite is all of this"));
        assert!(wrongs("AES+FIPS+HIGH")[0].contains("for both `HIGH` and `FIPS`"));
    }

    /// A word that nobody knows is refused behind `!` too: what it was to keep out would be in.
    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, said) in [
            ("HIGH:!aNUL", "did you mean `aNULL`?"),
            ("ECDHE-RSA-AES128-GCM-SHA265", "did you mean `ECDHE-RSA-AES128-GCM-SHA256`?"),
            ("DEFAULT@SECLEVEL=1", "those of level 2"),
            ("HIGH:@FOO", "`@STRENGTH`"),
            ("HIGH:DEFAULT", "stands in front"),
            ("!DEFAULT", "stands in front"),
            ("SUITEB128", "name the two suites"),
            ("HIGH:\u{e9}", "tls.md"),
            ("HIGH:+", "no word ``"),
        ] {
            let wrongs = wrongs(text);
            assert!(wrongs.len() == 1 && wrongs[0].contains(said), "{text}: {wrongs:?}");
        }
        assert_eq!(wrongs("FOO:!BAR:DHE").len(), 3);
    }
}
