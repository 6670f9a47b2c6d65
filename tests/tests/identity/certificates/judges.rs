//! Others who judge the same chains: OpenSSL, and Go where it is installed.
//!
//! In: anchors and chains. Out: for each chain a verdict, and what OpenSSL reads in its leaf. Each
//! judge is one small program, built here, that takes all chains at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER_PERMISSIVE;
use ferrule_tests::source_dir;

use crate::certificates::forge::NOW;

/// Intermediates that all judges allow.
pub(crate) const DEPTH: u32 = 4;

/// What OpenSSL says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Said {
    /// It is good.
    pub(crate) accepted: bool,
    /// OpenSSL's words.
    pub(crate) words: String,
    /// Of a leaf that it can read: serial, subject, issuer, both dates, alternative names with their
    /// kinds in front.
    pub(crate) values: Vec<Vec<u8>>,
    /// The alternative names: kind and bytes.
    pub(crate) alt_names: Vec<(String, Vec<u8>)>,
}

/// Chains in the form that the judges read.
pub(crate) struct Docket {
    file: PathBuf,
}

impl Docket {
    /// Writes it into this directory.
    pub(crate) fn write(dir: &Path, anchors: &[Vec<u8>], chains: &[Vec<Vec<u8>>]) -> Self {
        let mut bytes = Vec::new();
        let mut list = |ders: &[Vec<u8>]| {
            let number = |number: usize| u32::try_from(number).expect("a few").to_be_bytes();
            bytes.extend(number(ders.len()));
            for der in ders {
                bytes.extend(number(der.len()));
                bytes.extend_from_slice(der);
            }
        };
        list(anchors);
        for chain in chains {
            list(chain);
        }
        let file = dir.join("docket");
        fs::write(&file, bytes).expect("a file");
        Self { file }
    }

    fn judge(&self, program: &Path, more: &[&str]) -> Vec<String> {
        let output = Command::new(program)
            .args([&NOW.to_string(), &DEPTH.to_string()])
            .args(more)
            .stdin(Stdio::from(File::open(&self.file).expect("the docket")))
            .output()
            .expect("a judge");
        assert!(output.status.success(), "{program:?}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// OpenSSL's word on each chain; on policies, too, if asked.
    pub(crate) fn openssl(&self, dir: &Path, policies: bool) -> Vec<Said> {
        self.ask_openssl(dir, if policies { &["policies"] } else { &[] })
    }

    /// OpenSSL's word on each leaf, by the revocation list behind it.
    pub(crate) fn openssl_by_list(&self, dir: &Path) -> Vec<Said> {
        self.ask_openssl(dir, &["lists"])
    }

    /// OpenSSL's word on each chain, whatever its certificates say that they are for.
    pub(crate) fn openssl_for_any_purpose(&self, dir: &Path) -> Vec<Said> {
        self.ask_openssl(dir, &["any purpose"])
    }

    fn ask_openssl(&self, dir: &Path, more: &[&str]) -> Vec<Said> {
        let program = dir.join("openssl");
        if !program.exists() {
            let source = source_dir().join("tests/tests/identity/certificates/openssl.c");
            let status = Command::new("cc")
                .args(["-O1", "-o"])
                .arg(&program)
                .arg(source)
                .arg("-lcrypto")
                .status()
                .expect("a C compiler");
            assert!(status.success(), "the judge does not compile: libssl-dev is needed");
        }
        self.judge(&program, more).iter().map(|line| said(line)).collect()
    }

    /// Does Go take each chain? `None` where there is no Go.
    pub(crate) fn go(&self, dir: &Path) -> Option<Vec<bool>> {
        let program = dir.join("go-judge");
        if program.exists() {
            return Some(self.judge(&program, &[]).iter().map(|line| line == "ok").collect());
        }
        let source = source_dir().join("tests/tests/identity/certificates/go.go");
        let mut command = Command::new("go");
        command.arg("build").arg("-o").arg(&program).arg(source).env("GOCACHE", dir.join("cache"));
        if !command.env("GO111MODULE", "off").status().ok()?.success() {
            return None;
        }
        self.go(dir)
    }
}

fn said(line: &str) -> Said {
    let mut fields = line.split('\t');
    let accepted = fields.next() == Some("0");
    let words = fields.next().unwrap_or_default().to_owned();
    let mut rest: Vec<&str> = fields.collect();
    let alt_names = rest.pop().unwrap_or_default();
    let alt_names = alt_names.split_terminator(',').filter_map(|name| name.split_once(':'));
    Said {
        accepted,
        words,
        values: rest.into_iter().map(bytes).collect(),
        alt_names: alt_names.map(|(kind, name)| (kind.to_owned(), bytes(name))).collect(),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).expect("hexadecimal")
}
