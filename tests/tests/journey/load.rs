//! The load generator against the gateway: what it counts is what the gateway did.

use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::{
    Authority, Driver, Gateway, Leaf, Setup, Upstream, echo, on_both_drivers, scratch, tls,
};
use ferrule_tools::load::{self, Kind, Outcome, Plan, Request, TlsTarget, run_held};

use crate::write_ca;

const CONFIG: &str = r#"
[http]
keepalive_requests = 10

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Place {
    _scratch: tempfile::TempDir,
    upstream: Upstream,
    gateway: Gateway,
    client: Leaf,
}

fn start(driver: Driver) -> Place {
    let scratch = scratch();
    let dir = scratch.path();
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    authority.server(&["a.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
    let client = authority.client("load");
    Place { _scratch: scratch, upstream, gateway, client }
}

impl Place {
    fn plan(&self, kind: Kind, connections: usize) -> Plan {
        let config = tls::client(Some(&self.client), &[&rustls::version::TLS13]);
        Plan {
            address: ([127, 0, 0, 1], self.gateway.port("front")).into(),
            tls: Some(TlsTarget {
                config: Arc::new(config),
                server_name: "a.test".try_into().expect("a name"),
            }),
            request: Request::get("a.test", "/", kind),
            kind,
            nagle: false,
            connections,
            threads: 2,
            time: Duration::from_secs(1),
            rate: 0,
        }
    }

    /// No failure, and as many requests behind the gateway as were answered in front of it, beside the
    /// `first` of connections that are kept, which do not count.
    fn check(&self, outcome: &Outcome, first: u64) {
        assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
        assert!(outcome.answered > 0);
        let seen = u64::try_from(self.upstream.seen().len()).expect("a few");
        assert_eq!(seen, outcome.answered + first);
    }
}

on_both_drivers! {
    /// Connections that the gateway ends in good order, every ten requests, are no errors.
    fn a_rate_is_served_on_connections_that_end(driver) {
        let place = start(driver);
        let outcome = load::run(&Plan { rate: 200, ..place.plan(Kind::Kept, 4) });
        place.check(&outcome, 4);
        assert_eq!((outcome.answered, outcome.latency.total()), (200, 200));
        assert!((20..=24).contains(&outcome.connections), "{}", outcome.connections);
        assert_eq!((outcome.full, outcome.resumed), (outcome.connections, 0));
    }

    fn every_handshake_is_full(driver) {
        let place = start(driver);
        let outcome = load::run(&place.plan(Kind::Fresh, 4));
        place.check(&outcome, 0);
        assert_eq!((outcome.full, outcome.resumed), (outcome.answered, 0));
    }

    fn every_session_is_resumed(driver) {
        let place = start(driver);
        let outcome = load::run(&place.plan(Kind::Resumed, 4));
        assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
        assert!(outcome.answered > 4);
        assert_eq!((outcome.full, outcome.resumed), (0, outcome.answered));
    }

    fn uploads_arrive_whole(driver) {
        let place = start(driver);
        let request = Request::upload("a.test", "/", 200_003);
        let outcome = load::run(&Plan { request, ..place.plan(Kind::Kept, 2) });
        place.check(&outcome, 2);
        assert_eq!(outcome.bytes, 200_003 * outcome.answered);
        let seen = place.upstream.seen();
        assert!(seen.iter().all(|request| request.message.body.len() == 200_003));
    }

    fn idle_connections_are_held_until_the_gateway_goes(driver) {
        let mut place = start(driver);
        let outcome = run_held(&place.plan(Kind::Idle, 200), || ());
        place.check(&outcome, 0);
        assert_eq!((outcome.held, outcome.alive, outcome.answered), (200, 200, 400));
        let plan = place.plan(Kind::Idle, 200);
        let outcome = run_held(&plan, || assert!(place.gateway.stop().success()));
        assert_eq!((outcome.held, outcome.alive, outcome.failures()), (200, 0, 200));
        assert_eq!(outcome.failed.get("cut while idle"), Some(&200));
    }
}
