//! The section `global`, and durations.

use crate::report::Kind;
use crate::work::Work;

use super::files::ProxyFiles;
use super::tls_words::{cipher_suites, curves};
use super::words::ConfigLine;

/// What holds for every section.
#[derive(Debug, Default)]
pub(super) struct HaproxyGlobal {
    pub(super) bind_options: Vec<ConfigLine>,
    pub(super) bind_ciphers: Option<String>,
    pub(super) bind_suites: Option<String>,
    pub(super) bind_curves: Option<Vec<toml::Value>>,
    pub(super) server_options: Vec<ConfigLine>,
    pub(super) server_ciphers: Option<String>,
    pub(super) server_suites: Option<String>,
    /// `ssl-server-verify none`: servers are not verified unless their line says so.
    pub(super) servers_unverified: bool,
    pub(super) maxconn: Option<u64>,
}

/// Lines about the process, which `[runtime]`, `[log]` and the service manager have here.
const PROCESS: [&str; 29] = [
    "chroot",
    "user",
    "group",
    "uid",
    "gid",
    "daemon",
    "pidfile",
    "nbthread",
    "nbproc",
    "cpu-map",
    "log",
    "log-tag",
    "log-send-hostname",
    "master-worker",
    "node",
    "description",
    "hard-stop-after",
    "ulimit-n",
    "spread-checks",
    "no",
    "lua-load",
    "lua-prepend-path",
    "localpeer",
    "server-state-base",
    "server-state-file",
    "external-check",
    "insecure-fork-wanted",
    "expose-fd",
    "set-dumpable",
];

/// Reads it.
pub(super) fn read(lines: &[ConfigLine], files: &mut ProxyFiles, work: &Work) -> HaproxyGlobal {
    let mut global = HaproxyGlobal::default();
    for line in lines {
        let value = line.word(1);
        match line.word(0) {
            "ca-base" => files.ca_base = Some(files.path(value)),
            "crt-base" => files.crt_base = Some(files.path(value)),
            "ssl-default-bind-options" => global.bind_options.push(line.clone()),
            "ssl-default-bind-ciphers" => global.bind_ciphers = cipher_suites(line, 1, value, work),
            "ssl-default-bind-ciphersuites" => {
                global.bind_suites = cipher_suites(line, 1, value, work);
            }
            "ssl-default-bind-curves" => global.bind_curves = curves(line, 1, value, work),
            "ssl-default-server-options" => global.server_options.push(line.clone()),
            "ssl-default-server-ciphers" => {
                global.server_ciphers = cipher_suites(line, 1, value, work);
            }
            "ssl-default-server-ciphersuites" => {
                global.server_suites = cipher_suites(line, 1, value, work);
            }
            "ssl-server-verify" => match value {
                "none" => global.servers_unverified = true,
                "required" => global.servers_unverified = false,
                _ => line.refuse(work, 1, "`none` or `required` is needed"),
            },
            "maxconn" => global.maxconn = number(line, 1, 1..=10_000_000, work),
            "stats" | "ssl-dh-param-file" | "ssl-engine" | "ssl-mode-async" => {
                line.say(work, Kind::Dropped, 0, "this is not imported");
            }
            word if PROCESS.contains(&word) || word.starts_with("tune.") => {
                line.say(
                    work,
                    Kind::Dropped,
                    0,
                    "the process is set up by [runtime], [log] and [metrics]",
                );
            }
            word => line.refuse(work, 0, format!("`{word}` is not converted")),
        }
    }
    global
}

/// A number in `range`.
pub(super) fn number(
    line: &ConfigLine,
    at: usize,
    range: std::ops::RangeInclusive<u64>,
    work: &Work,
) -> Option<u64> {
    let found = line.word(at).parse().ok().filter(|number| range.contains(number));
    if found.is_none() {
        let (least, most) = (range.start(), range.end());
        line.refuse(work, at, format!("{:?} is no number from {least} to {most}", line.word(at)));
    }
    found
}

/// A duration, milliseconds unless it says otherwise, as text of Ferrule's.
pub(super) fn duration(line: &ConfigLine, at: usize, work: &Work) -> Option<u64> {
    let word = line.word(at);
    let digits = word
        .len()
        .saturating_sub(word.trim_start_matches(|mark: char| mark.is_ascii_digit()).len());
    let (count, unit) = word.split_at_checked(digits).unwrap_or_default();
    let factor = match unit {
        "us" => Some(0),
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let found = match (count.parse::<u64>(), factor) {
        (Ok(count), Some(0)) => Some(count.div_ceil(1_000)),
        (Ok(count), Some(factor)) => count.checked_mul(factor),
        _ => None,
    };
    let found = found.filter(|found| (1..=86_400_000).contains(found));
    if found.is_none() {
        line.refuse(work, at, format!("{word:?} is no duration from 1ms to 1d"));
    }
    found
}

/// Milliseconds as text.
pub(super) fn text(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1_000) {
        format!("{}s", milliseconds / 1_000)
    } else {
        format!("{milliseconds}ms")
    }
}
