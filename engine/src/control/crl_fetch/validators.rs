//! When a server is asked only whether its list has changed, and by which words of its own.
//!
//! In: what it said with the list, and the list. Out: the conditions of the next request. An answer is not signed:
//! whoever once stood between can give an old list the validators of the new one, and the honest server would say
//! from then on that nothing has changed. So what it says is believed for so many fetches, and not at all in the
//! second half of a list's life.

use std::sync::Arc;
use std::time::SystemTime;

use crate::identity::x509::crl::Crl;
use crate::wire::view::ResponseView;

/// Longer ones are not sent back.
const VALIDATOR_BYTES_MAX: usize = 256;
/// Answers in a row that nothing has changed; the fetch after them asks for the list itself.
const UNCHANGED_MAX: u32 = 3;

/// What a server calls the state of the list that it has sent (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Validators {
    /// Those of an answer. A date to come would be newer than every list until then.
    pub(super) fn of(view: ResponseView<'_>, now: i64) -> Self {
        let shown = |name: &'static [u8]| {
            let text = text_of(view, name)?;
            let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            (plain && !text.is_empty() && text.len() <= VALIDATOR_BYTES_MAX)
                .then(|| text.to_owned())
        };
        let last_modified = shown(b"last-modified").filter(|text| is_past(text, now));
        Self { etag: shown(b"etag"), last_modified }
    }

    /// Are there none?
    pub(super) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Adds them to the head of a request.
    pub(super) fn write(&self, head: &mut String) {
        let conditions =
            [("If-None-Match", &self.etag), ("If-Modified-Since", &self.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
    }
}

/// A field of an answer, if it is text and there is one of it.
pub(super) fn text_of<'a>(view: ResponseView<'a>, name: &'a [u8]) -> Option<&'a str> {
    let mut all = view.fields().all_named(name);
    let first = all.next().filter(|_| all.next().is_none())?;
    str::from_utf8(first.value()).ok()
}

fn is_past(date: &str, now: i64) -> bool {
    let Ok(date) = httpdate::parse_http_date(date) else { return false };
    let since = date.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
    since.is_ok_and(|seconds| seconds <= now.unsigned_abs())
}

/// What is known of the list that a server has, and how often it alone has said so. Nothing behind a failure.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Freshness {
    validators: Validators,
    unchanged: u32,
}

impl Freshness {
    /// The server has sent a list, and this with it.
    pub(super) const fn of(validators: Validators) -> Self {
        Self { validators, unchanged: 0 }
    }

    /// It has said that nothing has changed.
    pub(super) fn unchanged(&self) -> Self {
        Self { validators: self.validators.clone(), unchanged: self.unchanged.saturating_add(1) }
    }

    /// The conditions of the next request, while these lists are held; none if the list itself is wanted.
    pub(super) fn conditions(&self, held: &[Arc<Crl>], now: i64) -> Validators {
        let aged = |list: &Arc<Crl>| {
            list.next_update().is_some_and(|end| {
                now.saturating_sub(list.this_update()) >= end.saturating_sub(now)
            })
        };
        if held.is_empty() || self.unchanged >= UNCHANGED_MAX || held.iter().any(aged) {
            return Validators::default();
        }
        self.validators.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::load::crl_kinds::testing::{ListAuthority, parsed};

    fn known() -> Freshness {
        Freshness::of(Validators { etag: Some("\"x\"".to_owned()), last_modified: None })
    }

    #[test]
    fn that_nothing_has_changed_is_believed_three_times() {
        let held = parsed(&[ListAuthority::new("one").list(1, [1_000, 9_000], "")]);
        let mut freshness = known();
        let mut asked = Vec::new();
        for _ in 0..5 {
            asked.push(!freshness.conditions(&held, 2_000).is_empty());
            freshness = freshness.unchanged();
        }
        assert_eq!(asked, [true, true, true, false, false]);
        assert!(known().conditions(&[], 2_000).is_empty());
    }

    #[test]
    fn in_the_second_half_of_its_life_a_list_is_asked_for_itself() {
        let one = ListAuthority::new("one");
        let held = parsed(&[one.list(1, [1_000, 9_000], ""), one.list(1, [1_000, 90_000], "x")]);
        let asks = |now: i64| !known().conditions(&held, now).is_empty();
        assert_eq!([1_000, 4_999, 5_000, 9_001].map(asks), [true, true, false, false]);
    }

    #[test]
    fn a_date_to_come_is_not_kept() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!([784_111_776, 784_111_777].map(|now| is_past(date, now)), [false, true]);
        assert!(!is_past("tomorrow", i64::MAX));
    }

    #[test]
    fn conditions_are_fields_of_the_request() {
        let (mut head, mut none) = (String::new(), String::new());
        known().validators.write(&mut head);
        Validators::default().write(&mut none);
        assert_eq!((&*head, &*none), ("If-None-Match: \"x\"\r\n", ""));
    }
}
