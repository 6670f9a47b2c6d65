//! Files that are no TOML at all, recognised by how they begin: one sentence in place of every error that a
//! TOML parser finds in them.
//!
//! In: the bytes of a file that is not UTF-8, or a text that is not TOML. Out: what it is, if its first line
//! can be nothing else. A TOML file with a mistake is never taken for something else: no line of TOML
//! begins as these do.

use std::fmt;

/// What a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// A JSON object or array.
    Json,
    /// YAML, as of APISIX, Envoy or Traefik.
    Yaml,
    /// A configuration of nginx.
    Nginx,
    /// A configuration of HAProxy.
    Haproxy,
    /// A Caddyfile.
    Caddyfile,
    /// XML, HTML, or a configuration of Apache's httpd.
    Markup,
    /// A certificate or a key.
    Pem,
    /// The same in DER, or another structure in ASN.1.
    Der,
    /// Text of two bytes a character.
    Utf16,
    /// A compressed file.
    Archive,
    /// No text.
    Binary,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Nginx => "a configuration of nginx",
            Self::Haproxy => "a configuration of HAProxy",
            Self::Caddyfile => "a Caddyfile",
            Self::Markup => "XML, HTML or a configuration of Apache httpd",
            Self::Pem => "a PEM file, a certificate or a key",
            Self::Der => "a DER file, perhaps a certificate or a key",
            Self::Utf16 => "text in UTF-16",
            Self::Archive => "a compressed file",
            Self::Binary => "a binary file",
        })
    }
}

impl Format {
    /// The whole message.
    pub(crate) fn message(self) -> String {
        let encoding = if self == Self::Utf16 { "TOML in UTF-8" } else { "TOML" };
        format!("this is {self}; Ferrule reads {encoding}")
    }

    /// What to do.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Pem | Self::Der => {
                "name the configuration here, and this file in it: `cert`, `key` or `client.ca` of an \
                 [[ssls]]"
            }
            Self::Utf16 => "save it again as UTF-8",
            Self::Archive | Self::Binary => "name the configuration, as `ferrule.toml`",
            Self::Yaml => {
                "docs/getting-started.md has a first file, docs/guides/client-mtls.md the keys of \
                 APISIX beside those of Ferrule"
            }
            Self::Json | Self::Nginx | Self::Haproxy | Self::Caddyfile | Self::Markup => {
                "docs/getting-started.md has a first file, docs/configuration.md every key"
            }
        }
    }
}

/// What these bytes are, which are not UTF-8.
pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Format> {
    // The lengths of DER's outermost sequence have one form each.
    const DER: [&[u8]; 3] = [b"\x30\x82", b"\x30\x81", b"\x30\x83"];
    // gzip, zstd, zip, xz, bzip2.
    const ARCHIVES: [&[u8]; 5] =
        [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\xfd7zXZ", b"BZh"];
    let begins = |marks: &[&[u8]]| marks.iter().any(|mark| bytes.starts_with(mark));
    if begins(&[b"\xff\xfe", b"\xfe\xff"]) {
        Some(Format::Utf16)
    } else if begins(&DER) {
        Some(Format::Der)
    } else if begins(&ARCHIVES) {
        Some(Format::Archive)
    } else {
        bytes.contains(&0).then_some(Format::Binary)
    }
}

/// What this text is, which is not TOML.
pub(crate) fn of_text(text: &str) -> Option<Format> {
    let text = text.trim_start_matches('\u{feff}');
    if text.contains('\0') {
        // UTF-16 of letters that ASCII has is UTF-8 with a zero byte beside each.
        let zeros = text.matches('\0').count();
        return Some(if zeros > text.len() / 3 { Format::Utf16 } else { Format::Binary });
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !is_comment(line));
    let first = lines.next()?;
    let second = lines.next().unwrap_or_default();
    let word = first.split(|letter: char| !is_word(letter)).next().unwrap_or_default();
    match first.as_bytes().first()? {
        b'{' if second.is_empty() || second.starts_with(['"', '}', '{', '[']) => Some(Format::Json),
        b'{' if first.len() > 1 => Some(Format::Json),
        b'{' => Some(Format::Caddyfile),
        b'[' if first.get(1..)?.trim_start().starts_with('{') => Some(Format::Json),
        b'[' if first.len() == 1 && second.starts_with('{') => Some(Format::Json),
        b'<' => Some(Format::Markup),
        _ if first.starts_with("-----BEGIN ") => Some(Format::Pem),
        _ if first == "---" || first.starts_with("%YAML") => Some(Format::Yaml),
        _ if has_toml(text) => None,
        _ if is_haproxy(first, word) => Some(Format::Haproxy),
        _ if is_nginx(first, word) => Some(Format::Nginx),
        _ if first.ends_with('{') => Some(Format::Caddyfile),
        _ if is_yaml(first) => Some(Format::Yaml),
        _ => None,
    }
}

/// Is it nothing but a comment, in any of these languages?
fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#') || line.starts_with("//") || line.starts_with("/*")
}

/// Does any line give a key a value, or begin a table?
fn has_toml(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        let name =
            line.trim_start_matches(|letter| is_word(letter) || matches!(letter, '"' | '\''));
        let gives = name.len() < line.len() && name.trim_start().starts_with('=');
        let header = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        gives || header.is_some_and(|(name, _)| !name.is_empty() && !name.contains(['"', ',']))
    })
}

fn is_haproxy(first: &str, word: &str) -> bool {
    const SECTIONS: [&str; 9] = [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "userlist",
        "cache",
    ];
    SECTIONS.contains(&word) && first.split_whitespace().all(|part| part.chars().all(is_word))
}

fn is_nginx(first: &str, word: &str) -> bool {
    const BLOCKS: [&str; 9] =
        ["events", "http", "location", "mail", "map", "server", "stream", "types", "upstream"];
    first.ends_with(';') || (first.ends_with('{') && BLOCKS.contains(&word))
}

fn is_yaml(first: &str) -> bool {
    let entry = first.trim_start_matches("- ");
    let key = entry.split(':').next().unwrap_or_default();
    let value = entry.get(key.len() + 1..).unwrap_or_default();
    let is_key = |letter: char| is_word(letter) || matches!(letter, '"' | '\'' | '/');
    (entry.len() < first.len() || entry.contains(':'))
        && !key.is_empty()
        && key.chars().all(is_key)
        && (value.is_empty() || value.starts_with(' '))
}

const fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_recognised_by_their_first_line() {
        for (text, format) in [
            ("{\"listen\": []}", Format::Json),
            ("{\n  \"listen\": []\n}\n", Format::Json),
            ("// c\n[\n  {\"a\": 1}\n]", Format::Json),
            ("[{\"a\": 1}]", Format::Json),
            ("{}", Format::Json),
            ("---\nroutes: []\n", Format::Yaml),
            ("routes:\n  -\n    uri: /hi\n#END\n", Format::Yaml),
            ("# c\n\nstatic_resources:\n  listeners:\n  - name: a\n", Format::Yaml),
            ("- a: 1\n", Format::Yaml),
            ("uri: /hi\n", Format::Yaml),
            ("user nginx;\nworker_processes auto;\n", Format::Nginx),
            ("# c\nserver {\n  listen 443 ssl;\n}\n", Format::Nginx),
            ("http {\n", Format::Nginx),
            ("upstream a {\n", Format::Nginx),
            ("global\n    maxconn 100\n\ndefaults\n    mode http\n", Format::Haproxy),
            ("frontend www\n    bind *:80\n", Format::Haproxy),
            ("example.com {\n\treverse_proxy localhost:9000\n}\n", Format::Caddyfile),
            ("{\n\temail a@b.test\n}\n", Format::Caddyfile),
            (":443 {\n", Format::Caddyfile),
            ("<VirtualHost *:443>\n", Format::Markup),
            ("<?xml version=\"1.0\"?>\n", Format::Markup),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", Format::Pem),
            ("\u{feff}{\"listen\": []}", Format::Json),
            ("a\0 \0=\0 \x001\0", Format::Utf16),
            ("a = 1\nxxxxxxxxxxxxxxxxx\0", Format::Binary),
        ] {
            assert_eq!(of_text(text), Some(format), "{text:?}");
        }
        for (bytes, format) in [
            (&b"\xff\xfea\0"[..], Some(Format::Utf16)),
            (b"\x30\x82\x01\xff", Some(Format::Der)),
            (b"\x1f\x8b\x08\xff", Some(Format::Archive)),
            (b"\x7fELF\xff\0", Some(Format::Binary)),
            (b"# Gr\xf6\xdfe\n", None),
        ] {
            assert_eq!(of_bytes(bytes), format, "{bytes:?}");
        }
    }

    /// Whoever writes TOML is told where the mistake is.
    #[test]
    fn toml_with_a_mistake_stays_toml() {
        for text in [
            "",
            "# nothing\n",
            "listen = [\n",
            "listen: x\n[[routes]]\n",
            "listen:\n  address = '0.0.0.0:80'\n",
            "[[listen]\naddress = 'x'\n",
            "[listen\naddress = 'x'\n",
            "[\"a\"]\nb = \n",
            "address '0.0.0.0:80'\ntls = true\n",
            "a = {\n",
            "server = {\n",
            "global = \n",
            "'a' = \n",
        ] {
            assert_eq!(of_text(text), None, "{text:?}");
        }
    }
}
