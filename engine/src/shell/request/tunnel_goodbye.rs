//! What both sides of a tunnel are told that the gateway ends: a close frame of its own.
//!
//! Without it, an end looks like a fault of the network, and clients come back at once. It is sent only where all
//! that was passed on ends with a frame: see [`FrameTracker`](crate::wire::websocket::FrameTracker).

use std::time::Duration;

use crate::exchange::outcome::ExchangeEnd;
use crate::shell::state::core::Core;
use crate::shell::transport::stream::StreamWriter;
use crate::wire::websocket::{CLOSE_FRAME_BYTES_MAX, GOING_AWAY, POLICY_VIOLATION, write_close};

/// How long the peers may take for what was read already, and then for the goodbye. Short, because the process waits
/// for it at the end of a drain, and a client that is not trusted any more is not to be served for longer.
pub(super) const GOODBYE_TIME: Duration = Duration::from_millis(200);

/// Tells those that can be told. Neither waits for the other, nor longer than [`GOODBYE_TIME`].
pub(super) async fn say_goodbye(
    core: &Core,
    ended: ExchangeEnd,
    client: Option<&mut StreamWriter<'_>>,
    upstream: Option<&mut StreamWriter<'_>>,
) {
    // The upstream did nothing wrong: its peer goes away, for whatever reason.
    let code = match ended {
        ExchangeEnd::Refused(_) => POLICY_VIOLATION,
        _ => GOING_AWAY,
    };
    let [a, b, c, d, ..] = core.random.draw();
    monoio::join!(send(client, code, None), send(upstream, GOING_AWAY, Some([a, b, c, d])));
}

async fn send(sink: Option<&mut StreamWriter<'_>>, code: u16, mask: Option<[u8; 4]>) {
    let Some(sink) = sink else { return };
    let mut frame = Vec::with_capacity(CLOSE_FRAME_BYTES_MAX);
    write_close(code, mask, &mut frame);
    // A peer that is gone does not care for our goodbye.
    if sink.write(&frame, GOODBYE_TIME).await.is_ok() {
        drop(sink.finish(GOODBYE_TIME).await);
    }
}
