//! Policies, requests and responses, drawn at random: always the same for one seed.

use std::fmt::Write as _;

/// `SplitMix64` (Steele and others).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % 1_000_003).expect("small") % end
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What a route does, as far as a request and its response are judged by it.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    /// Requests lose `X-Gone`.
    pub(super) removes: bool,
    /// Responses lose `X-Leak`.
    pub(super) hides: bool,
    /// `cors` says which fields of it there are.
    pub(super) cors: bool,
    /// Its tables, as they stand in the file.
    pub(super) lines: String,
}

/// Templates of values that a client has a hand in.
const VALUES: [&str; 7] = [
    "$arg_x",
    "a $http_x_user b",
    "$uri$args",
    "$request_uri",
    "$cookie_id",
    "$request_method-$host",
    "$http_origin",
];

const URIS: [&str; 9] = [
    "/new/$arg_x",
    "/n$uri",
    "/a?b=$arg_x&c=$uri",
    "/r$request_uri",
    "/u/$http_x_user?",
    "/$arg_x/z",
    "/$arg_x",
    "/c?$args",
    "/$cookie_id",
];

/// Pairs of expressions; `@` is the number of the route.
const PAIRS: [&str; 6] = [
    r#"["^/p@/(.*)$", "/$1"]"#,
    r#"["^/p@/([^/]*)/?(.*)$", "/$2/$1?k=$arg_x"]"#,
    r#"["^/p@/(?P<rest>.*)$", "/w/$rest-$request_method"]"#,
    r#"["^/p@(.*)$", "/w$1", "never", "/x"]"#,
    r#"["/(g[a-z]*)", "/$1/$1"]"#,
    r#"["never", "/x"]"#,
];

impl Policy {
    /// The policy of route `number`.
    pub(super) fn draw(chance: &mut Chance, number: usize) -> Self {
        let mut policy = Self::default();
        let lines = &mut policy.lines;
        policy.removes = chance.percent(50);
        let removed = if policy.removes { ", remove = ['X-Gone']" } else { "" };
        let (set, add) = (chance.one(&VALUES), chance.one(&VALUES));
        let _ = writeln!(
            lines,
            "headers = {{ set = {{ X-Set = '{set}' }}, add = {{ X-Add = '{add}' }}{removed} }}"
        );
        match chance.below(10) {
            0 => draw_return(chance, lines),
            1 => draw_redirect(chance, number, lines),
            _ if chance.percent(80) => draw_rewrite(chance, number, lines),
            _ => {}
        }
        policy.cors = chance.percent(40);
        if policy.cors {
            let kind = chance.one(&[
                "{}",
                "{ allow_origins = '**', allow_headers = '**', expose_headers = 'x-out' }",
                "{ allow_origins = 'https://a.test', allow_methods = 'GET', allow_headers = 'x-user', allow_credential = true }",
            ]);
            let _ = writeln!(lines, "cors = {kind}");
        }
        policy.hides = chance.percent(50);
        let rules: Vec<_> = (0..chance.below(3)).map(|_| draw_rule(chance)).collect();
        let hides = policy.hides.then(|| "{ headers.remove = ['X-Leak'] }".to_owned());
        let rules: Vec<_> = rules.into_iter().chain(hides).collect();
        if !rules.is_empty() {
            let _ = writeln!(lines, "response = [{}]", rules.join(", "));
        }
        policy
    }
}

fn draw_rewrite(chance: &mut Chance, number: usize, lines: &mut String) {
    let mut keys = Vec::new();
    match chance.below(5) {
        0 | 1 => keys.push(format!("uri = '{}'", chance.one(&URIS))),
        2 => {}
        _ => keys
            .push(format!("regex_uri = {}", chance.one(&PAIRS).replace('@', &number.to_string()))),
    }
    if chance.percent(25) || keys.is_empty() {
        let method = chance.one(&["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);
        keys.push(format!("method = '{method}'"));
    }
    if chance.percent(25) {
        keys.push("host = 'inner.test:81'".to_owned());
    }
    let _ = writeln!(lines, "rewrite = {{ {} }}", keys.join(", "));
}

fn draw_return(chance: &mut Chance, lines: &mut String) {
    let status = chance.one(&[200, 204, 205, 304, 404, 503]);
    let value = chance.one(&VALUES);
    let body = match status {
        204 | 205 | 304 => "",
        _ => chance.one(&["", ", body = 'fixed'", ", body = 'x: $arg_x $http_x_user'"]),
    };
    let _ = writeln!(
        lines,
        "return = {{ status = {status}{body}, headers = {{ X-Out = '{value}' }} }}"
    );
}

fn draw_redirect(chance: &mut Chance, number: usize, lines: &mut String) {
    let to = chance.one(&[
        "uri = '/b$uri'",
        "uri = 'https://new.test$request_uri'",
        "uri = '/$arg_x', append_query_string = true",
        "regex_uri = ['^/p@/(.*)$', '/$1'], encode_uri = true",
        "http_to_https = true, https_port = 8443",
    ]);
    let status = if to.contains("https_port") { "" } else { ", status = 308" };
    let _ = writeln!(lines, "redirect = {{ {}{status} }}", to.replace('@', &number.to_string()));
}

/// A rule for responses.
fn draw_rule(chance: &mut Chance) -> String {
    let mut keys = Vec::new();
    if chance.percent(50) {
        let vars = [
            "['status', '>=', 400]",
            "['status', '<', 400]",
            "['arg_x', '~~', '.']",
            "['http_x_user', '==', 'u']",
        ];
        keys.push(format!("vars = [{}]", chance.one(&vars)));
    }
    let status = chance.one(&[0, 0, 0, 200, 204, 205, 304, 404, 503]);
    if status > 0 {
        keys.push(format!("status = {status}"));
    }
    if !matches!(status, 204 | 205 | 304) && chance.percent(50) {
        let bodies = [
            "body = ''",
            "body = 'fixed'",
            "body = 'x: $arg_x, $http_x_user, $status', content_type = 'text/plain'",
        ];
        keys.push(chance.one(&bodies).to_owned());
    }
    let (set, add) = (chance.one(&VALUES), chance.one(&VALUES));
    keys.push(format!(
        "headers = {{ set = {{ X-Over = '{set}', Cache-Control = 'no-store' }}, add = {{ X-Out = '{add}' }}, remove = ['Server'] }}"
    ));
    format!("{{ {} }}", keys.join(", "))
}

/// A request on route `number`, whose own number among all is `id`.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) route: usize,
    pub(super) method: &'static str,
    pub(super) body: String,
    pub(super) bytes: Vec<u8>,
}

/// Pieces of paths, some of which lead to `/guarded` or out of their line.
const PATHS: [&str; 16] = [
    "",
    "a",
    "a/b",
    "guarded/x",
    "guarded",
    "%67uarded/x",
    "/guarded/x",
    "guarded%2fx",
    "..%2fguarded/x",
    "a%2Fb",
    "a%0d%0aInjected:%20yes",
    "a%20b",
    "%c3%a9",
    "/evil.test/",
    "a;b=c",
    "a%3Fb%23c",
];

const WORDS: [&str; 11] = [
    "1",
    "%0d%0aInjected:%20yes",
    "guarded/x",
    "guarded",
    "../guarded/x",
    "%2e%2e%2fguarded%2fx",
    "a%26b%3Dc+d",
    "%00",
    "%3fq",
    "a%23b",
    "//evil.test",
];

const FORGED: &str = "X-Client-Verify: forged\r\nx_client_verify: forged\r\nX-Client.Verify: forged\r\n\
                      X-CLIENT-DN: forged\r\nConnection: X-Set, X-Client-Verify, X-Add\r\n";

impl Asked {
    pub(super) fn draw(chance: &mut Chance, id: usize, routes: usize) -> Self {
        let route = chance.below(routes);
        let method = chance.one(&["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);
        let (path, word) = (chance.one(&PATHS), chance.one(&WORDS));
        let query = if chance.percent(70) { format!("?x={word}") } else { String::new() };
        let mut head = format!("{method} /p{route}/{path}{query} HTTP/1.1\r\nHost: a.test\r\n");
        let user =
            chance.one(&["u", "guarded/x", "../guarded/x", "a%0d%0aInjected: yes", "%2e%2e/x", ""]);
        let _ = write!(
            head,
            "X-Nr: {id}\r\nX-Answer: {}\r\nX-User: {user}\r\nCookie: id={}\r\n",
            chance.below(ANSWERS.len()),
            chance.one(&WORDS)
        );
        if chance.percent(40) {
            let origin = chance.one(&["https://a.test", "https://evil.test", "null", "a b"]);
            let _ = write!(head, "Origin: {origin}\r\n");
        }
        if chance.percent(20) {
            head.push_str("Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-user, injected\r\n");
        }
        head.push_str("X-Gone: must-go\r\nx_gone: must-go\r\nX-GONE: must-go\r\n");
        head.push_str(FORGED);
        let has_body = matches!(method, "POST" | "PUT") || chance.percent(10) && method != "HEAD";
        let body = if has_body { format!("body of {id}") } else { String::new() };
        let framed = match (has_body, chance.percent(50)) {
            (false, _) => "\r\n".to_owned(),
            (true, true) => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            (true, false) => {
                format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            }
        };
        head.push_str(&framed);
        Self { route, method, body, bytes: head.into_bytes() }
    }
}

/// What an upstream answers, and whether it ends the connection; `@` is the number of the request.
pub(super) const ANSWERS: [(&str, &str); 9] = [
    ("200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n", "hello"),
    (
        "200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    ("200 OK\r\nConnection: close\r\n", "until the end"),
    ("204 No Content\r\n", ""),
    ("304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n", ""),
    ("404 Not Found\r\nContent-Length: 4\r\n", "gone"),
    ("500 Injected: yes\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n", "\u{1}\u{2}\u{3}"),
    ("206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n", "abc"),
    ("205 Reset Content\r\nContent-Length: 0\r\n", ""),
];

/// Fields of each of them.
pub(super) const LEAKS: &str = "X-Leak: leaked\r\nx-leak: leaked\r\nX-Over: theirs\r\n\
                                Access-Control-Allow-Origin: https://other.test\r\n\
                                Access-Control-Allow-Credentials: other.test\r\nVary: Accept\r\nServer: up\r\n";
