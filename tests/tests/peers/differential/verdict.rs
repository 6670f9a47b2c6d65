//! What counts as a difference, and the short list of those that are meant.

use crate::differential::stage::{LOGGED, VARIABLES};
use crate::differential::visit::{Seen, UNALERTED};

/// Differences that are meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Meant {
    /// We refuse what nginx takes.
    Stricter(&'static str),
    /// nginx refuses in its handshake or by its own rule, we by a 400 or an alert: nobody gets in.
    RefusedElsewhere(&'static str),
    /// We take what nginx refuses. There are two, and there must not be another.
    Taken(&'static str),
}

const DROPPED: Meant = Meant::RefusedElsewhere(
    "a wrong signature stays in nginx's error queue, and nginx may drop the TLS 1.2 connection for it",
);

/// By name of the certificate.
const LIST: [(&str, Meant); 8] = [
    (
        "rsa 1024",
        Meant::RefusedElsewhere(
            "OpenSSL takes its signature and finds the key too weak; ring does not verify it at all",
        ),
    ),
    (
        "p-521",
        Meant::Taken(
            "in TLS 1.2 the groups that this nginx is told to agree on keys with hold for certificates, \
             too, and P-521 is not one of ours; in TLS 1.3 it takes it",
        ),
    ),
    ("broken signature", DROPPED),
    ("a CA of the same name", DROPPED),
    ("a CA of the same name, sent", DROPPED),
    ("guide-v3 at guide-v1", DROPPED),
    ("guide-v1 at guide-v3", DROPPED),
    (
        "guide-v3 at guide-v3",
        Meant::Taken(
            "its self-signed v3 root has no basicConstraints, as the guide's commands make it with \
             OpenSSL 3.2 and later; it is listed as an anchor, and that it is one is the operator's word",
        ),
    ),
];

/// The entry for this certificate.
pub(crate) fn meant(name: &str, stricter: Option<&'static str>) -> Option<Meant> {
    let listed = LIST.iter().find(|(listed, _)| *listed == name).map(|(_, meant)| *meant);
    listed.or_else(|| stricter.map(Meant::Stricter))
}

/// One client at both.
pub(crate) struct Pair<'a> {
    /// What it is.
    pub(crate) label: &'a str,
    /// What is on the list.
    pub(crate) meant: Option<Meant>,
    /// nginx.
    pub(crate) reference: &'a Seen,
    /// Ferrule.
    pub(crate) ours: &'a Seen,
}

/// What a pair turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// The same in everything.
    Same,
    /// A difference that is on the list.
    Listed(Meant),
    /// Any other.
    Difference(String),
}

impl Pair<'_> {
    /// Statuses first, then everything that the upstreams saw.
    pub(crate) fn compare(&self) -> Found {
        let (theirs, ours) = (self.reference.status, self.ours.status);
        if self.ours.text.starts_with(UNALERTED) {
            return Found::Difference(format!("{}: {}", self.label, self.ours.text));
        }
        if theirs != ours {
            return self.other_status(theirs, ours);
        }
        if theirs != 200 {
            return Found::Same;
        }
        if let Some(meant @ Meant::Stricter(_)) = self.meant
            && self.ours.value("ssl_client_verify") == Some("NONE")
        {
            return Found::Listed(meant);
        }
        let mut differences = Vec::new();
        for name in VARIABLES {
            if is_unknowable(name, |name| self.reference.value(name)) {
                continue;
            }
            let (reference, ours) = (self.reference.value(name), self.ours.value(name));
            // nginx writes a serial of more than 35 bytes on several lines.
            let reference = reference.map(|value| value.replace("\\\n", ""));
            // White space at an end is lost in a header, and would make another value of it.
            let withheld =
                ours.is_none() && reference.as_ref().is_some_and(|value| value.trim() != value);
            if reference.as_deref() != ours && !withheld {
                differences
                    .push(format!("   {name}\n      nginx {reference:?}\n      ours  {ours:?}"));
            }
        }
        if differences.is_empty() {
            return Found::Same;
        }
        Found::Difference(format!("{}:\n{}", self.label, differences.join("\n")))
    }

    fn other_status(&self, theirs: u16, ours: u16) -> Found {
        let fits = match self.meant {
            Some(Meant::Stricter(_)) => theirs == 200 && matches!(ours, 0 | 400),
            Some(Meant::RefusedElsewhere(_)) => theirs != 200 && matches!(ours, 0 | 400),
            Some(Meant::Taken(_)) => matches!(theirs, 0 | 400) && ours == 200,
            None => false,
        };
        match self.meant {
            Some(meant) if fits => Found::Listed(meant),
            _ => Found::Difference(format!(
                "{}: nginx {theirs}, ours {ours}\n   nginx {:?}\n   ours  {:?}",
                self.label, self.reference.text, self.ours.text
            )),
        }
    }
}

/// nginx has the group of a resumed TLS 1.2 session from the first one; rustls does not keep it.
fn is_unknowable<'a>(name: &str, reference: impl Fn(&'static str) -> Option<&'a str>) -> bool {
    name == "ssl_curve"
        && reference("ssl_session_reused") == Some("r")
        && reference("ssl_protocol") == Some("TLSv1.2")
}

/// What both wrote into their logs about one request that both answered alike.
pub(crate) fn compare_logged(
    label: &str,
    reference: &[(String, String)],
    ours: &[(String, String)],
) -> Vec<String> {
    fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
    let mut differences = Vec::new();
    for name in VARIABLES.iter().chain(&LOGGED).chain(&["status"]) {
        if is_unknowable(name, |name| value(reference, name)) {
            continue;
        }
        let (theirs, ours) = (value(reference, name), value(ours, name));
        let theirs = theirs.map(|value| value.replace("\\x5C\\x0A", ""));
        if theirs.as_deref() != ours {
            differences
                .push(format!("{label}: log: {name}\n   nginx {theirs:?}\n   ours  {ours:?}"));
        }
    }
    differences
}
