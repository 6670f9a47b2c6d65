//! Append-only writers for heads, chunks and canned answers. They never fail and allocate only if
//! the buffer has to grow.

/// Appends a chunk's size line for `len` bytes of data (never 0: that is [`last_chunk`]).
pub fn chunk_head(len: usize, out: &mut Vec<u8>) {
    let _ = (len, out);
    unimplemented!("room wire")
}

/// What follows a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
