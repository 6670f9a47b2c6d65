//! Cases that differ on purpose, each with its reason: a list that must stay exact.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The reasons, by the names of cases.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<String, String>);

impl Differences {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// `FILE<TAB>TEST<TAB>REASON` a line; a line that begins with `#` is a remark.
    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a list of differences");
        let mut all = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split('\t');
            let (Some(file), Some(test), Some(reason)) = (words.next(), words.next(), words.next())
            else {
                panic!("a line of {}: {line}", file.display());
            };
            let before = all.insert(format!("{file} {test}"), reason.to_owned());
            assert!(before.is_none(), "listed twice: {file} {test}");
        }
        Self(all)
    }

    pub(crate) fn reason(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
