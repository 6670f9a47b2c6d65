//! What a file holds that was not wanted there, and what to do with it.
//!
//! In: the bytes of a file in which nothing usable was found. Out: an [`Object`], by its outermost form
//! alone, or `None`. It chooses words for people, and decides nothing.

use super::kind::Contents;
use crate::identity::der::{self, Reader, tag};
use crate::identity::x509::raw_certificate::RawCertificate;

/// What people mistake for something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Object {
    /// X.509
    Certificate,
    /// PKCS#10
    Request,
    /// PKCS#8, PKCS#1 or SEC1, maybe encrypted
    PrivateKey,
    /// `SubjectPublicKeyInfo`, or a line of OpenSSH's
    PublicKey,
    /// In a format of OpenSSH's or PuTTY's own
    SshKey,
    /// X.509
    RevocationList,
    /// RFC 6960
    OcspResponse,
    /// Certificates in a signed message
    Pkcs7,
    /// Keys and certificates behind a pass phrase
    Pkcs12,
    /// Java's own
    KeyStore,
}

impl Object {
    /// What these bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\xfe\xed\xfe\xed") || bytes.starts_with(b"\xce\xce\xce\xce") {
            return Some(Self::KeyStore);
        }
        // Windows writes it without its length.
        if bytes.starts_with(b"\x30\x80\x02\x01\x03") {
            return Some(Self::Pkcs12);
        }
        if let Some(whole) = der::only(bytes, tag::SEQUENCE) {
            return Self::of_der(bytes, whole.content);
        }
        let text = bytes.trim_ascii_start();
        if let Some(rest) = text.strip_prefix(b"-----BEGIN ") {
            let end = memchr::memmem::find(rest, b"-----")?;
            return Self::of_label(rest.get(..end)?);
        }
        if text.starts_with(b"PuTTY-User-Key-File") {
            return Some(Self::SshKey);
        }
        let is_public = text.starts_with(b"ssh-") || text.starts_with(b"ecdsa-sha2-");
        is_public.then_some(Self::PublicKey)
    }

    pub(super) fn of_label(label: &[u8]) -> Option<Self> {
        Some(match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE" => Self::Certificate,
            b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => Self::Request,
            b"OPENSSH PRIVATE KEY" => Self::SshKey,
            b"OCSP RESPONSE" => Self::OcspResponse,
            b"PKCS7" | b"CMS" => Self::Pkcs7,
            b"PKCS12" => Self::Pkcs12,
            b"X509 CRL" => Self::RevocationList,
            label if label.ends_with(b"PRIVATE KEY") => Self::PrivateKey,
            label if label.ends_with(b"PUBLIC KEY") => Self::PublicKey,
            _ => return None,
        })
    }

    /// By the tags of the first elements.
    fn of_der(whole: &[u8], content: &[u8]) -> Option<Self> {
        if RawCertificate::read(whole).is_some() {
            return Some(Self::Certificate);
        }
        let mut outer = Reader::new(content);
        let first = outer.any()?;
        let second = outer.any().map(|element| element.tag);
        let mut inner = Reader::new(if first.tag == tag::SEQUENCE { first.content } else { &[] });
        let [one, two, three, four] = [(); 4].map(|()| inner.any().map(|element| element.tag));
        let is_time = |tag| matches!(tag, Some(tag::UTC_TIME | tag::GENERALIZED_TIME));
        let sequence = Some(tag::SEQUENCE);
        Some(match (first.tag, second) {
            (tag::ENUMERATED, _) => Self::OcspResponse,
            (tag::OID, _) => Self::Pkcs7,
            (tag::INTEGER, Some(tag::SEQUENCE)) if first.content == [3] => Self::Pkcs12,
            (tag::INTEGER, Some(tag::SEQUENCE | tag::INTEGER | tag::OCTET_STRING))
            | (tag::SEQUENCE, Some(tag::OCTET_STRING)) => Self::PrivateKey,
            (tag::SEQUENCE, Some(tag::BIT_STRING)) => Self::PublicKey,
            // version, algorithm, issuer, thisUpdate; the first may be left out
            (tag::SEQUENCE, Some(tag::SEQUENCE)) if is_time(three) || is_time(four) => {
                Self::RevocationList
            }
            // version, subject, key, attributes
            (tag::SEQUENCE, Some(tag::SEQUENCE))
                if one == Some(tag::INTEGER) && two == sequence && three == sequence =>
            {
                Self::Request
            }
            _ => return None,
        })
    }

    /// As it stands in a sentence: "it is ...".
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate",
            Self::Request => "a certificate request (CSR)",
            Self::PrivateKey => "a private key",
            Self::PublicKey => "a public key",
            Self::SshKey => "a private key in a format of SSH",
            Self::RevocationList => "a revocation list",
            Self::OcspResponse => "an OCSP response",
            Self::Pkcs7 => "PKCS#7",
            Self::Pkcs12 => "PKCS#12",
            Self::KeyStore => "a Java key store",
        }
    }

    /// What to do with it where this is wanted, or where else it belongs.
    #[must_use]
    pub const fn help(self, wanted: Contents) -> &'static str {
        let certificates = matches!(wanted, Contents::Chain | Contents::Authorities);
        match self {
            Self::Certificate if certificates => {
                "convert it: openssl x509 -inform DER -in FILE -out NEW"
            }
            Self::Certificate => "certificates are named in `cert`, authorities in `ca`",
            Self::Request => "what is needed is the certificate that the CA has made of it",
            Self::PrivateKey if matches!(wanted, Contents::Key) => {
                "convert it: openssl pkey -inform DER -in FILE -out NEW"
            }
            Self::PrivateKey => "private keys are named in `key`",
            Self::PublicKey if matches!(wanted, Contents::Key) => {
                "what is needed is the private key that belongs to it"
            }
            Self::PublicKey => "what is needed is a certificate of that key",
            Self::SshKey if matches!(wanted, Contents::Key) => {
                "convert a copy: ssh-keygen -p -m PKCS8 -f COPY (from PuTTY: puttygen FILE -O \
                 private-openssh -o COPY)"
            }
            Self::SshKey => "keys of SSH have no place here",
            Self::RevocationList if matches!(wanted, Contents::Lists) => {
                "convert it: openssl crl -inform DER -in FILE -out NEW"
            }
            Self::RevocationList => "revocation lists are named in `crl`",
            Self::OcspResponse => "OCSP responses are named in `ssl_stapling_file`",
            Self::Pkcs7 if certificates => {
                "take them out: openssl pkcs7 -print_certs -in FILE -out NEW (DER: -inform DER)"
            }
            Self::Pkcs7 => "PKCS#7 holds certificates, which are named in `cert` and `ca`",
            Self::Pkcs12 if certificates => {
                "take them out: openssl pkcs12 -in FILE -nokeys -out NEW"
            }
            Self::Pkcs12 if matches!(wanted, Contents::Key) => {
                "take it out: openssl pkcs12 -in FILE -nocerts -out NEW"
            }
            Self::Pkcs12 => {
                "PKCS#12 holds keys and certificates, which are named in `key` and `cert`"
            }
            Self::KeyStore => {
                "make PKCS#12 of it (keytool -importkeystore -srckeystore FILE -destkeystore NEW \
                 -deststoretype PKCS12), and take out what is needed (openssl pkcs12 -in NEW)"
            }
        }
    }
}
