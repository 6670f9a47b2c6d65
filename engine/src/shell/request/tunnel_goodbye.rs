//! What both sides of a tunnel are told that the gateway ends: a close frame of its own.
//!
//! Without it, an end looks like a fault of the network, and clients come back at once. It is sent only where all
//! that was passed on ends with a frame: see [`FrameTracker`](crate::wire::websocket::FrameTracker). Each direction
//! tells its receiver by itself, so that a slow one keeps the goodbye from nobody else. Then what the peers still send
//! is dropped for a while: a connection that is closed with unread bytes is reset, and a reset may overtake the frame.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::tunnel_state::{Goodbye, TunnelDirection, TunnelState};
use crate::exchange::outcome::ExchangeEnd;
use crate::exchange::refusal::Refusal;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::net;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::wire::websocket::{CLOSE_FRAME_BYTES_MAX, GOING_AWAY, POLICY_VIOLATION, write_close};

/// How long the peers may take for what was read already; then for the goodbye, and to end; then for our own end. Short,
/// because the process waits for it at the end of a drain, and a client that is not trusted any more is not to be
/// served for longer.
const GOODBYE_TIME: Duration = Duration::from_millis(200);

/// Waits until both directions of a tunnel that is left have come to their end: whoever takes nothing, or does not
/// stop to send, does not hold it up.
pub(super) async fn wait_for_goodbyes<T>(
    tunnel: &TunnelState<'_>,
    mut both: Pin<&mut impl Future<Output = T>>,
) {
    if ends_in_time(both.as_mut()).await {
        return;
    }
    tunnel.sever_late();
    if ends_in_time(both.as_mut()).await {
        return;
    }
    tunnel.end_reading();
    both.await;
}

async fn ends_in_time<T>(mut both: Pin<&mut impl Future<Output = T>>) -> bool {
    monoio::select! {
        _ = &mut both => true,
        () = net::sleep(GOODBYE_TIME) => false,
    }
}

/// Waits until bytes have arrived; if the tunnel is left before, says goodbye meanwhile.
pub(super) async fn goodbye_unless(
    tunnel: &TunnelState<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
    arrived: impl Fn() -> bool,
) {
    // Whoever changes either polls this, too: both are of one task.
    poll_fn(|_| if arrived() || tunnel.is_left() { Poll::Ready(()) } else { Poll::Pending }).await;
    if tunnel.is_left() {
        say_goodbye(tunnel, sink, direction).await;
    }
}

/// Sends what was read already, and then, once, the close frame, if one can follow.
pub(super) async fn say_goodbye(
    tunnel: &TunnelState<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) {
    if direction.goodbye.get() != Goodbye::None || direction.severed.get() {
        return;
    }
    direction.goodbye.set(Goodbye::Resting);
    if sink.flush(direction.send_timeout).await.is_err() {
        direction.sever();
        return;
    }
    direction.goodbye.set(Goodbye::Rested);
    if direction.takes_frame() {
        match send_frame(tunnel, sink, direction).await {
            Ok(()) => direction.goodbye.set(Goodbye::Told),
            // A peer that is gone does not care for our goodbye.
            Err(_) => direction.sever(),
        }
    }
}

async fn send_frame(
    tunnel: &TunnelState<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) -> Result<(), StreamError> {
    let mut frame = Vec::with_capacity(CLOSE_FRAME_BYTES_MAX);
    if direction.is_up {
        // The upstream did nothing wrong: its peer goes away, for whatever reason.
        let [a, b, c, d, ..] = tunnel.core.random.draw();
        write_close(GOING_AWAY, Some([a, b, c, d]), &mut frame);
    } else {
        write_close(code_for_client(tunnel.ended.get()), None, &mut frame);
    }
    sink.write(&frame, GOODBYE_TIME).await?;
    sink.flush(GOODBYE_TIME).await
}

/// A client that may not be here any more is told so. Whatever else ends its tunnel is not its doing: it may come back.
const fn code_for_client(ended: Option<ExchangeEnd>) -> u16 {
    match ended {
        Some(ExchangeEnd::Refused(
            Refusal::NoCertificate
            | Refusal::BadCertificate(_)
            | Refusal::CertificateExpired
            | Refusal::Forbidden(_),
        )) => POLICY_VIOLATION,
        _ => GOING_AWAY,
    }
}

/// Drops what still arrives, until the peer ends or nobody waits any more.
pub(super) async fn drop_rest(tunnel: &TunnelState<'_>, source: &mut StreamReader<'_>) {
    let wait = Wait { time: tunnel.idle, shut: Shut::Read, idle: false };
    while !tunnel.is_over() && source.drop_next(wait).await.is_ok() {}
}

/// Ends a direction in order whose receiver was told.
pub(super) async fn end_told(direction: &TunnelDirection, sink: &mut StreamWriter<'_>) {
    if direction.goodbye.get() == Goodbye::Told {
        drop(sink.finish(GOODBYE_TIME).await);
    }
}
