//! The environment variables of the process, for `${env:NAME}` in the configuration file.

/// Values of the environment, for `${env:NAME}` in the configuration.
#[expect(clippy::disallowed_methods, reason = "the configuration file asks for these by name")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
