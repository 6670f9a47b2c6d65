//! Request fields, as variables read them.
//!
//! In: the name in an `$http_` variable. Out: what the client said under that name, as far as that is
//! its to say: nothing of a field that only we send upstream, and of `X-Forwarded-*` and `Forwarded`
//! only the word of a peer that is trusted ([`FieldTrust`]). Headers, conditions and logs all read through
//! here, so what one of them takes for absent is absent for all.

use std::net::IpAddr;

use ferrule_config::model::Forwarded;

use super::facts::Facts;
use super::forwarded::FieldTrust;
use super::names::{StripSet, dashed, fold};
use super::value_writer::ValueWriter;
use crate::wire::fields::{Known, known};
use crate::wire::view::FieldView;

/// Which request field a variable means, and of whom it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FieldName {
    /// Lower case, `-` for `_`.
    folded: Box<[u8]>,
    /// The well-known field of this name.
    known: Known,
    /// Does a field whose name holds an underscore count?
    underscores: bool,
    /// Set if only trusted peers may send it; then only its own spelling counts.
    trusted: Option<Box<Forwarded>>,
}

/// Why a field has no value, whatever a client sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EmptyReason {
    /// Only the gateway may send this field.
    GatewayOnly,
    /// The field is about the client's connection, and no peer is trusted with that.
    NoTrustedPeers,
    /// No path of a route has this parameter.
    NotInPath,
    /// No expression of a rewrite has this group.
    NotAGroup,
    /// No condition of a route names this part of a value.
    NotNamed,
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
    pub(super) fn empty_reason(&self, name: &str) -> Option<EmptyReason> {
        let folded: Box<[u8]> = name.bytes().map(dashed).collect();
        if self.ours.matches(&folded) {
            return Some(EmptyReason::GatewayOnly);
        }
        match self.word(&folded) {
            FieldTrust::AnyClient => None,
            FieldTrust::TrustedPeers if self.forwarded.trusted.is_empty() => {
                Some(EmptyReason::NoTrustedPeers)
            }
            FieldTrust::TrustedPeers => None,
            FieldTrust::GatewayOnly => Some(EmptyReason::GatewayOnly),
        }
    }

    /// The field of a variable; `None` if it never has a value.
    pub(super) fn field(&self, name: &str) -> Option<FieldName> {
        if self.empty_reason(name).is_some() {
            return None;
        }
        let folded: Box<[u8]> = name.bytes().map(dashed).collect();
        let trusted = self.word(&folded) == FieldTrust::TrustedPeers;
        let trusted = trusted.then(|| Box::new(self.forwarded.clone()));
        let known = known(&folded);
        Some(FieldName { folded, known, underscores: self.underscores, trusted })
    }

    fn word(&self, folded: &[u8]) -> FieldTrust {
        if self.forwarded.enabled { FieldTrust::of(known(folded)) } else { FieldTrust::AnyClient }
    }
}

impl FieldName {
    /// Is it the list of cookies?
    fn is_cookie(&self) -> bool {
        *self.folded == *b"cookie"
    }

    /// Is this field meant?
    fn means(&self, field: FieldView<'_>) -> bool {
        let underscores = self.underscores && self.trusted.is_none();
        // Names that are the same but for case are known as the same (`log/JSON`).
        if !underscores && (field.known() != self.known || self.known != Known::Other) {
            return field.known() == self.known;
        }
        let name = field.name();
        name.len() == self.folded.len()
            && self.folded.iter().zip(name).all(|(a, b)| *a == dashed(*b))
            && (underscores || !name.contains(&b'_'))
    }

    /// The fields of a request; none if its client is not trusted to send this one.
    fn readable<'a>(&self, facts: &Facts<'a>) -> impl Iterator<Item = FieldView<'a>> + use<'a> {
        let believed = self.trusted.as_ref().is_none_or(|forwarded| {
            let peer = facts.connection.own_addr().parse::<IpAddr>();
            peer.is_ok_and(|peer| forwarded.trusts(peer))
        });
        let request = facts.request.filter(|_| believed);
        request.into_iter().flat_map(|request| request.head.fields().iter())
    }

    /// Every line that an upstream gets and may take for this field.
    pub(super) fn alike<'a>(&self, facts: &Facts<'a>) -> impl Iterator<Item = FieldView<'a>> {
        self.readable(facts).filter(move |field| {
            let name = field.name();
            let respelt = self.trusted.is_none()
                && name.len() == self.folded.len()
                && self.folded.iter().zip(name).all(|(a, b)| *a == fold(*b))
                && (self.underscores || !name.contains(&b'_'));
            respelt || self.means(*field)
        })
    }
}

/// Puts every line of a request field, as one list (RFC 9110, section 5.3).
pub(super) fn put_field(name: &FieldName, facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let separator: &[u8] = if name.is_cookie() { b"; " } else { b", " };
    for (at, field) in name.readable(facts).filter(|field| name.means(*field)).enumerate() {
        if at > 0 {
            sink.put(separator);
        }
        sink.put(field.value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, fields_max: 10 };

    /// What is told by what a name is known as, against the letters of the name.
    #[test]
    fn a_field_is_meant_by_its_name_in_any_case() {
        let names = [
            "Host",
            "hOST",
            "Hos",
            "User-Agent",
            "USER-agent",
            "user_agent",
            "User.Agent",
            "Te",
            "T_",
            "X-Real-IP",
            "x_real-ip",
            "X-Other",
            "x_other",
            "X_OTHER",
            "X-Othe",
            "Via",
        ];
        for (variable, underscores) in ["host", "user_agent", "te", "x_real_ip", "x_other", "via"]
            .into_iter()
            .flat_map(|variable| [(variable, false), (variable, true)])
        {
            let forwarded = Forwarded { enabled: false, ..Forwarded::default() };
            let wanted = FieldRules::new(StripSet::default(), underscores, forwarded);
            let wanted = wanted.field(variable).unwrap();
            for name in names {
                let text = format!("GET / HTTP/1.1\r\n{name}: 1\r\n\r\n");
                let mut head = RequestHead::default();
                parse_request(text.as_bytes(), text.len(), LIMITS, &mut head).unwrap();
                let field = head.view(text.as_bytes()).fields().iter().next().unwrap();
                let same =
                    name.to_ascii_lowercase().replace('_', "-") == variable.replace('_', "-");
                let meant = same && (underscores || !name.contains('_'));
                assert_eq!(wanted.means(field), meant, "{variable} {name}");
            }
        }
    }
}
