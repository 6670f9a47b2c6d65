//! Keys of `[runtime]` whose change needs a restart or an upgrade.

use ferrule_config::model::Runtime;

/// What is said of those that have changed.
pub(super) fn of_fixed(started_with: &Runtime, now: &Runtime) -> Vec<String> {
    let words = |key| {
        format!("{key} cannot change by a reload; it stays as it was until a restart or an upgrade")
    };
    fixed_changes(started_with, now).into_iter().map(words).collect()
}

fn fixed_changes(started_with: &Runtime, now: &Runtime) -> Vec<&'static str> {
    [
        ("runtime.workers", started_with.workers != now.workers),
        ("runtime.cpu_affinity", started_with.cpu_affinity != now.cpu_affinity),
        ("runtime.ring_entries", started_with.ring_entries != now.ring_entries),
        ("runtime.io_driver", started_with.io_driver != now.io_driver),
        ("runtime.tls_fast_path", started_with.tls_fast_path != now.tls_fast_path),
        ("runtime.max_connections", started_with.max_connections != now.max_connections),
        ("runtime.pid_file", started_with.pid_file != now.pid_file),
        ("runtime.buffer_memory", started_with.buffer_memory != now.buffer_memory),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let started_with = ferrule_config::defaults().runtime;
        let mut now = started_with.clone();
        assert!(fixed_changes(&started_with, &now).is_empty());
        now.ring_entries += 1;
        now.shutdown_timeout += Duration::from_secs(1);
        assert_eq!(fixed_changes(&started_with, &now), ["runtime.ring_entries"]);
    }
}
