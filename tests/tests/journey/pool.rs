//! Upstream connections: kept, checked before use, never used for a request twice that may not be.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrule_tests::{
    Authority, Nginx, Script, Setup, Shape, Upstream, echo, free_port, on_both_drivers, raw,
    scratch, tls,
};

use crate::{PLAIN, plain_gateway, write_ca};

/// Answers one request a connection, and closes without a word.
fn one_each() -> Script {
    Arc::new(|client| {
        if client.request().is_some() {
            client.answer(b"one");
        }
    })
}

/// Answers the first request of a connection; reads the second and closes instead of answering.
fn drops_the_second() -> Script {
    Arc::new(|client| {
        if client.request().is_some() && client.answer(b"first") {
            client.request();
        }
    })
}

on_both_drivers! {
    fn a_connection_is_kept_and_used_again(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        for _ in 0..5 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        assert_eq!((upstream.accepted(), upstream.seen().len()), (1, 5));
    }

    fn a_connection_closed_while_idle_costs_nothing(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(one_each()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        for _ in 0..5 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").text(), "one");
        }
        for _ in 0..3 {
            let (answer, _) =
                raw::exchange(gateway.port("front"), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            assert!(matches!(answer.status(), 200 | 502), "{answer:?}");
        }
    }

    /// A GET is tried again on a fresh connection; a POST that may have arrived is not.
    fn only_what_is_safe_is_tried_again(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(drops_the_second()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let front = gateway.port("front");
        for _ in 0..4 {
            assert_eq!(raw::plain_get(front, "x", "/").text(), "first");
        }
        assert_eq!(raw::plain_get(front, "x", "/warm").text(), "first");
        let (answer, _) = raw::exchange(
            front,
            b"POST /once HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
        );
        let posts = upstream.seen();
        let posts = posts.iter().filter(|seen| seen.message.head.target() == "/once").count();
        assert_eq!((answer.status(), posts), (502, 1), "{answer:?}");
    }

    fn a_connection_ends_with_its_requests(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!("{PLAIN}upstream.keepalive_pool = {{ requests = 2 }}\n");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for _ in 0..6 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        assert_eq!(upstream.accepted(), 3);
    }

    fn a_pool_of_none_keeps_none(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let text = format!("{PLAIN}upstream.keepalive_pool = {{ size = 0 }}\n");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for _ in 0..3 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        assert_eq!(upstream.accepted(), 3);
    }

    /// A name is the same in every spelling: nobody makes a handshake of each request by thinking of new ones.
    fn one_name_in_many_spellings_shares_a_connection(driver) {
        let scratch = scratch();
        let authority = Authority::new("ca");
        write_ca(scratch.path(), "ca", &authority);
        let upstream = Upstream::tls(tls::server(&authority.server(&["up.test"]), None), echo());
        let text = format!(
            "{}\nupstream.scheme = \"https\"\nupstream.tls = {{ ca = \"ca.crt\" }}\n",
            PLAIN.trim_end()
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        for host in ["up.test", "UP.test", "up.TEST:81", "Up.Test.", "up.test.:81", "uP.tEST"] {
            let answer = raw::plain_get(gateway.port("front"), host, "/");
            assert_eq!(answer.status(), 200, "{host}");
            assert!(answer.text().contains(&format!("\r\nHost: {host}\r\n")), "{}", answer.text());
        }
        assert_eq!(upstream.accepted(), 1);
    }

    /// What follows an answer that was already whole belongs to nobody.
    fn a_connection_with_surplus_bytes_is_not_used_again(driver) {
        let script: Script = Arc::new(|client| {
            while client.request().is_some() {
                let twice = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
                let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
                if !client.send(format!("{twice}{poison}").as_bytes()) {
                    return;
                }
            }
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        for _ in 0..5 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").text(), "mine");
        }
        assert_eq!(upstream.accepted(), 5);
    }

    fn a_restarted_upstream_is_found_again(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(one_each()));
        let gateway = plain_gateway(scratch.path(), driver, &upstream);
        let (front, port) = (gateway.port("front"), upstream.port);
        assert_eq!(raw::plain_get(front, "x", "/").status(), 200);
        drop(upstream);
        assert_eq!(raw::plain_get(front, "x", "/").status(), 502);
        let _again = Upstream::on(port, None, echo());
        assert_eq!(raw::plain_get(front, "x", "/").status(), 200);
    }

    fn weights_are_kept(driver) {
        let scratch = scratch();
        let (three, one) = (Upstream::plain(echo()), Upstream::plain(echo()));
        let text = PLAIN.replace("\"127.0.0.1:@upstream@\" = 1", "\"127.0.0.1:@a@\" = 3, \"127.0.0.1:@b@\" = 1");
        let gateway = Setup::new(scratch.path(), driver, &text)
            .set("a", &three.port).set("b", &one.port).start();
        for _ in 0..40 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
        assert_eq!((three.seen().len(), one.seen().len()), (30, 10));
    }

    fn a_dead_node_is_passed_over(driver) {
        let (scratch, alive) = (scratch(), Upstream::plain(echo()));
        let text = PLAIN.replace("\"127.0.0.1:@upstream@\" = 1", "\"127.0.0.1:@a@\" = 1, \"127.0.0.1:@dead@\" = 1");
        let gateway = Setup::new(scratch.path(), driver, &text)
            .set("a", &alive.port).set("dead", &free_port()).start();
        for _ in 0..10 {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        }
    }

    fn nodes_may_be_unix_sockets_and_names(driver) {
        let scratch = scratch();
        let path = scratch.path().join("up.sock");
        let socket = Upstream::unix(&path, echo());
        let text = PLAIN.replace("127.0.0.1:@upstream@", &format!("unix:{}", path.display()));
        let gateway = Setup::new(scratch.path(), driver, &text).start();
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
        assert_eq!(socket.seen().len(), 1);
        drop(gateway);

        let named = Upstream::plain(echo());
        let text = PLAIN.replace("127.0.0.1:@upstream@", "localhost:@upstream@");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &named.port).start();
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
    }

    /// The same address with another identity is another pool.
    fn identities_do_not_share_connections(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        for name in ["one", "two"] {
            authority.client(name).write(dir, name);
        }
        let leaf = authority.server(&["up.test"]);
        let script: Script = Arc::new(|client| {
            let certificate = client.certificate.clone().unwrap_or_default();
            let is = |name: &[u8]| certificate.windows(name.len()).any(|bytes| bytes == name);
            let name: &[u8] = if is(b"one") { b"one" } else { b"two" };
            while client.request().is_some() && client.answer(name) {}
        });
        let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), script);
        let routes = ["one", "two"].map(|name| {
            format!(
                "[[routes]]\nuri = \"/{name}\"\n[routes.upstream]\nscheme = \"https\"\n\
                 nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\ntls = {{ client_cert = \"{name}.crt\", \
                 client_key = \"{name}.key\", ca = \"ca.crt\", server_name = \"up.test\" }}\n"
            )
        });
        let text = format!("[[listen]]\naddress = \"127.0.0.1:@front@\"\n{}", routes.concat());
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        for _ in 0..3 {
            for name in ["one", "two"] {
                let answer = raw::plain_get(gateway.port("front"), "x", &format!("/{name}"));
                assert_eq!(answer.text(), name);
            }
        }
        assert_eq!(upstream.accepted(), 2);
        let mut by_connection = BTreeMap::<usize, Vec<String>>::new();
        for seen in upstream.seen() {
            by_connection.entry(seen.connection).or_default().push(seen.message.head.target().to_owned());
        }
        assert!(by_connection.values().all(|targets| targets.windows(2).all(|two| two[0] == two[1])));
    }

    /// `verify = "full"` checks chain and name, `"ca"` the chain alone.
    fn an_upstream_is_verified(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        write_ca(dir, "other", &Authority::new("other"));
        let leaf = authority.server(&["up.test"]);
        let upstream = Upstream::tls(tls::server(&leaf, None), echo());
        let cases = [
            ("ca = \"ca.crt\", server_name = \"up.test\"", 200),
            ("ca = \"ca.crt\", server_name = \"wrong.test\"", 502),
            ("ca = \"ca.crt\", server_name = \"wrong.test\", verify = \"ca\"", 200),
            ("ca = \"other.crt\", server_name = \"up.test\"", 502),
            ("ca = \"other.crt\", server_name = \"up.test\", verify = \"ca\"", 502),
            ("server_name = \"wrong.test\", verify = \"off\"", 200),
        ];
        for (number, (tls, status)) in cases.iter().enumerate() {
            let text = format!(
                "{}\nupstream.scheme = \"https\"\nupstream.tls = {{ {tls} }}\n",
                PLAIN.trim_end()
            );
            let gateway = Setup::new(dir, driver, &text)
                .named(&format!("case-{number}")).set("upstream", &upstream.port).start();
            let mut raw = raw::plain(gateway.port("front"));
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("a connection");
            let answer = raw.response("GET");
            assert!(answer.is_ok(), "{tls}: {answer:?}\n{}", gateway.log());
            let answer = answer.expect("just seen");
            assert_eq!(answer.status(), *status, "{tls}: {answer:?}\n{}", gateway.log());
        }
    }

    /// A connection that could not be kept is cheaper to make again, and never for somebody else.
    fn sessions_with_an_upstream_are_resumed(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        authority.server(&["up.test"]).write(dir, "up");
        for name in ["one", "two"] {
            authority.client(name).write(dir, name);
        }
        let port = free_port();
        let at = dir.display();
        let http = format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_certificate {at}/up.crt; ssl_certificate_key {at}/up.key;\n\
             ssl_client_certificate {at}/ca.crt; ssl_verify_client on;\n\
             location / {{ return 200 \"$ssl_session_reused$ssl_client_s_dn\"; }} }}"
        );
        let _nginx = Nginx::start(dir, port, &http, Shape::Single);
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            let routes = ["one", "two"].map(|name| {
                format!(
                    "[[routes]]\nuri = \"/{name}\"\n[routes.upstream]\nscheme = \"https\"\n\
                     nodes = {{ \"127.0.0.1:{port}\" = 1 }}\nkeepalive_pool = {{ size = 0 }}\n\
                     tls = {{ client_cert = \"{name}.crt\", client_key = \"{name}.key\", \
                     ca = \"ca.crt\", server_name = \"up.test\", ssl_protocols = [\"{protocol}\"] }}\n"
                )
            });
            let text = format!("[[listen]]\naddress = \"127.0.0.1:@front@\"\n{}", routes.concat());
            let gateway = Setup::new(dir, driver, &text).named(protocol).start();
            let seen: Vec<String> = ["one", "two", "one", "two", "one"]
                .map(|name| raw::plain_get(gateway.port("front"), "x", &format!("/{name}")).text())
                .to_vec();
            let wanted = [".CN=one", ".CN=two", "rCN=one", "rCN=two", "rCN=one"];
            assert_eq!(seen, wanted, "{protocol}");
        }
    }

    fn a_silent_upstream_is_given_up(driver) {
        let script: Script = Arc::new(|client| {
            client.request();
            client.request();
        });
        let (scratch, upstream) = (scratch(), Upstream::plain(script));
        let text = format!("{PLAIN}upstream.timeout = {{ connect = 1, send = 1, read = 1 }}\n");
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
        let (answer, _) = raw::exchange(gateway.port("front"), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.status(), 504);
    }

    fn an_answer_that_is_none_is_a_502(driver) {
        for bad in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX y: 1\r\n\r\n",
        ] {
            let script: Script = Arc::new(move |client| {
                while client.request().is_some() && client.send(bad.as_bytes()) {}
            });
            let (scratch, upstream) = (scratch(), Upstream::plain(script));
            let gateway = plain_gateway(scratch.path(), driver, &upstream);
            let answer = raw::plain_get(gateway.port("front"), "x", "/");
            assert_eq!(answer.status(), 502, "{bad:?}");
        }
    }
}
