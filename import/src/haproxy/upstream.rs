//! A `backend` and its servers, as an `[[upstreams]]`.

use toml::Value as Toml;

use crate::fields::{plain, put};
use crate::report::Kind;
use crate::work::Work;

use super::files::ProxyFiles;
use super::global::{HaproxyGlobal, text};
use super::proxy::ProxyLines;
use super::sample::{FrontScene, SampleExpression};
use super::server::{ServerCheck, ServerEntry};
use super::words::ConfigLine;

/// The id of a section in the new file.
pub(super) fn id(name: &str) -> String {
    name.chars()
        .map(|mark| if mark.is_ascii_alphanumeric() || "-_.".contains(mark) { mark } else { '-' })
        .collect()
}

/// Converts the servers of a section. `None` if it has none: it answers 503 then.
pub(super) fn convert(
    proxy: &ProxyLines<'_>,
    global: &HaproxyGlobal,
    files: &ProxyFiles,
    work: &Work,
) -> Option<toml::Table> {
    let servers: Vec<ServerEntry> = proxy
        .servers
        .iter()
        .map(|words| ServerEntry::read(words, global, files, work))
        .filter(|server| !server.disabled)
        .collect();
    let first = servers.first()?;
    let mut table = toml::Table::new();
    put(&mut table, "id", Some(id(&proxy.section.name)));
    balance(proxy.balance, &mut table, work);
    let nodes = servers.iter().map(|server| Toml::Table(server.node.clone())).collect();
    put(&mut table, "nodes", Some(Toml::Array(nodes)));
    for server in &servers {
        if server.tls != first.tls || server.slow_start != first.slow_start {
            server.line.refuse(
                work,
                0,
                "the servers of a backend must share their TLS settings and `slowstart`: write a backend for each",
            );
        }
        if server.proxy_protocol != first.proxy_protocol {
            server.line.refuse(
                work,
                0,
                "all servers of a backend get the same PROXY protocol header",
            );
        }
    }
    if let Some(tls) = &first.tls {
        put(&mut table, "scheme", Some("https"));
        put(&mut table, "tls", Some(tls.clone()));
    }
    put(&mut table, "slow_start", first.slow_start.map(text));
    put(&mut table, "proxy_protocol", first.proxy_protocol);
    timeouts(proxy, &mut table);
    if let Some(retries) = proxy.retries {
        put(&mut table, "retries", i64::try_from(retries).ok());
    }
    let checked: Vec<&ServerCheck> =
        servers.iter().filter_map(|server| server.check.as_ref()).collect();
    if let Some(check) = checked.first() {
        if checked.len() < servers.len() || checked.iter().any(|other| other != check) {
            first.line.changed(
                work,
                0,
                "all servers of the backend are checked, as the first that is",
            );
        }
        let active = active(proxy, check, first.tls.is_some(), work);
        let checks = [("active".to_owned(), Toml::Table(active))].into_iter().collect();
        put(&mut table, "checks", Some(Toml::Table(checks)));
    } else if let Some(line) = proxy.check {
        line.say(work, Kind::Dropped, 0, "no server has `check`");
    }
    Some(table)
}

fn balance(line: Option<&ConfigLine>, table: &mut toml::Table, work: &Work) {
    let Some(line) = line else { return };
    let mut hashed = |on: Option<&str>, key: &str| {
        put(table, "type", Some("chash"));
        put(table, "hash_on", on);
        put(table, "key", Some(key));
        line.changed(
            work,
            1,
            "keys are hashed consistently (ketama): a key may now lead to another server",
        );
    };
    let word = line.word(1);
    let sample = SampleExpression::parse(word).ok();
    let sample = sample.filter(|one| one.understood().is_ok() && one.converters.is_empty());
    let argument = sample.as_ref().map(SampleExpression::argument).unwrap_or_default();
    match sample.as_ref().map_or("", |sample| sample.name.as_str()) {
        "roundrobin" | "static-rr" => {}
        "leastconn" => put(table, "type", Some("least_conn")),
        "random" => put(table, "type", Some("random")),
        "source" => hashed(None, "remote_addr"),
        "uri" => hashed(None, "uri"),
        "hdr" if !argument.is_empty() => hashed(Some("header"), &argument),
        "url_param" => hashed(None, &format!("arg_{}", line.word(2))),
        "hash" => {
            let found = SampleExpression::parse(line.word(2))
                .and_then(|sample| sample.template(FrontScene::default()));
            match found {
                Ok(found) => hashed(Some("vars_combinations"), &found.text),
                Err(message) => line.refuse(work, 2, message),
            }
        }
        _ => line.refuse(work, 1, format!("`balance {word}` is not converted")),
    }
}

fn timeouts(proxy: &ProxyLines<'_>, table: &mut toml::Table) {
    let mut timeout = toml::Table::new();
    let time = |name: &str| proxy.timeouts.get(name).copied().map(text);
    put(&mut timeout, "connect", time("connect"));
    put(&mut timeout, "send", time("server"));
    put(&mut timeout, "read", time("server"));
    if !timeout.is_empty() {
        put(table, "timeout", Some(timeout));
    }
    let bounded = proxy.servers.iter().any(|server| {
        [server.line]
            .into_iter()
            .chain(server.defaults.iter().copied())
            .any(|line| line.words.iter().any(|word| word.text == "maxconn"))
    });
    // A request waits as long as a connection may take, unless `timeout queue` says otherwise.
    if let Some(wait) = time("queue").or_else(|| time("connect")).filter(|_| bounded) {
        let queue: toml::Table = [("timeout".to_owned(), Toml::String(wait))].into_iter().collect();
        put(table, "queue", Some(queue));
    }
}

fn active(proxy: &ProxyLines<'_>, check: &ServerCheck, tls: bool, work: &Work) -> toml::Table {
    let mut active = toml::Table::new();
    let mut healthy = toml::Table::new();
    let mut unhealthy = toml::Table::new();
    put(&mut healthy, "interval", Some(text(check.inter)));
    put(&mut unhealthy, "interval", Some(text(check.down_inter.unwrap_or(check.inter))));
    put(&mut healthy, "successes", i64::try_from(check.rise).ok());
    let fall = i64::try_from(check.fall).ok();
    put(&mut unhealthy, "tcp_failures", fall);
    put(&mut unhealthy, "timeouts", fall);
    let timeout = proxy.timeouts.get("check").copied().unwrap_or(check.inter);
    put(&mut active, "timeout", Some(text(timeout)));
    put(&mut active, "port", check.port.map(i64::from));
    if let Some(line) = proxy.check {
        put(&mut unhealthy, "http_failures", fall);
        http_check(line, proxy, &mut active, work);
        let expected = expected(proxy, work);
        let (good, bad): (Vec<i64>, Vec<i64>) =
            (100..600).partition(|status| expected.contains(status));
        let list =
            |statuses: Vec<i64>| Toml::Array(statuses.into_iter().map(Toml::Integer).collect());
        put(&mut healthy, "http_statuses", Some(list(good)));
        put(&mut unhealthy, "http_statuses", Some(list(bad)));
        put(&mut active, "type", (check.plain && tls).then_some("http"));
    } else {
        put(&mut active, "type", Some("tcp"));
        if tls {
            check.line.changed(
                work,
                0,
                "a check without `option httpchk` connects, and makes no TLS handshake",
            );
        }
    }
    put(&mut active, "healthy", Some(healthy));
    put(&mut active, "unhealthy", Some(unhealthy));
    active
}

fn http_check(line: &ConfigLine, proxy: &ProxyLines<'_>, active: &mut toml::Table, work: &Work) {
    let words: Vec<&str> = line.words.iter().skip(2).map(|word| word.text.as_str()).collect();
    let (mut method, mut path) = match words.as_slice() {
        [] => ("OPTIONS", "/"),
        [path] => ("OPTIONS", *path),
        [method, path, ..] => (*method, *path),
    };
    let mut headers = Vec::new();
    for step in proxy.check_steps.iter().filter(|step| step.word(1) == "send") {
        let mut at = 2;
        while at < step.words.len() {
            let value = step.words.get(at.saturating_add(1)).map_or("", |word| word.text.as_str());
            match step.word(at) {
                "meth" => method = value,
                "uri" => path = value,
                "ver" => {}
                "hdr" => {
                    let text = step.word(at.saturating_add(2));
                    if value.eq_ignore_ascii_case("host") {
                        put(active, "host", Some(plain(text)));
                    } else {
                        headers.push(plain(&format!("{value}: {text}")));
                    }
                    at = at.saturating_add(1);
                }
                word => step.refuse(work, at, format!("`http-check send {word}` is not converted")),
            }
            at = at.saturating_add(2);
        }
    }
    if method != "GET" {
        line.changed(work, 0, format!("checks ask with GET, and not with {method}"));
    }
    put(active, "http_path", Some(plain(path)));
    put(active, "req_headers", (!headers.is_empty()).then_some(Toml::Array(headers)));
}

/// Statuses that pass: 200 to 399 where none are said.
fn expected(proxy: &ProxyLines<'_>, work: &Work) -> Vec<i64> {
    let mut all = None;
    for step in &proxy.check_steps {
        match (step.word(1), step.word(2)) {
            ("send", _) => {}
            ("expect", "status") => {
                let list: Option<Vec<Vec<i64>>> = step.word(3).split(',').map(range).collect();
                match list {
                    Some(list) => all = Some(list.concat()),
                    None => step.refuse(work, 3, "statuses from 100 to 599 are needed"),
                }
            }
            _ => step.refuse(work, 1, "of `http-check`, `send` and `expect status` are converted"),
        }
    }
    all.unwrap_or_else(|| (200..400).collect())
}

fn range(text: &str) -> Option<Vec<i64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
    (first >= 100 && last < 600 && first <= last).then(|| (first..=last).collect())
}
