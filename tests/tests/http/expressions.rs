//! Conditions against the rules of lua-resty-expr, taken from its source (v1.lua: `compare_funcs`): every value
//! with every operator and every operand. Where the two differ is what docs/routing.md says, and nothing else.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::path::Path;

use ferrule_engine::plan::facts::{ConnectionFacts, Now, RequestFacts};
use ferrule_engine::plan::{Facts, Plan};
use ferrule_engine::wire::head::{RequestHead, parse_request};
use ferrule_engine::wire::target;

/// What stands on the right of an operator.
#[derive(Clone, Copy, Debug)]
enum Operand {
    Number(f64),
    Text(&'static str),
    List(&'static [Self]),
}

use Operand::{List, Number, Text};

const VALUES: [Option<&str>; 17] = [
    None,
    Some(""),
    Some("0"),
    Some("1"),
    Some("1.0"),
    Some(" 1 "),
    Some("10"),
    Some("9"),
    Some("-1"),
    Some("1e1"),
    Some("1x"),
    Some("abc"),
    Some("ABC"),
    Some("a,b"),
    Some("0x10"),
    Some("inf"),
    Some("xabcx"),
];

fn operands(operator: &str) -> &'static [Operand] {
    match operator {
        "==" | "~=" => &[Number(1.0), Number(10.0), Number(16.0), Text("1"), Text("abc"), Text("")],
        "~~" | "~*" => {
            &[Text("^a"), Text("abc"), Text("^[0-9]+$"), Text("C$"), Text("b|1"), Text("x*")]
        }
        "in" => &[
            List(&[Text("1"), Text("abc")]),
            List(&[Text(""), Text("x")]),
            List(&[Number(1.0), Text("ABC")]),
        ],
        _ => &[Number(1.0), Number(9.5), Number(-2.0), Text("10")],
    }
}

/// `tonumber` of a text, as LuaJIT reads the values above.
fn lua_number(text: &str) -> Option<f64> {
    match text.trim() {
        "inf" => Some(f64::INFINITY),
        "0x10" => Some(16.0),
        text => text.parse().ok(),
    }
}

/// Do PCRE and Lua find this in that? The expressions above need no more than this.
fn found(text: &str, expression: &str, ignore_case: bool) -> bool {
    let text = if ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
    let wanted = if ignore_case { expression.to_ascii_lowercase() } else { expression.to_owned() };
    match wanted.as_str() {
        "^a" => text.starts_with('a'),
        "abc" => text.contains("abc"),
        "^[0-9]+$" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        "c$" => text.ends_with('c'),
        "C$" => text.ends_with('C'),
        "b|1" => text.contains(['b', '1']),
        "x*" => true,
        other => panic!("{other}"),
    }
}

fn lua(value: Option<&str>, operator: &str, operand: Operand) -> bool {
    let number = || value.and_then(lua_number);
    let right = match operand {
        Number(number) => Some(number),
        Text(text) => lua_number(text),
        List(_) => None,
    };
    match (operator, operand) {
        ("==", Number(wanted)) => number() == Some(wanted),
        ("==", Text(wanted)) => value == Some(wanted),
        ("~=", _) => !lua(value, "==", operand),
        (">", _) => number() > right && number().is_some(),
        (">=", _) => number() >= right && number().is_some(),
        ("<", _) => number() < right && number().is_some(),
        ("<=", _) => number() <= right && number().is_some(),
        ("~~", Text(text)) => value.is_some_and(|value| found(value, text, false)),
        ("~*", Text(text)) => value.is_some_and(|value| found(value, text, true)),
        ("in", List(list)) => {
            list.iter().any(|one| matches!(one, Text(text) if value == Some(text)))
        }
        other => panic!("{other:?}"),
    }
}

/// Why it is another answer here; `None` if it is the same.
fn differs(value: Option<&str>, operator: &str, operand: Operand) -> Option<&'static str> {
    match (value, operator, operand) {
        (None, "==" | "~=", Text("")) => Some("what is not there is empty"),
        (None, "in", List(list)) if list.iter().any(|one| matches!(one, Text(""))) => {
            Some("what is not there is empty")
        }
        (Some(""), "~~" | "~*", Text("x*")) => Some("nothing is found in what is empty"),
        (Some("1"), "in", List([Number(_), ..])) => Some("numbers in a list are texts"),
        (Some("0x10"), "==" | "~=", Number(wanted)) if wanted > 15.0 => Some("no hexadecimal"),
        (Some("0x10"), ">" | ">=", _) => Some("no hexadecimal"),
        (Some("inf"), ">" | ">=", _) => Some("no infinity"),
        _ => None,
    }
}

fn toml(operand: Operand) -> String {
    match operand {
        Number(number) => format!("{number:?}"),
        Text(text) => format!("'{text}'"),
        List(list) => {
            let items: Vec<String> = list.iter().map(|one| toml(*one)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// Does the only route's condition hold for this value of `arg_v`?
fn holds(plan: &Plan, value: Option<&str>) -> bool {
    let mut line = "GET /".to_owned();
    if let Some(value) = value {
        line.push_str("?v=");
        for byte in value.bytes() {
            write!(line, "%{byte:02x}").unwrap();
        }
    }
    let head = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
    let buf = head.as_bytes();
    let mut parsed = RequestHead::default();
    parse_request(buf, buf.len(), plan.head_limits(), &mut parsed).unwrap();
    let request = parsed.view(buf);
    let target = target::request_target(request).unwrap();
    let connection = ConnectionFacts::default();
    let facts = Facts {
        connection: &connection,
        session: None,
        client: None,
        request: Some(RequestFacts {
            head: request,
            target: Some(&target),
            host: b"h",
            path: b"/",
            captures: None,
            route_id: "",
        }),
        now: Now { unix_seconds: 0, millis: 0, http_date: "", local: "", iso8601: "" },
        log: None,
        request_ids: None,
    };
    plan.routes()[0].when.as_ref().unwrap().holds(&facts, &mut Vec::new())
}

fn plan(vars: &str) -> Plan {
    let text = format!(
        "listen = [{{ address = '127.0.0.1:8080' }}]\n[[routes]]\nuri = '/*'\nvars = {vars}\n\
         upstream.nodes = {{ '127.0.0.1:1' = 1 }}\n"
    );
    let read = ferrule_config::read_text(Path::new("/ferrule.toml"), text, &|_| None);
    let draft = read.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    Plan::build(&draft.config)
}

#[test]
fn every_value_with_every_operator_and_operand() {
    let mut differences = 0;
    for operator in ["==", "~=", ">", ">=", "<", "<=", "~~", "~*", "in"] {
        for operand in operands(operator) {
            let right = toml(*operand);
            let plain = plan(&format!("[['arg_v', '{operator}', {right}]]"));
            let negated = plan(&format!("[['arg_v', '!', '{operator}', {right}]]"));
            for value in VALUES {
                let (theirs, ours) = (lua(value, operator, *operand), holds(&plain, value));
                let why = differs(value, operator, *operand);
                differences += usize::from(why.is_some());
                let said =
                    format!("{value:?} {operator} {right}: {theirs} there, {ours} here ({why:?})");
                assert_eq!(theirs != ours, why.is_some(), "{said}");
                assert_eq!(holds(&negated, value), !ours, "! {said}");
            }
        }
    }
    assert!(differences > 10, "what is documented was met: {differences}");
}

/// `AND`, `OR` and their opposites, two deep, for every truth of three tests.
#[test]
fn joints_are_those_of_logic() {
    let test = |name: &str| format!("['arg_v', '~~', '{name}']");
    let [a, b, c] = ["a", "b", "c"].map(test);
    let all = ["", "a", "b", "c", "ab", "ac", "bc", "abc"];
    for outer in ["AND", "OR", "!AND", "!OR", "and", "!or"] {
        for inner in ["AND", "OR", "!AND", "!OR"] {
            let nested = plan(&format!("[['{outer}', ['{inner}', {a}, {b}], {c}]]"));
            // A joint may be the whole list.
            let bare = plan(&format!("['{outer}', ['{inner}', {a}, {b}], {c}]"));
            for value in all {
                let has = |letter: char| value.contains(letter);
                let join = |joint: &str, one: bool, two: bool| match joint.to_uppercase().as_str() {
                    "AND" => one && two,
                    "OR" => one || two,
                    "!AND" => !(one && two),
                    _ => !(one || two),
                };
                let wanted = join(outer, join(inner, has('a'), has('b')), has('c'));
                assert_eq!(holds(&nested, Some(value)), wanted, "{outer} {inner} {value}");
                assert_eq!(holds(&bare, Some(value)), wanted, "{outer} {inner} {value}");
            }
        }
    }
}
