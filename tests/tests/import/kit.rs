//! Starts what an importer made, and asks it with curl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_tests::{Driver, PATIENCE};
use ferrule_tools::process::{Process, ferrule_binary};

/// How an import went.
pub(crate) struct ImportRun {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// `ferrule import` with these words, in `dir`.
pub(crate) fn import(dir: &Path, words: &[&str]) -> ImportRun {
    let mut command = Command::new(ferrule_binary());
    let done = command.arg("import").args(words).current_dir(dir).output().expect("ferrule");
    let text = [done.stdout, done.stderr].concat();
    ImportRun { code: done.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Starts the configuration in `folder`, with `change` made to it first.
pub(crate) fn start(folder: &Path, driver: Driver, change: impl Fn(String) -> String) -> Process {
    let made = fs::read_to_string(folder.join("ferrule.toml")).expect("an imported file");
    let runtime = format!(
        "[runtime]\nworkers = 1\ncpu_affinity = false\nring_entries = 256\nio_driver = \"{driver}\"\n"
    );
    let text = if made.contains("\n[runtime]\n") {
        made.replace("\n[runtime]\n", &format!("\n{runtime}"))
    } else {
        format!("{runtime}{made}")
    };
    let file: PathBuf = folder.join(format!("{driver}.toml"));
    fs::write(&file, change(text)).expect("a writable folder");
    let mut command = Command::new(ferrule_binary());
    command.arg("run").arg("-c").arg(&file);
    let mut process = Process::start(command, &folder.join(format!("{driver}.log")));
    process.wait_for_output(0, "that it is ready", |text| text.contains(" ready: "));
    process
}

/// What curl got: the status (000 for none), where a redirect leads, and the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CurlAnswer {
    pub(crate) status: String,
    pub(crate) location: String,
    pub(crate) fields: Vec<String>,
    pub(crate) body: String,
}

/// Asks with these words of curl's, divided by spaces.
pub(crate) fn curl(dir: &Path, words: &str) -> CurlAnswer {
    let most = PATIENCE.as_secs().to_string();
    let done = Command::new("curl")
        .args(["--silent", "--insecure", "--dump-header", "-", "--max-time", &most])
        .args(["--write-out", "\n%{http_code} %{redirect_url}"])
        .args(words.split_ascii_whitespace())
        .current_dir(dir)
        .output()
        .expect("curl");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let (answer, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    let (status, location) = last.split_once(' ').unwrap_or((last, ""));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let fields = head.lines().skip(1).map(|line| line.trim().to_ascii_lowercase()).collect();
    CurlAnswer {
        status: status.to_owned(),
        location: location.to_owned(),
        fields,
        body: body.to_owned(),
    }
}

/// The lines of a request head, as an echo sends them back, that have one of these names.
pub(crate) fn lines(body: &str, names: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = body
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.trim()))
        .filter(|line| {
            names.iter().any(|name| line.starts_with(&format!("{}:", name.to_ascii_lowercase())))
        })
        .collect();
    found.sort();
    found
}
