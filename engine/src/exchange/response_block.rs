//! Changes to the head of whatever answer a client gets, the upstream's or ours.
//!
//! In: fields that the steps of a request's policy set, add or remove, in their order. Out: the head that was
//! rendered, changed. Nothing here knows a name: what may be changed is decided where the configuration is
//! read, and framing is not among it.

use crate::plan::names;
use crate::wire::fields::{eq_ignore_case, is_token, is_value};
use crate::wire::write;

/// Changes to a head; reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub struct ResponseBlock {
    /// Lines that are appended.
    lines: Vec<u8>,
    /// Names whose lines in the head go, each behind a line feed.
    replaced: Vec<u8>,
}

impl ResponseBlock {
    /// Forgets all changes, and gives back what grew beyond this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        for grown in [&mut self.lines, &mut self.replaced] {
            grown.clear();
            if grown.capacity() > bytes {
                grown.shrink_to(bytes);
            }
        }
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.replaced.clear();
    }

    /// Is there nothing to change?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.replaced.is_empty()
    }

    /// Adds a line beside those of the same name. One that would break the head is left out.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        if is_token(name) && is_value(value) {
            write::field(name, value, &mut self.lines);
        }
    }

    /// Puts one line in the place of all of this name, in the head and here.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// [`Self::set`], unless a line of this name was added here.
    pub fn set_default(&mut self, name: &[u8], value: &[u8]) {
        if !self.lines.split(|byte| *byte == b'\n').any(|line| is_named(line, name)) {
            self.set(name, value);
        }
    }

    /// Takes the changes of another one.
    pub fn copy_from(&mut self, other: &Self) {
        self.clear();
        self.lines.extend_from_slice(&other.lines);
        self.replaced.extend_from_slice(&other.replaced);
    }

    /// Takes all lines of this name away, in the head and here.
    pub fn remove(&mut self, name: &[u8]) {
        retain_lines(&mut self.lines, 0, |line| !is_named(line, name));
        if !self.replaces(name) {
            self.replaced.push(b'\n');
            self.replaced.extend_from_slice(name);
        }
    }

    /// Adds lines that were rendered elsewhere, each with its line end.
    pub fn add_lines(&mut self, lines: &[u8]) {
        self.lines.extend_from_slice(lines);
    }

    fn replaces(&self, name: &[u8]) -> bool {
        self.replaced.split(|byte| *byte == b'\n').any(|one| eq_ignore_case(one, name))
    }

    /// Do the lines of this name go, in whatever case and spelling a careless reader takes for it?
    #[must_use]
    pub fn replaces_respelt(&self, name: &[u8]) -> bool {
        let folded = |byte: &u8| names::fold(*byte);
        self.replaced
            .split(|byte| *byte == b'\n')
            .any(|one| !one.is_empty() && one.iter().map(folded).eq(name.iter().map(folded)))
    }

    /// Changes the head that begins at `start` and ends with its empty line, where `out` ends as well.
    pub fn apply(&self, start: usize, out: &mut Vec<u8>) {
        if self.is_empty() || !out.ends_with(b"\r\n\r\n") {
            return;
        }
        out.truncate(out.len().saturating_sub(write::CRLF.len()));
        if !self.replaced.is_empty() {
            let fields = out.get(start..).and_then(|head| memchr::memchr(b'\n', head));
            let fields =
                fields.map_or(out.len(), |end| start.saturating_add(end).saturating_add(1));
            retain_lines(out, fields, |line| !self.replaces(name_of(line)));
        }
        out.extend_from_slice(&self.lines);
        out.extend_from_slice(write::CRLF);
    }
}

/// The name of a field line.
fn name_of(line: &[u8]) -> &[u8] {
    let end = memchr::memchr(b':', line).unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

fn is_named(line: &[u8], name: &[u8]) -> bool {
    eq_ignore_case(name_of(line), name)
}

/// Does one of these lines have this name?
#[must_use]
pub(super) fn has_field(lines: &[u8], name: &str) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| is_named(line, name.as_bytes()))
}

/// Keeps some of the lines from `start` on, in place.
fn retain_lines(out: &mut Vec<u8>, start: usize, keeps: impl Fn(&[u8]) -> bool) {
    let (mut read, mut kept) = (start, start);
    while let Some(rest) = out.get(read..).filter(|rest| !rest.is_empty()) {
        let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end.saturating_add(1));
        if rest.get(..len).is_some_and(&keeps) {
            out.copy_within(read..read.saturating_add(len), kept);
            kept = kept.saturating_add(len);
        }
        read = read.saturating_add(len);
    }
    out.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "HTTP/1.1 200 X-A: ok\r\nX-A: 1\r\nVary: a\r\nx-a: 2\r\nContent-Length: 1\r\n\r\n";

    fn applied(change: impl FnOnce(&mut ResponseBlock)) -> String {
        let mut block = ResponseBlock::default();
        change(&mut block);
        let mut out = b"before\r\n".to_vec();
        out.extend_from_slice(HEAD.as_bytes());
        block.apply(8, &mut out);
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("before\r\n").unwrap().to_owned()
    }

    #[test]
    fn changes_apply_in_their_order() {
        assert_eq!(applied(|_| {}), HEAD);
        let line = "HTTP/1.1 200 X-A: ok\r\n";
        let wanted =
            format!("{line}Vary: a\r\nContent-Length: 1\r\nX-A: 3\r\nX-a: 4\r\nVary: b\r\n\r\n");
        let found = applied(|block| {
            block.add(b"X-A", b"0");
            block.set(b"X-A", b"3");
            block.add(b"X-a", b"4");
            block.add(b"Vary", b"b");
        });
        assert_eq!(found, wanted);
        let found = applied(|block| {
            block.set(b"X-A", b"3");
            block.remove(b"x-A");
            block.remove(b"X-Absent");
        });
        assert_eq!(found, format!("{line}Vary: a\r\nContent-Length: 1\r\n\r\n"));
    }

    /// Whatever bytes a value has, the head keeps its lines.
    #[test]
    fn nothing_breaks_a_line() {
        for byte in 0..=255_u8 {
            for value in [vec![byte], vec![b'a', byte, b'b']] {
                let found = {
                    let mut block = ResponseBlock::default();
                    block.add(b"X", &value);
                    block.set(b"Y", &value);
                    let mut out = HEAD.as_bytes().to_vec();
                    block.apply(0, &mut out);
                    out
                };
                let lines = found.split(|byte| *byte == b'\n').count();
                let wanted = HEAD.matches('\n').count() + 1;
                assert!(lines == wanted || lines == wanted + 2, "{value:?}");
                assert!(found.ends_with(b"\r\n\r\n"));
            }
        }
        assert_eq!(applied(|block| block.add(b"X: 1\r\nY", b"1")), HEAD);
    }
}
