//! Every value of what a certificate may have several of, one by one, for conditions.
//!
//! In: a certificate as it was read. Out: its values, and as what else somebody may read them. A test is
//! of one value at a time, so nobody takes a joined list apart again: a name with a comma in it is one
//! name, and a second name hides no first. Doubt is that of lists (see `doubt`): what cannot be told
//! satisfies no test, and the opposite of none.

use super::leaf_view::LeafView;
use crate::identity::unicode;
use crate::identity::verify::verdict::Verdict;
use crate::identity::x509::alt_names::{self, AltKind, AltName};
use crate::identity::x509::folded_dn;
use crate::identity::x509::name::Selector;

/// Of what a certificate may have several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum MultiValued {
    /// Values of an attribute of its subject.
    Attribute(Selector),
    /// Alternative names of this kind; of every kind, each with its kind in front (`DNS:a.example`).
    Names(Option<AltKind>),
    /// SPIFFE ids; of a verified client only. Two are none, which is no reason to take it for another.
    SpiffeIds,
}

/// The values.
#[derive(Debug, Default)]
pub struct AllValues {
    values: Box<[Box<[u8]>]>,
    readings: Box<[Box<[u8]>]>,
    unreadable: bool,
    may_be_any: bool,
}

/// What is looked for, as readings have it that know no case, no white space and no compatibility forms.
#[must_use]
pub fn folded(wanted: &str) -> String {
    unicode::folded(wanted)
}

impl AllValues {
    /// Of this certificate, or of nobody's. One that cannot be read may say anything.
    pub(crate) fn of(
        several: &MultiValued,
        certificate: Option<&LeafView<'_>>,
        verdict: Verdict,
    ) -> Self {
        let Some(certificate) = certificate else {
            return Self { unreadable: verdict != Verdict::None, ..Self::default() };
        };
        match several {
            MultiValued::Attribute(selector) => Self::of_attribute(certificate, selector),
            MultiValued::Names(kind) => Self::of_names(certificate, *kind),
            MultiValued::SpiffeIds if verdict == Verdict::Success => {
                Self::of_spiffe_ids(certificate)
            }
            MultiValued::SpiffeIds => Self::default(),
        }
    }

    /// In the order of the certificate, without escapes.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(AsRef::as_ref)
    }

    /// Other values as which somebody may read them.
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        self.readings.iter().map(AsRef::as_ref)
    }

    /// Is there one that is handed out to nobody? Then the others tell nothing, either.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Is there one that somebody may read as any?
    #[must_use]
    pub const fn may_be_any(&self) -> bool {
        self.may_be_any
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().chain(&self.readings).map(|value| value.len()).sum()
    }

    fn unreadable() -> Self {
        Self { unreadable: true, ..Self::default() }
    }

    fn of_attribute(certificate: &LeafView<'_>, selector: &Selector) -> Self {
        let values: Option<Vec<String>> =
            certificate.attribute_values(selector).into_iter().collect();
        let overlong = folded_dn::is_overlong(certificate.leaf.subject);
        let Some(values) = values.filter(|_| !overlong) else { return Self::unreadable() };
        let readings = values.iter().flat_map(|value| unicode::readings(value));
        Self {
            readings: readings.map(|reading| reading.into_bytes().into()).collect(),
            values: values.into_iter().map(|value| value.into_bytes().into()).collect(),
            ..Self::default()
        }
    }

    fn of_names(certificate: &LeafView<'_>, wanted: Option<AltKind>) -> Self {
        let is_wanted = |kind: AltKind| wanted.is_none_or(|wanted| wanted == kind);
        let all = &certificate.alt_names;
        if !certificate.is_whole || alt_names::holds_unreadable(all) || alt_names::are_overmany(all)
        {
            return Self::unreadable();
        }
        let marked = |kind: AltKind, name: &[u8]| -> Box<[u8]> {
            let mark = if wanted.is_none() { kind.prefix() } else { "" };
            [mark.as_bytes(), name].concat().into()
        };
        let names = || alt_names::names(all).filter(|name| is_wanted(name.kind));
        let values = names().map(|AltName { kind, value: name }| {
            let mut text = Vec::new();
            alt_names::plain(kind, name, &mut text);
            marked(kind, &text)
        });
        let readings = names().flat_map(|AltName { kind, value: name }| {
            let readings = alt_names::readings(kind, name).into_iter();
            readings.map(move |reading| marked(kind, &reading))
        });
        let covers_others =
            |name: AltName<'_>| name.kind == AltKind::Dns && name.value.starts_with(b"*.");
        Self {
            values: values.collect(),
            readings: readings.collect(),
            unreadable: false,
            may_be_any: alt_names::unclear(all).any(is_wanted) || names().any(covers_others),
        }
    }

    fn of_spiffe_ids(certificate: &LeafView<'_>) -> Self {
        let uris = Self::of_names(certificate, Some(AltKind::Uri));
        if let Some(id) = alt_names::spiffe_id(&certificate.alt_names) {
            return Self { values: Box::new([id.into()]), ..uris };
        }
        let is_one =
            |uri: &[u8]| uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"spiffe:"));
        let any = uris.values().chain(uris.readings()).any(is_one);
        let unreadable = uris.unreadable || uris.may_be_any || any;
        Self { unreadable, ..Self::default() }
    }
}
