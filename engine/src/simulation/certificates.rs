//! Certificates for the runs with TLS: made once, `Ed25519` all of them, so that every signature has
//! the same length and a seed the same meaning.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SerialNumber,
};
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

/// The name of Ferrule, and of every node.
const NAME: &str = "sim.example";

/// Files of certificates, and what both kinds of peers make of them.
pub(super) struct TestCertificates {
    dir: TempDir,
    client: ClientConfig,
    node: ServerConfig,
}

/// What the peers of one run use: nothing that another run has left behind.
pub(super) struct PeerTls {
    client: Arc<ClientConfig>,
    node: Arc<ServerConfig>,
}

impl TestCertificates {
    /// The certificates of this process, made on the first call.
    pub(super) fn get() -> &'static Self {
        static MATERIAL: OnceLock<TestCertificates> = OnceLock::new();
        MATERIAL.get_or_init(Self::make)
    }

    fn make() -> Self {
        let dir = TempDir::new().unwrap();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "simulated authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(SerialNumber::from(1));
        let authority = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.crt"), authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        sign(&issuer, dir.path(), "server");
        sign(&issuer, dir.path(), "client");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());
        let (chain, key) = read(dir.path(), "client");
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain, key)
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let (chain, key) = read(dir.path(), "server");
        let node = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        Self { dir, client, node }
    }

    /// Fresh settings for one run.
    pub(super) fn peers(&self, old: bool) -> PeerTls {
        let versions: &[&SupportedProtocolVersion] =
            if old { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let provider = Arc::clone(self.client.crypto_provider());
        let mut node = self.node.clone();
        node.session_storage = ServerSessionMemoryCache::new(64);
        let mut client = self.client.clone();
        if old {
            let (chain, key) = read(self.dir.path(), "client");
            let mut roots = RootCertStore::empty();
            let authority = self.dir.path().join("ca.crt");
            roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
            client = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .unwrap();
        }
        client.resumption = Resumption::in_memory_sessions(8);
        PeerTls { client: Arc::new(client), node: Arc::new(node) }
    }

    /// What the configuration says of the server and of the upstream.
    pub(super) fn tables(&self) -> (String, String) {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let (ca, server, server_key) = (file("ca.crt"), file("server.crt"), file("server.key"));
        let (client, client_key) = (file("client.crt"), file("client.key"));
        (
            format!(
                "[[ssls]]\nid = 'front'\nsnis = ['{NAME}']\ncert = '{server}'\n\
                 key = '{server_key}'\nssl_protocols = ['TLSv1.2', 'TLSv1.3']\n\
                 client = {{ ca = ['{ca}'], verify = 'on' }}"
            ),
            format!(
                "[upstreams.tls]\nca = '{ca}'\nclient_cert = '{client}'\n\
                 client_key = '{client_key}'\nverify = 'full'\nserver_name = '{NAME}'"
            ),
        )
    }
}

impl PeerTls {
    pub(super) fn client(&self) -> Connection {
        let name = NAME.try_into().unwrap();
        ClientConnection::new(Arc::clone(&self.client), name).unwrap().into()
    }

    pub(super) fn node(&self) -> Connection {
        ServerConnection::new(Arc::clone(&self.node)).unwrap().into()
    }
}

fn sign(issuer: &Issuer<'_, KeyPair>, dir: &Path, name: &str) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(2));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, issuer).unwrap();
    fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
    fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn read(dir: &Path, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_file(dir.join(format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
    (vec![certificate], key)
}
