//! One socket for IPv6 and IPv4, or one for each, and reloads between the two.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use ferrule_tests::{
    Conversation, PATIENCE, Reloaded, Setup, Upstream, echo, free_port, on_both_drivers, poll,
    scratch,
};

const ROUTE: &str = r#"
[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.set = { X-Ends = "$remote_addr $server_addr" }
"#;

const BOTH: &str = "[[listen]]\naddress = \"[::]:@port@\"\nipv6only = false\n";
const SIX: &str = "[[listen]]\naddress = \"[::]:@port@\"\n";
const FOUR: &str = "[[listen]]\naddress = \"0.0.0.0:@port@\"\n";

const LOCAL_4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCAL_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// What the upstream saw as the two ends.
fn ends(to: IpAddr, port: u16) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&(to, port).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Conversation::new(stream);
    line.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")?;
    let text = line.response("GET")?.text();
    let found = text.lines().find_map(|line| line.strip_prefix("X-Ends: ").map(str::to_owned));
    Ok(found.unwrap_or(text))
}

on_both_drivers! {
    fn one_socket_or_two_take_both_families(driver) {
        let scratch = scratch();
        let upstream = Upstream::plain(echo());
        let port = free_port();
        let text = |listens: &[&str]| format!("{}{ROUTE}", listens.concat());
        let setup = Setup::new(scratch.path(), driver, &text(&[BOTH]));
        let mut gateway = setup.set("upstream", &upstream.port).set("port", &port).start();
        let four = "127.0.0.1 127.0.0.1";
        for (listens, takes_four) in [
            (&[BOTH][..], true),
            (&[SIX], false),
            (&[SIX, FOUR], true),
            (&[BOTH], true),
            (&[SIX, FOUR], true),
            (&[FOUR], true),
        ] {
            assert_eq!(gateway.reload(&text(listens)), Reloaded::Taken, "{}", gateway.log());
            // A socket that is gone may still take a connection while its core lets go of it.
            let settled = poll(PATIENCE, || match ends(LOCAL_4, port) {
                Ok(ends) if takes_four && ends == four => Some(()),
                Err(error) if !takes_four && error.kind() == io::ErrorKind::ConnectionRefused => {
                    Some(())
                }
                _ => None,
            });
            assert!(settled.is_some(), "{listens:?}:\n{}", gateway.log());
            if listens != [FOUR] {
                assert_eq!(ends(LOCAL_6, port).expect("an answer"), "::1 ::1", "{listens:?}");
            }
        }
        let refused = gateway.reload(&text(&[BOTH, FOUR]));
        assert_eq!(refused, Reloaded::Refused);
        assert!(gateway.log().contains("one of the two is enough"), "{}", gateway.log());
    }
}
