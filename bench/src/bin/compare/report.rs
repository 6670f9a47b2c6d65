//! Medians with their spread, ratios, and the files in `bench/results/`.

use std::fmt::Write;
use std::fs;

use ferrule_tools::process::{shell, source_dir};
use serde_json::{Value, json};

use crate::Row;
use crate::case::Case;
use crate::measure::Sample;
use crate::peer::Peer;
use crate::stage::Stage;

/// Lowest, middle and highest of the rounds.
#[derive(Clone, Copy)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

fn spread(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Option<Spread> {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied();
    let last = values.len().checked_sub(1)?;
    let median = f64::midpoint(at(last / 2)?, at(last.div_ceil(2))?);
    Some(Spread { min: at(0)?, median, max: at(last)? })
}

/// Prints and writes everything. False if a case has a peer without enough rounds that count.
pub(crate) fn print_and_write(results: &[(&Case, Vec<Row>)], stage: &Stage, quick: bool) -> bool {
    let rows = results.first().map(|(_, rows)| rows.iter().map(|row| row.peer).collect());
    let peers: Vec<Peer> = rows.unwrap_or_default();
    let facts = facts(stage, &peers, quick);
    let mut text = String::from("# Ferrule beside its peers\n\n");
    for fact in &facts {
        writeln!(text, "* {fact}").expect("a string takes text");
    }
    text.push_str(
        "\nCPU is user and system time of all the proxy's processes, in microseconds per request: the \
         median of the rounds (lowest to highest). Gaps under 10 % are not established. Rounds in which the proxy waited for its core, or the machine for its host, more than 10 % of the time are dropped.\n\n\
         | case | peer | CPU us/request | ratio to nginx | requests/s | p50 us | p99 us | rounds |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    let mut whole = true;
    let mut cases = Vec::new();
    for (case, rows) in results {
        for row in rows {
            whole &= row.samples.len() >= 2 && row.void.is_empty();
            text.push_str(&line(case, row, rows));
            cases.push(value(case, row, rows));
        }
    }
    for (case, rows) in results {
        for row in rows {
            for why in &row.void {
                writeln!(text, "\nVoid: {} {}: {why}", case.name, row.peer.name())
                    .expect("a string takes text");
            }
        }
    }
    println!("\n{text}");
    let dir = source_dir().join("bench/results");
    fs::create_dir_all(&dir).expect("a writable source tree");
    let name = if quick { "compare-quick" } else { "compare" };
    let json = json!({ "facts": facts, "cases": cases });
    for (suffix, content) in [("md", text), ("json", format!("{json:#}\n"))] {
        let path = dir.join(format!("{name}.{suffix}"));
        fs::write(&path, content).expect("a writable source tree");
        println!("written: {}", path.display());
    }
    whole
}

fn facts(stage: &Stage, peers: &[Peer], quick: bool) -> Vec<String> {
    let dir = stage.dir();
    let say = |script: &str| shell(dir, script).trim().to_owned();
    let mut facts = vec![
        format!("date: {}", say("date -u +%Y-%m-%d")),
        format!("processor: {}", say("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- || true")),
        format!("kernel: Linux {}", say("uname -r")),
        stage.cores.clone(),
        String::from(
            "job: TLS 1.3, client certificate required (ECDSA P-256), three identity headers, pool of \
             verified mTLS connections to nginx; access log off",
        ),
        format!("load: {}", say("(wrk -v || true) 2>&1 | head -n 1 | cut -d' ' -f1-2")),
    ];
    facts.extend(peers.iter().map(|peer| format!("{}: {}", peer.name(), peer.version())));
    if quick {
        facts.push(String::from("QUICK: too few and too short rounds to quote"));
    }
    facts
}

fn ratio(row: &Row, rows: &[Row]) -> Option<f64> {
    let nginx = rows.iter().find(|other| other.peer == Peer::Nginx)?;
    let base = spread(&nginx.samples, |sample| sample.cpu_micros)?.median;
    Some(spread(&row.samples, |sample| sample.cpu_micros)?.median / base)
}

fn line(case: &Case, row: &Row, rows: &[Row]) -> String {
    let median = |of: fn(&Sample) -> f64| {
        spread(&row.samples, of).map_or_else(|| String::from("-"), |s| format!("{:.0}", s.median))
    };
    let cpu = spread(&row.samples, |sample| sample.cpu_micros).map_or_else(
        || String::from("-"),
        |s| format!("{:.2} ({:.2} to {:.2})", s.median, s.min, s.max),
    );
    let ratio = ratio(row, rows).map_or_else(|| String::from("-"), |ratio| format!("{ratio:.2}"));
    format!(
        "| {} | {} | {cpu} | {ratio} | {} | {} | {} | {}, {} dropped, {} void |\n",
        case.words,
        row.peer.name(),
        median(|sample| sample.per_second),
        median(|sample| sample.p50_micros),
        median(|sample| sample.p99_micros),
        row.samples.len(),
        row.dropped,
        row.void.len()
    )
}

fn value(case: &Case, row: &Row, rows: &[Row]) -> Value {
    let of = |of: fn(&Sample) -> f64| {
        spread(&row.samples, of).map(|s| json!({ "min": s.min, "median": s.median, "max": s.max }))
    };
    json!({
        "case": case.name,
        "peer": row.peer.name(),
        "cpu_us_per_request": of(|sample| sample.cpu_micros),
        "ratio_to_nginx": ratio(row, rows),
        "requests_per_second": of(|sample| sample.per_second),
        "p50_us": of(|sample| sample.p50_micros),
        "p99_us": of(|sample| sample.p99_micros),
        "waited_share": of(|sample| sample.waited),
        "stolen_share": of(|sample| sample.stolen),
        "handshakes": row.samples.iter().map(|sample| sample.handshakes).collect::<Vec<_>>(),
        "rounds": row.samples.len(),
        "dropped": row.dropped,
        "void": row.void,
    })
}
