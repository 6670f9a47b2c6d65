//! However a certificate writes the name that `deny` means, `deny` holds and `allow` does not.
//!
//! Every kind of name is written in every way in which somebody behind the gateway may read it as
//! the denied one: with white space or control characters around it, in another case, with what a
//! lenient reader drops. Names that are near, and are others, are the control.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use ferrule_config::read_text;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::{
    Access, AccessLists, ClientIdentity, ClientValue, IdentityPlan, Verdict,
};
use ferrule_engine::plan::client_lists::compile;
use ferrule_tests::zoo::asn1::{
    attribute, bit_string, common_name, element, extension, integer, name, oid, sequence,
};
use ferrule_tools::clock;

const DNS: u8 = 0x82;
const EMAIL: u8 = 0x81;
const URI: u8 = 0x86;

/// A certificate that nobody has signed, with this subject and these alternative names.
fn leaf(subject: &[u8], alt_names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = alt_names.iter().map(|(tag, name)| element(*tag, name)).collect();
    let names = sequence(&names.iter().map(Vec::as_slice).collect::<Vec<_>>());
    leaf_with(subject, (!alt_names.is_empty()).then_some(&names))
}

/// Likewise, with this `GeneralNames`.
fn leaf_with(subject: &[u8], alt_names: Option<&Vec<u8>>) -> Vec<u8> {
    let key = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
    leaf_of(subject, alt_names, &sequence(&[&key, &bit_string(0, &[4; 65])]))
}

/// Likewise, with this key.
fn leaf_of(subject: &[u8], alt_names: Option<&Vec<u8>>, key: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[&oid("1.2.840.10045.4.3.2")]);
    let day = |day: &[u8]| element(0x17, day);
    let validity = sequence(&[&day(b"200101000000Z"), &day(b"300101000000Z")]);
    let extensions = alt_names.map_or_else(Vec::new, |names| {
        element(0xa3, &sequence(&[&extension("2.5.29.17", false, names)]))
    });
    let version = element(0xa0, &integer(&[2]));
    let (serial, issuer) = (integer(&[0x11]), common_name("root"));
    let body = [&version, &serial, &algorithm, &issuer, &validity, subject, key, &extensions];
    sequence(&[&sequence(&body), &algorithm, &bit_string(0, &[1])])
}

/// Lists of a route, as the file has them.
fn lists(key: &str, terms: &[&str]) -> AccessLists {
    let quoted = |term: &&str| format!("\"{}\"", term.replace('\\', "\\\\").replace('"', "\\\""));
    let terms = terms.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let text = format!(
        "listen = [{{ address = '0.0.0.0:443', tls = true }}]\n[[ssls]]\nsni = 'a'\ncert = 'c'\n\
         key = 'k'\nclient.ca = 'x'\n[[routes]]\nuri = '/*'\nupstream.nodes = {{ 'a:1' = 1 }}\n\
         client = {{ verify = 'on', {key} = [{terms}] }}\n"
    );
    let draft = read_text(Path::new("/etc/f.toml"), text, &|_| None).expect("it is TOML");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    compile(&draft.config.routes[0].clients[0].lists)
}

fn is_denied(term: &str, der: &[u8]) -> bool {
    lists("deny", &[term]).check(der, Verdict::Success) == Access::Denied
}

fn is_allowed(term: &str, der: &[u8]) -> bool {
    lists("allow", &[term]).check(der, Verdict::Success) == Access::Allowed
}

/// A text with what a reader may drop from its ends.
fn dressed(text: &str) -> Vec<Vec<u8>> {
    let around = [&b" "[..], b"\t", b"  ", b"\0", b"\n", b"\r\n", b"\x0b", b"\x1f", b"\x7f"];
    let text = text.as_bytes();
    around.iter().flat_map(|one| [[text, one].concat(), [one, text].concat()]).collect()
}

/// Likewise, with what no name may hold in these encodings.
fn undressed(text: &str) -> Vec<Vec<u8>> {
    let mut found = dressed(text);
    found.extend(
        [&b"\xe9"[..], b"\xc2\xa0", b"\0.other", b" .other", b" other"]
            .map(|behind| [text.as_bytes(), behind].concat()),
    );
    found
}

fn held(term: &str, der: &[u8], shown: &[u8]) {
    let shown = shown.escape_ascii();
    assert!(is_denied(term, der), "deny {term}: {shown}");
    assert!(!is_allowed(term, der), "allow {term}: {shown}");
}

#[test]
fn alternative_names_are_denied_in_every_dress() {
    for (term, tag, text) in [
        ("DNS:mallory.example", DNS, "mallory.example"),
        ("DNS:*.example", DNS, "mallory.example"),
        ("URI:spiffe://prod/bad", URI, "spiffe://prod/bad"),
        ("URI:spiffe://prod/*", URI, "spiffe://prod/bad"),
        ("URI:spiffe://prod/**", URI, "spiffe://prod/bad"),
        ("email:mallory@example.com", EMAIL, "mallory@example.com"),
    ] {
        let plain = leaf(&common_name("x"), &[(tag, text.as_bytes())]);
        assert!(is_denied(term, &plain) && is_allowed(term, &plain), "{term}");
        for dress in undressed(text) {
            let names = [(DNS, &b"ok.example.net"[..]), (tag, dress.as_slice())];
            held(term, &leaf(&common_name("x"), &names), &dress);
        }
    }
}

#[test]
fn uris_are_denied_by_their_host_however_their_authority_is_written() {
    let term = "URI:spiffe://prod/bad";
    for text in [
        "spiffe://x@prod/bad",
        "spiffe://x:y@prod/bad",
        "spiffe://a@b@prod/bad",
        "spiffe://@prod/bad",
        "spiffe://prod:443/bad",
        "spiffe://prod:/bad",
        "spiffe://prod:x/bad",
        "spiffe://prod./bad",
        "spiffe://prod.:443/bad",
        "spiffe://x@prod.:443/./bad?y",
        "spiffe://x%40prod/bad",
        "spiffe://prod%3a443/bad",
        "spiffe://prod%2e/bad",
        "spiffe://%70rod:443/bad",
        "spiffe:/prod/bad",
        "spiffe:prod/bad",
        "spiffe:///prod/bad",
        "spiffe:\\\\prod\\bad",
        "spiffe:/\\x@prod/bad",
        "SPIFFE:/PROD/bad",
    ] {
        held(term, &leaf(&common_name("x"), &[(URI, text.as_bytes())]), text.as_bytes());
    }
    for other in [
        "spiffe://prod/good",
        "spiffe://x@prod/good",
        "spiffe://prod@other/bad",
        "spiffe://prod.other/bad",
        "spiffe://prod:443@other/bad",
        "spiffe://other:443/prod/bad",
        "https://prod:443/bad",
        "urn:prod/bad",
    ] {
        let der = leaf(&common_name("x"), &[(URI, other.as_bytes())]);
        assert!(!is_denied(term, &der), "{other}");
    }
}

#[test]
fn a_mailbox_is_denied_however_it_is_written() {
    let term = "email:mallory@example.com";
    for text in [
        "Mallory@example.com",
        "MALLORY@EXAMPLE.COM",
        "\"mallory\"@example.com",
        "\"mal\\lory\"@example.com",
        "mallory(x)@example.com",
        "<mallory@example.com>",
        "mallory@example.com.",
        "mallory@example.com,x@other",
        "mailto:mallory@example.com",
        "mallory",
    ] {
        held(term, &leaf(&common_name("x"), &[(EMAIL, text.as_bytes())]), text.as_bytes());
    }
    for other in ["mallory@example.net", "mallory.x@example.com", "m+allory@example.com"] {
        let der = leaf(&common_name("x"), &[(EMAIL, other.as_bytes())]);
        assert!(!is_denied(term, &der), "{other}");
    }
}

#[test]
fn host_names_are_denied_whatever_they_are_wrapped_in() {
    let term = "DNS:mallory.example";
    for text in [
        "mallory.example.",
        "mallory.example..",
        "*.example",
        "mallory.example:443",
        "mallory.example/",
        "https://mallory.example",
        "mallory%2eexample",
        "x,mallory.example",
        "mallory*.example",
    ] {
        held(term, &leaf(&common_name("x"), &[(DNS, text.as_bytes())]), text.as_bytes());
    }
    for other in ["mallory.example.net", "xmallory.example", "_x.mallory.example", "*.other"] {
        let der = leaf(&common_name("x"), &[(DNS, other.as_bytes())]);
        assert!(!is_denied(term, &der), "{other}");
    }
}

#[test]
fn attributes_are_denied_in_every_dress() {
    let subject = |tag: u8, text: &[u8]| name(&[&[attribute("2.5.4.3", tag, text)]]);
    let latin = |text: &[u8]| text.to_vec();
    let wide = |text: &[u8]| text.iter().flat_map(|byte| [0, *byte]).collect::<Vec<u8>>();
    type Write<'w> = &'w dyn Fn(&[u8]) -> Vec<u8>;
    let types: [(u8, Write<'_>); 4] = [(12, &latin), (19, &latin), (22, &latin), (30, &wide)];
    for (tag, write) in types {
        for term in ["CN=mallory", "2.5.4.3=mallory", "subject:CN=mallory"] {
            let plain = leaf(&subject(tag, &write(b"mallory")), &[]);
            assert!(is_denied(term, &plain) && is_allowed(term, &plain), "{term} {tag}");
            let cased = leaf(&subject(tag, &write(b"Mallory")), &[]);
            held(term, &cased, b"Mallory");
            for dress in dressed("mallory") {
                held(term, &leaf(&subject(tag, &write(&dress)), &[]), &dress);
            }
            let other = leaf(&subject(tag, &write(b"mallory2")), &[]);
            assert!(!is_denied(term, &other), "{term} {tag}");
        }
    }
    // Not text at all, and text that is not what its type says.
    for (tag, content) in [(12, &b"mallory\xff"[..]), (3, b"\0mallory"), (30, b"\xd8\0")] {
        let der = leaf(&subject(tag, content), &[]);
        assert!(is_denied("CN=mallory", &der), "{tag}");
        assert!(!is_allowed("CN=mallory", &der), "{tag}");
    }
    // Another attribute's value says nothing of this one.
    let unit = name(&[&[attribute("2.5.4.11", 12, b"mallory ")]]);
    assert!(!is_denied("CN=mallory", &leaf(&unit, &[])));
}

/// The names as they are printed, and others that any CA may spell in another way when it renews.
#[test]
fn a_whole_name_is_denied_in_every_spelling() {
    let cn = |tag: u8, text: &[u8]| attribute("2.5.4.3", tag, text);
    let unit = |text: &[u8]| attribute("2.5.4.11", 12, text);
    let own = |tag: u8, text: &[u8]| attribute("1.2.3.4", tag, text);
    let table: [(&str, Vec<Vec<u8>>); 5] = [
        (
            "subject:OU=ops+CN=mallory",
            vec![
                name(&[&[cn(12, b"mallory"), unit(b"ops")]]),
                name(&[&[unit(b"ops"), cn(12, b"mallory")]]),
                name(&[&[unit(b"OPS"), cn(30, b"\0m\0a\0l\0l\0o\0r\0y")]]),
            ],
        ),
        (
            "subject:CN=M\\C3\\84x",
            vec![
                name(&[&[cn(12, "M\u{c4}x".as_bytes())]]),
                name(&[&[cn(12, "m\u{e4}X".as_bytes())]]),
                name(&[&[cn(20, b"M\xc4x")]]),
                name(&[&[cn(30, b"\0M\0\xc4\0x")]]),
            ],
        ),
        (
            "subject:1.2.3.4=#0C0178",
            vec![name(&[&[own(12, b"x")]]), name(&[&[own(19, b"X")]]), name(&[&[own(30, b"\0x")]])],
        ),
        (
            "subject:CN=mal lory",
            vec![
                name(&[&[cn(12, "mal\u{200b} lo\u{ad}ry".as_bytes())]]),
                name(&[&[cn(19, b"Mal   Lory")]]),
            ],
        ),
        ("CN=mallory", vec![name(&[&[cn(12, "mal\u{200b}lory".as_bytes())]])]),
    ];
    for (term, subjects) in &table {
        for subject in subjects {
            assert!(is_denied(term, &leaf(subject, &[])), "{term}: {subject:02x?}");
        }
    }
    let all = table.iter().flat_map(|(_, subjects)| subjects);
    let two = name(&[&[cn(12, b"mallory")], &[unit(b"ops")]]);
    assert!(!is_denied("subject:OU=ops+CN=mallory", &leaf(&two, &[])));
    for subject in all {
        assert!(!is_denied("subject:CN=alice", &leaf(subject, &[])), "{subject:02x?}");
    }
}

/// What looks like a text to a reader who knows compatibility forms, and case beyond ASCII's.
fn alike(text: &str) -> Vec<String> {
    // Alphabets that stand for the Latin one, letter by letter: full width, circled, bold.
    let alphabets = ['\u{ff41}', '\u{ff21}', '\u{24d0}', '\u{1d41a}', '\u{1f130}'];
    let letter = |first: char, letter: char| match letter {
        'a'..='z' => char::from_u32(u32::from(first) + u32::from(letter) - u32::from('a')),
        other => Some(other),
    };
    let whole = |first: char| text.chars().filter_map(|one| letter(first, one)).collect::<String>();
    let mut found: Vec<String> = alphabets.into_iter().map(whole).collect();
    for (part, other) in [
        ("ffi", "\u{fb03}"),
        ("ffi", "\u{fb00}i"),
        ("ffi", "f\u{fb01}"),
        ("s", "\u{17f}"),
        ("st", "\u{fb06}"),
        ("k", "\u{212a}"),
        ("ss", "\u{df}"),
        ("ss", "\u{1e9e}"),
        ("tel", "\u{2121}"),
        ("o", "\u{ba}"),
        ("o", "\u{1d52}"),
        ("1", "\u{b9}"),
        ("1", "\u{2460}"),
        (" ", "\u{3000}"),
        (" ", "\u{2003}"),
        ("-", "\u{ff0d}"),
        ("...", "\u{2026}"),
        ("\u{e9}", "e\u{301}"),
        ("\u{e9}", "E\u{301}"),
        ("\u{3c3}", "\u{3c2}"),
        ("\u{3c3}", "\u{3a3}"),
        ("\u{ac00}", "\u{1100}\u{1161}"),
    ] {
        found.extend(text.match_indices(part).map(|(at, _)| {
            let (before, from) = text.split_at(at);
            [before, other, from.strip_prefix(part).unwrap_or_default()].concat()
        }));
    }
    for unseen in
        ['\u{61c}', '\u{115f}', '\u{2065}', '\u{2066}', '\u{3164}', '\u{ffa0}', '\u{e0100}']
    {
        let mut letters = text.chars();
        found.push(letters.next().into_iter().chain([unseen]).chain(letters).collect());
    }
    found.retain(|other| other != text);
    found
}

/// To compare it in all its forms would cost whoever has to more than it is worth.
#[test]
fn a_name_longer_than_anybodys_is_on_every_list_of_the_denied() {
    for (count, denied) in [(4_000, false), (4_096, true)] {
        let der = leaf(&common_name(&"m".repeat(count)), &[]);
        assert_eq!(is_denied("CN=alice", &der), denied, "{count}");
        assert_eq!(is_allowed(&format!("CN={}", "m".repeat(count)), &der), !denied, "{count}");
    }
    let dear = [attribute("2.5.4.3", 12, "\u{fdfa}".repeat(1_300).as_bytes())];
    let der = leaf(&name(&[&dear]), &[]);
    let terms: Vec<String> = (0..1_000).map(|at| format!("subject:CN=m{at}")).collect();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    // Each entry of a long list does not fold it anew.
    let lists = lists("deny", &terms);
    let started = clock::now();
    assert_eq!(lists.check(&der, Verdict::Success), Access::Allowed);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

fn printed(byte: u8) -> String {
    if byte.is_ascii() { char::from(byte).to_string() } else { format!("\\{byte:02X}") }
}

/// A CA that spells a name in another way has not made another client of it.
#[test]
fn an_attribute_is_denied_in_every_form_that_looks_alike() {
    for text in [
        "mallory",
        "office-1 of strasse",
        "task tel",
        "caf\u{e9} ...",
        "\u{3c3}\u{3b1}\u{3c3}",
        "k\u{ac00}",
    ] {
        for shown in alike(text) {
            let subject = name(&[&[attribute("2.5.4.3", 12, shown.as_bytes())]]);
            let der = leaf(&subject, &[]);
            // A whole name is written as it is printed: other letters than ASCII as their bytes.
            let whole: String = text.bytes().map(printed).collect();
            for term in [format!("CN={text}"), format!("subject:CN={whole}")] {
                held(&term, &der, shown.as_bytes());
            }
            let other = leaf(&name(&[&[attribute("2.5.4.3", 12, text.as_bytes())]]), &[]);
            if !shown.contains('\\') {
                assert!(is_denied(&format!("CN={shown}"), &other), "deny {shown}: {text}");
            }
            assert!(!is_denied("CN=alice", &der), "{shown}");
        }
    }
    // Another script's letter is another letter, whatever it looks like.
    let cyrillic = name(&[&[attribute("2.5.4.3", 12, "m\u{430}llory".as_bytes())]]);
    assert!(!is_denied("CN=mallory", &leaf(&cyrillic, &[])));
    for escaped in [
        "spiffe://prod/b%EF%BD%81d",
        "spiffe://pr%EF%BD%8Fd/bad",
        "spiffe://prod%EF%BC%8Fbad",
        "spiffe://prod/x/%EF%BC%8E./bad",
        "spiffe://prod/b%25EF%25BD%2581d",
        "spiffe://prod/b%E2%81%A6ad",
    ] {
        let der = leaf(&common_name("x"), &[(URI, escaped.as_bytes())]);
        held("URI:spiffe://prod/bad", &der, escaped.as_bytes());
        assert!(!is_denied("URI:spiffe://prod/good", &der), "{escaped}");
    }
}

fn hex(digits: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).expect("hexadecimal")
}

/// A CA that certifies a key once certifies it again in whatever form it is asked for.
#[test]
fn a_key_is_denied_in_every_spelling() {
    let curve = |curve: &str, point: &str| {
        let point = hex(point);
        let half = point.len() / 2;
        let short = [&[2 | point[point.len() - 1] & 1], &point[1..=half]].concat();
        let key = sequence(&[&oid("1.2.840.10045.2.1"), &oid(curve)]);
        [point, short].map(|point| sequence(&[&key, &bit_string(0, &point)]))
    };
    let modulus = [&[0, 0xc5][..], &[0x5a; 254], &[0x0b]].concat();
    let rsa = sequence(&[&integer(&modulus), &integer(&[1, 0, 1])]);
    let usual = sequence(&[&oid("1.2.840.113549.1.1.1"), &[5, 0]]);
    let pss = sequence(&[&oid("1.2.840.113549.1.1.10")]);
    let keys = [
        curve(
            "1.2.840.10045.3.1.7",
            "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
             4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        ),
        curve(
            "1.3.132.0.34",
            "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e\
             3872760ab73617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e81\
             9d7a431d7c90ea0e5f",
        ),
        curve(
            "1.3.132.0.35",
            "0400c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe\
             1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66011839296a789a3bc0045c8a5fb42c7d1bd998f544\
             49579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd166\
             50",
        ),
        [usual, pss].map(|kind| sequence(&[&kind, &bit_string(0, &rsa)])),
    ];
    let entry = |spki: &[u8]| {
        let mut wanted = IdentityPlan::default();
        wanted.add(ClientValue::SpkiSha256);
        let der = leaf_of(&common_name("x"), None, spki);
        let identity = ClientIdentity::of(&[&der], Verdict::Success, &wanted);
        let digest = identity.values.get(ClientValue::SpkiSha256).to_vec();
        format!("spki-sha256:{}", String::from_utf8(digest).expect("text"))
    };
    for (at, pair) in keys.iter().enumerate() {
        for one in pair {
            let term = entry(one);
            for other in keys.iter().flatten() {
                let der = leaf_of(&common_name("x"), None, other);
                assert_eq!(is_denied(&term, &der), pair.contains(other), "{at}: {other:02x?}");
                assert_eq!(is_allowed(&term, &der), one == other, "{at}: {other:02x?}");
            }
        }
    }
}

/// It says nothing of who somebody is, so it may be anybody.
#[test]
fn what_is_no_certificate_is_on_every_deny_list() {
    let deny = lists("deny", &["CN=mallory"]);
    let failed = Verdict::Failed(VerifyFailure::Unspecified);
    let broken_names = leaf_with(&common_name("x"), Some(&b"\x30\x05\x82".to_vec()));
    for der in [&b"x"[..], &[0x30, 0], &broken_names] {
        let mut wanted = IdentityPlan::default();
        let at = wanted.list(deny.clone());
        let identity = ClientIdentity::of(&[der], failed, &wanted);
        assert_eq!(identity.access(at), Access::Denied, "{}", der.escape_ascii());
        assert_eq!(deny.check(der, failed), Access::Denied, "{}", der.escape_ascii());
    }
    let mut wanted = IdentityPlan::default();
    let at = wanted.list(deny);
    assert_eq!(ClientIdentity::none(&wanted).access(at), Access::Allowed, "nobody is nobody");
}

/// What begins or ends with white space would reach the upstream without it.
#[test]
fn no_value_of_a_certificate_has_white_space_around_it() {
    for dress in dressed("admin") {
        let names = [(DNS, dress.as_slice()), (URI, dress.as_slice()), (EMAIL, dress.as_slice())];
        let subject = name(&[&[attribute("2.5.4.3", 12, &dress)]]);
        let mut wanted = IdentityPlan::default();
        let values = [
            ClientValue::SanDns,
            ClientValue::SanUri,
            ClientValue::SanEmail,
            ClientValue::San,
            wanted.attribute("cn").expect("an attribute"),
        ];
        values.iter().for_each(|value| wanted.add(*value));
        let identity = ClientIdentity::of(&[&leaf(&subject, &names)], Verdict::Success, &wanted);
        for value in values {
            let found = identity.values.get(value);
            assert_eq!(found, b"", "{value:?} of {}", dress.escape_ascii());
        }
    }
}
