//! What docs/retries.md promises of other nodes: which failures they are asked after, for which requests, and
//! when no more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};

use crate::PLAIN;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const PUT: &[u8] = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const CHUNKED: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

/// How a node fails that has read a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    HangsUp,
    Silent,
    Garbage,
    HalfAHead,
    SwallowedInterim,
    Hint,
    Unavailable,
}

use Lie::{Garbage, HalfAHead, HangsUp, Hint, Silent, SwallowedInterim, Unavailable};

const LIES: [Lie; 7] = [HangsUp, Silent, Garbage, HalfAHead, SwallowedInterim, Hint, Unavailable];

impl Lie {
    fn script(self) -> Script {
        Arc::new(move |client| {
            if client.request().is_none() {
                return;
            }
            client.send(match self {
                HangsUp | Silent => b"",
                Garbage => b"220 mail.example.com ESMTP\r\n\r\n",
                HalfAHead => b"HTTP/1.1 200 OK\r\nContent-Le",
                SwallowedInterim => b"HTTP/1.1 100 Continue\r\n\r\n",
                Hint => b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                Unavailable => UNAVAILABLE,
            });
            if self == Silent {
                // Until the gateway hangs up.
                client.request();
            }
        })
    }

    /// What the client gets where no other node may be asked.
    const fn status(self) -> u16 {
        match self {
            Silent => 504,
            Unavailable => 503,
            _ => 502,
        }
    }
}

/// In front of these nodes, all of one weight.
fn gateway(dir: &Path, driver: Driver, nodes: &[&Upstream], lines: &str) -> Gateway {
    let nodes: Vec<_> =
        nodes.iter().map(|node| format!("\"127.0.0.1:{}\" = 1", node.port)).collect();
    let text = PLAIN.replace("\"127.0.0.1:@upstream@\" = 1", &nodes.join(", "));
    Setup::new(dir, driver, &format!("{text}upstream.timeout.read = 0.3\n{lines}")).start()
}

/// The status of the final answer.
fn status(gateway: &Gateway, request: &[u8]) -> u16 {
    let mut client = raw::plain(gateway.port("front"));
    client.send(request).expect("a gateway");
    loop {
        let status = client.response("GET").expect("an answer").status();
        if status >= 200 {
            return status;
        }
    }
}

/// Sends a request to each of two nodes, as their turns come; one lies. The statuses, and how many
/// requests each has seen.
fn both(driver: Driver, lie: Lie, request: &[u8], lines: &str) -> (Vec<u16>, usize, usize) {
    let (scratch, liar, good) = (scratch(), Upstream::plain(lie.script()), Upstream::plain(echo()));
    let gateway = gateway(scratch.path(), driver, &[&liar, &good], lines);
    let mut statuses: Vec<_> = (0..2).map(|_| status(&gateway, request)).collect();
    statuses.sort_unstable();
    (statuses, liar.seen().len(), good.seen().len())
}

const WITH_503: &str =
    "upstream.retry_on = [\"connect\", \"lost\", \"timeout\", \"bad_response\", \"503\"]\n";

on_both_drivers! {
    /// Every way to fail, with every kind of request: what may be repeated is answered, and what may not is
    /// seen by one node alone.
    fn another_node_answers_what_may_be_sent_twice(driver) {
        thread::scope(|scope| {
            for lie in LIES {
                scope.spawn(move || {
                    for request in [GET, PUT, CHUNKED, POST] {
                        let name = format!("{lie:?}: {}", String::from_utf8_lossy(request));
                        let (statuses, lied, answered) = both(driver, lie, request, WITH_503);
                        // The client has a byte already, or the node may have acted.
                        if lie == Hint || request == POST {
                            assert_eq!(statuses, [200, lie.status()], "{name}");
                            assert_eq!((lied, answered), (1, 1), "{name}");
                        } else {
                            assert_eq!(statuses, [200, 200], "{name}");
                            assert!(lied >= 1 && answered == 2, "{name}: {lied} {answered}");
                        }
                    }
                });
            }
        });
    }

    /// A word that is left out, and a status that is not named.
    fn only_what_is_named_is_tried_again(driver) {
        for (lie, lines, wanted) in [
            (Garbage, "upstream.retry_on = [\"lost\"]\n", 502),
            (HangsUp, "upstream.retry_on = [\"bad_response\"]\n", 502),
            (Silent, "upstream.retry_on = [\"lost\"]\n", 504),
            (Unavailable, "", 503),
            (Unavailable, "upstream.retry_on = [\"502\"]\n", 503),
        ] {
            let (statuses, lied, answered) = both(driver, lie, GET, lines);
            assert_eq!(statuses, [200, wanted], "{lie:?} {lines}");
            assert_eq!((lied, answered), (1, 1), "{lie:?} {lines}");
        }
    }

    /// Said by its own key, and warned about.
    fn a_post_is_sent_twice_only_where_that_is_asked_for(driver) {
        let (scratch, liar, good) =
            (scratch(), Upstream::plain(HangsUp.script()), Upstream::plain(echo()));
        let lines = "upstream.retry_non_idempotent = true\n";
        let gateway = gateway(scratch.path(), driver, &[&liar, &good], lines);
        assert_eq!([status(&gateway, POST), status(&gateway, POST)], [200, 200]);
        assert_eq!((liar.seen().len(), good.seen().len()), (1, 2));
        assert!(gateway.log().contains("a POST may be carried out twice"), "{}", gateway.log());
    }

    /// The last response is passed on, and no word of our own.
    fn the_last_response_with_a_named_status_is_the_clients(driver) {
        let scratch = scratch();
        let nodes = [Upstream::plain(Unavailable.script()), Upstream::plain(Unavailable.script())];
        let gateway = gateway(scratch.path(), driver, &[&nodes[0], &nodes[1]], WITH_503);
        let mut client = raw::plain(gateway.port("front"));
        client.send(GET).expect("a gateway");
        let answer = client.response("GET").expect("an answer");
        assert_eq!((answer.status(), answer.text()), (503, "busy".to_owned()));
        assert_eq!([nodes[0].seen().len(), nodes[1].seen().len()], [1, 1]);
    }

    /// A request that fails at all other nodes finds the one that is set aside, unless there is no floor; a POST
    /// that has left does not.
    fn a_node_that_is_set_aside_is_the_last_resort(driver) {
        for (floor, wanted) in [("", 200), ("upstream.checks.panic_threshold = 0\n", 502)] {
            let flags = [false, true].map(|works| Arc::new(AtomicBool::new(works)));
            let nodes = flags.each_ref().map(|works| {
                let works = Arc::clone(works);
                Upstream::plain(Arc::new(move |client| {
                    while client.request().is_some() && works.load(Ordering::SeqCst) {
                        client.answer(b"it works");
                    }
                }))
            });
            let scratch = scratch();
            let lines = format!("upstream.checks.passive.unhealthy.fail_timeout = 280\n{floor}");
            let gateway = gateway(scratch.path(), driver, &[&nodes[0], &nodes[1]], &lines);
            let set_aside = poll(PATIENCE, || {
                assert_eq!(status(&gateway, GET), 200);
                gateway.log().contains("an upstream node is set aside").then_some(())
            });
            assert!(set_aside.is_some(), "{}", gateway.log());
            for _ in 0..4 {
                assert_eq!(status(&gateway, GET), 200);
            }
            let before = nodes[0].seen().len();
            flags[0].store(true, Ordering::SeqCst);
            flags[1].store(false, Ordering::SeqCst);
            assert_eq!(status(&gateway, POST), 502);
            assert_eq!(nodes[0].seen().len(), before, "a POST is asked of one node");
            assert_eq!(status(&gateway, GET), wanted, "{floor}");
            assert_eq!(nodes[0].seen().len(), before + usize::from(wanted == 200), "{floor}");
        }
    }

    /// No further try begins after that time: the first node took all of it.
    fn no_try_begins_after_retry_timeout(driver) {
        for (limit, wanted) in [("0.1", 504), ("60", 200)] {
            let lines = format!("upstream.retry_timeout = {limit}\n");
            let (statuses, ..) = both(driver, Silent, GET, &lines);
            assert_eq!(statuses, [200, wanted], "{limit}");
        }
    }

    /// One worker, so that what one core may do is what all may do.
    fn a_budget_bounds_the_tries_of_what_has_left(driver) {
        let (scratch, liar, good) =
            (scratch(), Upstream::plain(HangsUp.script()), Upstream::plain(echo()));
        let text = format!(
            "{PLAIN}upstream.retry_budget = {{ percent = 10, min_per_second = 0 }}\n\
             upstream.checks.passive.unhealthy.tcp_failures = 0\n"
        );
        let nodes =
            format!("\"127.0.0.1:{}\" = 1, \"127.0.0.1:{}\" = 1", liar.port, good.port);
        let text = text.replace("\"127.0.0.1:@upstream@\" = 1", &nodes);
        let runtime = format!("workers = 1\ncpu_affinity = false\nio_driver = \"{driver}\"\n");
        let gateway = Setup::new(scratch.path(), driver, &text).runtime(&runtime).start();
        let statuses: Vec<_> = (0..40).map(|_| status(&gateway, GET)).collect();
        let answered = statuses.iter().filter(|status| **status == 200).count();
        // About every second one meets the liar first; a tenth of all may be sent again.
        let (lied, again) = (liar.seen().len(), liar.seen().len() + answered - 40);
        assert!((3..=4).contains(&again) && lied >= 15, "{statuses:?}");
        assert_eq!(good.seen().len(), answered);
    }
}
