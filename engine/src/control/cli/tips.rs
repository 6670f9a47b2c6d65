//! What a wrong command line may have meant: words that are commands of other proxies, and file names.
//!
//! In: the error of the parser. Out: one sentence with the command to type, or nothing.

use std::path::Path;

use clap::Error;
use clap::error::{ContextKind, ContextValue};

/// A tip for this error.
pub(super) fn of(error: &Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let word = text(ContextKind::InvalidSubcommand).or_else(|| text(ContextKind::InvalidArg))?;
    if let Some(tip) = of_word(word) {
        return Some(tip.to_owned());
    }
    let names_file = word.contains(['.', '/']) || Path::new(word).is_file();
    (names_file && !word.starts_with('-')).then(|| {
        format!("`ferrule run {word}` serves with this file, `ferrule check {word}` only checks it")
    })
}

/// What nginx, HAProxy, Caddy, Traefik and Envoy call it.
fn of_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "-s" | "reload" => {
            "`ferrule ctl reload --wait` loads the configuration again, as SIGHUP does; SIGTERM stops"
        }
        "stop" | "quit" | "shutdown" => "SIGTERM lets running requests finish, then stops",
        "start" | "serve" | "server" => "`ferrule run FILE` serves",
        "test" | "validate" | "verify" | "configtest" | "lint" => {
            "`ferrule check FILE` checks a file"
        }
        "status" | "clients" | "certs" => "ask a running process with `ferrule ctl`",
        "version" | "-v" => "`ferrule --version` prints the versions",
        "adapt" | "-T" => "`ferrule dump FILE` prints the effective configuration",
        "-f" | "--file" | "--conf" | "--config-path" | "--configFile" | "--configfile" => {
            "`-c FILE` names the configuration"
        }
        "-g" | "-p" | "-q" | "-D" | "-d" | "--daemon" => {
            "everything is set in the configuration file, and `ferrule run` stays in the foreground"
        }
        _ => return None,
    })
}
