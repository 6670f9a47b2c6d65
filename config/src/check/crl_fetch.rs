//! `[crl_fetch]`, and the keys that need it.

use std::time::Duration;

use crate::check::context::Check;
use crate::model::{CrlFetch, CrlUrl};
use crate::raw::{Raw, Text};
use crate::values::{Wrong, duration_text};

/// The shortest and the longest `refresh`.
const REFRESH: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(7 * 24 * 3_600)];
/// The shortest and the longest `timeout`.
const TIMEOUT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(300)];

impl Check<'_> {
    /// The table, if it is there.
    pub(super) fn crl_fetch(&mut self, root: &Raw) -> Option<CrlFetch> {
        let raw = root.table("crl_fetch")?;
        let refresh = self.crl_time(raw, "refresh", REFRESH, "from 1s to 7d");
        let timeout = self.crl_time(raw, "timeout", TIMEOUT, "from 100ms to 5m");
        let directory = raw.text("directory")?;
        if directory.text.is_empty() {
            let help = "the path of a directory, as \"/var/lib/ferrule\"";
            self.error(directory.place, raw.path("directory"), "this is empty", help);
            return None;
        }
        let directory_place = directory.place;
        Some(CrlFetch {
            place: directory_place,
            directory: self.path(&directory.text),
            refresh,
            timeout,
            size_max: raw.size("max_size"),
        })
    }

    fn crl_time(
        &mut self,
        raw: &Raw,
        key: &str,
        [least, most]: [Duration; 2],
        range: &str,
    ) -> Duration {
        let time = raw.duration(key);
        if !(least..=most).contains(&time) && !raw.is_broken(key) {
            let wrong = Wrong::new(format!("{} is out of range", duration_text(time)));
            self.wrong(raw.at(key), raw.path(key), wrong.help(range));
        }
        time
    }

    /// A list that is fetched from there.
    pub(super) fn crl_url(&mut self, text: &Text, field: &str) -> Option<CrlUrl> {
        if text.text.contains(['@', '?']) {
            // It may be a password, or a token.
            self.problems.mask(text.place);
        }
        match CrlUrl::parse(&text.text) {
            Ok(url) => Some(url),
            Err(words) => {
                let help =
                    "write a URL as \"http://pki.example.com/ca.crl\", or the path of a file";
                self.error(text.place, field, &format!("this {words}"), help);
                None
            }
        }
    }

    /// Nothing is fetched without a place to keep it.
    pub(super) fn fetching_is_set_up(&mut self, raw: &Raw, key: &str) {
        if self.crl_fetch_place.is_some() {
            return;
        }
        let message = "there is no [crl_fetch]: a list that is fetched needs a place to be kept";
        let help = "add `[crl_fetch]` with `directory = \"/var/lib/ferrule\"`";
        self.error(raw.at(key), raw.path(key), message, help);
    }
}
