//! What is aimed at, and whether it is met. Below 1 is better than the other one; gaps under 10 % are
//! not established by one run.

use crate::peer::Peer;
use crate::runs::Results;
use crate::stats::{Row, Sample};

/// Whom a goal is measured by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rival {
    /// Debian's nginx.
    Nginx,
    /// The best of those that do the whole job.
    Best,
    /// This one.
    One(Peer),
    /// Ferrule in another setting: the first row of the case.
    Self_,
    /// No one: the figure counts by itself.
    Nobody,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Figure {
    /// CPU time per request.
    Cpu,
    /// The 99th percentile at this share of nginx's saturation.
    P99(usize),
    /// KiB per idle connection.
    Memory,
    /// So many cores over one: cores times CPU per request on one, by CPU per request on all.
    Cores(usize),
}

/// One goal.
#[derive(Clone, Copy, Debug)]
struct Goal {
    case: &'static str,
    words: &'static str,
    figure: Figure,
    rival: Rival,
    bound: f64,
    /// Everything short of this is a defeat, even where the goal is missed with honour.
    floor: Option<f64>,
}

const fn goal(case: &'static str, words: &'static str, rival: Rival, bound: f64) -> Goal {
    Goal { case, words, figure: Figure::Cpu, rival, bound, floor: None }
}

const fn floored(goal: Goal, floor: f64) -> Goal {
    Goal { floor: Some(floor), ..goal }
}

const fn of(goal: Goal, figure: Figure) -> Goal {
    Goal { figure, ..goal }
}

const BEATEN: f64 = 0.90;

const ENVOY: Rival = Rival::One(Peer::Envoy);

const GOALS: &[Goal] = &[
    goal("small-64", "small, 64 connections", Rival::Nginx, 0.50),
    floored(goal("small-64", "small, 64 connections", Rival::Best, 0.58), BEATEN),
    goal("small-4", "small, 4 connections", Rival::Nginx, 0.80),
    goal("small-4", "small, 4 connections", Rival::Best, 0.80),
    goal("small-1", "small, 1 connection", Rival::Nginx, 0.80),
    goal("small-1", "small, 1 connection", Rival::Best, 0.80),
    of(goal("latency", "p99 at 70 % of nginx's saturation", Rival::Nginx, 0.6), Figure::P99(70)),
    of(goal("latency", "p99 at 70 % of nginx's saturation", Rival::Best, 0.7), Figure::P99(70)),
    goal("full-p256", "full handshake, P-256", Rival::Nginx, 0.27),
    goal("full-p256", "full handshake, P-256", ENVOY, 0.65),
    floored(goal("full-p256", "full handshake, P-256", Rival::Best, BEATEN), BEATEN),
    goal("resumed-p256", "resumed, P-256", Rival::Nginx, 0.35),
    goal("resumed-p256", "resumed, P-256", ENVOY, 0.80),
    goal("full-rsa", "full handshake, RSA-2048", Rival::Nginx, 0.75),
    goal("full-rsa", "full handshake, RSA-2048", Rival::Best, 1.0),
    goal("large", "1 MiB response", Rival::Nginx, 0.75),
    floored(goal("large", "1 MiB response", Rival::Best, 0.75), BEATEN),
    goal("upload", "256 KiB upload", Rival::Nginx, 0.65),
    goal("upload", "256 KiB upload", ENVOY, 0.80),
    floored(goal("upload", "256 KiB upload", Rival::Best, BEATEN), BEATEN),
    goal("plain-64", "plaintext, small", Rival::Nginx, 0.82),
    goal("plain-64", "plaintext, small", Rival::One(Peer::Relay), 1.05),
    floored(
        of(goal("idle", "KiB per idle mTLS connection", Rival::Nobody, 8.0), Figure::Memory),
        12.0,
    ),
    of(goal("idle", "memory per idle mTLS connection", Rival::Best, 0.45), Figure::Memory),
    of(goal("cores", "two cores over one", Rival::Self_, 1.9), Figure::Cores(2)),
    of(goal("cores", "four cores over one", Rival::Self_, 3.8), Figure::Cores(4)),
    goal("log", "access log on (JSON), over off", Rival::Self_, 1.03),
    goal("identity", "ten identity headers, over none", Rival::Self_, 1.05),
];

/// How a goal fared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Which case shows it.
    pub(crate) case: &'static str,
    /// What is aimed at.
    pub(crate) words: &'static str,
    /// Against whom, with the name of the best where that was asked for.
    pub(crate) rival: String,
    /// What was found; none if it was not measured.
    pub(crate) value: Option<f64>,
    /// `<= 0.50`.
    pub(crate) bound: String,
    /// Is it met?
    pub(crate) met: Option<bool>,
    /// Is it at least better than the floor, where there is one?
    pub(crate) above_floor: Option<bool>,
}

impl Outcome {
    /// `met`, `missed` or what else there is to say.
    pub(crate) const fn word(&self) -> &'static str {
        match (self.met, self.above_floor) {
            (None, _) => "not measured",
            (Some(true), _) => "met",
            (Some(false), Some(false)) => "MISSED, and below the floor",
            (Some(false), _) => "MISSED",
        }
    }
}

/// All goals whose case was run.
pub(crate) fn outcomes(results: &Results) -> Vec<Outcome> {
    let was_run = |goal: &&Goal| match goal.figure {
        Figure::Memory => !results.memory.is_empty(),
        Figure::Cpu | Figure::P99(_) | Figure::Cores(_) => rows(results, goal.case).is_some(),
    };
    GOALS.iter().filter(was_run).map(|goal| judge(results, goal)).collect()
}

fn judge(results: &Results, goal: &Goal) -> Outcome {
    let found = value(results, goal);
    let value = found.as_ref().map(|(value, _)| *value);
    let more = matches!(goal.figure, Figure::Cores(_));
    let holds = |bound: f64| value.map(|value| if more { value >= bound } else { value <= bound });
    Outcome {
        case: goal.case,
        words: goal.words,
        rival: found.map_or_else(|| name(goal.rival), |(_, rival)| rival),
        value,
        bound: format!("{} {:.2}", if more { ">=" } else { "<=" }, goal.bound),
        met: holds(goal.bound),
        above_floor: goal.floor.and_then(holds),
    }
}

fn name(rival: Rival) -> String {
    match rival {
        Rival::Nginx => String::from("nginx"),
        Rival::Best => String::from("best peer"),
        Rival::One(peer) => peer.name().to_owned(),
        Rival::Self_ => String::from("itself"),
        Rival::Nobody => String::from("-"),
    }
}

fn value(results: &Results, goal: &Goal) -> Option<(f64, String)> {
    match goal.figure {
        Figure::Cores(count) => {
            let rows = rows(results, goal.case)?;
            // On shared cores it has less than them.
            let cpu = |at: usize| rows.iter().find(|row| row.at == at && !row.shared)?.cpu();
            let cores = u32::try_from(count).ok()?;
            Some((f64::from(cores) * cpu(1)? / cpu(count)?, name(goal.rival)))
        }
        Figure::Cpu if goal.rival == Rival::Self_ => {
            let rows = rows(results, goal.case)?;
            Some((rows.get(1)?.cpu()? / rows.first()?.cpu()?, name(goal.rival)))
        }
        Figure::Cpu | Figure::P99(_) | Figure::Memory => {
            let all = figures(results, goal);
            let own = all.iter().find(|(peer, _)| *peer == Peer::Ferrule)?.1;
            if goal.rival == Rival::Nobody {
                return Some((own, name(goal.rival)));
            }
            let (rival, other) = choose(&all, goal.rival)?;
            let best = if goal.rival == Rival::Best { "best: " } else { "" };
            Some((own / other, format!("{best}{}", rival.name())))
        }
    }
}

fn choose(all: &[(Peer, f64)], rival: Rival) -> Option<(Peer, f64)> {
    let mut fitting = all.iter().copied().filter(|(peer, _)| match rival {
        Rival::Nginx => *peer == Peer::Nginx,
        Rival::Best => !peer.is_ours() && !peer.is_limit(),
        Rival::One(one) => *peer == one,
        Rival::Self_ | Rival::Nobody => false,
    });
    let first = fitting.next()?;
    Some(fitting.fold(first, |best, other| if other.1 < best.1 { other } else { best }))
}

/// What the goal looks at, for everybody who was measured.
fn figures(results: &Results, goal: &Goal) -> Vec<(Peer, f64)> {
    let of_rows = |share: usize, of: fn(&Sample) -> f64| {
        let rows = rows(results, goal.case).unwrap_or_default().iter();
        let rows = rows.filter(|row| row.at == share);
        rows.filter_map(|row| Some((row.peer, row.median(of)?))).collect()
    };
    match goal.figure {
        Figure::Cpu | Figure::Cores(_) => of_rows(0, |sample| sample.cpu_micros),
        Figure::P99(share) => of_rows(share, |sample| sample.p99_micros),
        Figure::Memory => {
            let all = results.memory.iter();
            all.filter_map(|memory| Some((memory.peer, memory.per_connection()?))).collect()
        }
    }
}

fn rows<'a>(results: &'a Results, case: &str) -> Option<&'a [Row]> {
    let (_, rows) = results.tables.iter().find(|(other, _)| other.name == case)?;
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{CASES, Case};
    use crate::runs::Memory;

    fn row(peer: Peer, at: usize, cpu_micros: f64, p99_micros: f64) -> Row {
        let mut row = Row::new(peer, peer.name().to_owned(), at);
        row.samples.push(Sample { cpu_micros, p99_micros, ..Sample::default() });
        row
    }

    fn results(name: &str, rows: Vec<Row>) -> Results {
        let case: Case = *CASES.iter().find(|case| case.name == name).unwrap();
        Results { tables: vec![(case, rows)], ..Results::default() }
    }

    fn words(results: &Results) -> Vec<(String, Option<f64>, &'static str)> {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let all = outcomes(results).into_iter();
        all.map(|one| (one.rival.clone(), one.value.map(round), one.word())).collect()
    }

    #[test]
    fn every_goal_belongs_to_a_case() {
        for goal in GOALS {
            assert!(CASES.iter().any(|case| case.name == goal.case), "{}", goal.case);
        }
    }

    /// Limits are no competitors, and our own other dress is not one either.
    #[test]
    fn the_best_peer_is_the_cheapest_that_does_the_whole_job() {
        let results = results(
            "small-64",
            vec![
                row(Peer::Nginx, 0, 30.0, 0.0),
                row(Peer::Envoy, 0, 42.0, 0.0),
                row(Peer::Haproxy, 0, 28.0, 0.0),
                row(Peer::Ferrule, 0, 15.0, 0.0),
                row(Peer::FerruleRustls, 0, 1.0, 0.0),
                row(Peer::TlsRelay, 0, 2.0, 0.0),
            ],
        );
        let wanted = [
            (String::from("nginx"), Some(0.5), "met"),
            (String::from("best: haproxy"), Some(0.536), "met"),
        ];
        assert_eq!(words(&results), wanted);
    }

    #[test]
    fn a_missed_goal_may_lie_above_its_floor_or_below() {
        let at = |cpu| {
            let rows = vec![row(Peer::Nginx, 0, 100.0, 0.0), row(Peer::Ferrule, 0, cpu, 0.0)];
            words(&results("large", rows)).into_iter().map(|one| one.2).collect::<Vec<_>>()
        };
        assert_eq!(at(75.0), ["met", "met"]);
        assert_eq!(at(80.0), ["MISSED", "MISSED"]);
        assert_eq!(at(95.0), ["MISSED", "MISSED, and below the floor"]);
    }

    #[test]
    fn who_was_not_run_is_not_beaten() {
        let rows = vec![row(Peer::Nginx, 0, 900.0, 0.0), row(Peer::Ferrule, 0, 200.0, 0.0)];
        let found = words(&results("resumed-p256", rows));
        assert_eq!(found[0], (String::from("nginx"), Some(0.222), "met"));
        assert_eq!(found[1], (String::from("envoy"), None, "not measured"));
    }

    #[test]
    fn latency_counts_at_its_share_alone() {
        let rows = vec![
            row(Peer::Nginx, 30, 0.0, 10.0),
            row(Peer::Ferrule, 30, 0.0, 100.0),
            row(Peer::Nginx, 70, 0.0, 1000.0),
            row(Peer::Ferrule, 70, 0.0, 500.0),
        ];
        let found = words(&results("latency", rows));
        assert_eq!(found[0], (String::from("nginx"), Some(0.5), "met"));
    }

    #[test]
    fn cores_are_better_the_more_they_do() {
        let rows = vec![row(Peer::Ferrule, 1, 15.0, 0.0), row(Peer::Ferrule, 2, 15.5, 0.0)];
        let found = words(&results("cores", rows));
        assert_eq!(found[0], (String::from("itself"), Some(1.935), "met"));
        assert_eq!(found[1].2, "not measured");
    }

    #[test]
    fn variants_are_compared_with_the_first() {
        let rows = vec![row(Peer::Ferrule, 0, 20.0, 0.0), row(Peer::Ferrule, 1, 21.0, 0.0)];
        let found = words(&results("log", rows));
        assert_eq!(found, [(String::from("itself"), Some(1.05), "MISSED")]);
    }

    #[test]
    fn memory_counts_by_itself_and_beside_the_best() {
        let memory = |peer, kib: f64| Memory { peer, at: vec![(0, 0.0), (1000, 1000.0 * kib)] };
        let memory = vec![memory(Peer::Nginx, 30.0), memory(Peer::Ferrule, 9.0)];
        let found = words(&Results { memory, ..Results::default() });
        assert_eq!(found[0], (String::from("-"), Some(9.0), "MISSED"));
        assert_eq!(found[1], (String::from("best: nginx"), Some(0.3), "met"));
    }
}
