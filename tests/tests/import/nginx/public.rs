//! The kinds of public configuration with client certificates: 23 files, in which directives and variables are as
//! frequent as in 23 public ones. Some of the cases that are played beside nginx are among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ferrule_import::nginx::{Disk, NginxOptions, convert};
use ferrule_import::{Import, Kind};
use ferrule_tools::process::source_dir;

/// In how many of 23 public files a directive is.
const DIRECTIVES: &str = "\
    location 22, server 21, listen 21, ssl_certificate 21, ssl_certificate_key 21, ssl_verify_client 21, \
    ssl_client_certificate 20, server_name 19, proxy_pass 17, proxy_set_header 16, ssl_protocols 15, \
    ssl_verify_depth 15, ssl_prefer_server_ciphers 12, ssl_ciphers 10, return 10, access_log 10, add_header 9, \
    client_max_body_size 8, error_log 8, proxy_read_timeout 8, http 7, proxy_http_version 7, ssl_session_cache 7, \
    ssl_session_timeout 7, events 6, worker_connections 6, upstream 6, if 6, root 6, proxy_connect_timeout 6, \
    proxy_send_timeout 6, index 5, ssl_trusted_certificate 5, default_type 5, try_files 4, proxy_ssl_certificate 4, \
    proxy_ssl_certificate_key 4, proxy_ssl_trusted_certificate 4, proxy_ssl_verify_depth 4, proxy_ssl_verify 4, \
    proxy_ssl_protocols 4, worker_processes 3, proxy_ssl_session_reuse 3, proxy_ssl_server_name 3, \
    proxy_ssl_ciphers 3, include 3, keepalive 3, sendfile 2, proxy_pass_request_headers 2, ssl_dhparam 2, \
    ssl_session_tickets 2, ssl_crl 2, ssl_stapling 2, ssl_stapling_verify 2, daemon 1, error_page 1, resolver 1, \
    map 1, default 1, limit_req_zone 1, limit_req 1, log_format 1, pid 1, proxy_ssl_name 1, http2 1, \
    proxy_buffering 1, proxy_buffer_size 1, proxy_buffers 1, send_timeout 1, allow 1, deny 1";

/// The same of variables about clients' certificates.
const VARIABLES: &str = "\
    $ssl_client_s_dn 15, $ssl_client_verify 10, $ssl_client_escaped_cert 5, $ssl_client_i_dn 4, \
    $ssl_client_fingerprint 2, $ssl_client_serial 2, $ssl_client_s_dn_cn 2, $ssl_client_cert 1, $ssl_client_cn 1, \
    $ssl_client_cn_nodot 1";

/// Cases that are of such a kind.
const CASES: [&str; 7] = [
    "logged",
    "optional_checked",
    "optional_other_status",
    "redirect_to_https",
    "revoked",
    "subject_expression",
    "verify_on",
];

/// What is missing, in those files that are not converted: the directive, its line, and a part of what is said.
const MISSING: &str = "\
app_beside_files.conf:23 server.location /: files are not served here (`root`, `alias`, `ind
error_pages.conf:19 http.server[0].location /: files are not served here (`root`, `alias`, `ind
portal_names.conf:26 server.location /: files are not served here (`root`, `alias`, `ind
single_page.conf:20 http.server[0].location /: files are not served here (`root`, `alias`, `ind
snippet_static.conf:2 location /: this file is a part of a `server`, and whom that
snippet_static.conf:3 location /.root: files are not served here (`root`, `alias`, `ind
snippet_static.conf:5 location /.try_files: files are not served here (`root`, `alias`, `ind
static_site.conf:21 http.server[0].location /: files are not served here (`root`, `alias`, `ind";

fn files() -> Vec<PathBuf> {
    let here = source_dir().join("tests/tests/import/nginx");
    let entries = fs::read_dir(here.join("public")).expect("a folder");
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    all.extend(CASES.iter().map(|name| here.join("cases").join(format!("{name}.conf"))));
    all.sort();
    all
}

/// The text, with a port in the place of each that a case leaves open.
fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a text");
    let mut text = text.replace("@dir@", "/etc/nginx");
    for (name, port) in [("tls", "443"), ("plain", "80"), ("up", "8080")] {
        text = text.replace(&format!("@{name}@"), port);
    }
    text
}

fn import(path: &Path) -> Import {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let options =
        NginxOptions { source: name, path: path.to_owned(), prefix: None, skips_files: false };
    convert(text(path).as_bytes(), &options, &Disk)
}

/// The words of a text without comments, `;`, `{` and `}` among them; read without the importer.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    for mark in lines.flat_map(|line| line.chars().chain(['\n'])) {
        match (mark, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            (mark, Some(_)) => word.push(mark),
            ('"' | '\'', None) => quote = Some(mark),
            (' ' | '\n' | ';' | '{' | '}', None) => {
                all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                all.extend((!mark.is_whitespace()).then(|| mark.to_string()));
            }
            (mark, None) => word.push(mark),
        }
    }
    all
}

/// The names of the directives of a text, each once; of the lines of a `map` only `default`.
fn directives(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let (mut begins, mut in_map) = (true, false);
    for word in words(text) {
        match word.as_str() {
            ";" | "{" => begins = true,
            "}" => (begins, in_map) = (true, false),
            _ if begins => {
                begins = false;
                if !in_map || word == "default" {
                    in_map |= word == "map";
                    all.insert(word);
                }
            }
            _ => {}
        }
    }
    all
}

fn variables(text: &str) -> BTreeSet<String> {
    let is_name = |mark: char| mark.is_ascii_alphanumeric() || mark == '_';
    let names = text.split('$').skip(1).map(|rest| rest.split(|mark| !is_name(mark)).next());
    let names = names.flatten().filter(|name| name.starts_with("ssl_client_"));
    names.map(|name| format!("${name}")).collect()
}

fn counted(names: impl Iterator<Item = BTreeSet<String>>) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for name in names.flatten() {
        *all.entry(name).or_insert(0) += 1;
    }
    all
}

fn table(text: &str) -> BTreeMap<String, usize> {
    let row = |row: &str| {
        let (name, count) = row.split_once(' ').expect("a name and a number");
        (name.to_owned(), count.parse().expect("a number"))
    };
    text.split(", ").map(row).collect()
}

#[test]
fn directives_are_as_frequent_as_in_public_files() {
    let texts: Vec<String> = files().iter().map(|path| text(path)).collect();
    assert_eq!(texts.len(), 23);
    let config = |text: &String| words(text).join(" ");
    assert_eq!(counted(texts.iter().map(|text| directives(text))), table(DIRECTIVES));
    assert_eq!(counted(texts.iter().map(|text| variables(&config(text)))), table(VARIABLES));
}

#[test]
fn at_least_17_of_23_convert_whole_and_the_others_name_what_is_missing() {
    let mut missing = BTreeSet::new();
    let mut whole = 0;
    for path in files() {
        let made = import(&path);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if made.report.outcome().code() == 1 {
            for finding in made.report.findings.iter().filter(|one| one.kind == Kind::Refused) {
                let message: String = finding.message.chars().take(48).collect();
                missing.insert(format!("{name}:{} {}: {message}", finding.spot.line, finding.path));
            }
        } else {
            whole += 1;
            assert!(made.configuration.contains("[[routes]]"), "{name}");
        }
    }
    let wanted: BTreeSet<String> = MISSING.lines().map(str::to_owned).collect();
    assert_eq!(missing, wanted);
    assert!(whole >= 17, "{whole} of 23");
}

/// Who serves files is told which, and what to do.
#[test]
fn those_that_serve_files_are_told_so() {
    let serves = |path: &PathBuf| directives(&text(path)).contains("root");
    let all: Vec<PathBuf> = files().into_iter().filter(serves).collect();
    assert_eq!(all.len(), 6);
    for path in all {
        let made = import(&path);
        let told = |one: &ferrule_import::Finding| {
            one.kind == Kind::Refused
                && one.message.contains("files are not served here")
                && one.message.contains("web server")
                && one.spot.line > 0
        };
        assert!(made.report.findings.iter().any(told), "{}", made.report.text());
    }
}
