//! A real browser that looks at the status page: `tests/page/look.py`, with Debian's Chromium.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ferrule_tests::{shell, source_dir};

/// One look.
pub(crate) struct Browser {
    child: Child,
    lines: BufReader<ChildStdout>,
    input: ChildStdin,
}

impl Browser {
    /// Starts to look at `/status` of this port. With `FERRULE_TESTS_SCREENSHOTS`, pictures go to that directory.
    pub(crate) fn look(what: &str, port: u16) -> Self {
        let top = source_dir();
        shell(&top, "tests/page/install");
        let mut command = Command::new(top.join("target/page/bin/python"));
        command.arg(top.join("tests/page/look.py")).arg(what);
        command.arg(format!("http://127.0.0.1:{port}/status"));
        command.args(std::env::var_os("FERRULE_TESTS_SCREENSHOTS"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python, as tests/page/install puts it there");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let input = child.stdin.take().expect("a pipe");
        Self { child, lines, input }
    }

    /// Waits until the browser wants this, and does it.
    pub(crate) fn when(&mut self, word: &str, act: impl FnOnce()) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), word, "the browser has found something else, see above");
        act();
        self.input.write_all(b"done\n").expect("a browser that waits");
    }

    /// Waits until it has seen everything.
    pub(crate) fn finish(mut self) {
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "the browser has found something, see above");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has ended already unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
