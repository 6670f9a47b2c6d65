//! Every file that a configuration names is a regular one, or an error with its name and what it is.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat, symlink};

use super::stage::Stage;

/// With a file for every key that takes one; no key is encrypted.
const CONFIG: &str = r#"
[http]
ssl_session_ticket_key = ["tickets-new", "tickets-old"]
error_pages = { 404 = "page.html" }
[[listen]]
address = "127.0.0.1:1"
tls = true
[[ssls]]
sni = "a.test"
cert = "cert"
key = "key"
certs = ["certs"]
keys = ["keys"]
password_file = "phrases"
client = { ca = "client-ca", crl = "client-crl" }
[[ssls]]
sni = "b.test"
cert = "cert"
key = "key"
ssl_stapling_file = "staple"
[[ssls]]
id = "own"
type = "client"
cert = "own-cert"
key = "own-key"
password_file = "own-phrases"
[[routes]]
uri = "/*"
client = { verify = "on", ca = "route-ca", crl = "route-crl" }
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:9" = 1 }
tls = { server_name = "a.test", ca = "up-ca", crl = "up-crl", client_cert = "up-cert", client_key = "up-key", password_file = "up-phrases" }
[[routes]]
uri = "/own"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:9" = 1 }
tls = { server_name = "a.test", ca = "up-ca", client_cert_id = "own" }
"#;

/// What puts something in a file's place.
type Put = fn(&Path);

/// What may stand there, in words.
const KINDS: [(&str, Put); 5] = [
    ("is a directory, not a regular file", |path| fs::create_dir(path).expect("a directory")),
    ("is a FIFO, not a regular file", |path| {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    }),
    ("is a socket, not a regular file", |path| drop(UnixListener::bind(path).expect("a socket"))),
    ("is a device, not a regular file", |path| symlink("/dev/null", path).expect("a link")),
    ("No such file", |_| {}),
];

#[test]
fn a_file_of_another_kind_is_named_with_its_kind_under_every_key() {
    let stage = Stage::new();
    let file = stage.dir.path().join("ferrule.toml");
    let draft = ferrule_config::read_text(&file, CONFIG.to_owned(), &|_| None).expect("TOML");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let pages = draft.config.http.answers.error_pages.iter().map(|page| page.path.clone());
    let files: Vec<PathBuf> =
        draft.config.files().into_iter().map(Path::to_path_buf).chain(pages).collect();
    assert_eq!(files.len(), 21, "{files:?}");
    for path in &files {
        fs::write(path, stage.good(path)).expect("a file");
    }
    let mut silent = Vec::new();
    for path in &files {
        for (words, put) in KINDS {
            fs::remove_file(path).expect("it is there");
            put(path);
            let said = stage.problems(CONFIG);
            // Of a page, the name stands in front of the words.
            let words = words.strip_prefix("is ").unwrap_or(words);
            if !said
                .lines()
                .any(|line| line.contains(&path.display().to_string()) && line.contains(words))
            {
                silent.push(format!("{}: {words}: {said}", path.display()));
            }
            fs::remove_dir(path).or_else(|_| fs::remove_file(path)).ok();
            fs::write(path, stage.good(path)).expect("a file");
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
