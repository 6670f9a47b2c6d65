//! What holds for the whole process: `[http]`, `[log]`, and pages for errors.

use toml::Value as Toml;

use crate::fields::{network, plain};
use crate::proof::Draft;

use super::job::{Job, Refused};
use super::listen::ServerBlock;
use super::scope::Scope;
use super::tree::Directive;
use super::units::{bytes, duration};
use super::variables::Fixed;

/// nginx's own limit of request bodies.
const BODY: i64 = 1 << 20;

/// nginx's `combined`.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";

/// A directive whose value here holds for all servers.
enum Shape {
    Duration,
    Number,
    Flag,
}

/// Such directives, and the keys of `[http]`.
const KEYS: [HttpKey; 6] = [
    HttpKey {
        nginx: "client_header_timeout",
        ours: "client_header_timeout",
        shape: Shape::Duration,
    },
    HttpKey { nginx: "client_body_timeout", ours: "client_body_timeout", shape: Shape::Duration },
    HttpKey { nginx: "send_timeout", ours: "send_timeout", shape: Shape::Duration },
    HttpKey { nginx: "keepalive_timeout", ours: "keepalive_timeout", shape: Shape::Duration },
    HttpKey { nginx: "keepalive_requests", ours: "keepalive_requests", shape: Shape::Number },
    HttpKey { nginx: "underscores_in_headers", ours: "underscores_in_headers", shape: Shape::Flag },
];

struct HttpKey {
    nginx: &'static str,
    ours: &'static str,
    shape: Shape,
}

/// Writes `[http]` and `[log]`.
pub(super) fn write(
    job: &Job<'_>,
    servers: &[ServerBlock<'_>],
    pages: toml::Table,
    draft: &mut Draft,
) -> Result<(), Refused> {
    let mut http = toml::Table::new();
    for key in &KEYS {
        if let Some(line) = agreed(job, servers, key.nginx)? {
            let text = line.arg(0);
            let value = match key.shape {
                Shape::Duration => duration(text).filter(|time| time != "0s").map(Toml::from),
                Shape::Number => text.parse::<i64>().ok().map(Toml::from),
                Shape::Flag => Some(Toml::from(text == "on")),
            };
            let Some(value) = value else {
                job.refuse(line, "this value is not converted");
                return Err(Refused);
            };
            http.insert(key.ours.to_owned(), value);
        }
    }
    if let Some(line) = agreed(job, servers, "large_client_header_buffers")? {
        let size = bytes(line.arg(1)).and_then(|size| i64::try_from(size).ok());
        let count: i64 = line.arg(0).parse().unwrap_or(1);
        let whole = size.and_then(|size| size.checked_mul(count)).unwrap_or(0);
        let within = whole.clamp(1 << 10, 64 << 10);
        if within != whole {
            job.changed(line, format!("a request head may have {within} bytes"));
        }
        http.insert("large_client_header_buffers".to_owned(), Toml::from(within));
    }
    let size = match job.http.one("client_max_body_size") {
        None => BODY,
        Some(line) => match bytes(line.arg(0)).and_then(|size| i64::try_from(size).ok()) {
            Some(size) => size,
            None => {
                job.refuse(line, "this is no size, as `10m`");
                return Err(Refused);
            }
        },
    };
    http.insert("client_max_body_size".to_owned(), Toml::from(size));
    for (name, wanted) in [("merge_slashes", "on"), ("ignore_invalid_headers", "on")] {
        if let Some(line) = agreed(job, servers, name)?.filter(|line| line.arg(0) != wanted) {
            job.refuse(line, format!("it is always `{wanted}` here"));
            return Err(Refused);
        }
    }
    real_ip(job, servers, &mut http)?;
    if !pages.is_empty() {
        http.insert("error_pages".to_owned(), Toml::Table(pages));
    }
    log(job, servers, draft)?;
    draft.push_own("http", http, false);
    Ok(())
}

/// The directive that holds in every server; refused if servers say different things, as there is one for all here.
fn agreed<'a>(
    job: &Job<'a>,
    servers: &[ServerBlock<'a>],
    name: &str,
) -> Result<Option<&'a Directive>, Refused> {
    let mut first: Option<Option<&'a Directive>> = None;
    for server in servers {
        let one = server.scope.one(name);
        let texts = |one: Option<&'a Directive>| one.map(|line| line.texts().collect::<Vec<_>>());
        if let Some(first) = first
            && texts(first) != texts(one)
            && let Some(line) = one.or(first)
        {
            job.refuse(line, "servers have different values, and there is one for all of them here: put it into `http`");
            return Err(Refused);
        }
        first = Some(one);
        let own = server.directive.locations();
        if let Some(line) =
            own.into_iter().flat_map(Directive::inner).find(|line| line.name == name)
        {
            job.changed(
                line,
                "there is one value for all requests here: that of a location is left out",
            );
        }
    }
    Ok(first.flatten())
}

fn real_ip(
    job: &Job<'_>,
    servers: &[ServerBlock<'_>],
    http: &mut toml::Table,
) -> Result<(), Refused> {
    let Some(line) = agreed(job, servers, "set_real_ip_from")? else { return Ok(()) };
    let scope = servers.first().map_or(&job.http, |server| &server.scope);
    let texts = |scope: &Scope<'_>| -> Vec<String> {
        let lines = scope.all("set_real_ip_from");
        lines.iter().flat_map(|line| line.texts().map(str::to_owned)).collect()
    };
    let differs = servers.iter().find(|server| texts(&server.scope) != texts(scope));
    if let Some(server) = differs {
        let line = server.scope.one("set_real_ip_from").unwrap_or(line);
        job.refuse(line, "servers believe different addresses (`set_real_ip_from`), and there is one list for all of them here: put it into `http`");
        return Err(Refused);
    }
    let mut table = toml::Table::new();
    let header = agreed(job, servers, "real_ip_header")?;
    let name = header.map_or("X-Real-IP", |line| line.arg(0));
    if name == "proxy_protocol"
        && let Some(line) = header
    {
        job.refuse(line, "write a [[listen]] with `proxy_protocol` by hand");
        return Err(Refused);
    }
    let source = format!("http_{}", name.to_ascii_lowercase().replace('-', "_"));
    table.insert("source".to_owned(), Toml::from(source));
    let trusted = scope.all("set_real_ip_from").iter().map(|line| network(line.arg(0))).collect();
    table.insert("trusted_addresses".to_owned(), Toml::Array(trusted));
    if agreed(job, servers, "real_ip_recursive")?.is_some_and(|line| line.arg(0) == "on") {
        table.insert("recursive".to_owned(), Toml::from(true));
    }
    http.insert("real_ip".to_owned(), Toml::Table(table));
    Ok(())
}

fn log(job: &Job<'_>, servers: &[ServerBlock<'_>], draft: &mut Draft) -> Result<(), Refused> {
    let mut log = toml::Table::new();
    if let Some(line) = job.http.one("error_log") {
        let level = match line.arg(1) {
            "debug" => "debug",
            "info" | "notice" => "info",
            "warn" => "warn",
            _ => "error",
        };
        let table = [("level".to_owned(), Toml::from(level))].into_iter().collect();
        log.insert("error".to_owned(), Toml::Table(table));
        job.changed(line, "diagnostics go to stderr, at this level: `log.error.path` names a file");
    }
    for server in servers {
        let inner = server.directive.inner().iter();
        let within = server.directive.locations();
        let all = inner.chain(within.into_iter().flat_map(Directive::inner));
        for line in all.filter(|line| line.name == "error_log") {
            job.changed(line, "there is one log of diagnostics, `log.error`");
        }
    }
    let mut lines: Vec<&Directive> = job.http.all("access_log");
    for server in servers {
        lines.extend(server.scope.all("access_log"));
        let own = server.directive.locations().into_iter().flat_map(Directive::inner);
        for line in own.filter(|one| one.name == "access_log") {
            job.changed(
                line,
                "there is one access log, of all requests: that of a location is left out",
            );
        }
    }
    let mut taken: Option<&Directive> = None;
    for line in lines {
        match taken {
            _ if line.arg(0) == "off" => {}
            None => taken = Some(line),
            Some(taken) if taken.texts().eq(line.texts()) => {}
            Some(_) => job
                .changed(line, "there is one access log, of all requests: the first that is named"),
        }
    }
    if let Some(line) = taken {
        log.insert("access".to_owned(), Toml::Table(access(job, line)?));
    }
    if !log.is_empty() {
        draft.push_own("log", log, false);
    }
    Ok(())
}

fn access(job: &Job<'_>, line: &Directive) -> Result<toml::Table, Refused> {
    let path = line.arg(0);
    if path.starts_with("syslog:") || path.contains('$') {
        job.refuse(line, "an access log is a file with a fixed name");
        return Err(Refused);
    }
    if let Some(word) = line.texts().find(|word| word.starts_with("if=")) {
        job.refuse(line, format!("`{word}`: every request is logged"));
        return Err(Refused);
    }
    let path = job.prefixed(line, path);
    let name = line.texts().nth(1).filter(|word| !word.contains('=')).unwrap_or("combined");
    let format = job.named("log_format", 0, name);
    let mut table = toml::Table::new();
    let mut text = String::new();
    let mut at = line;
    match format {
        Some(format) => {
            at = format;
            for word in format.texts().skip(1) {
                match word.strip_prefix("escape=") {
                    Some(escape) if text.is_empty() => {
                        table.insert("escape".to_owned(), Toml::from(escape));
                    }
                    _ => text.push_str(word),
                }
            }
        }
        None if name == "combined" => text.push_str(COMBINED),
        None => {
            job.refuse(line, "there is no `log_format` of this name");
            return Err(Refused);
        }
    }
    let fixed = Fixed { is_log: true, server_name: "-", proxy_host: "-", constants: &[] };
    let format = job.template(at, &text, fixed).ok_or(Refused)?;
    table.insert("path".to_owned(), plain(&path.display().to_string()));
    table.insert("format".to_owned(), Toml::from(format));
    Ok(table)
}

/// `error_page` of files, as `http.error_pages`.
pub(super) fn pages(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<toml::Table, Refused> {
    let mut found = toml::Table::new();
    for server in servers {
        let locations = server.directive.inner().iter().filter(|one| one.name == "location");
        let own = |block: &[Directive]| block.iter().any(|one| one.name == "error_page");
        let mut within = server.directive.locations().into_iter();
        if let Some(location) = within.find(|location| own(location.inner())) {
            job.refuse(
                location,
                "`error_page` within a location is not converted: pages hold for all requests here",
            );
            return Err(Refused);
        }
        for line in server.scope.all("error_page") {
            let (Some(to), codes) = (line.args.last(), line.args.len().saturating_sub(1)) else {
                continue;
            };
            if to.text.starts_with('@') {
                job.refuse(line, format!(
                    "`error_page` leads to the named location `{}`, and there are no internal redirects: the gateway's \
                     own errors have files (`http.error_pages`), and another upstream is asked where a node of the \
                     first fails if it is a `backup` server of the same `upstream`", to.text
                ));
                return Err(Refused);
            }
            let holds = |one: &&Directive| {
                one.arg(0) == to.text || (one.arg(0) == "=" && one.arg(1) == to.text)
            };
            let place = locations.clone().find(holds);
            let scope =
                place.map_or_else(|| server.scope.clone(), |one| server.scope.within(one.inner()));
            let file = file_of(job, &scope, &to.text);
            let Some(file) = file else {
                job.refuse(line, "`error_page` is converted where it names a file below `root`: here it leads elsewhere");
                return Err(Refused);
            };
            if job.files.read(std::path::Path::new(&file)).is_err() {
                job.changed(line, "this page cannot be read, so error answers are Ferrule's own");
                continue;
            }
            for code in line.args.iter().take(codes) {
                if code.text.starts_with('=') {
                    job.refuse(line, "the status of an error stays as it is");
                    return Err(Refused);
                }
                let before = found.insert(code.text.clone(), plain(&file));
                if before.is_some_and(|before| before.as_str() != Some(&file)) {
                    job.refuse(line, "another server has another page for this status, and there is one for all of them here");
                    return Err(Refused);
                }
            }
        }
    }
    Ok(found)
}

fn file_of(job: &Job<'_>, scope: &Scope<'_>, path: &str) -> Option<String> {
    if !path.starts_with('/')
        || path.contains('$')
        || scope.own().iter().any(|one| one.name == "proxy_pass")
    {
        return None;
    }
    let root = scope.one("root")?;
    let root = job.prefixed(root, root.arg(0));
    Some(format!("{}{path}", root.display()))
}
