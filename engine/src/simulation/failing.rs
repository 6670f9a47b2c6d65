//! A node at the step at which it fails, where that is not in an answer of its own.

use std::time::Duration;

use super::context::RunContext;
use super::fate::{FailingStep, FailingWay, Outage};
use super::link::{LinkReader, LinkWriter};
use super::response::{EVIL, FlawPlace, ResponseFlaw};
use crate::shell::transport::net::{TcpStream, sleep};
use crate::simulation::network::world::below;

/// Neither HTTP nor TLS.
const NONSENSE: &[u8] = b"\x15\x03\x09\xff\xffnonsense\r\n\r\n";

/// A connection that fails before a byte of it is read.
pub(super) async fn at_accept(run: &RunContext, stream: TcpStream, way: FailingWay) {
    run.journal.meets(Outage::Fails { step: FailingStep::Accept, way });
    // Below TLS, if there is any.
    let (mut reader, mut writer) = super::link::bare(stream);
    sleep(Duration::from_millis(below(200) as u64)).await;
    fail(&mut reader, &mut writer, way).await;
}

/// Fails this way, and waits for Ferrule to leave.
pub(super) async fn fail(reader: &mut LinkReader, writer: &mut LinkWriter, way: FailingWay) {
    match way {
        FailingWay::Ends if below(2) == 0 => writer.cut(),
        FailingWay::Ends => writer.end().await,
        FailingWay::Resets => writer.reset(),
        FailingWay::Garbage => drop(writer.write(NONSENSE).await),
        FailingWay::Stalls | FailingWay::Surplus | FailingWay::Interims => {}
    }
    reader.drain().await;
}

/// Between two requests: an answer that nobody has asked for, or its end.
pub(super) async fn when_idle(writer: &mut LinkWriter, way: FailingWay) {
    match way {
        FailingWay::Garbage => writer.write_at_once(EVIL),
        FailingWay::Resets => writer.reset(),
        _ => writer.end().await,
    }
}

impl FailingWay {
    /// What is wrong with an answer that fails so.
    pub(super) const fn flaw(self) -> ResponseFlaw {
        match self {
            Self::Ends => ResponseFlaw::Ends,
            Self::Resets => ResponseFlaw::Resets,
            Self::Stalls => ResponseFlaw::Mute,
            Self::Garbage => ResponseFlaw::Malformed,
            Self::Surplus => ResponseFlaw::Surplus,
            Self::Interims => ResponseFlaw::Interims,
        }
    }
}

impl FailingStep {
    /// Where an answer is wrong that fails at this step.
    pub(super) const fn place(self) -> FlawPlace {
        match self {
            Self::ResponseHead => FlawPlace::Head,
            _ => FlawPlace::Body,
        }
    }
}
