//! Where the frames of a WebSocket end (RFC 6455, section 5.2), found in bytes that only pass by.
//!
//! In: one direction of a tunnel, in pieces of any size. Out: whether a frame of our own may follow. Payload is
//! skipped, not read: the cost is that of the headers. What no peer of RFC 6455 sends, or only by an extension that
//! is not known here, ends the tracking for good: then nobody can say where a frame ends.

/// The status code of a close frame: the endpoint goes away (RFC 6455, section 7.4.1).
pub const GOING_AWAY: u16 = 1001;
/// The same: what the peer may do has changed.
pub const POLICY_VIOLATION: u16 = 1008;

/// The bytes of our longest close frame: two of the header, four of the mask, two of the status code.
pub const CLOSE_FRAME_BYTES_MAX: usize = 8;

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const OPCODE_TEXT: u8 = 1;
const OPCODE_BINARY: u8 = 2;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PONG: u8 = 10;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// The length follows in two bytes.
const LENGTH_16: u8 = 126;
/// The length follows in eight bytes.
const LENGTH_64: u8 = 127;
/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: u8 = 125;
const MASK_BYTES: u8 = 4;

/// Who sends the frames of one direction. Only clients mask them (RFC 6455, section 5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameSender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NextByte {
    /// The first of a frame.
    First,
    /// The second: the mask bit, and the length or how it follows.
    Second,
    /// One of so many that hold the length.
    Length { left: u8, least: u64 },
    /// One of so many of the mask.
    Mask { left: u8 },
    /// One of the payload.
    Payload,
    /// After a close frame, which nothing may follow.
    Closed,
    /// Not known any more.
    Unknown,
}

/// Follows the frames of one direction.
#[derive(Clone, Copy, Debug)]
pub struct FrameTracker {
    sender: FrameSender,
    next: NextByte,
    /// Bytes of the payload that have still to come.
    payload: u64,
    closes: bool,
    is_control: bool,
    /// A message has begun whose last frame has not.
    in_message: bool,
}

impl FrameTracker {
    /// Before the first byte behind a 101.
    #[must_use]
    pub const fn new(sender: FrameSender) -> Self {
        Self {
            sender,
            next: NextByte::First,
            payload: 0,
            closes: false,
            is_control: false,
            in_message: false,
        }
    }

    /// These bytes have passed.
    pub fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            match self.next {
                NextByte::Closed | NextByte::Unknown => {
                    // Something follows a close frame: this is not what it was taken for.
                    self.next = NextByte::Unknown;
                    return;
                }
                NextByte::Payload => {
                    let skipped =
                        usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                    self.payload = self.payload.saturating_sub(skipped as u64);
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    if self.payload == 0 {
                        self.next = self.behind_frame();
                    }
                }
                _ => {
                    self.next = self.read_header(*byte).unwrap_or(NextByte::Unknown);
                    bytes = rest;
                }
            }
        }
    }

    /// May a frame of our own follow what has passed? Not inside another one, nor behind a close frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.next == NextByte::First
    }

    /// What follows this byte of a header; `None` if it cannot be one.
    fn read_header(&mut self, byte: u8) -> Option<NextByte> {
        match self.next {
            NextByte::First => self.read_first(byte),
            NextByte::Second => self.read_second(byte),
            NextByte::Length { left, least } => {
                self.payload = self.payload.checked_mul(256)?.checked_add(u64::from(byte))?;
                if left > 1 {
                    return Some(NextByte::Length { left: left - 1, least });
                }
                // The shortest form must be used, and the highest bit of the longest must be 0.
                let is_length = self.payload >= least && self.payload <= u64::MAX >> 1;
                is_length.then(|| self.behind_length())
            }
            NextByte::Mask { left } if left > 1 => Some(NextByte::Mask { left: left - 1 }),
            NextByte::Mask { .. } => Some(self.behind_header()),
            NextByte::Payload | NextByte::Closed | NextByte::Unknown => None,
        }
    }

    fn read_first(&mut self, byte: u8) -> Option<NextByte> {
        let opcode = byte & OPCODE;
        self.is_control = opcode >= OPCODE_CLOSE;
        self.closes = opcode == OPCODE_CLOSE;
        self.payload = 0;
        let begins_message = matches!(opcode, OPCODE_TEXT | OPCODE_BINARY);
        // permessage-deflate marks the first frame of a message, and no other (RFC 7692, section 6).
        let is_known = opcode <= OPCODE_BINARY || (OPCODE_CLOSE..=OPCODE_PONG).contains(&opcode);
        let is_plain = byte & RESERVED == 0 && (byte & COMPRESSED == 0 || begins_message);
        let is_final = byte & FINAL != 0;
        // A message begins with its type, goes on with 0, and lets only control frames come between.
        let fits = if self.is_control { is_final } else { begins_message != self.in_message };
        if !self.is_control {
            self.in_message = !is_final;
        }
        (is_known && is_plain && fits).then_some(NextByte::Second)
    }

    fn read_second(&mut self, byte: u8) -> Option<NextByte> {
        let length = byte & LENGTH;
        let is_masked = byte & MASKED != 0;
        if is_masked != (self.sender == FrameSender::Client)
            || (self.is_control && length > CONTROL_BYTES_MAX)
        {
            return None;
        }
        Some(match length {
            LENGTH_16 => NextByte::Length { left: 2, least: u64::from(LENGTH_16) },
            LENGTH_64 => NextByte::Length { left: 8, least: u64::from(u16::MAX) + 1 },
            length => {
                self.payload = length.into();
                self.behind_length()
            }
        })
    }

    fn behind_length(&self) -> NextByte {
        match self.sender {
            FrameSender::Client => NextByte::Mask { left: MASK_BYTES },
            FrameSender::Server => self.behind_header(),
        }
    }

    const fn behind_header(&self) -> NextByte {
        if self.payload > 0 { NextByte::Payload } else { self.behind_frame() }
    }

    const fn behind_frame(&self) -> NextByte {
        if self.closes { NextByte::Closed } else { NextByte::First }
    }
}

/// Writes a close frame with this status code: without a mask to a client, with one that nobody can guess to a
/// server (RFC 6455, section 5.3).
pub fn write_close(code: u16, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let code = code.to_be_bytes();
    out.push(FINAL | OPCODE_CLOSE);
    match mask {
        None => {
            out.push(2);
            out.extend_from_slice(&code);
        }
        Some(mask) => {
            out.push(MASKED | 2);
            out.extend_from_slice(&mask);
            out.extend(code.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame whose payload would be read as headers if anybody read it.
    fn frame(first: u8, length: u64, masked: bool) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut out = vec![first];
        match length {
            0..126 => out.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                out.push(mask | LENGTH_16);
                out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                out.push(mask | LENGTH_64);
                out.extend_from_slice(&length.to_be_bytes());
            }
        }
        if masked {
            out.extend_from_slice(b"mask");
        }
        out.resize(out.len() + usize::try_from(length).unwrap(), 0x88);
        out
    }

    fn after(sender: FrameSender, bytes: &[u8]) -> FrameTracker {
        let mut tracker = FrameTracker::new(sender);
        tracker.advance(bytes);
        tracker
    }

    const SENDERS: [FrameSender; 2] = [FrameSender::Client, FrameSender::Server];

    #[test]
    fn every_frame_ends_where_it_ends_however_it_is_cut() {
        for sender in SENDERS {
            let masked = sender == FrameSender::Client;
            let mut stream = Vec::new();
            let mut ends = vec![0];
            let lengths = [0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000];
            for (first, length) in [0x01, 0x80, 0x82, 0xc1, 0x42, 0x00, 0x80].iter().zip(lengths) {
                stream.extend(frame(*first, length, masked));
                ends.push(stream.len());
            }
            for (first, length) in [(0x89, 125), (0x8a, 0), (0x81, 65_536), (0x82, 70_000)] {
                stream.extend(frame(first, length, masked));
                ends.push(stream.len());
            }
            // Byte by byte.
            let mut tracker = FrameTracker::new(sender);
            for (at, byte) in stream.iter().enumerate() {
                assert_eq!(tracker.is_between_frames(), ends.contains(&at), "{sender:?} {at}");
                tracker.advance(&[*byte]);
            }
            assert!(tracker.is_between_frames());
            // In pieces of many sizes; what was found out does not depend on them.
            for size in (1..400).chain([4_096, 65_536, stream.len()]) {
                let mut tracker = FrameTracker::new(sender);
                let mut passed = 0;
                for piece in stream.chunks(size) {
                    tracker.advance(piece);
                    passed += piece.len();
                    assert_eq!(tracker.is_between_frames(), ends.contains(&passed), "{size}");
                }
            }
        }
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        for sender in SENDERS {
            let masked = sender == FrameSender::Client;
            for length in [0, 2, 125] {
                let mut bytes = frame(0x88, length, masked);
                assert_eq!(after(sender, &bytes).next, NextByte::Closed);
                bytes.extend(frame(0x81, 1, masked));
                assert_eq!(after(sender, &bytes).next, NextByte::Unknown);
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_never_tracked_again() {
        for sender in SENDERS {
            let masked = sender == FrameSender::Client;
            let mask = if masked { MASKED } else { 0 };
            let mut wrong: Vec<Vec<u8>> = [
                // Bits and opcodes of nobody.
                0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f,
                // Compressed, but no message; control frames in pieces.
                0xc9, 0x08, 0x09, 0x0a,
            ]
            .map(|first| frame(first, 1, masked))
            .into();
            wrong.push([frame(0x01, 1, masked), frame(0xc0, 1, masked)].concat());
            wrong.push(frame(0x81, 1, !masked));
            wrong.push(vec![0x89, mask | LENGTH_16, 0, 126]);
            // Longer forms than are needed, and a length with the highest bit.
            wrong.push(vec![0x81, mask | LENGTH_16, 0, 125]);
            wrong.push(vec![0x81, mask | LENGTH_64, 0, 0, 0, 0, 0, 0, 255, 255]);
            wrong.push(vec![0x81, mask | LENGTH_64, 0x80, 0, 0, 0, 0, 0, 0, 0]);
            wrong.push(b"hello".to_vec());
            for bytes in wrong {
                let mut tracker = after(sender, &bytes);
                assert_eq!(tracker.next, NextByte::Unknown, "{bytes:x?}");
                tracker.advance(&frame(0x81, 1, masked));
                assert!(!tracker.is_between_frames());
            }
        }
    }

    #[test]
    fn messages_begin_once_and_go_on_until_their_last_frame() {
        for sender in SENDERS {
            let masked = sender == FrameSender::Client;
            let passed = |firsts: &[u8]| {
                let bytes: Vec<u8> = firsts.iter().flat_map(|one| frame(*one, 5, masked)).collect();
                after(sender, &bytes).is_between_frames()
            };
            let taken: [&[u8]; 5] = [
                &[0x01],
                &[0x01, 0x89, 0x00, 0x8a, 0x80, 0x82],
                &[0x02, 0x80, 0x01, 0x80],
                &[0x81, 0x82],
                &[0x41, 0x80, 0xc2],
            ];
            let refused: [&[u8]; 6] = [
                // `\0\0\0\x05hello` and its like: nothing has begun that could go on.
                &[0x00],
                &[0x80],
                &[0x81, 0x80],
                &[0x01, 0x80, 0x00],
                // Another one begins within the first.
                &[0x01, 0x81],
                &[0x01, 0x89, 0x02],
            ];
            assert!(taken.into_iter().all(passed));
            for firsts in refused {
                assert!(!passed(firsts), "{firsts:x?}");
            }
            assert!(!after(sender, b"\0\0\0\x05hello").is_between_frames());
        }
    }

    #[test]
    fn a_close_frame_is_one() {
        for (sender, mask) in SENDERS.into_iter().zip([Some(*b"\x12\x34\x56\x78"), None]) {
            let mut out = Vec::new();
            write_close(GOING_AWAY, mask, &mut out);
            assert!(out.len() <= CLOSE_FRAME_BYTES_MAX);
            assert_eq!(after(sender, &out).next, NextByte::Closed);
            let payload = &out[out.len() - 2..];
            let mask = mask.unwrap_or_default();
            assert_eq!([payload[0] ^ mask[0], payload[1] ^ mask[1]], GOING_AWAY.to_be_bytes());
        }
    }
}
