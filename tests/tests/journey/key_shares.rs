//! Key shares that no honest client sends, and clients that know only the old groups.
//!
//! rustls sends whatever its crypto provider calls a share, so that each handshake is whole but for that.

use std::fmt::{Debug, Formatter, Result as FormatResult};

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};
use rustls::crypto::ring::kx_group::{SECP256R1, SECP384R1, X25519};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{AlertDescription, Error, HandshakeKind, NamedGroup};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"

[[ssls]]
sni = "hybrid"
cert = "server.crt"
key = "server.key"
ssl_protocols = ["TLSv1.3"]
ssl_ecdh_curve = ["X25519MLKEM768"]

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Of a client: encapsulation key and public key.
const SHARE: usize = 1_216;
const ENCAPSULATION_KEY: usize = 1_184;

/// A group of this name with this share, and another share in the same hello where there is one.
struct Forged {
    name: NamedGroup,
    share: Vec<u8>,
    beside: Option<(NamedGroup, Vec<u8>)>,
}

impl Debug for Forged {
    fn fmt(&self, out: &mut Formatter<'_>) -> FormatResult {
        write!(out, "{:?}, {} bytes", self.name, self.share.len())
    }
}

impl SupportedKxGroup for Forged {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (share, beside) = (self.share.clone(), self.beside.clone());
        Ok(Box::new(Self { name: self.name, share, beside }))
    }

    fn name(&self) -> NamedGroup {
        self.name
    }

    fn ffdhe_group(&self) -> Option<rustls::ffdhe_groups::FfdheGroup<'static>> {
        None
    }
}

impl ActiveKeyExchange for Forged {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Err(Error::General("nobody has the secret".to_owned()))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        self.beside.as_ref().map(|(name, share)| (*name, share.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        self.name
    }

    fn ffdhe_group(&self) -> Option<rustls::ffdhe_groups::FfdheGroup<'static>> {
        None
    }
}

fn start(driver: Driver) -> (tempfile::TempDir, Upstream, Gateway) {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    Authority::new("ca").server(&["x", "hybrid"]).write(scratch.path(), "server");
    let setup = Setup::new(scratch.path(), driver, CONFIG);
    let gateway = setup.set("upstream", &upstream.port).start();
    (scratch, upstream, gateway)
}

/// A share whose parts are good ones: an encapsulation key of zeros is one.
fn good() -> Vec<u8> {
    let mut share = vec![0; SHARE];
    share[ENCAPSULATION_KEY] = 9;
    share
}

/// What each must be answered with `illegal_parameter`.
fn forged() -> Vec<Forged> {
    let hybrid = |share: Vec<u8>| Forged { name: NamedGroup::X25519MLKEM768, share, beside: None };
    let mut list = Vec::new();
    for length in [1, 2, 31, 32, 64, 1_088, 1_120, 1_184, 1_215, 1_217, 1_248, 2_432, 16_000] {
        list.push(hybrid(vec![0; length]));
    }
    for at in [0, 1_149] {
        let mut unreduced = good();
        unreduced[at..at + 3].copy_from_slice(&[0xff, 0xff, 0xff]);
        list.push(hybrid(unreduced));
    }
    let mut small_order = good();
    small_order[ENCAPSULATION_KEY..].fill(0);
    list.push(hybrid(small_order));
    for length in [1, 31, 33, 1_216] {
        list.push(Forged { name: NamedGroup::X25519, share: vec![9; length], beside: None });
    }
    list.push(Forged { name: NamedGroup::X25519, share: vec![0; 32], beside: None });
    list.push(Forged { name: NamedGroup::secp256r1, share: vec![4; 65], beside: None });
    let twice = (NamedGroup::X25519MLKEM768, good());
    list.push(Forged { beside: Some(twice), ..hybrid(good()) });
    list
}

on_both_drivers! {
    fn a_forged_share_gets_an_alert(driver) {
        let (_scratch, _upstream, gateway) = start(driver);
        let list = forged();
        let count = list.len();
        for group in list {
            let said = format!("{group:?}");
            let group: &'static dyn SupportedKxGroup = Box::leak(Box::new(group));
            let dial = Dial::in_groups("x", vec![group, X25519]);
            let error = dial.connect(gateway.port("front")).err();
            let alert = error.as_ref().and_then(raw::alert);
            assert_eq!(alert, Some(AlertDescription::IllegalParameter), "{said}: {error:?}");
        }
        assert!(count > 20);
        let answer = Dial::new(Some("x")).get(gateway.port("front"), "x", "/");
        assert_eq!(answer.expect("an answer").status(), 200);
    }

    /// Whoever shares a group that we have is not asked again.
    fn old_clients_are_not_asked_again(driver) {
        let (_scratch, _upstream, gateway) = start(driver);
        for (groups, kind) in [
            (vec![X25519], HandshakeKind::Full),
            (vec![X25519, SECP256R1], HandshakeKind::Full),
            (vec![SECP256R1], HandshakeKind::Full),
            (vec![SECP384R1], HandshakeKind::Full),
            (vec![SECP256R1, X25519], HandshakeKind::Full),
        ] {
            let dial = Dial::in_groups("x", groups.clone());
            let raw = dial.connect(gateway.port("front")).expect("a handshake");
            assert_eq!(raw.stream.tls().handshake_kind(), Some(kind), "{groups:?}");
        }
    }

    /// Offered, but not shared: asked for where there is nothing else. A share that is then forged is refused.
    fn a_group_that_was_only_offered_is_asked_for(driver) {
        let (_scratch, _upstream, gateway) = start(driver);
        let share = vec![9; 40];
        let group = Forged { name: NamedGroup::X25519MLKEM768, share, beside: None };
        let group: &'static dyn SupportedKxGroup = Box::leak(Box::new(group));
        for split in [false, true] {
            let dial = Dial::in_groups("hybrid", vec![X25519, group]);
            let dial = if split { dial.split_hello() } else { dial };
            let error = dial.connect(gateway.port("front")).err();
            let alert = error.as_ref().and_then(raw::alert);
            assert_eq!(alert, Some(AlertDescription::IllegalParameter), "{error:?}");
        }
    }
}
