//! What the bytes got wrong.
//!
//! One variant per cause, so that status, log word and fault follow from the type. None of them can
//! be answered on a connection that lives on: behind a message that could be read in two ways
//! nobody knows where the next one starts (RFC 9112, section 2.2).

use strum::{EnumCount, VariantArray};

/// Why bytes are not a message we accept.
#[derive(Clone, Copy, Debug, EnumCount, Eq, Hash, PartialEq, VariantArray)]
pub enum WireError {
    /// The first byte can begin neither a request nor a response (RFC 9112, section 2.1).
    NotHttp,
    /// The head is larger than the limit (RFC 6585, section 5).
    HeadTooLarge,
    /// The first line alone is larger than the limit (RFC 9112, section 3).
    TargetTooLong,
    /// More field lines than the limit (RFC 6585, section 5).
    TooManyFields,
    /// More names in `Connection` than anyone needs (RFC 6585, section 5).
    TooManyNominations,
    /// Not a head at all: no end, or something behind its end.
    MalformedHead,
    /// A line that ends with LF alone; we do not take the licence of RFC 9112, section 2.2.
    BareLf,
    /// A CR that no LF follows (RFC 9112, section 2.2).
    BareCr,
    /// Not `method SP target SP version` (RFC 9112, section 3).
    MalformedRequestLine,
    /// A method that is no token (RFC 9112, section 3.1).
    InvalidMethod,
    /// A version other than 1.0 and 1.1 (RFC 9112, section 2.3).
    UnsupportedVersion,
    /// Not `version SP status [SP reason]` (RFC 9112, section 4).
    MalformedStatusLine,
    /// A status outside 100..=599 (RFC 9110, section 15).
    InvalidStatus,
    /// A control byte in a reason phrase (RFC 9112, section 4).
    InvalidReason,
    /// A field name that is no token, or no colon behind it (RFC 9112, section 5).
    InvalidFieldName,
    /// White space between a field name and its colon (RFC 9112, section 5.1).
    SpaceBeforeColon,
    /// A line that starts with white space (RFC 9112, sections 2.2 and 5.2).
    ObsoleteFold,
    /// A control byte in a field value (RFC 9110, section 5.5), or an open quotation in one that passes
    /// on who a client is.
    InvalidFieldValue,
    /// A target that none of the four forms, or not the method's form, allows (RFC 9112, 3.2).
    InvalidTarget,
    /// A `#` in a target: fragments are not sent (RFC 9110, section 7.1).
    FragmentInTarget,
    /// A `%` without two hexadecimal digits in a path (RFC 3986, section 2.1).
    BrokenEscape,
    /// An encoded NUL, CR or LF in a path.
    ForbiddenEscape,
    /// A backslash in a path: some servers read it as a slash.
    BackslashInPath,
    /// A `.` or `..` segment, plain or encoded (RFC 3986, section 3.3).
    DotSegment,
    /// A path that decoders read in more ways than we follow.
    AmbiguousPath,
    /// `user@` in an authority (RFC 9110, section 4.2.4).
    UserinfoInAuthority,
    /// An illegal host or port in a target (RFC 3986, section 3.2).
    InvalidAuthority,
    /// An HTTP/1.1 request without Host (RFC 9112, section 3.2).
    MissingHost,
    /// More than one Host field line (RFC 9112, section 3.2).
    SeveralHosts,
    /// A Host value that is no host (RFC 9112, section 3.2).
    InvalidHost,
    /// Both Content-Length and Transfer-Encoding (RFC 9112, section 6.3).
    AmbiguousLength,
    /// More than one Content-Length field line, equal or not (RFC 9112, section 6.3).
    SeveralContentLengths,
    /// A Content-Length that is not digits alone (RFC 9110, section 8.6).
    InvalidContentLength,
    /// A Content-Length above what we count to.
    ContentLengthTooLarge,
    /// A Transfer-Encoding that is no list of plain coding names (RFC 9112, section 7.1).
    InvalidTransferEncoding,
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112, section 6.1).
    TransferEncodingInHttp10,
    /// The chunked coding is missing, repeated or not the last one (RFC 9112, section 6.3).
    ChunkedNotLast,
    /// A transfer coding we do not decode (RFC 9112, section 6.1).
    UnknownTransferCoding,
    /// A 1xx, 204 or 205 response that announces a body (RFC 9112, section 6.1; RFC 9110, 8.6).
    UnexpectedBody,
    /// A chunk size that is not hexadecimal digits alone (RFC 9112, section 7.1).
    InvalidChunkSize,
    /// A chunk size above what we count to, or with too many digits (RFC 9112, section 7.1).
    ChunkSizeTooLarge,
    /// A chunk extension that is none (RFC 9112, section 7.1.1).
    InvalidChunkExtension,
    /// Chunk extensions above the limit of a line or of a body (RFC 9112, section 7.1.1).
    ChunkExtensionsTooLong,
    /// Chunk data that is not followed by CRLF (RFC 9112, section 7.1).
    MissingChunkEnd,
    /// A trailer section above its limit (RFC 9112, section 7.1.2).
    TrailersTooLarge,
}

impl WireError {
    /// The status of the answer when a client sent these bytes. Bytes of an upstream are a 502,
    /// whatever was wrong with them.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge
            | Self::TooManyFields
            | Self::TooManyNominations
            | Self::TrailersTooLarge => 431,
            Self::TargetTooLong => 414,
            Self::UnknownTransferCoding => 501,
            Self::UnsupportedVersion => 505,
            Self::NotHttp
            | Self::MalformedHead
            | Self::BareLf
            | Self::BareCr
            | Self::MalformedRequestLine
            | Self::InvalidMethod
            | Self::MalformedStatusLine
            | Self::InvalidStatus
            | Self::InvalidReason
            | Self::InvalidFieldName
            | Self::SpaceBeforeColon
            | Self::ObsoleteFold
            | Self::InvalidFieldValue
            | Self::InvalidTarget
            | Self::FragmentInTarget
            | Self::BrokenEscape
            | Self::ForbiddenEscape
            | Self::BackslashInPath
            | Self::DotSegment
            | Self::AmbiguousPath
            | Self::UserinfoInAuthority
            | Self::InvalidAuthority
            | Self::MissingHost
            | Self::SeveralHosts
            | Self::InvalidHost
            | Self::AmbiguousLength
            | Self::SeveralContentLengths
            | Self::InvalidContentLength
            | Self::ContentLengthTooLarge
            | Self::InvalidTransferEncoding
            | Self::TransferEncodingInHttp10
            | Self::ChunkedNotLast
            | Self::UnexpectedBody
            | Self::InvalidChunkSize
            | Self::ChunkSizeTooLarge
            | Self::InvalidChunkExtension
            | Self::ChunkExtensionsTooLong
            | Self::MissingChunkEnd => 400,
        }
    }

    /// The word for the log, where a client sent these bytes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        WORDS[self.index()].0
    }

    /// The word for the log, where an upstream sent them.
    #[must_use]
    pub const fn upstream_word(self) -> &'static str {
        WORDS[self.index()].1
    }

    /// The key that bounds what a client sent too much of.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::HeadTooLarge | Self::TargetTooLong => Some("http.large_client_header_buffers"),
            Self::TooManyFields => Some("http.max_headers"),
            _ => None,
        }
    }

    /// The key that bounds what an upstream sent too much of.
    #[must_use]
    pub const fn upstream_key(self) -> Option<&'static str> {
        match self {
            Self::HeadTooLarge | Self::TargetTooLong => Some("http.response_header_buffer"),
            Self::TooManyFields => Some("http.max_response_headers"),
            Self::TrailersTooLarge => {
                Some("http.response_header_buffer, http.max_response_headers")
            }
            _ => None,
        }
    }

    /// Its place among [`Self::COUNT`], for tables and counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Both words of each, in order.
macro_rules! words {
    ($($word:literal)*) => { [$(($word, concat!("upstream-", $word))),*] };
}

const WORDS: [(&str, &str); WireError::COUNT] = words![
    "not-http"
    "head-too-large"
    "target-too-long"
    "too-many-fields"
    "too-many-nominations"
    "malformed-head"
    "bare-lf"
    "bare-cr"
    "malformed-request-line"
    "invalid-method"
    "unsupported-version"
    "malformed-status-line"
    "invalid-status"
    "invalid-reason"
    "invalid-field-name"
    "space-before-colon"
    "obsolete-fold"
    "invalid-field-value"
    "invalid-target"
    "fragment-in-target"
    "broken-escape"
    "forbidden-escape"
    "backslash-in-path"
    "dot-segment"
    "ambiguous-path"
    "userinfo-in-authority"
    "invalid-authority"
    "missing-host"
    "several-hosts"
    "invalid-host"
    "ambiguous-length"
    "several-content-lengths"
    "invalid-content-length"
    "content-length-too-large"
    "invalid-transfer-encoding"
    "transfer-encoding-in-http10"
    "chunked-not-last"
    "unknown-transfer-coding"
    "unexpected-body"
    "invalid-chunk-size"
    "chunk-size-too-large"
    "invalid-chunk-extension"
    "chunk-extensions-too-long"
    "missing-chunk-end"
    "trailers-too-large"
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_own_place_and_words() {
        for (at, error) in WireError::VARIANTS.iter().copied().enumerate() {
            assert_eq!(error.index(), at);
            let others = WireError::VARIANTS.iter().filter(|other| other.word() == error.word());
            assert_eq!(others.count(), 1);
            // `MissingHost` is `missing-host`.
            let letters: String = error.word().split('-').flat_map(|part| part.chars()).collect();
            assert_eq!(format!("{error:?}").to_ascii_lowercase(), letters);
            assert_eq!(error.upstream_word(), format!("upstream-{}", error.word()));
        }
    }
}
