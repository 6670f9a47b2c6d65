//! `ferrule completions` and `ferrule man`: what a package installs beside the binary.
//!
//! In: the command line as clap knows it. Out: a completion script for a shell, or the manual pages. Both
//! come from the arguments themselves, so neither can tell of an option that is not there.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::control::process::terminal::{CANNOT_RUN, print, print_error};

/// The date of the pages: when their words were last changed in earnest. It is no date of a build, so that two builds
/// of one source make the same pages; without one, mandoc takes the version for it.
const DATE: &str = "2026-11-30";
/// What the pages of clap do not say.
const FILES: &str = r#".SH FILES
.TP
.I /etc/ferrule/ferrule.toml
The configuration. The service of the Debian package reads this file.
.TP
.I /run/ferrule/ctl.sock
The socket of
.BR "ferrule ctl" .
.TP
.I /var/log/ferrule
Where the service may write logs.
.SH EXIT STATUS
.TP
.B 0
Success.
.TP
.B 1
The configuration, the certificate or the reload is refused; the reasons are on standard error.
.TP
.B 2
The command line is wrong.
.TP
.B 3
The process cannot start, or a core was lost or did not stop.
"#;

/// Prints the completion script for a shell.
pub(super) fn completions(shell: Shell, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "ferrule", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the page of `ferrule`, or writes one for it and for each of its commands into a directory.
pub(super) fn man(directory: Option<&Path>, mut command: Command) -> ExitCode {
    command.build();
    let written = match directory {
        None => page(&command).map(|page| print(&String::from_utf8_lossy(&page))),
        Some(directory) => write_pages(&command, directory).map(|()| ExitCode::SUCCESS),
    };
    written.unwrap_or_else(|error| {
        let place = directory.map_or_else(String::new, |path| format!("{}: ", path.display()));
        print_error(&format!("the manual cannot be written: {place}{error}"));
        ExitCode::from(CANNOT_RUN)
    })
}

/// Writes the page of this command, and those below it. The directory is made if it is missing.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join(format!("{}.1", page_name(command))), page(command)?)?;
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    for one in below.filter(|one| one.get_name() != "help") {
        write_pages(one, directory)?;
    }
    Ok(())
}

/// `ferrule-ctl-status` for `ferrule ctl status`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let name = page_name(command);
    let is_whole = name == "ferrule";
    let man = Man::new(command.clone())
        .title(name)
        .date(DATE)
        .source(concat!("ferrule ", env!("CARGO_PKG_VERSION")))
        .manual("Ferrule Manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    if is_whole {
        page.write_all(FILES.as_bytes())?;
    }
    Ok(page)
}
