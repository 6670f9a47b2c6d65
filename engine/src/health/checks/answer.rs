//! Reads the answer to a check as a data core reads a response: the same rules for its head.

use crate::wire::error::WireError;
use crate::wire::framing;
use crate::wire::head::{HeadScan, Method, ResponseHead, parse_response};
use crate::wire::limits::HeadLimits;

/// So much is read of an answer, interim ones included; what is behind its head is not waited for.
pub const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// As the default of `http.max_response_headers`, and of the bytes that are read.
const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 64 * 1_024, fields_max: 1_024 };

/// Reads up to the end of the final head.
#[derive(Debug, Default)]
pub struct AnswerReader {
    bytes: Vec<u8>,
    scan: HeadScan,
    /// Bytes of interim answers, which are gone.
    interim: usize,
}

impl AnswerReader {
    /// More bytes have come. The status, once the head is whole; interim answers (1xx) are stepped over.
    ///
    /// # Errors
    /// The first rule that the head breaks, or that there are more than [`ANSWER_BYTES_MAX`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<u16>, WireError> {
        self.bytes.extend_from_slice(bytes);
        loop {
            let Some(len) = self.scan.advance(&self.bytes, LIMITS)? else {
                let read = self.interim.saturating_add(self.bytes.len());
                return if read > ANSWER_BYTES_MAX {
                    Err(WireError::HeadTooLarge)
                } else {
                    Ok(None)
                };
            };
            let mut head = ResponseHead::default();
            parse_response(&self.bytes, len, LIMITS, &mut head)?;
            framing::response_body(head.view(&self.bytes), Method::Get)?;
            // Nobody has asked to switch: a 101 is an answer like another one.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok(Some(head.status));
            }
            self.bytes.drain(..len);
            self.interim = self.interim.saturating_add(len);
            self.scan = HeadScan::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// In pieces of every size.
    fn read(answer: &[u8]) -> Result<Option<u16>, WireError> {
        let whole = AnswerReader::default().read(answer);
        for size in 1..answer.len().min(80) {
            let mut reader = AnswerReader::default();
            let mut found = Ok(None);
            for piece in answer.chunks(size) {
                found = reader.read(piece);
                if found != Ok(None) {
                    break;
                }
            }
            assert_eq!(found, whole, "{size}");
        }
        whole
    }

    #[test]
    fn the_status_is_that_of_the_final_head() {
        assert_eq!(read(OK), Ok(Some(200)));
        let hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        assert_eq!(read(hints), Ok(None));
        assert_eq!(read(&[hints, OK].concat()), Ok(Some(200)));
        assert_eq!(read(b"HTTP/1.0 503 \r\n\r\n"), Ok(Some(503)));
        assert_eq!(read(b"HTTP/1.1 200 O"), Ok(None));
    }

    #[test]
    fn what_a_request_would_not_take_a_check_does_not_take() {
        for answer in [
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 1\n\n",
            b"\x15\x03\x03\x00\x02\x02\x16",
        ] {
            assert!(read(answer).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let mut reader = AnswerReader::default();
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        let found = (0..ANSWER_BYTES_MAX).map(|_| reader.read(interim)).find(Result::is_err);
        assert_eq!(found, Some(Err(WireError::HeadTooLarge)));
        let mut reader = AnswerReader::default();
        assert_eq!(reader.read(b"HTTP/1.1 200 OK\r\nX: "), Ok(None));
        let found = (0..100).map(|_| reader.read(&[b'a'; 1_024])).find(Result::is_err);
        assert_eq!(found, Some(Err(WireError::HeadTooLarge)));
    }
}
