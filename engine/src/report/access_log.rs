//! One finished exchange becomes one line.
//!
//! The line's format was compiled with the plan; its values are escaped there, so no peer can end a
//! line or forge a field. The buffer is the caller's and is reused.

use crate::plan::facts::Facts;
use crate::plan::log_line::{FixedParts, LineTemplate};

/// Replaces what is in `line` by one whole line, with its line feed; `fixed` as in
/// [`LineTemplate::render`].
pub fn write_line(
    format: &LineTemplate,
    facts: &Facts<'_>,
    fixed: Option<&FixedParts>,
    line: &mut Vec<u8>,
) {
    line.clear();
    format.render(facts, fixed, line);
    line.push(b'\n');
}
