//! A gateway's configuration with one file that is not as it should be.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ferrule_config::Problems;
use ferrule_engine::setup::{self, Generation};
use ferrule_engine::tls::{LoadedCrl, TicketKeys};
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft, encode};
use rustls::pki_types::UnixTime;

/// Good material, as PEM.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    /// Two authorities, the first of them first.
    pub(crate) authorities: [String; 2],
    /// A list of each.
    pub(crate) lists: [String; 2],
    /// A certificate for servers.
    pub(crate) leaf: String,
    /// Its key.
    pub(crate) key: String,
}

/// A key of the configuration that takes PEM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Cert,
    Key,
    ClientCa,
    ClientCrl,
    UpstreamCa,
    UpstreamCrl,
    /// `ssl_stapling_file`, which takes DER.
    Stapling,
}

impl Place {
    pub(crate) const ALL: [Self; 6] = [
        Self::Cert,
        Self::Key,
        Self::ClientCa,
        Self::ClientCrl,
        Self::UpstreamCa,
        Self::UpstreamCrl,
    ];
}

/// What loading said.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Taken: how many authorities clients may have, and how many lists are in use.
    Taken(usize, usize),
    /// The problems, as people see them.
    Refused(String),
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let issuer = |name: &str| Issuer {
            name: common_name(name),
            key: Key::new(dir.path(), name, Kind::P256),
        };
        let (one, two) = (issuer("one"), issuer("two"));
        let authority = |of: &Issuer| {
            let der = draft(of.name.clone(), vec![basic_constraints(true, None)]);
            encode("CERTIFICATE", &der.sign(&of.key, of))
        };
        let list = |of: &Issuer| {
            let draft = ListDraft {
                version: 2,
                this_update: element(0x17, b"240101000000Z"),
                next_update: element(0x18, b"20990101000000Z"),
                revoked: vec![(vec![0x11], Vec::new())],
                extensions: Vec::new(),
            };
            encode("X509 CRL", &draft.sign(of))
        };
        let key = Key::new(dir.path(), "leaf", Kind::P256);
        let leaf = draft(common_name("leaf"), Vec::new()).sign(&key, &one);
        let key = fs::read_to_string(&key.path).expect("a key");
        Self {
            authorities: [authority(&one), authority(&two)],
            lists: [list(&one), list(&two)],
            leaf: encode("CERTIFICATE", &leaf),
            key,
            dir,
        }
    }

    /// Loads a configuration that has this text in a file at this place, or in the file itself.
    pub(crate) fn load(&self, place: Place, text: &[u8], inline: bool) -> Outcome {
        let at = |own: Place, good: &str| {
            let text = if own == place { text } else { good.as_bytes() };
            if own == place && inline {
                return literal(&String::from_utf8_lossy(text));
            }
            let file = self.dir.path().join(format!("{own:?}.pem"));
            fs::write(&file, text).expect("a file");
            literal(&file.display().to_string())
        };
        let staple = match place {
            Place::Stapling => format!("ssl_stapling_file = {}\n", at(Place::Stapling, "")),
            _ => String::new(),
        };
        let (authorities, lists) = (self.authorities.concat(), self.lists.concat());
        let config = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\ncert = \
             {}\nkey = {}\n{staple}[ssls.client]\nca = {}\ncrl = {}\n[[routes]]\nuri = \"/*\"\nupstream = {{ \
             scheme = \"https\", nodes = {{ \"127.0.0.1:9\" = 1 }}, tls = {{ verify = \"full\", \
             server_name = \"a.test\", ca = {}, crl = {} }} }}\n",
            at(Place::Cert, &self.leaf),
            at(Place::Key, &self.key),
            at(Place::ClientCa, &authorities),
            at(Place::ClientCrl, &lists),
            at(Place::UpstreamCa, &authorities),
            at(Place::UpstreamCrl, &lists),
        );
        match self.generation(&config) {
            Ok(generation) => {
                let server = generation.tls.servers.first().expect("a server name");
                let anchors =
                    server.policy.as_deref().map_or(0, |policy| policy.anchors().ders().len());
                // Equal lists are one, with all that name it.
                let users = |list: &LoadedCrl| list.keys.to_string().split(", ").count();
                Outcome::Taken(anchors, generation.tls.crls.iter().map(users).sum())
            }
            Err(problems) => Outcome::Refused(problems.to_string()),
        }
    }

    /// What a good configuration is warned of, but for the names that the certificate here does not carry.
    pub(crate) fn warnings(&self, config: &str) -> Vec<String> {
        let generation = self.generation(config).expect("it is good");
        let warnings = generation.warnings.warnings().map(|one| one.message.clone());
        warnings.filter(|one| !one.contains("does not carry the server name")).collect()
    }

    /// What is wrong with a configuration.
    pub(crate) fn problems(&self, config: &str) -> String {
        self.generation(config).map_or_else(|problems| problems.to_string(), |_| String::new())
    }

    /// What may stand in a file of this name.
    pub(crate) fn good(&self, path: &Path) -> Vec<u8> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.rsplit('-').next().unwrap_or_default() {
            "cert" | "certs" => self.leaf.clone().into_bytes(),
            "key" | "keys" => self.key.clone().into_bytes(),
            "ca" => self.authorities.concat().into_bytes(),
            "crl" => self.lists.concat().into_bytes(),
            "new" => (0..80).collect(),
            "old" => (100..180).collect(),
            _ => b"text\n".to_vec(),
        }
    }

    /// Loads it beside the files of the stage; nobody else can read it.
    fn generation(&self, config: &str) -> Result<Generation, Box<Problems>> {
        let file = self.dir.path().join("ferrule.toml");
        fs::write(&file, config).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
        let now = i64::try_from(UnixTime::now().as_secs()).expect("a time");
        setup::load(&file, &|_| None, &Arc::new(TicketKeys::new()), 1, now)
    }
}

/// A text in TOML.
fn literal(text: &str) -> String {
    let mut out = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if letter.is_control() => {
                write!(out, "\\u{:04x}", u32::from(letter)).expect("memory");
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

pub(crate) fn draft(subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![1],
        subject,
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, b"20990101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}
