//! `api_breaker` of routes and services: an upstream that fails is left alone for a while.

/// `api_breaker`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CircuitBreaker {
    /// What a request is answered with meanwhile.
    pub response: BreakResponse,
    /// `max_breaker_sec`: the longest time for which nothing is asked, in seconds.
    pub max_seconds: u32,
    /// `unhealthy.http_statuses`: answers that are failures.
    pub unhealthy_statuses: Vec<u16>,
    /// `unhealthy.failures`: after so many, the upstream is left alone.
    pub failures: u16,
    /// `healthy.http_statuses`: answers that are successes.
    pub healthy_statuses: Vec<u16>,
    /// `healthy.successes`: after so many in a row, everything is forgotten.
    pub successes: u16,
}

/// What a request is answered with that is not sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakResponse {
    /// `break_response_code`
    pub status: u16,
    /// `break_response_body`; `None` is an error text of our own, or nothing where the status is no error.
    pub body: Option<String>,
    /// `break_response_headers`
    pub headers: Vec<BreakHeader>,
}

/// A field of that response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakHeader {
    /// A token.
    pub name: String,
    /// As it is sent.
    pub value: String,
}

impl BreakResponse {
    /// Can it have a body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5)?
    #[must_use]
    pub const fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 205 | 304)
    }
}
