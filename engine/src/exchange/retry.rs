//! May a failure be tried again? One truth table.
//!
//! A request that may not be sent twice is sent twice only if not a byte of it left (RFC 9110,
//! section 9.2.2), and none is sent again after body bytes that are gone. Where no connection came
//! about the next node is asked, as often as `retries` allow. Where a pooled connection had died
//! (the upstream closed it while our request was under way) the same node is asked once more on a
//! fresh connection; since that one is not from the pool, there is no third time. Anything that was
//! sent on a fresh connection may have been acted on, slowly or badly: that is an answer, and none
//! that another node should give again.

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
}

/// How much of a request has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// Not a byte.
    Nothing,
    /// Something, and all of it is still held: head and whatever there was of the body.
    Replayable,
    /// Body bytes that are gone.
    Gone,
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
    pub idempotent: bool,
    /// Further nodes that may be asked, as `retries` and the balancer allow.
    pub nodes_left: bool,
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
    let repeatable = match attempt.sent {
        Sent::Nothing => true,
        Sent::Replayable => attempt.idempotent,
        Sent::Gone => false,
    };
    match attempt.failure {
        Failure::Connect if repeatable && attempt.nodes_left => Retry::NextNode,
        Failure::Lost if repeatable && attempt.reused => Retry::SameNodeFresh,
        Failure::Connect | Failure::Lost | Failure::Timeout | Failure::BadResponse => Retry::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination, against the rules in words.
    #[test]
    fn the_whole_table() {
        let mut count = [0; 3];
        for failure in [Failure::Connect, Failure::Lost, Failure::Timeout, Failure::BadResponse] {
            for sent in [Sent::Nothing, Sent::Replayable, Sent::Gone] {
                for bits in 0..8_u8 {
                    let [reused, idempotent, nodes_left] =
                        [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
                    let retry = decide(Attempt { failure, reused, sent, idempotent, nodes_left });
                    count[retry as usize] += 1;
                    if retry == Retry::No {
                        continue;
                    }
                    assert_ne!(sent, Sent::Gone);
                    assert!(idempotent || sent == Sent::Nothing);
                    match retry {
                        Retry::NextNode => {
                            assert_eq!((failure, nodes_left), (Failure::Connect, true));
                        }
                        Retry::SameNodeFresh => {
                            assert_eq!((failure, reused), (Failure::Lost, true));
                        }
                        Retry::No => {}
                    }
                }
            }
        }
        // Lost and reused: nothing sent (4) or replayable and idempotent (2). Connect likewise.
        assert_eq!(count, [84, 6, 6]);
    }

    #[test]
    fn a_post_is_sent_again_only_if_nothing_left() {
        let post = |sent| {
            decide(Attempt {
                failure: Failure::Lost,
                reused: true,
                sent,
                idempotent: false,
                nodes_left: true,
            })
        };
        assert_eq!(post(Sent::Nothing), Retry::SameNodeFresh);
        assert_eq!(post(Sent::Replayable), Retry::No);
    }
}
