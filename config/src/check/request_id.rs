//! `global_rules.request_id`.

use std::collections::BTreeSet;

use crate::check::context::Check;
use crate::model::{IdAlgorithm, IdRange, RequestIdRule};
use crate::raw::Raw;
use crate::values::Wrong;

/// As APISIX.
const CHARS_MIN: usize = 6;

impl Check<'_> {
    /// One rule for the whole file: answers that no route gave have an id as well.
    pub(super) fn request_id(&mut self, root: &Raw) -> Option<RequestIdRule> {
        let mut found: Option<RequestIdRule> = None;
        for rule in root.tables("global_rules") {
            let Some(raw) = rule.table("request_id") else { continue };
            if found.is_some() {
                let wrong = Wrong::new("a second rule gives requests an id");
                let wrong = wrong.help("name the header in one rule");
                self.wrong(rule.at("request_id"), rule.path("request_id"), wrong);
                continue;
            }
            found = self.request_id_rule(rule, raw);
        }
        found
    }

    fn request_id_rule(&mut self, rule: &Raw, raw: &Raw) -> Option<RequestIdRule> {
        let name = raw.text("header_name")?;
        // The name alone stands in the place of the table.
        let alone = !raw.has("header_name") || name.place == rule.at("request_id");
        let (at, path) = if alone {
            (rule.at("request_id"), rule.path("request_id"))
        } else {
            (name.place, raw.path("header_name"))
        };
        let algorithm = raw.word("algorithm").unwrap_or_default();
        if raw.has("range_id") && algorithm != IdAlgorithm::RangeId {
            let help = "set `algorithm = \"range_id\"`, or take it out";
            let (at, path) = (raw.at("range_id"), raw.path("range_id"));
            self.error(at, path, "ids are made in another way here", help);
        }
        let range = self.id_range(raw);
        self.changeable(&name.text, at, &path).then(|| RequestIdRule {
            header_name: name.text,
            include_in_response: raw.flag("include_in_response"),
            algorithm,
            range,
        })
    }

    fn id_range(&mut self, raw: &Raw) -> IdRange {
        let absent = raw.absent_table("range_id");
        let table = raw.table("range_id").unwrap_or(&absent);
        let chars = table.text("char_set").map(|text| text.text).unwrap_or_default();
        let different: BTreeSet<char> = chars.chars().collect();
        let harmless =
            |letter: &char| letter.is_ascii_alphanumeric() || "-._~:=+/@".contains(*letter);
        let wrong = if !different.iter().all(harmless) {
            Some("a character of this may not stand in an id")
        } else if different.len() != chars.len() {
            Some("a character stands here twice, and would be likelier than others")
        } else if different.len() < CHARS_MIN {
            Some("ids of so few characters are soon guessed")
        } else {
            None
        };
        if let Some(message) = wrong {
            let help = "at least six different letters, digits and `-._~:=+/@`";
            self.error(table.at("char_set"), table.path("char_set"), message, help);
        }
        IdRange { length: table.int("length"), char_set: chars }
    }
}
