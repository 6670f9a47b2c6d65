//! Runs the cases: starts the contenders, lets them prove themselves, and has them take turns.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::case::{Case, SMALL, Setting, Shape};
use crate::drive::{Reading, Run};
use crate::options::Options;
use crate::peer::{Peer, Place, Proxy};
use crate::proof::{prove, prove_upstream_is_verified};
use crate::stage::{Layout, Stage, cores};
use crate::stats::{Row, Sample, interleave};
use crate::watch::{Look, pss_kib};

/// Connections for each core, where there are several.
const PER_CORE: usize = 32;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Results {
    /// Rows by case, in the order of the cases.
    pub(crate) tables: Vec<(Case, Vec<Row>)>,
    /// Memory, by peer.
    pub(crate) memory: Vec<Memory>,
    /// Who was not measured, where, and why.
    pub(crate) left_out: Vec<String>,
    /// Requests a second at which nginx is saturated.
    pub(crate) saturation: Option<f64>,
}

/// Memory of one peer with idle connections.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Who.
    pub(crate) peer: Peer,
    /// PSS in KiB by number of idle connections, from none.
    pub(crate) at: Vec<(usize, f64)>,
}

impl Memory {
    /// KiB that each connection adds, between the smaller and the larger number of them: what the
    /// process takes for itself, and the first few for its pools, falls out.
    pub(crate) fn per_connection(&self) -> Option<f64> {
        let [.., (few, less), (many, more)] = self.at.as_slice() else { return None };
        let count = u32::try_from(many.checked_sub(*few)?).ok()?;
        (count > 0).then(|| (more - less) / f64::from(count))
    }
}

/// A proxy that has shown what it can.
struct Contender {
    peer: Peer,
    setting: Setting,
    proxy: Proxy,
}

/// What all cases have in common.
pub(crate) struct Lab<'a> {
    /// Certificates and the upstream.
    pub(crate) stage: &'a Stage,
    /// What was asked for.
    pub(crate) options: &'a Options,
    /// Who can be run, and verifies its upstream.
    pub(crate) peers: Vec<Peer>,
    /// What came out so far.
    pub(crate) results: Results,
}

impl Lab<'_> {
    /// Leaves out who is not there, and who takes any upstream.
    pub(crate) fn admit(&mut self) {
        for peer in &self.options.peers {
            let refused = peer.missing(self.stage).or_else(|| {
                let verifies = peer.does(SMALL.setting.tls);
                let verdict =
                    verifies.then(|| prove_upstream_is_verified(self.stage, SMALL.setting, *peer));
                verdict.and_then(Result::err)
            });
            match refused {
                None => self.peers.push(*peer),
                Some(why) => self.leave_out(format!("{}: {why}", peer.name())),
            }
        }
    }

    fn row(&self, peer: Peer, label: String, at: usize) -> Row {
        Row { lenient: self.options.noisy, ..Row::new(peer, label, at) }
    }

    fn leave_out(&mut self, text: String) {
        println!("left out: {text}");
        self.results.left_out.push(text);
    }

    /// One case, from start to end.
    pub(crate) fn run(&mut self, case: &Case) {
        println!("\n== {}: {}", case.name, case.words);
        match case.shape {
            Shape::Peers => self.compare(case),
            Shape::Latency => self.latency(case),
            Shape::Idle => self.idle(case),
            Shape::Cores => self.cores(case),
            Shape::Variants(settings) => self.variants(case, settings),
        }
    }

    /// Starts one, and hears what it has to show.
    fn start(&mut self, case: &Case, peer: Peer, layout: &Layout) -> Option<Contender> {
        let setting = case.setting;
        let place = Place::on(self.stage, setting, layout);
        let started = peer.start(&place).and_then(|proxy| {
            prove(self.stage, case, peer, &proxy).map(|()| Contender { peer, setting, proxy })
        });
        match started {
            Ok(contender) => Some(contender),
            Err(why) => {
                self.leave_out(format!("{}, {}: {why}", case.name, peer.name()));
                None
            }
        }
    }

    /// Everybody who can do this case. The byte relay over TLS says most beside small messages.
    fn contenders(&mut self, case: &Case) -> Vec<Contender> {
        let relay = case.name == SMALL.name;
        let mut peers = self.peers.clone();
        peers.retain(|peer| peer.does(case.setting.tls) && (relay || *peer != Peer::TlsRelay));
        let layout = Layout::single(cores());
        peers.into_iter().filter_map(|peer| self.start(case, peer, &layout)).collect()
    }

    fn compare(&mut self, case: &Case) {
        let contenders = self.contenders(case);
        let layout = Layout::single(cores());
        let mut rows: Vec<Row> =
            contenders.iter().map(|c| self.row(c.peer, c.peer.name().to_owned(), 0)).collect();
        self.rounds(case, &layout, &contenders, &mut rows);
        if case.name == SMALL.name {
            self.results.saturation = saturation(&rows);
        }
        self.results.tables.push((*case, rows));
    }

    /// Warms everybody up, then has them take turns at full speed.
    fn rounds(&self, case: &Case, layout: &Layout, contenders: &[Contender], rows: &mut [Row]) {
        let run = |contender: &Contender, seconds: u64| {
            let port = contender.proxy.port;
            let case = &Case { setting: contender.setting, ..*case };
            Run { stage: self.stage, layout, case, port, seconds }.full_speed()
        };
        for contender in contenders {
            // Its errors will show again in the rounds.
            let _ = run(contender, 1);
        }
        interleave(rows, self.options.rounds, |index, row| {
            let contender = contenders.get(index).ok_or("nobody")?;
            let look = Look::at(contender.proxy.id());
            let reading = run(contender, self.options.seconds)?;
            Ok(told(&row.label, sample(&look, &reading, 1.0)))
        });
    }

    fn latency(&mut self, case: &Case) {
        if self.results.saturation.is_none() && self.peers.contains(&Peer::Nginx) {
            self.saturate();
        }
        let Some(saturation) = self.results.saturation else {
            self.leave_out(format!("{}: nginx's saturation is not known", case.name));
            return;
        };
        let contenders = self.contenders(case);
        let layout = Layout::single(cores());
        let mut rows = Vec::new();
        for share in self.options.shares {
            let label = |c: &Contender| format!("{}, {share} %", c.peer.name());
            rows.extend(contenders.iter().map(|c| self.row(c.peer, label(c), *share)));
        }
        let seconds = self.options.seconds;
        interleave(&mut rows, self.options.rounds, |index, row| {
            let contender = contenders.get(index % contenders.len()).ok_or("nobody")?;
            let port = contender.proxy.port;
            let look = Look::at(contender.proxy.id());
            let rate = saturation * percent(row.at);
            let run = Run { stage: self.stage, layout: &layout, case, port, seconds };
            let reading = run.at_rate(rate)?;
            Ok(told(&row.label, sample(&look, &reading, 1.0)))
        });
        self.results.tables.push((*case, rows));
    }

    /// What nginx can do, where the case that shows it was not asked for.
    fn saturate(&mut self) {
        let layout = Layout::single(cores());
        let Some(nginx) = self.start(&SMALL, Peer::Nginx, &layout) else { return };
        let mut rows = [self.row(Peer::Nginx, String::from("nginx"), 0)];
        self.rounds(&SMALL, &layout, &[nginx], &mut rows);
        self.results.saturation = saturation(&rows);
    }

    fn idle(&mut self, case: &Case) {
        let (few, many) = self.options.idle;
        for contender in self.contenders(case) {
            match self.memory(case, &contender, few, many) {
                Ok(memory) => {
                    if let Some(kib) = memory.per_connection() {
                        println!("   {:14} {kib:6.1} KiB per connection", contender.peer.name());
                    }
                    self.results.memory.push(memory);
                }
                Err(why) => {
                    self.leave_out(format!("{}, {}: {why}", case.name, contender.peer.name()));
                }
            }
        }
    }

    fn memory(
        &self,
        case: &Case,
        contender: &Contender,
        few: usize,
        many: usize,
    ) -> Result<Memory, String> {
        // A handshake costs some OpenSSL versions a millisecond.
        let seconds = 30 + u64::try_from(many).unwrap_or(u64::MAX) / 200;
        let layout = Layout::single(cores());
        let port = contender.proxy.port;
        let run = Run { stage: self.stage, layout: &layout, case, port, seconds };
        let mut memory = Memory { peer: contender.peer, at: Vec::new() };
        let mut look = |connections| {
            // What is freed late is freed by then.
            thread::park_timeout(Duration::from_millis(500));
            memory.at.push((connections, pss_kib(contender.proxy.id())));
        };
        look(0);
        let first = run.idle(few)?;
        look(few);
        let rest = run.idle(many - few)?;
        look(many);
        // Who has lost some of them in the meantime has an easy life.
        rest.end().and_then(|()| first.end())?;
        Ok(memory)
    }

    /// The same rate per core on one, two and four cores.
    fn cores(&mut self, case: &Case) {
        let count = cores();
        if Layout::several(count, 1).is_none() {
            self.leave_out(format!("{}: needs four cores, here are {count}", case.name));
            return;
        }
        if !self.peers.contains(&Peer::Ferrule) {
            return;
        }
        let mut contenders = Vec::new();
        let mut rows = Vec::new();
        for workers in [1, 2, 4] {
            let Some(layout) = Layout::several(count, workers) else { continue };
            let case = Case { setting: Setting { workers, ..case.setting }, ..*case };
            let Some(contender) = self.start(&case, Peer::Ferrule, &layout) else { continue };
            let shared = if layout.shared { ", shared with upstream and load" } else { "" };
            let mut row =
                Row::new(Peer::Ferrule, format!("ferrule, cores: {workers}{shared}"), workers);
            row.shared = layout.shared;
            row.lenient = layout.shared || self.options.noisy;
            rows.push(row);
            contenders.push((contender, layout));
        }
        let Some((_, layout)) = contenders.first() else { return };
        self.stage.arrange(layout);
        let rate = self.rate_per_core(case, &contenders);
        interleave(&mut rows, self.options.rounds, |index, row| {
            let (contender, layout) = contenders.get(index).ok_or("nobody")?;
            let look = Look::at(contender.proxy.id());
            let port = contender.proxy.port;
            let seconds = self.options.seconds;
            let workers = u32::try_from(row.at).map_err(|error| error.to_string())?;
            // As many requests on each connection, so that its handshake weighs the same.
            let case = &Case { connections: PER_CORE * row.at, ..*case };
            let run = Run { stage: self.stage, layout, case, port, seconds };
            let reading = run.at_rate(rate * f64::from(workers))?;
            Ok(told(&row.label, sample(&look, &reading, f64::from(workers))))
        });
        self.stage.arrange(&Layout::single(count));
        self.results.tables.push((*case, rows));
    }

    /// A quarter of what one core can: upstream and load, on fewer cores than the proxy, have to be
    /// far from saturated.
    fn rate_per_core(&self, case: &Case, contenders: &[(Contender, Layout)]) -> f64 {
        const CAREFUL: f64 = 5000.0;
        let measured = contenders.first().and_then(|(contender, layout)| {
            let port = contender.proxy.port;
            let run = Run { stage: self.stage, layout, case, port, seconds: 1 };
            run.full_speed().ok()
        });
        measured.map_or(CAREFUL, |reading| reading.per_second / 4.0)
    }

    fn variants(&mut self, case: &Case, settings: [(&'static str, Setting); 2]) {
        if !self.peers.contains(&Peer::Ferrule) {
            return;
        }
        let layout = Layout::single(cores());
        let mut contenders = Vec::new();
        let mut rows = Vec::new();
        for (at, (word, setting)) in settings.into_iter().enumerate() {
            let case = Case { setting, ..*case };
            let Some(contender) = self.start(&case, Peer::Ferrule, &layout) else { return };
            contenders.push(contender);
            rows.push(self.row(Peer::Ferrule, format!("ferrule, {}: {word}", case.words), at));
        }
        self.rounds(case, &layout, &contenders, &mut rows);
        drop(contenders);
        for entry in fs::read_dir(self.stage.dir()).into_iter().flatten().flatten() {
            // A minute of these is a lot.
            if entry.file_name().to_string_lossy().starts_with("access-") {
                let _ = fs::remove_file(entry.path());
            }
        }
        self.results.tables.push((*case, rows));
    }
}

fn percent(share: usize) -> f64 {
    u32::try_from(share).map_or(1.0, f64::from) / 100.0
}

fn saturation(rows: &[Row]) -> Option<f64> {
    let nginx = rows.iter().find(|row| row.peer == Peer::Nginx)?;
    nginx.median(|sample| sample.per_second)
}

fn sample(look: &Look, reading: &Reading, cores: f64) -> Sample {
    Sample {
        per_second: reading.per_second,
        p50_micros: reading.p50_micros,
        p99_micros: reading.p99_micros,
        full: reading.full,
        resumed: reading.resumed,
        ..look.since(reading.requests, cores)
    }
}

fn told(label: &str, sample: Sample) -> Sample {
    println!(
        "   {label:16} {:8.2} us CPU/request {:8.0} requests/s p50 {:6.0} us p99 {:6.0} us{}",
        sample.cpu_micros,
        sample.per_second,
        sample.p50_micros,
        sample.p99_micros,
        if sample.counts() { "" } else { "   (disturbed)" }
    );
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_from_the_smaller_number() {
        let at = vec![(0, 10_000.0), (2000, 30_000.0), (10_000, 94_000.0)];
        let memory = Memory { peer: Peer::Nginx, at };
        assert_eq!(memory.per_connection(), Some(8.0));
        assert_eq!(Memory { at: vec![(0, 1.0)], ..memory }.per_connection(), None);
    }
}
