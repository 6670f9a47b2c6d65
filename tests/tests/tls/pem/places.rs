//! The table, in every place that takes PEM.

use super::stage::{Outcome, Place, Stage};
use super::table::{Case, REFUSED, TAKEN};

/// What the changes are made to at this place: two blocks and their label.
fn blocks(stage: &Stage, place: Place) -> (String, String, &'static str) {
    let authorities = stage.authorities.clone();
    match place {
        Place::Cert => (stage.leaf.clone(), authorities[0].clone(), "CERTIFICATE"),
        // Files of a key and its certificate are usual.
        Place::Key => (stage.key.clone(), stage.leaf.clone(), "CERTIFICATE"),
        Place::ClientCa | Place::UpstreamCa => {
            let [one, two] = authorities;
            (one, two, "CERTIFICATE")
        }
        Place::Stapling => unreachable!("it takes no PEM"),
        Place::ClientCrl | Place::UpstreamCrl => {
            let [one, two] = stage.lists.clone();
            (one, two, "X509 CRL")
        }
    }
}

fn each_place(cases: &[Case], check: impl Fn(&str, &Outcome)) {
    let stage = Stage::new();
    for place in Place::ALL {
        let (one, two, label) = blocks(&stage, place);
        for case in cases {
            let text = (case.change)(&one, &two, label);
            for inline in [false, true] {
                let outcome = stage.load(place, text.as_bytes(), inline);
                check(&format!("{place:?}, inline {inline}, {}", case.name), &outcome);
            }
        }
    }
}

/// A text without a single good edge counts as a path in the configuration.
const NO_PEM: &str = "neither a path nor PEM text";

#[test]
fn what_openssl_reads_is_read() {
    each_place(&TAKEN, |what, outcome| {
        // Both sides name the same lists, under keys of their own.
        assert!(matches!(outcome, Outcome::Taken(2, 4)), "{what}: {outcome:?}");
    });
}

#[test]
fn a_block_that_does_not_count_is_an_error_with_its_line() {
    let mut wrong = Vec::new();
    let seen = std::cell::RefCell::new(&mut wrong);
    each_place(&REFUSED, |what, outcome| {
        let told = match outcome {
            Outcome::Refused(problems) => {
                let line = problems.split(", line ").nth(1);
                line.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
                    // No path and no PEM text either.
                    || (what.contains("UTF-16") && problems.contains(NO_PEM))
            }
            Outcome::Taken(..) => false,
        };
        if !told {
            seen.borrow_mut().push(format!("{what}: {outcome:?}"));
        }
    });
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_block_of_another_kind_is_told_where_it_belongs() {
    let stage = Stage::new();
    let (ca, list) = (&stage.authorities[0], &stage.lists[0]);
    let relabel = |block: &str, from: &str, to: &str| block.replace(from, to);
    let trusted = relabel(ca, "CERTIFICATE", "TRUSTED CERTIFICATE");
    let bare_list = relabel(list, "X509 CRL", "CRL");
    let request = relabel(ca, "CERTIFICATE", "CERTIFICATE REQUEST");
    let table: [(Place, String, &str); 15] = [
        (Place::ClientCa, format!("{ca}{}", stage.key), "take the private key out"),
        (Place::UpstreamCa, format!("{ca}{}", stage.key), "take the private key out"),
        (Place::ClientCa, format!("{ca}{list}"), "named in `crl`"),
        (Place::UpstreamCa, format!("{ca}{list}"), "named in `crl`"),
        (Place::ClientCa, format!("{ca}{bare_list}"), "blocks of type CERTIFICATE"),
        (Place::ClientCa, format!("{ca}{trusted}"), "openssl x509"),
        (Place::ClientCa, format!("{ca}{request}"), "CERTIFICATE REQUEST"),
        (Place::Cert, format!("{}{trusted}", stage.leaf), "openssl x509"),
        (Place::Cert, format!("{}{list}", stage.leaf), "named in `crl`"),
        (Place::ClientCrl, format!("{list}{ca}"), "named in `ca`"),
        (Place::UpstreamCrl, format!("{list}{ca}"), "named in `ca`"),
        (Place::ClientCrl, format!("{list}{bare_list}"), "blocks of type X509 CRL"),
        (Place::ClientCrl, format!("{list}{}", stage.key), "take the private key out"),
        (Place::Key, format!("{}{list}", stage.key), "named in `crl`"),
        (Place::Key, format!("{}{}", stage.key, stage.key), "second private key"),
    ];
    for (place, text, words) in table {
        let outcome = stage.load(place, text.as_bytes(), false);
        let Outcome::Refused(problems) = &outcome else { panic!("{place:?} {words}: {outcome:?}") };
        assert!(problems.contains(words) && problems.contains(", line "), "{words}: {problems}");
        assert!(!problems.contains("MII") && !problems.contains("MIG"), "{problems}");
    }
}

#[test]
fn what_people_keep_in_one_file_is_taken_by_kind() {
    let stage = Stage::new();
    let (leaf, key, ca) = (&stage.leaf, &stage.key, &stage.authorities[0]);
    let old = leaf.replace("CERTIFICATE", "X509 CERTIFICATE");
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (place, text) in [
        (Place::Cert, format!("{leaf}{ca}{key}")),
        (Place::Cert, format!("{key}{leaf}")),
        (Place::Cert, format!("{leaf}{parameters}{key}")),
        (Place::Cert, old.clone()),
        (Place::Key, format!("{parameters}{key}")),
        (Place::Key, format!("{old}{ca}{key}")),
    ] {
        let outcome = stage.load(place, text.as_bytes(), false);
        assert!(matches!(outcome, Outcome::Taken(2, 4)), "{place:?}: {outcome:?}");
    }
}

#[test]
fn der_and_pem_are_told_apart() {
    let stage = Stage::new();
    let der = |block: &str| {
        let body: String = block.lines().filter(|line| !line.starts_with('-')).collect();
        let output = ferrule_tests::shell(
            stage.dir.path(),
            &format!("printf %s '{body}' | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n'"),
        );
        let digits = output.trim().as_bytes();
        let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).expect("hex"), 16);
        digits.chunks(2).map(|two| byte(two).expect("hex")).collect::<Vec<u8>>()
    };
    for (place, block) in [
        (Place::Cert, &stage.leaf),
        (Place::Key, &stage.key),
        (Place::ClientCa, &stage.authorities[0]),
        (Place::UpstreamCa, &stage.authorities[0]),
    ] {
        let outcome = stage.load(place, &der(block), false);
        let Outcome::Refused(problems) = &outcome else { panic!("{place:?}: {outcome:?}") };
        assert!(problems.contains("DER") && problems.contains("openssl"), "{problems}");
    }
    let list = der(&stage.lists[0]);
    let taken = stage.load(Place::ClientCrl, &list, false);
    assert!(matches!(taken, Outcome::Taken(2, 3)), "{taken:?}");
    for surplus in [&b"\n"[..], &list, stage.lists[1].as_bytes()] {
        let text = [&list, surplus].concat();
        let outcome = stage.load(Place::ClientCrl, &text, false);
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }
    // A comment may begin with the byte that DER begins with.
    let text = format!("0 is the first\n{}", stage.lists.concat());
    let outcome = stage.load(Place::ClientCrl, text.as_bytes(), false);
    assert!(matches!(outcome, Outcome::Taken(2, 4)), "{outcome:?}");
}
