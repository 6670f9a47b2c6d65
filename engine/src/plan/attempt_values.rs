//! The values of the `$upstream_*` variables: what became of each try, as a list or as one number.

use super::fact::Fact;
use super::facts::LogFacts;
use super::value_writer::ValueWriter;

/// Puts the value of a variable about the tries of a request.
pub(super) fn put_attempts(fact: Fact, log: Option<&LogFacts<'_>>, sink: &mut ValueWriter<'_>) {
    let Some(log) = log else { return };
    match fact {
        Fact::UpstreamConnectTimeMs | Fact::UpstreamHeaderTimeMs | Fact::UpstreamTimeMs => {
            put_sum(fact, log, sink);
        }
        _ => put_list(fact, log, sink),
    }
}

/// nginx's lists (`ngx_http_upstream_addr_variable` and its like): a value for each try, `-` for what did not
/// happen, and nothing at all if nothing was tried.
fn put_list(fact: Fact, log: &LogFacts<'_>, sink: &mut ValueWriter<'_>) {
    for (at, attempt) in log.attempts.iter().enumerate() {
        if at > 0 {
            sink.put_plain(b", ");
        }
        let micros = match fact {
            Fact::UpstreamAddr => {
                match (attempt.resolved, log.nodes.get(attempt.node.0 as usize)) {
                    (Some(address), _) => sink.put_address(address),
                    (None, Some(node)) => sink.put(node.text.as_bytes()),
                    (None, None) => sink.put_plain(b"-"),
                }
                continue;
            }
            Fact::UpstreamStatus => {
                match attempt.status {
                    Some(status) => sink.put_number(status.into()),
                    None => sink.put_plain(b"-"),
                }
                continue;
            }
            Fact::UpstreamConnectTime => attempt.connect_micros,
            Fact::UpstreamHeaderTime => attempt.header_micros,
            Fact::UpstreamQueueTime => attempt.queue_micros,
            _ => Some(attempt.response_micros),
        };
        match micros {
            Some(micros) => sink.put_millis(micros / 1_000),
            None => sink.put_plain(b"-"),
        }
    }
}

/// One number for all tries: a list of numbers is none.
fn put_sum(fact: Fact, log: &LogFacts<'_>, sink: &mut ValueWriter<'_>) {
    let micros = log.attempts.iter().filter_map(|attempt| match fact {
        Fact::UpstreamConnectTimeMs => attempt.connect_micros,
        Fact::UpstreamHeaderTimeMs => attempt.header_micros,
        _ => Some(attempt.response_micros),
    });
    if let Some(sum) = micros.reduce(u64::saturating_add) {
        sink.put_number(sum / 1_000);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Plan;
    use crate::plan::attempts::AttemptRecord;
    use crate::plan::fixture;
    use crate::plan::ids::NodeIndex;
    use crate::plan::value_writer::Escape;

    #[test]
    fn milliseconds_of_all_tries_are_one_number() {
        let failed = AttemptRecord {
            response_micros: 30_600,
            ..AttemptRecord::begin(NodeIndex(0), None, Duration::ZERO)
        };
        let good = AttemptRecord {
            connect_micros: Some(4_999),
            header_micros: Some(1_005_000),
            response_micros: 2_000_400,
            ..failed
        };
        let written = |attempts: &[AttemptRecord], fact| {
            let log = LogFacts { attempts, ..LogFacts::default() };
            let mut out = Vec::new();
            put_sum(fact, &log, &mut ValueWriter::new(Escape::Json, &mut out));
            String::from_utf8(out).unwrap()
        };
        for (fact, one, three) in [
            (Fact::UpstreamConnectTimeMs, "", "9"),
            (Fact::UpstreamHeaderTimeMs, "", "2010"),
            (Fact::UpstreamTimeMs, "30", "4031"),
        ] {
            assert_eq!(written(&[failed], fact), one, "{fact:?}");
            assert_eq!(written(&[failed, good, good], fact), three, "{fact:?}");
            assert_eq!(written(&[], fact), "", "{fact:?}");
        }
    }

    /// As nginx 1.22.1 writes them, run with a dead node and a living one.
    #[test]
    fn tries_are_listed_as_in_nginx() {
        let plan = Plan::build(&fixture::config());
        let nodes = &plan.upstreams()[0].nodes;
        let first = AttemptRecord {
            status: Some(502),
            response_micros: 999,
            ..AttemptRecord::begin(NodeIndex(0), None, Duration::ZERO)
        };
        let second = AttemptRecord {
            status: Some(200),
            connect_micros: Some(4_999),
            header_micros: Some(1_005_000),
            response_micros: 2_000_000,
            queue_micros: Some(70_999),
            ..AttemptRecord::begin(NodeIndex(1), "[::1]:81".parse().ok(), Duration::ZERO)
        };
        let unresolved = AttemptRecord { resolved: None, status: None, ..second };
        let written = |attempts: &[AttemptRecord], fact| {
            let log = LogFacts { attempts, nodes, ..LogFacts::default() };
            let mut out = Vec::new();
            put_list(fact, &log, &mut ValueWriter::new(Escape::Log, &mut out));
            String::from_utf8(out).unwrap()
        };
        for (fact, one, two) in [
            (Fact::UpstreamAddr, "b.internal:8080", "a.internal:8080, [::1]:81"),
            (Fact::UpstreamStatus, "-", "502, 200"),
            (Fact::UpstreamConnectTime, "0.004", "-, 0.004"),
            (Fact::UpstreamHeaderTime, "1.005", "-, 1.005"),
            (Fact::UpstreamQueueTime, "0.070", "-, 0.070"),
            (Fact::UpstreamTime, "2.000", "0.000, 2.000"),
        ] {
            assert_eq!(written(&[unresolved], fact), one, "{fact:?}");
            assert_eq!(written(&[first, second], fact), two, "{fact:?}");
            assert_eq!(written(&[], fact), "", "{fact:?}");
        }
    }
}
