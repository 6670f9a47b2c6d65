//! Waits for the cores: until they serve what was posted to them.

use std::sync::Arc;
use std::time::Duration;

use crate::control::process::clock;
use crate::setup::CoreLink;

/// How often the acknowledgements of the cores are checked.
const CORES_CHECK_EVERY: Duration = Duration::from_millis(2);

/// Waits until every core serves this generation or a newer one. Returns the cores that do not in time.
#[must_use]
pub(crate) fn wait_for_cores(links: &[Arc<CoreLink>], number: u64, patience: Duration) -> Vec<u32> {
    let started = clock::monotonic();
    loop {
        let late = links.iter().filter(|link| link.seen_generation() < number);
        let late: Vec<u32> = late.map(|link| link.core).collect();
        if late.is_empty() || started.elapsed() >= patience {
            return late;
        }
        std::thread::park_timeout(CORES_CHECK_EVERY);
    }
}

/// Waits until every core listens as the newest handover wants. Returns the cores that do not in time.
#[must_use]
pub(super) fn wait_for_handover(links: &[Arc<CoreLink>], patience: Duration) -> Vec<u32> {
    let started = clock::monotonic();
    loop {
        let late = links.iter().filter(|link| !link.has_newest_handover());
        let late: Vec<u32> = late.map(|link| link.core).collect();
        if late.is_empty() || started.elapsed() >= patience {
            return late;
        }
        std::thread::park_timeout(CORES_CHECK_EVERY);
    }
}

/// What is said of cores that are late.
pub(super) fn of_late(cores: &[u32]) -> Vec<String> {
    let words = |core| format!("core {core} has not taken the new generation yet");
    cores.iter().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_cores_are_named() {
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        links[0].acknowledge(3);
        assert_eq!(wait_for_cores(&links, 3, Duration::ZERO), [1]);
        links[1].acknowledge(4);
        assert!(wait_for_cores(&links, 3, Duration::ZERO).is_empty());
    }
}
