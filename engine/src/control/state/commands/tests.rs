//! Commands in every order.

use super::*;

const EVERY: Duration = Duration::from_millis(500);

/// What an operator, a script or a stranger at the admin socket may send, in any order.
fn give(pending: &mut PendingCommands, which: u32) {
    match which % 4 {
        0 => pending.reopen = true,
        1 => drop(pending.reload(None)),
        2 => drop(pending.reload(Some(u64::from(which)))),
        _ => {}
    }
}

/// A cheap sequence that is the same in every run.
fn next(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 8
}

/// However many commands there are, and however long each takes: files are checked when that is due,
/// late by one job at most; and a reload is done between two checks.
#[test]
fn commands_do_not_delay_a_check_nor_checks_a_command() {
    for mut seed in 0..200 {
        let mut now = clock::monotonic();
        let mut pending = PendingCommands::default();
        let (mut due, mut wanted_since) = (now + EVERY, None);
        for _ in 0..500 {
            for _ in 0..next(&mut seed) % 5 {
                give(&mut pending, next(&mut seed));
            }
            if pending.reload {
                wanted_since.get_or_insert(now);
            }
            let takes = Duration::from_millis(u64::from(next(&mut seed) % 1_000));
            match pending.next_job(now, due) {
                Some(LoaderJob::CheckFiles) => {
                    assert!(now - due <= Duration::from_secs(1), "{:?} late", now - due);
                    now += takes;
                    due = now + EVERY;
                }
                Some(LoaderJob::Reload(_)) => {
                    let waited = wanted_since.take().map(|since| now - since);
                    assert!(waited.is_some_and(|waited| waited <= Duration::from_secs(1)));
                    assert!(pending.tickets.is_empty() && !pending.reload, "all of them at once");
                    now += takes;
                }
                Some(other) => unreachable!("{other:?} was not commanded"),
                None => now = due,
            }
        }
    }
}

#[test]
fn to_stop_goes_before_everything_and_ends_reloads() {
    let commands = CommandQueue::default();
    let now = clock::monotonic();
    for ticket in 0..300 {
        assert!(commands.reload(Some(ticket)));
        commands.reopen_logs();
    }
    commands.stop();
    assert!(!commands.reload(None) && !commands.reload(Some(300)));
    commands.stop();
    let taken: Vec<_> = std::iter::from_fn(|| commands.next_command(now)).collect();
    assert_eq!(
        taken,
        [
            SupervisorCommand::Stop,
            SupervisorCommand::Stop,
            SupervisorCommand::ReopenLogs,
            SupervisorCommand::TooLate
        ]
    );
    assert_eq!(commands.take_unserved().len(), 300);
    assert_eq!(commands.next_job(now), LoaderJob::CheckFiles, "files are still checked");
    commands.end_loader();
    assert_eq!(commands.next_job(now + EVERY), LoaderJob::End);
}

#[test]
fn a_thousand_reloads_are_one() {
    let commands = CommandQueue::default();
    let later = clock::monotonic() + EVERY;
    for ticket in 0..1_000 {
        assert!(commands.reload((ticket < 2).then_some(ticket)));
    }
    assert_eq!(commands.next_job(later), LoaderJob::Reload(vec![0, 1]));
    assert!(commands.pending().next_job(clock::monotonic(), later).is_none());
}

/// The thread that reads files hangs in a file system that has gone away: it never gets anywhere.
#[test]
fn a_stop_does_not_wait_for_files() {
    let commands = CommandQueue::default();
    commands.stop();
    assert_eq!(commands.wait_for_start(), LoaderProgress::Starting);
    assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
    assert!(!commands.wait_for_end(clock::monotonic()));
}

#[test]
fn one_upgrade_goes_on_at_a_time_and_reloads_wait() {
    let commands = CommandQueue::default();
    let job = || commands.pending().next_job(clock::monotonic(), clock::monotonic() + EVERY);
    assert_eq!(commands.upgrade(), Ok(1));
    assert_eq!(commands.upgrade(), Err(UPGRADING));
    assert!(commands.reload(None) && commands.is_upgrading());
    assert_eq!((job(), job()), (Some(LoaderJob::Upgrade(1)), None));
    commands.end_offer();
    assert_eq!((job(), job()), (Some(LoaderJob::EndUpgrade), None));
    assert!(commands.hold_stops());
    commands.end_upgrade(false);
    assert_eq!((job(), job()), (Some(LoaderJob::Reload(Vec::new())), None));
    assert!(!commands.is_upgrading() && !commands.has_handed_over());
    assert_eq!(commands.upgrade(), Ok(2));
    commands.stop();
    assert!(!commands.hold_stops(), "this process is to end");
    commands.end_upgrade(false);
    assert_eq!(commands.upgrade(), Err(NO_UPGRADE));
}

/// What comes while the new process begins to accept waits, and is for both.
#[test]
fn a_stop_waits_until_it_is_known_who_drains() {
    let commands = CommandQueue::default();
    assert_eq!(commands.upgrade(), Ok(1));
    assert!(commands.hold_stops());
    commands.stop();
    assert_eq!(commands.next_command(clock::monotonic()), None);
    let both = Overtaken { stop: true, ..Overtaken::default() };
    assert_eq!(commands.end_upgrade(true), both);
    assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
    assert_eq!(commands.next_command(clock::monotonic()), None, "it drains");
    let commands = CommandQueue::default();
    assert_eq!(commands.upgrade(), Ok(1));
    assert!(commands.hold_stops() && commands.reload(Some(7)));
    let passed_on = Overtaken { stop: false, reload: true, tickets: vec![7] };
    assert_eq!(commands.end_upgrade(true), passed_on);
    assert!(commands.take_unserved().is_empty());
    assert!(commands.has_handed_over() && commands.is_stopping());
    assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
}

/// The new process: what comes between "go" and "serving" waits, and then it is the one that drains.
#[test]
fn a_stop_of_the_new_process_waits_until_it_serves() {
    let commands = CommandQueue::default();
    assert!(commands.hold_stops());
    commands.stop();
    assert!(commands.is_stopping() && commands.next_command(clock::monotonic()).is_none());
    commands.end_upgrade(false);
    assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
    assert!(!commands.is_abandoned());
    let commands = CommandQueue::default();
    assert!(commands.hold_stops());
    commands.abandon();
    assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
    assert!(commands.is_abandoned());
}
