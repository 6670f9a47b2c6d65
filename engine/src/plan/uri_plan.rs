//! Templates of paths and of `Location`, compiled; and how what a client wrote is encoded in them.
//!
//! In: a checked template, and what is known of the request. Out: bytes that are fit for a request line or a
//! field. What a client chose is data: it ends neither the path nor the query nor the line, and makes no
//! fragment. Escapes that the normal form of a path keeps are kept, so that what was one byte of data stays one.

use ferrule_config::capture_pattern::{CaptureMemory, CapturePattern, PatternGroup};
use ferrule_config::model::UriRule;
use ferrule_config::template::{Piece, Template as Written, Variable};
use ferrule_config::uri_template::{UriPiece, UriTemplate};

use super::captures::Captures;
use super::facts::Facts;
use super::template::{Compiler, Template, render};
use crate::wire::hex;

/// A compiled template of a URI.
#[derive(Debug)]
pub struct UriPlan {
    parts: Box<[UriPart]>,
    /// Does the client's query belong behind it?
    pub keeps_query: bool,
    /// Does the request's host stand in it?
    pub needs_host: bool,
}

#[derive(Debug)]
enum UriPart {
    Text(Box<[u8]>),
    /// `$uri`
    Path,
    /// `$request_uri`
    Target,
    /// `$args`
    Query,
    Group(usize),
    /// What holds no byte that needs an escape.
    Plain(Template),
    Value(Template),
    /// A part of a path, escaped as that is.
    Segment(Template),
}

/// An expression, and what stands in the place of its match.
#[derive(Debug)]
pub struct UriRulePlan {
    pattern: CapturePattern,
    to: UriPlan,
    /// The variables that its groups are.
    groups: Box<[GroupVariable]>,
}

/// A group of an expression as a variable.
#[derive(Debug)]
struct GroupVariable {
    /// The name of the variable.
    name: Box<[u8]>,
    group: usize,
}

/// How far what a client wrote is trusted to be escaped already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UriEscapes {
    /// Escapes stay what they are.
    Keep,
    /// Every `%` and `?` is data.
    Again,
}

/// Memory that templates are rendered with; reused, so that it allocates only to grow.
#[derive(Debug, Default)]
pub struct UriMemory {
    value: Vec<u8>,
    captures: CaptureMemory,
}

/// What an expression has matched, and where its groups are in that.
#[derive(Clone, Copy)]
struct MatchedGroups<'a> {
    text: &'a [u8],
    captures: &'a CaptureMemory,
}

impl UriPlan {
    pub(super) fn build(template: &UriTemplate, compiler: &mut Compiler) -> Self {
        let mut pieces = template.pieces.clone();
        let mut drops_query = false;
        if let Some(UriPiece::Text(last)) = pieces.last_mut()
            && last.ends_with('?')
        {
            // As nginx has it: what ends with `?` takes no query along.
            drops_query = true;
            last.pop();
        }
        let has = |wanted: &Variable| {
            pieces.iter().any(|piece| matches!(piece, UriPiece::Variable(one) if one == wanted))
        };
        let hosts = [Variable::Host, Variable::Http("host".to_owned())];
        let keeps_query = !drops_query && !has(&Variable::Args) && !has(&Variable::RequestUri);
        let needs_host = hosts.iter().any(has);
        let parts = pieces.iter().map(|piece| UriPart::build(piece, compiler)).collect();
        Self { parts, keeps_query, needs_host }
    }

    /// Appends the text. True if a query has begun.
    fn render(
        &self,
        facts: &Facts<'_>,
        escapes: UriEscapes,
        groups: MatchedGroups<'_>,
        value: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut in_query = false;
        for part in &self.parts {
            match part {
                UriPart::Text(text) => {
                    in_query |= text.contains(&b'?');
                    out.extend_from_slice(text);
                }
                UriPart::Path => put_path(path(facts), in_query, escapes, out),
                UriPart::Group(number) => {
                    let group = groups.captures.group(*number);
                    let group = group.and_then(|range| groups.text.get(range));
                    put_path(group.unwrap_or_default(), in_query, escapes, out);
                }
                UriPart::Target if in_query || escapes == UriEscapes::Again => {
                    put_value(target(facts), in_query, out);
                }
                UriPart::Target => {
                    let target = target(facts);
                    in_query |= target.contains(&b'?');
                    out.extend_from_slice(target);
                }
                UriPart::Query if escapes == UriEscapes::Again || !in_query => {
                    put_value(query(facts), in_query, out);
                }
                UriPart::Query => out.extend_from_slice(query(facts)),
                UriPart::Plain(template) => render(template, facts, out),
                UriPart::Value(template) => {
                    value.clear();
                    render(template, facts, value);
                    put_value(value, in_query, out);
                }
                UriPart::Segment(template) => {
                    value.clear();
                    render(template, facts, value);
                    put_path(value, in_query, escapes, out);
                }
            }
        }
        in_query
    }

    /// Appends the text for a request.
    pub fn append(
        &self,
        facts: &Facts<'_>,
        escapes: UriEscapes,
        memory: &mut UriMemory,
        out: &mut Vec<u8>,
    ) {
        let UriMemory { value, captures } = memory;
        self.render(facts, escapes, MatchedGroups { text: &[], captures }, value, out);
    }
}

impl UriPart {
    fn build(piece: &UriPiece, compiler: &mut Compiler) -> Self {
        let variable = match piece {
            UriPiece::Text(text) => return Self::Text(text.as_bytes().into()),
            UriPiece::Group(number) => return Self::Group(*number),
            UriPiece::Variable(variable) => variable,
        };
        let mut compiled = || {
            let pieces = vec![Piece::Variable(variable.clone())];
            compiler.compile_unescaped(&Written { pieces })
        };
        match variable {
            Variable::Uri => Self::Path,
            Variable::RequestUri => Self::Target,
            Variable::Args => Self::Query,
            Variable::Host | Variable::Scheme | Variable::ServerPort => Self::Plain(compiled()),
            Variable::Http(name) if name == "host" => Self::Plain(compiled()),
            Variable::UriParam(_) => Self::Segment(compiled()),
            _ => Self::Value(compiled()),
        }
    }
}

impl UriRulePlan {
    pub(super) fn build_all(rules: &[UriRule], compiler: &mut Compiler) -> Box<[Self]> {
        let rules = rules.iter().map(|rule| Self {
            pattern: rule.pattern.clone(),
            to: UriPlan::build(&rule.to, compiler),
            groups: group_variables(&rule.pattern),
        });
        rules.collect()
    }

    /// Notes what its groups hold of the path in which it was found.
    fn note_groups(&self, text: &[u8], memory: &CaptureMemory, captures: &mut Captures) {
        for GroupVariable { name, group } in &self.groups {
            if let Some(part) = memory.group(*group).and_then(|range| text.get(range)) {
                captures.put(name, part);
            }
        }
    }
}

/// `$rewrite_1`, `$rewrite_NAME` and their like.
fn group_variables(pattern: &CapturePattern) -> Box<[GroupVariable]> {
    let variable = |name: &str, group: usize| GroupVariable {
        name: Variable::Rewrite(name.to_owned()).name().into_bytes().into(),
        group,
    };
    let groups = pattern.group_names();
    let variables = groups.flat_map(|PatternGroup { number, name }| {
        let named = name.map(|name| variable(name, number));
        core::iter::once(variable(&number.to_string(), number)).chain(named)
    });
    variables.collect()
}

/// Appends what the first rule that matches makes of the path; that rule's template, if one does. Its groups are noted
/// in `found`.
pub fn append_by_rules<'a>(
    rules: &'a [UriRulePlan],
    facts: &Facts<'_>,
    escapes: UriEscapes,
    memory: &mut UriMemory,
    found: Option<&mut Captures>,
    out: &mut Vec<u8>,
) -> Option<&'a UriPlan> {
    let text = path(facts);
    let UriMemory { value, captures } = memory;
    let rule = rules.iter().find(|rule| rule.pattern.find(text, captures))?;
    if let Some(found) = found {
        rule.note_groups(text, captures, found);
    }
    let matched = captures.group(0)?;
    put_path(text.get(..matched.start)?, false, escapes, out);
    let in_query = rule.to.render(facts, escapes, MatchedGroups { text, captures }, value, out);
    put_path(text.get(matched.end..)?, in_query, escapes, out);
    Some(&rule.to)
}

/// The path in its normal form; `*` stands for no path.
fn path<'a>(facts: &Facts<'a>) -> &'a [u8] {
    let path = facts.request.map(|request| request.path).unwrap_or_default();
    if path.starts_with(b"/") { path } else { b"/" }
}

/// Path and query as they came.
fn target<'a>(facts: &Facts<'a>) -> &'a [u8] {
    let request = facts.request.as_ref();
    let target = request.and_then(|request| {
        let target = request.target?;
        Some(request.head.text(target.path_and_query))
    });
    target.filter(|target| target.starts_with(b"/")).unwrap_or(b"/")
}

/// The query as it came.
pub(crate) fn query<'a>(facts: &Facts<'a>) -> &'a [u8] {
    let request = facts.request.as_ref();
    let query = request.and_then(|request| Some(request.head.text(request.target?.query)));
    query.unwrap_or_default()
}

/// Appends a part of a path's normal form, in which each `%` begins an escape of one byte of data.
fn put_path(text: &[u8], in_query: bool, escapes: UriEscapes, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let escape = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match escape {
            Some(digits) if *byte == b'%' && escapes == UriEscapes::Keep => {
                out.push(b'%');
                out.extend_from_slice(digits);
                rest = behind.get(2..).unwrap_or_default();
                continue;
            }
            _ => put_byte(*byte, in_query, out),
        }
        rest = behind;
    }
}

/// Appends a value, each byte of which is data.
fn put_value(value: &[u8], in_query: bool, out: &mut Vec<u8>) {
    for byte in value {
        put_byte(*byte, in_query, out);
    }
}

/// Escapes whatever is not itself there (RFC 3986, sections 3.3 and 3.4). In a query `&`, `=`, `+` and their like
/// would make another parameter of it.
fn put_byte(byte: u8, in_query: bool, out: &mut Vec<u8>) {
    let plain = match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'/' => true,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
        | b'@' => !in_query,
        _ => false,
    };
    if plain {
        out.push(byte);
    } else {
        let [high, low] = hex::pair(byte, hex::UPPER);
        out.extend_from_slice(&[b'%', high, low]);
    }
}
