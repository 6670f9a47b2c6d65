//! May a failure be tried again? One truth table.
//!
//! A request that may not be sent twice is sent twice only if not a byte of it left (RFC 9110,
//! section 9.2.2), and none is sent again after body bytes that are gone, or once the client has got any
//! part of an answer. Where a pooled connection had died (the upstream closed it while our request was
//! under way) the same node is asked once more on a fresh connection; since that one is not from the
//! pool, there is no third time. After any other failure that `retry_on` names, the next node is asked,
//! as often as `retries` allow, and until the time of the whole exchange is over.

use ferrule_config::model::{RetryCause, RetryOn};

/// What went wrong before the client got any byte of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection: neither TCP nor TLS got to the point where a request can be sent.
    Connect,
    /// The connection ended before the first byte of a response.
    Lost,
    /// No answer in time.
    Timeout,
    /// An answer that is not one.
    BadResponse,
    /// An answer that the route's policy has no use for.
    Unusable,
    /// The time of the whole exchange was over.
    Overdue,
}

/// How much of a request has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// Not a byte.
    Nothing,
    /// Something, and all of it is still held: head and whatever there was of the body.
    Replayable,
    /// Body bytes that are gone; or the client has got an interim response.
    Gone,
}

/// How far a request is whose attempt got as far as a connection and failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct SentParts {
    /// There was more of its body than came with the head.
    pub uploads: bool,
    /// The head has left, and what came with it: the rest was read from then on.
    pub first_left: bool,
    /// Whatever was read of that rest is held.
    pub held: bool,
    /// The client has got an interim response that is more than a 100.
    pub told: bool,
}

impl SentParts {
    /// What that means for another attempt. Part of what has not been seen to leave may have left.
    #[must_use]
    pub const fn sent(self) -> Sent {
        let gone = self.uploads && self.first_left && !self.held;
        if gone || self.told { Sent::Gone } else { Sent::Replayable }
    }
}

/// A failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// What went wrong.
    pub failure: Failure,
    /// Did the connection come from the pool?
    pub reused: bool,
    /// How much of the request has left.
    pub sent: Sent,
    /// May the request be sent twice?
    pub repeatable: bool,
    /// May another node be asked, as `retries` allow?
    pub nodes_left: bool,
    /// What another node is asked after.
    pub on: RetryOn,
}

impl Failure {
    /// Is it one of these? There is no word for what no further try can help.
    const fn is_named(self, on: RetryOn) -> bool {
        match self {
            Self::Connect => on.contains(RetryCause::Connect),
            Self::Lost => on.contains(RetryCause::Lost),
            Self::Timeout => on.contains(RetryCause::Timeout),
            Self::BadResponse => on.contains(RetryCause::BadResponse),
            Self::Unusable | Self::Overdue => false,
        }
    }
}

/// What to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Refuse.
    No,
    /// Once more, same node, on a fresh connection.
    SameNodeFresh,
    /// On another node.
    NextNode,
}

/// Decides.
#[must_use]
pub const fn decide(attempt: Attempt) -> Retry {
    let possible = match attempt.sent {
        Sent::Nothing => true,
        Sent::Replayable => attempt.repeatable,
        Sent::Gone => false,
    };
    match attempt.failure {
        Failure::Lost if possible && attempt.reused => Retry::SameNodeFresh,
        failure if possible && attempt.nodes_left && failure.is_named(attempt.on) => {
            Retry::NextNode
        }
        _ => Retry::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination, against the rules in words.
    #[test]
    fn the_whole_table() {
        let words = [
            (Failure::Connect, RetryCause::Connect),
            (Failure::Lost, RetryCause::Lost),
            (Failure::Timeout, RetryCause::Timeout),
            (Failure::BadResponse, RetryCause::BadResponse),
        ];
        let all = words
            .map(|(failure, _)| failure)
            .into_iter()
            .chain([Failure::Unusable, Failure::Overdue]);
        let mut count = [0; 3];
        for (failure, (named, word)) in
            all.flat_map(|failure| words.map(|(named, word)| (failure, (named, word))))
        {
            for sent in [Sent::Nothing, Sent::Replayable, Sent::Gone] {
                for bits in 0..8_u8 {
                    let [reused, repeatable, nodes_left] =
                        [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
                    let on = RetryOn::of(&[word]);
                    let retry =
                        decide(Attempt { failure, reused, sent, repeatable, nodes_left, on });
                    count[retry as usize] += 1;
                    let possible =
                        sent == Sent::Nothing || (sent == Sent::Replayable && repeatable);
                    let wanted = if failure == Failure::Lost && reused && possible {
                        Retry::SameNodeFresh
                    } else if failure == named && nodes_left && possible {
                        Retry::NextNode
                    } else {
                        Retry::No
                    };
                    assert_eq!(retry, wanted, "{failure:?} {named:?} {sent:?} {bits}");
                }
            }
        }
        // Nothing sent (whatever the method) or replayable and repeatable: 6 of the 12 that are left are possible.
        // Lost and reused, for each of four lists: 4 * 6. The one failure that is named, with nodes left: 3 * 6
        // for all but Lost, which is 3 with a new connection.
        // What is overdue is over, and what is of no use stays so.
        assert_eq!(count, [576 - 24 - 21, 24, 21]);
    }

    /// Every combination: another node is asked exactly if nothing that it needs is gone.
    #[test]
    fn what_is_gone_is_not_sent_again() {
        for bits in 0..16_u8 {
            let [uploads, first_left, held, told] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let sent = SentParts { uploads, first_left, held, told }.sent();
            // In words: the client knows nothing of this attempt, and all of the request came with its head, or
            // nothing else was read, or what was read is held.
            let again = !told && (!uploads || !first_left || held);
            assert_eq!(sent == Sent::Replayable, again, "{bits}");
            assert_ne!(sent, Sent::Nothing, "there was a connection");
            for repeatable in [false, true] {
                let (failure, on) = (Failure::Lost, RetryOn::of(&[RetryCause::Lost]));
                let attempt =
                    Attempt { failure, reused: false, sent, repeatable, nodes_left: true, on };
                let wanted = if again && repeatable { Retry::NextNode } else { Retry::No };
                assert_eq!(decide(attempt), wanted, "{bits} {repeatable}");
            }
        }
    }

    #[test]
    fn a_post_is_sent_again_only_if_nothing_left() {
        let on = RetryOn::of(&[RetryCause::Lost]);
        for reused in [false, true] {
            let post = |sent| {
                let (failure, repeatable, nodes_left) = (Failure::Lost, false, true);
                decide(Attempt { failure, reused, sent, repeatable, nodes_left, on })
            };
            assert_ne!(post(Sent::Nothing), Retry::No);
            assert_eq!(post(Sent::Replayable), Retry::No);
            assert_eq!(post(Sent::Gone), Retry::No);
        }
    }
}
