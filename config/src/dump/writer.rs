//! Lines of TOML: values as `toml` writes them, in the order and the tables of the reference.
//!
//! The lines are ours, as the model has other parts than the file: what `toml` makes of it as a whole
//! would not read back.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};

use toml::Value;

use crate::model::{Condition, FileAt};
use crate::raw;
use crate::template::Template;

/// Text as TOML has it.
pub(super) fn text(text: &str) -> String {
    plain(text).to_string()
}

pub(super) fn template_text(template: &Template) -> String {
    Value::String(template.to_string()).to_string()
}

pub(super) fn file_text(file: &FileAt) -> String {
    file.path.display().to_string()
}

pub(super) fn list(texts: impl Iterator<Item = String>) -> String {
    Value::Array(texts.map(|text| plain(&text)).collect()).to_string()
}

/// Text that the reader reads back: nothing in it starts a variable.
pub(super) fn plain(text: &str) -> Value {
    Value::String(raw::escaped(text))
}

/// `vars` with this condition. What is compared with a value whose name opens doors is redacted.
pub(super) fn vars(out: &Writer, when: &Condition) -> Value {
    Value::Array(vec![when.to_toml(&|text| out.secret(text))])
}

pub(super) fn quoted_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) text: String,
    /// What makes a mark of a secret; without it they all look alike.
    pub(super) marks: Option<RandomState>,
}

impl Writer {
    pub(super) fn header(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, key: &str, value: impl Display) {
        for part in [key, " = ", &value.to_string(), "\n"] {
            self.text.push_str(part);
        }
    }

    /// What stands in the place of this secret.
    pub(super) fn secret(&self, text: &str) -> String {
        match &self.marks {
            Some(marks) => format!("<redacted:{:016x}>", marks.hash_one(text)),
            None => String::from("<redacted>"),
        }
    }

    pub(super) fn text_line(&mut self, key: &str, value: &str) {
        self.line(key, text(value));
    }
}
