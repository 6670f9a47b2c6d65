//! Requests to play: one or more for each route of the configuration, or those of an access log.

use std::collections::BTreeSet;

use toml::Value as Toml;

/// The longest target that is played.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Lines of a log that are looked at.
const LINES_MAX: usize = 1_000_000;

/// A request to play.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PlayedRequest {
    /// The host; empty for that of the URL.
    pub(super) host: String,
    pub(super) target: String,
    pub(super) method: String,
}

impl PlayedRequest {
    /// Does it change nothing? Only such requests are played unless the command line says otherwise.
    fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    pub(super) fn has_body(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }

    /// # Errors
    /// It is no request that can be sent as it stands.
    fn checked(self) -> Result<Self, String> {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let method = !self.method.is_empty()
            && self.method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        if !method
            || !self.target.starts_with('/')
            || !visible(&self.target)
            || !visible(&self.host)
        {
            return Err(String::from("this is no request"));
        }
        if self.target.len() > TARGET_BYTES_MAX {
            return Err(format!("a target has at most {TARGET_BYTES_MAX} bytes"));
        }
        Ok(self)
    }
}

/// What was found, each request once, and how many were left out.
#[derive(Debug, Default)]
pub(super) struct RequestList {
    pub(super) requests: Vec<PlayedRequest>,
    /// Requests with a method that may change something.
    pub(super) unsafe_ones: usize,
    /// Lines that are no request.
    pub(super) unread: usize,
    /// More than are played.
    pub(super) surplus: usize,
}

impl RequestList {
    fn of(all: impl Iterator<Item = PlayedRequest>, most: usize, every_method: bool) -> Self {
        let mut list = Self::default();
        let mut seen = BTreeSet::new();
        for request in all {
            match request.checked() {
                Err(_) => list.unread = list.unread.saturating_add(1),
                Ok(request) if !every_method && !request.is_safe() => {
                    list.unsafe_ones = list.unsafe_ones.saturating_add(1);
                }
                Ok(request) if seen.contains(&request) => {}
                Ok(request) => {
                    seen.insert(request.clone());
                    if list.requests.len() < most {
                        list.requests.push(request);
                    } else {
                        list.surplus = list.surplus.saturating_add(1);
                    }
                }
            }
        }
        list
    }

    /// From an access log in the combined format, or lines of `METHOD PATH [HOST]`.
    pub(super) fn of_log(text: &str, most: usize, every_method: bool) -> Self {
        let lines = text.lines().take(LINES_MAX).map(str::trim);
        Self::of(
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(line),
            most,
            every_method,
        )
    }

    /// From the routes of a configuration of Ferrule's.
    pub(super) fn of_configuration(file: &toml::Table, most: usize, every_method: bool) -> Self {
        let mut all = Vec::new();
        let services = tables(file, "services");
        for route in tables(file, "routes") {
            let service = route
                .get("service_id")
                .and_then(|id| services.iter().find(|one| one.get("id") == Some(id)));
            each_of_route(route, service.copied(), &mut all);
        }
        Self::of(all.into_iter(), most, every_method)
    }
}

fn line(text: &str) -> PlayedRequest {
    // 192.0.2.1 - - [date] "GET /path HTTP/1.1" 200 ...
    let quoted = text.split('"').nth(1).filter(|_| !text.starts_with('"'));
    let mut words = quoted.unwrap_or(text).split_ascii_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let third = words.next().filter(|word| quoted.is_none() && !word.starts_with("HTTP/"));
    PlayedRequest { host: third.unwrap_or_default().to_owned(), target, method }
}

fn tables<'a>(table: &'a toml::Table, key: &str) -> Vec<&'a toml::Table> {
    match table.get(key) {
        Some(Toml::Array(list)) => list.iter().filter_map(Toml::as_table).collect(),
        _ => Vec::new(),
    }
}

/// Texts under one of two keys: `uri` or `uris`.
fn texts(table: Option<&toml::Table>, one: &str, many: &str) -> Vec<String> {
    let values = table.and_then(|table| table.get(one).or_else(|| table.get(many)));
    match values {
        Some(Toml::String(text)) => vec![text.clone()],
        Some(Toml::Array(list)) => {
            list.iter().filter_map(Toml::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn each_of_route(route: &toml::Table, service: Option<&toml::Table>, all: &mut Vec<PlayedRequest>) {
    let mut hosts = texts(Some(route), "host", "hosts");
    if hosts.is_empty() {
        hosts = texts(service, "host", "hosts");
    }
    let mut paths = texts(Some(route), "uri", "uris");
    if let Some(prefix) =
        service.and_then(|service| service.get("path_prefix")).and_then(Toml::as_str)
    {
        paths = paths.iter().map(|path| format!("{prefix}{path}")).collect();
    }
    let mut methods = texts(Some(route), "method", "methods");
    if let Some(Toml::Array(vars)) = route.get("vars") {
        narrow(vars, &mut hosts, &mut paths, &mut methods);
    }
    if hosts.is_empty() {
        hosts.push(String::new());
    }
    if methods.is_empty() {
        methods.push(String::from("GET"));
    }
    for host in &hosts {
        let host = host.replace('*', "example");
        for path in &paths {
            // The path itself, and one below a prefix.
            let whole = path.split(['*', ':']).next().unwrap_or_default();
            let mut targets = vec![whole.to_owned()];
            if path.ends_with('*') {
                targets.push(format!("{whole}ferrule-compare"));
            }
            for target in targets {
                for method in &methods {
                    let (host, target, method) = (host.clone(), target.clone(), method.clone());
                    all.push(PlayedRequest { host, target, method });
                }
            }
        }
    }
}

/// Takes hosts, paths and methods from conditions, where they name some.
fn narrow(
    vars: &[Toml],
    hosts: &mut Vec<String>,
    paths: &mut Vec<String>,
    methods: &mut Vec<String>,
) {
    for condition in vars.iter().filter_map(Toml::as_array) {
        let word = |at: usize| condition.get(at).and_then(Toml::as_str).unwrap_or_default();
        if word(0) == "OR" || word(0) == "AND" {
            narrow(condition, hosts, paths, methods);
            continue;
        }
        let named = match (word(1), condition.get(2)) {
            ("==", Some(Toml::String(text))) => vec![text.clone()],
            ("in", Some(Toml::Array(list))) => {
                list.iter().filter_map(Toml::as_str).map(str::to_owned).collect()
            }
            ("~~" | "~*", Some(Toml::String(text))) => {
                beginning(text).into_iter().map(|text| format!("{text}*")).collect()
            }
            _ => continue,
        };
        match word(0) {
            "host" if word(1) != "~~" && word(1) != "~*" => hosts.extend(named),
            "uri" => {
                paths.retain(|path| path != "/*");
                paths.extend(named);
            }
            "request_method" => methods.extend(named),
            _ => {}
        }
    }
}

/// The fixed texts at the beginning of an expression: `^(?:/a|/b)`.
fn beginning(expression: &str) -> Vec<String> {
    let Some(rest) = expression.strip_prefix('^') else { return Vec::new() };
    let rest = rest.strip_prefix("(?:").unwrap_or(rest);
    rest.split('|')
        .map(|part| {
            let mut text = String::new();
            let mut marks = part.chars();
            while let Some(mark) = marks.next() {
                match mark {
                    '\\' => match marks.next() {
                        Some(mark) if mark.is_ascii_punctuation() => text.push(mark),
                        _ => break,
                    },
                    '.' | '[' | '(' | ')' | '*' | '+' | '?' | '{' | '$' | '|' => break,
                    mark => text.push(mark),
                }
            }
            text
        })
        .filter(|text| text.starts_with('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_read() {
        let log = "192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /a?b=1 HTTP/1.1\" 200 5 \"-\" \"curl\"\n\
                   # a comment\nGET /b api.example.com\nPOST /c\nnonsense\nGET /b api.example.com\n";
        let list = RequestList::of_log(log, 10, false);
        let shown: Vec<String> = list
            .requests
            .iter()
            .map(|one| format!("{} {} {}", one.method, one.target, one.host))
            .collect();
        assert_eq!(shown, ["GET /a?b=1 ", "GET /b api.example.com"]);
        assert_eq!((list.unsafe_ones, list.unread, list.surplus), (1, 1, 0));
        assert_eq!(RequestList::of_log(log, 1, true).surplus, 2);
    }

    #[test]
    fn routes_become_requests() {
        let file = toml::from_str(
            "[[services]]\nid = 's'\nhosts = ['a.example']\npath_prefix = '/v1'\n\
             [[routes]]\nservice_id = 's'\nuri = '/x/*'\n\
             [[routes]]\nuri = '/*'\nvars = [['host', '==', 'b.example'], ['uri', '~~', '^(?:/p\\.q|/r)']]\n",
        );
        let list = RequestList::of_configuration(&file.unwrap(), 100, false);
        let shown: Vec<String> =
            list.requests.iter().map(|one| format!("{}{}", one.host, one.target)).collect();
        let wanted = [
            "a.example/v1/x/",
            "a.example/v1/x/ferrule-compare",
            "b.example/p.q",
            "b.example/p.qferrule-compare",
            "b.example/r",
            "b.example/rferrule-compare",
        ];
        assert_eq!(shown, wanted);
    }
}
