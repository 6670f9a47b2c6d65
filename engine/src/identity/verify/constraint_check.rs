//! Every name of a path held against every name constraint above it, as OpenSSL does.
//!
//! In: a path whose certificates have been read. Out: what is wrong, in OpenSSL's words. The number of
//! comparisons is bounded for the whole path.

use crate::identity::der::Element;
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::constraint_match::{self, NameForm};
use crate::identity::x509::general_name::GeneralName;
use crate::identity::x509::name;
use crate::identity::x509::name_constraints::{ComparableName, NameConstraints};

/// Comparisons for a whole path. OpenSSL's bound is sixteen times as high, and for each pair of its
/// certificates. A chain without a good signature comes this far, too.
const COMPARISONS_MAX: usize = 1 << 16;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];
/// The type of an `otherName` that is a mail address beyond ASCII.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x09];

/// Something that is held against constraints.
enum NameItem<'a> {
    /// A name that can be compared.
    Comparable(ComparableName<'a>),
    /// A name that counts as one of this type too, and cannot be compared as such.
    Incomparable(GeneralName<'a>),
    /// What may be a name, and cannot be read.
    Unreadable(VerifyFailure),
}

/// Every name of one certificate, read once, however many constraints it is held against.
struct CertificateNames<'a> {
    items: Vec<NameItem<'a>>,
}

/// Holds a whole path, leaf first, against the constraints in it. Of several things that are wrong
/// the last one is told: the leaf's come after its issuers'.
#[must_use]
pub fn violation(path: &[Certificate<'_>]) -> Option<VerifyFailure> {
    let mut last = None;
    let mut left = COMPARISONS_MAX;
    for (at, certificate) in path.iter().enumerate().rev() {
        // A CA's new key under its own name is not below itself.
        if at != 0 && certificate.self_issued() {
            continue;
        }
        let mut names: Option<Result<CertificateNames<'_>, VerifyFailure>> = None;
        for above in path.iter().skip(at + 1).rev() {
            let Some(above) = &above.extensions.name_constraints else { continue };
            let names = names.get_or_insert_with(|| CertificateNames::read(certificate, at == 0));
            let outcome = match names {
                Ok(names) => names.check_against(above, &mut left),
                Err(failure) => Err(*failure),
            };
            if let Err(failure) = outcome {
                last = Some(failure);
            }
        }
    }
    last
}

impl<'a> CertificateNames<'a> {
    /// In OpenSSL's order: the subject, its mail addresses, alternative names, and of a leaf the hosts
    /// that somebody may read out of its subject.
    fn read(certificate: &Certificate<'a>, leaf: bool) -> Result<Self, VerifyFailure> {
        let subject = certificate.raw.subject;
        let attributes = name::values(subject).ok_or(VerifyFailure::NameSyntax)?;
        let all = |wanted: &'static [u8]| {
            attributes.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, value)| *value)
        };
        let mut items = Vec::new();
        if !attributes.is_empty() {
            items.push(NameItem::comparable(GeneralName::Directory(subject)));
        }
        items.extend(all(EMAIL_ADDRESS).map(|value| match value.tag {
            // IA5String
            22 => NameItem::comparable(GeneralName::Email(value.content)),
            _ => NameItem::Unreadable(VerifyFailure::NameSyntax),
        }));
        let alt_names = certificate.extensions.alt_names.as_deref().unwrap_or_default();
        for name in alt_names {
            // An address beyond ASCII is an address all the same, and we cannot compare it.
            if matches!(name, GeneralName::Other(SMTP_UTF8_MAILBOX, _)) {
                items.push(NameItem::Incomparable(GeneralName::Email(b"")));
            }
            items.push(NameItem::comparable(*name));
        }
        // Whoever reads a host out of the subject does so only where no alternative name is one.
        if leaf && !alt_names.iter().any(|name| matches!(name, GeneralName::Dns(_))) {
            items.extend(all(COMMON_NAME).filter_map(NameItem::of_common_name));
        }
        Ok(Self { items })
    }

    fn check_against(
        &self,
        above: &NameConstraints<'_>,
        left: &mut usize,
    ) -> Result<(), VerifyFailure> {
        let count = above.permitted.len() + above.excluded.len();
        let all = self.items.len().saturating_mul(count);
        *left = left.checked_sub(all).ok_or(VerifyFailure::Unspecified)?;
        self.items.iter().try_for_each(|item| match item {
            NameItem::Comparable(name) => above.check(name),
            NameItem::Incomparable(name) => above.refuse(name),
            NameItem::Unreadable(failure) => Err(*failure),
        })
    }
}

impl<'a> NameItem<'a> {
    fn comparable(name: GeneralName<'a>) -> Self {
        Self::Comparable(ComparableName { name, form: NameForm::of(&name) })
    }

    /// The host in it, if somebody may read one.
    fn of_common_name(value: Element<'a>) -> Option<Self> {
        // What is no text may be a host to somebody.
        let Some(text) = name::text(value) else {
            return Some(Self::Unreadable(VerifyFailure::Unspecified));
        };
        match constraint_match::host_of(&text) {
            Ok(None) => None,
            Ok(Some(host)) => {
                // Of its type, whatever it says: the form is what is compared.
                let (name, form) = (GeneralName::Dns(b""), NameForm::host(host));
                Some(Self::Comparable(ComparableName { name, form }))
            }
            Err(failure) => Some(Self::Unreadable(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::der::tlv;

    /// A name with one relative name, which has the same short attribute `count` times over.
    fn crowd(kind: u8, count: usize) -> Vec<u8> {
        let attribute = tlv(0x30, &[&[6, 1, kind][..], &[12, 0]].concat());
        tlv(0x30, &tlv(0x31, &attribute.repeat(count)))
    }

    #[test]
    fn comparisons_are_counted_over_the_whole_path() {
        let alt_names = crowd(0x2a, 133);
        let items = (0..30).map(|_| NameItem::comparable(GeneralName::Directory(&alt_names)));
        let names = CertificateNames { items: items.collect() };
        let subtree = tlv(0x30, &tlv(0xa4, &crowd(0x2b, 1)));
        let value = tlv(0x30, &tlv(0xa1, &subtree.repeat(1950)));
        let above = NameConstraints::read(&value).unwrap();
        let mut left = COMPARISONS_MAX;
        assert_eq!(names.check_against(&above, &mut left), Ok(()));
        let again = names.check_against(&above, &mut left);
        assert_eq!(again, Err(VerifyFailure::Unspecified));
    }
}
