//! `ferrule ctl events`: prints what the process sends, line by line, until one of the two ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::ctl_table::list;
use crate::control::endpoints::admin_protocol::AdminCommand;
use crate::control::process::terminal;

/// A line is an event, or says what went wrong.
const LINE_BYTES_MAX: u64 = 64 * 1_024;

/// Prints events as they come, after the last ones.
pub(super) fn run(socket: &Path, last: usize) -> ExitCode {
    match follow(socket, last) {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(&format!("{}: {error}", socket.display()));
            ExitCode::from(terminal::CANNOT_RUN)
        }
    }
}

fn follow(socket: &Path, last: usize) -> std::io::Result<ExitCode> {
    let mut stream = UnixStream::connect(socket)?;
    let mut text = serde_json::to_string(&AdminCommand::Events { last })?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let first: Value = serde_json::from_str(&read_line(&mut reader)?)?;
    if first.get("ok").and_then(Value::as_bool) != Some(true) {
        for error in list(&first, "errors") {
            terminal::print_error(error.as_str().unwrap_or_default());
        }
        return Ok(ExitCode::from(terminal::REFUSED));
    }
    let mut out = std::io::stdout().lock();
    loop {
        let line = read_line(&mut reader)?;
        if line.is_empty() {
            return Err(std::io::Error::other("the process has closed the connection"));
        }
        // Whoever reads our output may leave, as `head` does.
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn read_line(reader: &mut BufReader<UnixStream>) -> std::io::Result<String> {
    let mut line = String::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok(line)
}
