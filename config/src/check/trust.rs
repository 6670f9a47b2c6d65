//! Revocation lists and pins, on both sides.

use crate::check::context::Check;
use crate::model::{CrlExpired, CrlMissing, Pin, Revocation};
use crate::raw::Raw;
use crate::values::{self, Wrong};

impl Check<'_> {
    /// The keys `crl`, `crl_distribution_points`, `crl_expired` and `crl_missing` of a table.
    pub(super) fn revocation(&mut self, raw: &Raw) -> Option<Revocation> {
        let distribution_points = raw.flag("crl_distribution_points");
        let given = raw.has("crl") || distribution_points;
        for key in ["crl_expired", "crl_missing"] {
            if raw.has(key) && !given && !raw.is_taken_over(key) {
                let message = format!("`{key}` says nothing without `crl`");
                let help = Some("name the revocation lists in `crl`".to_owned());
                self.problems.push_at(raw.at(key), raw.path(key), message, help);
            }
        }
        if distribution_points {
            self.fetching_is_set_up(raw, "crl_distribution_points");
        }
        let (mut crls, mut urls) = (Vec::new(), Vec::new());
        let several = raw.texts("crl").len() > 1;
        for (index, text) in raw.texts("crl").iter().enumerate() {
            let path = raw.path("crl");
            let path = if several { format!("{path}[{index}]") } else { path };
            if is_url(&text.text) {
                urls.extend(self.crl_url(text, &path));
            } else {
                crls.extend(self.pem(text, path));
            }
        }
        if !urls.is_empty() {
            self.fetching_is_set_up(raw, "crl");
        }
        let key = if raw.has("crl") { "crl" } else { "crl_distribution_points" };
        (distribution_points || !crls.is_empty() || !urls.is_empty()).then(|| Revocation {
            place: raw.at(key),
            crls,
            urls,
            distribution_points,
            expired: raw.word("crl_expired").unwrap_or(CrlExpired::Reject),
            missing: raw.word("crl_missing").unwrap_or(CrlMissing::Reject),
        })
    }

    /// The key `pins` of a table.
    pub(super) fn pins(&mut self, raw: &Raw) -> Vec<Pin> {
        let mut pins = Vec::new();
        for text in raw.texts("pins") {
            match pin(&text.text) {
                Ok(pin) if pins.contains(&pin) => {
                    let wrong = Wrong::new(format!("the pin `{}` stands here twice", text.text));
                    self.wrong(text.place, raw.path("pins"), wrong);
                }
                Ok(pin) => pins.push(pin),
                Err(wrong) => self.wrong(text.place, raw.path("pins"), wrong),
            }
        }
        pins
    }
}

/// Does it begin with a scheme, as no path does that anybody means?
fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// `spki-sha256:` and 44 characters of base64, or `sha256:` and 64 hex digits, with colons or not.
fn pin(text: &str) -> Result<Pin, Wrong> {
    const FORMS: &str = "\"spki-sha256:\" and 44 characters of base64, or \"sha256:\" and 64 hex \
                         digits";
    let wrong = |what: &str| Wrong::new(format!("`{text}` {what}")).help(FORMS);
    if let Some(digits) = text.strip_prefix("spki-sha256:") {
        return values::sha256_base64(digits).map(Pin::Spki).ok_or_else(|| wrong("is no SHA-256"));
    }
    match text.strip_prefix("sha256:") {
        Some(digits) => {
            values::sha256_hex(digits).map(Pin::Certificate).ok_or_else(|| wrong("is no SHA-256"))
        }
        None => Err(wrong("is no pin")),
    }
}
