//! One case: bytes, a request behind them on the same connection, and one on a fresh connection; then
//! what became of all three.

use std::time::Duration;

use super::line::{End, HOST, read_on};
use super::message::{Kind, Message};
use super::policies;
use super::reading::{self, Found, Rest, ambiguity};
use super::recorder::Script;
use super::stand::Stand;
use super::ways::STRICT;

/// What a proxy did, from good to bad.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    /// Valid, and passed on whole.
    Passed,
    /// Broken, and refused with this status (0: by the end of the connection alone).
    Refused(u16),
    /// Valid, and refused by a documented policy.
    Policy(&'static str),
    /// Valid, and refused with this status.
    ValidRefused(u16),
    /// Broken in a way that every reader reads the same, and passed on in order.
    Repaired(String),
    /// Readable in two ways, and one of them was picked and passed on in order.
    Guessed(String),
    /// Broken bytes were passed on.
    Malformed(String),
    /// Somebody was misled, or could be.
    Dangerous(String),
}

/// One request, or several.
#[derive(Clone, Debug)]
pub(crate) struct RequestCase {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// One request, and what the upstream says to it.
#[derive(Clone, Debug)]
pub(crate) struct AnswerCase {
    pub(crate) name: String,
    pub(crate) method: &'static str,
    pub(crate) old: bool,
    pub(crate) script: Script,
    /// What the script sends altogether, and whether it ends its connection then.
    pub(crate) sent: Vec<u8>,
    pub(crate) ends: bool,
    /// The next request waits until the answer is there, and a little longer.
    pub(crate) gap: bool,
    /// Why it may be refused although it is legal as far as it goes.
    pub(crate) policy: Option<&'static str>,
}

/// How long a proxy may think about a message that is not all there.
const SOON: Duration = Duration::from_millis(60);
/// How long it may take to end a connection that has to end. Peers may wait for the rest of what we
/// know to be broken, and we do not wait for them as long.
const LATER: Duration = Duration::from_secs(4);
const PEERS: Duration = Duration::from_millis(700);

const fn patience(stand: &Stand) -> Duration {
    if stand.is_ferrule() { LATER } else { PEERS }
}

/// What came back on a connection.
struct Heard {
    bytes: Vec<u8>,
    found: Found,
    /// The proxy did not end it by itself.
    held: bool,
    /// It did not end either when we had nothing more to say.
    hung: bool,
}

fn talk(stand: &Stand, pieces: &[&[u8]], kinds: &[Kind], quiet: Duration) -> Heard {
    let mut heard = Vec::new();
    let Ok(mut stream) = stand.keys.connect(stand.port) else {
        let found = Found { messages: Vec::new(), rest: Rest::Clean };
        return Heard { bytes: heard, found, held: true, hung: true };
    };
    for (at, bytes) in pieces.iter().enumerate() {
        if at > 0 {
            let _ = read_on(stream.as_mut(), SOON, &mut heard);
        }
        // It may be refused before all of it was taken.
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    }
    let mut end = read_on(stream.as_mut(), quiet, &mut heard);
    let held = end == End::Quiet;
    if held {
        stream.finish();
        end = read_on(stream.as_mut(), LATER, &mut heard);
    }
    // An answer without a length that ends in a cut is not all there.
    let kinds: Vec<Kind> = kinds
        .iter()
        .map(|kind| match *kind {
            Kind::Response { head, .. } => Kind::Response { head, ended: end == End::Closed },
            Kind::Request => Kind::Request,
        })
        .collect();
    let found = reading::all(&heard, &kinds, &STRICT);
    Heard { bytes: heard, found, held, hung: end == End::Quiet }
}

fn last_request(name: &str, number: usize) -> Vec<u8> {
    format!("GET /{name}-{number} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n").into()
}

fn answer_kinds(requests: &[Message], ended: bool) -> Vec<Kind> {
    let kind = |request: &Message| Kind::Response { head: request.first == b"HEAD", ended };
    let mut kinds: Vec<Kind> = requests.iter().map(kind).collect();
    kinds.push(Kind::Response { head: false, ended });
    kinds
}

/// The final answers among these messages.
fn finals(messages: &[Message]) -> impl Iterator<Item = &Message> {
    messages.iter().filter(|message| message.status() >= 200)
}

fn target_of(answer: &Message) -> Option<String> {
    answer.field("x-target").map(|target| String::from_utf8_lossy(target).into_owned())
}

fn shown(target: &[u8]) -> String {
    target.escape_ascii().to_string()
}

/// The first of several questions with a bad answer.
fn first(questions: &[&dyn Fn() -> Option<Verdict>]) -> Option<Verdict> {
    questions.iter().find_map(|question| question())
}

/// The fresh connection gets its own answer, or one of the proxy's own.
fn probe(stand: &Stand, number: usize) -> Option<Verdict> {
    let bytes = last_request("probe", number);
    let kinds = [Kind::Response { head: false, ended: true }];
    let heard = talk(stand, &[&bytes], &kinds, LATER);
    let wanted = format!("/probe-{number}");
    let answer = finals(&heard.found.messages).next();
    let own = answer.and_then(target_of).is_some_and(|target| target == wanted);
    let whole = heard.found.messages.len() == 1 && heard.found.rest == Rest::Clean;
    if own && whole && !heard.hung {
        return None;
    }
    let text = heard.bytes.escape_ascii().to_string();
    Some(Verdict::Dangerous(format!("the fresh connection got {text:?}")))
}

/// Sends a request case.
pub(crate) fn request(stand: &Stand, case: &RequestCase, number: usize) -> Verdict {
    let mark = stand.recorder.mark();
    let bytes = [&case.bytes[..], &last_request("follow", number)].concat();
    let sent = reading::all(&bytes, &[Kind::Request], &STRICT);
    let valid = !matches!(sent.rest, Rest::Broken(_) | Rest::Partial);
    let quiet = if sent.rest == Rest::Partial { SOON } else { patience(stand) };
    let kinds = answer_kinds(&sent.messages, true);
    let heard = talk(stand, &[&bytes], &kinds, quiet);
    stand.recorder.settle();
    let (pieces, seen) = stand.recorder.since(&mark);
    let seen: Vec<Message> = seen.into_iter().map(|seen| seen.message).collect();
    let probed = probe(stand, number);
    let bad = first(&[
        &|| heard.hung.then(|| Verdict::Dangerous("hangs".to_owned())),
        &|| {
            (heard.held && stand.is_ferrule() && sent.rest != Rest::Partial)
                .then(|| Verdict::Dangerous("stays open".to_owned()))
        },
        &|| probed.clone(),
        &|| two_ways(&pieces, &[Kind::Request]),
        &|| mixed_up(&heard, &sent.messages, valid),
        &|| two_ways(std::slice::from_ref(&heard.bytes), &kinds),
        &|| altered(&seen, &sent),
        &|| picked(&seen, &sent, &bytes),
    ]);
    bad.unwrap_or_else(|| {
        let answers: Vec<&Message> = finals(&heard.found.messages).collect();
        // What the proxy may well answer itself, such as OPTIONS, is not refused.
        let own = |answer: &&&Message| target_of(answer).is_none() && answer.status() >= 400;
        let refusal = answers.iter().find(own);
        let status = refusal.map_or(0, |answer| answer.status());
        // Who answers by itself need not read the request's body, if it says that it closes.
        let closes = |answer: &&&Message| {
            target_of(answer).is_none() && answer.field("connection") == Some(b"close".as_slice())
        };
        let last = answers.last().filter(closes).is_some();
        if !valid {
            Verdict::Refused(status)
        } else if status == 0 && (last || answers.len() == sent.messages.len()) {
            Verdict::Passed
        } else {
            let policy = policies::of(&sent.messages, &bytes, status);
            policy.map_or(Verdict::ValidRefused(status), Verdict::Policy)
        }
    })
}

/// Are there bytes that two readers read differently, or broken ones?
fn two_ways(pieces: &[Vec<u8>], kinds: &[Kind]) -> Option<Verdict> {
    let show = |bytes: &[u8]| bytes[..bytes.len().min(400)].escape_ascii().to_string();
    let ambiguous = pieces.iter().find_map(|bytes| {
        let by = ambiguity(bytes, kinds)?;
        Some(Verdict::Dangerous(format!("{by:?} reads it otherwise: {:?}", show(bytes))))
    });
    ambiguous.or_else(|| {
        pieces.iter().find_map(|bytes| match reading::all(bytes, kinds, &STRICT).rest {
            Rest::Broken(fault) => Some(Verdict::Malformed(format!("{fault}: {:?}", show(bytes)))),
            Rest::Clean | Rest::Closed | Rest::Partial => None,
        })
    })
}

/// Does an answer belong to another request? Answers come in the order of the requests.
fn mixed_up(heard: &Heard, sent: &[Message], valid: bool) -> Option<Verdict> {
    let mut rest = sent.iter().map(|request| shown(&request.target));
    for target in finals(&heard.found.messages).filter_map(target_of) {
        let found = rest.by_ref().any(|wanted| wanted == target);
        if !found && (valid || !target.starts_with("/follow")) {
            let text = format!("an answer for {target} that nobody asked for");
            return valid.then_some(Verdict::Dangerous(text));
        }
    }
    None
}

/// A host without its port, in one spelling.
fn name(host: &[u8]) -> Vec<u8> {
    let text = host.to_ascii_lowercase();
    let port = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let end = text.len() - port;
    text[..end].strip_suffix(b":").map_or_else(|| text.clone(), <[u8]>::to_vec)
}

/// Did a request change on its way, or change places? Some of those before it may have been refused.
fn altered(seen: &[Message], sent: &Found) -> Option<Verdict> {
    let mut rest = sent.messages.iter();
    let broken = matches!(sent.rest, Rest::Broken(_) | Rest::Partial | Rest::Closed);
    let same = |seen: &Message, sent: &Message| {
        (&seen.first, &seen.target, &seen.body) == (&sent.first, &sent.target, &sent.body)
            && (name(&seen.host) == name(&sent.host) || sent.old)
    };
    let bad = seen.iter().find(|seen| !rest.by_ref().any(|sent| same(seen, sent)))?;
    let text = format!("{} {}", shown(&bad.target), shown(&bad.host));
    (!broken).then(|| Verdict::Dangerous(format!("altered: {text}")))
}

/// Did the upstream get a request that is none by the letter?
fn picked(seen: &[Message], sent: &Found, bytes: &[u8]) -> Option<Verdict> {
    let mut rest = sent.messages.iter();
    let same = |seen: &Message, sent: &Message| {
        (&seen.first, &seen.target, &seen.body) == (&sent.first, &sent.target, &sent.body)
    };
    let more = seen.iter().find(|seen| !rest.by_ref().any(|sent| same(seen, sent)))?;
    let text = shown(&more.target);
    Some(match (ambiguity(bytes, &[Kind::Request]), sent.rest) {
        (_, Rest::Closed) => Verdict::Dangerous(format!("{text} behind the end")),
        (Some(by), _) => Verdict::Guessed(format!("{text} against {by:?}")),
        (None, rest) => Verdict::Repaired(format!("{rest:?}: {text}")),
    })
}

/// Plays an answer case.
pub(crate) fn answer(stand: &Stand, case: &AnswerCase, number: usize) -> Verdict {
    let target = format!("/answer-{number}");
    stand.recorder.play(Script { target: target.clone(), ..case.script.clone() });
    let (method, version) = (case.method, if case.old { "1.0" } else { "1.1" });
    let keep = if case.old { "Connection: keep-alive\r\n" } else { "" };
    let start = format!("{method} {target} HTTP/{version}\r\nHost: {HOST}\r\n{keep}\r\n");
    let follow = last_request("follow", number);
    let both = [start.as_bytes(), &follow].concat();
    let pieces: &[&[u8]] = if case.gap { &[start.as_bytes(), &follow] } else { &[&both] };
    let head = method == "HEAD";
    let kinds = [Kind::Response { head, ended: true }, Kind::Response { head: false, ended: true }];
    let heard = talk(stand, pieces, &kinds, patience(stand));
    let probed = probe(stand, number);
    stand.recorder.play(Script::default());
    stand.recorder.settle();
    let kind = Kind::Response { head, ended: case.ends };
    let told = reading::all(&case.sent, &[kind], &STRICT);
    let bad = first(&[
        &|| heard.hung.then(|| Verdict::Dangerous("hangs".to_owned())),
        &|| probed.clone(),
        &|| two_ways(std::slice::from_ref(&heard.bytes), &kinds),
        &|| stolen(&heard, number),
    ]);
    bad.unwrap_or_else(|| delivered(case, &told, &heard))
}

/// Did the request behind it get something else than its own answer?
fn stolen(heard: &Heard, number: usize) -> Option<Verdict> {
    let answers: Vec<&Message> = finals(&heard.found.messages).collect();
    let wanted = format!("/follow-{number}");
    let bad = answers.iter().skip(1).find(|answer| {
        let own = answer.status() >= 400 && answer.field("x-evil").is_none();
        !own && target_of(answer).as_deref() != Some(&wanted)
    });
    let many = answers.len() > 2;
    (bad.is_some() || many).then(|| {
        let text = heard.bytes.escape_ascii().to_string();
        Verdict::Dangerous(format!("the next request got another answer: {text:?}"))
    })
}

/// What the client has, against what the upstream said.
fn delivered(case: &AnswerCase, told: &Found, heard: &Heard) -> Verdict {
    let meant = finals(&told.messages).next();
    let got = finals(&heard.found.messages).next();
    let passed = got.filter(|got| got.field("x-mark").is_some() || got.status() < 400);
    match (meant, passed, got) {
        (Some(meant), Some(passed), _) => {
            let same = passed.body == meant.body && passed.status() == meant.status();
            if same { Verdict::Passed } else { Verdict::Dangerous("an altered answer".to_owned()) }
        }
        (None, Some(passed), _) => {
            let kinds = [Kind::Response { head: case.method == "HEAD", ended: case.ends }];
            let cut = told.rest == Rest::Partial;
            let text = format!("{} with {} bytes", passed.status(), passed.body.len());
            match ambiguity(&case.sent, &kinds) {
                _ if cut => Verdict::Dangerous(format!("the cut is hidden: {text}")),
                Some(by) => Verdict::Guessed(format!("{text} against {by:?}")),
                None => Verdict::Repaired(format!("{:?}: {text}", told.rest)),
            }
        }
        (Some(meant), None, _) => {
            let coded = meant.field("transfer-encoding");
            let other = coded.is_some_and(|value| !value.eq_ignore_ascii_case(b"chunked"));
            match case.policy {
                Some(policy) => Verdict::Policy(policy),
                None if other => Verdict::Policy("no transfer coding but chunked"),
                None if policies::many_digits(&case.sent) => {
                    Verdict::Policy("chunk sizes have at most 16 digits")
                }
                None => Verdict::ValidRefused(got.map_or(0, Message::status)),
            }
        }
        (_, None, got) => Verdict::Refused(got.map_or(0, Message::status)),
    }
}
