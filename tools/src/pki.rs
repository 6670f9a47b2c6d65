//! Throwaway certificates: an authority, and leaves it signs. ECDSA P-256, X.509 v3.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
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

fn alt_name(text: &str) -> SanType {
    let (kind, name) = text.split_once(':').expect("a kind and a name");
    let plain = || name.try_into().expect("names are plain ASCII");
    match kind {
        "DNS" => SanType::DnsName(plain()),
        "URI" => SanType::URI(plain()),
        "email" => SanType::Rfc822Name(plain()),
        "IP" => SanType::IpAddress(name.parse().expect("an address")),
        other => panic!("a kind of name: {other}"),
    }
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

    /// A self-signed root whose name has this organisation.
    #[must_use]
    pub fn of_organisation(common_name: &str, organisation: &str) -> Self {
        let mut params = authority_params(common_name);
        params.distinguished_name.push(DnType::OrganizationName, organisation);
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

    /// A server certificate for these names with this serial number, and an end so long from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "tools run outside the core")]
    pub fn server_until(&self, names: &[&str], serial: u64, end: Duration) -> Leaf {
        let mut params = named(names.first().copied().unwrap_or("server"), names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = (SystemTime::now() + end).into();
        self.sign(&params, &key())
    }

    /// A server certificate for these names, valid from the first day of one year to the first day of another.
    #[must_use]
    pub fn server_valid(&self, names: &[&str], from: i32, until: i32) -> Leaf {
        let mut params = named(names.first().copied().unwrap_or("server"), names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        self.sign(&params, &key())
    }

    /// A client certificate with this common name.
    #[must_use]
    pub fn client(&self, common_name: &str) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, &key())
    }

    /// A client certificate with these subject attributes (`CN`, `O`, `OU`) and these alternative
    /// names (`DNS:`, `URI:`, `email:`, `IP:`).
    #[must_use]
    pub fn client_named(&self, subject: &[(&str, &str)], alt_names: &[&str]) -> Leaf {
        let mut params = named("", &[]);
        params.distinguished_name = DistinguishedName::new();
        for (attribute, value) in subject {
            let attribute = match *attribute {
                "CN" => DnType::CommonName,
                "O" => DnType::OrganizationName,
                "OU" => DnType::OrganizationalUnitName,
                other => panic!("an attribute that rcgen can write: {other}"),
            };
            params.distinguished_name.push(attribute, *value);
        }
        params.subject_alt_names = alt_names.iter().map(|name| alt_name(name)).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, &key())
    }

    /// A client certificate with this common name and serial number.
    #[must_use]
    pub fn client_with(&self, common_name: &str, serial: u64) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(&params, &key())
    }

    /// The same, with a key (PEM), and an end so long from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "tools run outside the core")]
    pub fn client_until(&self, common_name: &str, serial: u64, key: &str, end: Duration) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = (SystemTime::now() + end).into();
        self.sign(&params, &KeyPair::from_pem(key).expect("a PEM key"))
    }

    /// The list of its certificates with these serial numbers, as PEM.
    #[must_use]
    pub fn revocation_list(&self, serials: &[u64], number: u64) -> String {
        self.list(serials, number, None)
    }

    /// The same, with an end so long from now.
    #[must_use]
    pub fn revocation_list_until(&self, serials: &[u64], number: u64, end: Duration) -> String {
        self.list(serials, number, Some(end))
    }

    #[expect(clippy::disallowed_methods, reason = "tools run outside the core")]
    fn list(&self, serials: &[u64], number: u64, end: Option<Duration>) -> String {
        let far = date_time_ymd(2098, 1, 1);
        let next_update = end.map_or(far, |end| (SystemTime::now() + end).into());
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("parameters are complete");
        list.pem().expect("a list in DER")
    }

    /// The same, valid from the first day of one year to the first day of another.
    #[must_use]
    pub fn client_valid(&self, common_name: &str, from: i32, until: i32) -> Leaf {
        let mut params = named(common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
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
