//! The requests that every client makes, one after the other on connections that it keeps if it can.

/// A line each: name, method, path, upload, manner and field.
///
/// *Upload* is `-`, or `length:N` or `chunked:N` for N bytes in that framing, or `abort:N` for an upload of N
/// bytes that breaks off in the middle. *Manner* is `-`, or `expect` (`Expect: 100-continue`), `trailers`
/// (`TE: trailers`), `many` (60 more fields) or `abort` (hangs up within the answer). *Field* is a response
/// field. A client answers with a line: name, status, bytes of the body, the first 8 digits of its SHA-256, and
/// the values of the field; or with the name and `aborted` where it was to, or `lost` and what happened.
pub(crate) const SCENARIOS: &str = "\
hello GET /hello - - -
head HEAD /hello - - content-length
empty GET /empty - - x-told
not-modified GET /same - - etag
redirect GET /moved - - location
cookies GET /cookies - - set-cookie
gzip GET /gzip - - content-encoding
fields GET /fields - - x-field-59
many GET /many - many x-count
chunked GET /chunked - - -
trailers GET /trailers - trailers x-sum
large GET /large - - -
close GET /close - - -
after-close GET /hello - - -
early-hints GET /early - - -
processing GET /processing - - -
http10 GET /old - - x-told
after-http10 GET /hello - - -
post-0 POST /echo length:0 - x-method
post-1 POST /echo length:1 - x-method
post-100k POST /echo length:100000 - -
post-5m POST /echo length:5000000 - -
chunked-0 POST /echo chunked:0 - -
chunked-100k POST /echo chunked:100000 - -
chunked-5m POST /echo chunked:5000000 - -
put-expect PUT /echo length:100000 expect x-method
delete DELETE /hello - - -
options OPTIONS /hello - - -
patch PATCH /echo length:10 - x-method
refused POST /refuse length:100000 - -
after-refused GET /hello - - -
refused-expect POST /refuse length:100000 expect -
after-refused-expect GET /hello - - -
abort-answer GET /large - abort -
after-abort-answer GET /hello - - -
abort-upload POST /echo abort:5000000 - -
after-abort-upload GET /hello - - -
";

/// The scenarios without those of these names.
pub(crate) fn without(left_out: &[&str]) -> String {
    let kept = SCENARIOS.lines().filter(|line| !left_out.iter().any(|name| is_of(line, name)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Is this line, of the table or of an answer, that of this scenario?
pub(crate) fn is_of(line: &str, name: &str) -> bool {
    line.split(' ').next() == Some(name)
}
