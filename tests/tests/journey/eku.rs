//! `eku` of clients: certificates that are for servers alone, by name and by route, and back again.

use std::fs;

use ferrule_tests::{
    Authority, Dial, Leaf, Reloaded, Setup, Upstream, echo, on_both_drivers, scratch,
};

use crate::write_ca;

/// A name of the usual kind, one that takes any certificate of its authority, one where a route does.
const CONFIG: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "strict.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[ssls]]
sni = "any.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", eku = "any", allow = ["DNS:partner.test", "CN=person"] }

[[ssls]]
sni = "route.test"
cert = "server.crt"
key = "server.key"
client = { ca = "others.crt", verify = "optional_no_ca" }

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
host = "route.test"
uri = "/any/*"
upstream_id = "up"
client = { ca = "clients.crt", eku = "any" }

[[routes]]
host = "route.test"
uri = "/strict/*"
upstream_id = "up"
client = { ca = "clients.crt" }

[[routes]]
hosts = ["strict.test", "any.test"]
uri = "/*"
upstream_id = "up"
"#;

on_both_drivers! {
    fn a_servers_certificate_is_good_where_the_name_or_the_route_says_so(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let (clients, others) = (Authority::new("clients"), Authority::new("others"));
        write_ca(dir, "clients", &clients);
        write_ca(dir, "others", &others);
        others.server(&["strict.test", "any.test", "route.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let mut gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let status = |host: &str, path: &str, leaf: &Leaf| {
            Dial::as_client(host, leaf).get(front, host, path).expect("an answer").status()
        };
        let person = clients.client("person");
        let partner = clients.server(&["partner.test"]);
        let neighbour = clients.server(&["neighbour.test"]);
        let stranger = others.server(&["partner.test"]);
        for (who, leaf, answers) in [
            ("person", &person, [200, 200, 200, 200]),
            ("partner", &partner, [400, 200, 200, 403]),
            ("neighbour", &neighbour, [400, 403, 200, 403]),
            ("stranger", &stranger, [400, 400, 400, 400]),
        ] {
            let asked = [
                status("strict.test", "/", leaf),
                status("any.test", "/", leaf),
                status("route.test", "/any/x", leaf),
                status("route.test", "/strict/x", leaf),
            ];
            assert_eq!(asked, answers, "{who}");
        }
        assert!(gateway.log().contains("whoever has any certificate of these authorities"), "{}", gateway.log());

        // What was good is asked again when the name asks for more.
        let dial = Dial::as_client("any.test", &partner);
        let mut kept = dial.connect(front).expect("a handshake");
        let ask = b"GET / HTTP/1.1\r\nHost: any.test\r\n\r\n";
        kept.send(ask).expect("a connection");
        assert_eq!(kept.response("GET").expect("an answer").status(), 200);
        let file = dir.join("ferrule.toml");
        let text = fs::read_to_string(&file).expect("the configuration");
        fs::write(&file, text.replace(", eku = \"any\", allow", ", allow")).expect("a file");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        let refused = kept.send(ask).is_err() || kept.response("GET").map_or(true, |answer| answer.status() != 200);
        assert!(refused, "the certificate is not good any more");
        assert_eq!(dial.get(front, "any.test", "/").expect("an answer").status(), 400, "no session is left");
    }
}
