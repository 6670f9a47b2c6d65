//! `timeout.total`: the time that an exchange has, whatever happens in it.
//!
//! In: how much of it is left when a try has its connection. When it is over, both connections that the try
//! uses are shut down, however much or little moves on them: the client's only if a response is on its way
//! there, because until then it is told. What is made of that is decided in `exchange`.

use std::time::Duration;

use crate::exchange::cause::UpstreamCause;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::{Shut, Timer};
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::stream::Stream;

/// The end of one exchange's time, armed for as long as one of its tries has a connection.
pub(crate) struct TotalTimer {
    /// When the time is over, by the core's clock.
    ends: Duration,
    upstream: Timer,
    client: Timer,
    client_descriptor: Descriptor,
}

impl TotalTimer {
    /// The connection to the upstream is shut down at `ends`.
    pub(super) fn begin(core: &Core, ends: Duration, client: &Stream, upstream: &Stream) -> Self {
        let [client_timer, upstream_timer] =
            [client, upstream].map(|stream| stream.reader.companion(&core.deadlines));
        let left = ends.saturating_sub(core.clock.elapsed());
        upstream_timer.arm(left, upstream.descriptor(), Shut::Both);
        Self {
            ends,
            upstream: upstream_timer,
            client: client_timer,
            client_descriptor: client.descriptor(),
        }
    }

    /// A response goes to the client from now on: its connection is shut down as well.
    pub(super) fn include_client(&self, core: &Core) {
        let left = self.ends.saturating_sub(core.clock.elapsed());
        self.client.arm(left, self.client_descriptor, Shut::Both);
    }

    /// Was the time over?
    pub(super) fn has_passed(&self) -> bool {
        self.upstream.fired() || self.client.fired()
    }
}

/// The exchange's time, `total`, was over within a try that had begun at `began`; `asked`: the node had all
/// that it needs for an answer, be it for that to its handshake.
///
/// Then the node was why, unless tries before it or the client have used up most of the time.
pub(super) const fn cause(
    total: Duration,
    began: Duration,
    now: Duration,
    asked: bool,
) -> UpstreamCause {
    let took = now.saturating_sub(began).as_micros();
    UpstreamCause::TotalTimeout { by_node: asked && took * 2 >= total.as_micros() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_had_little_of_the_time_is_not_blamed() {
        let second = Duration::from_secs;
        for (began, asked, by_node) in
            [(0, true, true), (4, true, true), (5, true, false), (0, false, false)]
        {
            let found = cause(second(8), second(began), second(8), asked);
            assert_eq!(found, UpstreamCause::TotalTimeout { by_node }, "{began} {asked}");
        }
    }
}
