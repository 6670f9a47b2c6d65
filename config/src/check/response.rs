//! `response`: what is made of the responses of a route, a service, or all routes.

use std::collections::BTreeSet;

use crate::check::context::Check;
use crate::model::{AnswerBody, HeaderOps, ResponseRule, may_have_body};
use crate::raw::Raw;

impl Check<'_> {
    /// The rules of one holder, in their order.
    pub(super) fn response_rules(&mut self, holder: &Raw) -> Vec<ResponseRule> {
        self.in_response = true;
        let rules = holder.tables("response").iter().map(|raw| self.response_rule(raw)).collect();
        self.in_response = false;
        rules
    }

    fn response_rule(&mut self, raw: &Raw) -> ResponseRule {
        let problems_before = self.problems.len();
        let status: Option<u16> = raw.int_given("status");
        let body = self.answer_body(raw, status.unwrap_or(200));
        let given = raw.text("content_type");
        let content_type = given.as_ref().map(|_| self.content_type(raw, &body));
        let (place, path) = (raw.at("content_type"), raw.path("content_type"));
        match &body {
            AnswerBody::Unsaid if given.is_some() => {
                let help = "set `headers.set = { Content-Type = \"...\" }`, or a body";
                self.error(place, path, "`content_type` is that of a body of its own", help);
            }
            AnswerBody::Text(template)
                if given.is_none() && template.variables().next().is_some() =>
            {
                let help = "clients choose values: set `content_type` to `text/plain` or JSON";
                self.error(
                    raw.at("body"),
                    raw.path("body"),
                    "variables in a body of any type",
                    help,
                );
            }
            _ => {}
        }
        let headers = raw.table("headers").map(|table| self.response_changes(table));
        let headers = headers.unwrap_or_default();
        let HeaderOps { add, set, remove } = &headers;
        let filters = self.body_filters(raw, &body);
        let same_head = status.is_none() && add.is_empty() && set.is_empty() && remove.is_empty();
        let same = same_head && matches!(body, AnswerBody::Unsaid) && filters.filters.is_empty();
        // What is wrong in another way may have meant to.
        if same && self.problems.len() == problems_before {
            let help = "set `status`, a body, `filters` or `headers`, or take it out";
            self.error(raw.place, raw.field.clone(), "this changes nothing", help);
        }
        if status.is_some_and(|status| !may_have_body(status)) && given.is_some() {
            let help = "take it out, or set another `status`";
            self.error(raw.at("content_type"), raw.path("content_type"), "there is no body", help);
        }
        ResponseRule { when: self.vars(raw), status, body, content_type, filters, headers }
    }

    fn response_changes(&mut self, raw: &Raw) -> HeaderOps {
        let add = self.response_fields(raw, "add");
        let set = self.response_fields(raw, "set");
        for field in add.iter().chain(&set) {
            let varies = field.value.variables().next().is_some();
            if field.name.eq_ignore_ascii_case("location") && varies {
                let message = "a `Location` with variables sends clients where others say";
                self.error(field.place, raw.path("set"), message, "use `redirect`, or fixed text");
            }
        }
        let mut names = BTreeSet::new();
        let mut remove = Vec::new();
        for (index, text) in raw.texts("remove").iter().enumerate() {
            let path = format!("{}[{index}]", raw.path("remove"));
            if !self.response_name(&text.text, text.place, &path) {
                continue;
            }
            let given = |name: &str| name.eq_ignore_ascii_case(&text.text);
            if add.iter().chain(&set).any(|field| given(&field.name)) {
                let help = "remove comes last: drop one of them";
                let message = format!("`{}` is given and removed at once", text.text);
                self.problems.push_at(text.place, path, message, Some(help.to_owned()));
            } else if !names.insert(text.text.to_ascii_lowercase()) {
                self.error(text.place, path, "this name stands here twice", "take one of them out");
            }
            remove.push(text.text.clone());
        }
        HeaderOps { add, set, remove }
    }
}
