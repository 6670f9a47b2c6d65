//! What is counted and said of upstreams whose answers are none.

use crate::exchange::outcome::ExchangeEnd;
use crate::exchange::refusal::Refusal;
use crate::exchange::response_fault::ResponseFault;
use crate::shell::state::core::Core;
use crate::shell::state::log_limits::LogCause;

/// What an upstream said is no answer: the log says why, once a second.
pub fn log_bad_response(core: &Core, upstream: &str, fault: ResponseFault) {
    if let Some(more) = core.allow_log(LogCause::UpstreamAnswer) {
        tracing::warn!(
            upstream,
            reason = fault.word(),
            suppressed = more,
            "an upstream's answer is refused"
        );
    }
}

/// A try has failed: cut off as `ended` says, or to be answered, perhaps by another try.
pub fn note_failed(core: &Core, upstream: &str, ended: ExchangeEnd, failed: Option<Refusal>) {
    match (ended, failed) {
        // One that may be tried again is counted where that is decided.
        (ExchangeEnd::ResponseCutOff(fault), _) => {
            core.events().upstream_fault(Refusal::BadResponse(fault));
            log_bad_response(core, upstream, fault);
        }
        (_, Some(Refusal::BadResponse(fault))) => log_bad_response(core, upstream, fault),
        (_, Some(_) | None) => {}
    }
}
