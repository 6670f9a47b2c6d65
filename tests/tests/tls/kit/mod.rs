//! A CA as in the guides, settings made from values, and both ends of a handshake in memory.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::{
    Balance, BalanceMethod, Checks, CipherSuite, ClientAuth, ClientEku, ClientLists, ClientVerify,
    HostPattern, HttpReuse, KeepalivePool, KeyExchangeGroup, KeyPair, OnRevoke, PassHost, Pem,
    PemSource, Protocols, QueueStatus, Reject, RetryPolicy, Scheme, Server, Upstream,
    UpstreamQueue, UpstreamTimeout, UpstreamTls as UpstreamModel,
};
use ferrule_config::{Config, Place, Problems};
use ferrule_engine::tls::{HandshakeNotes, ServerTls, TicketKeys, TlsSettings};
use ferrule_tests::tls::AnyServer;
use ferrule_tests::zoo::asn1::{common_name, element, extension};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, pem};
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection};

/// Presents one certificate, whatever it looks like.
#[derive(Debug)]
pub(crate) struct Presented(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

pub(crate) fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

pub(crate) fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).expect("a time")
}

/// A CA as in the guides, and certificates under it.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) root: Issuer,
    pub(crate) root_der: Vec<u8>,
    pub(crate) key: Key,
}

impl World {
    /// A root of this version, self-signed.
    pub(crate) fn new(root_name: &str, root_version: u8) -> Self {
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

    /// A certificate under it.
    pub(crate) fn leaf(&self, name: &str, version: u8, alt_names: &[u8]) -> Vec<u8> {
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

    /// The root, for a configuration.
    pub(crate) fn ca(&self) -> Vec<Pem> {
        vec![self.pem(&self.root_der)]
    }

    /// As text in a configuration.
    pub(crate) fn pem(&self, der: &[u8]) -> Pem {
        inline(&pem(der, self.dir.path()))
    }

    /// With the key, for a configuration.
    pub(crate) fn pair(&self, der: &[u8]) -> KeyPair {
        let key = std::fs::read_to_string(&self.key.path).expect("a key");
        KeyPair { cert: self.pem(der), key: inline(&key), password_file: None }
    }

    /// With the key, for a client.
    pub(crate) fn certified(&self, der: &[u8]) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_file(&self.key.path).expect("a key");
        let key = provider().key_provider.load_private_key(key).expect("a usable key");
        Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.to_vec())], key))
    }
}

pub(crate) fn draft(name: &str, version: u8) -> Draft {
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

pub(crate) fn inline(text: &str) -> Pem {
    Pem { place: Place::default(), source: PemSource::Inline(text.to_owned()), shown: None }
}

pub(crate) fn server(world: &World, verify: ClientVerify, reject: Reject) -> Server {
    Server {
        place: Place::default(),
        id: "one".to_owned(),
        snis: vec![HostPattern::Exact("a.example".to_owned())],
        pairs: vec![world.pair(&world.leaf("server", 1, b""))],
        protocols: Protocols { tls12: true, tls13: true },
        groups: KeyExchangeGroup::ALL.to_vec(),
        ciphers: CipherSuite::ALL.to_vec(),
        prefer_server_ciphers: false,
        stapling_files: Vec::new(),
        session_tickets: true,
        session_ticket_count: 2,
        session_cache: true,
        client: Some(ClientAuth {
            place: Place::default(),
            ca: world.ca(),
            verify,
            depth: 1,
            reject,
            on_revoke: OnRevoke::Close,
            allow_v1: true,
            eku: ClientEku::Client,
            clock_skew: Duration::ZERO,
            revocation: None,
            send_ca_names: true,
            explain: false,
            lists: ClientLists::default(),
            exempt: Vec::new(),
        }),
    }
}

/// The least that carries these objects.
pub(crate) fn config(servers: Vec<Server>, tls: Option<UpstreamModel>) -> Config {
    let second = Duration::from_secs(1);
    let upstreams = tls.map(|tls| Upstream {
        proxy_protocol: None,
        place: Place::default(),
        id: "u".to_owned(),
        scheme: Scheme::Https,
        nodes: Vec::new(),
        balance: Balance { method: BalanceMethod::RoundRobin, hash_key: None, slow_start: None },
        pass_host: PassHost::Pass,
        retry: RetryPolicy::default(),
        queue: UpstreamQueue { size: 0, timeout: second, status: QueueStatus::Unavailable },
        timeout: UpstreamTimeout { connect: second, send: second, read: second, total: None },
        pool: KeepalivePool {
            size: 1,
            idle_timeout: second,
            requests: 1,
            max_age: second,
            min_idle: 0,
        },
        http_reuse: HttpReuse::Always,
        checks: Checks::default(),
        tls: Some(tls),
    });
    let defaults = ferrule_config::defaults();
    Config { servers, upstreams: upstreams.into_iter().collect(), ..defaults }
}

pub(crate) fn load(model: &Server, keys: &Arc<TicketKeys>) -> ServerTls {
    let mut problems = Problems::default();
    let mut settings =
        TlsSettings::load(&config(vec![model.clone()], None), keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    settings.servers.pop().expect("settings")
}

pub(crate) fn client(certificate: Option<Arc<CertifiedKey>>, tls13: bool) -> ClientConfig {
    let versions: &[_] =
        if tls13 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS12] };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer::new(|_| true)));
    match certificate {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(Presented(pair))),
        None => builder.with_no_client_auth(),
    }
}

pub(crate) struct Met {
    pub(crate) server: ServerConnection,
    pub(crate) notes: HandshakeNotes,
}

#[expect(clippy::result_large_err, reason = "rustls's own error")]
/// Both sides until nothing moves; the first error of either.
pub(crate) fn meet(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Met, Error> {
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
