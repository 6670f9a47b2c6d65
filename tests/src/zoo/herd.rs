//! Hundreds of ordinary certificates: every combination of a few properties.
//!
//! The zoo's animals are odd one by one; here usages, validities, shapes of chains, kinds of issuers,
//! name constraints and states of revocation lists meet each other. One key signs everything, so
//! that hundreds take no longer than dozens.

use std::fs;
use std::path::{Path, PathBuf};

use super::animals::stamp;
use super::asn1::{
    attribute, basic_constraints, common_name, element, extended, extension, key_usage, name,
    sequence, utc,
};
use super::draft::{Digest, Draft, Issuer, Key, Kind, encode};

mod revoked;

const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const ANY: &str = "2.5.29.37.0";

/// One client of the herd.
#[derive(Debug)]
pub struct Member {
    /// What it is.
    pub name: String,
    /// The leaf first, as PEM.
    pub certificates: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
    /// Intermediates allowed.
    pub depth: u32,
    /// It is held against revocation lists.
    pub listed: bool,
}

/// All of it.
#[derive(Debug)]
pub struct Herd {
    /// The trust anchors, as PEM.
    pub bundle: PathBuf,
    /// Those that have revocation lists, as PEM.
    pub listed: PathBuf,
    /// The revocation lists, as PEM.
    pub lists: PathBuf,
    /// The clients.
    pub members: Vec<Member>,
}

/// When something is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Now,
    Past,
    Future,
}

struct Herder {
    dir: PathBuf,
    now: i64,
    ca_key: Key,
    keys: Vec<(&'static str, Key)>,
    root: Issuer,
    serial: u32,
    anchors: Vec<Vec<u8>>,
    listed: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    members: Vec<Member>,
}

impl Herd {
    /// Writes every file into a directory of its own. `now` is Unix seconds.
    #[must_use]
    pub fn build(dir: &Path, now: i64) -> Self {
        let dir = dir.join("herd");
        fs::create_dir_all(&dir).expect("a directory");
        let ca_key = Key::new(&dir, "ca", Kind::P256);
        let kinds = [
            ("p-256", Kind::P256),
            ("p-384", Kind::P384),
            ("rsa", Kind::Rsa2048),
            ("ed25519", Kind::Ed25519),
        ];
        let keys = kinds.map(|(name, kind)| (name, Key::new(&dir, name, kind))).to_vec();
        let root = Issuer { name: common_name("herd root"), key: ca_key.clone() };
        let mut herder = Herder {
            dir: dir.clone(),
            now,
            ca_key,
            keys,
            root,
            serial: 1000,
            anchors: Vec::new(),
            listed: Vec::new(),
            lists: Vec::new(),
            members: Vec::new(),
        };
        let root_der = herder.authority(&herder.root.clone(), &herder.root.clone());
        herder.anchors.push(root_der);
        herder.usages();
        herder.validities();
        herder.issuers();
        herder.shapes();
        herder.constraints();
        herder.revocations();
        let write = |name: &str, label: &str, ders: &[Vec<u8>]| {
            let file = dir.join(name);
            let text: String = ders.iter().map(|der| encode(label, der)).collect();
            fs::write(&file, text).expect("a writable directory");
            file
        };
        Self {
            bundle: write("anchors.pem", "CERTIFICATE", &herder.anchors),
            listed: write("listed.pem", "CERTIFICATE", &herder.listed),
            lists: write("lists.pem", "X509 CRL", &herder.lists),
            members: herder.members,
        }
    }
}

impl Herder {
    fn time(&self, offset: i64) -> Vec<u8> {
        utc(&stamp(self.now + offset))
    }

    fn dates(&self, when: When) -> (Vec<u8>, Vec<u8>) {
        match when {
            When::Now => (self.time(-86_400), self.time(90 * 86_400 + 43_200)),
            When::Past => (self.time(-90_000), self.time(-3600)),
            When::Future => (self.time(3600), self.time(90_000)),
        }
    }

    fn draft(&mut self, subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Draft {
        self.serial += 1;
        let (not_before, not_after) = self.dates(When::Now);
        let serial = self.serial.to_be_bytes().to_vec();
        let serial = serial[serial.iter().take_while(|byte| **byte == 0).count()..].to_vec();
        Draft {
            version: 3,
            serial,
            subject,
            not_before,
            not_after,
            extensions,
            digest: Digest::Sha256,
        }
    }

    fn issuer(&self, text: &str) -> Issuer {
        Issuer { name: common_name(text), key: self.ca_key.clone() }
    }

    fn authority(&mut self, of: &Issuer, by: &Issuer) -> Vec<u8> {
        let extensions = vec![basic_constraints(true, None), key_usage(0x06)];
        self.draft(of.name.clone(), extensions).sign(&of.key, by)
    }

    /// A leaf of this name under this CA.
    fn leaf(&mut self, text: &str, by: &Issuer) -> Vec<u8> {
        let key = self.keys[0].1.clone();
        self.draft(common_name(text), vec![extended(&[CLIENT_AUTH])]).sign(&key, by)
    }

    fn add(&mut self, name: String, chain: &[&[u8]], (depth, listed): (u32, bool)) {
        self.add_with(name, chain, (depth, listed), 0);
    }

    fn add_with(&mut self, name: String, chain: &[&[u8]], at: (u32, bool), key: usize) {
        let certificates = self.dir.join(format!("{}.pem", self.members.len()));
        let text: String = chain.iter().map(|der| encode("CERTIFICATE", der)).collect();
        fs::write(&certificates, text).expect("a chain");
        let key = self.keys[key].1.path.clone();
        let (depth, listed) = at;
        self.members.push(Member { name, certificates, key, depth, listed });
    }

    /// What a leaf may be used for, in every combination, by every kind of key.
    fn usages(&mut self) {
        let extended_sets: [(&str, &[&str]); 5] = [
            ("no purpose", &[]),
            ("for clients", &[CLIENT_AUTH]),
            ("for servers", &[SERVER_AUTH]),
            ("for both", &[SERVER_AUTH, CLIENT_AUTH]),
            ("for any", &[ANY]),
        ];
        let usages: [(&str, u8); 7] = [
            ("no usage", 0),
            ("signing", 0x80),
            ("encipherment", 0x20),
            ("agreement", 0x08),
            ("cert sign", 0x04),
            ("all", 0xa8),
            ("not repudiating", 0x40),
        ];
        for key in 0..self.keys.len() {
            for (purpose, set) in extended_sets {
                for (usage, bits) in usages {
                    for (basic, word) in [(false, "bare"), (true, "no CA")] {
                        let mut extensions = Vec::new();
                        if !set.is_empty() {
                            extensions.push(extended(set));
                        }
                        if bits != 0 {
                            extensions.push(key_usage(bits));
                        }
                        if basic {
                            extensions.push(basic_constraints(false, None));
                        }
                        let kind = self.keys[key].0;
                        let label = format!("{kind}, {purpose}, {usage}, {word}");
                        let (of, by) = (self.keys[key].1.clone(), self.root.clone());
                        let der = self.draft(common_name(&label), extensions).sign(&of, &by);
                        self.add_with(label, &[&der], (0, false), key);
                    }
                }
            }
        }
    }

    /// Each of root, intermediate and leaf is valid, over or not yet there.
    fn validities(&mut self) {
        let all = [When::Now, When::Past, When::Future];
        for of_root in all {
            let root = self.issuer(&format!("root {of_root:?}"));
            let mut draft = self.draft(root.name.clone(), vec![basic_constraints(true, None)]);
            (draft.not_before, draft.not_after) = self.dates(of_root);
            self.anchors.push(draft.sign(&root.key, &root));
            for of_sub in all {
                let sub = self.issuer(&format!("sub {of_root:?} {of_sub:?}"));
                let mut draft = self.draft(sub.name.clone(), vec![basic_constraints(true, None)]);
                (draft.not_before, draft.not_after) = self.dates(of_sub);
                let sub_der = draft.sign(&sub.key, &root);
                for of_leaf in all {
                    let label = format!("{of_root:?} {of_sub:?} {of_leaf:?}");
                    let mut draft = self.draft(common_name(&label), Vec::new());
                    (draft.not_before, draft.not_after) = self.dates(of_leaf);
                    let key = self.keys[0].1.clone();
                    let der = draft.sign(&key, &sub);
                    self.add(label, &[&der, &sub_der], (1, false));
                }
            }
        }
    }

    /// Every kind of issuer, at every height.
    fn issuers(&mut self) {
        let basic = |len| basic_constraints(true, len);
        let kinds: Vec<(&str, Vec<Vec<u8>>)> = vec![
            ("plain", vec![basic(None)]),
            ("without a word", vec![]),
            ("usage alone", vec![key_usage(0x06)]),
            ("no CA", vec![basic_constraints(false, None)]),
            ("signing nothing", vec![basic(None), key_usage(0x02)]),
            ("length 0", vec![basic(Some(0))]),
            ("length 1", vec![basic(Some(1))]),
            ("for servers", vec![basic(None), extended(&[SERVER_AUTH])]),
            ("for clients", vec![basic(None), extended(&[CLIENT_AUTH])]),
            ("for any", vec![basic(None), extended(&[ANY])]),
            ("critical", vec![basic(None), extension("1.2.3.4", true, &[5, 0])]),
            ("unknown", vec![basic(None), extension("1.2.3.4", false, &[5, 0])]),
        ];
        let root = self.root.clone();
        for (kind, extensions) in kinds {
            let odd = self.issuer(&format!("odd, {kind}"));
            let below = self.issuer(&format!("below {kind}"));
            let odd_der = self.draft(odd.name.clone(), extensions).sign(&odd.key, &root);
            let below_der = self.authority(&below, &odd);
            let lowest = self.issuer(&format!("lowest of {kind}"));
            let lowest_der = self.authority(&lowest, &below);
            for depth in 0..=3 {
                let direct = self.leaf("under odd", &odd);
                let label = format!("issuer {kind}, depth {depth}");
                self.add(label, &[&direct, &odd_der], (depth, false));
                let second = self.leaf("two under odd", &below);
                let label = format!("second issuer {kind}, depth {depth}");
                self.add(label, &[&second, &below_der, &odd_der], (depth, false));
            }
            let third = self.leaf("three under odd", &lowest);
            let label = format!("third issuer {kind}");
            self.add(label, &[&third, &lowest_der, &below_der, &odd_der], (3, false));
        }
    }

    /// What is sent, in which order, and what else.
    fn shapes(&mut self) {
        let root = self.root.clone();
        let (one, two) = (self.issuer("shape one"), self.issuer("shape two"));
        let (one_der, two_der) = (self.authority(&one, &root), self.authority(&two, &one));
        let stored = self.issuer("stored");
        let stored_der = self.authority(&stored, &root);
        self.anchors.push(stored_der.clone());
        let stranger = self.issuer("stranger");
        let stranger_der = self.authority(&stranger, &stranger);
        let root_der = self.anchors[0].clone();
        let leaf = self.leaf("of two", &two);
        let by_stored = self.leaf("of stored", &stored);
        let mimic = self.authority(&one, &stranger);
        let shapes: Vec<(&str, Vec<&[u8]>)> = vec![
            ("in order", vec![&leaf, &two_der, &one_der]),
            ("out of order", vec![&leaf, &one_der, &two_der]),
            ("with the root", vec![&leaf, &two_der, &one_der, &root_der]),
            ("the root first", vec![&leaf, &root_der, &one_der, &two_der]),
            ("with a stranger", vec![&leaf, &stranger_der, &two_der, &one_der]),
            ("each twice", vec![&leaf, &two_der, &two_der, &one_der, &one_der]),
            ("the leaf again", vec![&leaf, &leaf, &two_der, &one_der]),
            ("the upper is missing", vec![&leaf, &two_der]),
            ("the lower is missing", vec![&leaf, &one_der]),
            ("all are missing", vec![&leaf]),
            ("from the bundle", vec![&by_stored]),
            ("from the bundle, sent too", vec![&by_stored, &stored_der]),
            ("the mimic of an issuer behind it", vec![&leaf, &two_der, &one_der, &mimic]),
        ];
        for depth in 0..=3 {
            for (shape, chain) in &shapes {
                self.add(format!("{shape}, depth {depth}"), chain, (depth, false));
            }
        }
    }

    /// Constraints of each type, permitted and excluded, met and not.
    fn constraints(&mut self) {
        let directory =
            |text: &str, tag: u8| name(&[&[attribute("2.5.4.10", tag, text.as_bytes())]]);
        let inside = directory("Acme  Inc", 12);
        let spelled = directory(" acme inc", 19);
        let other = directory("Other", 12);
        let full = |text: &str, last: Vec<u8>| {
            name(&[&[attribute("2.5.4.10", 12, text.as_bytes())], &[last]])
        };
        let cn = |text: &str| attribute("2.5.4.3", 12, text.as_bytes());
        let email = |text: &str| attribute("1.2.840.113549.1.9.1", 22, text.as_bytes());
        let bases: Vec<(&str, Vec<u8>)> = vec![
            ("host", element(0x82, b"good.example")),
            ("subhosts", element(0x82, b".good.example")),
            ("no host", element(0x82, b"")),
            ("mailbox", element(0x81, b"a@good.example")),
            ("mail host", element(0x81, b"good.example")),
            ("mail hosts", element(0x81, b".example")),
            ("uri host", element(0x86, b"good.example")),
            ("uri hosts", element(0x86, b".good.example")),
            ("network", element(0x87, &[10, 1, 0, 0, 255, 255, 0, 0])),
            ("directory", element(0xa4, &inside)),
            ("directory, spelled otherwise", element(0xa4, &spelled)),
            ("other directory", element(0xa4, &other)),
        ];
        let names: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
            ("nothing", full("Acme Inc", cn("x")), Vec::new()),
            ("a host in its name", full("Acme Inc", cn("a.good.example")), Vec::new()),
            ("a mailbox in its name", full("ACME INC", email("a@good.example")), Vec::new()),
            ("hosts", full("Acme Inc", cn("bad.example")), element(0x82, b"a.good.example")),
            ("another host", full("x", cn("x")), element(0x82, b"notgood.example")),
            ("a mailbox", full("Acme Inc", cn("x")), element(0x81, b"a@GOOD.example")),
            ("a spiffe id", full("Acme Inc", cn("x")), element(0x86, b"spiffe://good.example/a")),
            ("an odd uri", full("Acme Inc", cn("x")), element(0x86, b"urn:x")),
            ("an address", full("Acme Inc", cn("x")), element(0x87, &[10, 1, 2, 3])),
        ];
        let root = self.root.clone();
        for (side, tag) in [("permitted", 0xa0), ("excluded", 0xa1)] {
            for (kind, base) in &bases {
                let constraints = sequence(&[&element(tag, &sequence(&[base]))]);
                let sub = self.issuer(&format!("{side} {kind}"));
                let extensions =
                    vec![basic_constraints(true, None), extension("2.5.29.30", true, &constraints)];
                let sub_der = self.draft(sub.name.clone(), extensions).sign(&sub.key, &root);
                for (of, subject, alt_names) in &names {
                    let mut extensions = Vec::new();
                    if !alt_names.is_empty() {
                        extensions.push(extension("2.5.29.17", false, &element(0x30, alt_names)));
                    }
                    let key = self.keys[0].1.clone();
                    let der = self.draft(subject.clone(), extensions).sign(&key, &sub);
                    self.add(format!("{side} {kind}, {of}"), &[&der, &sub_der], (1, false));
                }
            }
        }
    }
}
