//! The counters of the data cores as metric families.
//!
//! In: the sums over all cores. Out: the families that show each counter, alone or beside others.

use strum::VariantArray;

use super::families::{Family, LabelSet, number};
use crate::report::{Counter, Snapshot};

/// Every counter, in its family.
pub(super) fn counted(counters: &Snapshot) -> Vec<Family> {
    let mut all: Vec<Family> = Vec::new();
    for counter in Counter::VARIANTS.iter().copied() {
        let (name, help, labels): (_, _, LabelSet) = match shown(counter) {
            Shown::Elsewhere => continue,
            Shown::Alone(name, help) => (name, help, Vec::new()),
            Shown::In(group, word) => {
                (group.name, group.help, vec![(group.label, word.to_owned())])
            }
            Shown::InTwo(side, direction) => {
                let labels = vec![("side", side.to_owned()), ("direction", direction.to_owned())];
                (BYTES.0, BYTES.1, labels)
            }
        };
        let value = number(counters.get(counter));
        match all.iter_mut().find(|family| family.name == name) {
            Some(family) => family.push(labels, value),
            None => {
                let mut family = Family::counter(name, help);
                family.push(labels, value);
                all.push(family);
            }
        }
    }
    all
}

/// Where a counter is shown: its family, and the label that tells it from others there.
enum Shown {
    Alone(&'static str, &'static str),
    In(&'static Grouped, &'static str),
    InTwo(&'static str, &'static str),
    /// Another family has it in more detail.
    Elsewhere,
}

/// A family that several counters share.
#[derive(Debug, Eq, PartialEq)]
struct Grouped {
    name: &'static str,
    help: &'static str,
    label: &'static str,
}

static CONNECTIONS_REFUSED: Grouped = Grouped {
    name: "ferrule_connections_refused",
    help: "Client connections that were not served: over the limit of a core or of an address, shed \
           for want of descriptors or memory, lost by the kernel's accept, or without the PROXY \
           protocol header that their listener wants.",
    label: "reason",
};
static TUNNELS: Grouped = Grouped {
    name: "ferrule_tunnels",
    help: "WebSocket tunnels opened and closed; the difference is open now.",
    label: "event",
};
static TIMEOUTS: Grouped = Grouped {
    name: "ferrule_timeouts",
    help: "Deadlines that passed: of a client, of an upstream, or of a response that had begun.",
    label: "of",
};
static BYTES: (&str, &str) =
    ("ferrule_bytes", "Bytes of HTTP from (in) and to (out) clients and upstreams.");

const STALLED: Shown = Shown::Alone(
    "ferrule_connections_stalled",
    "Connections without progress that were ended because the memory budget was used up.",
);
const fn shown(counter: Counter) -> Shown {
    match counter {
        Counter::Accepted => {
            Shown::Alone("ferrule_connections_accepted", "Client connections accepted.")
        }
        Counter::AcceptedOverLimit => Shown::In(&CONNECTIONS_REFUSED, "limit"),
        Counter::AcceptedOverAddress => Shown::In(&CONNECTIONS_REFUSED, "address"),
        Counter::AcceptedShed => Shown::In(&CONNECTIONS_REFUSED, "shed"),
        Counter::AcceptedOverBudget => Shown::In(&CONNECTIONS_REFUSED, "memory"),
        Counter::Stalled => STALLED,
        Counter::AcceptFailed => Shown::In(&CONNECTIONS_REFUSED, "accept"),
        Counter::ClientAborts => Shown::Alone(
            "ferrule_client_aborts",
            "Requests whose client left before the response was complete.",
        ),
        Counter::UpstreamConnects | Counter::UpstreamReuses | Counter::UpstreamConnectFailed => {
            shown_of_upstreams(counter)
        }
        Counter::UpstreamLost | Counter::UpstreamSurplus | Counter::UpstreamUnasked => {
            shown_of_upstreams(counter)
        }
        Counter::UpstreamRevoked | Counter::UpstreamRetries => shown_of_upstreams(counter),
        Counter::ClientTimeouts => Shown::In(&TIMEOUTS, "client"),
        Counter::UpstreamTimeouts => Shown::In(&TIMEOUTS, "upstream"),
        Counter::ResponseTimeouts => Shown::In(&TIMEOUTS, "response"),
        Counter::TunnelsOpened => Shown::In(&TUNNELS, "opened"),
        Counter::TunnelsClosed => Shown::In(&TUNNELS, "closed"),
        Counter::ProxyHeadersRefused => Shown::In(&CONNECTIONS_REFUSED, "proxy_header"),
        Counter::ClientBytesIn => Shown::InTwo("client", "in"),
        Counter::ClientBytesOut => Shown::InTwo("client", "out"),
        Counter::UpstreamBytesIn => Shown::InTwo("upstream", "in"),
        Counter::UpstreamBytesOut => Shown::InTwo("upstream", "out"),
        Counter::ConnectionsRevoked => Shown::Alone(
            "ferrule_connections_revoked",
            "Client connections ended because a reload or a changed file took away the trust that \
                 had let them in.",
        ),
        Counter::LogDropped => Shown::Alone(
            "ferrule_log_lines_dropped",
            "Access log lines dropped because the writer was too slow.",
        ),
        Counter::Panics => Shown::Alone("ferrule_panics", "Connections ended by a bug in Ferrule."),
        Counter::HandshakesFull
        | Counter::HandshakesResumed
        | Counter::HandshakesFailed
        | Counter::Responses1xx
        | Counter::Responses2xx
        | Counter::Responses3xx
        | Counter::Responses4xx
        | Counter::Responses5xx
        | Counter::Refusals
        | Counter::BusyNanoseconds => Shown::Elsewhere,
    }
}

/// Those of connections to upstreams.
const fn shown_of_upstreams(counter: Counter) -> Shown {
    match counter {
        Counter::UpstreamConnects => {
            Shown::Alone("ferrule_upstream_connects", "Connections opened to upstream nodes.")
        }
        Counter::UpstreamReuses => Shown::Alone(
            "ferrule_upstream_reuses",
            "Requests sent over a connection from the pool.",
        ),
        Counter::UpstreamConnectFailed => Shown::Alone(
            "ferrule_upstream_connect_failures",
            "Connections to upstream nodes that could not be opened.",
        ),
        Counter::UpstreamLost => Shown::Alone(
            "ferrule_upstream_lost",
            "Responses that an upstream cut off after they had begun.",
        ),
        Counter::UpstreamSurplus => Shown::Alone(
            "ferrule_upstream_surplus",
            "Responses followed by bytes that nobody asked for; their connections were closed.",
        ),
        Counter::UpstreamUnasked => Shown::Alone(
            "ferrule_upstream_unasked",
            "Idle upstream connections closed because they said something unasked.",
        ),
        Counter::UpstreamRevoked => Shown::Alone(
            "ferrule_upstream_revoked",
            "Idle upstream connections and tunnels ended because the trust in their node's \
                 certificate has changed or expired.",
        ),
        Counter::UpstreamRetries => {
            Shown::Alone("ferrule_upstream_retries", "Tries beyond the first one.")
        }
        _ => Shown::Elsewhere,
    }
}
