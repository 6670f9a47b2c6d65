//! What is counted and logged of upstreams whose responses are refused.

use crate::exchange::cause::{Resolution, UpstreamCause};
use crate::exchange::outcome::ExchangeEnd;
use crate::exchange::refusal::Refusal;
use crate::exchange::response_fault::ResponseFault;
use crate::shell::state::core::Core;
use crate::shell::state::log_limits::LogCause;

/// Logs why an upstream's response is refused, once a second.
pub(crate) fn log_bad_response(core: &Core, upstream: &str, fault: ResponseFault) {
    if let Some(more) = core.allow_log(LogCause::UpstreamAnswer) {
        tracing::warn!(
            upstream,
            reason = fault.word(),
            limit = fault.key(),
            suppressed = more,
            "an upstream's answer is refused"
        );
    }
}

/// Notes a failed attempt, as far as the upstream's response was why.
pub(crate) fn note(core: &Core, upstream: &str, resolution: Resolution) {
    match resolution {
        Resolution::Cut(ExchangeEnd::ResponseCutOff(fault)) => {
            core.events().upstream_fault(Refusal::BadResponse(fault));
            log_bad_response(core, upstream, fault);
        }
        // Counted where it is decided whether another attempt is made.
        Resolution::AttemptFailed(UpstreamCause::BadResponse(fault)) => {
            log_bad_response(core, upstream, fault);
        }
        Resolution::Cut(_) | Resolution::Refuse(_) | Resolution::AttemptFailed(_) => {}
    }
}
