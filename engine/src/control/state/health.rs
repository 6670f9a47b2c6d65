//! Is the process alive, and is it ready for traffic? What `/livez` and `/readyz` tell.
//!
//! In: what the supervisor and the cores have said. Out: a list of checks. Nothing of the configuration, of
//! clients or of addresses is in them, so anybody may ask.

use std::time::{Duration, Instant};

use super::status::{ProcessStatus, SilentCore};

/// A core that has been silent for this long is taken for hung: only a restart brings it back.
const HUNG_AFTER: Duration = Duration::from_secs(30);

/// One thing that has to be in order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct HealthCheck {
    /// Its name, in one word.
    pub(crate) name: &'static str,
    /// What is not in order.
    pub(crate) trouble: Option<String>,
}

impl HealthCheck {
    fn of(name: &'static str, trouble: Option<String>) -> Self {
        Self { name, trouble }
    }
}

/// Can the process serve at all? If not, it has to be restarted.
pub(crate) fn liveness(status: &ProcessStatus, now: Instant) -> Vec<HealthCheck> {
    let hung = status.silent_cores().into_iter();
    let hung = hung.filter(|silent| now.saturating_duration_since(silent.since) >= HUNG_AFTER);
    vec![HealthCheck::of("cores", lost(status).or_else(|| named(hung, "hung")))]
}

/// Should it get new connections?
pub(crate) fn readiness(status: &ProcessStatus, is_stopping: bool) -> Vec<HealthCheck> {
    let late = status.links.iter().filter(|link| link.seen_generation() == 0).count();
    let listening = match (late, status.links.len()) {
        (0, 1..) => None,
        (late, all) => Some(format!("{late} of {all} cores do not listen yet")),
    };
    let silent = status.silent_cores().into_iter();
    vec![
        HealthCheck::of("shutdown", is_stopping.then(|| "the process is draining".to_owned())),
        HealthCheck::of("listening", listening),
        HealthCheck::of("cores", lost(status).or_else(|| named(silent, "silent"))),
    ]
}

fn lost(status: &ProcessStatus) -> Option<String> {
    status.is_lost().then(|| "a core is lost".to_owned())
}

fn named(cores: impl Iterator<Item = SilentCore>, what: &str) -> Option<String> {
    let cores: Vec<String> = cores.map(|silent| silent.core.to_string()).collect();
    (!cores.is_empty()).then(|| format!("{what}: core {}", cores.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::control::process::clock;
    use crate::setup::CoreLink;

    fn troubles(checks: &[HealthCheck]) -> Vec<&str> {
        checks.iter().filter_map(|check| check.trouble.as_deref()).collect()
    }

    #[test]
    fn ready_is_who_listens_on_every_core_and_does_not_drain() {
        let links: Vec<_> = (0..2).map(|core| Arc::new(CoreLink::new(core))).collect();
        let status = ProcessStatus::new(links.clone());
        let now = clock::monotonic();
        let ready = |stopping| troubles(&readiness(&status, stopping)).join("; ");
        links[0].acknowledge(1);
        assert_eq!(ready(false), "1 of 2 cores do not listen yet");
        links[1].acknowledge(1);
        assert_eq!(ready(false), "");
        assert_eq!(ready(true), "the process is draining");
        // Draining is not a reason to be killed.
        assert_eq!(troubles(&liveness(&status, now)), Vec::<&str>::new());
        status.set_lost();
        assert_eq!(
            (ready(false), troubles(&liveness(&status, now))),
            ("a core is lost".to_owned(), vec!["a core is lost"])
        );
    }

    /// A silent core gets no new connections soon; the process is killed for it only much later.
    #[test]
    fn a_silent_core_is_hung_after_a_while() {
        let link = Arc::new(CoreLink::new(0));
        link.acknowledge(1);
        let status = ProcessStatus::new(vec![link]);
        let since = clock::monotonic();
        status.set_silent_cores(vec![SilentCore { core: 0, since }]);
        assert_eq!(troubles(&readiness(&status, false)), ["silent: core 0"]);
        assert_eq!(troubles(&liveness(&status, since + HUNG_AFTER / 2)), Vec::<&str>::new());
        assert_eq!(troubles(&liveness(&status, since + HUNG_AFTER)), ["hung: core 0"]);
        status.set_silent_cores(Vec::new());
        assert_eq!(troubles(&liveness(&status, since + HUNG_AFTER)), Vec::<&str>::new());
    }
}
