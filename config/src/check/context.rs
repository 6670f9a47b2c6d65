//! What checking needs and gathers on its way, and what every table needs: paths, PEM text, problems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::check::ids::Ids;
use crate::model::{
    BodyFile, ClientAuth, FileAt, HostPattern, KeyPair, Pem, PemSource, Router, Store, Upstream,
};
use crate::place::Place;
use crate::problem::{Problem, Problems};
use crate::raw::{Raw, Text};
use crate::template::Variable;
use crate::values::Wrong;

/// What checking needs, and what it gathers on its way.
pub(crate) struct Check<'a> {
    /// Where relative paths start.
    pub(super) dir: PathBuf,
    pub(super) problems: &'a mut Problems,
    /// Every upstream so far: a route's inline one joins those of the file.
    pub(super) upstreams: Vec<Upstream>,
    pub(super) upstream_ids: Ids,
    /// Every store so far.
    pub(super) stores: Vec<Store>,
    pub(super) store_ids: Ids,
    pub(super) client_certs: ClientCerts,
    /// Authorities that routes have of their own.
    pub(super) trusts: Vec<ClientAuth>,
    /// Where `[crl_fetch]` is; without it nothing is fetched.
    pub(super) crl_fetch_place: Option<Place>,
    /// Is it a response that is spoken of, whose status is known?
    pub(super) in_response: bool,
    /// Where `http_to_https` leads: a port that speaks TLS.
    pub(super) https_port: u16,
    /// Files that are bodies of answers.
    pub(super) body_files: Vec<BodyFile>,
    /// Every server name, and where it was first given; that of a broken object too.
    pub(super) server_names: BTreeMap<HostPattern, Place>,
    /// Identity headers as a naive reader may see their names.
    pub(super) identity_names: BTreeSet<String>,
    /// Nobody reaches a route without a verified certificate, but by an exempt path.
    pub(super) demanded_everywhere: bool,
    /// In which order routes are looked for.
    pub(super) router: Router,
    /// Every connection has a server name that is configured: there is no plain listener, and none that
    /// assumes a name.
    pub(super) names_decide: bool,
}

/// `[[ssls]]` of type `client`, by id; `None` if one is not whole.
#[derive(Debug, Default)]
pub(super) struct ClientCerts {
    pub(super) by_id: BTreeMap<String, Option<KeyPair>>,
    /// Ids of objects that are something else: a common mistake.
    pub(super) servers: Vec<String>,
}

impl Check<'_> {
    /// Is the value of this variable known by now?
    pub(super) fn is_known(&self, variable: &Variable) -> bool {
        variable.allowed_in_headers()
            || (self.in_response && variable.is_known_with_response_head())
    }

    pub(super) fn wrong(&mut self, place: Place, field: impl Into<String>, wrong: Wrong) {
        self.problems.push_at(place, field, wrong.message, wrong.help);
    }

    pub(super) fn error(
        &mut self,
        place: Place,
        field: impl Into<String>,
        message: &str,
        help: &str,
    ) {
        self.problems.push_at(place, field, message, Some(help.to_owned()));
    }

    pub(super) fn warn(&mut self, place: Place, field: String, message: &str, help: &str) {
        let (message, help) = (message.to_owned(), Some(help.to_owned()));
        self.problems.warn(Problem { place, field, message, help });
    }

    /// Two keys of which only one may be given.
    pub(super) fn exclusive(&mut self, raw: &Raw, one: &str, other: &str) {
        if raw.has(one) && raw.has(other) {
            let message = format!("`{one}` and `{other}` exclude each other");
            self.problems.push_at(raw.at(other), raw.path(other), message, None);
        }
    }

    /// The texts of a key for one, and of its twin for several; with the paths of each.
    pub(super) fn one_or_more(&mut self, raw: &Raw, one: &str, more: &str) -> Vec<(Text, String)> {
        self.exclusive(raw, one, more);
        let mut all: Vec<_> = raw.text(one).into_iter().map(|text| (text, raw.path(one))).collect();
        for (index, text) in raw.texts(more).iter().enumerate() {
            all.push((text.clone(), format!("{}[{index}]", raw.path(more))));
        }
        all
    }

    /// A path, resolved.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.dir.join(text)
    }

    /// PEM text, or the path of it. What is neither may be a key all the same, and is not shown.
    pub(super) fn pem(&mut self, text: &Text, field: String) -> Option<Pem> {
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
    pub(super) fn files(&mut self, raw: &Raw, key: &str) -> Vec<FileAt> {
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
    pub(super) fn file(&mut self, raw: &Raw, key: &str) -> Option<FileAt> {
        let text = raw.text(key)?;
        if text.text.trim().is_empty() {
            self.error(text.place, raw.path(key), "this is empty", "write a path");
            return None;
        }
        Some(FileAt { place: text.place, path: self.path(&text.text) })
    }

    /// The PEM texts of a key that takes one or several.
    pub(super) fn pems(&mut self, raw: &Raw, key: &str) -> Vec<Pem> {
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

/// Is the object switched off (`status = 0`)?
pub(super) fn is_off(raw: &Raw) -> bool {
    raw.int_given("status") == Some(0_u8)
}
