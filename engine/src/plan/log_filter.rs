//! Which requests get a line in the access log.
//!
//! In: `log.access` of the checked configuration; later the route, the status and the time of a finished
//! request. Out: whether its line is written, or is to be chosen by chance.

use std::ops::RangeInclusive;

use ferrule_config::model::LogFilter;

use super::ids::{RouteId, index};

/// The filter, compiled.
#[derive(Clone, Debug)]
pub struct AccessFilter {
    /// In order; empty: requests of every route, and of none.
    routes: Box<[RouteId]>,
    statuses: Box<[RangeInclusive<u16>]>,
    /// `u64::MAX`: the time does not matter.
    min_micros: u64,
    sample: u16,
}

/// What becomes of the line of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogChoice {
    /// It is written.
    Write,
    /// It is written for so many requests of a thousand.
    Sample(u16),
    /// It is not written.
    Skip,
}

impl AccessFilter {
    /// Compiles a filter.
    pub(super) fn new(filter: &LogFilter) -> Self {
        let mut routes: Vec<RouteId> = filter.routes.iter().map(|at| RouteId(index(*at))).collect();
        routes.sort_unstable();
        let micros =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            routes: routes.into(),
            statuses: filter.statuses.clone().into(),
            min_micros: filter.min_duration.map_or(u64::MAX, micros),
            sample: filter.sample,
        }
    }

    /// The routes whose requests get a line, in order; empty: those of every route, and of none.
    #[must_use]
    pub const fn routes(&self) -> &[RouteId] {
        &self.routes
    }

    /// Asks for one finished request; `status` as it is logged.
    #[must_use]
    pub fn choose(&self, route: Option<RouteId>, status: u16, micros: u64) -> LogChoice {
        let is_of_these = |id| self.routes.binary_search(&id).is_ok();
        if !self.routes.is_empty() && !route.is_some_and(is_of_these) {
            return LogChoice::Skip;
        }
        let is_wanted = micros >= self.min_micros
            || self.sample >= LogFilter::ALL
            || self.statuses.iter().any(|range| range.contains(&status));
        match self.sample {
            _ if is_wanted => LogChoice::Write,
            0 => LogChoice::Skip,
            share => LogChoice::Sample(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_written_for_its_route_and_its_status_or_its_time() {
        let filter = AccessFilter::new(&LogFilter {
            routes: vec![3, 1],
            statuses: vec![500..=599, 404..=404],
            min_duration: Some(Duration::from_millis(5)),
            sample: 10,
        });
        let route = |at| Some(RouteId(at));
        for (route, status, micros, wanted) in [
            (route(1), 500, 0, LogChoice::Write),
            (route(3), 599, 0, LogChoice::Write),
            (route(3), 404, 0, LogChoice::Write),
            (route(1), 200, 5_000, LogChoice::Write),
            (route(1), 200, 4_999, LogChoice::Sample(10)),
            (route(1), 403, 0, LogChoice::Sample(10)),
            (route(2), 500, 9_000, LogChoice::Skip),
            (None, 500, 9_000, LogChoice::Skip),
        ] {
            assert_eq!(filter.choose(route, status, micros), wanted, "{route:?} {status} {micros}");
        }
    }

    #[test]
    fn without_a_filter_every_line_is_written() {
        let filter = AccessFilter::new(&LogFilter::default());
        assert_eq!(filter.choose(None, 200, 0), LogChoice::Write);
        let errors = LogFilter { statuses: vec![500..=599], sample: 0, ..LogFilter::default() };
        let errors = AccessFilter::new(&errors);
        assert_eq!(errors.choose(None, 200, u64::MAX - 1), LogChoice::Skip);
        assert_eq!(errors.choose(None, 503, 0), LogChoice::Write);
    }
}
