//! `api_breaker`: the circuit breaker of a route or service.

use std::collections::BTreeSet;

use crate::check::context::Check;
use crate::model::{BreakHeader, BreakResponse, CircuitBreaker};
use crate::raw::{Raw, join};
use crate::template::Piece;
use crate::values::Wrong;

/// APISIX's.
const UNHEALTHY_BY_DEFAULT: u16 = 500;
/// APISIX's.
const HEALTHY_BY_DEFAULT: u16 = 200;

impl Check<'_> {
    /// The breaker of a route or service, if it has one.
    pub(super) fn breaker(&mut self, holder: &Raw) -> Option<CircuitBreaker> {
        let raw = holder.table("api_breaker")?;
        let [no_unhealthy, no_healthy] = ["unhealthy", "healthy"].map(|key| raw.absent_table(key));
        let unhealthy = raw.table("unhealthy").unwrap_or(&no_unhealthy);
        let healthy = raw.table("healthy").unwrap_or(&no_healthy);
        let response = BreakResponse {
            status: raw.int("break_response_code"),
            body: raw.text("break_response_body").map(|text| text.text),
            headers: self.break_headers(raw),
        };
        if response.body.is_some() && !response.may_have_body() {
            let message = format!("a response with {} has no body", response.status);
            let help = Some("take it out, or set another `break_response_code`".to_owned());
            let (place, path) = (raw.at("break_response_body"), raw.path("break_response_body"));
            self.problems.push_at(place, path, message, help);
        }
        Some(CircuitBreaker {
            response,
            max_seconds: raw.int("max_breaker_sec"),
            unhealthy_statuses: self.break_statuses(unhealthy, UNHEALTHY_BY_DEFAULT),
            failures: unhealthy.int("failures"),
            healthy_statuses: self.break_statuses(healthy, HEALTHY_BY_DEFAULT),
            successes: healthy.int("successes"),
        })
    }

    /// Each once, and at least one.
    fn break_statuses(&mut self, raw: &Raw, by_default: u16) -> Vec<u16> {
        let Some(given) = raw.ints("http_statuses") else { return vec![by_default] };
        let (place, path) = (raw.at("http_statuses"), raw.path("http_statuses"));
        let statuses: Vec<u16> = given.iter().filter_map(|one| u16::try_from(*one).ok()).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = statuses.iter().find(|status| !seen.insert(**status)) {
            let message = format!("{twice} stands here twice");
            self.problems.push_at(place, path, message, Some("take one of them out".to_owned()));
        } else if statuses.is_empty() {
            self.error(place, path, "no status at all", "leave it out for the default");
        }
        statuses
    }

    fn break_headers(&mut self, raw: &Raw) -> Vec<BreakHeader> {
        const KEY: &str = "break_response_headers";
        let mut names = BTreeSet::new();
        let mut headers = Vec::new();
        for field in raw.fields(KEY) {
            let path = join(&raw.path(KEY), &field.name);
            let named = self.header_name(&field.name, field.place, &path);
            if named && !names.insert(field.name.to_ascii_lowercase()) {
                let wrong = Wrong::new("this name stands here twice, but for case");
                self.wrong(field.place, &*path, wrong.help("take one of them out"));
            }
            if field.name.eq_ignore_ascii_case("date") {
                let wrong = Wrong::new("`Date` belongs to the gateway");
                self.wrong(field.place, &*path, wrong.help("every answer has one: take it out"));
            }
            for value in &field.values {
                self.header_value(&value.template, value.place, &path);
                let mut text = String::new();
                for piece in &value.template.pieces {
                    match piece {
                        Piece::Text(piece) => text.push_str(piece),
                        Piece::Variable(variable) => {
                            let name = variable.name();
                            let wrong = Wrong::new(format!("`${name}` is not filled in here"));
                            let wrong = wrong.help("fixed text alone; write `$$` for a `$`");
                            self.wrong(value.place, &*path, wrong);
                        }
                    }
                }
                headers.push(BreakHeader { name: field.name.clone(), value: text });
            }
        }
        headers
    }
}
