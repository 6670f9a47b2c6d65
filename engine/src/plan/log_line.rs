//! A log line's template: in parts that are the same for all requests of a connection, and parts that
//! are not.
//!
//! The former are rendered and escaped once, when the connection's identity headers are; a line then is
//! copies of them with the rest between.

use super::facts::Facts;
use super::template::TemplatePiece;
use super::value_writer::Escape;

/// A template of a log line, with how its values are escaped.
#[derive(Clone, Debug)]
pub struct LineTemplate {
    parts: Box<[LinePart]>,
}

/// A text or a value of a line.
#[derive(Clone, Debug)]
pub(super) struct LinePiece {
    pub(super) piece: TemplatePiece,
    pub(super) escape: Escape,
}

#[derive(Clone, Debug)]
struct LinePart {
    pieces: Box<[LinePiece]>,
    /// The same for all requests of a connection, and more than text.
    fixed: bool,
}

/// The parts of one connection's lines that are the same in all of them.
#[derive(Clone, Debug, Default)]
pub struct FixedParts {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl LineTemplate {
    /// What a line holds, without a line feed at its end.
    pub(super) fn new(pieces: &[LinePiece]) -> Self {
        let is_scoped = |one: &LinePiece| one.piece.is_connection_scoped();
        let mut parts: Vec<(Vec<LinePiece>, bool)> = Vec::new();
        for run in pieces.chunk_by(|one, next| is_scoped(one) == is_scoped(next)) {
            let is_text = |one: &LinePiece| matches!(one.piece, TemplatePiece::Text(_));
            let fixed = run.iter().all(is_scoped) && !run.iter().all(is_text);
            match parts.last_mut().filter(|(_, last)| *last == fixed) {
                Some((pieces, _)) => pieces.extend_from_slice(run),
                None => parts.push((run.to_vec(), fixed)),
            }
        }
        let parts =
            parts.into_iter().map(|(pieces, fixed)| LinePart { pieces: pieces.into(), fixed });
        Self { parts: parts.collect() }
    }

    /// Renders what is the same for all requests of this connection.
    #[must_use]
    pub fn fixed_parts(&self, facts: &Facts<'_>) -> FixedParts {
        let mut fixed = FixedParts::default();
        self.renew_fixed_parts(facts, &mut fixed);
        fixed.bytes.shrink_to_fit();
        fixed.ends.shrink_to_fit();
        fixed
    }

    /// Renders it again where something of the connection has changed, in the memory that is there.
    pub fn renew_fixed_parts(&self, facts: &Facts<'_>, fixed: &mut FixedParts) {
        fixed.bytes.clear();
        fixed.ends.clear();
        for part in self.parts.iter().filter(|part| part.fixed) {
            part.render(facts, &mut fixed.bytes);
            fixed.ends.push(fixed.bytes.len());
        }
    }

    /// Appends a line. `fixed` is what [`LineTemplate::fixed_parts`] of this very template made of
    /// the same connection; without it everything is rendered.
    pub fn render(&self, facts: &Facts<'_>, fixed: Option<&FixedParts>, out: &mut Vec<u8>) {
        let (mut start, mut ends) = (0, fixed.map(|fixed| fixed.ends.iter()));
        for part in &self.parts {
            let end = if part.fixed { ends.as_mut().and_then(Iterator::next) } else { None };
            if let (Some(end), Some(fixed)) = (end, fixed) {
                out.extend_from_slice(fixed.bytes.get(start..*end).unwrap_or_default());
                start = *end;
            } else {
                part.render(facts, out);
            }
        }
    }
}

impl LinePart {
    fn render(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for LinePiece { piece, escape } in &self.pieces {
            piece.render(facts, *escape, out);
        }
    }
}
