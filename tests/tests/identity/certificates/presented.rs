//! A client sends whatever certificates it likes: which of them an upstream is told of.
//!
//! In: a chain with a verified path in it, mixed, doubled, and among strangers. Afterwards every format
//! that holds a chain says that path, from the leaf up, as far as the client has sent it (RFC 9440,
//! section 2.3), and nothing else.

use ferrule_config::model::XfccKey;
use ferrule_engine::identity::{
    ClientIdentity, ClientPolicy, ClientValue, IdentityCache, IdentityPlan, Verdict,
};
use ferrule_tests::zoo::asn1::common_name;

use crate::certificates::forge::{ForgeKey, NOW, Party, authority, certificate, client};

/// Formats that hold a chain.
const FORMATS: [ClientValue; 4] = [
    ClientValue::ChainRfc9440,
    ClientValue::Xfcc,
    ClientValue::TraefikCert,
    ClientValue::TraefikInfo,
];

/// Everybody, by name.
struct Crowd(Vec<(&'static str, Vec<u8>)>);

impl Crowd {
    /// `me` is below `low`, that below `high`, and that below `root`. `other root` has signed the key of
    /// `high` too (`crossed`). `admin` is a neighbour, `fake` a root of the client's own.
    fn new() -> Self {
        let keys: Vec<ForgeKey> = (0..6).map(|_| ForgeKey::new()).collect();
        let names: Vec<Vec<u8>> =
            ["root", "high", "low", "me", "other root", "admin"].map(common_name).to_vec();
        let party = |at: usize| Party { name: &names[at], key: &keys[at] };
        let ca = |of: usize, by: usize| certificate(party(of), party(by), &authority(&[]));
        let fake = Party { name: &names[0], key: &keys[5] };
        Self(vec![
            ("root", ca(0, 0)),
            ("high", ca(1, 0)),
            ("low", ca(2, 1)),
            ("me", certificate(party(3), party(2), &client(&[]))),
            ("other root", ca(4, 4)),
            ("crossed", ca(1, 4)),
            ("admin", certificate(party(5), party(2), &client(&[]))),
            ("fake", certificate(fake, fake, &authority(&[]))),
            ("alone", certificate(party(5), party(5), &client(&[]))),
            ("broken", vec![0x30, 0]),
        ])
    }

    fn ders(&self, names: &[&str]) -> Vec<&[u8]> {
        let der = |name: &&str| self.0.iter().find(|(known, _)| known == name);
        names.iter().map(|name| der(name).expect("one of them").1.as_slice()).collect()
    }

    fn identity(&self, anchors: &[&str], sent: &[&str]) -> std::rc::Rc<ClientIdentity> {
        let anchors: Vec<Vec<u8>> = self.ders(anchors).into_iter().map(<[u8]>::to_vec).collect();
        let policy = ClientPolicy::new(&anchors, 4, false).expect("anchors");
        let wanted = wanted();
        let mut cache = IdentityCache::new();
        let sent = self.ders(sent);
        // The second has its verdict from memory, the third its identity.
        let mut ask = |server: u32| cache.get_or_make(server, &sent, Some(&policy), &wanted, NOW);
        let all = [ask(0), ask(1), ask(0)];
        for value in FORMATS {
            assert_eq!(all[0].values.get(value), all[1].values.get(value), "{value:?}");
            assert_eq!(all[0].values.get(value), all[2].values.get(value), "{value:?}");
        }
        let [first, ..] = all;
        first
    }

    /// What each format says of these, which are in order, the leaf first.
    fn told(&self, path: &[&str]) -> [String; 4] {
        // One after the other, each as the only one that there is, rendered by formats of a leaf.
        let leaf = |name: &str, value: ClientValue| {
            let identity = ClientIdentity::of(&self.ders(&[name]), Verdict::Success, &wanted());
            String::from_utf8_lossy(identity.values.get(value)).into_owned()
        };
        let each = |names: &[&str], value: ClientValue, between: &str| {
            names.iter().map(|name| leaf(name, value)).collect::<Vec<_>>().join(between)
        };
        let pems = each(path, ClientValue::EscapedCert, "");
        [
            each(path.get(1..).unwrap_or_default(), ClientValue::CertRfc9440, ", "),
            format!("Chain=\"{pems}\""),
            each(path, ClientValue::TraefikCert, ","),
            each(path, ClientValue::TraefikInfo, "%2C"),
        ]
    }
}

fn wanted() -> IdentityPlan {
    let mut wanted = IdentityPlan::default();
    FORMATS.into_iter().for_each(|value| wanted.add(value));
    wanted.add(ClientValue::EscapedCert);
    wanted.add(ClientValue::CertRfc9440);
    wanted.set_xfcc(vec![XfccKey::Chain]);
    wanted
}

struct Case {
    what: &'static str,
    anchors: &'static [&'static str],
    sent: &'static [&'static str],
    /// What is told, the leaf first; empty where nothing is proved.
    path: &'static [&'static str],
}

const ROOT: &[&str] = &["root"];
const WHOLE: &[&str] = &["me", "low", "high"];

const CASES: &[Case] = &[
    Case { what: "in order", anchors: ROOT, sent: WHOLE, path: WHOLE },
    Case { what: "reversed", anchors: ROOT, sent: &["me", "high", "low"], path: WHOLE },
    Case {
        what: "a neighbour behind it",
        anchors: ROOT,
        sent: &["me", "low", "high", "admin"],
        path: WHOLE,
    },
    Case {
        what: "strangers in front and between",
        anchors: ROOT,
        sent: &["me", "admin", "fake", "low", "other root", "high"],
        path: WHOLE,
    },
    Case {
        what: "twice the same",
        anchors: ROOT,
        sent: &["me", "me", "low", "low", "high", "me", "high"],
        path: WHOLE,
    },
    Case {
        what: "the root as well",
        anchors: ROOT,
        sent: &["me", "root", "high", "low", "root"],
        path: &["me", "low", "high", "root"],
    },
    Case {
        what: "a root of the client's own, of the same name",
        anchors: ROOT,
        sent: &["me", "low", "high", "fake"],
        path: WHOLE,
    },
    Case {
        what: "a cross certificate of an authority that is not listed",
        anchors: ROOT,
        sent: &["me", "low", "crossed", "other root", "high"],
        path: WHOLE,
    },
    Case {
        what: "the other authority is the listed one",
        anchors: &["other root"],
        sent: &["me", "low", "high", "crossed", "root"],
        path: &["me", "low", "crossed"],
    },
    Case {
        what: "both are listed",
        anchors: &["root", "other root"],
        sent: &["me", "low", "crossed", "high"],
        path: &["me", "low", "crossed"],
    },
    Case {
        what: "what is listed between was not sent, so what is above does not follow",
        anchors: &["root", "high"],
        sent: &["me", "low", "root", "admin"],
        path: &["me", "low"],
    },
    Case {
        what: "all that is above it is listed",
        anchors: &["root", "high", "low"],
        sent: &["me", "admin"],
        path: &["me"],
    },
    Case {
        what: "a listed one that was sent",
        anchors: &["root", "high", "low"],
        sent: &["me", "admin", "low"],
        path: &["me", "low"],
    },
    Case {
        what: "the client is listed itself",
        anchors: &["alone", "root"],
        sent: &["alone", "low", "admin"],
        path: &["alone"],
    },
    Case {
        what: "something that is no certificate behind it",
        anchors: ROOT,
        sent: &["me", "low", "high", "broken"],
        path: &[],
    },
    Case { what: "nobody vouches", anchors: &["other root"], sent: WHOLE, path: &[] },
    Case { what: "a leaf that is none", anchors: ROOT, sent: &["broken", "low"], path: &[] },
];

#[test]
fn upstreams_are_told_of_the_verified_path_and_of_nothing_beside_it() {
    let crowd = Crowd::new();
    for Case { what, anchors, sent, path } in CASES {
        let identity = crowd.identity(anchors, sent);
        let proved = identity.verdict == Verdict::Success;
        assert_eq!(proved, !path.is_empty(), "{what}: {:?}", identity.verdict);
        let told = if proved { crowd.told(path) } else { Default::default() };
        for (value, told) in FORMATS.into_iter().zip(told) {
            let found = String::from_utf8_lossy(identity.values.get(value));
            assert_eq!(found, told, "{what}: {value:?}");
        }
    }
}
