//! Cases about handshakes: what a client of the suite's writes down while it shakes hands, sends and receives.

use ferrule_tests::Dial;

use crate::case::Case;
use crate::compare::expression;
use crate::gateway::{Gateway, Outcome};

/// Its line once it has a connection: as often as it stands in what is expected, it is played.
const CONNECTED: &str = "connected: 1";

pub(crate) fn play(case: &Case, gateway: &Gateway) -> Outcome {
    let wanted = &case.expect["response_body"];
    let pattern = wanted["regex"].as_str();
    let text = pattern.or(wanted.as_str()).unwrap_or_default();
    let times = text.matches(CONNECTED).count().max(1);
    let mut seen = String::new();
    for _ in 0..times {
        seen.push_str(&exchange(case, gateway));
    }
    let good = match pattern {
        Some(pattern) => expression(pattern).is_match(&seen),
        // The cases keep some of its lines, in their order.
        None => {
            let mut lines = seen.lines();
            text.lines()
                .filter(|line| !line.is_empty())
                .all(|wanted| lines.any(|line| line == wanted))
        }
    };
    let fault = (!good).then(|| format!("transcript {seen:?}, wanted {text:?}"));
    Outcome { fault, seen, configuration: String::new() }
}

fn exchange(case: &Case, gateway: &Gateway) -> String {
    let mut told = format!("{CONNECTED}\n");
    let name = case.request["sni"].as_str().filter(|name| !name.is_empty());
    let send = case.request["send"].as_str().unwrap_or_default();
    let Ok(mut raw) = Dial::new(name).connect(gateway.ports.ours(1994)) else {
        told.push_str("failed to do SSL handshake: handshake failed\n");
        return told;
    };
    told.push_str("ssl handshake: true\n");
    if !send.is_empty() {
        told.extend(["sent http request: ", &send.len().to_string(), " bytes.\n"]);
        let answer = raw.send(send.as_bytes()).and_then(|()| raw.response("GET"));
        match answer {
            Ok(message) => {
                let text = format!("{}{}", message.head.raw, message.text());
                for line in gateway.ports.back(&text).lines() {
                    told.extend(["received: ", line, "\n"]);
                }
            }
            Err(error) => told.extend(["failed to receive: ", &error.to_string(), "\n"]),
        }
    }
    told.push_str("close: 1 nil\n");
    told
}
