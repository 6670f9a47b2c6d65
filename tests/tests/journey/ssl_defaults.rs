//! What `[ssl_defaults.client]` says holds for every server name, also for one that says nothing.

use std::fs;

use ferrule_tests::{
    Authority, Dial, Leaf, Reloaded, Setup, Upstream, echo, on_both_drivers, scratch,
};

use crate::write_ca;

const DEFAULTS: &str = "[ssl_defaults.client]\nca = \"ca.crt\"\ncrl = \"list.crl\"\n";

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "silent.test"
cert = "server.crt"
key = "server.key"

[[ssls]]
sni = "choosy.test"
cert = "server.crt"
key = "server.key"
client.allow = ["CN=alice"]

[[ssls]]
sni = "open.test"
cert = "server.crt"
key = "server.key"
client.verify = "off"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// What a client with this certificate is answered at this name.
fn status(port: u16, name: &str, leaf: Option<&Leaf>) -> u16 {
    let dial = Dial::with(Some(name), leaf, rustls::ALL_VERSIONS);
    dial.get(port, name, "/").expect("an answer").status()
}

on_both_drivers! {
    fn no_server_name_forgets_what_all_share(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("clients");
        write_ca(dir, "ca", &authority);
        authority.server(&["silent.test", "choosy.test", "open.test"]).write(dir, "server");
        fs::write(dir.join("list.crl"), authority.revocation_list(&[66], 1)).expect("room");
        let [alice, bob, mallory] = [("alice", 7), ("bob", 8), ("alice", 66)]
            .map(|(name, serial)| authority.client_with(name, serial));
        let upstream = Upstream::plain(echo());
        let setup = Setup::new(dir, driver, &format!("{DEFAULTS}{CONFIG}"));
        let mut gateway = setup.set("upstream", &upstream.port).start();
        let port = gateway.port("front");
        for (name, leaf, wanted) in [
            ("silent.test", Some(&alice), 200),
            ("silent.test", Some(&bob), 200),
            ("silent.test", Some(&mallory), 400),
            ("silent.test", None, 400),
            ("choosy.test", Some(&alice), 200),
            ("choosy.test", Some(&bob), 403),
            ("choosy.test", Some(&mallory), 400),
            ("choosy.test", None, 400),
            ("open.test", None, 200),
        ] {
            assert_eq!(status(port, name, leaf), wanted, "{name}");
        }
        // Whoever takes the defaults away has to say what holds instead.
        assert_eq!(gateway.reload(CONFIG), Reloaded::Refused, "{}", gateway.log());
        assert_eq!(status(port, "silent.test", None), 400);
        let apart = CONFIG.replace("client.allow", "client.defaults = false\nclient.ca = \"ca.crt\"\nclient.allow");
        assert_eq!(gateway.reload(&format!("{DEFAULTS}{apart}")), Reloaded::Taken, "{}", gateway.log());
        assert_eq!(status(port, "choosy.test", Some(&mallory)), 200);
        assert_eq!(status(port, "silent.test", Some(&mallory)), 400);
    }
}
