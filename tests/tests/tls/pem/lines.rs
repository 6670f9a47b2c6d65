//! Which flaw is told, and of which line.

use ferrule_engine::tls::pem::{BlockKind, Contents, Flaw, blocks, is_der, read};

const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n";
const DER: [u8; 5] = [0x30, 3, 2, 1, 1];

fn flaw(text: &str) -> Option<(usize, Flaw)> {
    blocks(text.as_bytes()).err().map(|error| (error.line, error.flaw))
}

#[test]
fn a_flaw_is_told_with_its_line() {
    let table: [(String, usize, Flaw); 28] = [
        (format!("{}{ONE}", ONE.trim_end()), 4, Flaw::Joined),
        (format!("{ONE}# {ONE}"), 5, Flaw::Joined),
        (format!("{ONE}\u{feff}{ONE}"), 5, Flaw::Indented),
        (format!("{ONE}\n\t{ONE}"), 6, Flaw::Indented),
        (ONE.replace("\n-----END", "\n -----END"), 4, Flaw::Indented),
        (ONE.replace("E-----\n", "E----\n"), 1, Flaw::Misspelt),
        (ONE.replace("E-----\n", "E----- x\n"), 1, Flaw::Misspelt),
        (ONE.replace("BEGIN", "Begin"), 1, Flaw::Misspelt),
        (ONE.replace("-----BEGIN", "----BEGIN"), 1, Flaw::Misspelt),
        (ONE.replace("-----BEGIN", "- - --  BEGIN"), 1, Flaw::Misspelt),
        (ONE.replace("-----BEGIN", "\u{2014} BEGIN"), 1, Flaw::Misspelt),
        (ONE.replace("-----BEGIN ", "-----BEGIN"), 1, Flaw::Misspelt),
        (ONE.replace("BEGIN CERTIFICATE", "BEGIN --CERTIFICATE"), 1, Flaw::Misspelt),
        (ONE.replace('\n', "\r"), 1, Flaw::CarriageReturns),
        (format!("#\r{ONE}"), 1, Flaw::CarriageReturns),
        (ONE.replace("AQE=", ONE), 3, Flaw::Nested),
        (ONE.replace("-----END", ""), 4, Flaw::Padding),
        (ONE.replace("MAMC", "MA*C"), 2, Flaw::NotBase64),
        (ONE.replace("AQE=\n-----END CERTIFICATE-----\n", ""), 1, Flaw::NoEnd),
        (ONE.replace("END CERTIFICATE", "END X509 CRL"), 4, Flaw::OtherEnd),
        (ONE.replace("END CERTIFICATE", "END X509 CERTIFICATE"), 4, Flaw::OtherEnd),
        (format!("{ONE}-----END CERTIFICATE-----"), 5, Flaw::StrayEnd),
        (format!("{ONE}M{}", "A".repeat(40)), 5, Flaw::Bare),
        (ONE.replace("AQE=", "AQE=\nAQE="), 4, Flaw::Padding),
        (ONE.replace("AQE=", "AQE"), 1, Flaw::Padding),
        (ONE.replace("MAMC\nAQE=\n", ""), 1, Flaw::Empty),
        (ONE.replace("MAMC", "a: b\n\nMAMC"), 1, Flaw::Headers),
        (format!("{ONE}\0"), 5, Flaw::Nul),
    ];
    for (text, line, expected) in table {
        assert_eq!(flaw(&text), Some((line, expected)), "{text:?}");
    }
}

#[test]
fn comments_are_no_blocks() {
    for comment in [
        "",
        "# --- begin of partners ---",
        "-- end",
        "----- BEGINNING CERTIFICATES",
        "subject=CN = BEGIN CERTIFICATE",
        "=========================================",
        "Modulus:",
        "Mein Kommentar steht hier und ist lang genug fuer eine Zeile",
        "\u{fc}ber \u{2014} alles",
        "      00:ab:cd",
        "a: b",
        "0 as the first letter",
    ] {
        for end in ["\n", "\r\n"] {
            let text = format!("{comment}{end}{ONE}{comment}{end}{ONE}{comment}");
            let found = blocks(text.as_bytes()).expect(comment);
            let lines: Vec<usize> = found.iter().map(|block| block.line).collect();
            assert_eq!(lines, [2, 7], "{comment}");
            assert!(found.iter().all(|block| block.der == DER));
        }
    }
}

#[test]
fn labels_are_taken_as_openssl_takes_them() {
    use BlockKind as Is;
    for (label, kind) in [
        ("CERTIFICATE", Is::Certificate),
        ("X509 CERTIFICATE", Is::Certificate),
        ("TRUSTED CERTIFICATE", Is::TrustedCertificate),
        ("X509 CRL", Is::RevocationList),
        ("CRL", Is::Other),
        ("PRIVATE KEY", Is::Pkcs8Key),
        ("ENCRYPTED PRIVATE KEY", Is::EncryptedKey),
        ("RSA PRIVATE KEY", Is::Pkcs1Key),
        ("EC PRIVATE KEY", Is::Sec1Key),
        ("DSA PRIVATE KEY", Is::OtherKey),
        ("EC PARAMETERS", Is::Parameters),
        ("PUBLIC KEY", Is::Other),
        ("certificate", Is::Other),
        (" CERTIFICATE", Is::Other),
        ("CERTIFICATE ", Is::Other),
        ("", Is::Other),
    ] {
        let text = ONE.replace("CERTIFICATE", label);
        let found = blocks(text.as_bytes()).expect(label);
        assert_eq!((found.len(), found[0].kind), (1, kind), "{label}");
        for contents in [Contents::Authorities, Contents::Lists, Contents::Chain, Contents::Key] {
            let place = [Contents::Authorities, Contents::Lists].contains(&contents);
            let taken = read(text.as_bytes(), contents);
            assert!(!place || taken.is_err() || taken.expect(label).len() == 1, "{label}");
        }
    }
}

#[test]
fn an_encrypted_key_keeps_its_headers_and_shows_nothing() {
    let more = "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let text =
        ONE.replace("CERTIFICATE", "RSA PRIVATE KEY").replacen("RSA PRIVATE KEY-----\n", more, 1);
    let found = read(text.as_bytes(), Contents::Key).expect("a key");
    assert_eq!(found[0].headers, ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,00"]);
    assert_eq!(format!("{:?}", found[0]), "Block(RSA PRIVATE KEY, line 1, 5 bytes)");
}

#[test]
fn der_is_no_text() {
    assert!(is_der(&DER) && is_der(&[0x30, 0x82, 1, 0]));
    assert!(!is_der(b"0 is a comment") && !is_der(b"") && !is_der(b"0\n"));
    assert_eq!(blocks(&DER).map_err(|error| error.flaw), Err(Flaw::Der));
}
