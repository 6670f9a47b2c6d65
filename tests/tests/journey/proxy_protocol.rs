//! The PROXY protocol, both ways, with haproxy and nginx at the other end.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ferrule_engine::wire::proxy::{Ends, SIGNATURE, parse_header};
use ferrule_engine::wire::proxy_write::{Version2, version_1};
use ferrule_tests::{
    Authority, Client, Dial, Driver, Gateway, Leaf, Nginx, PATIENCE, Raw, Script, Setup, Shape,
    Upstream, echo, free_port, on_both_drivers, poll, raw, scratch, tls,
};
use ferrule_tools::haproxy::Haproxy;

use crate::write_ca;

/// Says upstream whom it takes for the client.
const IN: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
proxy_protocol = true
proxy_protocol_trusted = ["192.0.2.0/24", "127.0.0.1"]

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
headers.set.X-Seen = "$remote_addr $remote_port $realip_remote_addr"
headers.set.X-Header = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
"#;

const TLS: &str = r#"
[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"
"#;

const OUT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream_id = "up"

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }
proxy_protocol = "@version@"
"#;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn ends(source: &str, destination: &str) -> Ends {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Ends { source: address(source), destination: address(destination) }
}

fn v1(ends: &Ends) -> Vec<u8> {
    let mut line = Vec::new();
    version_1(ends, &mut line);
    line
}

fn v2(ends: &Ends) -> Vec<u8> {
    let mut header = Version2::new(ends);
    header.value(2, b"a.test");
    header.checksum();
    header.finish().expect("a short header")
}

fn seen(raw: &mut Raw, header: &[u8]) -> (String, String) {
    raw.send(&[header, GET].concat()).expect("a connection");
    let answer = raw.response("GET").expect("a response").text();
    let line = |name: &str| {
        let found = answer.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    (line("X-Seen:"), line("X-Header:"))
}

/// Every header that arrived, with what was in front of the request.
type Collected = Arc<Mutex<Vec<Vec<u8>>>>;

/// Takes a header and one request from each connection, and answers it.
fn collecting(all: &Collected) -> Script {
    let all = Arc::clone(all);
    Arc::new(move |client: &mut Client| {
        let mut bytes = Vec::new();
        let header = loop {
            if let Ok(Some(header)) = parse_header(&bytes) {
                break header;
            }
            let Ok(byte) = client.talk.exactly(1) else { return };
            bytes.extend(byte);
        };
        all.lock().expect("no panic").push(bytes[..header.len].to_vec());
        while client.request().is_some() && client.answer(b"ok") {}
    })
}

/// The values of a header of version 2 over IPv4, and those within the one for TLS.
fn values(header: &[u8]) -> Vec<(u8, Vec<u8>)> {
    fn split(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let [kind, high, low, rest @ ..] = bytes {
            let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            all.push((*kind, value.to_vec()));
            bytes = rest;
        }
        all
    }
    let mut all = split(header.get(28..).expect("an IPv4 header"));
    if let Some(at) = all.iter().position(|(kind, _)| *kind == 0x20) {
        let (_, ssl) = all.remove(at);
        all.push((0x20, ssl[..5].to_vec()));
        all.extend(split(&ssl[5..]));
    }
    all.sort();
    all
}

fn value(all: &[(u8, Vec<u8>)], kind: u8) -> Option<&[u8]> {
    all.iter().find(|(found, _)| *found == kind).map(|(_, value)| &value[..])
}

fn mutual(dir: &Path) -> Leaf {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    let server = authority.server(&["a.test"]);
    server.write(dir, "server");
    fs::write(dir.join("server.pem"), format!("{}{}", server.cert_pem, server.key_pem))
        .expect("a file");
    authority.client("alice")
}

fn out(dir: &Path, driver: Driver, upstream: u16, version: &str) -> Gateway {
    Setup::new(dir, driver, OUT).set("upstream", &upstream).set("version", &version).start()
}

on_both_drivers! {
    fn a_header_names_the_client(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway =
            Setup::new(scratch.path(), driver, IN).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        let (four, six) =
            (ends("198.51.100.7:4711", "203.0.113.1:443"), ends("[2001:db8::7]:1", "[::1]:2"));
        for (header, wanted) in [
            (v1(&four), "198.51.100.7 4711 203.0.113.1 443"),
            (v2(&four), "198.51.100.7 4711 203.0.113.1 443"),
            (v1(&six), "2001:db8::7 1 ::1 2"),
            (v2(&six), "2001:db8::7 1 ::1 2"),
        ] {
            let mut raw = raw::plain(front);
            let (who, said) = seen(&mut raw, &header);
            assert_eq!(said, wanted);
            let client: Vec<&str> = wanted.split(' ').take(2).collect();
            assert_eq!(who, format!("{} 127.0.0.1", client.join(" ")));
            // A connection has one header, at its front; another one is no request.
            assert_eq!(seen(&mut raw, b"").1, wanted);
            raw.send(&header).expect("a connection");
            raw.send(GET).expect("a connection");
            assert_eq!(raw.response("GET").expect("a response").status(), 400);
        }
        for header in [&b"PROXY UNKNOWN\r\n"[..], &[SIGNATURE, &b"\x20\0\0\0"[..]].concat()] {
            let (who, said) = seen(&mut raw::plain(front), header);
            assert!(who.starts_with("127.0.0.1 ") && who.ends_with(" 127.0.0.1"), "{who}");
            assert_eq!(said, "");
        }
        let mut slow = raw::plain(front);
        for byte in v2(&four) {
            slow.send(&[byte]).expect("a connection");
        }
        assert_eq!(seen(&mut slow, b"").1, "198.51.100.7 4711 203.0.113.1 443");
    }

    fn without_one_from_a_trusted_sender_there_is_nothing(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = IN.replace("proxy_protocol = true", "handshake_timeout = \"1s\"\nproxy_protocol = true");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let closes = |port: u16, bytes: &[u8]| {
            let mut raw = raw::plain(port);
            // It may be closed before all of it is sent.
            let _ = raw.send(bytes);
            raw.is_closed()
        };
        let good = v1(&ends("198.51.100.7:4711", "203.0.113.1:443"));
        for bytes in [GET, b"", b"PROXY TCP4 ", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            assert!(closes(gateway.port("front"), bytes), "{bytes:?}");
        }
        let strangers = text.replace(", \"127.0.0.1\"", "");
        let second = Setup::new(scratch.path(), driver, &strangers).named("second")
            .set("upstream", &upstream.port).start();
        assert!(closes(second.port("front"), &[&good[..], GET].concat()));
        assert_eq!(upstream.seen().len(), 0);
        for (gateway, reason) in [
            (&gateway, "it sent no header"),
            (&gateway, "in time"),
            (&gateway, "version 1 line"),
            (&second, "proxy_protocol_trusted"),
        ] {
            let found = poll(PATIENCE, || gateway.log().contains(reason).then_some(()));
            assert!(found.is_some(), "{reason}: {}", gateway.log());
        }
    }

    /// What comes behind the header, be it in the same segment, is TLS.
    fn tls_follows_the_header(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let leaf = mutual(dir);
        let text = format!("{}{TLS}", IN.replace("proxy_protocol = true", "tls = true\nproxy_protocol = true"));
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let four = ends("198.51.100.7:4711", "203.0.113.1:443");
        for header in [v1(&four), v2(&four)] {
            for version in rustls::ALL_VERSIONS {
                let dial = Dial::with(Some("a.test"), Some(&leaf), &[version]).behind(&header);
                let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
                assert_eq!(seen(&mut raw, b"").1, "198.51.100.7 4711 203.0.113.1 443");
            }
        }
        assert!(Dial::as_client("a.test", &leaf).connect(gateway.port("front")).is_err());
    }

    fn haproxy_sends_and_we_read(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let leaf = mutual(dir);
        let text = format!("{}{TLS}", IN.replace("proxy_protocol = true", "tls = true\nproxy_protocol = true"));
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let front = gateway.port("front");
        for option in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
            let port = free_port();
            let _haproxy = Haproxy::start(dir, port, &format!(
                "listen l\n  mode tcp\n  bind 127.0.0.1:{port}\n  unique-id-format id-%ci-%cp\n  server s 127.0.0.1:{front} {option}\n"
            ));
            let mut raw = Dial::as_client("a.test", &leaf).connect(port).expect("a handshake");
            let said = seen(&mut raw, b"").1;
            assert!(said.starts_with("127.0.0.1 ") && said.ends_with(&format!(" 127.0.0.1 {port}")), "{option}: {said}");
        }
    }

    fn we_send_and_nginx_reads(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        mutual(dir);
        let (plain, secure, at) = (free_port(), free_port(), dir.display());
        let _nginx = Nginx::start(dir, plain, &format!(
            "server {{\nlisten 127.0.0.1:{plain} proxy_protocol;\nlisten 127.0.0.1:{secure} ssl proxy_protocol;\n\
             ssl_certificate {at}/server.crt;\nssl_certificate_key {at}/server.key;\nlocation / {{\nreturn 200 \
             \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port\";\n}}\n}}"
        ), Shape::Single);
        for version in ["v1", "v2"] {
            for (upstream, tls) in [(plain, ""), (secure, "scheme = \"https\"\ntls = { ca = \"ca.crt\", server_name = \"a.test\" }\n")] {
                let gateway = Setup::new(dir, driver, &format!("{OUT}{tls}"))
                    .set("upstream", &upstream).set("version", &version).start();
                let front = gateway.port("front");
                let answer = raw::plain_get(front, "a.test", "/");
                let text = answer.text();
                assert!(answer.status() == 200 && text.starts_with("127.0.0.1 "), "{version} {tls}: {text}");
                assert!(text.ends_with(&format!(" 127.0.0.1 {front}")), "{version} {tls}: {text}");
            }
        }
    }

    fn we_send_and_haproxy_reads(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let leaf = mutual(dir);
        let port = free_port();
        let _haproxy = Haproxy::start(dir, port, &format!(
            "listen l\n  mode http\n  bind 127.0.0.1:{port} accept-proxy\n  http-request return status 200 content-type \
             text/plain lf-string \"%[src] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]\"\n"
        ));
        let text = format!(
            "{}proxy_protocol_tlvs = [\"alpn\", \"authority\", \"crc32c\", \"unique-id\", \"ssl\", \"cert-cn\", \"ssl-cipher\", \"client-cert\"]\n{TLS}",
            OUT.replace("@front@\"", "@front@\"\ntls = true")
        );
        let gateway = Setup::new(dir, driver, &text).set("upstream", &port).set("version", &"v2").start();
        let front = gateway.port("front");
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = Dial::as_client("a.test", &leaf).get(front, "a.test", "/").expect("an answer");
            let text = answer.text();
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!(words[..3], ["127.0.0.1", &front.to_string(), "a.test"], "{text}");
            ids.push(words[3].to_owned());
        }
        assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
    }

    /// haproxy tells its upstreams of the same client in the same words. It reads none of the TLS values
    /// back (in the version that Debian has), so the bytes are compared.
    fn tls_values_are_as_haproxy_spells_them(driver) {
        let all = Collected::default();
        let (scratch, upstream) = (scratch(), Upstream::plain(collecting(&all)));
        let dir = scratch.path();
        let leaf = mutual(dir);
        let text = format!(
            "{}proxy_protocol_tlvs = [\"alpn\", \"authority\", \"crc32c\", \"cert-cn\", \"ssl-cipher\", \"client-cert\"]\n{TLS}",
            OUT.replace("@front@\"", "@front@\"\ntls = true")
        );
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).set("version", &"v2").start();
        let (port, at) = (free_port(), dir.display());
        let _haproxy = Haproxy::start(dir, port, &format!(
            "listen l\n  mode http\n  bind 127.0.0.1:{port} ssl crt {at}/server.pem ca-file {at}/ca.crt verify required alpn http/1.1\n  \
             server s 127.0.0.1:{} send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,authority,crc32c\n", upstream.port
        ));
        all.lock().expect("no panic").clear();
        let dial = Dial::with(Some("a.test"), Some(&leaf), &[&rustls::version::TLS13]).alpn(&["http/1.1"]);
        for port in [gateway.port("front"), port] {
            assert_eq!(dial.get(port, "a.test", "/").expect("an answer").status(), 200);
        }
        let all = all.lock().expect("no panic");
        let (mut ours, theirs) = (values(&all[0]), values(&all[1]));
        let certificate = tls::certificates(&leaf.cert_pem).remove(0);
        assert_eq!(value(&ours, 0x28), Some(&certificate[..]));
        assert_eq!(value(&ours, 0x22), Some(&b"alice"[..]));
        assert_eq!(value(&ours, 0x20), Some(&[7, 0, 0, 0, 0][..]));
        // The sums are of different ports.
        let rest = |all: &[(u8, Vec<u8>)]| -> Vec<(u8, Vec<u8>)> {
            all.iter().filter(|(kind, _)| ![0x03, 0x28].contains(kind)).cloned().collect()
        };
        ours.retain(|(kind, _)| value(&theirs, *kind).is_some() || *kind != 0x01);
        assert_eq!(rest(&ours), rest(&theirs));
    }

    /// Whom the authorities of a route know is told of as in the headers of the same request.
    fn a_client_of_a_route_is_told_of_as_the_route_knows_it(driver) {
        let all = Collected::default();
        let (scratch, upstream) = (scratch(), Upstream::plain(collecting(&all)));
        let dir = scratch.path();
        let leaf = mutual(dir);
        write_ca(dir, "other", &Authority::new("other"));
        let names = TLS.replace("client.ca = \"ca.crt\"", "client = { ca = \"other.crt\", verify = \"optional_no_ca\" }");
        let text = OUT.replace("@front@\"", "@front@\"\ntls = true")
            .replace("upstream_id", "client.ca = \"ca.crt\"\nheaders.set.X-Verify = \"$ssl_client_verify\"\nupstream_id");
        let text = format!("{text}proxy_protocol_tlvs = [\"ssl\", \"cert-cn\"]\n{names}");
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).set("version", &"v2").start();
        let dial = Dial::as_client("a.test", &leaf);
        assert_eq!(dial.get(gateway.port("front"), "a.test", "/").expect("an answer").status(), 200);
        let all = all.lock().expect("no panic");
        let told = values(&all[0]);
        assert_eq!(upstream.seen()[0].message.head.get("X-Verify"), Some("SUCCESS"));
        assert_eq!(value(&told, 0x20), Some(&[7, 0, 0, 0, 0][..]));
        assert_eq!(value(&told, 0x22), Some(&b"alice"[..]));
    }

    /// A connection that began with one client's header is nobody else's, and not even its own again.
    fn no_two_requests_share_a_connection(driver) {
        let all = Collected::default();
        let (scratch, upstream) = (scratch(), Upstream::plain(collecting(&all)));
        let gateway = out(scratch.path(), driver, upstream.port, "v1");
        let mut first = raw::plain(gateway.port("front"));
        for _ in 0..2 {
            assert_eq!(raw::get(&mut first, "x", "/").status(), 200);
        }
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        let lines = all.lock().expect("no panic").clone();
        assert_eq!((upstream.accepted(), lines.len()), (3, 3));
        assert!(lines[0] == lines[1] && lines[0] != lines[2], "{lines:?}");
        let heads = upstream.seen();
        assert!(heads.iter().all(|seen| seen.message.head.get("Connection") == Some("close")));
    }

    /// Who may speak for others, and how many connections somebody has, goes by the header's client.
    fn limits_and_trust_follow_the_header(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!("[http]\nconnections_per_address = 2\ntrusted_addresses = [\"198.51.100.7\"]\n{IN}");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let from = |client: &str| {
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(&v1(&ends(&format!("{client}:4711"), "203.0.113.1:443"))).expect("a connection");
            raw
        };
        let told = |raw: &mut Raw| {
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: gopher\r\n\r\n").ok()?;
            raw.response("GET").ok().map(|answer| answer.text())
        };
        for (client, scheme) in [("198.51.100.7", "gopher"), ("198.51.100.8", "http")] {
            let mut held: Vec<Raw> = Vec::new();
            for _ in 0..2 {
                let mut raw = from(client);
                let text = told(&mut raw).expect("an answer");
                for line in [format!("X-Forwarded-Proto: {scheme}\r\n"), format!("X-Forwarded-For: {client}\r\n"), format!("X-Real-IP: {client}\r\n")] {
                    assert!(text.contains(&line), "{line}: {text}");
                }
                held.push(raw);
            }
            assert_eq!(told(&mut from(client)), None);
            // One line a second: the other client may just have had it.
            let named = poll(PATIENCE, || {
                assert_eq!(told(&mut from(client)), None);
                gateway.log().contains(&format!("client={client}")).then_some(())
            });
            assert!(named.is_some(), "{}", gateway.log());
            held.pop();
            assert!(poll(PATIENCE, || told(&mut from(client))).is_some());
        }
    }

    /// What a header has said on the way in, the header on the way out says again.
    fn a_header_is_passed_on(driver) {
        let all = Collected::default();
        let (scratch, upstream) = (scratch(), Upstream::plain(collecting(&all)));
        let text = OUT.replace(
            "@front@\"",
            "@front@\"\nproxy_protocol = true\nproxy_protocol_trusted = [\"127.0.0.0/8\"]",
        );
        let gateway = Setup::new(scratch.path(), driver, &text)
            .set("upstream", &upstream.port).set("version", &"v2").start();
        let four = ends("198.51.100.7:4711", "203.0.113.1:443");
        let mut raw = raw::plain(gateway.port("front"));
        raw.send(&[&v1(&four)[..], GET].concat()).expect("a connection");
        assert_eq!(raw.response("GET").expect("a response").status(), 200);
        let all = all.lock().expect("no panic");
        assert_eq!(parse_header(&all[0]).expect("a header").expect("a whole one").ends, Some(four));
    }
}
