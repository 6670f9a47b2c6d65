//! Members of the herd that are held against revocation lists.

use super::super::asn1::{
    basic_constraints, common_name, element, explicit, extended, extension, integer, key_usage,
    sequence,
};
use super::super::{Issuer, Key, Kind, ListDraft};
use super::{CLIENT_AUTH, Herder};

/// What makes a list odd; the serial number is its client's.
type Change<'c> = Box<dyn Fn(&Herder, &mut ListDraft, &[u8]) + 'c>;

impl Herder {
    fn list(&self) -> ListDraft {
        ListDraft {
            version: 2,
            this_update: self.time(-3600),
            next_update: self.time(86_400),
            revoked: Vec::new(),
            extensions: vec![extension("2.5.29.20", false, &integer(&[1]))],
        }
    }

    /// Revocation lists in every state, of the issuer and of the root.
    pub(super) fn revocations(&mut self) {
        let users = || extension("2.5.29.28", true, &sequence(&[&element(0x81, &[0xff])]));
        let cas = || extension("2.5.29.28", true, &sequence(&[&element(0x82, &[0xff])]));
        let key_id = || extension("2.5.29.35", false, &sequence(&[&element(0x80, &[9; 20])]));
        let entry = extension("2.5.29.21", false, &element(10, &[6]));
        let hour = 3600;
        let states: Vec<(&str, Change<'_>)> = vec![
            ("fresh", Box::new(|_, _, _| {})),
            ("with others", Box::new(|_, list, _| list.revoked.push((vec![7], Vec::new())))),
            ("with it", Box::new(|_, list, it| list.revoked.push((it.to_vec(), Vec::new())))),
            (
                "with it on hold",
                Box::new(|_, list, it| list.revoked.push((it.to_vec(), vec![entry.clone()]))),
            ),
            ("over", Box::new(|own, list, _| list.next_update = own.time(-hour / 2))),
            (
                "over, with it",
                Box::new(|own, list, it| {
                    list.next_update = own.time(-hour / 2);
                    list.revoked.push((it.to_vec(), Vec::new()));
                }),
            ),
            ("early", Box::new(|own, list, _| list.this_update = own.time(hour))),
            ("endless", Box::new(|_, list, _| list.next_update.clear())),
            (
                "v1",
                Box::new(|_, list, it| {
                    list.version = 1;
                    list.extensions.clear();
                    list.revoked.push((it.to_vec(), Vec::new()));
                }),
            ),
            ("of users", Box::new(|_, list, _| list.extensions.push(users()))),
            (
                "of users, with it",
                Box::new(|_, list, it| {
                    list.extensions.push(users());
                    list.revoked.push((it.to_vec(), Vec::new()));
                }),
            ),
            ("of CAs", Box::new(|_, list, _| list.extensions.push(cas()))),
            ("of a key", Box::new(|_, list, _| list.extensions.push(key_id()))),
        ];
        for (state, change) in &states {
            self.issuers_list(state, change);
            self.roots_list(state, change);
        }
        self.more_lists();
    }

    /// A list in this state of an issuer that the client sends.
    fn issuers_list(&mut self, state: &str, change: &Change<'_>) {
        let root = self.issuer(&format!("root with a list, {state}"));
        let sub = self.issuer(&format!("sub with a list, {state}"));
        let (root_der, sub_der) = (self.authority(&root, &root), self.authority(&sub, &root));
        let leaf = self.leaf(&format!("listed, {state}"), &sub);
        let it = self.serial.to_be_bytes()[2..].to_vec();
        let mut list = self.list();
        change(self, &mut list, &it);
        self.lists.push(list.sign(&sub));
        self.lists.push(self.list().sign(&root));
        self.listed.push(root_der);
        let other = self.leaf(&format!("not listed, {state}"), &sub);
        self.add(format!("list {state}"), &[&leaf, &sub_der], (1, true));
        self.add(format!("list {state}, another"), &[&other, &sub_der], (1, true));
        self.add(format!("list {state}, no issuer"), &[&leaf], (1, true));
    }

    /// A list in this state of the root.
    fn roots_list(&mut self, state: &str, change: &Change<'_>) {
        let root = self.issuer(&format!("root with an odd list, {state}"));
        let sub = self.issuer(&format!("sub below an odd list, {state}"));
        let (root_der, sub_der) = (self.authority(&root, &root), self.authority(&sub, &root));
        let it = self.serial.to_be_bytes()[2..].to_vec();
        let mut list = self.list();
        change(self, &mut list, &it);
        self.lists.push(list.sign(&root));
        self.lists.push(self.list().sign(&sub));
        self.listed.push(root_der);
        let direct = self.leaf(&format!("direct, {state}"), &root);
        let below = self.leaf(&format!("below, {state}"), &sub);
        self.add(format!("root's list {state}"), &[&direct], (0, true));
        self.add(format!("root's list {state}, below"), &[&below, &sub_der], (1, true));
        self.add(format!("root's list {state}, too deep"), &[&below, &sub_der], (0, true));
    }

    /// Lists that are missing, not signed by whom they say, or by who may not.
    fn more_lists(&mut self) {
        let strange = Key::new(&self.dir, "strange", Kind::P256);
        let cases: [(&str, bool, bool); 4] = [
            ("both", true, true),
            ("the issuer's missing", false, true),
            ("the root's missing", true, false),
            ("none", false, false),
        ];
        for (label, of_sub, of_root) in cases {
            let (root, sub) =
                (self.issuer(&format!("root, {label}")), self.issuer(&format!("sub, {label}")));
            let (root_der, sub_der) = (self.authority(&root, &root), self.authority(&sub, &root));
            self.listed.push(root_der);
            if of_sub {
                self.lists.push(self.list().sign(&sub));
            }
            if of_root {
                self.lists.push(self.list().sign(&root));
            }
            let leaf = self.leaf(&format!("leaf, {label}"), &sub);
            let direct = self.leaf(&format!("direct leaf, {label}"), &root);
            self.add(format!("lists: {label}"), &[&leaf, &sub_der], (1, true));
            self.add(format!("lists: {label}, direct"), &[&direct], (1, true));
        }
        for (label, usage, key) in [
            ("signed by another", 0x06, strange),
            ("of a CA that may sign none", 0x04, self.ca_key.clone()),
        ] {
            let (root, sub) =
                (self.issuer(&format!("root, {label}")), self.issuer(&format!("sub, {label}")));
            let root_der = self.authority(&root, &root);
            let extensions = vec![basic_constraints(true, None), key_usage(usage)];
            let sub_der = self.draft(sub.name.clone(), extensions).sign(&sub.key, &root);
            self.listed.push(root_der);
            self.lists.push(self.list().sign(&Issuer { name: sub.name.clone(), key }));
            self.lists.push(self.list().sign(&root));
            let leaf = self.leaf(&format!("leaf, {label}"), &sub);
            self.add(format!("list {label}"), &[&leaf, &sub_der], (1, true));
        }
        self.points();
    }

    /// Lists of a distribution point, and certificates that name one.
    fn points(&mut self) {
        let point = |host: &str| {
            let full = element(0xa0, &element(0x86, host.as_bytes()));
            explicit(0, &full)
        };
        let root = self.issuer("root with points");
        let root_der = self.authority(&root, &root);
        self.listed.push(root_der);
        self.lists.push(self.list().sign(&root));
        let sub = self.issuer("sub with points");
        let sub_der = self.authority(&sub, &root);
        let mut list = self.list();
        list.extensions.push(extension("2.5.29.28", true, &sequence(&[&point("http://a/")])));
        self.lists.push(list.sign(&sub));
        for (label, named) in
            [("same", Some("http://a/")), ("other", Some("http://b/")), ("none", None)]
        {
            let mut extensions = vec![extended(&[CLIENT_AUTH])];
            if let Some(named) = named {
                let points = sequence(&[&sequence(&[&point(named)])]);
                extensions.push(extension("2.5.29.31", false, &points));
            }
            let key = self.keys[0].1.clone();
            let der = self.draft(common_name(label), extensions).sign(&key, &sub);
            self.add(format!("point: {label}"), &[&der, &sub_der], (1, true));
        }
    }
}
