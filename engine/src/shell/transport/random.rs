//! Random bits that nobody can guess, without a system call for each request.
//!
//! ChaCha20 under a key that is drawn once per core: the key stream of one message after the other,
//! each under its own number. What was drawn tells nothing about what is drawn next.

use std::cell::RefCell;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes made at once: 32 draws.
const BLOCK_BYTES: usize = 512;
const DRAW_BYTES: usize = 16;

/// The source of random bits of one core.
#[derive(Debug, Default)]
pub(crate) struct Random(RefCell<KeyStream>);

struct KeyStream {
    /// `None` until the first draw, so that a core that draws nothing does not wait for a key.
    key: Option<LessSafeKey>,
    /// Messages made so far.
    number: u64,
    block: [u8; BLOCK_BYTES],
    /// Bytes of the block that were drawn.
    used: usize,
}

impl Default for KeyStream {
    fn default() -> Self {
        Self { key: None, number: 0, block: [0; BLOCK_BYTES], used: BLOCK_BYTES }
    }
}

impl std::fmt::Debug for KeyStream {
    // Neither the key nor what is still to be given out belongs into a log.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("KeyStream").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Random {
    /// 128 bits.
    pub(crate) fn draw(&self) -> [u8; DRAW_BYTES] {
        let mut state = self.0.borrow_mut();
        if state.used >= BLOCK_BYTES {
            state.refill();
        }
        let used = state.used;
        state.used += DRAW_BYTES;
        let drawn = state.block.get_mut(used..).and_then(|rest| rest.first_chunk_mut());
        // What is given out is not kept.
        drawn.map_or([0; DRAW_BYTES], std::mem::take)
    }
}

impl KeyStream {
    /// Makes the next block. If the kernel has no randomness, which it has wherever TLS works, the
    /// ids are what is left: zeros.
    fn refill(&mut self) {
        self.block = [0; BLOCK_BYTES];
        self.used = 0;
        if self.key.is_none() {
            self.key = new_key();
        }
        let mut nonce = [0; 12];
        let (_, number) = nonce.split_at_mut(4);
        number.copy_from_slice(&self.number.to_be_bytes());
        self.number = self.number.wrapping_add(1);
        if let Some(key) = &self.key {
            let nonce = Nonce::assume_unique_for_key(nonce);
            // The tag is of no use; sealing zeros leaves the key stream.
            let _ = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut self.block);
        }
    }
}

fn new_key() -> Option<LessSafeKey> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_draw_comes_twice() {
        let (one, other) = (Random::default(), Random::default());
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            assert!(seen.insert(one.draw()));
            assert!(seen.insert(other.draw()));
        }
        assert!(!seen.contains(&[0; DRAW_BYTES]));
    }
}
