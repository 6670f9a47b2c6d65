//! Clients: they send well-formed requests, some of them badly, and read strictly what comes back.

use std::cell::Cell;
use std::fmt::Write;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::context::RunContext;
use super::journal::{PlannedRequest, RequestOutcome};
use super::link::{LinkRead, LinkReader, LinkWriter, link};
use super::message::{BodyChecker, BodyFraming, BodyOwner, Head, body, take_head};
use crate::shell::transport::net::{TcpStream, sleep};
use crate::simulation::network::world::{below, chance, draw};

/// What a client does wrong, at this byte of this request.
#[derive(Clone, Copy, Debug)]
struct PlannedMisbehaviour {
    ask: usize,
    /// Of 1,000 bytes, so many are sent.
    share: usize,
    kind: Misbehaviour,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Misbehaviour {
    /// It ends its direction.
    End,
    Reset,
    /// It stops.
    Stall,
    /// It leaves without reading.
    Leave,
    /// It does not read for a long time.
    Deaf,
}

/// How far a connection is, for its two directions.
#[derive(Debug, Default)]
struct ConnectionProgress {
    /// Whole answers so far.
    answers: Cell<usize>,
    /// Which request was told to go on.
    continued: Cell<usize>,
    /// The misbehaviour has begun.
    misbehaved: Cell<bool>,
}

/// One client: a few connections, one after the other.
pub(super) async fn client(run: Rc<RunContext>) {
    let (most, pause) = if run.setting.has_outages() { (8, 6_000) } else { (2, 1_500) };
    for _ in 0..1 + below(most) {
        sleep(Duration::from_millis(below(pause) as u64)).await;
        connection(&run).await;
    }
    run.clients_left.set(run.clients_left.get() - 1);
}

fn ask(run: &RunContext) -> PlannedRequest {
    let method = ["GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"][below(7)];
    let modern = !chance(10);
    let has_body = matches!(method, "POST" | "PUT") || chance(5);
    let sizes = if run.setting.large { [0, 100, 40_000, 700_000] } else { [0, 30, 500, 9_000] };
    let body_len = if has_body { below(sizes[below(4)] + 1) } else { 0 };
    let framing = if !has_body {
        BodyFraming::Missing
    } else if modern && chance(50) {
        BodyFraming::Chunked
    } else {
        BodyFraming::Length(body_len as u64)
    };
    let expect = modern && body_len > 0 && chance(25);
    let ask =
        PlannedRequest { id: draw(), method, modern, framing, body_len, expect, last: chance(10) };
    run.journal.asks(&ask);
    ask
}

fn head(ask: &PlannedRequest) -> String {
    let PlannedRequest { id, method, body_len, .. } = ask;
    let version = if ask.modern { "1.1" } else { "1.0" };
    let mut head = format!(
        "{method} /r/{id:016x} HTTP/{version}\r\nHost: sim.example\r\nX-Id: {id:016x}\r\n\
         X-Body: {body_len}\r\n"
    );
    match ask.framing {
        BodyFraming::Length(length) => {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        BodyFraming::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        BodyFraming::Missing => {}
    }
    if ask.expect {
        head.push_str("Expect: 100-continue\r\n");
    }
    match (ask.modern, ask.last) {
        (true, true) => head.push_str("Connection: close\r\n"),
        (false, false) => head.push_str("Connection: keep-alive\r\n"),
        _ => {}
    }
    head.push_str("\r\n");
    head
}

async fn connection(run: &Rc<RunContext>) {
    let Ok(stream) = TcpStream::connect_surely(super::setting::Setting::front()).await else {
        return;
    };
    let Some((reader, writer)) = link(stream, run.client_tls()).await else {
        if !run.setting.no_room && !run.setting.drain {
            run.journal.violation("a client's handshake failed".to_owned());
        }
        return;
    };
    let asks: Vec<PlannedRequest> = (0..1 + below(5)).map(|_| ask(run)).collect();
    let misbehaviour = draw_misbehaviour(run, asks.len());
    converse(run, asks, misbehaviour, reader, writer).await;
}

fn draw_misbehaviour(run: &RunContext, asks: usize) -> Option<PlannedMisbehaviour> {
    chance(run.setting.client_trouble).then(|| PlannedMisbehaviour {
        ask: below(asks),
        share: below(1_001),
        kind: [
            Misbehaviour::End,
            Misbehaviour::Reset,
            Misbehaviour::Stall,
            Misbehaviour::Leave,
            Misbehaviour::Deaf,
        ][below(5)],
    })
}

/// One well-behaved connection with one request that can be sent again.
pub(super) async fn ask_once(run: &Rc<RunContext>) {
    let Ok(stream) = TcpStream::connect_surely(super::setting::Setting::front()).await else {
        return;
    };
    let Some((reader, writer)) = link(stream, run.client_tls()).await else { return };
    let ask = PlannedRequest {
        id: draw(),
        method: "GET",
        modern: true,
        framing: BodyFraming::Missing,
        body_len: 0,
        expect: false,
        last: true,
    };
    run.journal.asks(&ask);
    converse(run, vec![ask], None, reader, writer).await;
}

/// One connection with these requests.
async fn converse(
    run: &Rc<RunContext>,
    asks: Vec<PlannedRequest>,
    misbehaviour: Option<PlannedMisbehaviour>,
    reader: LinkReader,
    writer: LinkWriter,
) {
    let depth = if chance(50) { 1 } else { 1 + below(5) };
    let progress =
        ConnectionProgress { continued: Cell::new(usize::MAX), ..ConnectionProgress::default() };
    let deaf = misbehaviour.is_some_and(|misbehaviour| misbehaviour.kind == Misbehaviour::Deaf);
    progress.misbehaved.set(deaf);
    let mut receiving = pin!(receive(run, &asks, &progress, reader));
    let mut sending = pin!(send(run, &asks, depth, misbehaviour, &progress, writer));
    let mut sent = None;
    // The connection lives as long as somebody reads.
    poll_fn(|context| {
        if sent.is_none()
            && let Poll::Ready(writer) = sending.as_mut().poll(context)
        {
            let leaves = writer.is_none();
            sent = Some(writer);
            if leaves {
                return Poll::Ready(());
            }
        }
        receiving.as_mut().poll(context)
    })
    .await;
    for ask in &asks[progress.answers.get()..] {
        if sent.as_ref().is_some_and(Option::is_none) {
            run.journal.ends(ask.id, RequestOutcome::Nothing, &run.setting, Some("it left"));
        }
    }
}

/// Sends everything; `None` if the client is gone then.
async fn send(
    run: &RunContext,
    asks: &[PlannedRequest],
    depth: usize,
    misbehaviour: Option<PlannedMisbehaviour>,
    progress: &ConnectionProgress,
    mut writer: LinkWriter,
) -> Option<LinkWriter> {
    for (at, ask) in asks.iter().enumerate() {
        while at >= progress.answers.get() + depth {
            sleep(Duration::from_millis(30)).await;
        }
        if chance(20) {
            sleep(Duration::from_millis(below(1_500) as u64)).await;
        }
        let mut bytes = head(ask).into_bytes();
        let head_len = bytes.len();
        let chunk = 1 + below(3_000);
        bytes.extend(body(ask.id, BodyOwner::Request, ask.framing, ask.body_len, chunk));
        let pieces = if chance(50) { 1 } else { 1 + below(6) };
        let wrong = misbehaviour.filter(|misbehaviour| misbehaviour.ask == at);
        let small = matches!(ask.framing, BodyFraming::Length(_)) && ask.body_len < 600;
        let whole = small && pieces == 1 && depth == 1 && !ask.expect && run.setting.has_outages();
        run.journal.sends(ask.id, whole && run.calm);
        let end = wrong.map_or(bytes.len(), |wrong| bytes.len() * wrong.share / 1_000);
        let first = if ask.expect { head_len.min(end) } else { 0 };
        if !send_in_pieces(&mut writer, &bytes[..first], 1).await {
            return Some(writer);
        }
        if ask.expect {
            let mut patience = 40;
            while progress.continued.get() != at && progress.answers.get() == at && patience > 0 {
                sleep(Duration::from_millis(25)).await;
                patience -= 1;
            }
        }
        let mut first = first;
        if wrong.is_none() && ask.body_len >= 600 && chance(8) {
            // An upload that takes longer than anybody may wait for an answer.
            let Some(sent) = send_slowly(&mut writer, &bytes, first, head_len).await else {
                return Some(writer);
            };
            first = sent;
        }
        if !send_in_pieces(&mut writer, &bytes[first..end], pieces).await {
            return Some(writer);
        }
        if let Some(wrong) = wrong {
            progress.misbehaved.set(true);
            match wrong.kind {
                Misbehaviour::End => writer.cut(),
                Misbehaviour::Reset => writer.reset(),
                Misbehaviour::Stall | Misbehaviour::Deaf => {}
                Misbehaviour::Leave => return None,
            }
            return Some(writer);
        }
    }
    Some(writer)
}

/// Sends the head and most of the body, with long rests; how far it has come.
async fn send_slowly(
    writer: &mut LinkWriter,
    bytes: &[u8],
    start: usize,
    head_len: usize,
) -> Option<usize> {
    let mut sent = start;
    for part in 0..4 {
        let end = head_len + (bytes.len() - head_len) * part / 4;
        if !writer.write(&bytes[sent..end]).await {
            return None;
        }
        sent = end;
        sleep(Duration::from_millis(1_500 + below(1_500) as u64)).await;
    }
    Some(sent)
}

/// Sends `bytes` with rests in between; false if the connection does not take them.
async fn send_in_pieces(writer: &mut LinkWriter, bytes: &[u8], pieces: usize) -> bool {
    let longest = (bytes.len() / pieces).max(1);
    let mut may_rest = true;
    for piece in bytes.chunks(longest) {
        if !writer.write(piece).await {
            return false;
        }
        if chance(20) {
            sleep(Duration::from_millis(below(400) as u64)).await;
        } else if may_rest && chance(3) {
            may_rest = false;
            sleep(Duration::from_millis(2_000 + below(2_500) as u64)).await;
        }
    }
    true
}

/// Reads an answer to every request, in order.
async fn receive(
    run: &RunContext,
    asks: &[PlannedRequest],
    progress: &ConnectionProgress,
    mut reader: LinkReader,
) {
    let mut bytes = Vec::new();
    // A body that was answered early may be given up, and the connection with it.
    let early = Cell::new(false);
    let why = || {
        let drain = run.setting.drain.then_some("in a drain");
        let early = early.get().then_some("behind an early answer");
        progress.misbehaved.get().then_some("after its own misbehaviour").or(drain).or(early)
    };
    if progress.misbehaved.get() {
        reader.be_deaf().await;
    }
    let mut more = true;
    for (at, ask) in asks.iter().enumerate() {
        if !more {
            run.journal.ends(ask.id, RequestOutcome::Void, &run.setting, why());
            continue;
        }
        let answered = answer(run, ask, at, progress, &mut reader, &mut bytes).await;
        let (outcome, follows) = answered.unwrap_or_else(|what| {
            run.journal.violation(format!("client of {:016x}: {what}", ask.id));
            (RequestOutcome::Cut, false)
        });
        // A reset that shows where a later answer was cut may take along what was not read before it.
        let later = asks.get(at + 1..).unwrap_or_default();
        let reset = outcome == RequestOutcome::Cut
            && later.iter().any(|ask| run.journal.may_be_cut(ask.id));
        let reset = reset.then_some("before an answer that was cut");
        run.journal.ends(ask.id, outcome, &run.setting, why().or(reset));
        early.set(early.get() || run.journal.was_early(ask.id));
        progress.answers.set(at + 1);
        if matches!(outcome, RequestOutcome::Cut | RequestOutcome::Nothing) {
            // A connection that broke takes everything behind with it.
            for ask in &asks[at + 1..] {
                run.journal.ends(ask.id, outcome, &run.setting, Some("its connection broke"));
            }
            return;
        }
        more = follows;
    }
    if more && chance(50) {
        return;
    }
    // Ferrule ends it, now or when it has been idle for long enough; nothing may come before.
    let got = reader.read(&mut bytes).await;
    if got == LinkRead::Nothing {
        run.journal.violation("a connection was left open".to_owned());
    }
    // A head that was never finished may have been any method's.
    if !bytes.is_empty() && !progress.misbehaved.get() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        run.journal.violation(format!("a client got what it had not asked for: {text:?}"));
    }
}

/// One answer, interim ones before it included; may another follow?
async fn answer(
    run: &RunContext,
    ask: &PlannedRequest,
    at: usize,
    progress: &ConnectionProgress,
    reader: &mut LinkReader,
    bytes: &mut Vec<u8>,
) -> Result<(RequestOutcome, bool), String> {
    loop {
        let Some(head) = take_head(bytes)? else {
            let partial = !bytes.is_empty();
            match reader.read(bytes).await {
                LinkRead::Bytes => continue,
                LinkRead::Nothing => return Err("no answer, and no end".to_owned()),
                // A reset takes with it what had been sent before.
                LinkRead::Cut => return Ok((RequestOutcome::Cut, false)),
                LinkRead::End if partial => return Ok((RequestOutcome::Cut, false)),
                LinkRead::End => return Ok((RequestOutcome::Nothing, false)),
            }
        };
        let status = status(&head.line)?;
        let id = head.number("x-id", 16)?;
        if let Some(id) = id.filter(|id| *id != ask.id) {
            return Err(format!("got the answer of {id:016x}"));
        }
        if status >= 200 {
            run.journal.hears(ask.id);
            return final_answer(ask, &head, status, reader, bytes).await;
        }
        if !ask.modern || !matches!(status, 100 | 103) {
            return Err(format!("interim {status}"));
        }
        run.journal.hints(ask.id);
        if status == 100 {
            progress.continued.set(at);
        }
    }
}

fn status(line: &str) -> Result<u16, String> {
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|text| text.parse().ok()).ok_or_else(|| format!("status line {line:?}"))
}

async fn final_answer(
    ask: &PlannedRequest,
    head: &Head,
    status: u16,
    reader: &mut LinkReader,
    bytes: &mut Vec<u8>,
) -> Result<(RequestOutcome, bool), String> {
    let own = head.value("x-id")?.is_none();
    let framing = head.framing()?;
    let bare = ask.method == "HEAD" || matches!(status, 204 | 304);
    if ask.modern && !bare && framing == BodyFraming::Missing {
        return Err("an answer without framing".to_owned());
    }
    if !ask.modern && framing == BodyFraming::Chunked {
        return Err("chunks for HTTP/1.0".to_owned());
    }
    let more = if ask.modern { !head.closes() } else { head.keeps() };
    if more && ask.last {
        return Err("the last request's answer promises more".to_owned());
    }
    let framing = if bare { BodyFraming::Length(0) } else { framing };
    let mut body = BodyChecker::new(ask.id, BodyOwner::Response, framing, !bare);
    body.foreign = own;
    loop {
        body.take(bytes)?;
        if body.is_done() {
            break;
        }
        if chance(5) {
            sleep(Duration::from_millis(below(300) as u64)).await;
        }
        match reader.read(bytes).await {
            LinkRead::Bytes => {}
            LinkRead::End if body.is_until_end() => break,
            LinkRead::End | LinkRead::Cut => return Ok((RequestOutcome::Cut, false)),
            LinkRead::Nothing => return Err("a body without an end".to_owned()),
        }
    }
    if own {
        return Ok((RequestOutcome::Own(status), more));
    }
    let whole = head.number("x-len", 10)?;
    if !bare && whole != Some(body.len) {
        return Err(format!("{} bytes of {whole:?} taken for the whole", body.len));
    }
    Ok((RequestOutcome::Delivered, more))
}
