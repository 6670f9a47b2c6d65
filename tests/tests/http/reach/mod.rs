//! No route is ever reached over a connection that is held to less than the strictest server name
//! that could lead there.
//!
//! Generated sets of server names, policies, listeners and routes; every pair of connection and Host.
//! What the gateway answers must be what `oracle` says, which is the rule of docs/access.md written
//! down by enumeration: it tries hosts, and compiles nothing.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod generate;
mod oracle;
mod spelt;

use ferrule_engine::exchange::{ConnectionView, Scratch, admit};
use ferrule_engine::identity::{ClientIdentity, Verdict};
use ferrule_engine::plan::{ListenerId, Plan};
use ferrule_engine::wire::head::{RequestHead, parse_request};

use generate::{PATHS, Random, World};
use oracle::Outcome;

/// Of one seed each.
const WORLDS: u64 = 400;
const WORLDS_LONG: u64 = 50_000;

#[test]
fn no_route_is_reached_over_a_connection_with_a_weaker_policy_than_a_name_that_leads_there() {
    try_worlds(0..WORLDS);
}

#[test]
#[ignore = "minutes; a release build is best"]
fn the_same_for_many_more_worlds() {
    try_worlds(WORLDS..WORLDS_LONG);
}

fn try_worlds(seeds: core::ops::Range<u64>) {
    let (mut seen, mut errors) = ([0_usize; 4], 0);
    for seed in seeds {
        let mut random = Random::new(seed);
        let world = World::generate(&mut random);
        let hosts = World::hosts_to_try(&mut random);
        let Some((plan, silent)) = world.plan() else { continue };
        let mut closed = false;
        for listener in 0..world.listeners.len() {
            for &server_name in world.server_names_to_try(listener) {
                let Some(used) = world.connect(listener, server_name) else { continue };
                for host in &hosts {
                    for path in PATHS {
                        let asked = oracle::Question { listener, used, host: host.means, path };
                        let wanted = oracle::outcome(&world, &asked);
                        let got =
                            answer(&plan, &world, (listener, server_name), (&host.sent, path));
                        assert_eq!(
                            got,
                            wanted,
                            "seed {seed}, listener {listener}, SNI {server_name:?}, Host {:?}, \
                             {path}\n{}",
                            host.sent,
                            world.text()
                        );
                        seen[wanted.kind()] += 1;
                        closed |= used.is_none() && wanted == Outcome::Misdirected;
                    }
                }
            }
        }
        // Without a word about it, a plain listener is no error only if it keeps nobody out.
        assert!(!(silent && closed && world.is_silent()), "seed {seed}\n{}", world.text());
        errors += usize::from(!silent);
        assert!(silent || world.is_silent(), "seed {seed}: an error about what was said");
    }
    assert!(errors > 10, "{errors} errors");
    assert!(seen.iter().all(|count| *count > 2_000), "an idle test: {seen:?}");
}

fn answer(
    plan: &Plan,
    world: &World,
    (listener, server_name): (usize, Option<&str>),
    (host, path): (&str, &str),
) -> Outcome {
    let head = match host {
        "" => format!("GET {path} HTTP/1.0\r\n\r\n"),
        _ => format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    };
    let mut scratch = Scratch::default();
    let mut parsed = RequestHead::default();
    parse_request(head.as_bytes(), head.len(), plan.head_limits(), &mut parsed).unwrap();
    let id = Some(ListenerId(u32::try_from(listener).unwrap()));
    let tls = world.listeners[listener].tls;
    let server = plan.server_for(id, server_name.map(str::as_bytes)).filter(|_| tls);
    // Whom the connection's policy lets in.
    let nobody = ClientIdentity::of(&[], Verdict::None, &plan.wanted);
    let client =
        ClientIdentity { verdict: Verdict::Success, not_before: 0, not_after: i64::MAX, ..nobody };
    let view = ConnectionView {
        listener: id,
        policy: server.map(|server| plan.sni.policy(server)),
        client: Some(&client).filter(|_| tls),
        now: 0,
        facts: None,
    };
    match admit(plan, &view, parsed.view(head.as_bytes()), &mut scratch) {
        Ok(admission) => Outcome::Route(admission.route.0 as usize),
        Err(refusal) if refusal.status() == 421 => {
            assert!(refusal.closes(), "a 421 ends its connection");
            Outcome::Misdirected
        }
        Err(refusal) if refusal.status() == 404 => Outcome::NotFound,
        Err(refusal) if refusal.status() == 400 => Outcome::Refused,
        Err(refusal) => panic!("{refusal:?}"),
    }
}
