//! The head that goes upstream: re-made, never passed on.

use super::refusal::Refusal;
use super::request::Admission;
use crate::plan::{Facts, NodePlan, Plan};

/// Where a request goes, and what is known of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Towards<'a> {
    /// The node.
    pub node: &'a NodePlan,
    /// What [`IdentityHeaders::render_block`](crate::plan::IdentityHeaders::render_block) made of
    /// the client connection.
    pub identity_block: &'a [u8],
    /// May the upstream connection be kept? Otherwise it is told to close.
    pub keep_alive: bool,
}

/// Appends the request head for the upstream. `facts.request` must be there.
///
/// # Errors
/// [`Refusal::HeadOverflow`] if it outgrows its bound.
pub fn upstream_head(
    plan: &Plan,
    admission: &Admission,
    facts: &Facts<'_>,
    towards: &Towards<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let _ = (plan, admission, facts, towards, out);
    unimplemented!()
}

/// The `Host` that goes upstream.
#[must_use]
pub fn upstream_host<'a>(
    plan: &'a Plan,
    admission: &Admission,
    buf: &'a [u8],
    node: &'a NodePlan,
) -> &'a [u8] {
    let _ = (plan, admission, buf);
    &node.host
}

/// The name for SNI and for the check of the upstream's certificate: `server_name`, else the Host
/// sent upstream if it is a DNS name (without port), else the node's own; empty for none.
#[must_use]
pub fn upstream_name<'a>(
    plan: &'a Plan,
    admission: &Admission,
    buf: &'a [u8],
    node: &'a NodePlan,
) -> &'a [u8] {
    let _ = (plan, admission, buf);
    node.name.as_bytes()
}
