//! The ways to read a message: the strict one, and the lenient ones that real servers are known for.

/// What ends a line.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Lines {
    Crlf,
    Lf,
    Cr,
}

/// What a line that starts with white space is.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Fold {
    Join,
    Field,
    Skip,
}

/// What is cut off names and values.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Trim {
    /// Spaces and tabs around values.
    Values,
    /// And behind names.
    Names,
    /// Every control byte around both.
    Controls,
    /// Everything from a NUL on.
    Nul,
}

/// When `Transfer-Encoding` means chunks.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Te {
    LastElement,
    FirstElement,
    Substring,
    WholeValue,
    Http11Only,
}

/// Which `Content-Length` counts, and how it is read.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Cl {
    First,
    Last,
    Base0,
    DigitsOnly,
}

/// Which of two wins.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Pick {
    First,
    Last,
    /// The `Host` field even against an absolute target; the length against the chunks.
    Other,
}

/// How chunks are read.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Chunks {
    Strict,
    /// CRLF ends lines; numbers end where they stop being numbers.
    Prefix,
    /// LF alone ends lines too.
    BareLf,
    /// Sizes have 32 bits.
    Wrap,
    /// Two bytes behind data are skipped, whatever they are.
    Blind,
    /// A quoted string may hold line ends.
    Quotes,
}

/// One way to read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) name: &'static str,
    pub(crate) strict: bool,
    pub(crate) lines: Lines,
    pub(crate) fold: Fold,
    pub(crate) trim: Trim,
    pub(crate) te: Te,
    pub(crate) cl: Cl,
    pub(crate) length_wins: bool,
    pub(crate) host: Pick,
    pub(crate) chunks: Chunks,
}

/// The tolerant reading that the others differ from in one thing.
pub(crate) const BASE: Reading = Reading {
    name: "tolerant",
    strict: false,
    lines: Lines::Crlf,
    fold: Fold::Join,
    trim: Trim::Names,
    te: Te::LastElement,
    cl: Cl::First,
    length_wins: false,
    host: Pick::First,
    chunks: Chunks::Prefix,
};

/// By the letter of RFC 9112.
pub(crate) const STRICT: Reading =
    Reading { name: "strict", strict: true, chunks: Chunks::Strict, ..BASE };

/// All the others.
pub(crate) const LENIENT: [Reading; 20] = [
    BASE,
    Reading { name: "LF ends lines", lines: Lines::Lf, chunks: Chunks::BareLf, ..BASE },
    Reading { name: "CR ends lines", lines: Lines::Cr, ..BASE },
    Reading { name: "folded lines are fields", fold: Fold::Field, ..BASE },
    Reading { name: "folded lines are skipped", fold: Fold::Skip, ..BASE },
    Reading { name: "a space belongs to the name", trim: Trim::Values, ..BASE },
    Reading { name: "controls are trimmed", trim: Trim::Controls, te: Te::Substring, ..BASE },
    Reading { name: "NUL ends strings", trim: Trim::Nul, ..BASE },
    Reading { name: "first coding", te: Te::FirstElement, ..BASE },
    Reading { name: "chunked anywhere", te: Te::Substring, ..BASE },
    Reading { name: "chunked and nothing else", te: Te::WholeValue, ..BASE },
    Reading { name: "no chunks in 1.0", te: Te::Http11Only, ..BASE },
    Reading { name: "last length", cl: Cl::Last, host: Pick::Last, ..BASE },
    Reading { name: "length of any base", cl: Cl::Base0, ..BASE },
    Reading { name: "length of digits only", cl: Cl::DigitsOnly, ..BASE },
    Reading { name: "the length wins", length_wins: true, ..BASE },
    Reading { name: "the Host field wins", host: Pick::Other, ..BASE },
    Reading { name: "sizes of 32 bits", chunks: Chunks::Wrap, ..BASE },
    Reading { name: "chunk ends unseen", chunks: Chunks::Blind, ..BASE },
    Reading { name: "line ends in quotes", chunks: Chunks::Quotes, ..BASE },
];

/// The line at `at`, and where the next one starts.
pub(crate) fn line<'a>(
    bytes: &'a [u8],
    at: usize,
    by: &Reading,
) -> Result<Option<(&'a [u8], usize)>, &'static str> {
    for (end, byte) in bytes.iter().enumerate().skip(at) {
        match (byte, bytes.get(end + 1)) {
            (b'\r', Some(b'\n')) => return Ok(Some((&bytes[at..end], end + 2))),
            (b'\r', Some(_)) if by.strict => return Err("a bare CR"),
            (b'\n', _) if by.strict => return Err("a bare LF"),
            (b'\r', Some(_)) if by.lines == Lines::Cr => {
                return Ok(Some((&bytes[at..end], end + 1)));
            }
            (b'\n', _) if by.lines == Lines::Lf => return Ok(Some((&bytes[at..end], end + 1))),
            _ => {}
        }
    }
    Ok(None)
}
