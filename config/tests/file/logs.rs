//! `[log]`: places of lines, and which requests get one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::{Facility, LogFilter, LogTarget, Syslog, SyslogFormat, SyslogServer};
use ferrule_config::read_text;

use crate::problems::{LISTEN, ROUTE};

fn config(log: &str) -> Config {
    let text = format!("{LISTEN}[log]\n{log}\n{ROUTE}");
    let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None).unwrap();
    let config = draft.finish().unwrap();
    // What is dumped reads back as the same.
    let again = read_text(Path::new("/etc/ferrule.toml"), config.dump(), &|_| None).unwrap();
    assert_eq!(again.finish().unwrap().dump(), config.dump());
    config
}

fn syslog(keys: &str) -> Syslog {
    let found = config(&format!("error = 'syslog'\nsyslog = {{ {keys} }}")).log.error;
    let LogTarget::Syslog(syslog) = found else { panic!("{found:?}") };
    syslog
}

#[test]
fn a_syslog_server_is_a_socket_or_an_address() {
    let local = Syslog {
        server: SyslogServer::Socket("/dev/log".into()),
        format: SyslogFormat::Rfc3164,
        facility: Facility::Daemon,
    };
    assert_eq!(syslog(""), local);
    for (text, address) in [
        ("10.0.0.5:5514", "10.0.0.5:5514"),
        ("10.0.0.5", "10.0.0.5:514"),
        ("fd00::5", "[fd00::5]:514"),
        ("[fd00::5]:99", "[fd00::5]:99"),
    ] {
        let server = SyslogServer::Udp(address.parse().unwrap());
        let found = syslog(&format!("server = '{text}', facility = 'local7'"));
        let wanted = Syslog { server, format: SyslogFormat::Rfc5424, facility: Facility::Local7 };
        assert_eq!(found, wanted, "{text}");
    }
    assert_eq!(syslog("format = 'rfc5424'").format, SyslogFormat::Rfc5424);
    let both = config("error = 'journald'\naccess = 'journald'\njournald = { socket = './j' }").log;
    assert_eq!(both.error, LogTarget::Journald("/etc/./j".into()));
    assert_eq!(both.access.unwrap().target, both.error);
}

#[test]
fn a_filter_has_what_is_written_and_its_defaults() {
    let filter = |keys: &str| {
        config(&format!("access = {{ path = 'a' {keys} }}")).log.access.unwrap().filter
    };
    assert_eq!(filter(""), LogFilter::default());
    assert!(filter("").is_everything());
    let errors = filter(", statuses = ['5xx', '404'], min_duration = '2s'");
    let wanted = LogFilter {
        routes: Vec::new(),
        statuses: vec![500..=599, 404..=404],
        min_duration: Some(Duration::from_secs(2)),
        sample: 0,
    };
    assert_eq!(errors, wanted);
    assert_eq!(filter(", sample = 0.015").sample, 15);
    assert_eq!(filter(", statuses = '4xx', sample = 0.5").sample, 500);
}

#[test]
fn what_means_nothing_is_refused() {
    for (log, field, words) in [
        (
            "error = 'syslog'\nsyslog.server = 'loghost:514'",
            "log.syslog.server",
            "neither a path nor an address",
        ),
        (
            "error = 'syslog'\nsyslog.server = '10.0.0.5:0'",
            "log.syslog.server",
            "neither a path nor an address",
        ),
        ("syslog.facility = 'user'", "log.syslog", "no log goes to syslog"),
        ("journald.socket = '/x'", "log.journald", "no log goes to journald"),
        ("error = 'journald'\njournald.socket = ''", "log.journald.socket", "1 to 107 bytes"),
        (
            "access = { path = 'a', statuses = ['6xx'] }",
            "log.access.statuses",
            "`6xx` is no status",
        ),
        ("access = { path = 'a', statuses = ['99'] }", "log.access.statuses", "`99` is no status"),
        (
            "access = { path = 'a', routes = ['nope'] }",
            "log.access.routes",
            "no [[routes]] with the id `nope`",
        ),
        ("access = { path = 'a', sample = 0 }", "log.access.sample", "no request would be written"),
        (
            "access = { path = 'a', statuses = ['5xx'], sample = 1 }",
            "log.access.sample",
            "choose nothing",
        ),
        ("access = { path = 'a', sample = 1.5 }", "log.access.sample", "no such number"),
    ] {
        let text = format!("{LISTEN}[log]\n{log}\n{ROUTE}");
        let problems = match read_text(Path::new("/etc/ferrule.toml"), text, &|_| None) {
            Ok(draft) => draft.problems,
            Err(problems) => problems,
        };
        let told = problems.to_string();
        assert!(told.contains(&format!("{field}: ")) && told.contains(words), "{log}\n{told}");
    }
}
