//! `response.filters`: what is searched and replaced in bodies.

use std::collections::BTreeSet;

use crate::check::context::Check;
use crate::model::{AnswerBody, BodyFilter, BodyFilters};
use crate::raw::Raw;
use crate::search_pattern::SearchPattern;
use crate::uri_template::{UriPiece, UriTemplate};
use crate::values::Wrong;

/// How many of them a table has at most: each reads the whole body.
const FILTERS_MAX: usize = 32;

impl Check<'_> {
    /// The filters of one table of `response`, beside whose keys they stand.
    pub(super) fn body_filters(&mut self, raw: &Raw, body: &AnswerBody) -> BodyFilters {
        let tables = raw.tables("filters");
        if tables.is_empty() {
            for key in ["filter_types", "filter_max_body_size", "filter_oversize"] {
                if raw.has(key) {
                    let help = "set `filters`, or take it out";
                    self.error(raw.at(key), raw.path(key), "there are no `filters`", help);
                }
            }
            return BodyFilters::default();
        }
        if !matches!(body, AnswerBody::Unsaid) {
            let help = "write what is wanted into the body, or take it out";
            let message = "`filters` search the upstream's body, and there is another one";
            self.error(raw.at("filters"), raw.path("filters"), message, help);
        }
        if tables.len() > FILTERS_MAX {
            let message = format!("more than {FILTERS_MAX} filters");
            let help = Some("join some: `a|b`".to_owned());
            self.problems.push_at(raw.at("filters"), raw.path("filters"), message, help);
        }
        let filters = tables.iter().filter_map(|table| self.body_filter(table)).collect();
        let types = self.filter_types(raw);
        let oversize = raw.word("filter_oversize").unwrap_or_default();
        BodyFilters { filters, types, bytes_max: raw.size("filter_max_body_size"), oversize }
    }

    fn body_filter(&mut self, raw: &Raw) -> Option<BodyFilter> {
        let scope = raw.word("scope").unwrap_or_default();
        let (regex, replace) = (raw.text("regex")?, raw.text("replace")?);
        let pattern = match SearchPattern::new(&regex.expression()) {
            Ok(pattern) => pattern,
            Err(wrong) => {
                self.wrong(regex.place, raw.path("regex"), wrong);
                return None;
            }
        };
        let parsed = UriTemplate::parse(&replace.text, pattern.groups()).and_then(|template| {
            let is_variable = |piece: &UriPiece| matches!(piece, UriPiece::Variable(_));
            if template.pieces.iter().any(is_variable) {
                return Err(Wrong::new("a variable in what replaces a match")
                    .help("only groups of the expression stand there, as `$1`; write `$$` for a dollar sign"));
            }
            Ok(template)
        });
        match parsed {
            Ok(to) => Some(BodyFilter { pattern, to, scope }),
            Err(wrong) => {
                self.wrong(replace.place, raw.path("replace"), wrong);
                None
            }
        }
    }

    fn filter_types(&mut self, raw: &Raw) -> Vec<String> {
        let mut known = BTreeSet::new();
        for (index, text) in raw.texts("filter_types").iter().enumerate() {
            let path = format!("{}[{index}]", raw.path("filter_types"));
            let name = text.text.to_ascii_lowercase();
            let is_type = name
                .split_once('/')
                .is_some_and(|(kind, sort)| [kind, sort].into_iter().all(crate::values::is_token));
            if !is_type || name.contains('*') {
                let help =
                    "as \"text/html\", without parameters; without `filter_types` all are meant";
                self.error(text.place, path, "this is no media type", help);
            } else if !known.insert(name) {
                self.error(text.place, path, "this type stands here twice", "take one of them out");
            }
        }
        known.into_iter().collect()
    }
}
