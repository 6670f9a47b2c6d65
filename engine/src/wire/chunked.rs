//! Chunked coding (RFC 9112, section 7.1): our own strict state machine, fed in any split.
