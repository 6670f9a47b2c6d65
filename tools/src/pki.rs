//! Throwaway certificates: an authority, and leaves it signs. ECDSA P-256, X.509 v3.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};

/// A certificate authority that lives as long as the value.
pub struct Authority {
    /// Its own certificate.
    pub cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate (with what has to be sent behind it) and its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate, then its intermediates.
    pub cert_pem: String,
    /// PKCS#8.
    pub key_pem: String,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("P-256 is always there")
}

fn named(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names are plain ASCII");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = named(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    /// A self-signed root.
    #[must_use]
    pub fn new(common_name: &str) -> Self {
        let params = authority_params(common_name);
        let key = key();
        let cert_pem = params.self_signed(&key).expect("parameters are complete").pem();
        Self { cert_pem, issuer: Issuer::new(params, key) }
    }

    /// An intermediate authority below this one; its leaves carry it behind them.
    #[must_use]
    pub fn intermediate(&self, common_name: &str) -> Self {
        let params = authority_params(common_name);
        let key = key();
        let cert = params.signed_by(&key, &self.issuer).expect("parameters are complete");
        Self { cert_pem: cert.pem(), issuer: Issuer::new(params, key) }
    }

    /// A server certificate for these names (DNS names or addresses).
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Leaf {
        let mut params = named(names.first().copied().unwrap_or("server"), names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params, &key())
    }

    /// A server certificate for these names with this serial number and somebody else's key.
    #[must_use]
    pub fn server_with(&self, names: &[&str], serial: u64, key_pem: &str) -> Leaf {
        let mut params = named(names.first().copied().unwrap_or("server"), names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(&params, &KeyPair::from_pem(key_pem).expect("a PEM key"))
    }

    /// A client certificate with this common name.
    #[must_use]
    pub fn client(&self, common_name: &str) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, &key())
    }

    /// The same, valid from the first day of one year to the first day of another.
    #[must_use]
    pub fn client_valid(&self, common_name: &str, from: i32, until: i32) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        self.sign(&params, &key())
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Leaf {
        let cert = params.signed_by(key, &self.issuer).expect("parameters are complete");
        Leaf { cert_pem: cert.pem(), key_pem: key.serialize_pem() }
    }
}

impl Leaf {
    /// The same leaf with `chain` behind it.
    #[must_use]
    pub fn behind(mut self, chain: &str) -> Self {
        self.cert_pem.push_str(chain);
        self
    }

    /// Reads what [`Self::write`] or openssl wrote.
    #[must_use]
    pub fn read(cert: &Path, key: &Path) -> Self {
        let read = |path: &Path| {
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Self { cert_pem: read(cert), key_pem: read(key) }
    }

    /// Writes `NAME.crt` and `NAME.key` into `dir`. Nobody who looks at them ever sees half a file.
    pub fn write(&self, dir: &Path, name: &str) {
        let put = |suffix: &str, text: &str| {
            let path = dir.join(format!("{name}.{suffix}"));
            let fresh = dir.join(format!("{name}.{suffix}.new"));
            let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path));
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        };
        put("crt", &self.cert_pem);
        put("key", &self.key_pem);
    }
}
