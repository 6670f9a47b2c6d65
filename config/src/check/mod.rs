//! Raw tables become checked values.
//!
//! In: the [`Raw`] file. Out: a [`Config`] of every object that was whole; what was wrong is in
//! the problems, all of it. Each file here answers for some tables; this one for what they share:
//! ids and the references to them, paths and PEM text.

mod answers;
mod clients;
mod conditions;
mod constants;
mod headers;
mod listens;
mod observe;
mod process;
mod proxy_protocol;
mod reach;
mod routes;
mod ssls;
mod trust;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model::{
    ClientAuth, ClientVerify, Config, FileAt, HostPattern, Pem, PemSource, Server, Upstream,
};
use crate::place::Place;
use crate::problem::{Problem, Problems};
use crate::raw::{Raw, Text};
use crate::values::{Wrong, nearest};

/// What checking needs, and what it gathers on its way.
pub(crate) struct Check<'a> {
    /// Where relative paths start.
    dir: PathBuf,
    problems: &'a mut Problems,
    /// Every upstream so far: a route's inline one joins those of the file.
    upstreams: Vec<Upstream>,
    upstream_ids: Ids,
    client_certs: ssls::ClientCerts,
    /// Authorities that routes have of their own.
    trusts: Vec<ClientAuth>,
    /// Every server name, and where it was first given; that of a broken object too.
    server_names: BTreeMap<HostPattern, Place>,
    /// Identity headers as a naive reader may see their names.
    identity_names: BTreeSet<String>,
    /// Nobody reaches a route without a verified certificate, but by an exempt path.
    demanded_everywhere: bool,
}

/// Checks a whole file.
pub(crate) fn check(root: &Raw, file: &Path, problems: &mut Problems) -> Config {
    let mut check = Check {
        dir: file.parent().map(Path::to_owned).unwrap_or_default(),
        problems,
        upstreams: Vec::new(),
        upstream_ids: Ids::new("upstreams"),
        client_certs: ssls::ClientCerts::default(),
        trusts: Vec::new(),
        server_names: BTreeMap::new(),
        identity_names: BTreeSet::new(),
        demanded_everywhere: false,
    };
    let identity_headers = check.identity_headers(root);
    let xfcc = check.xfcc(root);
    let servers = check.ssls(root.tables("ssls"));
    let listens = check.listens(root, &servers);
    check.named_upstreams(root.tables("upstreams"));
    let asks = |server: &Server| {
        server.client.as_ref().is_some_and(|client| client.verify != ClientVerify::Off)
    };
    let asked = servers.iter().any(asks);
    let demands = |server: &Server| {
        server.client.as_ref().is_some_and(|client| client.verify == ClientVerify::On)
    };
    check.demanded_everywhere =
        servers.iter().all(demands) && listens.iter().all(|listen| listen.tls);
    let http = check.http(root);
    let routes = check.routes(root, &http, asked);
    Config {
        file: file.to_owned(),
        runtime: Check::runtime(root),
        http,
        log: check.log(root),
        metrics: check.metrics(root, &listens),
        admin: check.admin(root),
        identity_headers,
        xfcc,
        trusts: check.trusts,
        listens,
        servers,
        upstreams: check.upstreams,
        routes,
    }
}

impl Check<'_> {
    fn wrong(&mut self, place: Place, field: impl Into<String>, wrong: Wrong) {
        self.problems.push_at(place, field, wrong.message, wrong.help);
    }

    fn error(&mut self, place: Place, field: impl Into<String>, message: &str, help: &str) {
        self.problems.push_at(place, field, message, Some(help.to_owned()));
    }

    fn warn(&mut self, place: Place, field: String, message: &str, help: &str) {
        let (message, help) = (message.to_owned(), Some(help.to_owned()));
        self.problems.warn(Problem { place, field, message, help });
    }

    /// Two keys of which only one may be given.
    fn exclusive(&mut self, raw: &Raw, one: &str, other: &str) {
        if raw.has(one) && raw.has(other) {
            let message = format!("`{one}` and `{other}` exclude each other");
            self.problems.push_at(raw.at(other), raw.path(other), message, None);
        }
    }

    /// The texts of a key for one, and of its twin for several; with the paths of each.
    fn one_or_more(&mut self, raw: &Raw, one: &str, more: &str) -> Vec<(Text, String)> {
        self.exclusive(raw, one, more);
        let mut all: Vec<_> = raw.text(one).into_iter().map(|text| (text, raw.path(one))).collect();
        for (index, text) in raw.texts(more).iter().enumerate() {
            all.push((text.clone(), format!("{}[{index}]", raw.path(more))));
        }
        all
    }

    /// A path, resolved.
    fn path(&self, text: &str) -> PathBuf {
        self.dir.join(text)
    }

    /// PEM text, or the path of it. What is neither may be a key all the same, and is not shown.
    fn pem(&mut self, text: &Text, field: String) -> Option<Pem> {
        if text.text.trim().is_empty() {
            self.error(text.place, field, "this is empty", "write a path, or the PEM text itself");
            return None;
        }
        let source = if text.text.contains("-----BEGIN") {
            PemSource::Inline(text.text.clone())
        } else if is_no_path(&text.text) {
            self.problems.mask(text.place);
            let help = "write a path, or PEM text from its `-----BEGIN` line on";
            let variables = self.problems.secret_variables(text.place).unwrap_or("this");
            let message = format!("{variables} is neither a path nor PEM text");
            self.error(text.place, field, &message, help);
            return None;
        } else {
            PemSource::Path(self.path(&text.text))
        };
        let variables = self.problems.secret_variables(text.place);
        let shown = variables.map(|names| format!("the file that {names} names"));
        Some(Pem { place: text.place, source, shown })
    }

    /// The files of a key that takes one or several paths.
    fn files(&mut self, raw: &Raw, key: &str) -> Vec<FileAt> {
        let mut files = Vec::new();
        for text in raw.texts(key) {
            if text.text.trim().is_empty() {
                self.error(text.place, raw.path(key), "this is empty", "write a path");
            } else {
                files.push(FileAt { place: text.place, path: self.path(&text.text) });
            }
        }
        files
    }

    /// The file of a key that takes one path.
    fn file(&mut self, raw: &Raw, key: &str) -> Option<FileAt> {
        let text = raw.text(key)?;
        if text.text.trim().is_empty() {
            self.error(text.place, raw.path(key), "this is empty", "write a path");
            return None;
        }
        Some(FileAt { place: text.place, path: self.path(&text.text) })
    }

    /// The PEM texts of a key that takes one or several.
    fn pems(&mut self, raw: &Raw, key: &str) -> Vec<Pem> {
        let several = raw.texts(key).len() > 1;
        let mut pems = Vec::new();
        for (index, text) in raw.texts(key).iter().enumerate() {
            let path = raw.path(key);
            let path = if several { format!("{path}[{index}]") } else { path };
            pems.extend(self.pem(text, path));
        }
        pems
    }
}

/// Is it no path that anybody means? It has control characters, a part of it is too long for a file's
/// name, or it looks like DER in base64.
fn is_no_path(text: &str) -> bool {
    const NAME_BYTES_MAX: usize = 255;
    const BASE64_BYTES_MIN: usize = 40;
    let in_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.chars().any(char::is_control)
        || text.split('/').any(|part| part.len() > NAME_BYTES_MAX)
        || (text.starts_with('M')
            && text.len() >= BASE64_BYTES_MIN
            && text.trim_end().bytes().all(in_base64))
}

/// The ids of one kind of object: given once each, and made up where they are not given.
#[derive(Debug)]
struct Ids {
    table: &'static str,
    /// Where each was given, and which object it is, if that one was whole.
    known: BTreeMap<String, (Place, Option<usize>)>,
}

impl Ids {
    const fn new(table: &'static str) -> Self {
        Self { table, known: BTreeMap::new() }
    }

    /// Takes the ids that are given; says which are given twice.
    fn claim<'r>(&mut self, check: &mut Problems, raws: impl Iterator<Item = &'r Raw>) {
        for raw in raws {
            let Some(id) = raw.text("id") else { continue };
            if let Some((first, _)) = self.known.get(&id.text) {
                let line = check.position(*first).line;
                let message = format!("the id `{}` is taken by line {line}", id.text);
                check.push_at(id.place, raw.path("id"), message, None);
            } else {
                self.known.insert(id.text, (id.place, None));
            }
        }
    }

    /// The id of an object: given, or made up and free.
    fn name(&mut self, raw: &Raw, made_up: String) -> String {
        if let Some(id) = raw.text("id") {
            return id.text;
        }
        let mut id = made_up;
        while self.known.contains_key(&id) {
            id.push('_');
        }
        self.known.insert(id.clone(), (raw.place, None));
        id
    }

    fn set(&mut self, id: &str, index: usize) {
        if let Some((_, known)) = self.known.get_mut(id) {
            *known = Some(index);
        }
    }

    /// What an id refers to. `None` if it is dangling, or its object is not whole; both are told.
    fn find(&self, problems: &mut Problems, raw: &Raw, key: &str) -> Option<usize> {
        let id = raw.text(key)?;
        if let Some((_, index)) = self.known.get(&id.text) {
            return *index;
        }
        let names = || self.known.keys().map(String::as_str);
        let help = match nearest(&id.text, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if self.known.is_empty() => format!("there are no [[{}]]", self.table),
            None => format!("known ids: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there are no [[{}]] with the id `{}`", self.table, id.text);
        problems.push_at(id.place, raw.path(key), message, Some(help));
        None
    }
}

/// Is the object switched off (`status = 0`)?
fn is_off(raw: &Raw) -> bool {
    raw.int_given("status") == Some(0_u8)
}
