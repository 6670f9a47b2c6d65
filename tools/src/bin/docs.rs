//! Writes `docs/configuration.md` and `docs/configuration.schema.json`, which are made from the
//! description of the configuration file, `docs/metrics.md`, which is made from what is measured, and
//! `docs/architecture.svg`, which is drawn from the sources.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::fs;
use std::process::ExitCode;

use ferrule_tools::process::source_dir;
use ferrule_tools::survey::picture;

fn main() -> ExitCode {
    let docs = source_dir().join("docs");
    for (file, text) in [
        ("configuration.md", ferrule_config::reference()),
        ("configuration.schema.json", ferrule_config::schema()),
        ("architecture.svg", picture(&source_dir())),
        ("metrics.md", ferrule_engine::control::metrics::catalogue::reference()),
    ] {
        let path = docs.join(file);
        if let Err(error) = fs::create_dir_all(&docs).and_then(|()| fs::write(&path, text)) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("written: {}", path.display());
    }
    ExitCode::SUCCESS
}
