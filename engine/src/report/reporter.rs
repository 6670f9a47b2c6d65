//! What a core does when an exchange is over: count it, and log it.

use super::access_log;
use super::counters::{Counter, Counters};
use super::events::Events;
use super::log_ring::LogProducer;
use super::log_sampler::LogSampler;
use super::meters::Meters;
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::plan::facts::Facts;
use crate::plan::log_line::FixedParts;
use crate::plan::{ListenerId, Plan};

/// A core's own end of the access log. Allocates nothing once its line buffer has grown.
#[derive(Debug)]
pub struct Reporter {
    log: LogProducer,
    line: Vec<u8>,
    sampler: LogSampler,
}

/// Where one exchange is counted.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeMetrics<'a> {
    /// What the core counts.
    pub counters: &'a Counters,
    /// The core's counts of refusals, handshakes and times.
    pub events: &'a Events,
    /// The core's counts under the generation that served the exchange.
    pub meters: &'a Meters,
    /// The listener, as that generation counts; `None` if it has none for the connection.
    pub listener: Option<ListenerId>,
}

impl Reporter {
    /// A reporter that writes its lines to this ring.
    #[must_use]
    pub fn new(log: LogProducer) -> Self {
        Self { log, line: Vec::new(), sampler: LogSampler::new() }
    }

    /// Counts and logs one finished exchange. `facts.log` must be the outcome's, see [`Outcome::log_facts`]; `fixed` is
    /// what this plan's access log has rendered of the connection before.
    pub fn finished(
        &mut self,
        metrics: ExchangeMetrics<'_>,
        plan: &Plan,
        facts: &Facts<'_>,
        fixed: Option<&FixedParts>,
        outcome: &Outcome,
    ) {
        let ExchangeMetrics { counters, events, meters, listener } = metrics;
        count(counters, outcome);
        meters.request(listener, outcome.route, outcome.status_logged());
        events.timed(outcome);
        // The life of a tunnel is nobody's answering time.
        if outcome.status != 101 {
            meters.timed(outcome.route, outcome.request_micros);
        }
        if let ExchangeEnd::Refused(refusal) = outcome.ended {
            events.refused(refusal);
        }
        let choice = || {
            let status = outcome.status_logged();
            let route = outcome.log_route.or(outcome.route);
            plan.access_filter.choose(route, status, outcome.request_micros)
        };
        if let Some(format) = &plan.access_log
            && self.sampler.takes(choice())
        {
            access_log::write_line(format, facts, fixed, &mut self.line);
            if !self.log.push(&self.line) {
                counters.add(Counter::LogDropped, 1);
            }
        }
    }
}

/// Counts the outcome of one exchange. Bytes and upstream connections are counted where they are
/// moved, opened and lost: an exchange that was tried again has seen more than its outcome tells.
fn count(counters: &Counters, outcome: &Outcome) {
    counters.add(Counter::of_status(outcome.status_logged()), 1);
    match outcome.ended {
        ExchangeEnd::Answered
        | ExchangeEnd::AnsweredHere
        | ExchangeEnd::ResponseCutOff(_)
        | ExchangeEnd::Stopped => {}
        ExchangeEnd::Refused(refusal) => {
            counters.add(Counter::Refusals, 1);
            if matches!(refusal, Refusal::HeadTimeout | Refusal::BodyTimeout) {
                counters.add(Counter::ClientTimeouts, 1);
            } else if refusal == Refusal::UpstreamTimeout {
                counters.add(Counter::UpstreamTimeouts, 1);
            } else if refusal == Refusal::TotalTimeout {
                counters.add(Counter::TotalTimeouts, 1);
            }
        }
        ExchangeEnd::ClientLeft => counters.add(Counter::ClientAborts, 1),
        ExchangeEnd::TimedOut => counters.add(Counter::ResponseTimeouts, 1),
        ExchangeEnd::Overdue => counters.add(Counter::TotalTimeouts, 1),
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn counted(outcome: &Outcome) -> Vec<(Counter, u64)> {
        let counters = Counters::default();
        count(&counters, outcome);
        let all = Counter::VARIANTS.iter().copied().map(|counter| (counter, counters.get(counter)));
        all.filter(|(_, value)| *value > 0).collect()
    }

    #[test]
    fn an_answer_is_counted_by_its_status() {
        let outcome = Outcome { status: 204, ..Outcome::default() };
        assert_eq!(counted(&outcome), [(Counter::Responses2xx, 1)]);
    }

    #[test]
    fn a_client_that_left_counts_as_499() {
        let outcome = Outcome { ended: ExchangeEnd::ClientLeft, ..Outcome::default() };
        assert_eq!(counted(&outcome), [(Counter::Responses4xx, 1), (Counter::ClientAborts, 1)]);
    }

    #[test]
    fn a_refusal_says_whose_deadline_passed() {
        let refused = |refusal, status| {
            counted(&Outcome { status, ended: ExchangeEnd::Refused(refusal), ..Outcome::default() })
        };
        assert_eq!(
            refused(Refusal::UpstreamTimeout, 504),
            [(Counter::Responses5xx, 1), (Counter::Refusals, 1), (Counter::UpstreamTimeouts, 1)]
        );
        assert_eq!(
            refused(Refusal::TotalTimeout, 504),
            [(Counter::Responses5xx, 1), (Counter::Refusals, 1), (Counter::TotalTimeouts, 1)]
        );
        let cut = Outcome { status: 200, ended: ExchangeEnd::Overdue, ..Outcome::default() };
        assert_eq!(counted(&cut), [(Counter::Responses2xx, 1), (Counter::TotalTimeouts, 1)]);
        assert_eq!(
            refused(Refusal::RouteNotFound, 404),
            [(Counter::Responses4xx, 1), (Counter::Refusals, 1)]
        );
    }
}
