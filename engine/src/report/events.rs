//! What one core has seen of refusals, handshakes and times since it started.
//!
//! Every slot is there from the start, so that counting is a plain add and no label is ever made up
//! by a peer.

use ferrule_config::model::KeyExchangeGroup;
use strum::{EnumCount, VariantArray};

use super::expiry_tracker::Finding;
use super::histogram::{Histogram, HistogramSums, MICROS};
use super::shared_counts::{SharedCount, SharedCounts};
use crate::exchange::outcome::Outcome;
use crate::exchange::refusal::Refusal;
use crate::identity::{Verdict, VerifyFailure};

/// Why a TLS handshake with a client failed, beside what is wrong with its certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeFault {
    /// Plain HTTP on a TLS listener.
    PlainHttp,
    /// Neither TLS nor HTTP.
    NotTls,
    /// Another message came first.
    UnexpectedMessage,
    /// The first message is broken.
    MalformedHello,
    /// The server name is not a name.
    BadServerName,
    /// The first message is too large.
    HelloTooLarge,
    /// Nothing is configured for the server name.
    UnknownName,
    /// Two readers found two server names.
    AmbiguousName,
    /// A certificate is required, and none was sent.
    NoCertificate,
    /// The client is on no allow list.
    NotAllowed,
    /// The client is on a deny list.
    Denied,
    /// The client and we have no version, suite or signature in common.
    NothingInCommon,
    /// The client sent an alert.
    ClientAlert,
    /// The client did not keep to the protocol, or its signature is wrong.
    Protocol,
    /// The client left.
    ClientLeft,
    /// It took too long.
    TimedOut,
    /// The connection failed.
    ConnectionFailed,
    /// A fault of our own.
    Internal,
    /// The certificate is not good.
    Certificate(VerifyFailure),
}

impl HandshakeFault {
    const PLAIN: [(Self, &'static str); 18] = [
        (Self::PlainHttp, "plain-http"),
        (Self::NotTls, "not-tls"),
        (Self::UnexpectedMessage, "unexpected-message"),
        (Self::MalformedHello, "malformed-hello"),
        (Self::BadServerName, "bad-server-name"),
        (Self::HelloTooLarge, "hello-too-large"),
        (Self::UnknownName, "unknown-name"),
        (Self::AmbiguousName, "ambiguous-name"),
        (Self::NoCertificate, "no-certificate"),
        (Self::NotAllowed, "client-not-allowed"),
        (Self::Denied, "client-denied"),
        (Self::NothingInCommon, "nothing-in-common"),
        (Self::ClientAlert, "client-alert"),
        (Self::Protocol, "protocol"),
        (Self::ClientLeft, "client-left"),
        (Self::TimedOut, "timed-out"),
        (Self::ConnectionFailed, "connection-failed"),
        (Self::Internal, "internal"),
    ];

    /// How many kinds there are.
    pub const COUNT: usize = Self::PLAIN.len() + VerifyFailure::COUNT;

    /// Its place among [`Self::words`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Certificate(failure) => Self::PLAIN.len() + failure.index(),
            other => Self::PLAIN.iter().position(|(one, _)| *one == other).unwrap_or(usize::MAX),
        }
    }

    /// One word, or OpenSSL's words for a certificate.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Certificate(failure) => failure.text(),
            other => Self::PLAIN.get(other.index()).map_or("", |(_, word)| *word),
        }
    }

    /// The word of every kind, in the order in which they are counted.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let plain = Self::PLAIN.into_iter().map(|(_, word)| word);
        plain.chain(VerifyFailure::VARIANTS.iter().copied().map(VerifyFailure::text))
    }
}

/// A handshake that succeeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompletedHandshake {
    /// TLS 1.3, not 1.2.
    pub tls13: bool,
    /// Resumed, not full.
    pub resumed: bool,
    /// In which group keys were exchanged; `None` for a resumed session of TLS 1.2, which exchanges none.
    pub group: Option<KeyExchangeGroup>,
}

/// Every kind of [`CompletedHandshake`] as labels, in the order in which they are counted.
pub const COMPLETED_HANDSHAKES: [(&str, &str); 4] =
    [("TLSv1.2", "no"), ("TLSv1.2", "yes"), ("TLSv1.3", "no"), ("TLSv1.3", "yes")];

/// Verdicts: none, success, and every failure.
pub const VERDICTS: usize = 2 + VerifyFailure::COUNT;

/// The words of all verdicts, in the order in which they are counted.
pub fn verdict_words() -> impl Iterator<Item = &'static str> {
    ["NONE", "SUCCESS"]
        .into_iter()
        .chain(VerifyFailure::VARIANTS.iter().copied().map(VerifyFailure::text))
}

/// Buckets of durations.
pub const TIMES: usize = MICROS.len() + 1;

/// The sizes of buffers, the smallest first.
pub const BUFFER_SIZES: [&str; 5] = ["small", "record", "double", "quad", "body"];

/// What a core holds right now: set once a tick.
#[derive(Debug, Default)]
pub struct ResourceGauges {
    /// Buffers given out, by [`BUFFER_SIZES`].
    pub buffers_rented: [SharedCount; BUFFER_SIZES.len()],
    /// Buffers that are free, by [`BUFFER_SIZES`].
    pub buffers_free: [SharedCount; BUFFER_SIZES.len()],
    /// The most that were ever given out at a time.
    pub buffers_peak: [SharedCount; BUFFER_SIZES.len()],
    /// Bytes of those given out.
    pub buffer_bytes: SharedCount,
    /// The most bytes that may be given out.
    pub buffer_budget: SharedCount,
}

/// The events of one core. Written by that core alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Events {
    refusals: SharedCounts<{ Refusal::COUNT }>,
    handshake_faults: SharedCounts<{ HandshakeFault::COUNT }>,
    certificates_refused: SharedCounts<{ VerifyFailure::COUNT }>,
    completed_handshakes: SharedCounts<4>,
    key_exchanges: SharedCounts<{ KeyExchangeGroup::COUNT }>,
    verdicts: SharedCounts<VERDICTS>,
    findings: SharedCounts<{ Finding::COUNT }>,
    total: Histogram<TIMES>,
    upstream: Histogram<TIMES>,
    own: Histogram<TIMES>,
    lag: Histogram<TIMES>,
    /// What the core holds.
    pub resources: ResourceGauges,
}

impl Events {
    /// We answered a request ourselves.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals.count(refusal.index());
        if let Some(failure) = refusal.certificate_failure() {
            self.certificates_refused.count(failure.index());
        }
    }

    /// A handshake failed.
    pub fn handshake_failed(&self, fault: HandshakeFault) {
        self.handshake_faults.count(fault.index());
        if let HandshakeFault::Certificate(failure) = fault {
            self.certificates_refused.count(failure.index());
        }
    }

    /// A handshake succeeded, with this said of the client's certificate.
    pub fn handshake_done(&self, handshake: CompletedHandshake, verdict: Verdict) {
        self.completed_handshakes
            .count(usize::from(handshake.tls13) * 2 + usize::from(handshake.resumed));
        if let Some(group) = handshake.group {
            self.key_exchanges.count(group.index());
        }
        self.verdicts.count(match verdict {
            Verdict::None => 0,
            Verdict::Success => 1,
            Verdict::Failed(failure) => 2 + failure.index(),
        });
    }

    /// A client was found whose next certificate will not be one for clients.
    pub fn found(&self, finding: Finding) {
        self.findings.count(finding as usize);
    }

    /// The core's timer woke so many microseconds late.
    pub fn woke_late(&self, micros: u64) {
        self.lag.observe(&MICROS, micros);
    }

    /// How late the core's timer woke, so far.
    #[must_use]
    pub fn lag(&self) -> HistogramSums<TIMES> {
        let mut sums = HistogramSums::default();
        self.lag.sum_into(&mut sums);
        sums
    }

    /// An exchange is over. The life of a tunnel is nobody's answering time.
    pub fn timed(&self, outcome: &Outcome) {
        if outcome.status == 101 {
            return;
        }
        self.total.observe(&MICROS, outcome.request_micros);
        let upstream = outcome.upstream_micros.inspect(|micros| {
            self.upstream.observe(&MICROS, *micros);
        });
        let own = outcome.request_micros.saturating_sub(upstream.unwrap_or(0));
        self.own.observe(&MICROS, own);
    }
}

/// The events of several cores.
#[derive(Clone, Debug)]
pub struct EventSums {
    /// By [`Refusal::index`].
    pub refusals: [u64; Refusal::COUNT],
    /// In the order of [`HandshakeFault::words`].
    pub handshake_faults: [u64; HandshakeFault::COUNT],
    /// Refusals because of a client's certificate, in whatever way it was told; by [`VerifyFailure::index`].
    pub certificates_refused: [u64; VerifyFailure::COUNT],
    /// In the order of [`COMPLETED_HANDSHAKES`].
    pub completed_handshakes: [u64; 4],
    /// Completed handshakes that exchanged keys, in the order of [`KeyExchangeGroup::ALL`].
    pub key_exchanges: [u64; KeyExchangeGroup::COUNT],
    /// In the order of [`verdict_words`].
    pub verdicts: [u64; VERDICTS],
    /// Handshakes of clients whose next certificate will not be one for clients, in the order of [`Finding`].
    pub findings: [u64; Finding::COUNT],
    /// From the first byte of a request to the last one of its answer.
    pub total: HistogramSums<TIMES>,
    /// All tries at nodes together.
    pub upstream: HistogramSums<TIMES>,
    /// The rest: the time spent in the gateway itself.
    pub own: HistogramSums<TIMES>,
    /// Buffers by size: rented, free, peak.
    pub buffers: [[u64; 3]; BUFFER_SIZES.len()],
    /// Bytes of buffers: given out, and the most that may be.
    pub buffer_bytes: [u64; 2],
}

impl EventSums {
    /// Adds up.
    #[must_use]
    pub fn of<'a>(cores: impl IntoIterator<Item = &'a Events>) -> Self {
        let mut sums = Self {
            refusals: [0; Refusal::COUNT],
            handshake_faults: [0; HandshakeFault::COUNT],
            certificates_refused: [0; VerifyFailure::COUNT],
            completed_handshakes: [0; 4],
            key_exchanges: [0; KeyExchangeGroup::COUNT],
            verdicts: [0; VERDICTS],
            findings: [0; Finding::COUNT],
            total: HistogramSums::default(),
            upstream: HistogramSums::default(),
            own: HistogramSums::default(),
            buffers: [[0; 3]; BUFFER_SIZES.len()],
            buffer_bytes: [0; 2],
        };
        for events in cores {
            events.refusals.sum_into(&mut sums.refusals);
            events.handshake_faults.sum_into(&mut sums.handshake_faults);
            events.certificates_refused.sum_into(&mut sums.certificates_refused);
            events.completed_handshakes.sum_into(&mut sums.completed_handshakes);
            events.key_exchanges.sum_into(&mut sums.key_exchanges);
            events.verdicts.sum_into(&mut sums.verdicts);
            events.findings.sum_into(&mut sums.findings);
            events.total.sum_into(&mut sums.total);
            events.upstream.sum_into(&mut sums.upstream);
            events.own.sum_into(&mut sums.own);
            let held = &events.resources;
            for (sum, value) in
                sums.buffer_bytes.iter_mut().zip([&held.buffer_bytes, &held.buffer_budget])
            {
                *sum = sum.saturating_add(value.get());
            }
            let kinds = [&held.buffers_rented, &held.buffers_free, &held.buffers_peak];
            for (at, sizes) in sums.buffers.iter_mut().enumerate() {
                for (sum, kind) in sizes.iter_mut().zip(kinds) {
                    *sum += kind.get(at).map_or(0, SharedCount::get);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_word() {
        let events = Events::default();
        for (fault, word) in HandshakeFault::PLAIN {
            events.handshake_failed(fault);
            assert_eq!(HandshakeFault::words().nth(fault.index()), Some(word));
            assert_eq!(fault.word(), word);
        }
        for failure in VerifyFailure::VARIANTS.iter().copied() {
            let fault = HandshakeFault::Certificate(failure);
            events.handshake_failed(fault);
            assert_eq!(HandshakeFault::words().nth(fault.index()), Some(failure.text()));
            events.handshake_done(
                CompletedHandshake {
                    tls13: true,
                    resumed: false,
                    group: Some(KeyExchangeGroup::X25519),
                },
                Verdict::Failed(failure),
            );
        }
        let keyless = CompletedHandshake { tls13: false, resumed: true, group: None };
        events.handshake_done(keyless, Verdict::Success);
        let sums = EventSums::of([&events]);
        assert!(sums.handshake_faults.iter().all(|count| *count == 1));
        assert_eq!(
            sums.completed_handshakes,
            [0, 1, u64::try_from(VerifyFailure::COUNT).unwrap(), 0]
        );
        assert_eq!(sums.verdicts[..2], [0, 1]);
        assert!(sums.verdicts[2..].iter().all(|count| *count == 1));
        assert_eq!(verdict_words().count(), VERDICTS);
        assert_eq!(HandshakeFault::words().count(), HandshakeFault::COUNT);
    }

    #[test]
    fn the_time_of_an_exchange_is_split() {
        let events = Events::default();
        let answered =
            Outcome { request_micros: 900, upstream_micros: Some(700), ..Outcome::default() };
        events.timed(&answered);
        events.timed(&Outcome { request_micros: 90, ..Outcome::default() });
        let sums = EventSums::of([&events]);
        assert_eq!((sums.total.count(), sums.total.sum), (2, 990));
        assert_eq!((sums.upstream.count(), sums.upstream.sum), (1, 700));
        assert_eq!((sums.own.count(), sums.own.sum), (2, 290));
        assert_eq!(sums.own.counts[..2], [1, 1]);
    }
}
