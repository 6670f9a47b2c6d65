//! Revocation lists that are fetched: from a URL, and from where the certificates of `ca` say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrule_tests::raw::{get, plain_get};
use ferrule_tests::zoo::asn1::{
    basic_constraints, common_name, element, explicit, extension, generalized, integer, sequence,
};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft, encode};
use ferrule_tests::{
    Authority, Client, Dial, Driver, Gateway, Leaf, Nginx, PATIENCE, Raw, Reloaded, Script, Setup,
    Shape, Upstream, echo, exposition::Exposition, free_port, on_both_drivers, poll, scratch, tls,
};
use rustls::version::TLS13;
use serde_json::Value;

use crate::observe::ctl;
use crate::revoke::{authority, client};

pub(crate) const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[admin]
socket = "ctl.sock"

[crl_fetch]
directory = "lists"
refresh = "1s"
timeout = "1s"
max_size = "64k"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "ours.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", clock_skew = "1m", @crl@ }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// One list, of a server that nobody has to believe.
pub(crate) const BY_URL: &str = r#"crl = "http://127.0.0.1:@lists@/ca.crl""#;

const PAST: &[u8] = b"240101000000Z";
const FAR: &[u8] = b"20980101000000Z";

/// A list of this authority.
fn list(ca: &Issuer, number: Option<u8>, [start, end]: [&[u8]; 2], serials: &[u8]) -> Vec<u8> {
    let time = |text: &[u8]| match text.len() {
        13 => element(0x17, text),
        _ => generalized(str::from_utf8(text).expect("text")),
    };
    let list = ListDraft {
        version: 2,
        this_update: time(start),
        next_update: time(end),
        revoked: serials.iter().map(|serial| (vec![*serial], Vec::new())).collect(),
        extensions: number
            .map(|number| extension("2.5.29.20", false, &integer(&[number])))
            .into_iter()
            .collect(),
    };
    list.sign(ca)
}

pub(crate) fn numbered(ca: &Issuer, number: u8, serials: &[u8]) -> Vec<u8> {
    list(ca, Some(number), [PAST, FAR], serials)
}

/// What a server does with a connection; it can be changed.
#[derive(Clone)]
pub(crate) struct Answers(Arc<Mutex<Script>>);

impl Answers {
    pub(crate) fn new(script: Script) -> Self {
        Self(Arc::new(Mutex::new(script)))
    }

    pub(crate) fn set(&self, script: Script) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    pub(crate) fn serve(&self) -> Upstream {
        let answers = self.clone();
        Upstream::plain(Arc::new(move |client: &mut Client| {
            if client.request().is_some() {
                let script = Arc::clone(&answers.0.lock().unwrap_or_else(PoisonError::into_inner));
                script(client);
            }
        }))
    }
}

pub(crate) fn sends(bytes: Vec<u8>) -> Script {
    Arc::new(move |client| {
        client.send(&bytes);
    })
}

fn head_and(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

/// A whole answer with this body.
pub(crate) fn whole(body: &[u8]) -> Vec<u8> {
    head_and(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}", body.len()), body)
}

pub(crate) fn status(line: &str) -> Script {
    sends(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

fn redirects(target: &str) -> Script {
    status(&format!("302 Found\r\nLocation: {target}"))
}

/// A gateway, its clients, and their authority.
pub(crate) struct Place {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
    pub(crate) ca: Issuer,
    pub(crate) good: Leaf,
    pub(crate) bad: Leaf,
}

/// The files that every gateway here needs.
pub(crate) struct Files {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) ca: Issuer,
}

impl Files {
    pub(crate) fn new() -> Self {
        let scratch = scratch();
        let ca = authority(scratch.path());
        fs::create_dir(scratch.path().join("lists")).expect("a directory");
        Self { scratch, upstream: Upstream::plain(echo()), ca }
    }

    pub(crate) fn start(self, driver: Driver, crl: &str, lists: u16) -> Place {
        let dir = self.scratch.path();
        let (good, bad) = (client(dir, &self.ca, "good", 2), client(dir, &self.ca, "bad", 3));
        let gateway = Setup::new(dir, driver, &CONFIG.replace("@crl@", crl))
            .set("upstream", &self.upstream.port)
            .set("lists", &lists)
            .start();
        let Self { scratch, upstream, ca } = self;
        Place { scratch, upstream, gateway, ca, good, bad }
    }
}

impl Place {
    fn connect(&self, leaf: &Leaf) -> Raw {
        let dial = Dial::with(Some("ours.test"), Some(leaf), &[&TLS13]);
        dial.connect(self.gateway.port("front")).expect("a handshake")
    }

    /// What a client gets on a connection of its own.
    pub(crate) fn visit(&self, leaf: &Leaf) -> u16 {
        get(&mut self.connect(leaf), "ours.test", "/").status()
    }

    /// Waits until the client gets this.
    pub(crate) fn becomes(&self, leaf: &Leaf, status: u16) {
        let found = poll(PATIENCE, || (self.visit(leaf) == status).then_some(()));
        assert!(found.is_some(), "not {status}: {}", self.gateway.log());
    }

    /// The one file that is kept.
    pub(crate) fn kept(&self) -> PathBuf {
        let entries = fs::read_dir(self.scratch.path().join("lists")).expect("a directory");
        let all = entries.map(|entry| entry.expect("an entry").path());
        let all: Vec<_> = all.filter(|path| !path.ends_with("crl-lock")).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().expect("one")
    }

    /// Starts it anew, with the files of before.
    fn restart(&mut self, driver: Driver, name: &str, lists: u16) {
        assert!(self.gateway.stop().success());
        self.start_again(driver, name, lists);
    }

    fn start_again(&mut self, driver: Driver, name: &str, lists: u16) {
        let text = CONFIG.replace("@crl@", BY_URL);
        let setup = Setup::new(self.scratch.path(), driver, &text).named(name);
        self.gateway = setup.set("upstream", &self.upstream.port).set("lists", &lists).start();
    }

    pub(crate) fn told(&self, words: &str) {
        let told = poll(PATIENCE, || self.gateway.log().contains(words).then_some(()));
        assert!(told.is_some(), "not told {words:?}: {}", self.gateway.log());
    }

    fn scrape(&self) -> Exposition {
        let answer = plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics");
        Exposition::read(&answer.text())
    }

    pub(crate) fn fetches(&self, result: &str) -> f64 {
        self.scrape().sum("ferrule_crl_fetches_total", &[("result", result)])
    }
}

/// What somebody may send in the place of list 5, and what is said of it. Neighbours differ in what is said.
fn lies(ca: &Issuer, dir: &Path) -> Vec<(Script, &'static str)> {
    let other_key = Issuer { name: ca.name.clone(), key: Key::new(dir, "other", Kind::P256) };
    let stranger = Issuer { name: common_name("stranger"), key: Key::new(dir, "far", Kind::P256) };
    let newer = numbered(ca, 9, &[]);
    let half = newer.get(..newer.len() / 2).expect("half a list");
    let promised = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", newer.len());
    let endless: Script = Arc::new(|client| {
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4_096], b"\r\n"].concat();
        while client.send(&chunk) {}
    });
    let drip: Script = Arc::new(|client| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
        for byte in head.iter().chain(&[0x30; 999]) {
            let _: Option<()> = poll(Duration::from_millis(40), || None);
            if !client.send(&[*byte]) {
                return;
            }
        }
    });
    let silence: Script = Arc::new(|client| drop(client.request()));
    let compressed = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close";
    vec![
        (sends(whole(b"garbage")), "is no revocation list"),
        (status("500 Oh"), "status 500"),
        (sends(whole(b"")), "is no revocation list"),
        (
            sends(head_and("HTTP/1.1 200 OK\r\nContent-Length: 99999999", b"x")),
            "more than 65536 bytes",
        ),
        (sends(head_and(&promised, half)), "its answer broke off"),
        (sends(whole(half)), "the list that it sends is broken"),
        (redirects("/ca.crl"), "redirects more than 3 times"),
        (redirects("https://127.0.0.1/ca.crl"), "it redirects to what is not fetched"),
        (redirects("http://169.254.169.254/latest"), "an address of the own link"),
        (redirects("file:///etc/passwd"), "it redirects to what is not fetched: lists come"),
        (sends(whole(&numbered(&stranger, 9, &[]))), "is not signed by a CA"),
        (sends(whole(&list(ca, Some(9), [PAST, b"250101000000Z"], &[]))), "has expired"),
        (sends(whole(&numbered(&other_key, 9, &[]))), "is not signed by a CA"),
        (sends(whole(&list(ca, Some(9), [b"20970101000000Z", FAR], &[]))), "is not yet valid"),
        (sends(head_and(compressed, &newer)), "compressed"),
        (sends(whole(&numbered(ca, 4, &[]))), "is older than the one that is held"),
        (endless, "more than 65536 bytes"),
        (sends(whole(&list(ca, None, [PAST, FAR], &[]))), "is older than the one that is held"),
        (drip, "no whole answer within 1000 ms"),
        (sends(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()), "is no HTTP"),
        (silence, "no whole answer within 1000 ms"),
        (status("304 Not Modified"), "status 304"),
        (sends(whole(encode("X509 CRL", &newer).repeat(65).as_bytes())), "more than 64 lists"),
        (sends(whole(&numbered(ca, 5, &[3]).repeat(2))), "the list that it sends is broken"),
    ]
}

/// `cRLDistributionPoints` with this URL.
fn distribution_point(url: &str) -> Vec<u8> {
    let name = element(0x86, url.as_bytes());
    let point = explicit(0, &explicit(0, &name));
    extension("2.5.29.31", false, &sequence(&[&sequence(&[&point])]))
}

pub(crate) fn certificate(subject: &str, serial: u8, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![serial],
        subject: common_name(subject),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, b"20990101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

on_both_drivers! {
    /// A real server, which answers that nothing has changed, until something has.
    fn a_client_on_a_fetched_list_is_refused_within_a_refresh(driver) {
        let files = Files::new();
        let dir = files.scratch.path().to_owned();
        let www = dir.join("www");
        fs::create_dir(&www).expect("a directory");
        let publish = |list: &[u8]| {
            fs::write(www.join("next"), list).expect("a list");
            fs::rename(www.join("next"), www.join("ca.crl")).expect("a list");
        };
        publish(&numbered(&files.ca, 1, &[]));
        let port = free_port();
        let http = format!(
            "server {{ listen 127.0.0.1:{port}; access_log {}/asked.log; root {}; }}",
            dir.display(),
            www.display()
        );
        let nginx = Nginx::start(&dir, port, &http, Shape::Single);
        let mut place = files.start(driver, BY_URL, port);
        place.becomes(&place.good, 200);
        let (mut kept, mut ended) = (place.connect(&place.good), place.connect(&place.bad));
        for raw in [&mut kept, &mut ended] {
            assert_eq!(get(raw, "ours.test", "/").status(), 200);
        }
        let asked = || fs::read_to_string(dir.join("asked.log")).unwrap_or_default();
        assert!(poll(PATIENCE, || asked().contains("\" 304 ").then_some(())).is_some(), "{}", asked());
        let second = numbered(&place.ca, 2, &[3]);
        publish(&second);
        assert_eq!(ended.rest().expect("an orderly end"), b"");
        assert_eq!(get(&mut kept, "ours.test", "/").status(), 200);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
        let file = place.kept();
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!((mode & 0o777, fs::read(&file).ok()), (0o600, Some(second)));
        assert!(place.fetches("success") > 1.5);
        // Without the server, and over a restart, it is still known who is revoked.
        drop(nginx);
        place.told("a revocation list was not fetched: no connection");
        place.restart(driver, "again", port);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
        // What somebody has put in its place is nothing.
        let other = Issuer { name: place.ca.name.clone(), key: Key::new(&dir, "other", Kind::P256) };
        assert!(place.gateway.stop().success());
        fs::write(file, numbered(&other, 9, &[])).expect("a file");
        place.start_again(driver, "third", port);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 400));
        place.told("is no list of a CA that is configured here; until it is, certificates of its CA are refused");
    }

    /// The absence of a list means what `crl_missing` says, from the start on.
    fn without_a_list_nobody_gets_in_unless_that_is_allowed(driver) {
        let answers = Answers::new(status("404 Not Found"));
        let server = answers.serve();
        let mut place = Files::new().start(driver, BY_URL, server.port);
        place.told("a revocation list was not fetched: it answers with status 404");
        place.told("has not been fetched yet; until it is, certificates of its CA are refused");
        assert_eq!(place.visit(&place.good), 400);
        assert!(place.fetches("failure") > 0.5 && place.fetches("success") < 0.5);
        let (code, out, _) = ctl(place.scratch.path(), &["--json", "status"]);
        let found: Value = serde_json::from_str(&out).expect("JSON");
        let fetch = found.pointer("/crl_fetches/0").expect("a fetch");
        assert_eq!((code, fetch["error"].as_str()), (Some(0), Some("it answers with status 404")));
        let (_, text, _) = ctl(place.scratch.path(), &["status"]);
        assert!(text.contains("LAST ERROR") && text.contains("/ca.crl"), "{text}");
        // Allowed, they get in; and the list counts once it is there.
        let allowed = format!("{BY_URL}, crl_missing = \"allow\"");
        assert_eq!(place.gateway.reload(&CONFIG.replace("@crl@", &allowed)), Reloaded::Taken);
        place.becomes(&place.bad, 200);
        answers.set(sends(whole(&numbered(&place.ca, 1, &[3]))));
        place.becomes(&place.bad, 400);
        assert_eq!(place.visit(&place.good), 200);
        place.told("a revocation list is fetched again");
        let last = place.scrape().sum("ferrule_crl_last_fetch_timestamp_seconds", &[]);
        assert!(last > 1_700_000_000.0, "{last}");
        let (_, text, _) = ctl(place.scratch.path(), &["certs"]);
        assert!(text.contains("http://127.0.0.1:"), "{text}");
    }

    /// Garbage, floods, drips, loops, other people's lists and old ones: what was held stays, and nobody waits.
    fn what_a_lying_server_sends_changes_nothing(driver) {
        let files = Files::new();
        let answers = Answers::new(sends(whole(&numbered(&files.ca, 5, &[3]))));
        let server = answers.serve();
        let lies = lies(&files.ca, files.scratch.path());
        let place = files.start(driver, BY_URL, server.port);
        place.becomes(&place.good, 200);
        let before = fs::read(place.kept()).expect("a list");
        let count = |words: &str| place.gateway.log().matches(words).count();
        for (lie, words) in lies {
            let told = count(words);
            answers.set(lie);
            let found = poll(PATIENCE, || (count(words) > told).then_some(()));
            assert!(found.is_some(), "not told {words:?}: {}", place.gateway.log());
            assert_eq!((place.visit(&place.good), place.visit(&place.bad)), (200, 400), "{words}");
        }
        assert_eq!(fs::read(place.kept()).expect("a list"), before);
        assert!(place.fetches("failure") > 21.0);
        // The truth is taken again, in chunks and behind a redirect, too.
        let next = numbered(&place.ca, 6, &[2]);
        let chunks = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}", next.len());
        let truth = [chunks.as_bytes(), b"\r\n", &next, b"\r\n0\r\n\r\n"].concat();
        let elsewhere = Answers::new(sends(truth)).serve();
        answers.set(redirects(&format!("http://127.0.0.1:{}/moved", elsewhere.port)));
        place.becomes(&place.good, 400);
        place.becomes(&place.bad, 200);
    }

    /// The certificates of `ca` are asked where their lists are. What a stranger sends is not.
    fn lists_are_fetched_from_where_trusted_authorities_say(driver) {
        let files = Files::new();
        let dir = files.scratch.path().to_owned();
        let answers = Answers::new(sends(whole(&numbered(&files.ca, 1, &[3]))));
        let (server, trap) = (answers.serve(), Answers::new(status("404 No")).serve());
        let url = |port: u16| format!("http://127.0.0.1:{port}/ca.crl");
        let root = vec![basic_constraints(true, None), distribution_point(&url(server.port))];
        let root = certificate("clients", 1, root).sign(&files.ca.key, &files.ca);
        fs::write(dir.join("clients.crt"), encode("CERTIFICATE", &root)).expect("a CA");
        let lure = || vec![distribution_point(&url(trap.port))];
        let key = Key::new(&dir, "lured", Kind::P256);
        let stranger = Issuer { name: common_name("far"), key: Key::new(&dir, "far", Kind::P256) };
        let leaf = |issuer: &Issuer, name: &str| {
            let file = dir.join(format!("{name}.crt"));
            let der = certificate(name, 9, lure()).sign(&key, issuer);
            fs::write(&file, encode("CERTIFICATE", &der)).expect("a certificate");
            Leaf::read(&file, &key.path)
        };
        let (ours, theirs) = (leaf(&files.ca, "ours"), leaf(&stranger, "theirs"));
        // Nobody waits for one that says nothing.
        let silent = Answers::new(Arc::new(|client: &mut Client| drop(client.request()))).serve();
        let both = format!("crl_distribution_points = true, crl = \"{}\"", url(silent.port));
        let place = files.start(driver, &both, server.port);
        place.becomes(&place.good, 200);
        assert_eq!((place.visit(&place.bad), place.visit(&theirs)), (400, 400));
        assert_eq!(place.visit(&ours), 200);
        let before = server.accepted();
        assert!(poll(PATIENCE, || (server.accepted() > before + 1).then_some(())).is_some());
        assert_eq!(trap.accepted(), 0, "{}", place.gateway.log());
    }

    fn a_place_that_is_not_there_is_refused_by_name(driver) {
        let files = Files::new();
        let text = CONFIG.replace("@crl@", BY_URL).replace("\"lists\"", "\"no/lists\"");
        let setup = Setup::new(files.scratch.path(), driver, &text);
        let (code, text) = setup.set("upstream", &files.upstream.port).check();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("crl_fetch.directory") && text.contains("there is no directory"), "{text}");
    }

    /// The lists of an upstream's authorities are fetched likewise.
    fn an_upstream_on_a_fetched_list_is_not_used(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let backends = Authority::new("backends");
        crate::write_ca(dir, "backends", &backends);
        fs::create_dir(dir.join("lists")).expect("a directory");
        let pem = |serials: &[u64], number| backends.revocation_list(serials, number);
        let answers = Answers::new(sends(whole(pem(&[7], 1).as_bytes())));
        let server = answers.serve();
        let leaf = backends.server_until(&["node.test"], 10, Duration::from_secs(3_600));
        let node = Upstream::tls(tls::server(&leaf, None), echo());
        let text = r#"
[crl_fetch]
directory = "lists"
refresh = "1s"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { ca = "backends.crt", server_name = "node.test", crl = "http://localhost:@lists@/b" }
"#;
        let gateway = Setup::new(dir, driver, text)
            .set("upstream", &node.port)
            .set("lists", &server.port)
            // That is about files of others.
            .runtime_line("watch_files = false")
            .start();
        let becomes = |status: u16| {
            let visit = || plain_get(gateway.port("front"), "x", "/").status();
            let found = poll(PATIENCE, || (visit() == status).then_some(()));
            assert!(found.is_some(), "not {status}: {}", gateway.log());
        };
        becomes(200);
        answers.set(sends(whole(pem(&[10], 2).as_bytes())));
        becomes(502);
    }
}
