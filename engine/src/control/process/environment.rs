//! The environment variables of the process: for `${env:NAME}` in the configuration file, and those that tell
//! how it was started.

/// Values of the environment, for `${env:NAME}` in the configuration.
#[expect(clippy::disallowed_methods, reason = "the configuration file asks for these by name")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `FERRULE_UPGRADE`, which a former process sets (`control/upgrade`).
#[expect(clippy::disallowed_methods, reason = "the former process says by it that it is one")]
pub(crate) fn upgrade() -> Option<String> {
    std::env::var("FERRULE_UPGRADE").ok()
}

/// `PATH`, in which the shell has found the program.
pub(crate) fn search_path() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// What a service manager says to a process that it starts (`sd_notify(3)`, `sd_watchdog_enabled(3)`).
#[derive(Debug)]
pub(crate) struct ManagerVariables {
    /// Where it listens.
    pub(crate) notify_socket: Option<String>,
    /// How long it waits for a sign of life.
    pub(crate) watchdog_usec: Option<String>,
    /// Whose.
    pub(crate) watchdog_pid: Option<String>,
}

/// These variables.
#[expect(clippy::disallowed_methods, reason = "the service manager speaks by them")]
pub(crate) fn service_manager() -> ManagerVariables {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    ManagerVariables {
        notify_socket: variable("NOTIFY_SOCKET"),
        watchdog_usec: variable("WATCHDOG_USEC"),
        watchdog_pid: variable("WATCHDOG_PID"),
    }
}
