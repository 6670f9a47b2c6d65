//! The files in `bench/results/`: tables for people, JSON for machines, pictures.

use std::fmt::Write;
use std::fs;

use ferrule_tools::process::{shell, source_dir};
use serde_json::{Value, json};

use crate::case::{Case, Shape};
use crate::chart;
use crate::goals::outcomes;
use crate::options::Options;
use crate::peer::Peer;
use crate::runs::{Memory, Results};
use crate::stage::{Layout, Stage, cores};
use crate::stats::{Row, Sample};

/// What was measured where.
pub(crate) fn facts(stage: &Stage, peers: &[Peer], options: &Options) -> Vec<String> {
    let say = |script: &str| shell(stage.dir(), script).trim().to_owned();
    let (rounds, seconds) = (options.rounds, options.seconds);
    let mut facts = vec![
        format!("date: {}", say("date -u +%Y-%m-%d")),
        format!("processor: {}", say("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- || true")),
        format!("kernel: Linux {}", say("uname -r")),
        Layout::single(cores()).words(cores()),
        String::from(
            "job: TLS 1.3 unless said, client certificate required (ECDSA P-256 unless said), three \
             identity headers and no others (Ferrule: forwarded_headers = false), pool of verified mTLS \
             connections to nginx, access log off; AES-256 for everyone",
        ),
        format!("rounds: {rounds} of {seconds} s for each, taking turns"),
        format!(
            "load: {} for connections that stay open, `load` (tools) for handshakes, fixed rates and idle \
             connections",
            say("(wrk -v || true) 2>&1 | head -n 1 | cut -d' ' -f1-2")
        ),
    ];
    facts.extend(peers.iter().map(|peer| format!("{}: {}", peer.name(), peer.version(stage))));
    match options.name {
        "compare" => {}
        "compare-part" => facts.push(String::from("PART: not all cases, or not all peers")),
        _ => facts
            .push(String::from("QUICK: too few, too short or disturbed rounds; not to be quoted")),
    }
    facts
}

/// Writes everything. False if somebody has not enough rounds that count.
pub(crate) fn write(results: &Results, facts: &[String], name: &str) -> bool {
    let pictures = [
        ("ratios", chart::ratios(results)),
        ("latency", chart::latency(results)),
        ("memory", chart::memory(results)),
    ];
    let dir = source_dir().join("bench/results");
    fs::create_dir_all(&dir).expect("a writable source tree");
    let mut files = Vec::new();
    let mut drawn = Vec::new();
    for (what, svg) in pictures {
        let file = format!("{name}-{what}.svg");
        if let Some(svg) = svg {
            drawn.push((what, file.clone()));
            files.push((file, svg));
        }
    }
    let text = render(results, facts, &drawn);
    println!("\n{text}");
    files.push((format!("{name}.md"), text));
    files.push((format!("{name}.json"), format!("{:#}\n", value(results, facts))));
    for (file, content) in files {
        let path = dir.join(file);
        fs::write(&path, content).expect("a writable source tree");
        println!("written: {}", path.display());
    }
    whole(results)
}

/// Nobody lacks rounds, and no round had an error.
fn whole(results: &Results) -> bool {
    let rows = || results.tables.iter().flat_map(|(_, rows)| rows);
    rows().next().is_some_and(|_| rows().all(|row| row.samples.len() >= 2 && row.void.is_empty()))
        || (rows().next().is_none() && !results.memory.is_empty())
}

/// The report for people.
fn render(results: &Results, facts: &[String], pictures: &[(&str, String)]) -> String {
    let mut text = String::from("# Ferrule beside its peers\n\n");
    for fact in facts {
        push(&mut text, format_args!("* {fact}\n"));
    }
    text.push_str(
        "\nCPU is user and system time of all the proxy's processes, in microseconds per request: the \
         median of the rounds (lowest to highest); the handshakes of connections that stay open are in it, 1 \
         to 2 % with 64 of them. It is the ratio that counts; times mean little on \
         another machine, and gaps under 10 % are not established. Rounds in which the proxy waited for \
         its core, or the machine for its host, more than 10 % of the time are dropped; rounds with any \
         error are void. Each peer showed before that it refuses clients without the right certificate, \
         sends the headers with the right values, shows its own certificate, and verifies the upstream.\n",
    );
    for (what, file) in pictures {
        push(&mut text, format_args!("\n![{what}]({file})\n"));
    }
    goals(&mut text, results);
    for (case, rows) in &results.tables {
        push(&mut text, format_args!("\n## {}: {}\n\n", case.name, case.words));
        match case.shape {
            Shape::Peers => peers(&mut text, rows),
            Shape::Latency => latency(&mut text, rows, results.saturation),
            Shape::Cores => several(&mut text, rows),
            Shape::Variants(_) => variants(&mut text, rows),
            Shape::Idle => {}
        }
    }
    memory(&mut text, &results.memory);
    remarks(&mut text, results);
    text
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes text");
}

fn goals(text: &mut String, results: &Results) {
    let outcomes = outcomes(results);
    if outcomes.is_empty() {
        return;
    }
    text.push_str(
        "\n## Goals\n\n| case | against | goal | found | |\n| --- | --- | --: | --: | --- |\n",
    );
    for one in outcomes {
        let value = number(one.value, 3);
        let word = one.word();
        push(
            text,
            format_args!("| {} | {} | {} | {value} | {word} |\n", one.words, one.rival, one.bound),
        );
    }
}

fn peers(text: &mut String, rows: &[Row]) {
    text.push_str(
        "| peer | ratio to nginx | ratio to the best peer | CPU us/request | requests/s | p50 us | p99 us | \
         handshakes | rounds |\n| --- | --: | --: | --: | --: | --: | --: | --: | --- |\n",
    );
    let nginx = rows.iter().find(|row| row.peer == Peer::Nginx).and_then(Row::cpu);
    let best = best(rows);
    for row in rows {
        let ratio =
            |base: Option<f64>| number(row.cpu().zip(base).map(|(own, base)| own / base), 2);
        let handshakes = row.median(|sample| sample.full + sample.resumed);
        let limit = if row.peer.is_limit() { " (limit)" } else { "" };
        push(
            text,
            format_args!(
                "| {}{limit} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                row.label,
                ratio(nginx),
                ratio(best),
                spread(row, |sample| sample.cpu_micros, 2),
                number(row.median(|sample| sample.per_second), 0),
                number(row.median(|sample| sample.p50_micros), 0),
                number(row.median(|sample| sample.p99_micros), 0),
                number(handshakes, 0),
                rounds(row)
            ),
        );
    }
}

/// The least that anybody else needs for the whole job.
fn best(rows: &[Row]) -> Option<f64> {
    let others = rows.iter().filter(|row| !row.peer.is_ours() && !row.peer.is_limit());
    others.filter_map(Row::cpu).reduce(f64::min)
}

fn latency(text: &mut String, rows: &[Row], saturation: Option<f64>) {
    let saturation = saturation.unwrap_or(0.0);
    push(
        text,
        format_args!(
            "Requests leave on time whatever the proxy does, and latency counts from when they should have \
             left. nginx is saturated at {saturation:.0} requests/s.\n\n\
             | peer | asked for /s | answered /s | p50 us | p99 us | CPU us/request | rounds |\n\
             | --- | --: | --: | --: | --: | --: | --- |\n"
        ),
    );
    for row in rows {
        let asked = saturation * u32::try_from(row.at).map_or(0.0, f64::from) / 100.0;
        let answered = row.median(|sample| sample.per_second);
        let late = answered.is_some_and(|answered| answered < asked * 0.97);
        push(
            text,
            format_args!(
                "| {} | {asked:.0} | {}{} | {} | {} | {} | {} |\n",
                row.label,
                number(answered, 0),
                if late { " (cannot keep up)" } else { "" },
                spread(row, |sample| sample.p50_micros, 0),
                spread(row, |sample| sample.p99_micros, 0),
                number(row.cpu(), 2),
                rounds(row)
            ),
        );
    }
}

fn several(text: &mut String, rows: &[Row]) {
    text.push_str(
        "The same rate per core, a quarter of what one can, so that neither upstream nor load is \
         saturated. What several cores can do over one is their number times the CPU time that a request \
         costs on one, by what it costs on all.\n\n\
         | cores | CPU us/request | requests/s | over one core | busiest thread's part | rounds |\n\
         | --- | --: | --: | --: | --: | --- |\n",
    );
    let one = rows.iter().find(|row| row.at == 1).and_then(Row::cpu);
    for row in rows {
        let count = u32::try_from(row.at).map_or(0.0, f64::from);
        let own = row.cpu().filter(|_| !row.shared);
        let gain = one.zip(own).map(|(one, own)| count * one / own);
        let busiest = row.median(|sample| sample.busiest * 100.0);
        push(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} % | {} |\n",
                row.label,
                spread(row, |sample| sample.cpu_micros, 2),
                number(row.median(|sample| sample.per_second), 0),
                number(gain, 2),
                number(busiest, 0),
                rounds(row)
            ),
        );
    }
}

fn variants(text: &mut String, rows: &[Row]) {
    text.push_str(
        "| setting | CPU us/request | over the first | requests/s | rounds |\n\
         | --- | --: | --: | --: | --- |\n",
    );
    let first = rows.first().and_then(Row::cpu);
    for row in rows {
        let ratio = row.cpu().zip(first).map(|(own, first)| own / first);
        push(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} |\n",
                row.label,
                spread(row, |sample| sample.cpu_micros, 2),
                number(ratio, 3),
                number(row.median(|sample| sample.per_second), 0),
                rounds(row)
            ),
        );
    }
}

fn memory(text: &mut String, all: &[Memory]) {
    let Some(first) = all.first() else { return };
    text.push_str(
        "\n## idle: KiB per idle mTLS connection\n\nPSS of all processes, after one request on each \
         connection. Per connection counts from the smaller number of connections to the larger one. What \
         the kernel keeps for the sockets is not in it.\n\n| peer | KiB per connection |",
    );
    for (count, _) in &first.at {
        push(text, format_args!(" KiB at {count} |"));
    }
    text.push_str("\n| --- | --: |");
    text.push_str(&" --: |".repeat(first.at.len()));
    text.push('\n');
    for one in all {
        let each = number(one.per_connection(), 1);
        push(text, format_args!("| {} | {each} |", one.peer.name()));
        for (_, kib) in &one.at {
            push(text, format_args!(" {kib:.0} |"));
        }
        text.push('\n');
    }
}

fn remarks(text: &mut String, results: &Results) {
    let rows =
        || results.tables.iter().flat_map(|(case, rows)| rows.iter().map(move |r| (case, r)));
    let dropped: usize = rows().map(|(_, row)| row.dropped).sum();
    let void: usize = rows().map(|(_, row)| row.void.len()).sum();
    let counted: usize = rows().map(|(_, row)| row.samples.len()).sum();
    push(
        text,
        format_args!(
            "\n## Left out\n\nRounds: {counted} count, {dropped} were dropped (disturbed), {void} are void \
             (errors).\n"
        ),
    );
    for why in &results.left_out {
        push(text, format_args!("* {why}\n"));
    }
    for (case, row) in rows() {
        for why in &row.void {
            push(text, format_args!("* void: {}, {}: {why}\n", case.name, row.label));
        }
    }
}

fn number(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| String::from("-"), |value| format!("{value:.places$}"))
}

fn spread(row: &Row, of: fn(&Sample) -> f64, places: usize) -> String {
    row.spread(of).map_or_else(
        || String::from("-"),
        |s| format!("{:.places$} ({:.places$} to {:.places$})", s.median, s.min, s.max),
    )
}

fn rounds(row: &Row) -> String {
    format!("{}, {} dropped, {} void", row.samples.len(), row.dropped, row.void.len())
}

/// The report for machines.
fn value(results: &Results, facts: &[String]) -> Value {
    let cases = results.tables.iter();
    let cases: Vec<Value> = cases
        .flat_map(|(case, rows)| rows.iter().map(move |row| row_value(case, row, rows)))
        .collect();
    let memory: Vec<Value> = results
        .memory
        .iter()
        .map(|one| {
            json!({
                "peer": one.peer.name(),
                "kib_per_connection": one.per_connection(),
                "pss_kib": one.at,
            })
        })
        .collect();
    let goals: Vec<Value> = outcomes(results)
        .iter()
        .map(|one| {
            json!({
                "case": one.case,
                "words": one.words,
                "against": one.rival,
                "goal": one.bound,
                "found": one.value,
                "met": one.met,
                "above_floor": one.above_floor,
            })
        })
        .collect();
    json!({
        "facts": facts,
        "goals": goals,
        "cases": cases,
        "memory": memory,
        "nginx_saturation_per_second": results.saturation,
        "left_out": results.left_out,
    })
}

fn row_value(case: &Case, row: &Row, rows: &[Row]) -> Value {
    let of = |of: fn(&Sample) -> f64| {
        let rounds: Vec<f64> = row.samples.iter().map(of).collect();
        row.spread(of)
            .map(|s| json!({ "min": s.min, "median": s.median, "max": s.max, "rounds": rounds }))
    };
    let nginx = rows.iter().find(|other| other.peer == Peer::Nginx && other.at == row.at);
    let nginx = nginx.and_then(Row::cpu);
    json!({
        "case": case.name,
        "peer": row.peer.name(),
        "label": row.label,
        "at": row.at,
        "cpu_us_per_request": of(|sample| sample.cpu_micros),
        "ratio_to_nginx": row.cpu().zip(nginx).map(|(own, base)| own / base),
        "requests_per_second": of(|sample| sample.per_second),
        "p50_us": of(|sample| sample.p50_micros),
        "p99_us": of(|sample| sample.p99_micros),
        "waited_share": of(|sample| sample.waited),
        "stolen_share": of(|sample| sample.stolen),
        "busiest_thread": of(|sample| sample.busiest),
        "full_handshakes": of(|sample| sample.full),
        "resumed_handshakes": of(|sample| sample.resumed),
        "rounds": row.samples.len(),
        "dropped": row.dropped,
        "void": row.void,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::SMALL;

    fn row(peer: Peer, cpu_micros: f64) -> Row {
        let mut row = Row::new(peer, peer.name().to_owned(), 0);
        let sample = Sample { cpu_micros, per_second: 1000.0, ..Sample::default() };
        row.samples = vec![sample, Sample { cpu_micros: cpu_micros + 2.0, ..sample }];
        row
    }

    fn results() -> Results {
        let mut ferrule = row(Peer::Ferrule, 14.0);
        ferrule.dropped = 3;
        let mut envoy = Row::new(Peer::Envoy, String::from("envoy"), 0);
        envoy.void.push(String::from("2 errors"));
        let tables = vec![(SMALL, vec![row(Peer::Nginx, 29.0), envoy, ferrule])];
        let memory = vec![Memory { peer: Peer::Nginx, at: vec![(0, 9.0), (10, 99.0)] }];
        let left_out = vec![String::from("haproxy: not installed")];
        Results { tables, memory, left_out, saturation: None }
    }

    #[test]
    fn the_report_says_ratios_and_what_was_left_out() {
        let text =
            render(&results(), &[String::from("date: today")], &[("ratios", "r.svg".into())]);
        for part in [
            "* date: today\n",
            "![ratios](r.svg)",
            "| small, 64 connections | nginx | <= 0.50 | 0.500 | met |",
            "| ferrule | 0.50 | 0.50 | 15.00 (14.00 to 16.00) | 1000 | 0 | 0 | 0 | 2, 3 dropped, 0 void |",
            "| envoy | - | - | - | - | - | - | - | 0, 0 dropped, 1 void |",
            "| nginx | 9.0 | 9 | 99 |",
            "Rounds: 4 count, 3 were dropped (disturbed), 1 are void",
            "* haproxy: not installed\n",
            "* void: small-64, envoy: 2 errors\n",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        assert!(!whole(&results()), "a round with an error");
    }

    #[test]
    fn machines_get_the_same() {
        let value = value(&results(), &[]);
        assert_eq!(value["cases"][2]["ratio_to_nginx"], 0.5);
        assert_eq!(value["cases"][2]["cpu_us_per_request"]["rounds"][1], 16.0);
        assert_eq!(value["cases"][1]["void"][0], "2 errors");
        assert_eq!(value["memory"][0]["kib_per_connection"], 9.0);
        assert_eq!(value["goals"][0]["met"], true);
    }
}
