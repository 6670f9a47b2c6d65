//! Upstream nodes: they check every request to the byte, answer well or badly, and notice what comes
//! over a connection that must not be used any more.

use std::rc::Rc;
use std::time::Duration;

use super::context::RunContext;
use super::failing;
use super::fate::{FailingStep, FailingWay, NodeFate, Outage, share};
use super::journal::PlannedRequest;
use super::link::{LinkRead, LinkReader, LinkWriter, link};
use super::message::{BodyChecker, BodyFraming, BodyOwner, Head, take_head};

use super::response::{EVIL, ResponseFlaw, SimulatedResponse};
use super::setting::Setting;
use crate::shell::transport::net::{TcpListener, TcpStream, sleep, spawn, timeout};
use crate::simulation::network::world::{below, chance};

/// Nothing that an answer could follow.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Accepts for ever.
pub(super) async fn node(run: Rc<RunContext>, fate: Rc<NodeFate>) {
    let listener = TcpListener::bind(Setting::node(fate.number()));
    loop {
        let stream = listener.accept().await;
        let connection = connection(Rc::clone(&run), Rc::clone(&fate), stream);
        spawn(share(Rc::clone(&fate), connection));
    }
}

async fn connection(run: Rc<RunContext>, fate: Rc<NodeFate>, stream: TcpStream) {
    if let Some(way) = fate.fails_at(FailingStep::Accept) {
        return failing::at_accept(&run, stream, way).await;
    }
    let Some((reader, writer)) = link(stream, run.node_tls()).await else { return };
    let mut peer = NodeConnection {
        run,
        fate,
        reader,
        writer,
        bytes: Vec::new(),
        spoiled: None,
        served: 0,
        vanishes: false,
        over: false,
    };
    while !peer.over {
        if let Err(what) = peer.exchange().await {
            peer.run.journal.violation(format!("node: {what}"));
            return;
        }
        peer.served += 1;
    }
}

/// One connection from Ferrule.
struct NodeConnection {
    run: Rc<RunContext>,
    fate: Rc<NodeFate>,
    reader: LinkReader,
    writer: LinkWriter,
    bytes: Vec<u8>,
    /// Why no further request may come.
    spoiled: Option<&'static str>,
    served: usize,
    /// It leaves as soon as it knows what is asked.
    vanishes: bool,
    /// The connection is over.
    over: bool,
}

impl NodeConnection {
    /// Reads more; false at the end.
    async fn more(&mut self) -> Result<bool, String> {
        match self.reader.read(&mut self.bytes).await {
            LinkRead::Bytes => Ok(true),
            LinkRead::End | LinkRead::Cut => {
                self.over = true;
                Ok(false)
            }
            LinkRead::Nothing => Err("a connection was left open".to_owned()),
        }
    }

    /// Waits for a request, not always quietly; false if none comes.
    async fn is_asked(&mut self) -> Result<bool, String> {
        let run = Rc::clone(&self.run);
        if self.served > 0 && self.ends_idle().await? {
            return Ok(false);
        }
        let restless = self.bytes.is_empty()
            && self.served > 0
            && run.setting.idle_ends
            && self.reader.is_heard_out();
        if restless && chance(15) {
            // It leaves at the very moment at which a request comes, whether it has read it or not.
            while !self.reader.is_spoken_to() {
                sleep(Duration::from_millis(20)).await;
            }
            run.journal.tell("node: leaves when it is asked");
            self.vanishes = chance(60);
            self.over = !self.vanishes;
            if self.over {
                return Ok(false);
            }
        }
        if restless && chance(60) {
            let patience = Duration::from_millis(below(2_000) as u64);
            let read = timeout(patience, self.reader.read(&mut self.bytes)).await;
            let quiet = read.is_err() && !self.reader.is_spoken_to();
            match read {
                Ok(LinkRead::Bytes) => {}
                Ok(_) => {
                    self.over = true;
                    return Ok(false);
                }
                Err(_) if chance(45) => {
                    run.journal.tell("node: ends an idle connection");
                    if chance(70) {
                        self.writer.end().await;
                    } else {
                        self.writer.reset();
                    }
                    self.over = true;
                    return Ok(false);
                }
                Err(_) if quiet && self.spoiled.is_none() => {
                    run.journal.tell("node: speaks unasked");
                    self.writer.write_at_once(EVIL);
                    self.spoiled = Some("it had spoken unasked");
                }
                Err(_) => {}
            }
        }
        if self.bytes.is_empty() && !self.more().await? {
            return Ok(false);
        }
        match self.spoiled {
            Some(why) => Err(format!("a connection was used again, though {why}")),
            None => Ok(true),
        }
    }

    async fn exchange(&mut self) -> Result<(), String> {
        if !self.is_asked().await? || self.fails(FailingStep::RequestHead).await {
            return Ok(());
        }
        let head = loop {
            if let Some(head) = take_head(&mut self.bytes)? {
                break head;
            }
            if !self.more().await? {
                return Ok(());
            }
        };
        let (ask, framing) = self.understand(&head)?;
        if self.vanishes {
            self.over = true;
            return Ok(());
        }
        let has_body = !matches!(framing, BodyFraming::Missing | BodyFraming::Length(0));
        if has_body && self.fails(FailingStep::RequestBody).await {
            return Ok(());
        }
        let answer = self.draw_answer(&ask, framing);
        let (id, wrong) = (ask.id, answer.wrong);
        self.run.journal.tell(&format!("node: {id:016x} {} {wrong:?} {answer}", head.line));
        if let Some((what, malformed)) = answer.fault() {
            self.run.journal.fault(id, what, malformed);
        }
        if answer.early {
            self.run.journal.early(id);
        }
        self.spoiled = answer.spoils();
        let mut body = BodyChecker::new(id, BodyOwner::Request, framing, false);
        if head.value("expect")?.is_some() && !answer.early && chance(70) {
            let _ = self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        if !answer.early && !self.read_body(&ask, &mut body).await? {
            return Ok(());
        }
        if chance(30) {
            sleep(Duration::from_millis(below(1_000) as u64)).await;
        }
        self.say(id, &answer).await;
        if wrong == Some(ResponseFlaw::Mute) && chance(50) {
            self.reader.be_deaf().await;
        }
        if self.over
            || wrong == Some(ResponseFlaw::Mute)
            || !self.read_body(&ask, &mut body).await?
        {
            // Whoever is still there must go: nothing more will be said.
            while !self.over {
                self.bytes.clear();
                self.more().await?;
            }
        }
        Ok(())
    }

    /// An answer, wrong if this is how this node fails.
    fn draw_answer(&self, ask: &PlannedRequest, framing: BodyFraming) -> SimulatedResponse {
        let (run, steps) = (&self.run, [FailingStep::ResponseHead, FailingStep::ResponseBody]);
        let failing = steps.into_iter().find_map(|step| Some((step, self.fate.fails_at(step)?)));
        let Some((step, way)) = failing else {
            return SimulatedResponse::draw(ask, &run.setting, framing);
        };
        let answer =
            SimulatedResponse::flawed(ask, &run.setting, framing, Some(way.flaw()), step.place());
        if answer.wrong.is_some() {
            run.journal.meets(Outage::Fails { step, way });
        }
        answer
    }

    /// Fails at this step, if it is to; then the connection is over.
    async fn fails(&mut self, step: FailingStep) -> bool {
        let Some(way) = self.fate.fails_at(step) else { return false };
        self.run.journal.meets(Outage::Fails { step, way });
        self.run.journal.tell(&format!("node {}: {step:?} {way:?}", self.fate.number()));
        failing::fail(&mut self.reader, &mut self.writer, way).await;
        self.over = true;
        true
    }

    /// Fails between two requests, or at the very moment at which the second comes, if it is to. True if the
    /// connection is over.
    async fn ends_idle(&mut self) -> Result<bool, String> {
        let quiet = |peer: &Self| peer.bytes.is_empty() && !peer.reader.is_spoken_to();
        let fails = |peer: &Self| peer.fate.fails_at(FailingStep::Idle);
        if fails(self).is_none() || !self.reader.is_heard_out() {
            return Ok(false);
        }
        if chance(50) {
            sleep(Duration::from_millis(below(1_500) as u64)).await;
        } else {
            while quiet(self) && fails(self).is_some() {
                sleep(Duration::from_millis(20)).await;
            }
        }
        let Some(way) = fails(self) else { return Ok(false) };
        // What is spoken when a request is there is an answer to it.
        if self.spoiled.is_some() || (way == FailingWay::Garbage && !quiet(self)) {
            return Ok(false);
        }
        self.run.journal.meets(Outage::Fails { step: FailingStep::Idle, way });
        self.run.journal.tell(&format!("node {}: Idle {way:?}", self.fate.number()));
        failing::when_idle(&mut self.writer, way).await;
        self.over = way != FailingWay::Garbage;
        self.spoiled = Some("it had spoken unasked");
        Ok(self.over)
    }

    /// What a head asks for; nothing may be missing in it, or different.
    fn understand(&self, head: &Head) -> Result<(PlannedRequest, BodyFraming), String> {
        let line = &head.line;
        let id = head.number("x-id", 16)?.ok_or("a request without its id")?;
        let ask = self.run.journal.seen(id, self.run.setting.retries)?;
        self.fate.count_request();
        if *line != format!("{} /r/{id:016x} HTTP/1.1", ask.method) {
            return Err(format!("request line {line:?}"));
        }
        if head.number("x-body", 10)? != Some(ask.body_len as u64) || head.value("host")?.is_none()
        {
            return Err(format!("{id:016x} has lost a field"));
        }
        let framing = head.framing()?;
        let same = match (ask.framing, framing) {
            (BodyFraming::Missing, BodyFraming::Missing | BodyFraming::Length(0)) => true,
            (own, other) => own == other,
        };
        if !same {
            return Err(format!("{id:016x} is framed as {framing:?}"));
        }
        Ok((ask, framing))
    }

    /// Reads the body to its end; false if the connection ended before.
    async fn read_body(
        &mut self,
        ask: &PlannedRequest,
        body: &mut BodyChecker,
    ) -> Result<bool, String> {
        loop {
            body.take(&mut self.bytes)?;
            if body.is_done() {
                break;
            }
            if !self.more().await? {
                return Ok(false);
            }
        }
        if body.len != ask.body_len as u64 {
            return Err(format!("{:016x}: {} bytes taken for the whole", ask.id, body.len));
        }
        Ok(true)
    }

    /// Sends the answer, as far as it is to be sent.
    async fn say(&mut self, id: u64, answer: &SimulatedResponse) {
        if answer.wrong == Some(ResponseFlaw::Surplus) {
            let mut bytes = answer.bytes.clone();
            bytes.extend_from_slice(EVIL);
            self.writer.write_at_once(&bytes);
            return;
        }
        let mut bytes = &answer.bytes[..answer.end];
        if answer.is_begun() {
            self.run.journal.speaks(id);
        }
        if let Some(first) = answer.first {
            let (head, body) = bytes.split_at(first);
            bytes = body;
            self.over = !self.writer.write(head).await;
            let mut patience = 40;
            while !self.over && !self.run.journal.is_heard(id) {
                sleep(Duration::from_millis(100)).await;
                patience -= 1;
                if patience == 0 {
                    self.run.journal.violation(format!("{id:016x}: what was given is held back"));
                    break;
                }
            }
        }
        let longest = (bytes.len() / (1 + below(5))).max(1);
        for piece in bytes.chunks(longest) {
            if !self.writer.write(piece).await {
                self.over = true;
                return;
            }
            if chance(20) {
                sleep(Duration::from_millis(below(500) as u64)).await;
            }
        }
        match answer.wrong {
            Some(ResponseFlaw::Ends) => self.writer.cut(),
            Some(ResponseFlaw::Resets) => self.writer.reset(),
            Some(ResponseFlaw::Interims) => {
                // Time has to pass, or the end of the connection would never arrive.
                while self.writer.write(INTERIM).await {
                    sleep(Duration::from_millis(1 + below(30) as u64)).await;
                }
            }
            Some(ResponseFlaw::Mute | ResponseFlaw::Malformed | ResponseFlaw::Surplus) => return,
            None if answer.leaves => self.writer.end().await,
            None => return,
        }
        self.over = true;
    }
}
