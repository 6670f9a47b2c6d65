//! A real WebSocket library at both ends: text, fragments, pings, close codes, 64 MiB messages and many
//! sockets at once, through mutual TLS on the client's side and both kinds of upstream.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::path::Path;
use std::sync::OnceLock;

use ferrule_tests::{
    Authority, Driver, Gateway, Setup, free_port, on_both_drivers, scratch, shell,
};
use ferrule_tools::process::source_dir;

const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/plain"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@plain@" = 1 }

[[routes]]
uri = "/ordinary"
upstream.nodes = { "127.0.0.1:@plain@" = 1 }

[[routes]]
uri = "/asgi"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@asgi@" = 1 }

[[services]]
id = "secure"
enable_websocket = true
[services.upstream]
scheme = "https"
nodes = { "127.0.0.1:@secure@" = 1 }
tls = { ca = "ca.crt", client_cert = "client.crt", client_key = "client.key", server_name = "a.test" }

[[routes]]
uri = "/secure"
service_id = "secure"
"#;

/// The library, installed once; a package index that cannot be reached is a failure, not a reason to
/// leave the test out.
fn library(top: &Path) {
    static INSTALLED: OnceLock<String> = OnceLock::new();
    INSTALLED.get_or_init(|| shell(top, "tests/websocket/install"));
}

/// The gateway, and where its upstreams are to listen.
struct Place {
    gateway: Gateway,
    plain: u16,
    secure: u16,
    asgi: u16,
}

fn place(dir: &Path, driver: Driver) -> Place {
    let authority = Authority::new("ca");
    std::fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.server(&["a.test"]).write(dir, "server");
    authority.client("alice").write(dir, "client");
    let [plain, secure, asgi] = [free_port(), free_port(), free_port()];
    let gateway = Setup::new(dir, driver, TEXT)
        .quiet()
        .runtime_line("shutdown_timeout = \"1s\"")
        .set("plain", &plain)
        .set("secure", &secure)
        .set("asgi", &asgi)
        .start();
    Place { gateway, plain, secure, asgi }
}

on_both_drivers! {
    fn a_library_at_both_ends_notices_nothing(driver) {
        let top = source_dir();
        library(&top);
        let scratch = scratch();
        let Place { gateway, plain, secure, asgi } = place(scratch.path(), driver);
        let script = format!(
            "target/websocket/bin/python tests/websocket/peers.py {} {plain} {secure} {asgi} {}",
            gateway.port("front"), scratch.path().display()
        );
        let said = shell(&top, &script);
        assert!(said.ends_with("all is well\n"), "{said}");
    }

    /// Of a gateway that ends, both ends learn that it goes away: RFC 6455's code for that.
    fn a_drain_is_told_to_both_ends(driver) {
        let top = source_dir();
        library(&top);
        let scratch = scratch();
        let Place { gateway, plain, secure, .. } = place(scratch.path(), driver);
        let script = format!(
            "target/websocket/bin/python tests/websocket/drained.py {} {plain} {secure} {} {}",
            gateway.port("front"), scratch.path().display(), gateway.process.id()
        );
        let said = shell(&top, &script);
        assert!(said.ends_with("all were told\n"), "{said}");
    }
}
