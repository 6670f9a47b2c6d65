//! What a route sends upstream in the place of what was asked for, and where it sends clients; compiled.

use ferrule_config::model::{Redirect, RedirectTarget, Rewrite};

use super::ids::RouteId;
use super::template::Compiler;
use super::uri_plan::{UriEscapes, UriPlan, UriRulePlan};
use crate::wire::head::Method;

/// `rewrite`, and the prefix that a service strips.
#[derive(Debug, Default)]
pub struct RewritePlan {
    /// The path.
    pub uri: Option<UriPlan>,
    /// The path by what it was; the first that matches counts.
    pub rules: Box<[UriRulePlan]>,
    /// The `Host`.
    pub host: Option<Box<[u8]>>,
    /// The method, and what it means.
    pub method: Option<SentMethod>,
    /// Routes that demand something of a client and lead to a node of the same upstream: a path that they would
    /// take is sent only for who may take them.
    pub guarded: Box<[RouteId]>,
}

/// A method that is sent in the place of the client's.
#[derive(Debug)]
pub struct SentMethod {
    /// Its name.
    pub text: Box<[u8]>,
    /// What it means.
    pub method: Method,
}

impl RewritePlan {
    pub(super) fn build(rewrite: &Rewrite, compiler: &mut Compiler) -> Self {
        let method = rewrite.method.as_ref().map(|method| {
            let text = method.as_bytes();
            SentMethod { text: text.into(), method: Method::of(text) }
        });
        Self {
            uri: rewrite.uri.as_ref().map(|uri| UriPlan::build(uri, compiler)),
            rules: UriRulePlan::build_all(&rewrite.regex_uri, compiler),
            host: rewrite.host.as_ref().map(|host| host.as_bytes().into()),
            method,
            guarded: Box::default(),
        }
    }

    /// Does the path change?
    #[must_use]
    pub const fn changes_path(&self) -> bool {
        self.uri.is_some() || !self.rules.is_empty()
    }
}

/// `redirect`
#[derive(Debug)]
pub struct RedirectPlan {
    /// Where to.
    pub to: RedirectPlanTarget,
    /// The status, but for `http_to_https`.
    pub status: u16,
    /// Does the client's query go along?
    pub append_query: bool,
    /// What is made of what the client wrote.
    pub escapes: UriEscapes,
}

/// Where a redirect leads, compiled.
#[derive(Debug)]
pub enum RedirectPlanTarget {
    /// The same by TLS, on this port.
    Https(u16),
    /// There.
    Uri(UriPlan),
    /// By the path; what no rule matches is forwarded.
    Rules(Box<[UriRulePlan]>),
}

impl RedirectPlan {
    pub(super) fn build(redirect: &Redirect, compiler: &mut Compiler) -> Self {
        let to = match &redirect.to {
            RedirectTarget::Https(port) => RedirectPlanTarget::Https(*port),
            RedirectTarget::Uri(uri) => RedirectPlanTarget::Uri(UriPlan::build(uri, compiler)),
            RedirectTarget::Rules(rules) => {
                RedirectPlanTarget::Rules(UriRulePlan::build_all(rules, compiler))
            }
        };
        let escapes = if redirect.encode_uri { UriEscapes::Again } else { UriEscapes::Keep };
        Self { to, status: redirect.status, append_query: redirect.append_query, escapes }
    }
}
