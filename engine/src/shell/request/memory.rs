//! The memory of one exchange, reused by the next so that a warm request allocates nothing.

use super::held_body::HeldBody;
use super::shape_memory::ShapeMemory;
use crate::exchange::Scratch;
use crate::exchange::response_block::ResponseBlock;
use crate::exchange::rewritten::Rewritten;
use crate::limits::ConnectionPermit;
use crate::plan::attempts::AttemptRecord;
use crate::plan::{LimitId, RequestIds};
use crate::wire::head::{RequestHead, ResponseHead};
use crate::wire::limits::FIELDS_MAX;

/// A grown vector larger than this is not kept.
const KEPT_BYTES_MAX: usize = 128 * 1_024;

/// What one exchange works in.
#[derive(Debug, Default)]
pub(crate) struct ExchangeMemory {
    /// The request's head.
    pub(crate) head: RequestHead,
    /// What admission works in, and what it has found out.
    pub(crate) request: Scratch,
    /// The tries at nodes so far.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Its id and its trace.
    pub(crate) request_ids: RequestIds,
    /// The response's head.
    pub(crate) response: ResponseHead,
    /// What its policy changes in the head of its answer; empty without one.
    pub(crate) block: ResponseBlock,
    /// What its response is worked out in, where its policy changes that.
    pub(super) shape: ShapeMemory,
    /// What counts it as under way, for each limit that counts that.
    pub(crate) permits: Vec<ConnectionPermit>,
    /// The limit that has refused it.
    pub(crate) limited: Option<LimitId>,
    /// What is sent upstream in the place of what was asked for, where its route rewrites it.
    pub(crate) rewritten: Rewritten,
    /// What the client is sent next.
    pub(crate) out: Vec<u8>,
    /// What the upstream is sent next: the first part of the request, then pieces of a body that is
    /// framed anew.
    pub(crate) upload: Vec<u8>,
    /// What is held of the request's body beside what came with its head.
    pub(super) held: HeldBody,
}

impl ExchangeMemory {
    /// Forgets an exchange, and keeps the memory that most exchanges have use for.
    pub(crate) fn clear(&mut self) {
        let Self { out, upload, response, attempts, held, permits, shape, block, .. } = self;
        shape.shrink_to(KEPT_BYTES_MAX);
        block.shrink_to(KEPT_BYTES_MAX);
        self.request.captures.clear();
        self.rewritten.groups.clear();
        attempts.clear();
        permits.clear();
        held.clear();
        response.fields.clear();
        response.fields.shrink_to(FIELDS_MAX);
        for scratch in [out, upload] {
            scratch.clear();
            if scratch.capacity() > KEPT_BYTES_MAX {
                scratch.shrink_to(KEPT_BYTES_MAX);
            }
        }
    }

    /// The try that is under way, if there is one.
    pub(crate) fn attempt(&mut self) -> Option<&mut AttemptRecord> {
        self.attempts.last_mut()
    }

    /// Keeps the request alone: there will be no other message for a long time.
    pub(crate) fn keep_request(&mut self) {
        let head = std::mem::take(&mut self.head);
        let request = std::mem::take(&mut self.request);
        let attempts = std::mem::take(&mut self.attempts);
        // A tunnel is under way until its end.
        let permits = std::mem::take(&mut self.permits);
        let request_ids = self.request_ids;
        *self = Self { head, request, attempts, permits, request_ids, ..Self::default() };
    }
}
