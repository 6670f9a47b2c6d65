//! `ferrule ctl routes`: which route a request would take in the running process, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use data_encoding::BASE64;
use serde_json::Value;

use super::ctl_table::{list, shown};
use super::explain;
use crate::control::endpoints::admin_protocol::AdminCommand;
use crate::control::process::terminal;

/// The arguments of `ferrule ctl routes`.
#[derive(Args, Debug)]
pub(crate) struct RoutesArguments {
    /// Method and URL (`POST https://host/path`), or the URL alone, for GET.
    #[arg(value_name = "METHOD URL", num_args = 1..=2, required = true)]
    request: Vec<String>,
    /// The certificate that the client shows, PEM; certificates after it in the file are sent after it.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
}

impl RoutesArguments {
    /// The question; the exit code if the certificate cannot be read.
    pub(super) fn command(&self) -> Result<AdminCommand, ExitCode> {
        let chain = match &self.cert {
            Some(path) => explain::read(path).map_err(|error| {
                terminal::print_error(&format!("{}: {error}", path.display()));
                ExitCode::from(terminal::USAGE)
            })?,
            None => Vec::new(),
        };
        let (method, url) = match self.request.as_slice() {
            [method, url] => (method.clone(), url.clone()),
            words => ("GET".to_owned(), words.first().cloned().unwrap_or_default()),
        };
        let chain = chain.iter().map(|der| BASE64.encode(der)).collect();
        Ok(AdminCommand::Routes { method, url, chain })
    }
}

/// The answer in words.
pub(super) fn route(answer: &Value) -> String {
    let mut out = match answer.get("route").filter(|route| !route.is_null()) {
        Some(route) => {
            let upstream = match route.get("upstream").filter(|upstream| !upstream.is_null()) {
                Some(_) => format!("to upstream {}", shown(route, "/upstream")),
                None => "which answers by itself".to_owned(),
            };
            format!("route {}, {upstream}\n", shown(route, "/id"))
        }
        None => "no route takes this request\n".to_owned(),
    };
    let mut line = |words: &str, path: &str| {
        if answer.pointer(path).is_some_and(|value| !value.is_null()) {
            out.extend([words, &shown(answer, path), "\n"]);
        }
    };
    line("path as it is looked up: ", "/path");
    line("[[ssls]]: ", "/server");
    line("client certificate: ", "/client");
    line("the client is told: ", "/refused");
    line("generation: ", "/generation");
    for (at, step) in list(answer, "steps").iter().enumerate() {
        let number = itoa::Buffer::new().format(at + 1).to_owned();
        out.extend(["  ", &number, ". ", &shown(step, "/route"), ": ", &shown(step, "/why"), "\n"]);
    }
    if answer.get("unlisted").and_then(Value::as_u64).is_some_and(|more| more > 0) {
        out.extend(["  and ", &shown(answer, "/unlisted"), " more that were passed over\n"]);
    }
    out.truncate(out.trim_end().len());
    out
}
