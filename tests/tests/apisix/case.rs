//! A case as its file has it.

use serde_json::Value;

/// What is configured, asked and expected.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) feature: String,
    pub(crate) kind: Kind,
    pub(crate) config: Value,
    /// The settings of `config.yaml`; empty for the defaults.
    pub(crate) process: String,
    pub(crate) request: Value,
    pub(crate) more_headers: String,
    /// What status each answer may have; empty if nothing is said.
    pub(crate) statuses: Vec<String>,
    pub(crate) expect: Value,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Request,
    Sequence,
    Curl,
    Tls,
    Raw,
}

impl Case {
    pub(crate) fn read(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).expect("a case is one line of JSON");
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let kind = match text("kind").as_str() {
            "request" => Kind::Request,
            "sequence" => Kind::Sequence,
            "curl" => Kind::Curl,
            "tls" => Kind::Tls,
            "raw" => Kind::Raw,
            other => panic!("no kind of case: {other}"),
        };
        let word = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let statuses = match &value["status"] {
            Value::Null => Vec::new(),
            Value::Array(all) => all.iter().map(word).collect(),
            one => vec![word(one)],
        };
        let process = text("config_yaml");
        // The name of a variable of the suite's stands for its defaults.
        let process = process.strip_prefix("SPECIAL\n").unwrap_or(&process);
        let process = if process.starts_with('$') { "" } else { process };
        Self {
            file: text("file"),
            title: text("title"),
            feature: text("feature"),
            kind,
            config: value["config"].clone(),
            process: process.to_owned(),
            request: value["request"].clone(),
            more_headers: text("more_headers"),
            statuses,
            expect: value["expect"].clone(),
        }
    }

    /// Its file, and the number in its title: what the lists of differences name it by.
    pub(crate) fn name(&self) -> String {
        name(&self.file, &self.title)
    }
}

/// `t/a.t TEST 3`, of a file and a title.
pub(crate) fn name(file: &str, title: &str) -> String {
    let number = title.split_once(':').map_or(title, |(number, _)| number);
    format!("{file} {}", number.trim())
}
