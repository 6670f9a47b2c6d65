//! A configuration of nginx's, and what is asked of it.

use std::fs;

use ferrule_tools::process::source_dir;

/// A file of `cases`.
pub(crate) struct Case {
    pub(crate) name: String,
    /// With `@tls@` and the like in the place of ports and paths.
    pub(crate) text: String,
    pub(crate) questions: Vec<Question>,
    /// Header fields that have to be the same.
    pub(crate) fields: Vec<String>,
    /// The exit code of the import.
    pub(crate) code: u8,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// `tls`, `tls2`, `plain` or `plain2`.
    pub(crate) port: String,
    /// Whose certificate is shown: `none`, `client`, `ops`, `stranger`, `revoked`.
    pub(crate) who: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    /// The status of Ferrule's, where it is not nginx's.
    pub(crate) differs: Option<u16>,
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let dir = source_dir().join("tests/tests/import/nginx/cases");
        let entries =
            fs::read_dir(dir).expect("the cases").map(|entry| entry.expect("a case").path());
        let mut files: Vec<_> = entries.collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            Self::read(&name, &fs::read_to_string(path).expect("text"))
        };
        files.iter().map(read).collect()
    }

    pub(crate) fn read(name: &str, text: &str) -> Self {
        let mut case = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            questions: Vec::new(),
            fields: Vec::new(),
            code: 2,
        };
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("#? ") {
                case.questions.push(Question::read(rest, None));
            } else if let Some(rest) = line.strip_prefix("#! ") {
                let (status, rest) = rest.split_once(' ').expect("a status");
                let (rest, reason) = rest.split_once(" -- ").expect("a reason");
                assert!(!reason.is_empty(), "{name}: a difference without a reason");
                case.questions.push(Question::read(rest, Some(status.parse().expect("a status"))));
            } else if let Some(rest) = line.strip_prefix("#= ") {
                case.fields.extend(rest.split_whitespace().map(str::to_ascii_lowercase));
            } else if let Some(rest) = line.strip_prefix("#code ") {
                case.code = rest.trim().parse().expect("an exit code");
            }
        }
        assert!(!case.questions.is_empty(), "{name} asks nothing");
        case
    }
}

impl Question {
    fn read(text: &str, differs: Option<u16>) -> Self {
        let mut words = text.split_whitespace().map(str::to_owned);
        let mut next = || words.next().expect("port, who, host and path");
        let (port, who, host, path) = (next(), next(), next(), next());
        Self { port, who, host, path, headers: words.collect(), differs }
    }
}
