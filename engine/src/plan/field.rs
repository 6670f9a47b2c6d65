//! Request fields, as variables read them.
//!
//! In: the name in an `$http_` variable. Out: what the client said under that name, as far as that is
//! its to say: nothing of a field that only we send upstream, and of `X-Forwarded-*` and `Forwarded`
//! only the word of a peer that is trusted ([`Word`]). Headers, conditions and logs all read through
//! here, so what one of them takes for absent is absent for all.

use std::net::IpAddr;

use ferrule_config::model::Forwarded;

use super::facts::Facts;
use super::forwarded::Word;
use super::names::{StripSet, dashed};
use super::values::Sink;
use crate::wire::fields::{Field, known};

/// Which request field a variable means, and of whom it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FieldName {
    /// Lower case, `-` for `_`.
    folded: Box<[u8]>,
    /// Does a field whose name holds an underscore count?
    underscores: bool,
    /// Is it the word of trusted peers alone? Then in its own spelling alone.
    trusted: Option<Box<Forwarded>>,
}

/// Why a field has no value, whatever a client sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hidden {
    /// Only we may send it.
    Ours,
    /// It is about the client's connection, and nobody's word on that is taken.
    NobodyTrusted,
}

/// What decides which fields have a value.
#[derive(Debug, Default)]
pub(super) struct FieldRules {
    ours: StripSet,
    underscores: bool,
    forwarded: Forwarded,
}

impl FieldRules {
    pub(super) const fn new(ours: StripSet, underscores: bool, forwarded: Forwarded) -> Self {
        Self { ours, underscores, forwarded }
    }

    /// Why a variable of this name (without `http_`) never has a value; `None` if it may have one.
    pub(super) fn hidden(&self, name: &str) -> Option<Hidden> {
        let folded: Box<[u8]> = name.bytes().map(dashed).collect();
        if self.ours.matches(&folded) {
            return Some(Hidden::Ours);
        }
        match self.word(&folded) {
            Word::Anybody => None,
            Word::Trusted if self.forwarded.trusted.is_empty() => Some(Hidden::NobodyTrusted),
            Word::Trusted => None,
            Word::Nobody => Some(Hidden::Ours),
        }
    }

    /// The field of a variable; `None` if it never has a value.
    pub(super) fn field(&self, name: &str) -> Option<FieldName> {
        if self.hidden(name).is_some() {
            return None;
        }
        let folded: Box<[u8]> = name.bytes().map(dashed).collect();
        let trusted = self.word(&folded) == Word::Trusted;
        let trusted = trusted.then(|| Box::new(self.forwarded.clone()));
        Some(FieldName { folded, underscores: self.underscores, trusted })
    }

    fn word(&self, folded: &[u8]) -> Word {
        if self.forwarded.enabled { Word::on(known(folded)) } else { Word::Anybody }
    }
}

impl FieldName {
    /// Is it the list of cookies?
    fn is_cookie(&self) -> bool {
        *self.folded == *b"cookie"
    }

    /// Is a field of this name, as it came, meant?
    fn means(&self, name: &[u8]) -> bool {
        let underscores = self.underscores && self.trusted.is_none();
        name.len() == self.folded.len()
            && self.folded.iter().zip(name).all(|(a, b)| *a == dashed(*b))
            && (underscores || !name.contains(&b'_'))
    }

    /// Its lines, as far as they may be read.
    fn lines<'a>(&self, facts: &Facts<'a>) -> impl Iterator<Item = (&'a [u8], &'a Field)> {
        let believed = self.trusted.as_ref().is_none_or(|forwarded| {
            let peer = facts.connection.remote_addr.parse::<IpAddr>();
            peer.is_ok_and(|peer| forwarded.trusts(peer))
        });
        let request = facts.request.filter(|_| believed);
        let lines = request.into_iter().flat_map(|request| {
            request.head.fields.as_slice().iter().map(move |field| (request.buf, field))
        });
        lines.filter(move |(buf, field)| self.means(field.name.of(buf)))
    }
}

/// Puts every line of a request field, as one list (RFC 9110, section 5.3).
pub(super) fn put_field(name: &FieldName, facts: &Facts<'_>, sink: &mut Sink<'_>) {
    let separator: &[u8] = if name.is_cookie() { b"; " } else { b", " };
    for (at, (buf, field)) in name.lines(facts).enumerate() {
        if at > 0 {
            sink.put(separator);
        }
        sink.put(field.value.of(buf));
    }
}
