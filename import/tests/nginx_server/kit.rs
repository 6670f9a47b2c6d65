//! Servers of nginx's that are converted, and what becomes of them.

use std::path::{Path, PathBuf};

use ferrule_import::nginx::{Files, NginxOptions, convert};
use ferrule_import::{Import, Kind, Outcome};

pub(crate) const PASS: &str = "proxy_pass http://10.0.0.1:80;";

/// No file but the one that is converted.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err(String::from("it is not there"))
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// This text as a whole file.
pub(crate) fn import_with(text: &str, skips_files: bool) -> Import {
    let options = NginxOptions {
        source: String::from("nginx.conf"),
        path: PathBuf::from("/etc/nginx/nginx.conf"),
        prefix: None,
        skips_files,
    };
    convert(text.as_bytes(), &options, &NoFiles)
}

/// These lines in a server with TLS, and `around` in front of it.
pub(crate) fn server(around: &str, lines: &str) -> String {
    format!(
        "events {{}} http {{ ssl_certificate a.crt; ssl_certificate_key a.key; ssl_client_certificate ca.crt; {around}\n\
         server {{ listen 443 ssl; server_name a.test; {lines} }} }}"
    )
}

/// The same, converted; what serves files is left out.
pub(crate) fn import(around: &str, lines: &str) -> Import {
    import_with(&server(around, lines), true)
}

pub(crate) fn said(import: &Import, kind: Kind) -> String {
    let of = import.report.findings.iter().filter(|finding| finding.kind == kind);
    of.map(|finding| format!("{}: {}: {}\n", finding.spot, finding.path, finding.message)).collect()
}

/// The routes of what it becomes, in their order.
pub(crate) fn routes(import: &Import) -> Vec<toml::Table> {
    assert_ne!(import.report.outcome(), Outcome::Refused, "{}", import.report.text());
    let file = import.configuration.parse::<toml::Table>();
    assert!(file.is_ok(), "{}", import.configuration);
    let list = file.ok().and_then(|mut file| file.remove("routes"));
    let list = list.as_ref().and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.into_iter().filter_map(|route| route.as_table().cloned()).collect()
}

/// It is refused, with this text.
pub(crate) fn refused(around: &str, lines: &str, wanted: &str) {
    let made = import(around, lines);
    assert_eq!(made.report.outcome(), Outcome::Refused, "{lines}\n{}", made.configuration);
    let refused = said(&made, Kind::Refused);
    assert!(refused.contains(wanted), "{lines}: {refused}");
}
