//! Ferrule, with the same job and otherwise as it comes.

use std::fmt::Write;
use std::path::Path;

use ferrule_tools::gateway::{Driver, Gateway, Setup};

use super::Place;
use crate::case::Tls;
use crate::stage::files;

/// Starts it on `port`; `other` is another binary than the release's.
pub(super) fn start(
    place: &Place<'_>,
    port: u16,
    fast_path: bool,
    other: Option<&Path>,
) -> Gateway {
    let dir = place.stage.dir();
    let workers = place.setting.workers;
    let runtime =
        format!("workers = {workers}\ncpu_affinity = {}\nio_driver = \"io_uring\"\n", workers > 1);
    let mut setup = Setup::new(dir, Driver::IoUring, &config(place))
        .runtime(&runtime)
        .named(&format!("ferrule-{port}"))
        .quiet()
        .fast_path(fast_path)
        .set("front", &port)
        .set("upstream", &place.upstream)
        .under(&place.words());
    if let Some(binary) = other {
        setup = setup.binary(binary);
    }
    if place.setting.log {
        let path = dir.join(format!("access-{port}.log"));
        setup = setup
            .log_line(&format!("access = {{ path = \"{}\", format = \"json\" }}", path.display()));
    }
    setup.start()
}

const IDENTITY: [(&str, &str); 10] = [
    ("X-Client-Fingerprint", "$ssl_client_fingerprint"),
    ("X-Client-Serial", "$ssl_client_serial"),
    ("X-Client-Subject", "$ssl_client_s_dn"),
    ("X-Client-Issuer", "$ssl_client_i_dn"),
    ("X-Client-Verify", "$ssl_client_verify"),
    ("X-Client-Start", "$ssl_client_v_start"),
    ("X-Client-End", "$ssl_client_v_end"),
    ("X-Client-SHA256", "$ssl_client_fingerprint_sha256"),
    ("X-Client-Protocol", "$ssl_protocol"),
    ("X-Client-Cipher", "$ssl_cipher"),
];

fn config(place: &Place<'_>) -> String {
    // What nginx, HAProxy and Envoy are not asked to add is not added here either; and all clients have
    // one address.
    let mut text = String::from(
        "[http]\nkeepalive_requests = 1000000000\nkeepalive_timeout = \"1h\"\nforwarded_headers = false\n\
         connections_per_address = 0\n",
    );
    let version = match place.setting.tls {
        Tls::Off => {
            text.push_str(
                "[[listen]]\naddress = \"127.0.0.1:@front@\"\n[[routes]]\nuri = \"/*\"\n\
                 [routes.upstream]\nnodes = { \"127.0.0.1:@upstream@\" = 1 }\n\
                 keepalive_pool = { size = 128, requests = 1000000000 }\n",
            );
            return text;
        }
        Tls::V12 => "TLSv1.2",
        Tls::V13 => "TLSv1.3",
    };
    if place.setting.identity > 0 {
        text.push_str("[identity_headers]\n");
    }
    for (name, value) in IDENTITY.iter().take(place.setting.identity) {
        writeln!(text, "{name} = \"{value}\"").expect("a string takes text");
    }
    let files = files(place.setting.keys);
    let (front, ca) = (files.front, files.ca);
    write!(
        text,
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n\
         [[ssls]]\nsni = \"compare.test\"\ncert = \"{front}.crt\"\nkey = \"{front}.key\"\n\
         ssl_protocols = [\"{version}\"]\nclient.ca = \"{ca}.crt\"\n\
         [[routes]]\nuri = \"/*\"\n[routes.upstream]\nscheme = \"https\"\n\
         nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n\
         keepalive_pool = {{ size = 128, requests = 1000000000 }}\n\
         [routes.upstream.tls]\nclient_cert = \"proxy.crt\"\nclient_key = \"proxy.key\"\n\
         ca = \"upstream-ca.crt\"\nserver_name = \"upstream.test\"\nssl_protocols = [\"{version}\"]\n"
    )
    .expect("a string takes text");
    text
}
