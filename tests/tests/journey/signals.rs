//! Signals: those that say something do what the documents say, and no other one ends the process.

use ferrule_tests::{
    PATIENCE, Reloaded, Upstream, echo, on_both_drivers, poll, raw, scratch, shell,
};

use crate::plain_gateway;

/// Those that end a process by their nature (KILL, STOP), that tell of a fault of the process itself
/// (ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS), that stop Ferrule (INT, QUIT, TERM), or replace it (USR2).
const NOT_TRIED: [u32; 13] = [2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 19, 31];

on_both_drivers! {
    /// Every signal of Linux, real-time signals and the two that the C library keeps for itself included.
    fn no_other_signal_ends_or_stops_the_process(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        for number in (1..=64).filter(|number| !NOT_TRIED.contains(number)) {
            shell(scratch.path(), &format!("kill -{number} {}", gateway.process.id()));
            let answer = raw::plain_get(gateway.port("front"), "x", "/");
            assert_eq!(answer.status(), 200, "signal {number}\n{}", gateway.log());
            assert!(gateway.process.exited().is_none(), "signal {number}\n{}", gateway.log());
        }
        for name in ["SIGALRM", "SIGTTIN", "SIGTSTP", "SIGIO", "SIGPWR", "real-time signal 34"] {
            let logged = poll(PATIENCE, || gateway.log().contains(&format!("{name} is ignored")).then_some(()));
            assert!(logged.is_some(), "{name}\n{}", gateway.log());
        }
        // Signal 34 comes behind them. They come with every stop (systemd, timeout) and with every terminal.
        for name in ["SIGCONT", "SIGWINCH"] {
            assert!(!gateway.log().contains(name), "{name}\n{}", gateway.log());
        }
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert!(gateway.stop().success(), "{}", gateway.log());
    }

    /// A flood of them costs a bounded number of lines, and a stop comes through.
    fn a_flood_of_signals_keeps_nobody_from_stopping(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let id = gateway.process.id();
        shell(scratch.path(), &format!("for i in $(seq 3000); do kill -ALRM {id}; kill -40 {id}; done"));
        assert!(gateway.stop().success(), "{}", gateway.log());
        let lines = gateway.log().lines().filter(|line| line.contains("is ignored")).count();
        assert!((2..200).contains(&lines), "{lines} lines");
    }
}
