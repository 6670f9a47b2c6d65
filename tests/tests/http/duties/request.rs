//! Requests: expectations, trailers, loops, and how far OPTIONS goes.

use ferrule_engine::exchange::Refusal;
use ferrule_engine::plan::MethodSet;
use ferrule_engine::wire::error::WireError;

use super::gate::Gate;

const QUIET: &str = "forwarded_headers = false";

fn gate(http: &str) -> Gate {
    Gate::new(&format!("{QUIET}\n{http}"), "", "192.0.2.7")
}

/// RFC 9110, section 10.1.4.
#[test]
fn te_says_trailers_or_nothing() {
    let gate = gate("");
    let both = ["TE: trailers", "Connection: TE"];
    for (fields, wanted) in [
        ("TE: trailers\r\n", &both[..]),
        ("Connection: te\r\nTE: trailers\r\n", &both[..]),
        ("te: gzip;q=0.5, Trailers\r\n", &both[..]),
        ("TE: gzip\r\nTE: trailers\r\n", &both[..]),
        ("TE: gzip\r\n", &[]),
        ("TE:\r\n", &[]),
        ("TE: trailers;q=0.5\r\n", &[]),
        ("TE: xtrailers\r\n", &[]),
        ("Trailer: x\r\n", &[]),
    ] {
        assert_eq!(gate.sent("GET /", fields).unwrap(), wanted, "{fields}");
    }
    let (admission, head) =
        gate.request("GET / HTTP/1.0\r\nHost: h\r\nTE: trailers\r\n\r\n").unwrap();
    assert!(!admission.features.takes_trailers && !head.contains("TE"), "{head}");
}

/// RFC 9110, section 10.1.1.
#[test]
fn expectations_are_answered_or_passed_on() {
    let body = "Content-Length: 1\r\n";
    for (mode, passed_on) in [("answer", false), ("forward", true)] {
        let gate = gate(&format!("expect = '{mode}'"));
        let line = "Expect: 100-continue\r\n";
        for (fields, expects) in [
            (format!("{body}{line}"), true),
            (format!("{body}Expect: 100-Continue, 100-continue\r\n"), true),
            (format!("{body}{line}{line}"), true),
            (body.to_owned(), false),
            (format!("{body}Expect:\r\n"), false),
            // Without content there is nothing to wait with.
            (line.to_owned(), false),
            (format!("Content-Length: 0\r\n{line}"), false),
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            let (admission, head) = gate.request(&head).unwrap();
            assert_eq!(admission.features.expect_continue, expects, "{fields}");
            let lines = head.lines().filter(|line| *line == "Expect: 100-continue").count();
            assert_eq!(lines, usize::from(expects && passed_on), "{head}");
        }
        for wrong in ["100-continue;x", "x", "100-continue, x", "200-ok"] {
            let refused = gate.sent("POST /", &format!("{body}Expect: {wrong}\r\n"));
            assert_eq!(refused, Err(Refusal::ExpectationFailed), "{wrong}");
            let old = format!("POST / HTTP/1.0\r\nHost: h\r\n{body}Expect: {wrong}\r\n\r\n");
            assert!(!gate.request(&old).unwrap().1.contains("Expect"), "HTTP/1.0 expects nothing");
        }
    }
}

/// RFC 9110, section 7.6.3.
#[test]
fn our_name_is_added_and_found_again() {
    let gate = gate("via = 'edge'");
    assert_eq!(gate.sent("GET /", "").unwrap(), ["Via: 1.1 edge"]);
    let lines = gate.sent("GET /", "Via: 1.0 a, 1.1 b\r\nX: 1\r\n").unwrap();
    assert_eq!(lines, ["Via: 1.0 a, 1.1 b", "X: 1", "Via: 1.1 edge"]);
    let (_, old) = gate.request("GET / HTTP/1.0\r\nHost: h\r\n\r\n").unwrap();
    assert!(old.contains("\r\nVia: 1.0 edge\r\n"), "{old}");
    let refused = gate.sent("GET /", "Via: 1.1 a\r\nVia: 1.1 EDGE:80 (x)\r\n");
    assert_eq!(refused, Err(Refusal::RequestLoop));
    assert_eq!(Refusal::RequestLoop.status(), 508);
    // Nobody may ask us to forget who was before us.
    let lines = gate.sent("GET /", "Via: 1.1 a\r\nConnection: via\r\n").unwrap();
    assert_eq!(lines, ["Via: 1.1 a", "Via: 1.1 edge"]);
    let off = self::gate("");
    assert_eq!(off.sent("GET /", "Via: 1.1 ferrule\r\n").unwrap(), ["Via: 1.1 ferrule"]);
}

/// RFC 9110, section 7.6.2.
#[test]
fn max_forwards_counts_for_options_alone() {
    let gate = Gate::new(QUIET, "methods = ['GET', 'OPTIONS']", "192.0.2.7");
    let ask = |start: &str, value: &str| gate.sent(start, &format!("Max-Forwards: {value}\r\n"));
    for (value, wanted) in [
        ("1", "Max-Forwards: 0"),
        ("0010", "Max-Forwards: 9"),
        ("18446744073709551615", "Max-Forwards: 18446744073709551614"),
        ("99999999999999999999999999", "Max-Forwards: 18446744073709551614"),
    ] {
        assert_eq!(ask("OPTIONS /", value).unwrap(), [wanted]);
    }
    for value in ["", "-1", "+1", "1, 2", "x", "1 2", "0x1", "1.0"] {
        assert_eq!(ask("OPTIONS /", value), Err(Refusal::InvalidMaxForwards), "{value}");
        // With another method it means nothing, and goes on as it came.
        assert_eq!(ask("GET /", value).unwrap(), [format!("Max-Forwards: {value}")]);
    }
    assert_eq!(ask("OPTIONS /", "1\r\nMax-Forwards: 1"), Err(Refusal::InvalidMaxForwards));
    assert_eq!(ask("GET /", "0").unwrap(), ["Max-Forwards: 0"]);
    let Err(Refusal::Options(methods)) = ask("OPTIONS /", "0") else { panic!("it went on") };
    let mut allow = Vec::new();
    methods.render(&mut allow);
    assert_eq!(allow, b"GET, OPTIONS");
    for value in ["0", "1", "x"] {
        let refused = ask("TRACE /", value);
        assert_eq!(refused, Err(Refusal::MethodNotAllowed(MethodSet::ALL)), "{value}");
        let refused = gate.request(&format!(
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nMax-Forwards: {value}\r\n\r\n"
        ));
        let allowed = Refusal::MethodNotAllowed(MethodSet::ALL);
        assert_eq!(refused.map(|(_, head)| head), Err(allowed));
    }
}

/// RFC 9112, section 3.2: each form means what it says, and no form means two things.
#[test]
fn the_four_forms_of_a_target() {
    let gate = gate("");
    let start = |head: &str| {
        gate.request(&format!("{head}\r\n\r\n"))
            .map(|(_, sent)| sent.lines().take(2).collect::<Vec<_>>().join("|"))
    };
    for (head, wanted) in [
        ("GET /a?b HTTP/1.1\r\nHost: h", Ok("GET /a?b HTTP/1.1|Host: h")),
        ("GET http://a:1/b?c HTTP/1.1\r\nHost: h", Ok("GET /b?c HTTP/1.1|Host: a:1")),
        ("GET HTTPS://a HTTP/1.1\r\nHost: h", Ok("GET / HTTP/1.1|Host: a")),
        ("OPTIONS http://a/ HTTP/1.1\r\nHost: h", Ok("OPTIONS / HTTP/1.1|Host: a")),
        // About the server as a whole, and there is more than one behind us.
        ("OPTIONS * HTTP/1.1\r\nHost: h", Err(Refusal::Options(MethodSet::ALL))),
        ("OPTIONS http://a HTTP/1.1\r\nHost: h", Err(Refusal::Options(MethodSet::ALL))),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0", Err(Refusal::Options(MethodSet::ALL))),
        ("GET * HTTP/1.1\r\nHost: h", Err(Refusal::Malformed(WireError::InvalidTarget))),
        ("GET h:80 HTTP/1.1\r\nHost: h", Err(Refusal::Malformed(WireError::InvalidTarget))),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h", Err(Refusal::MethodNotAllowed(MethodSet::ALL))),
        ("OPTIONS *x HTTP/1.1\r\nHost: h", Err(Refusal::Malformed(WireError::InvalidTarget))),
    ] {
        assert_eq!(start(head), wanted.map(ToOwned::to_owned), "{head}");
    }
}

/// The limit of the route, not of somebody else's.
#[test]
fn a_body_is_bounded_by_its_route() {
    let gate = Gate::new("client_max_body_size = 10", "client_max_body_size = 20", "192.0.2.7");
    assert!(gate.sent("POST /", "Content-Length: 20\r\n").is_ok());
    assert_eq!(gate.sent("POST /", "Content-Length: 21\r\n"), Err(Refusal::BodyTooLarge));
}
