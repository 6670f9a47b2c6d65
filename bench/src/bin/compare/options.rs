//! The command line.

use std::path::PathBuf;

use strum::VariantArray;

use crate::case::{CASES, Case, Shape};
use crate::peer::Peer;

/// What can be said.
pub(crate) const USAGE: &str = "usage: cargo compare [options] [CASE...]
  --quick              a first look in two minutes: fewer cases, short rounds
  --case NAME          only this case (again for another)
  --peer NAME          only this peer (again for another)
  --without-fast-path  also Ferrule with tls_fast_path = false
  --against FILE       also another build of Ferrule, as ferrule-other
  --rounds N           rounds that count, per peer and case (5)
  --seconds N          length of a round (3)
  --idle N             the larger number of idle connections (10000)
  --noisy              disturbed rounds count too: to try the lab itself, nothing to quote
  --no-build           take the binaries that are there
  --envoy PATH         Envoy's binary, if it is neither in target/envoy (see bench/envoy) nor on the path";

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Cases, in their order.
    pub(crate) cases: Vec<&'static Case>,
    /// Peers, in theirs.
    pub(crate) peers: Vec<Peer>,
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Seconds of each.
    pub(crate) seconds: u64,
    /// The smaller and the larger number of idle connections.
    pub(crate) idle: (usize, usize),
    /// Shares of nginx's saturation at which latency is measured, in percent.
    pub(crate) shares: &'static [usize],
    /// Envoy's binary.
    pub(crate) envoy: Option<PathBuf>,
    /// Another build of Ferrule.
    pub(crate) against: Option<PathBuf>,
    /// Are the binaries to be built first?
    pub(crate) build: bool,
    /// Do disturbed rounds count too?
    pub(crate) noisy: bool,
    /// Where results go: `compare` for all of it, another name for less.
    pub(crate) name: &'static str,
}

#[derive(Default)]
struct Words {
    /// Those without a value.
    flags: Vec<String>,
    cases: Vec<String>,
    peers: Vec<String>,
    rounds: Option<u64>,
    seconds: Option<u64>,
    idle: Option<u64>,
    envoy: Option<PathBuf>,
    against: Option<PathBuf>,
}

impl Options {
    /// Reads the words behind the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let words = Words::read(words)?;
        let named = |case: &&Case| words.cases.iter().any(|name| name == case.name);
        if let Some(name) = words.cases.iter().find(|name| CASES.iter().all(|c| c.name != **name)) {
            let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
            return Err(format!("{name}: no such case; there are {}", names.join(", ")));
        }
        if let Some(name) =
            words.peers.iter().find(|name| Peer::VARIANTS.iter().all(|p| p.name() != *name))
        {
            let names: Vec<&str> = Peer::VARIANTS.iter().map(|peer| peer.name()).collect();
            return Err(format!("{name}: no such peer; there are {}", names.join(", ")));
        }
        let wanted = |case: &&Case| {
            if words.cases.is_empty() { case.quick || !words.has("--quick") } else { named(case) }
        };
        let takes_part = |peer: &Peer| match peer {
            Peer::FerruleRustls if words.has("--without-fast-path") => true,
            Peer::FerruleRustls => words.peers.iter().any(|name| name == peer.name()),
            Peer::FerruleOther => words.against.is_some(),
            _ => words.peers.is_empty() || words.peers.iter().any(|name| name == peer.name()),
        };
        let (rounds, seconds, idle) =
            if words.has("--quick") { (3, 1, 1000) } else { (5, 3, 10_000) };
        let part = !words.cases.is_empty() || !words.peers.is_empty() || words.against.is_some();
        let name = match (words.has("--quick") || words.has("--noisy"), part) {
            (true, _) => "compare-quick",
            (false, true) => "compare-part",
            (false, false) => "compare",
        };
        let size = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
        let idle = size(words.idle).unwrap_or(idle);
        Ok(Self {
            cases: CASES.iter().filter(wanted).collect(),
            peers: Peer::VARIANTS.iter().copied().filter(takes_part).collect(),
            rounds: size(words.rounds).unwrap_or(rounds),
            seconds: words.seconds.unwrap_or(seconds),
            idle: (idle / 5, idle),
            shares: if words.has("--quick") { &[70] } else { &[30, 50, 70, 90] },
            build: !words.has("--no-build"),
            noisy: words.has("--noisy"),
            envoy: words.envoy,
            against: words.against.filter(|path| path.is_file()),
            name,
        })
    }

    /// Seconds that all this takes if no round is dropped.
    pub(crate) fn estimate(&self) -> u64 {
        self.cases.iter().map(|case| self.estimate_case(case)).sum()
    }

    fn estimate_case(&self, case: &Case) -> u64 {
        const START_SECONDS: u64 = 2;
        let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let rounds = length(self.rounds);
        let peers = self.peers.iter().filter(|peer| peer.does(case.setting.tls));
        let limits = !matches!(case.shape, Shape::Peers) || case.name != "small-64";
        let all = length(peers.filter(|peer| **peer != Peer::TlsRelay || !limits).count());
        let each = rounds * self.seconds + START_SECONDS;
        match case.shape {
            Shape::Peers => all * each,
            Shape::Latency => {
                all * (length(self.shares.len()) * rounds * self.seconds + START_SECONDS)
            }
            // About a millisecond for each handshake.
            Shape::Idle => all * (length(self.idle.1) / 1000 + START_SECONDS + 1),
            Shape::Cores => 3 * each,
            Shape::Variants(_) => 2 * each,
        }
    }
}

impl Words {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }

    fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        // `--peer=nginx` is `--peer nginx`.
        let mut words = words.flat_map(|word| match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                vec![name.to_owned(), value.to_owned()]
            }
            _ => vec![word],
        });
        let mut found = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--quick" | "--noisy" | "--no-build" | "--without-fast-path" => {
                    found.flags.push(word);
                }
                "--case" => found.cases.push(value()?),
                "--peer" => found.peers.push(value()?),
                "--rounds" => found.rounds = Some(number(&value()?)?),
                "--seconds" => found.seconds = Some(number(&value()?)?),
                "--idle" => found.idle = Some(number(&value()?)?),
                "--against" => found.against = Some(PathBuf::from(value()?)),
                "--envoy" => found.envoy = Some(PathBuf::from(value()?)),
                _ if word.starts_with('-') => return Err(format!("{word}: no such option")),
                _ => found.cases.push(word),
            }
        }
        Ok(found)
    }
}

fn number(word: &str) -> Result<u64, String> {
    let number = word.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| format!("{word}: not a number from 1 to 1000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn all_of_it_is_within_25_minutes_and_a_quick_look_within_two() {
        let all = parse("").unwrap();
        assert!(all.rounds >= 5 && all.cases.len() == CASES.len());
        assert!(all.estimate() < 25 * 60, "{}", all.estimate());
        let quick = parse("--quick").unwrap();
        assert!(quick.estimate() <= 125, "{}", quick.estimate());
    }

    #[test]
    fn words_are_taken_in_both_forms() {
        let options =
            parse("--peer=nginx --peer ferrule --case small-1 small-4 --rounds 7").unwrap();
        assert_eq!(options.peers, [Peer::Nginx, Peer::Ferrule]);
        let names: Vec<&str> = options.cases.iter().map(|case| case.name).collect();
        assert_eq!((names, options.rounds), (vec!["small-4", "small-1"], 7));
        assert!(!parse("").unwrap().peers.contains(&Peer::FerruleRustls));
        assert!(parse("--without-fast-path").unwrap().peers.contains(&Peer::FerruleRustls));
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (text, part) in [
            ("small-65", "small-65: no such case"),
            ("--peer apache", "apache: no such peer"),
            ("--rounds 0", "0: not a number"),
            ("--fast", "--fast: no such option"),
            ("--rounds", "--rounds wants a value"),
        ] {
            assert!(parse(text).unwrap_err().contains(part), "{text}");
        }
    }
}
