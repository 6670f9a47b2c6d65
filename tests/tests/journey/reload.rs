//! SIGHUP: all of a new file, or nothing of it; connections live on.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use ferrule_tests::{
    Authority, Dial, Reloaded, Setup, Storm, Upstream, echo, on_both_drivers, poll, raw, scratch,
    tls,
};

use crate::{PLAIN, plain_gateway, write_ca};

on_both_drivers! {
    fn connections_live_on(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let mut kept = raw::plain(gateway.port("front"));
        assert_eq!(raw::get(&mut kept, "x", "/").status(), 200);
        for round in 0..5 {
            let text = PLAIN.replace("/*", &format!("/{round}/*"));
            assert_eq!(gateway.reload(&text), Reloaded::Taken);
            // The very same connection, and the new routes.
            assert_eq!(raw::get(&mut kept, "x", &format!("/{round}/x")).status(), 200, "{round}");
            assert_eq!(raw::get(&mut kept, "x", "/elsewhere").status(), 404, "{round}");
        }
    }

    /// Nothing of a bad file takes effect, and all that is wrong with it is said.
    fn a_bad_file_changes_nothing(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let bad = PLAIN.replace("uri = \"/*\"", "urri = \"/*\"").replace("= 1 }", "= 1 }\nupstream_id = \"nobody\"");
        assert_eq!(gateway.reload(&bad), Reloaded::Refused);
        let log = gateway.log();
        assert!(log.contains("urri") && log.contains("nobody"), "{log}");
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);

        let missing = format!("{PLAIN}\n[[ssls]]\nsni = \"a.test\"\ncert = \"no.crt\"\nkey = \"no.key\"\n");
        assert_eq!(gateway.reload(&missing), Reloaded::Refused);
        assert!(gateway.log().contains("no.crt"));
        assert_eq!(gateway.reload(PLAIN), Reloaded::Taken);
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
    }

    /// A configuration of several files is read again as one; a broken file refuses all of them.
    fn included_files_are_read_again(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let write = |name: &str, text: &str| {
            std::fs::write(scratch.path().join(name), text).expect("a file");
        };
        let return_route = |uri: &str, status: u16| {
            format!("[[routes]]\nuri = \"{uri}\"\nreturn = {{ status = {status} }}\n")
        };
        write("more-1.toml", &return_route("/one", 201));
        let gateway =
            Setup::new(scratch.path(), driver, PLAIN).root_line("include = \"more-*.toml\"");
        let mut gateway = gateway.set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let status = |path: &str| raw::plain_get(front, "x", path).status();
        assert_eq!([status("/one"), status("/two")], [201, 200]);
        write("more-2.toml", &return_route("/two", 202));
        assert_eq!(gateway.reload(PLAIN), Reloaded::Taken);
        assert_eq!([status("/one"), status("/two")], [201, 202]);
        write("more-1.toml", "[[routes]]\nurii = \"/one\"\n");
        write("more-2.toml", &return_route("/two", 203));
        assert_eq!(gateway.reload(PLAIN), Reloaded::Refused);
        assert!(gateway.log().contains("more-1.toml:2:1: error: routes[1].urii"), "{}", gateway.log());
        assert_eq!([status("/one"), status("/two")], [201, 202]);
    }

    fn listeners_come_and_go(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        let both = format!("[[listen]]\naddress = \"127.0.0.1:@second@\"\n{PLAIN}");
        assert_eq!(gateway.reload(&both), Reloaded::Taken);
        let second = gateway.port("second");
        assert_eq!(raw::plain_get(second, "x", "/").status(), 200);
        assert_eq!(raw::plain_get(front, "x", "/").status(), 200);
        assert_eq!(gateway.reload(&PLAIN.replace("@front@", "@second@")), Reloaded::Taken);
        assert_eq!(raw::plain_get(second, "x", "/").status(), 200);
        let gone = poll(ferrule_tests::PATIENCE, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, front)).err()
        });
        assert!(gone.is_some(), "the old listener still accepts");
    }

    /// New connections see the new certificate; the old connection keeps serving.
    fn a_certificate_is_replaced(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        let first = authority.server(&["a.test"]);
        first.write(dir, "server");
        let upstream = Upstream::plain(echo());
        let text = format!(
            "{}\n[[ssls]]\nsni = \"a.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\n",
            PLAIN.replace("@front@\"", "@front@\"\ntls = true")
        );
        let mut gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let dial = Dial::new(Some("a.test"));
        let mut kept = dial.connect(front).expect("a handshake");
        let der = |pem: &str| tls::certificates(pem).remove(0).to_vec();
        assert_eq!(kept.stream.certificate(), der(&first.cert_pem));

        let second = authority.server(&["a.test"]);
        second.write(dir, "server");
        assert_eq!(gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(dial.connect(front).expect("a handshake").stream.certificate(), der(&second.cert_pem));
        assert_eq!(raw::get(&mut kept, "a.test", "/").status(), 200);

        // A key that does not match its certificate is not taken.
        let third = authority.server(&["a.test"]);
        std::fs::write(dir.join("server.key"), &third.key_pem).expect("a writable directory");
        assert_eq!(gateway.signal_reload(), Reloaded::Refused);
        assert_eq!(dial.connect(front).expect("a handshake").stream.certificate(), der(&second.cert_pem));
    }

    /// The short form of the `storm` tool: not one request fails, and nobody sees an old certificate.
    fn a_storm_of_reloads_hurts_nobody(driver) {
        let scratch = scratch();
        let storm = Storm {
            driver,
            reloads: 10,
            between: Duration::from_millis(500),
            workers: 1,
            kept: 8,
            fresh: 40,
        };
        let report = storm.run(scratch.path());
        let problems = report.problems();
        assert!(problems.is_empty(), "{report}\n{}", problems.join("\n"));
    }
}
