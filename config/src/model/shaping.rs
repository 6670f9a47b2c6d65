//! What routes, services and global rules make of requests and responses beside their request headers.

use std::path::PathBuf;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::condition::Condition;
use super::header_ops::{HeaderOps, HeaderValue};
use crate::capture_pattern::CapturePattern;
use crate::pattern::Pattern;
use crate::place::Place;
use crate::search_pattern::SearchPattern;
use crate::template::Template;
use crate::uri_template::UriTemplate;

/// Most bytes of a body that an answer of the gateway's own holds.
pub const BODY_BYTES_MAX: u64 = 1 << 20;

/// `return`: the route answers by itself.
#[derive(Clone, Debug)]
pub struct StaticAnswer {
    /// 200 to 599.
    pub status: u16,
    /// What is said.
    pub body: AnswerBody,
    /// What the body is.
    pub content_type: String,
    /// Its other fields.
    pub headers: Vec<HeaderValue>,
}

/// The body of an answer that the configuration gives.
#[derive(Clone, Debug)]
pub enum AnswerBody {
    /// Nothing is said: no body, or the text of an error where the status is one.
    Unsaid,
    /// Text with variables.
    Text(Template),
    /// Bytes, as they are.
    Bytes(Vec<u8>),
    /// A file, as it is: its index in [`Config::body_files`](super::Config::body_files).
    File(usize),
}

/// A file that is the body of an answer.
#[derive(Clone, Debug)]
pub struct BodyFile {
    /// Where in the configuration file.
    pub place: Place,
    /// Its key in the file, for problems.
    pub field: String,
    /// The file, absolute.
    pub path: PathBuf,
}

/// Can an answer of this status have a body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5)?
#[must_use]
pub const fn may_have_body(status: u16) -> bool {
    !matches!(status, 204 | 205 | 304)
}

/// `rewrite`: another request than the client's is sent upstream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rewrite {
    /// `uri`: the path, and perhaps a query.
    pub uri: Option<UriTemplate>,
    /// `regex_uri`: the first that matches counts, where there is no `uri`.
    pub regex_uri: Vec<UriRule>,
    /// `host`
    pub host: Option<String>,
    /// `method`
    pub method: Option<String>,
}

/// What stands in the place of what an expression matches in a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UriRule {
    /// The expression.
    pub pattern: CapturePattern,
    /// What stands there.
    pub to: UriTemplate,
}

/// `redirect`: the client is sent elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTarget,
    /// `status`
    pub status: u16,
    /// `append_query_string`: the client's query goes along.
    pub append_query: bool,
    /// `encode_uri`: what comes from the client is encoded once more.
    pub encode_uri: bool,
}

/// Where a redirect leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RedirectTarget {
    /// `http_to_https`: the same by TLS, on this port; what came by TLS is forwarded.
    Https(u16),
    /// `uri`
    Uri(UriTemplate),
    /// `regex_uri`: what does not match is forwarded.
    Rules(Vec<UriRule>),
}

impl Redirect {
    /// Is every request redirected?
    #[must_use]
    pub const fn is_for_all(&self) -> bool {
        matches!(self.to, RedirectTarget::Uri(_))
    }
}

/// `response`: what is made of the response.
#[derive(Clone, Debug)]
pub struct ResponseRule {
    /// `vars`: of which responses; `None` is all.
    pub when: Option<Condition>,
    /// Another status, 200 to 599.
    pub status: Option<u16>,
    /// Another body; [`AnswerBody::Unsaid`] leaves the upstream's.
    pub body: AnswerBody,
    /// What that body is; `None` leaves what the response says.
    pub content_type: Option<String>,
    /// What is searched and replaced in the upstream's body.
    pub filters: BodyFilters,
    /// `headers.add`, then `headers.set`, then `headers.remove`.
    pub headers: HeaderOps,
}

/// What is searched and replaced in bodies of responses.
#[derive(Clone, Debug, Default)]
pub struct BodyFilters {
    /// `filters`, one after another.
    pub filters: Vec<BodyFilter>,
    /// `filter_types`: media types in lower case; empty for all.
    pub types: Vec<String>,
    /// `filter_max_body_size`: the most bytes of a body before and after each filter.
    pub bytes_max: u64,
    /// `filter_oversize`: what becomes of a larger one.
    pub oversize: FilterOversize,
}

/// `filter_oversize`
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum FilterOversize {
    /// The client gets a 502.
    #[default]
    Refuse,
    /// What is beyond is left out, as APISIX does.
    Cut,
}

/// One of `filters`.
#[derive(Clone, Debug)]
pub struct BodyFilter {
    /// `regex`
    pub pattern: SearchPattern,
    /// `replace`: text and groups.
    pub to: UriTemplate,
    /// `scope`
    pub scope: FilterScope,
}

/// `scope` of a filter.
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum FilterScope {
    /// The first match.
    #[default]
    Once,
    /// Every match.
    Global,
}

/// `cors`, in APISIX's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cors {
    /// Which origins may read.
    pub allow_origins: CorsOrigins,
    /// `Access-Control-Allow-Methods`
    pub allow_methods: String,
    /// `Access-Control-Allow-Headers`; `None` for what a preflight asks for (`**`).
    pub allow_headers: Option<String>,
    /// `Access-Control-Expose-Headers`; `None` sends none.
    pub expose_headers: Option<String>,
    /// `Access-Control-Max-Age`
    pub max_age: i64,
    /// `Access-Control-Allow-Credentials`
    pub allow_credential: bool,
    /// Which origins get `Timing-Allow-Origin`; `None` for none.
    pub timing_allow_origins: Option<CorsOrigins>,
    /// `answer_options`: no OPTIONS is forwarded, be it a preflight or not.
    pub answer_options: bool,
}

/// Origins, as `cors` names them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CorsOrigins {
    /// `*`: all, and none is named.
    Any,
    /// `**`: all, and each is named.
    Each,
    /// These.
    Listed(Vec<String>),
    /// Those that one of these matches.
    Matching(Vec<Pattern>),
}
