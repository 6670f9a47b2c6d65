//! May each connection be used again? Two truth tables.

/// How an exchange left its upstream connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamEnd {
    /// What the response head said ([`Delivery::upstream_reusable`](super::response::Delivery)).
    pub head_allows: bool,
    /// Were request and response body both complete?
    pub bodies: Bodies,
    /// Are there bytes behind the response? Nobody asked for them, so nobody may get them.
    pub surplus: bool,
    /// Requests on it, this one included.
    pub requests: u32,
    /// Requests allowed on it.
    pub requests_max: u32,
}

/// Which bodies were complete at the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bodies {
    /// Both.
    Complete,
    /// The response came early: the request's was not all sent.
    RequestUnfinished,
    /// The response's was cut off, or we stopped reading it.
    ResponseUnfinished,
}

/// May the upstream connection go (back) to the pool?
#[must_use]
pub const fn upstream(end: UpstreamEnd) -> bool {
    let complete = matches!(end.bodies, Bodies::Complete);
    end.head_allows && complete && !end.surplus && end.requests < end.requests_max
}

/// How an exchange left its client connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientEnd {
    /// What we told the client in the response head.
    pub announced: bool,
    /// Were both bodies complete? (A request body that was drained counts as complete.)
    pub bodies: Bodies,
}

/// What becomes of a client's connection after an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterExchange {
    /// It may bring another request.
    Keep,
    /// It ends. The client's request was whole: it has nothing more to say that was asked for.
    Close,
    /// It ends. The client may still be sending a request, and look for its answer only after that.
    CloseUnread,
}

/// May the client send another request?
#[must_use]
pub const fn client(end: ClientEnd) -> AfterExchange {
    match end.bodies {
        Bodies::RequestUnfinished => AfterExchange::CloseUnread,
        Bodies::Complete if end.announced => AfterExchange::Keep,
        Bodies::Complete | Bodies::ResponseUnfinished => AfterExchange::Close,
    }
}

/// May this request's answer announce that the connection lives on, as far as we are concerned? The
/// client's own wish comes on top ([`Admission::keep_alive`](super::request::Admission)).
#[must_use]
pub const fn may_announce(requests: u32, requests_max: u32, draining: bool) -> bool {
    !draining && requests < requests_max
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODIES: [Bodies; 3] =
        [Bodies::Complete, Bodies::RequestUnfinished, Bodies::ResponseUnfinished];

    /// One thing wrong is enough.
    #[test]
    fn an_upstream_connection_is_reused_only_if_all_is_well() {
        for bodies in BODIES {
            for bits in 0..8_u8 {
                let [head_allows, surplus, used_up] = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
                let requests = if used_up { 9 } else { 8 };
                let end = UpstreamEnd { head_allows, bodies, surplus, requests, requests_max: 9 };
                let well = bodies == Bodies::Complete && head_allows && !surplus && !used_up;
                assert_eq!(upstream(end), well, "{end:?}");
            }
        }
    }

    #[test]
    fn a_client_connection_lives_on_if_so_announced_and_nothing_is_left_over() {
        for bodies in BODIES {
            for announced in [false, true] {
                let wanted = match bodies {
                    Bodies::Complete if announced => AfterExchange::Keep,
                    Bodies::RequestUnfinished => AfterExchange::CloseUnread,
                    Bodies::Complete | Bodies::ResponseUnfinished => AfterExchange::Close,
                };
                assert_eq!(client(ClientEnd { announced, bodies }), wanted);
            }
        }
    }

    #[test]
    fn the_last_request_of_a_connection_and_a_drain_announce_its_end() {
        assert!(may_announce(8, 9, false));
        assert!(!may_announce(9, 9, false));
        assert!(!may_announce(8, 9, true));
    }
}
