//! Rounds: which of them count, what they come to, and in which order they run.

use crate::peer::Peer;

/// A round in which the proxy, or the whole machine, did without its cores for more than this share
/// of the time says little.
const DISTURBED: f64 = 0.10;

/// Disturbed rounds are repeated, up to so many times the number wanted.
const ROUNDS_TRIED_MAX: usize = 2;

/// What one round showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// CPU time of all the proxy's processes per request.
    pub(crate) cpu_micros: f64,
    /// Requests a second.
    pub(crate) per_second: f64,
    /// Half of all requests took no longer.
    pub(crate) p50_micros: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99_micros: f64,
    /// Share of the time in which the proxy wanted its core and did not have it.
    pub(crate) waited: f64,
    /// Share of the time in which the machine itself was kept from its cores: a virtual machine whose
    /// host has other guests.
    pub(crate) stolen: f64,
    /// The busiest thread's part of the proxy's CPU time.
    pub(crate) busiest: f64,
    /// Full TLS handshakes of the load.
    pub(crate) full: f64,
    /// Resumed ones.
    pub(crate) resumed: f64,
}

impl Sample {
    /// Was the machine quiet enough for it to count?
    pub(crate) fn counts(&self) -> bool {
        self.waited <= DISTURBED && self.stolen <= DISTURBED
    }
}

/// All rounds of one contender in one case.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who.
    pub(crate) peer: Peer,
    /// Who in words, with what is special.
    pub(crate) label: String,
    /// The share of nginx's saturation, in percent, or the number of cores; otherwise 0.
    pub(crate) at: usize,
    /// Rounds that count.
    pub(crate) samples: Vec<Sample>,
    /// How many were disturbed.
    pub(crate) dropped: usize,
    /// Why others had errors.
    pub(crate) void: Vec<String>,
    /// It shares its cores with the load.
    pub(crate) shared: bool,
    /// Disturbed rounds count too: cores are shared with the load, or it was asked for.
    pub(crate) lenient: bool,
}

impl Row {
    /// Nothing measured yet.
    pub(crate) const fn new(peer: Peer, label: String, at: usize) -> Self {
        Self {
            peer,
            label,
            at,
            samples: Vec::new(),
            dropped: 0,
            void: Vec::new(),
            shared: false,
            lenient: false,
        }
    }

    /// The middle of all rounds that count, and how far they lie apart.
    pub(crate) fn spread(&self, of: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples.iter().map(of).collect())
    }

    /// The middle of all rounds that count.
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.spread(of).map(|spread| spread.median)
    }

    /// CPU time per request.
    pub(crate) fn cpu(&self) -> Option<f64> {
        self.median(|sample| sample.cpu_micros)
    }

    fn take(&mut self, result: Result<Sample, String>) {
        match result {
            Err(why) => self.void.push(why),
            Ok(sample) if self.lenient || sample.counts() => self.samples.push(sample),
            Ok(_) => self.dropped += 1,
        }
    }

    /// Has it what it needs, or no prospect of it?
    const fn is_done(&self, rounds: usize) -> bool {
        self.samples.len() >= rounds || self.void.len() >= rounds
    }
}

/// Lowest, middle and highest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Lowest.
    pub(crate) min: f64,
    /// Middle; between the two middle ones of an even number.
    pub(crate) median: f64,
    /// Highest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of nothing there is none.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied();
        let last = values.len().checked_sub(1)?;
        let median = f64::midpoint(at(last / 2)?, at(last.div_ceil(2))?);
        Some(Self { min: at(0)?, median, max: at(last)? })
    }
}

/// Contenders take turns, so that what else the machine does hits all alike: A B C A B C.
pub(crate) fn interleave(
    rows: &mut [Row],
    rounds: usize,
    mut once: impl FnMut(usize, &Row) -> Result<Sample, String>,
) {
    for _ in 0..rounds * ROUNDS_TRIED_MAX {
        if rows.iter().all(|row| row.is_done(rounds)) {
            break;
        }
        for (index, row) in rows.iter_mut().enumerate() {
            let result = once(index, row);
            row.take(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: Peer) -> Row {
        Row::new(peer, String::new(), 0)
    }

    #[test]
    fn the_median_lies_between_the_middle_two() {
        assert_eq!(Spread::of(Vec::new()), None);
        let spread = |values: &[f64]| Spread::of(values.to_vec()).unwrap();
        assert_eq!(spread(&[3.0]), Spread { min: 3.0, median: 3.0, max: 3.0 });
        assert_eq!(spread(&[9.0, 1.0, 4.0]), Spread { min: 1.0, median: 4.0, max: 9.0 });
        assert_eq!(spread(&[8.0, 2.0, 4.0, 1.0]), Spread { min: 1.0, median: 3.0, max: 8.0 });
    }

    #[test]
    fn rounds_without_their_core_are_dropped() {
        let table = [(0.0, 0.0, true), (0.1, 0.1, true), (0.11, 0.0, false), (0.0, 0.11, false)];
        for (waited, stolen, counts) in table {
            let sample = Sample { waited, stolen, ..Sample::default() };
            assert_eq!(sample.counts(), counts, "{waited} {stolen}");
        }
    }

    #[test]
    fn peers_take_turns_and_every_round_is_accounted_for() {
        let mut rows = [row(Peer::Nginx), row(Peer::Ferrule)];
        let mut order = Vec::new();
        interleave(&mut rows, 2, |index, _| {
            order.push(index);
            // nginx is disturbed in its first round.
            let waited = if order.len() == 1 { 0.5 } else { 0.0 };
            Ok(Sample { waited, ..Sample::default() })
        });
        assert_eq!(order, [0, 1, 0, 1, 0, 1]);
        let [nginx, ferrule] = rows;
        assert_eq!((nginx.samples.len(), nginx.dropped), (2, 1));
        assert_eq!((ferrule.samples.len(), ferrule.dropped), (3, 0));
    }

    #[test]
    fn a_round_with_an_error_is_void_and_the_end_is_bounded() {
        let mut rows = [row(Peer::Nginx)];
        let mut count = 0;
        interleave(&mut rows, 5, |_, _| {
            count += 1;
            Err(String::from("1 error"))
        });
        assert_eq!((count, rows[0].void.len(), rows[0].samples.len()), (5, 5, 0));
        let mut rows = [row(Peer::Nginx)];
        let mut count = 0;
        interleave(&mut rows, 5, |_, _| {
            count += 1;
            Ok(Sample { stolen: 1.0, ..Sample::default() })
        });
        assert_eq!((count, rows[0].dropped), (10, 10));
    }
}
