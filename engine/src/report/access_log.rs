//! One finished exchange becomes one line.
//!
//! The line's format was compiled with the plan; its values are escaped there, so no peer can end a
//! line or forge a field. The buffer is the caller's and is reused.

use crate::plan::facts::Facts;
use crate::plan::template::{LineTemplate, render_escaped};

/// Replaces what is in `line` by one whole line, with its line feed.
pub fn write_line(format: &LineTemplate, facts: &Facts<'_>, line: &mut Vec<u8>) {
    line.clear();
    render_escaped(&format.template, facts, format.escape, line);
    line.push(b'\n');
}
