//! Generated mutations of PEM files, read by OpenSSL and by us.
//!
//! Seeds are fixed. `FERRULE_PEM_FILES` asks for another number of files than the usual run's.
#![expect(clippy::disallowed_methods, reason = "the length of the run is asked for by name")]
#![expect(clippy::print_stderr, reason = "how many files were read alike")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use ferrule_engine::identity::x509::certificate::Certificate;
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_engine::tls::pem::{BlockKind, blocks};
use ferrule_tests::{shell, source_dir};
use ring::digest::{SHA256, digest};

use super::stage::Stage;

const FILES: usize = 3_000;
/// What is put in somewhere.
const INSERTED: [&str; 24] = [
    "\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "-",
    "--",
    "-----",
    "#",
    "x",
    "\0",
    "\u{feff}",
    "=",
    "A",
    "AAAA",
    ":",
    "\n\n",
    "-----BEGIN ",
    "-----END ",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "Proc-Type: 4,ENCRYPTED\n\n",
    "X509 ",
    "\u{2014}",
];

/// Always the same numbers (Steele and others, SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).expect("31 bits") % bound
    }

    fn of<'l, T: ?Sized>(&mut self, list: &[&'l T]) -> &'l T {
        list[self.below(list.len())]
    }
}

/// A file of some blocks, with some changes.
fn file(pieces: &[&str], random: &mut Random) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::new();
    for _ in 0..=random.below(4) {
        text.extend_from_slice(random.of(pieces).as_bytes());
    }
    for _ in 0..random.below(4) {
        // Most changes are made where something begins or ends.
        let edges: Vec<usize> = (0..text.len())
            .filter(|at| matches!(text[*at], b'\n' | b'-' | b'=' | b' '))
            .flat_map(|at| [at, at + 1])
            .collect();
        let at = match random.below(4) {
            0 => random.below(text.len() + 1),
            _ if edges.is_empty() => 0,
            _ => edges[random.below(edges.len())],
        };
        let end = (at + 1 + random.below(6)).min(text.len());
        match random.below(5) {
            0 | 1 => drop(text.splice(at..at, random.of(&INSERTED).bytes())),
            2 => drop(text.drain(at..end)),
            3 => text[at..end].make_ascii_lowercase(),
            _ => drop(text.splice(at..end, random.of(&INSERTED).bytes())),
        }
    }
    text
}

/// The digests of what we see; `None` if the file is refused.
fn ours(text: &[u8]) -> Option<Vec<String>> {
    let mut seen = Vec::new();
    let found = blocks(text).ok()?;
    let begins = text.windows(10).filter(|part| part == b"-----BEGIN").count();
    assert_eq!(begins, found.len(), "{}", String::from_utf8_lossy(text));
    for block in found {
        match block.kind {
            BlockKind::Certificate | BlockKind::TrustedCertificate => {
                Certificate::parse(&block.der)?;
            }
            BlockKind::RevocationList => drop(Crl::parse(block.der.clone()).ok()?),
            // No place takes it, so that whoever names the file hears of it.
            BlockKind::Other => return None,
            _ => continue,
        }
        seen.push(HEXLOWER.encode(digest(&SHA256, &block.der).as_ref()));
    }
    Some(seen)
}

/// The same of OpenSSL, for all files at once.
fn openssls(stage: &Stage, files: &[Vec<u8>]) -> Vec<Option<Vec<String>>> {
    let (dir, source) = (stage.dir.path(), source_dir().join("tests/tests/tls/pem/openssl.c"));
    shell(dir, &format!("cc -O1 -o openssl-sees {} -lcrypto", source.display()));
    let input: Vec<u8> = files
        .iter()
        .flat_map(|text| {
            let len = u32::try_from(text.len()).expect("a small file").to_be_bytes();
            [len.as_slice(), text].concat()
        })
        .collect();
    let mut child = Command::new(dir.join("openssl-sees"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut pipe = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || pipe.write_all(&input).expect("a reader"));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("a writer");
    let output = String::from_utf8(output.stdout).expect("text");
    let line = |line: &str| {
        (line != "error").then(|| line.split_whitespace().map(str::to_owned).collect())
    };
    output.lines().map(line).collect()
}

#[test]
fn openssl_never_sees_more_than_we_do() {
    let stage = Stage::new();
    let trusted = stage.authorities[0].replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    let old = stage.authorities[1].replace("CERTIFICATE", "X509 CERTIFICATE");
    let windows = stage.lists[1].replace('\n', "\r\n");
    let [one, two] = &stage.authorities;
    let pieces: [&str; 9] =
        [one, two, &stage.lists[0], &windows, &stage.leaf, &stage.key, &trusted, &old, "# text\n"];
    let count = std::env::var("FERRULE_PEM_FILES").ok().and_then(|count| count.parse().ok());
    let mut random = Random(1);
    let files: Vec<Vec<u8>> =
        (0..count.unwrap_or(FILES)).map(|_| file(&pieces, &mut random)).collect();
    let theirs = openssls(&stage, &files);
    assert_eq!(theirs.len(), files.len());
    let (mut both, mut refused, mut alone) = (0, 0, 0);
    for (text, theirs) in files.iter().zip(theirs) {
        match (ours(text), theirs) {
            (Some(mut ours), Some(mut theirs)) => {
                // OpenSSL keeps a certificate and a list in pairs.
                ours.sort();
                theirs.sort();
                assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(text));
                both += 1;
            }
            (Some(_), None) => alone += 1,
            (None, _) => refused += 1,
        }
    }
    eprintln!("{both} files read alike, {refused} refused, {alone} refused by OpenSSL alone");
    assert!(both > count.unwrap_or(FILES) / 4 && refused > both / 4);
}
