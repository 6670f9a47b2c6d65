//! What one exchange after the other is worked out in; reused, so that a warm request allocates nothing.
//!
//! In: a request head. Out: what admission has understood of it, for the rest of its way: target, host,
//! path in every reading.

use super::refusal::Refusal;
use crate::plan::captures::Captures;
use crate::plan::named_capture::CaptureSpace;
use crate::plan::{HostBuf, RouteId};
use crate::wire::readings::Readings;
use crate::wire::span::Span;
use crate::wire::target::{self, Target};
use crate::wire::view::RequestView;

/// What one exchange after the other is worked out in; reused, so it allocates only to grow.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The target, once it was understood.
    pub target: Option<Target>,
    /// The host asked for: lower case, without port and trailing dot; empty if HTTP/1.0 named none.
    pub host: HostBuf,
    /// The path, normalised.
    pub path: Vec<u8>,
    /// What else the path may be taken for.
    pub readings: Readings,
    /// Routes that other readings of the path lead to, and that demand something: they have to be
    /// passed as well ([`permit`](super::permit())).
    pub demanding: Vec<RouteId>,
    /// What its route has found in it.
    pub captures: Captures,
    /// What a route finds whose demands are looked at.
    pub(super) judged: Captures,
    /// What values are looked for in.
    pub capture_space: CaptureSpace,
    /// A variable's value while a condition is decided.
    pub(super) value: Vec<u8>,
    /// After a refusal: do we know that the next request starts right behind this head, and does the
    /// client mean to send one?
    pub keep_after_refusal: bool,
}

impl Scratch {
    /// Nothing is known of the next request yet.
    pub fn forget(&mut self) {
        self.target = None;
        self.host.clear();
        self.path.clear();
        self.readings.clear();
        self.demanding.clear();
        self.captures.clear();
        self.keep_after_refusal = false;
    }

    /// Everything that the path may be taken for.
    pub(super) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(self.path.as_slice()).chain(self.readings.others())
    }

    /// Fills in the host, and returns it with its port, as it came.
    pub(super) fn take_host(
        &mut self,
        request: RequestView<'_>,
        target: &Target,
    ) -> Result<Span, Refusal> {
        let authority = target::request_authority(request, target)
            .map_err(Refusal::Malformed)?
            .unwrap_or_default();
        if !authority.is_empty() {
            let (host, _) =
                target::parse_authority(request.text(authority)).map_err(Refusal::Malformed)?;
            self.host.read(host);
        }
        Ok(authority)
    }
}
