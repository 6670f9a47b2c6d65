//! `[log]`.

use super::writer::{Writer, list, template_text, text};
use crate::model::{
    AccessFormat, AccessLog, Config, LogFilter, LogTarget, OwnFormat, SyslogServer,
};
use crate::values::{duration_text, thousandths_text};
use crate::words::Word;

pub(super) fn dump_log(config: &Config, out: &mut Writer) {
    let log = &config.log;
    out.header("[log]");
    let (path, level) = (text(&target_text(&log.error)), text(log.level.word()));
    let format = text(log.error_format.word());
    out.line("error", format!("{{ path = {path}, level = {level}, format = {format} }}"));
    if let Some(access) = &log.access {
        out.line("access", access_text(access, config));
    }
    out.line("handshake_failures", log.handshake_failures);
    let targets = [Some(&log.error), log.access.as_ref().map(|access| &access.target)];
    let mut told = (false, false);
    for target in targets.into_iter().flatten() {
        match target {
            LogTarget::Syslog(syslog) if !told.0 => {
                told.0 = true;
                let server = match &syslog.server {
                    SyslogServer::Socket(path) => path.display().to_string(),
                    SyslogServer::Udp(address) => address.to_string(),
                };
                let [server, format, facility] =
                    [&server, syslog.format.word(), syslog.facility.word()].map(text);
                let line =
                    format!("{{ server = {server}, format = {format}, facility = {facility} }}");
                out.line("syslog", line);
            }
            LogTarget::Journald(socket) if !told.1 => {
                told.1 = true;
                let socket = text(&socket.display().to_string());
                out.line("journald", format!("{{ socket = {socket} }}"));
            }
            _ => {}
        }
    }
}

fn access_text(access: &AccessLog, config: &Config) -> String {
    let path = text(&target_text(&access.target));
    let format = match access.format.own() {
        Some(OwnFormat { template, escape }) => {
            format!("{}, escape = {}", template_text(template), text(escape.word()))
        }
        None if matches!(access.format, AccessFormat::Json) => text("json"),
        None => text("combined"),
    };
    let mut keys = vec![format!("path = {path}, format = {format}")];
    let LogFilter { routes, statuses, min_duration, sample } = &access.filter;
    if !routes.is_empty() {
        let ids = routes.iter().filter_map(|at| config.routes.get(*at));
        keys.push(format!("routes = {}", list(ids.map(|route| route.id.clone()))));
    }
    if !statuses.is_empty() {
        let words = statuses.iter().map(|range| {
            if range.start() == range.end() {
                range.start().to_string()
            } else {
                format!("{}xx", range.start() / 100)
            }
        });
        keys.push(format!("statuses = {}", list(words)));
    }
    if let Some(duration) = min_duration {
        keys.push(format!("min_duration = {}", text(&duration_text(*duration))));
    }
    if *sample < LogFilter::ALL {
        keys.push(format!("sample = {}", thousandths_text(u64::from(*sample))));
    }
    format!("{{ {} }}", keys.join(", "))
}

fn target_text(target: &LogTarget) -> String {
    match target {
        LogTarget::Stderr => "stderr".to_owned(),
        LogTarget::Stdout => "stdout".to_owned(),
        LogTarget::File(path) => path.display().to_string(),
        LogTarget::Syslog(_) => "syslog".to_owned(),
        LogTarget::Journald(_) => "journald".to_owned(),
    }
}
