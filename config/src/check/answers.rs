//! `http.error_pages`, `http.traceparent`, and how slow peers may be.

use std::collections::BTreeSet;
use std::path::Path;

use crate::check::context::Check;
use crate::model::{Answers, ErrorPage, Pacing, PageMedia, PageStatuses, Traceparent};
use crate::raw::{Raw, Text, join};
use crate::values::Wrong;

impl Check<'_> {
    pub(super) fn answers(&mut self, root: &Raw) -> Answers {
        let request_id = self.request_id(root);
        let absent = root.absent_table("http");
        let http = root.table("http").unwrap_or(&absent);
        Answers {
            error_pages: self.error_pages(http),
            request_id,
            traceparent: http.word("traceparent").unwrap_or(Traceparent::Off),
        }
    }

    pub(super) fn pacing(root: &Raw) -> Pacing {
        let absent = root.absent_table("http");
        let http = root.table("http").unwrap_or(&absent);
        Pacing {
            body_min_rate: http.int("client_body_min_rate"),
            send_min_rate: http.int("send_min_rate"),
            grace: http.duration("min_rate_grace"),
            connections_per_address: http.int("connections_per_address"),
        }
    }

    fn error_pages(&mut self, http: &Raw) -> Vec<ErrorPage> {
        let mut pages = Vec::new();
        for list in http.lists("error_pages") {
            let field = join(&http.path("error_pages"), &list.name);
            let Some(statuses) = statuses(&list.name) else {
                let wrong = Wrong::new(format!("`{}` is no status that is answered", list.name))
                    .help("from \"400\" to \"599\", or \"4xx\" or \"5xx\"");
                self.wrong(list.place, field, wrong);
                continue;
            };
            let mut seen = BTreeSet::new();
            for text in &list.texts {
                let Some(media) = self.page_media(text, &field) else { continue };
                if !seen.insert(media) {
                    let wrong = Wrong::new("two pages of one type for one status");
                    let help = "one page for each type; the client's `Accept` chooses";
                    self.wrong(text.place, field.clone(), wrong.help(help));
                    continue;
                }
                let (place, path) = (text.place, self.path(&text.text));
                pages.push(ErrorPage { place, field: field.clone(), statuses, path, media });
            }
        }
        pages
    }

    fn page_media(&mut self, text: &Text, field: &str) -> Option<PageMedia> {
        let extension = Path::new(&text.text).extension().and_then(|text| text.to_str());
        let media = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Some(PageMedia::Html),
            Some("json") => Some(PageMedia::Json),
            Some("txt") => Some(PageMedia::Plain),
            Some("xml") => Some(PageMedia::Xml),
            _ => None,
        };
        if media.is_none() {
            let wrong = Wrong::new(format!("{:?} has no known type", text.text));
            let help = "a file that ends in .html, .htm, .json, .txt or .xml";
            self.wrong(text.place, field.to_owned(), wrong.help(help));
        }
        media
    }
}

/// `404`, `4xx`
fn statuses(name: &str) -> Option<PageStatuses> {
    match name {
        "4xx" => return Some(PageStatuses::Class(4)),
        "5xx" => return Some(PageStatuses::Class(5)),
        _ => {}
    }
    let three_digits = name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_digit());
    let status = name.parse().ok().filter(|status| (400..=599).contains(status));
    status.filter(|_| three_digits).map(PageStatuses::One)
}
