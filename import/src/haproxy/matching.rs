//! One test of an ACL: what is looked at, how, and which patterns match.

use std::ops::Range;

use toml::Value as Toml;

use crate::fields;
use crate::pcre;
use crate::report::Kind;
use crate::work::Work;

use super::condition::AclCondition;
use super::sample::{Asks, FrontScene, SampleExpression, is_attribute};
use super::words::ConfigLine;

/// How a pattern is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PatternMethod {
    Exact,
    Begins,
    Ends,
    Within,
    Regex,
    Found,
}

/// AclPatterns and how they are compared.
struct AclPatterns {
    method: PatternMethod,
    ignore_case: bool,
    list: Vec<String>,
}

const SUFFIXES: [(&str, PatternMethod); 5] = [
    ("_beg", PatternMethod::Begins),
    ("_end", PatternMethod::Ends),
    ("_sub", PatternMethod::Within),
    ("_reg", PatternMethod::Regex),
    ("_str", PatternMethod::Exact),
];

const VERIFY_IS_ZERO: &str = "`ssl_c_verify` is 0 for a client without a certificate, too: this test holds for \
                              everybody. To demand a certificate, write `ssl_c_used` beside it, or `verify required`";

const EMPTY: &str = "a value without letters is none here, and HAProxy looks at it: ask for one letter at least \
                     (`-m reg .`)";

const FLAG: &str = "HAProxy overlooks what stands behind a flag: write nothing there, and `!` in front of the test for \
                    its opposite";

/// The words in `range`: `FETCH [flags] patterns`. `None` if they are refused.
pub(super) fn test(
    line: &ConfigLine,
    range: Range<usize>,
    scene: FrontScene,
    work: &Work,
) -> Option<AclCondition> {
    let start = range.start;
    match read(line, range, scene, work) {
        Ok(condition) => Some(condition),
        Err(message) => {
            line.refuse(work, start, message);
            None
        }
    }
}

fn read(
    line: &ConfigLine,
    range: Range<usize>,
    scene: FrontScene,
    work: &Work,
) -> Result<AclCondition, String> {
    if range.is_empty() {
        return Err(String::from("a test is missing here"));
    }
    let mut sample = SampleExpression::parse(line.word(range.start))?;
    let mut method = PatternMethod::Exact;
    for (suffix, with) in SUFFIXES {
        if let Some(name) = sample.name.strip_suffix(suffix) {
            sample.name = name.to_owned();
            method = with;
        }
    }
    let words = range.skip(1).map(|at| line.word(at));
    let patterns = patterns(words, method)?;
    if patterns.method == PatternMethod::Regex && patterns.list.iter().any(String::is_empty) {
        return Err(String::from("an empty expression"));
    }
    if patterns.method == PatternMethod::Regex
        && let Some(why) = patterns.list.iter().find_map(|pattern| pcre::differs(pattern))
    {
        return Err(String::from(why));
    }
    sample.understood()?;
    let found = judge(&sample, &patterns, scene, line, work)?;
    // Without TLS there is no value, and no test of one holds, whatever it asks for.
    let of_tls = sample.name.starts_with("ssl_c_") || sample.name.starts_with("ssl_fc_");
    Ok(if of_tls && scene.tls == Some(false) { AclCondition::Constant(false) } else { found })
}

fn patterns<'w>(
    words: impl Iterator<Item = &'w str>,
    method: PatternMethod,
) -> Result<AclPatterns, String> {
    let mut patterns = AclPatterns { method, ignore_case: false, list: Vec::new() };
    let mut flags = true;
    let mut words = words;
    while let Some(word) = words.next() {
        match word {
            "--" if flags => flags = false,
            "-i" if flags => patterns.ignore_case = true,
            "-m" if flags => {
                patterns.method = match words.next().unwrap_or_default() {
                    "str" => PatternMethod::Exact,
                    "beg" => PatternMethod::Begins,
                    "end" => PatternMethod::Ends,
                    "sub" => PatternMethod::Within,
                    "reg" => PatternMethod::Regex,
                    "found" => PatternMethod::Found,
                    other => return Err(format!("`-m {other}` is not converted")),
                };
            }
            "-f" if flags => {
                return Err(String::from(
                    "patterns in a file (`-f`) are not read: write them here",
                ));
            }
            flag if flags && flag.starts_with('-') && flag.len() > 1 => {
                return Err(format!("`{flag}` is not converted"));
            }
            pattern => {
                flags = false;
                patterns.list.push(pattern.to_owned());
            }
        }
    }
    Ok(patterns)
}

fn judge(
    sample: &SampleExpression,
    patterns: &AclPatterns,
    scene: FrontScene,
    line: &ConfigLine,
    work: &Work,
) -> Result<AclCondition, String> {
    let converters: Vec<&str> = sample.converters.iter().map(String::as_str).collect();
    let name = sample.name.as_str();
    if let ("hdr" | "req.hdr" | "req.fhdr", "host") = (name, sample.argument().as_str()) {
        if !matches!(converters.as_slice(), [] | ["lower" | "field(1,:)"] | ["field(1,:)", "lower"])
        {
            return Err(format!("converters behind `{name}(host)` are not known here"));
        }
        return host("host", patterns);
    }
    match (name, converters.as_slice()) {
        ("always_true" | "always_false", []) => {
            let known = AclCondition::Constant(name == "always_true");
            return flag(patterns, None, &known);
        }
        ("ssl_c_sha1", ["hex"] | ["hex", "lower"]) => {
            return fingerprint(patterns, converters.len() == 1);
        }
        ("ssl_c_serial", ["hex"]) => return text("ssl_client_serial", patterns),
        (_, ["lower"]) if name == "path" => {
            let list = patterns.list.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
            return text("uri", &AclPatterns { ignore_case: true, list, ..*patterns });
        }
        (_, []) => {}
        _ => return Err(format!("converters behind `{name}` are not known here")),
    }
    let argument = sample.argument();
    match name {
        "path" => text("uri", patterns),
        "method" => text("request_method", patterns),
        "ssl_fc_sni" => host("ssl_server_name", patterns),
        "ssl_c_s_dn" if sample.arguments.len() == 1 && is_attribute(&argument) => {
            text(&format!("ssl_client_s_dn_{argument}"), patterns)
        }
        "hdr" | "req.hdr" if is_name(&argument) => header(&argument, patterns),
        "req.fhdr" if is_name(&argument) => text(&http(&argument), filled(patterns)?),
        "url_param" | "urlp" if is_name(&argument) => {
            let name = sample.arguments.concat();
            text(&format!("arg_{name}"), filled(patterns)?)
        }
        "cook" | "req.cook" if is_name(&argument) => {
            let name = sample.arguments.concat();
            text(&format!("cookie_{name}"), filled(patterns)?)
        }
        "src" => addresses("remote_addr", patterns),
        "dst_port" => port(patterns),
        "ssl_fc" => flag(patterns, scene.tls, &AclCondition::test("scheme", "==", "https")),
        "ssl_c_used" => {
            let known = match scene.asks {
                Asks::Never => Some(false),
                Asks::Required if scene.tls == Some(true) => Some(true),
                _ => None,
            };
            flag(patterns, known, &AclCondition::test("ssl_client_verify", "==", "SUCCESS"))
        }
        "ssl_fc_has_sni" => {
            let known = scene.tls.filter(|tls| !tls);
            flag(patterns, known, &AclCondition::test("ssl_server_name", "~~", "."))
        }
        "ssl_c_verify" => verdict(patterns, scene, line, work),
        _ => Err(format!("`{name}` is not converted")),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn http(name: &str) -> String {
    format!("http_{}", name.replace('-', "_"))
}

/// A flag, known or not. HAProxy compares it with nothing.
fn flag(
    patterns: &AclPatterns,
    known: Option<bool>,
    test: &AclCondition,
) -> Result<AclCondition, String> {
    let list: Vec<&str> = patterns.list.iter().map(String::as_str).collect();
    if patterns.method != PatternMethod::Exact || !matches!(list.as_slice(), [] | ["1"]) {
        return Err(String::from(FLAG));
    }
    Ok(known.map_or_else(|| test.clone(), AclCondition::Constant))
}

/// Patterns for a value that a client may send empty: HAProxy finds it, and here it is none.
fn filled(patterns: &AclPatterns) -> Result<&AclPatterns, String> {
    let empty = |pattern: &String| match patterns.method {
        PatternMethod::Regex => pcre::takes_nothing(pattern),
        _ => pattern.is_empty(),
    };
    if patterns.method == PatternMethod::Found || patterns.list.iter().any(empty) {
        return Err(String::from(EMPTY));
    }
    Ok(patterns)
}

/// Ports one by one: ranges and comparisons would be compared as text.
fn port(patterns: &AclPatterns) -> Result<AclCondition, String> {
    let is_port = |pattern: &String| {
        pattern.parse::<u16>().is_ok_and(|number| number.to_string() == *pattern)
    };
    if patterns.method != PatternMethod::Exact || !patterns.list.iter().all(is_port) {
        return Err(String::from(
            "ports are compared one by one: write each (`dst_port 80 8080`), without ranges and `gt`",
        ));
    }
    text(
        "server_port",
        &AclPatterns { ignore_case: false, list: patterns.list.clone(), ..*patterns },
    )
}

/// `ssl_c_verify`: whose handshake came about has 0, whether or not it showed a certificate.
fn verdict(
    patterns: &AclPatterns,
    scene: FrontScene,
    line: &ConfigLine,
    work: &Work,
) -> Result<AclCondition, String> {
    if patterns.method != PatternMethod::Exact {
        return Err(String::from("`ssl_c_verify` is a number, and compared as one"));
    }
    if scene.tls.is_none() {
        return Err(String::from(
            "`ssl_c_verify` has a value with TLS only, and here both may come",
        ));
    }
    let (operator, numbers) = match patterns.list.split_first() {
        Some((word, rest)) if matches!(word.as_str(), "eq" | "ne" | "gt" | "ge" | "lt" | "le") => {
            (word.as_str(), rest)
        }
        _ => ("eq", patterns.list.as_slice()),
    };
    let numbers: Result<Vec<i64>, _> = numbers.iter().map(|number| number.parse()).collect();
    let Ok(numbers) = numbers else {
        return Err(String::from("`ssl_c_verify` is a number"));
    };
    if numbers.is_empty() {
        return Err(String::from("`ssl_c_verify` needs a number"));
    }
    let holds = numbers.iter().any(|number| match operator {
        "ne" => *number != 0,
        "gt" => 0 > *number,
        "ge" => 0 >= *number,
        "lt" => 0 < *number,
        "le" => 0 <= *number,
        _ => *number == 0,
    });
    if scene.asks != Asks::Required && scene.tls == Some(true) {
        line.say(work, Kind::Security, 0, VERIFY_IS_ZERO);
    }
    Ok(AclCondition::Constant(holds))
}

fn fingerprint(patterns: &AclPatterns, upper: bool) -> Result<AclCondition, String> {
    let wrong = |pattern: &String| {
        pattern
            .bytes()
            .any(|byte| if upper { byte.is_ascii_lowercase() } else { byte.is_ascii_uppercase() })
    };
    if patterns.method != PatternMethod::Exact {
        return Err(String::from("a fingerprint is compared as a whole"));
    }
    if !patterns.ignore_case && patterns.list.iter().any(wrong) {
        return Err(String::from("this fingerprint is in the other case, and never matches"));
    }
    let list = patterns.list.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    text("ssl_client_fingerprint", &AclPatterns { ignore_case: false, list, ..*patterns })
}

fn addresses(variable: &str, patterns: &AclPatterns) -> Result<AclCondition, String> {
    if patterns.list.is_empty() || patterns.method != PatternMethod::Exact {
        return Err(String::from("addresses or networks are needed"));
    }
    let list = patterns.list.iter().map(|pattern| fields::network(pattern)).collect();
    Ok(AclCondition::test(variable, "ipmatch", Toml::Array(list)))
}

/// A name: it has no port and no upper case here.
fn host(variable: &str, patterns: &AclPatterns) -> Result<AclCondition, String> {
    if patterns.method != PatternMethod::Regex
        && patterns.list.iter().any(|pattern| pattern.contains(':'))
    {
        return Err(String::from("a host is compared without its port: write it without"));
    }
    // A server name is never empty; the field `Host` may be.
    let patterns = if variable == "host" { filled(patterns)? } else { patterns };
    let regex = patterns.method == PatternMethod::Regex;
    let list = patterns
        .list
        .iter()
        .map(|pattern| if regex { pattern.clone() } else { pattern.to_ascii_lowercase() })
        .collect();
    text(variable, &AclPatterns { method: patterns.method, ignore_case: regex, list })
}

/// A header, of whose values, with commas between them, one has to match.
fn header(name: &str, patterns: &AclPatterns) -> Result<AclCondition, String> {
    let variable = http(name);
    let inner = match filled(patterns)?.method {
        PatternMethod::Exact if patterns.list.iter().any(|pattern| pattern.contains(',')) => {
            return Err(format!(
                "`hdr({name})` is cut at commas, so no value of it holds one; `req.fhdr` compares the whole"
            ));
        }
        PatternMethod::Exact => alternatives(patterns)?,
        _ => {
            return Err(format!(
                "of `hdr({name})` whole values are compared; `req.fhdr` looks within"
            ));
        }
    };
    let expression = format!(r"(?:^|,)[ \t]*{inner}[ \t]*(?:,|$)");
    Ok(AclCondition::test(&variable, operator(patterns), fields::plain(&expression)))
}

const fn operator(patterns: &AclPatterns) -> &'static str {
    if patterns.ignore_case { "~*" } else { "~~" }
}

fn alternatives(patterns: &AclPatterns) -> Result<String, String> {
    if patterns.list.is_empty() {
        return Err(String::from("a pattern is missing"));
    }
    let list: Vec<String> = patterns.list.iter().map(|pattern| escaped(pattern)).collect();
    Ok(format!("(?:{})", list.join("|")))
}

/// Text as an expression that matches it alone.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for mark in text.chars() {
        if r"\.+*?()|[]{}^$".contains(mark) {
            out.push('\\');
        }
        out.push(mark);
    }
    out
}

fn text(variable: &str, patterns: &AclPatterns) -> Result<AclCondition, String> {
    let expression = match patterns.method {
        PatternMethod::Found => {
            if !patterns.list.is_empty() {
                return Err(String::from("`-m found` has no patterns"));
            }
            return Ok(AclCondition::test(variable, "~~", "."));
        }
        PatternMethod::Exact if !patterns.ignore_case => return exact(variable, patterns),
        PatternMethod::Exact => format!("^{}$", alternatives(patterns)?),
        PatternMethod::Begins => format!("^{}", alternatives(patterns)?),
        PatternMethod::Ends => format!("{}$", alternatives(patterns)?),
        PatternMethod::Within => alternatives(patterns)?,
        PatternMethod::Regex => {
            if patterns.list.is_empty() {
                return Err(String::from("an expression is missing"));
            }
            let each = |pattern: &String| {
                AclCondition::test(variable, operator(patterns), fields::plain(pattern))
            };
            return Ok(AclCondition::Any(patterns.list.iter().map(each).collect()));
        }
    };
    Ok(AclCondition::test(variable, operator(patterns), fields::plain(&expression)))
}

fn exact(variable: &str, patterns: &AclPatterns) -> Result<AclCondition, String> {
    let list: Vec<Toml> = patterns.list.iter().map(|pattern| fields::plain(pattern)).collect();
    match list.as_slice() {
        [] => Err(String::from("a pattern is missing")),
        [one] => Ok(AclCondition::test(variable, "==", one.clone())),
        _ => Ok(AclCondition::test(variable, "in", Toml::Array(list))),
    }
}
