//! Asks a gateway what a case asks.

use std::io;
use std::process::Command;
use std::time::Duration;

use ferrule_tests::{Message, raw};
use serde_json::Value;

use crate::case::{Case, Kind};
use crate::compare::{Answer, body_fault, fault};
use crate::gateway::{Gateway, Outcome, said};
use crate::transcript;

/// As long as a client of the suite's waits.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn play(case: &Case, gateway: &Gateway) -> Outcome {
    match case.kind {
        Kind::Request => {
            let request = case.request.as_str().unwrap_or_default();
            judged(case, &[ask(&written(request, &case.more_headers, true), gateway)])
        }
        Kind::Raw => {
            let request = case.request.as_str().unwrap_or_default();
            judged(case, &[ask(request.as_bytes(), gateway)])
        }
        Kind::Sequence => {
            let all = case.request.as_array().expect("a list of requests");
            let requests = all.iter().filter_map(Value::as_str);
            let answers: Vec<Answer> = requests
                .map(|request| ask(&written(request, &case.more_headers, true), gateway))
                .collect();
            judged(case, &answers)
        }
        Kind::Curl => curl(case, gateway),
        Kind::Tls => transcript::play(case, gateway),
    }
}

fn judged(case: &Case, answers: &[Answer]) -> Outcome {
    let seen: Vec<String> = answers
        .iter()
        .map(|answer| format!("{}\n{}\n{}", answer.status, answer.fields, answer.body))
        .collect();
    let fault = fault(case, answers);
    Outcome { fault, seen: seen.join("\n---\n"), configuration: String::new() }
}

/// The bytes of `GET /path HTTP/1.1`, or `POST /path` with a body in the lines behind it.
fn written(request: &str, more: &str, close: bool) -> Vec<u8> {
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    let line = line.trim_end();
    let version = if line.contains(" HTTP/") { "" } else { " HTTP/1.1" };
    let has = |name: &str| {
        more.lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(field, _)| field.trim().eq_ignore_ascii_case(name))
    };
    let mut head = format!("{line}{version}\r\n");
    let mut add = |name: &str, value: &str| {
        if !has(name) {
            head.extend([name, ": ", value, "\r\n"]);
        }
    };
    add("Host", "localhost");
    if close {
        add("Connection", "close");
    }
    if !body.is_empty() {
        add("Content-Length", &body.len().to_string());
    }
    for line in more.lines().filter(|line| !line.trim().is_empty()) {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

/// One request on a connection of its own.
fn ask(bytes: &[u8], gateway: &Gateway) -> Answer {
    let exchange = || -> io::Result<Message> {
        let mut raw = raw::try_plain(gateway.ports.ours(1984))?;
        if let raw::Line::Plain(socket) = &raw.stream {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        raw.send(bytes)?;
        raw.response(if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" })
    };
    exchange().map_or_else(
        |error| Answer { body: format!("({error})"), ..Answer::default() },
        |message| answer(&message, gateway),
    )
}

pub(crate) fn answer(message: &Message, gateway: &Gateway) -> Answer {
    let fields = message.head.raw.split("\r\n").skip(1).collect::<Vec<_>>().join("\n");
    Answer {
        status: message.status().to_string(),
        fields: gateway.ports.back(&fields),
        body: gateway.ports.back(&message.text()),
    }
}

/// A command line, with curl led to this gateway whatever host it names.
fn curl(case: &Case, gateway: &Gateway) -> Outcome {
    let command = case.request.as_str().unwrap_or_default();
    let home = gateway.dir.join("curl");
    std::fs::create_dir_all(&home).expect("a writable directory");
    let rc = "connect-to = \"::127.0.0.1:\"\nnoproxy = \"*\"\nmax-time = 10\nno-progress-meter\n";
    std::fs::write(home.join(".curlrc"), rc).expect("a writable directory");
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(gateway.ports.forth(command)).current_dir(&gateway.dir);
    let done = shell.env("CURL_HOME", &home).output().expect("bash");
    let body = gateway.ports.back(&String::from_utf8_lossy(&done.stdout));
    Outcome {
        fault: body_fault(case, &body),
        seen: gateway.ports.back(&said(&done)),
        configuration: String::new(),
    }
}
