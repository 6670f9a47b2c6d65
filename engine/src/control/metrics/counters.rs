//! The counters of the data cores as metric families.
//!
//! In: the sums over all cores. Out: the families that show each counter, alone or beside others.

use strum::VariantArray;

use super::families::{Family, LabelSet, number};
use crate::report::{Counter, CounterSums};

/// Every counter, in its family.
pub(super) fn counted(counters: &CounterSums) -> Vec<Family> {
    let mut all: Vec<Family> = Vec::new();
    for counter in Counter::VARIANTS.iter().copied() {
        let (name, help, labels): (_, _, LabelSet) = match family_of(counter) {
            CounterFamily::Elsewhere => continue,
            CounterFamily::Own { name, help } => (name, help, Vec::new()),
            CounterFamily::Shared { family, value } => {
                (family.name, family.help, vec![(family.label, value.to_owned())])
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

/// The family in which a counter is shown.
enum CounterFamily {
    /// A family that has no other counter.
    Own { name: &'static str, help: &'static str },
    /// A family that several counters share, and the value of the label that tells them apart.
    Shared { family: &'static SharedFamily, value: &'static str },
    /// None: another family shows the same in more detail.
    Elsewhere,
}

/// A family that several counters share.
struct SharedFamily {
    name: &'static str,
    help: &'static str,
    label: &'static str,
}

static CONNECTIONS_REFUSED: SharedFamily = SharedFamily {
    name: "ferrule_connections_refused",
    help: "Client connections that were not served: over the limit of a core or of an address, shed \
           for want of descriptors or memory, lost by the kernel's accept, or without the PROXY \
           protocol header that their listener wants.",
    label: "reason",
};
static TUNNELS: SharedFamily = SharedFamily {
    name: "ferrule_tunnels",
    help: "WebSocket tunnels opened and closed; the difference is open now.",
    label: "event",
};
static TIMEOUTS: SharedFamily = SharedFamily {
    name: "ferrule_timeouts",
    help: "Deadlines that passed: of a client, of an upstream, of a response that had begun, or of a whole exchange.",
    label: "of",
};

const fn own(name: &'static str, help: &'static str) -> CounterFamily {
    CounterFamily::Own { name, help }
}

impl SharedFamily {
    /// This family, for the counter with this label value.
    const fn with(&'static self, value: &'static str) -> CounterFamily {
        CounterFamily::Shared { family: self, value }
    }
}

/// The family of each counter.
const fn family_of(counter: Counter) -> CounterFamily {
    match counter {
        Counter::Accepted => own("ferrule_connections_accepted", "Client connections accepted."),
        Counter::AcceptedOverLimit => CONNECTIONS_REFUSED.with("limit"),
        Counter::AcceptedOverAddress => CONNECTIONS_REFUSED.with("address"),
        Counter::AcceptedShed => CONNECTIONS_REFUSED.with("shed"),
        Counter::AcceptedOverBudget => CONNECTIONS_REFUSED.with("memory"),
        Counter::Stalled => own(
            "ferrule_connections_stalled",
            "Connections without progress that were ended because the memory budget was used up.",
        ),
        Counter::AcceptFailed => CONNECTIONS_REFUSED.with("accept"),
        Counter::ClientAborts => own(
            "ferrule_client_aborts",
            "Requests whose client left before the response was complete.",
        ),
        Counter::ClientTimeouts => TIMEOUTS.with("client"),
        Counter::UpstreamTimeouts => TIMEOUTS.with("upstream"),
        Counter::ResponseTimeouts => TIMEOUTS.with("response"),
        Counter::TotalTimeouts => TIMEOUTS.with("total"),
        Counter::TunnelsOpened => TUNNELS.with("opened"),
        Counter::TunnelsClosed => TUNNELS.with("closed"),
        Counter::ProxyHeadersRefused => CONNECTIONS_REFUSED.with("proxy_header"),
        Counter::ConnectionsRevoked => own(
            "ferrule_connections_revoked",
            "Client connections ended because a reload or a changed file took away the trust that \
                 had let them in.",
        ),
        Counter::Panics => own("ferrule_panics", "Connections ended by a bug in Ferrule."),
        Counter::HandshakesFull
        | Counter::HandshakesResumed
        | Counter::HandshakesFailed
        | Counter::Responses1xx
        | Counter::Responses2xx
        | Counter::Responses3xx
        | Counter::Responses4xx
        | Counter::Responses5xx
        | Counter::Refusals
        | Counter::ClientBytesIn
        | Counter::ClientBytesOut
        | Counter::LogDropped
        | Counter::BusyNanoseconds => CounterFamily::Elsewhere,
    }
}
