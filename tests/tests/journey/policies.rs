//! Rewrites, answers, redirects, rules for responses and CORS, drawn at random and put together in one gateway.
//! Whatever they make of a request and of its response: both stay one message with one framing, no line is added to
//! either by what a client wrote, nobody but the gateway says who the client is, what is to be removed is gone, and
//! nobody gets around the demands of the route that would take what is sent.
#![expect(clippy::panic, reason = "a test stops at the first surprise, with its text")]

mod generate;

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrule_tests::{Driver, Head, Raw, Script, Setup, Upstream, on_both_drivers, raw, scratch};

use generate::{ANSWERS, Asked, Chance, LEAKS, Policy};

const CONFIG: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"
X-Client-Dn = "$ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uris = ["/guarded", "/guarded/*"]
upstream_id = "up"
client.allow_addrs = ["10.0.0.0/8"]
"#;

const ROUTES: usize = 48;
const REQUESTS: usize = 1_200;

fn config(policies: &[Policy]) -> String {
    let routes = policies.iter().enumerate().map(|(at, policy)| {
        format!("\n[[routes]]\nuri = \"/p{at}/*\"\nupstream_id = \"up\"\n{}", policy.lines)
    });
    CONFIG.to_owned() + &routes.collect::<String>()
}

/// Answers as the request asks for, by its own method.
fn script() -> Script {
    Arc::new(|client| {
        while let Some(message) = client.request() {
            let number = |name| message.head.get(name).and_then(|text| text.parse().ok());
            let (id, which): (Option<usize>, Option<usize>) = (number("x-nr"), number("x-answer"));
            let Some((head, body)) = which.and_then(|which| ANSWERS.get(which)) else { return };
            let body = if message.head.method() == "HEAD" { "" } else { body };
            let id = id.unwrap_or_default();
            let text = format!("HTTP/1.1 {head}X-Nr: {id}\r\n{LEAKS}\r\n{body}");
            if !client.send(text.as_bytes()) || head.contains("close") {
                return;
            }
        }
    })
}

/// Is this one head, of lines that are fields?
fn is_one_head(head: &Head) -> bool {
    let Some(lines) = head.raw.strip_suffix("\r\n\r\n") else { return false };
    let is_field = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            let signs = "!#$%&'*+-.^_`|~";
            let is_token = |byte: char| byte.is_ascii_alphanumeric() || signs.contains(byte);
            !name.is_empty()
                && name.chars().all(is_token)
                && !value.chars().any(|sign| sign.is_control() && sign != '\t')
        })
    };
    let mut lines = lines.split("\r\n");
    let start = lines.next().unwrap_or_default();
    !start.chars().any(char::is_control) && lines.all(is_field)
}

/// Exactly one length or chunks, or neither.
fn framings(head: &Head) -> usize {
    head.all("content-length").len() + head.all("transfer-encoding").len()
}

/// What the client got, and whether its connection goes on.
struct Got {
    head: Head,
    body: Vec<u8>,
    goes_on: bool,
}

/// Reads what was sent for one request, and not a byte more.
fn receive(client: &mut Raw, asked: &Asked, case: &str) -> Got {
    let head = loop {
        let head = client.head().unwrap_or_else(|error| panic!("{error} {case}"));
        let head = head.unwrap_or_else(|| panic!("an end {case}"));
        assert!(is_one_head(&head), "{head:?} {case}");
        if head.status() >= 200 {
            break head;
        }
    };
    let (lengths, status) = (framings(&head), head.status());
    assert!(lengths <= 1, "{head:?} {case}");
    let is_empty = asked.method == "HEAD" || matches!(status, 204 | 304);
    assert!(status != 204 || lengths == 0, "{head:?} {case}");
    let closes = head.all("connection").iter().any(|word| word.contains("close"));
    let body = read_body(client, &head, is_empty).unwrap_or_else(|error| panic!("{error} {case}"));
    assert!(is_empty || lengths == 1 || closes, "{head:?} {case}");
    if closes {
        assert!(client.is_closed(), "bytes behind the answer {case}");
    }
    Got { head, body, goes_on: !closes }
}

fn read_body(client: &mut Raw, head: &Head, is_empty: bool) -> std::io::Result<Vec<u8>> {
    match head.length() {
        _ if is_empty => Ok(Vec::new()),
        Some(length) => client.exactly(length),
        None if head.is_chunked() => client.chunked().map(|(body, _)| body),
        None => client.rest(),
    }
}

/// The answer, as the policy of its route allows it.
fn judge_answer(got: &Got, id: usize, asked: &Asked, policy: &Policy, case: &str) {
    let head = &got.head;
    assert!(head.all("injected").is_empty(), "{head:?} {case}");
    assert_eq!(head.all("date").len(), 1, "{head:?} {case}");
    // Whose answer it is: that of the request which it follows.
    if let Some(answered) = head.get("x-nr") {
        assert_eq!(answered, id.to_string(), "{head:?} {case}");
        assert!(!(policy.hides && head.raw.contains("leaked")), "{head:?} {case}");
        assert!(!(policy.cors && head.raw.contains("other.test")), "{head:?} {case}");
    }
    if let Some(to) = head.get("location") {
        let is_ours = to.starts_with('/') && !to.starts_with("//");
        let known = ["https://new.test/", "https://a.test:8443/"];
        assert!(is_ours || known.iter().any(|start| to.starts_with(start)), "{to} {case}");
        assert!(!to.contains('\\'), "{to} {case}");
    }
    assert!(asked.method != "HEAD" || got.body.is_empty(), "{case}");
}

/// Paths that this one may be taken for: as it is, decoded, and with its slashes made one.
fn may_be(target: &str) -> [String; 2] {
    let path = target.split('?').next().unwrap_or_default();
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    let one = |path: String| {
        let parts: Vec<_> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
        format!("/{}", parts.join("/"))
    };
    [one(path.to_owned()), one(String::from_utf8_lossy(&decoded).into_owned())]
}

/// What came to the upstream for one request.
fn judge_sent(head: &Head, body: &[u8], asked: &Asked, policy: &Policy) {
    let case = format!("{head:?}\n{}\n{}", asked.bytes.escape_ascii(), policy.lines);
    assert!(is_one_head(head), "{case}");
    assert!(framings(head) <= 1 && head.all("host").len() == 1, "{case}");
    assert_eq!(String::from_utf8_lossy(body), asked.body, "{case}");
    assert!(head.all("injected").is_empty(), "{case}");
    assert!(!head.raw.contains("forged"), "{case}");
    assert!(!(policy.removes && head.raw.contains("must-go")), "{case}");
    assert!(head.start().split(' ').count() == 3 && head.target().starts_with('/'), "{case}");
    for path in may_be(head.target()) {
        assert!(path != "/guarded" && !path.starts_with("/guarded/"), "{path} {case}");
        assert!(!path.split('/').any(|part| matches!(part, "." | "..")), "{path} {case}");
    }
}

/// One gateway with many policies, and many requests over kept connections. How often each kind of end was met.
fn many_requests(driver: Driver, seed: u64) -> BTreeMap<&'static str, usize> {
    let mut chance = Chance(seed);
    let policies: Vec<_> = (0..ROUTES).map(|at| Policy::draw(&mut chance, at)).collect();
    let (scratch, upstream) = (scratch(), Upstream::plain(script()));
    let text = config(&policies);
    let setup = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port);
    let gateway = setup.quiet().start();
    let mut client = raw::plain(gateway.port("front"));
    let (mut ends, mut all) = (BTreeMap::new(), Vec::new());
    for id in 0..REQUESTS {
        let asked = Asked::draw(&mut chance, id, ROUTES);
        let policy = &policies[asked.route];
        let case = format!("seed {seed}\n{}\n{}", asked.bytes.escape_ascii(), policy.lines);
        client.send(&asked.bytes).unwrap_or_else(|error| panic!("{error} {case}"));
        let got = receive(&mut client, &asked, &case);
        judge_answer(&got, id, &asked, policy, &case);
        let end = match got.head.status() {
            _ if got.head.get("x-nr").is_some() => "forwarded",
            400 => "400",
            403 => "403",
            _ if got.head.get("location").is_some() => "redirected",
            502 => panic!("{:?} {case}", got.head),
            _ => "answered here",
        };
        *ends.entry(end).or_default() += 1;
        if !got.goes_on {
            client = raw::plain(gateway.port("front"));
        }
        all.push(asked);
    }
    for seen in upstream.seen() {
        let head = &seen.message.head;
        let id: usize = head.get("x-nr").and_then(|id| id.parse().ok()).expect("one of ours");
        judge_sent(head, &seen.message.body, &all[id], &policies[all[id].route]);
    }
    ends
}

on_both_drivers! {
    /// As many of each kind as a test needs that is to find something.
    fn whatever_policies_do_messages_stay_whole(driver) {
        let mut ends = BTreeMap::<_, usize>::new();
        for seed in [1, 2] {
            for (end, count) in many_requests(driver, seed) {
                *ends.entry(end).or_default() += count;
            }
        }
        let all = ["400", "403", "answered here", "forwarded", "redirected"];
        assert_eq!(ends.keys().copied().collect::<Vec<_>>(), all, "{ends:?}");
        assert!(ends.values().all(|count| *count > 20), "{ends:?}");
    }
}
