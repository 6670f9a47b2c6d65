//! Every certificate of the zoo, shown to a real nginx and to the real gateway: the same answer, and
//! the same bytes in every `$ssl_*` variable, in headers and in logs.
//!
//! Where we refuse what nginx takes, a list says why ([`verdict`]). That we take what nginx refuses
//! happens once, on the same list.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, with its text; the table is for the reader"
)]

mod stage;
mod tries;
mod verdict;
mod visit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ferrule_tests::scratch;
use ferrule_tests::zoo::{Herd, Zoo};

use stage::{Mode, Side, Stage, host};
use verdict::{Found, Meant, Pair, compare_logged, meant};
use visit::{Curl, Seen, Shown, Tls};

/// One client with one way of being asked.
struct Case {
    label: String,
    host: String,
    mode: Mode,
    version: Tls,
    shown: Shown,
    meant: Option<Meant>,
    target: String,
    /// Of our drivers, this one only.
    only: Option<usize>,
}

/// What came of all of them, for one of our drivers.
#[derive(Default)]
struct Tally {
    same: BTreeMap<u16, usize>,
    listed: BTreeMap<String, usize>,
    logged: usize,
    /// How many of ours were answers; each of them is a line in the log.
    answered: usize,
    differences: Vec<String>,
}

fn cases(dir: &Path, zoo: &Zoo, herd: &Herd) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, (set, depth): (&str, u32), shown: &Shown, meant: Option<Meant>| {
        for mode in Mode::ALL {
            for version in Tls::ALL {
                let number = cases.len();
                cases.push(Case {
                    label: format!("{name} ({set}, {mode:?}, depth {depth}, {version:?})"),
                    host: host(set, mode, depth),
                    mode,
                    version,
                    shown: shown.clone(),
                    meant,
                    target: format!("/{number}"),
                    only: None,
                });
            }
        }
    };
    for animal in &zoo.animals {
        let shown = Shown { files: Some((animal.certificates.clone(), animal.key.clone())) };
        let meant = meant(&animal.name, animal.stricter);
        let depths = if animal.chain.len() > 1 { 0..=2 } else { 1..=1 };
        for depth in depths {
            add(&animal.name, ("zoo", depth), &shown, meant);
        }
    }
    add("no certificate", ("zoo", 1), &Shown { files: None }, None);
    for set in ["guide-v1", "guide-v3"] {
        for from in ["guide-v1", "guide-v3"] {
            let name = format!("{from} at {set}");
            let files = ["client.cer", "client.key"].map(|file| dir.join(from).join(file));
            let [cert, key]: [PathBuf; 2] = files;
            let shown = Shown { files: Some((cert, key)) };
            for depth in 0..=1 {
                add(&name, (set, depth), &shown, meant(&name, None));
            }
        }
        add("no certificate", (set, 1), &Shown { files: None }, None);
    }
    for member in &herd.members {
        let number = cases.len();
        let set = if member.listed { "listed" } else { "herd" };
        cases.push(Case {
            label: member.name.clone(),
            host: host(set, Mode::Required, member.depth),
            mode: Mode::Required,
            version: Tls::V13,
            shown: Shown { files: Some((member.certificates.clone(), member.key.clone())) },
            meant: None,
            target: format!("/{number}"),
            only: Some(number % 2),
        });
    }
    cases
}

fn visit(case: &Case, settings: &Path, side: &Side) -> Seen {
    match visit::dial(&case.shown, &case.host, case.version) {
        Some(dial) => visit::by_rustls(&dial, side, &case.host, &case.target),
        None => {
            let (shown, version) = (&case.shown, case.version);
            let curl = Curl { settings, shown, version, options: &[] };
            curl.get(side, &case.host, &case.target)
        }
    }
}

impl Tally {
    fn take(&mut self, case: &Case, reference: &Seen, ours: &Seen) {
        self.answered += usize::from(ours.status != 0);
        let Case { label, meant, .. } = case;
        let pair = Pair { label, meant: *meant, reference, ours };
        match pair.compare() {
            Found::Same => *self.same.entry(ours.status).or_default() += 1,
            Found::Listed(meant) => *self.listed.entry(format!("{meant:?}")).or_default() += 1,
            Found::Difference(text) => self.differences.push(text),
        }
    }

    fn print(&self, name: &str) {
        for (status, count) in &self.same {
            let what = match status {
                0 => "handshake refused by both".to_owned(),
                200 => "200 by both, every variable the same".to_owned(),
                status => format!("{status} by both"),
            };
            println!("| {name} | {what} | {count} |");
        }
        println!("| {name} | log lines, every variable the same | {} |", self.logged);
        for (what, count) in &self.listed {
            println!("| {name} | {what} | {count} |");
        }
        println!("| {name} | other differences | {} |", self.differences.len());
    }
}

#[test]
fn nginx_and_the_gateway_say_the_same_of_every_certificate() {
    let scratch = scratch();
    let dir = scratch.path();
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs();
    let zoo = Zoo::build(dir, i64::try_from(now).expect("a time before the end"));
    assert!(zoo.animals.len() >= 60, "only {} certificates", zoo.animals.len());
    let herd = Herd::build(dir, i64::try_from(now).expect("a time before the end"));
    let certificates = zoo.animals.len() + herd.members.len() + 2;
    assert!(certificates >= 800, "only {certificates} certificates");
    let stage = Stage::start(dir, &zoo, &herd);
    let settings = stage::lenient_openssl(dir);
    let mut cases = cases(dir, &zoo, &herd);
    let unreadable: Vec<&Path> = zoo
        .animals
        .iter()
        .filter(|animal| animal.unreadable)
        .map(|animal| animal.certificates.as_path())
        .collect();
    let mut tallies: Vec<Tally> = stage.ours.iter().map(|_| Tally::default()).collect();
    for case in &cases {
        let reference = visit(case, &settings, &stage.reference);
        let refused = reference.status == 0;
        let chain = case.shown.files.as_ref().map(|(chain, _)| chain.as_path());
        let is_unreadable = chain.is_some_and(|chain| unreadable.contains(&chain));
        assert!(refused || !is_unreadable, "nginx has read {}", case.label);
        let all = stage.ours.iter().zip(&mut tallies).enumerate();
        for (_, (side, tally)) in all.filter(|(at, _)| case.only.is_none_or(|only| only == *at)) {
            tally.take(case, &reference, &visit(case, &settings, side));
        }
    }
    resumed(&stage, &mut cases, &mut tallies);
    negotiated(&stage, &settings, &mut cases, &mut tallies);
    logs(&stage, &cases, &mut tallies);

    println!(
        "{certificates} certificates, {} clients, {}",
        cases.len(),
        stage::openssl_version(dir)
    );
    println!("| gateway | outcome | count |\n|---|---|---:|");
    for (side, tally) in stage.ours.iter().zip(&tallies) {
        tally.print(&side.name);
    }
    let all: Vec<String> = stage
        .ours
        .iter()
        .zip(tallies)
        .flat_map(|(side, tally)| {
            tally.differences.into_iter().map(|text| format!("{}: {text}", side.name))
        })
        .collect();
    assert!(
        all.is_empty(),
        "{} differences:\n{}\n{}",
        all.len(),
        all.join("\n"),
        stage.diagnostics()
    );
}

/// The second of two connections resumes the session of the first, and carries the same identity.
fn resumed(stage: &Stage, cases: &mut Vec<Case>, tallies: &mut [Tally]) {
    let shown: Vec<(String, Shown)> = cases
        .iter()
        .filter(|case| case.mode == Mode::Required && case.version == Tls::V13)
        .filter(|case| {
            ["utf8", "serial a100, v1 ", "rsa 2048", "no certificate"]
                .iter()
                .any(|name| case.label.starts_with(name))
        })
        .filter(|case| case.host.ends_with(".zoo.test"))
        .map(|case| (case.label.clone(), case.shown.clone()))
        .collect();
    for (label, shown) in shown {
        for (mode, version) in
            Mode::ALL.into_iter().flat_map(|mode| Tls::ALL.map(|tls| (mode, tls)))
        {
            let host = host("zoo", mode, 1);
            let dials: Vec<_> = std::iter::once(&stage.reference)
                .chain(&stage.ours)
                .map(|side| {
                    (side, visit::dial(&shown, &host, version).expect("a rustls client").resuming())
                })
                .collect();
            for turn in 1..=2 {
                let case = Case {
                    label: format!("{label}, visit {turn} ({mode:?}, {version:?})"),
                    host: host.clone(),
                    mode,
                    version,
                    shown: shown.clone(),
                    meant: None,
                    target: format!("/{}", cases.len()),
                    only: None,
                };
                let seen: Vec<Seen> = dials
                    .iter()
                    .map(|(side, dial)| visit::by_rustls(dial, side, &host, &case.target))
                    .collect();
                let (reference, ours) = seen.split_first().expect("nginx is one of them");
                let refused = reference.status != 200;
                if !refused {
                    let mark = if turn == 1 { "." } else { "r" };
                    assert_eq!(reference.value("ssl_session_reused"), Some(mark), "{}", case.label);
                }
                for (ours, tally) in ours.iter().zip(tallies.iter_mut()) {
                    tally.take(&case, reference, ours);
                }
                cases.push(case);
                // nginx resumes what it refused, and refuses it again; the gateway gives no session.
                if refused {
                    break;
                }
            }
        }
    }
}

/// Every cipher suite, group and protocol list that both can agree on, by an OpenSSL client.
fn negotiated(stage: &Stage, settings: &Path, cases: &mut Vec<Case>, tallies: &mut [Tally]) {
    const SUITES: [(Tls, &str, &str); 9] = [
        (Tls::V12, "zoo", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (Tls::V12, "zoo", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (Tls::V12, "zoo", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (Tls::V12, "guide-v1", "ECDHE-RSA-AES128-GCM-SHA256"),
        (Tls::V12, "guide-v1", "ECDHE-RSA-AES256-GCM-SHA384"),
        (Tls::V12, "guide-v1", "ECDHE-RSA-CHACHA20-POLY1305"),
        (Tls::V13, "zoo", "TLS_AES_128_GCM_SHA256"),
        (Tls::V13, "guide-v1", "TLS_AES_256_GCM_SHA384"),
        (Tls::V13, "zoo", "TLS_CHACHA20_POLY1305_SHA256"),
    ];
    // TLS 1.2 wants the curve of an ECDSA certificate among them.
    const GROUPS: [&str; 5] =
        ["X25519:P-256", "P-256", "P-384:P-256", "P-256:X25519", "X448:P-521:P-256"];
    let shown = Shown { files: None };
    for (version, set, suite) in SUITES {
        for group in GROUPS {
            let case = Case {
                label: format!("{suite} with {group}"),
                host: host(set, Mode::Asked, 1),
                mode: Mode::Asked,
                version,
                shown: shown.clone(),
                meant: None,
                target: format!("/{}", cases.len()),
                only: None,
            };
            let option = if version == Tls::V12 { "--ciphers" } else { "--tls13-ciphers" };
            let alpn = if group == "P-256" { "--no-alpn" } else { "--alpn" };
            let options = [option, suite, "--curves", group, alpn];
            let curl = Curl { settings, shown: &shown, version, options: &options };
            let reference = curl.get(&stage.reference, &case.host, &case.target);
            assert_eq!(reference.status, 200, "{}: {}", case.label, reference.text);
            for (side, tally) in stage.ours.iter().zip(tallies.iter_mut()) {
                tally.take(&case, &reference, &curl.get(side, &case.host, &case.target));
            }
            cases.push(case);
        }
    }
}

/// What was written about every request that both answered with the same status.
fn logs(stage: &Stage, cases: &[Case], tallies: &mut [Tally]) {
    let reference: BTreeMap<_, _> = stage.reference.logged(0).into_iter().collect();
    let status = |fields: &[(String, String)]| {
        fields.iter().find(|(name, _)| name == "status").map(|(_, value)| value.clone())
    };
    for (side, tally) in stage.ours.iter().zip(tallies) {
        let ours: BTreeMap<_, _> = side.logged(tally.answered).into_iter().collect();
        for case in cases {
            let (Some(theirs), Some(ours)) = (reference.get(&case.target), ours.get(&case.target))
            else {
                continue;
            };
            // Where the answers differed, that has been looked at already.
            if status(theirs) != status(ours) || matches!(case.meant, Some(Meant::Stricter(_))) {
                continue;
            }
            let found = compare_logged(&case.label, theirs, ours);
            tally.logged += usize::from(found.is_empty());
            tally.differences.extend(found);
        }
    }
}
