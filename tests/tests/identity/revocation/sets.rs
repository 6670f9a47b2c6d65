//! Several lists of one CA: whatever their order, on any of them is revoked.

use ferrule_engine::identity::ClientPolicy;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_tests::zoo::asn1::{attribute, element, extension, name, sequence};
use ferrule_tests::zoo::{Issuer, ListDraft};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, proptest};

use super::{NOW, World, authority, draft, list, lists};

const SERIAL: &[u8] = &[0x11];

/// When a list holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Time {
    /// It has begun and not ended; the second is the older one.
    Now(bool),
    Ended,
    ToCome,
}

/// Of whom a list speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    Everybody,
    Users,
    Authorities,
    /// Those that name the first distribution point, or the second.
    Point(bool),
}

/// A list of the leaf's CA.
#[derive(Clone, Copy, Debug)]
struct Shape {
    time: Time,
    about: About,
    revokes: bool,
}

impl Shape {
    fn speaks_of_leaf(self) -> bool {
        matches!(self.about, About::Everybody | About::Users | About::Point(true))
    }

    fn is_now(self) -> bool {
        matches!(self.time, Time::Now(_))
    }

    fn sign(self, by: &Issuer) -> Vec<u8> {
        let point = |name: &[u8]| element(0xa0, &element(0xa0, &element(0x86, name)));
        let scope = match self.about {
            About::Everybody => Vec::new(),
            About::Users => element(0x81, &[0xff]),
            About::Authorities => element(0x82, &[0xff]),
            About::Point(true) => point(b"http://a.test/1"),
            About::Point(false) => point(b"http://a.test/2"),
        };
        let (this, next): (&[u8], &[u8]) = match self.time {
            Time::Now(false) => (b"240601000000Z", b"260101000000Z"),
            Time::Now(true) => (b"240101000000Z", b"260101000000Z"),
            Time::Ended => (b"230101000000Z", b"240101000000Z"),
            Time::ToCome => (b"260101000000Z", b"270101000000Z"),
        };
        let extensions = if scope.is_empty() {
            Vec::new()
        } else {
            vec![extension("2.5.29.28", true, &sequence(&[&scope]))]
        };
        let serials: &[&[u8]] = if self.revokes { &[&[9], SERIAL] } else { &[&[9]] };
        ListDraft {
            this_update: element(0x17, this),
            next_update: element(0x17, next),
            extensions,
            ..list(serials)
        }
        .sign(by)
    }
}

/// What the documentation says of such a set, without looking at how it is done.
fn expected(set: &[Shape], expired_refuses: bool) -> Verdict {
    let about: Vec<Shape> = set.iter().copied().filter(|shape| shape.speaks_of_leaf()).collect();
    let now: Vec<Shape> = about.iter().copied().filter(|shape| shape.is_now()).collect();
    let asked = if now.is_empty() { about } else { now };
    let any = |is: &dyn Fn(&Shape) -> bool| asked.iter().any(is);
    let failure = if asked.is_empty() {
        Some(VerifyFailure::NoCrl)
    } else if any(&|shape| shape.revokes) {
        Some(VerifyFailure::Revoked)
    } else if expired_refuses && any(&|shape| shape.time == Time::Ended) {
        Some(VerifyFailure::CrlExpired)
    } else if any(&|shape| shape.time == Time::ToCome) {
        Some(VerifyFailure::CrlNotYetValid)
    } else {
        None
    };
    failure.map_or(Verdict::Success, Verdict::Failed)
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let time = prop::sample::select(vec![
        Time::Now(false),
        Time::Now(false),
        Time::Now(true),
        Time::Ended,
        Time::ToCome,
    ]);
    let about = prop::sample::select(vec![
        About::Everybody,
        About::Everybody,
        About::Users,
        About::Authorities,
        About::Point(true),
        About::Point(false),
    ]);
    let shape = (time, about, any::<bool>(), any::<bool>());
    let shape =
        shape.prop_map(|(time, about, one, two)| Shape { time, about, revokes: one && two });
    prop::collection::vec(shape, 1..6)
}

struct Chain {
    sub: Issuer,
    root: Issuer,
    ders: [Vec<u8>; 3],
}

impl Chain {
    fn new(world: &World) -> Self {
        let (root, sub) = (world.issuer("root"), world.other("sub"));
        let point = element(0xa0, &element(0xa0, &element(0x86, b"http://a.test/1")));
        let points = extension("2.5.29.31", false, &sequence(&[&sequence(&[&point])]));
        let leaf = draft("leaf", vec![points]).sign(&world.key, &sub);
        let ders = [leaf, authority(&sub, &root, "sub"), authority(&root, &root, "root")];
        Self { sub, root, ders }
    }

    fn judge(&self, mut of_sub: Vec<Vec<u8>>, rules: (bool, bool)) -> Verdict {
        let [leaf, sub, root] = &self.ders;
        of_sub.push(list(&[]).sign(&self.root));
        let policy = ClientPolicy::new(std::slice::from_ref(root), 1, true).expect("a policy");
        let policy = policy.with_revocation(Some(lists(of_sub, rules)));
        verify_client(&[leaf, sub], &policy, NOW)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_order_of_lists_means_nothing(
        set in shapes(),
        order in any::<prop::sample::Index>(),
        expired_refuses in any::<bool>(),
        missing_refuses in any::<bool>(),
    ) {
        let world = super::world();
        let chain = Chain::new(world);
        let signed: Vec<Vec<u8>> = set.iter().map(|shape| shape.sign(&chain.sub)).collect();
        let rules = (expired_refuses, missing_refuses);
        let verdict = chain.judge(signed.clone(), rules);
        prop_assert_eq!(verdict, expected(&set, expired_refuses), "{:?}", &set);
        let mut others = signed;
        others.reverse();
        prop_assert_eq!(chain.judge(others.clone(), rules), verdict);
        others.rotate_left(order.index(set.len()));
        prop_assert_eq!(chain.judge(others, rules), verdict);
    }
}

#[test]
fn on_any_list_that_holds_is_revoked() {
    let chain = Chain::new(super::world());
    let shape = |time, about, revokes| Shape { time, about, revokes }.sign(&chain.sub);
    let (new, old) = (Time::Now(false), Time::Now(true));
    let revoked = Verdict::Failed(VerifyFailure::Revoked);
    for (one, two, verdict) in [
        // The newer one says nothing of it: a hold that was lifted, or a list of another part.
        ((old, About::Everybody, true), (new, About::Everybody, false), revoked),
        ((new, About::Users, true), (new, About::Everybody, false), revoked),
        ((new, About::Point(true), true), (new, About::Everybody, false), revoked),
        // As old as the other.
        ((new, About::Everybody, true), (new, About::Everybody, false), revoked),
        // What has ended, is to come or speaks of others counts beside one that holds for nothing.
        ((Time::Ended, About::Everybody, true), (new, About::Everybody, false), Verdict::Success),
        ((Time::ToCome, About::Everybody, true), (new, About::Everybody, false), Verdict::Success),
        ((new, About::Point(false), true), (new, About::Everybody, false), Verdict::Success),
        ((new, About::Authorities, true), (new, About::Everybody, false), Verdict::Success),
    ] {
        let [one, two] = [one, two].map(|(time, about, revokes)| shape(time, about, revokes));
        for set in [vec![one.clone(), two.clone()], vec![two, one]] {
            assert_eq!(chain.judge(set, (true, true)), verdict);
        }
    }
}

/// Every reason is one, and a word that has no place in a whole list takes nothing back.
#[test]
fn whatever_the_reason_an_entry_revokes() {
    let chain = Chain::new(super::world());
    for reason in 0..=11 {
        let reason_code = extension("2.5.29.21", false, &element(10, &[reason]));
        let revoked = vec![(SERIAL.to_vec(), vec![reason_code])];
        let der = ListDraft { revoked, ..list(&[]) }.sign(&chain.sub);
        let read = Crl::parse(der.clone()).expect("a list");
        assert_eq!(read.removals(), usize::from(reason == 8), "{reason}");
        let verdict = chain.judge(vec![der], (true, true));
        assert_eq!(verdict, Verdict::Failed(VerifyFailure::Revoked), "{reason}");
    }
}

/// Of two keys of one name, each list is its own key's; one that neither signed says nothing.
#[test]
fn a_list_that_is_not_the_issuers_own_vouches_for_nobody() {
    let world = super::world();
    let chain = Chain::new(world);
    let (own, foreign) = (|serials: &[&[u8]]| list(serials).sign(&chain.sub), world.issuer("sub"));
    let foreign = |serials: &[&[u8]]| list(serials).sign(&foreign);
    let failed = Verdict::Failed;
    for (set, verdict) in [
        (vec![own(&[]), foreign(&[])], Verdict::Success),
        (vec![own(&[SERIAL]), foreign(&[])], failed(VerifyFailure::Revoked)),
        // In doubt: nobody put it there who may not.
        (vec![own(&[]), foreign(&[SERIAL])], failed(VerifyFailure::Revoked)),
        (vec![foreign(&[])], failed(VerifyFailure::CrlSignature)),
    ] {
        let mut other = set.clone();
        other.reverse();
        assert_eq!(chain.judge(set, (true, true)), verdict);
        assert_eq!(chain.judge(other, (true, true)), verdict);
    }
}

/// Encoders that leave out the zero in front of a high bit, or add one, mean the same certificate.
#[test]
fn a_serial_number_is_found_whatever_its_sign() {
    let world = World::new();
    let (root, sub) = (world.issuer("root"), world.other("sub"));
    let ders = [authority(&sub, &root, "sub"), authority(&root, &root, "root")];
    let high: [&[u8]; 3] = [&[0x80], &[0xff, 0x01], &[0xff; 20]];
    for digits in high {
        let padded = [&[0][..], digits].concat();
        let forms = [digits.to_vec(), padded.clone(), [&[0][..], &padded].concat()];
        for serial in [digits.to_vec(), padded] {
            // Two such bytes at the beginning are no number.
            if serial.starts_with(&[0xff, 0xff]) {
                continue;
            }
            let mut leaf = draft("leaf", Vec::new());
            leaf.serial = serial;
            let leaf = leaf.sign(&world.key, &sub);
            for listed in &forms {
                let all = vec![list(&[listed]).sign(&sub), list(&[]).sign(&root)];
                let policy = ClientPolicy::new(&ders[1..], 1, true).expect("a policy");
                let policy = policy.with_revocation(Some(lists(all, (true, true))));
                let verdict = verify_client(&[&leaf, &ders[0]], &policy, NOW);
                assert_eq!(verdict, Verdict::Failed(VerifyFailure::Revoked), "{listed:02x?}");
                let chain = [leaf.clone().into_boxed_slice()];
                assert!(policy.may_have_revoked(&chain), "{listed:02x?}");
            }
        }
    }
}

/// A distribution point that is a directory name is the same in every spelling.
#[test]
fn a_place_is_the_same_in_every_spelling() {
    let world = World::new();
    let (root, sub) = (world.issuer("root"), world.other("sub"));
    let ders = [authority(&sub, &root, "sub"), authority(&root, &root, "root")];
    let place = |tag: u8, text: &[u8]| {
        let directory = name(&[&[attribute("2.5.4.3", tag, text)]]);
        element(0xa0, &element(0xa0, &element(0xa4, &directory)))
    };
    let spellings: [(u8, &[u8]); 4] =
        [(12, b"Lists"), (19, b"lists"), (19, b" LISTS "), (30, b"\0l\0i\0s\0t\0s")];
    for (tag, text) in spellings {
        let points = sequence(&[&sequence(&[&place(tag, text)])]);
        let leaf = draft("leaf", vec![extension("2.5.29.31", false, &points)]);
        let leaf = leaf.sign(&world.key, &sub);
        for (listed, expected) in spellings
            .map(|(tag, text)| (place(tag, text), VerifyFailure::Revoked))
            .into_iter()
            .chain([(place(12, b"others"), VerifyFailure::NoCrl)])
        {
            let scope = extension("2.5.29.28", true, &sequence(&[&listed]));
            let partial = ListDraft { extensions: vec![scope], ..list(&[SERIAL]) }.sign(&sub);
            let all = vec![partial, list(&[]).sign(&root)];
            let policy = ClientPolicy::new(&ders[1..], 1, true).expect("a policy");
            let policy = policy.with_revocation(Some(lists(all, (true, true))));
            let verdict = verify_client(&[&leaf, &ders[0]], &policy, NOW);
            assert_eq!(verdict, Verdict::Failed(expected), "{text:02x?} {listed:02x?}");
        }
    }
}
