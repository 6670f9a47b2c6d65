//! What the TLS settings promise, between our rustls and rustls as a peer, without a socket.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::{
    ClientAuth, ClientVerify, HostPattern, Http, IoDriver, KeepalivePool, KeyPair, Level, Log,
    LogTarget, PassHost, Pem, PemSource, Protocols, Reject, Runtime, Scheme, Server, Upstream,
    UpstreamCa, UpstreamTimeout, UpstreamTls as UpstreamModel, UpstreamVerify,
};
use ferrule_config::{Place, Problems};
use ferrule_engine::identity::chain::{Verdict, judge};
use ferrule_engine::tls::client::reason;
use ferrule_engine::tls::{Gate, HandshakeNotes, ServerTls, TicketKeys, TlsSettings, UpstreamTls};
use ferrule_tests::zoo::asn1::{common_name, element, extension};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, pem};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, ServerConfig, ServerConnection,
};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Accepts every server.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Presents one certificate, whatever it looks like.
#[derive(Debug)]
struct Presented(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).expect("a time")
}

/// A CA as in the guides, and certificates under it.
struct World {
    dir: tempfile::TempDir,
    root: Issuer,
    root_der: Vec<u8>,
    key: Key,
}

impl World {
    fn new(root_name: &str, root_version: u8) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = Key::new(dir.path(), "leaf", Kind::P256);
        let root_key = Key::new(dir.path(), "root", Kind::P256);
        let root = Issuer { name: common_name(root_name), key: root_key };
        let mut draft = draft(root_name, root_version);
        if root_version == 3 {
            // What OpenSSL 3.2 writes: an identifier, and no word about CAs.
            draft.extensions = vec![extension("2.5.29.14", false, &element(4, &[1; 20]))];
        }
        let root_der = draft.sign(&root.key, &root);
        Self { dir, root, root_der, key }
    }

    fn leaf(&self, name: &str, version: u8, alt_names: &[u8]) -> Vec<u8> {
        let mut draft = draft(name, version);
        if version == 3 {
            let id = element(4, &[2; 20]);
            draft.extensions = vec![extension("2.5.29.14", false, &id)];
        }
        if !alt_names.is_empty() {
            draft.extensions.push(extension("2.5.29.17", false, &element(0x30, alt_names)));
        }
        draft.sign(&self.key, &self.root)
    }

    fn ca(&self) -> Vec<Pem> {
        vec![self.pem(&self.root_der)]
    }

    fn pem(&self, der: &[u8]) -> Pem {
        inline(&pem(der, self.dir.path()))
    }

    fn pair(&self, der: &[u8]) -> KeyPair {
        let key = std::fs::read_to_string(&self.key.path).expect("a key");
        KeyPair { cert: self.pem(der), key: inline(&key) }
    }

    fn certified(&self, der: &[u8]) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_file(&self.key.path).expect("a key");
        let key = provider().key_provider.load_private_key(key).expect("a usable key");
        Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.to_vec())], key))
    }
}

fn draft(name: &str, version: u8) -> Draft {
    Draft {
        version,
        serial: vec![1],
        subject: common_name(name),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, b"20990101000000Z"),
        extensions: Vec::new(),
        digest: Digest::Sha256,
    }
}

fn inline(text: &str) -> Pem {
    Pem { place: Place::default(), source: PemSource::Inline(text.to_owned()) }
}

fn server(world: &World, verify: ClientVerify, reject: Reject) -> Server {
    Server {
        place: Place::default(),
        id: "one".to_owned(),
        snis: vec![HostPattern::Exact("a.example".to_owned())],
        pairs: vec![world.pair(&world.leaf("server", 1, b""))],
        protocols: Protocols { tls12: true, tls13: true },
        session_tickets: true,
        client: Some(ClientAuth {
            place: Place::default(),
            ca: world.ca(),
            verify,
            depth: 1,
            reject,
            allow_v1: true,
            send_ca_names: true,
        }),
    }
}

/// The least that carries these objects.
fn config(servers: Vec<Server>, tls: Option<UpstreamModel>) -> Config {
    let second = Duration::from_secs(1);
    let upstreams = tls.map(|tls| Upstream {
        place: Place::default(),
        id: "u".to_owned(),
        scheme: Scheme::Https,
        nodes: Vec::new(),
        pass_host: PassHost::Pass,
        retries: 0,
        timeout: UpstreamTimeout { connect: second, send: second, read: second },
        pool: KeepalivePool { size: 1, idle_timeout: second, requests: 1 },
        tls: Some(tls),
    });
    Config {
        file: PathBuf::new(),
        runtime: Runtime {
            workers: None,
            cpu_affinity: false,
            ring_entries: 64,
            io_driver: IoDriver::Auto,
            max_connections: 1,
            shutdown_timeout: second,
        },
        http: Http {
            client_header_timeout: second,
            client_body_timeout: second,
            send_timeout: second,
            keepalive_timeout: second,
            keepalive_requests: 1,
            client_max_body_size: None,
            head_bytes_max: 1,
            fields_max: 1,
            underscores_in_headers: false,
        },
        log: Log {
            error: LogTarget::Stderr,
            level: Level::Info,
            access: None,
            handshake_failures: false,
        },
        identity_headers: Vec::new(),
        listens: Vec::new(),
        servers,
        upstreams: upstreams.into_iter().collect(),
        routes: Vec::new(),
    }
}

fn load(model: &Server, keys: &Arc<TicketKeys>) -> ServerTls {
    let mut problems = Problems::default();
    let mut settings =
        TlsSettings::load(&config(vec![model.clone()], None), keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    settings.servers.pop().expect("settings")
}

fn client(certificate: Option<Arc<CertifiedKey>>, tls13: bool) -> ClientConfig {
    let versions: &[_] =
        if tls13 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS12] };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything));
    match certificate {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(Presented(pair))),
        None => builder.with_no_client_auth(),
    }
}

struct Met {
    server: ServerConnection,
    notes: HandshakeNotes,
}

/// Both sides until nothing moves; the first error of either.
fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Result<Met, Error> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut left = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let mut right = ServerConnection::new(Arc::clone(server)).expect("a server");
    let mut notes = HandshakeNotes::new(Some("a.example"));
    loop {
        let mut moved = false;
        let mut wire = Vec::new();
        while left.wants_write() {
            left.write_tls(&mut wire).expect("memory");
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            moved = true;
            right.read_tls(&mut rest).expect("memory");
            notes.during(now(), || right.process_new_packets())?;
        }
        let mut wire = Vec::new();
        while right.wants_write() {
            right.write_tls(&mut wire).expect("memory");
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            moved = true;
            left.read_tls(&mut rest).expect("memory");
            left.process_new_packets()?;
        }
        if !moved {
            return Ok(Met { server: right, notes });
        }
    }
}

fn verdict(met: &Met, settings: &ServerTls) -> Verdict {
    let chain = met.server.peer_certificates().unwrap_or_default();
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    judge(&chain, settings.policy.as_deref().expect("a policy"), now())
}

#[test]
fn both_guides_clients_verify_on_both_versions() {
    for (root_version, leaf_version) in [(1, 1), (3, 3), (3, 1), (1, 3)] {
        for tls13 in [true, false] {
            let world = World::new("root", root_version);
            let keys = Arc::new(TicketKeys::new());
            for reject in [Reject::Http, Reject::Handshake] {
                let settings = load(&server(&world, ClientVerify::On, reject), &keys);
                let leaf = world.certified(&world.leaf("client", leaf_version, b""));
                let config = Arc::new(client(Some(leaf), tls13));
                let met = meet(&config, &settings.config, "a.example").expect("a handshake");
                assert_eq!(verdict(&met, &settings), Verdict::Success);
                assert_eq!(met.notes.client_sigalg(), "ecdsa_secp256r1_sha256");
                // The same client again resumes, and is still known.
                let met = meet(&config, &settings.config, "a.example").expect("a handshake");
                assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Resumed));
                assert_eq!(verdict(&met, &settings), Verdict::Success);
                assert_eq!(met.notes.client_sigalg(), "");
            }
        }
    }
}

#[test]
fn a_session_is_not_resumed_under_another_policy() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let model = server(&world, ClientVerify::Optional, Reject::Http);
    let changed = |change: fn(&mut ClientAuth)| {
        let mut model = model.clone();
        model.client.as_mut().map(change);
        model
    };
    let mut others = vec![
        changed(|client| client.verify = ClientVerify::On),
        changed(|client| client.depth = 2),
        changed(|client| client.allow_v1 = false),
        changed(|client| client.ca = World::new("other", 1).ca()),
        changed(|client| client.reject = Reject::Handshake),
    ];
    others.push(Server { snis: vec![HostPattern::Any], ..model.clone() });
    others.push(Server { pairs: vec![world.pair(&world.leaf("new", 1, b""))], ..model.clone() });
    others.push(Server { client: None, ..model.clone() });
    for tls13 in [true, false] {
        let config = Arc::new(client(None, tls13));
        let open = load(&model, &keys);
        meet(&config, &open.config, "a.example").expect("a handshake");
        // A reload that changes nothing here.
        let same = load(&model, &keys);
        let met = meet(&config, &same.config, "a.example").expect("a handshake");
        assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Resumed));
        for (at, other) in others.iter().enumerate() {
            let other = load(other, &keys);
            if let Ok(met) = meet(&config, &other.config, "a.example") {
                assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Full), "{at}");
            }
            // That may have replaced the client's ticket.
            meet(&config, &open.config, "a.example").expect("a handshake");
        }
    }
}

#[test]
fn strangers_are_refused_where_the_object_says() {
    let world = World::new("root", 1);
    let foreign = World::new("foreign", 1);
    let keys = Arc::new(TicketKeys::new());
    let leaf = foreign.certified(&foreign.leaf("client", 1, b""));
    for tls13 in [true, false] {
        let config = Arc::new(client(Some(Arc::clone(&leaf)), tls13));
        let http = load(&server(&world, ClientVerify::On, Reject::Http), &keys);
        let met = meet(&config, &http.config, "a.example").expect("told in HTTP");
        assert_eq!(http.gate(verdict(&met, &http)), Gate::BadCertificate);
        let nobody = Arc::new(client(None, tls13));
        let met = meet(&nobody, &http.config, "a.example").expect("told in HTTP");
        assert_eq!(http.gate(verdict(&met, &http)), Gate::NoCertificate);
        let alert = load(&server(&world, ClientVerify::On, Reject::Handshake), &keys);
        assert!(meet(&config, &alert.config, "a.example").is_err());
        assert!(meet(&nobody, &alert.config, "a.example").is_err());
        let unknown = load(&server(&world, ClientVerify::OptionalNoCa, Reject::Handshake), &keys);
        let met = meet(&config, &unknown.config, "a.example").expect("an unknown CA passes");
        assert_eq!(unknown.gate(verdict(&met, &unknown)), Gate::Pass);
    }
}

#[test]
fn possession_of_the_key_is_proved() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let settings = load(&server(&world, ClientVerify::OptionalNoCa, Reject::Http), &keys);
    let stolen = world.leaf("client", 1, b"");
    let thief = World::new("root", 1);
    for tls13 in [true, false] {
        let config = Arc::new(client(Some(thief.certified(&stolen)), tls13));
        assert!(meet(&config, &settings.config, "a.example").is_err());
    }
}

#[test]
fn a_server_name_that_differs_from_ours_ends_the_handshake() {
    let world = World::new("root", 1);
    let settings =
        load(&server(&world, ClientVerify::Optional, Reject::Http), &Arc::new(TicketKeys::new()));
    let config = Arc::new(client(None, true));
    assert!(meet(&config, &settings.config, "b.example").is_err());
    assert!(meet(&config, &settings.config, "A.Example").is_ok());
}

fn upstream(world: &World, verify: UpstreamVerify) -> UpstreamModel {
    UpstreamModel {
        place: Place::default(),
        client: Some(world.pair(&world.leaf("us", 1, b""))),
        ca: Some(UpstreamCa::Files(world.ca())),
        verify,
        server_name: None,
        protocols: Protocols { tls12: true, tls13: true },
    }
}

fn load_upstream(model: &UpstreamModel) -> UpstreamTls {
    let mut problems = Problems::default();
    let keys = Arc::new(TicketKeys::new());
    let config = config(Vec::new(), Some(model.clone()));
    let mut settings = TlsSettings::load(&config, &keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    settings.upstreams.pop().flatten().expect("settings")
}

#[test]
fn upstreams_are_verified_as_far_as_configured() {
    let world = World::new("root", 1);
    let foreign = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let serve = |world: &World, leaf: &[u8]| {
        let mut model = server(world, ClientVerify::Off, Reject::Http);
        model.pairs = vec![world.pair(leaf)];
        load(&model, &keys).config
    };
    let bare = serve(&world, &world.leaf("v1", 1, b""));
    let named = serve(&world, &world.leaf("v3", 3, b"\x82\x09a.example"));
    let other = serve(&world, &world.leaf("v3", 3, b"\x82\x09c.example"));
    let fake = serve(&foreign, &foreign.leaf("v3", 3, b"\x82\x09a.example"));
    let table = [
        (UpstreamVerify::Full, &named, ""),
        (UpstreamVerify::Full, &bare, "certificate without alternative names"),
        (UpstreamVerify::Full, &other, "certificate for another name"),
        (UpstreamVerify::Full, &fake, "certificate signature failure"),
        (UpstreamVerify::Ca, &bare, ""),
        (UpstreamVerify::Ca, &other, ""),
        (UpstreamVerify::Ca, &fake, "certificate signature failure"),
        (UpstreamVerify::Off, &fake, ""),
    ];
    for (verify, config, expected) in table {
        let ours = load_upstream(&upstream(&world, verify));
        let found = meet(&ours.config, config, "a.example");
        assert_eq!(found.as_ref().err().map_or("", reason), expected, "{verify:?}");
    }
}

#[test]
fn pool_identities_differ_by_what_matters() {
    let world = World::new("root", 1);
    let full = load_upstream(&upstream(&world, UpstreamVerify::Full)).pool_identity();
    let again = UpstreamModel {
        client: upstream(&world, UpstreamVerify::Full).client,
        ..upstream(&world, UpstreamVerify::Ca)
    };
    assert_ne!(load_upstream(&again).pool_identity(), full);
    let nobody = UpstreamModel { client: None, ..upstream(&world, UpstreamVerify::Full) };
    assert_ne!(load_upstream(&nobody).pool_identity(), full);
    let elsewhere = World::new("elsewhere", 1);
    let model =
        UpstreamModel { ca: upstream(&elsewhere, UpstreamVerify::Full).ca, ..nobody.clone() };
    assert_ne!(load_upstream(&model).pool_identity(), load_upstream(&nobody).pool_identity());
}

#[test]
fn upstream_names_come_from_the_right_place() {
    let world = World::new("root", 1);
    let free = load_upstream(&upstream(&world, UpstreamVerify::Full));
    let fixed = load_upstream(&UpstreamModel {
        server_name: Some("fixed.example".to_owned()),
        ..upstream(&world, UpstreamVerify::Full)
    });
    let table = [
        ("Host.Example:8443", "10.0.0.1", "host.example"),
        ("10.1.1.1:80", "node.example", "node.example"),
        ("[::1]:80", "10.0.0.1", "10.0.0.1"),
        ("", "::1", "::1"),
        ("not a name", "/run/socket", "0.0.0.0"),
    ];
    for (host, node, expected) in table {
        assert_eq!(free.server_name(host, node).to_str(), expected);
        assert_eq!(fixed.server_name(host, node).to_str(), "fixed.example");
    }
}

#[test]
fn every_broken_file_is_named() {
    let world = World::new("root", 1);
    let other = Key::new(world.dir.path(), "other", Kind::P256);
    let large = Key::new(world.dir.path(), "p521", Kind::P521);
    let leaf = world.leaf("server", 1, b"");
    let text = |key: &Key| inline(&std::fs::read_to_string(&key.path).expect("a key"));
    let p521 = draft("p521", 3).sign(&large, &world.root);
    let table = [
        (world.pem(&leaf), text(&other), "does not belong to"),
        (world.pem(&p521), text(&large), "P-521"),
        (inline(""), text(&world.key), "is empty"),
        (inline("nothing"), text(&world.key), "there is no certificate in"),
        (world.pem(&leaf), inline(""), "is empty"),
        (world.pem(&leaf), inline("nothing"), "there is no private key in"),
        (world.pem(b"\x30\x03abc"), text(&world.key), "is broken"),
    ];
    for (cert, key, expected) in table {
        let mut model = server(&world, ClientVerify::Off, Reject::Http);
        model.pairs = vec![KeyPair { cert, key }];
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
        assert!(settings.servers.is_empty());
        assert!(format!("{problems:?}").contains(expected), "{expected}: {problems:?}");
    }
}
