//! Which certificates there are, and which of them we refuse where nginx does not.

use std::fs;
use std::path::{Path, PathBuf};

use time::UtcDateTime;

use super::asn1::{
    attribute, basic_constraints, bit_string, common_name, element, extended, extension,
    generalized, key_usage, name, sequence, utc,
};
use super::draft::{Digest, Draft, Issuer, Key, Kind, pem};

const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

/// One client: its chain and key.
#[derive(Debug)]
pub struct Animal {
    /// What it is.
    pub name: String,
    /// The leaf first, as DER.
    pub chain: Vec<Vec<u8>>,
    /// The chain as PEM.
    pub certificates: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
    /// Why we refuse it although nginx does not.
    pub stricter: Option<&'static str>,
    /// OpenSSL cannot even read it; nobody can present it.
    pub unreadable: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Zoo {
    /// The trust anchors, as DER.
    pub anchors: Vec<Vec<u8>>,
    /// The trust anchors, as PEM.
    pub bundle: PathBuf,
    /// The clients.
    pub animals: Vec<Animal>,
}

struct Keeper {
    dir: PathBuf,
    now: i64,
    root: Issuer,
    leaf_key: Key,
    animals: Vec<Animal>,
}

impl Zoo {
    /// Writes every file into this directory. `now` is Unix seconds.
    #[must_use]
    pub fn build(dir: &Path, now: i64) -> Self {
        let root = Issuer { name: common_name("zoo root"), key: Key::new(dir, "root", Kind::P256) };
        let leaf_key = Key::new(dir, "leaf", Kind::P256);
        let mut keeper = Keeper { dir: dir.to_owned(), now, root, leaf_key, animals: Vec::new() };
        let root_der = keeper.authority(&keeper.root.clone(), &keeper.root.clone(), None);
        let mut anchors = vec![root_der];
        keeper.names();
        keeper.serials();
        keeper.dates();
        keeper.keys();
        keeper.usages();
        keeper.versions(&mut anchors);
        keeper.paths(&mut anchors);
        keeper.strangers(&mut anchors);
        let bundle = dir.join("anchors.pem");
        let text: String = anchors.iter().map(|der| pem(der, dir)).collect();
        fs::write(&bundle, text).expect("a bundle");
        Self { anchors, bundle, animals: keeper.animals }
    }
}

impl Keeper {
    /// A v3 leaf of 90 days and a half.
    fn draft(&self, subject: Vec<u8>) -> Draft {
        Draft {
            version: 3,
            serial: vec![0x11],
            subject,
            not_before: self.time(-86_400),
            not_after: self.time(90 * 86_400 + 43_200),
            extensions: vec![extended(&[CLIENT_AUTH])],
            digest: Digest::Sha256,
        }
    }

    fn time(&self, offset: i64) -> Vec<u8> {
        utc(&stamp(self.now + offset))
    }

    fn authority(&self, of: &Issuer, by: &Issuer, path_len: Option<u8>) -> Vec<u8> {
        let mut draft = self.draft(of.name.clone());
        draft.extensions = vec![basic_constraints(true, path_len), key_usage(0x06)];
        draft.not_after = self.time(400 * 86_400);
        draft.sign(&of.key, by)
    }

    fn add(&mut self, name: &str, chain: Vec<Vec<u8>>, key: &Key) {
        let at = self.animals.len();
        let certificates = self.dir.join(format!("{at}.pem"));
        let text: String = chain.iter().map(|der| pem(der, &self.dir)).collect();
        fs::write(&certificates, text).expect("a chain");
        let name = name.to_owned();
        let key = key.path.clone();
        self.animals.push(Animal {
            name,
            chain,
            certificates,
            key,
            stricter: None,
            unreadable: false,
        });
    }

    /// The last one added is refused by us for this reason.
    fn stricter(&mut self, reason: &'static str) {
        self.animals.last_mut().expect("one was added").stricter = Some(reason);
    }

    fn leaf(&mut self, name: &str, draft: &Draft) {
        let key = self.leaf_key.clone();
        let der = draft.sign(&key, &self.root);
        self.add(name, vec![der], &key);
    }

    /// A name that OpenSSL cannot read.
    fn unreadable(&mut self, label: &str, tag: u8, content: &[u8]) {
        self.one(label, "2.5.4.3", tag, content);
        self.animals.last_mut().expect("one was added").unreadable = true;
    }

    fn subject(&mut self, label: &str, relative_names: &[&[Vec<u8>]]) {
        let draft = self.draft(name(relative_names));
        self.leaf(label, &draft);
    }

    fn one(&mut self, label: &str, kind: &str, tag: u8, content: &[u8]) {
        self.subject(label, &[&[attribute(kind, tag, content)]]);
    }

    fn names(&mut self) {
        const CN: &str = "2.5.4.3";
        self.subject("empty subject", &[]);
        self.one("printable", CN, 19, b"Plain Name");
        self.one("empty value", CN, 12, b"");
        self.one("utf8", CN, 12, "Z\u{fc}rich \u{20ac} \u{1f600}".as_bytes());
        self.unreadable("invalid utf8", 12, b"a\xff\xfeb");
        self.one("t61", CN, 20, b"Z\xfcrich");
        self.one("bmp", CN, 30, &[0, b'A', 0x20, 0xac, 0, b',', 0, 0]);
        self.unreadable("bmp with surrogates", 30, &[0xd8, 0x3d, 0xde, 0x00]);
        self.unreadable("bmp of odd length", 30, &[0, b'A', 0]);
        self.one("universal", CN, 28, &[0, 0, 0, b'A', 0, 1, 0xf6, 0]);
        self.unreadable("universal beyond unicode", 28, &[0, 0x11, 0, 0]);
        self.one("ia5", CN, 22, b"x@y.z");
        self.one("ia5 with high bytes", CN, 22, b"a\x80b");
        self.one("numeric", CN, 18, b"12 34");
        self.unreadable("visible", 26, b"visible");
        self.unreadable("general string", 27, b"\0\0\0a\0\0\0b");
        self.unreadable("general string, odd", 27, b"abc/+\x01");
        self.unreadable("graphic string", 25, b"graphic");
        self.unreadable("videotex string", 21, b"videotex");
        self.unreadable("octet string value", 4, b"\x01\x02");
        self.unreadable("time value", 23, b"260203225528Z");
        self.one("bit string value", CN, 3, b"\x00\xf0");
        self.one("specials", CN, 12, b" #a\"b\\c,d+e;f<g>h=i/j# ");
        self.one("one space", CN, 12, b" ");
        self.one("one hash", CN, 12, b"#");
        self.one("controls", CN, 12, b"a\x00b\nc\rd\te\x7ff\x1b");
        self.one("backslash at the end", CN, 12, b"end\\");
        self.one("long", CN, 12, &[b'x'; 600]);
        self.one("unknown type", "1.2.3.4.5", 12, b"text");
        self.one("unknown type, big arcs", "2.999.4294967295.1", 19, b"text");
        self.one("description", "2.5.4.13", 12, b"words");
        self.subject(
            "many types",
            &[
                &[attribute("0.9.2342.19200300.100.1.25", 22, b"org")],
                &[attribute("0.9.2342.19200300.100.1.25", 22, b"example")],
                &[attribute("2.5.4.6", 19, b"US")],
                &[attribute("2.5.4.10", 12, b"Acme, Inc.")],
                &[
                    attribute("2.5.4.11", 12, "Z\u{fc}rich".as_bytes()),
                    attribute(CN, 12, b"a\"b<c>;d\\e"),
                ],
                &[attribute("1.2.840.113549.1.9.1", 22, b"x@y.z")],
                &[attribute("0.9.2342.19200300.100.1.1", 12, b"u1")],
                &[attribute("2.5.4.5", 19, b"42")],
            ],
        );
        for (label, kinds) in [
            ("types of 2.5.4", (1..=20).map(|arc| format!("2.5.4.{arc}")).collect::<Vec<_>>()),
            ("more of 2.5.4", (21..=60).map(|arc| format!("2.5.4.{arc}")).collect()),
            ("last of 2.5.4", (61..=110).map(|arc| format!("2.5.4.{arc}")).collect()),
            ("pilot types", (1..=60).map(|arc| format!("0.9.2342.19200300.100.1.{arc}")).collect()),
            ("pkcs9 types", (1..=30).map(|arc| format!("1.2.840.113549.1.9.{arc}")).collect()),
            ("jurisdiction", (1..=4).map(|arc| format!("1.3.6.1.4.1.311.60.2.1.{arc}")).collect()),
            ("personal data", (1..=6).map(|arc| format!("1.3.6.1.5.5.7.9.{arc}")).collect()),
            ("tax numbers", (1..=5).map(|arc| format!("1.2.643.100.{arc}")).collect()),
        ] {
            let names: Vec<[Vec<u8>; 1]> =
                kinds.iter().map(|kind| [attribute(kind, 12, b"v")]).collect();
            let names: Vec<&[Vec<u8>]> = names.iter().map(<[Vec<u8>; 1]>::as_slice).collect();
            self.subject(label, &names);
        }
    }

    fn serials(&mut self) {
        let long = [&[0x7f][..], &[0xab; 19]].concat();
        let wrapped = [&[0x01][..], &[0xcd; 39]].concat();
        let table: [(&str, &[u8]); 10] = [
            ("serial zero", &[0]),
            ("serial 1", &[1]),
            ("serial ff", &[0, 0xff]),
            ("serial a100", &[0, 0xa1, 0]),
            ("serial -1f", &[0xe1]),
            ("serial -1", &[0xff]),
            ("serial -80", &[0x80]),
            ("serial -100", &[0xff, 0]),
            ("serial of 20 bytes", &long),
            ("serial of 40 bytes", &wrapped),
        ];
        for (label, serial) in table {
            let mut draft = self.draft(common_name(label));
            draft.serial = serial.to_vec();
            // webpki has its own ideas about serial numbers, which a v1 leaf does not meet.
            self.leaf(label, &draft);
            draft.version = 1;
            draft.extensions.clear();
            self.leaf(&format!("{label}, v1"), &draft);
        }
    }

    fn dates(&mut self) {
        let table = [
            ("generalized end", self.time(-9000), generalized("20991231235959Z")),
            ("far end", self.time(-9000), generalized("99991231235959Z")),
            ("old start", utc("500203010203Z"), self.time(43_200)),
            ("start without seconds", utc("2001010000Z"), self.time(43_200)),
            ("start with offset", utc("200101000000+0130"), self.time(43_200)),
            ("end with fraction", self.time(-9000), generalized("20991231235959.5Z")),
            ("end that is no time", self.time(-9000), utc("not a time at all")),
            ("expired", self.time(-90_000), self.time(-3600)),
            ("not yet valid", self.time(3600), self.time(90_000)),
            ("ends before it starts", self.time(3600), self.time(-3600)),
            ("less than a day", self.time(-3600), self.time(43_200)),
        ];
        for (label, not_before, not_after) in table {
            let mut draft = self.draft(common_name(label));
            draft.not_before = not_before;
            draft.not_after = not_after;
            self.leaf(label, &draft);
            if label == "old start" {
                self.stricter("webpki reads no dates before 1970");
            }
        }
    }

    fn keys(&mut self) {
        for (label, kind) in [
            ("rsa 2048", Kind::Rsa2048),
            ("rsa 3072", Kind::Rsa3072),
            ("rsa 1024", Kind::Rsa1024),
            ("p-384", Kind::P384),
            ("p-521", Kind::P521),
            ("ed25519", Kind::Ed25519),
        ] {
            let key = Key::new(&self.dir, &label.replace(' ', "-"), kind);
            let der = self.draft(common_name(label)).sign(&key, &self.root);
            self.add(label, vec![der], &key);
        }
        for digest in [Digest::Sha1, Digest::Sha384] {
            let mut draft = self.draft(common_name("digest"));
            draft.digest = digest;
            self.leaf(&format!("signed with {digest:?}"), &draft);
        }
        let mut broken = self.draft(common_name("broken")).sign(&self.leaf_key, &self.root);
        *broken.last_mut().expect("a signature") ^= 1;
        let key = self.leaf_key.clone();
        self.add("broken signature", vec![broken], &key);
    }

    fn usages(&mut self) {
        let alt_names = |names: &[u8]| extension("2.5.29.17", false, &element(0x30, names));
        let table: [(&str, Vec<Vec<u8>>); 13] = [
            ("server purpose", vec![extended(&[SERVER_AUTH])]),
            ("both purposes", vec![extended(&[SERVER_AUTH, CLIENT_AUTH])]),
            ("any purpose", vec![extended(&["2.5.29.37.0"])]),
            ("key usage: signature", vec![key_usage(0x80)]),
            ("key usage: agreement", vec![key_usage(0x08)]),
            ("key usage: encipherment", vec![key_usage(0x20)]),
            ("key usage: cert sign", vec![key_usage(0x04)]),
            ("not a CA", vec![basic_constraints(false, None)]),
            ("unknown critical", vec![extension("1.2.3.4", true, &[5, 0])]),
            ("unknown", vec![extension("1.2.3.4", false, &[5, 0])]),
            ("alternative names", vec![alt_names(b"\x82\x01a\x86\x0cspiffe://b/c\x81\x03x@y")]),
            (
                "netscape client",
                vec![extension("2.16.840.1.113730.1.1", false, &bit_string(7, &[0x80]))],
            ),
            (
                "netscape server",
                vec![extension("2.16.840.1.113730.1.1", false, &bit_string(6, &[0x40]))],
            ),
        ];
        for (label, extensions) in table {
            let mut draft = self.draft(common_name(label));
            draft.extensions = extensions;
            self.leaf(label, &draft);
        }
        let mut draft = self.draft(common_name("issued, yet a CA"));
        draft.extensions = vec![basic_constraints(true, None)];
        self.leaf("a CA as a client", &draft);
        self.stricter("webpki takes no CA for a client, unless it is an anchor itself");
    }

    fn versions(&mut self, anchors: &mut Vec<Vec<u8>>) {
        let key = self.leaf_key.clone();
        for version in [1, 2, 3] {
            let mut draft = self.draft(common_name("bare"));
            draft.version = version;
            draft.extensions.clear();
            self.leaf(&format!("v{version} without extensions"), &draft);
        }
        let mut identified = self.draft(common_name("identified"));
        let hash = element(4, &[7; 20]);
        identified.extensions = vec![extension("2.5.29.14", false, &hash)];
        self.leaf("v3 with a key identifier only", &identified);
        // A v1 root, and leaves of both versions under it.
        let root =
            Issuer { name: common_name("v1 root"), key: Key::new(&self.dir, "v1", Kind::Rsa2048) };
        let mut draft = self.draft(root.name.clone());
        draft.version = 1;
        draft.extensions.clear();
        anchors.push(draft.sign(&root.key, &root));
        for version in [1, 3] {
            let mut draft = self.draft(common_name("under v1"));
            draft.version = version;
            draft.extensions.clear();
            let der = draft.sign(&key, &root);
            self.add(&format!("v{version} under a v1 root"), vec![der], &key);
        }
    }

    fn paths(&mut self, anchors: &mut Vec<Vec<u8>>) {
        let key = self.leaf_key.clone();
        let issuer = |name: &str| Issuer {
            name: common_name(name),
            key: Key::new(&self.dir, &name.replace(' ', "-"), Kind::P256),
        };
        let (one, two, bare) = (issuer("sub one"), issuer("sub two"), issuer("sub bare"));
        let (limited, expired, loose) =
            (issuer("limited"), issuer("expired root"), issuer("loose"));
        let root = self.root.clone();
        let one_der = self.authority(&one, &root, None);
        let two_der = self.authority(&two, &one, None);
        let under_one = self.draft(common_name("under one")).sign(&key, &one);
        let under_two = self.draft(common_name("under two")).sign(&key, &two);
        let (a, b, leaf) = (one_der, two_der, under_two);
        self.add("one intermediate", vec![under_one.clone(), a.clone()], &key);
        self.add("one intermediate, not sent", vec![under_one.clone()], &key);
        self.add("one intermediate, twice", vec![under_one.clone(), a.clone(), a.clone()], &key);
        self.add(
            "one intermediate and the root",
            vec![under_one, a.clone(), anchors[0].clone()],
            &key,
        );
        self.add("two intermediates", vec![leaf.clone(), b.clone(), a.clone()], &key);
        self.add("two intermediates, upside down", vec![leaf.clone(), a.clone(), b.clone()], &key);
        self.add("two intermediates, lower sent", vec![leaf.clone(), b], &key);
        self.add("two intermediates, upper sent", vec![leaf, a.clone()], &key);
        let mut draft = self.draft(common_name("v1 under one"));
        draft.version = 1;
        draft.extensions.clear();
        let v1 = draft.sign(&key, &one);
        self.add("v1 under an intermediate", vec![v1, a], &key);
        self.stricter("a v1 leaf is taken from an anchor only");
        let mut draft = self.draft(bare.name.clone());
        draft.extensions.clear();
        let bare_der = draft.sign(&bare.key, &root);
        let leaf = self.draft(common_name("under bare")).sign(&key, &bare);
        self.add("intermediate that is no CA", vec![leaf, bare_der], &key);
        let limited_der = self.authority(&limited, &root, Some(0));
        let inner_der = self.authority(&two, &limited, None);
        let leaf = self.draft(common_name("too deep")).sign(&key, &two);
        self.add("path length exceeded", vec![leaf, inner_der, limited_der], &key);
        let mut draft = self.draft(expired.name.clone());
        draft.extensions = vec![basic_constraints(true, None)];
        draft.not_after = self.time(-3600);
        anchors.push(draft.sign(&expired.key, &expired));
        let leaf = self.draft(common_name("under expired")).sign(&key, &expired);
        self.add("under an expired root", vec![leaf], &key);
        // An intermediate among the anchors, without its root.
        let hidden = issuer_of(&self.dir, "hidden root");
        anchors.push(self.authority(&loose, &hidden, None));
        let leaf = self.draft(common_name("under loose")).sign(&key, &loose);
        self.add("under an anchor without its root", vec![leaf], &key);
        self.constrained(anchors);
    }

    fn constrained(&mut self, anchors: &mut Vec<Vec<u8>>) {
        let key = self.leaf_key.clone();
        let root = issuer_of(&self.dir, "constrained root");
        let mut draft = self.draft(root.name.clone());
        let permitted = element(0xa0, &sequence(&[&element(0x82, b"good.example")]));
        draft.extensions = vec![
            basic_constraints(true, None),
            extension("2.5.29.30", true, &sequence(&[&permitted])),
        ];
        anchors.push(draft.sign(&root.key, &root));
        for (label, host) in
            [("inside constraints", "a.good.example"), ("outside constraints", "b.example")]
        {
            let mut draft = self.draft(name(&[&[attribute("2.5.4.10", 12, b"constrained")]]));
            let names = element(0x30, &element(0x82, host.as_bytes()));
            draft.extensions.push(extension("2.5.29.17", false, &names));
            let der = draft.sign(&key, &root);
            self.add(label, vec![der], &key);
        }
    }

    fn strangers(&mut self, anchors: &mut Vec<Vec<u8>>) {
        let key = self.leaf_key.clone();
        let own = |text: &str| Issuer { name: common_name(text), key: key.clone() };
        let mimic =
            Issuer { name: self.root.name.clone(), key: Key::new(&self.dir, "mimic", Kind::P256) };
        let stranger = issuer_of(&self.dir, "stranger");
        let der = self.draft(common_name("foreign")).sign(&key, &stranger);
        let stranger_der = self.authority(&stranger, &stranger, None);
        self.add("foreign CA", vec![der.clone()], &key);
        self.add("foreign CA, root sent", vec![der, stranger_der], &key);
        let mut expired = self.draft(common_name("foreign, expired"));
        expired.not_after = self.time(-3600);
        self.add("foreign CA and expired", vec![expired.sign(&key, &stranger)], &key);
        let der = self.draft(common_name("mimic")).sign(&key, &mimic);
        self.add("a CA of the same name", vec![der.clone()], &key);
        let mimic_der = self.authority(&mimic, &mimic, None);
        self.add("a CA of the same name, sent", vec![der, mimic_der], &key);
        let lonely = own("self-signed");
        let der = self.draft(lonely.name.clone()).sign(&key, &lonely);
        self.add("self-signed", vec![der], &key);
        let mut draft = self.draft(lonely.name.clone());
        draft.not_after = self.time(-3600);
        self.add("self-signed and expired", vec![draft.sign(&key, &lonely)], &key);
        for (label, extensions) in [
            ("self-signed and listed", vec![extended(&[CLIENT_AUTH])]),
            ("self-signed CA and listed", vec![basic_constraints(true, None)]),
            ("self-signed for servers and listed", vec![extended(&[SERVER_AUTH])]),
        ] {
            let listed = own(label);
            let mut draft = self.draft(listed.name.clone());
            draft.extensions = extensions;
            let der = draft.sign(&key, &listed);
            anchors.push(der.clone());
            self.add(label, vec![der], &key);
        }
        let key_id = |id: &[u8]| sequence(&[&element(0x80, id)]);
        let mut draft = self.draft(common_name("wrong authority key"));
        draft.extensions.push(extension("2.5.29.35", false, &key_id(&[9; 20])));
        self.leaf("authority key that nobody has", &draft);
        let mut draft = self.draft(common_name("wrong authority serial"));
        let names = element(0xa1, &element(0xa4, &self.root.name));
        let value = sequence(&[&names, &[0x82, 1, 0x55]]);
        draft.extensions.push(extension("2.5.29.35", false, &value));
        self.leaf("authority serial that nobody has", &draft);
    }
}

fn issuer_of(dir: &Path, text: &str) -> Issuer {
    Issuer { name: common_name(text), key: Key::new(dir, &text.replace(' ', "-"), Kind::P256) }
}

/// `YYMMDDHHMMSSZ`
pub(super) fn stamp(seconds: i64) -> String {
    let moment = UtcDateTime::from_unix_timestamp(seconds).expect("a year of these centuries");
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, second) = moment.time().as_hms();
    let (year, month) = (year.rem_euclid(100), u8::from(month));
    format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}
