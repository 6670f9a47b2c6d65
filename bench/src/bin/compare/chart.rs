//! Pictures, as SVG text: bars of ratios, bars of memory, curves of latency.

use std::fmt::{Display, Write};

use crate::case::Shape;
use crate::peer::Peer;
use crate::runs::Results;
use crate::stats::{Row, Sample};

/// A text of shapes that grows downwards.
struct Picture {
    width: f64,
    text: String,
}

impl Picture {
    const fn new(width: f64) -> Self {
        Self { width, text: String::new() }
    }

    fn put(&mut self, shape: impl Display) {
        writeln!(self.text, "{shape}").expect("a string takes text");
    }

    fn label(&mut self, (x, y): (f64, f64), style: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>"));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>"
        ));
    }

    fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        ));
    }

    fn finish(self, height: f64) -> String {
        let Self { width, text } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"13\" \
             fill=\"#24292f\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{text}</svg>\n"
        )
    }
}

const TITLE: &str = "font-size=\"17\" font-weight=\"bold\"";
const QUIET: &str = "fill=\"#57606a\"";
const QUIET_END: &str = "fill=\"#57606a\" text-anchor=\"end\"";
const QUIET_MIDDLE: &str = "fill=\"#57606a\" text-anchor=\"middle\"";
const GRID: &str = "stroke=\"#d8dee4\"";

/// The same colour for the same peer in every picture; ours stands out.
const fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Ferrule => "#c2410c",
        Peer::FerruleRustls | Peer::FerruleOther => "#fdba74",
        Peer::Nginx => "#4b7f52",
        Peer::Haproxy => "#4c78a8",
        Peer::Envoy => "#8a63a6",
        Peer::Relay | Peer::TlsRelay => "#b6bcc4",
    }
}

/// One group of bars.
struct Group {
    words: String,
    bars: Vec<(Peer, f64)>,
}

/// CPU per request as a ratio to nginx, one group for each case. None without nginx.
pub(crate) fn ratios(results: &Results) -> Option<String> {
    let tables = results.tables.iter().filter(|(case, _)| case.shape == Shape::Peers);
    let groups: Vec<Group> = tables
        .filter_map(|(case, rows)| {
            let nginx = rows.iter().find(|row| row.peer == Peer::Nginx)?.cpu()?;
            let bars = rows.iter().filter_map(|row| Some((row.peer, row.cpu()? / nginx)));
            Some(Group { words: case.words.to_owned(), bars: bars.collect() })
        })
        .collect();
    bars("CPU time per request, as a ratio to nginx (less is better)", &groups, (2, Some(1.0)))
}

/// KiB per idle connection, one bar for each peer.
pub(crate) fn memory(results: &Results) -> Option<String> {
    let all = results.memory.iter();
    let bars_ =
        all.filter_map(|memory| Some((memory.peer, memory.per_connection()?.max(0.0)))).collect();
    let group = Group { words: String::from("per idle mTLS connection"), bars: bars_ };
    bars("Memory in KiB (PSS, less is better)", &[group], (1, None))
}

/// `places` behind the point of the figures; a line at `mark`.
fn bars(title: &str, groups: &[Group], (places, mark): (usize, Option<f64>)) -> Option<String> {
    const LEFT: f64 = 130.0;
    const SPAN: f64 = 560.0;
    const HEIGHT: f64 = 15.0;
    let all = groups.iter().flat_map(|group| &group.bars);
    let most = all.map(|(_, value)| *value).reduce(f64::max)?.max(mark.unwrap_or(1e-9));
    let mut picture = Picture::new(LEFT + SPAN + 70.0);
    picture.label((16.0, 28.0), TITLE, title);
    let mut y = 48.0;
    for group in groups {
        picture.label((16.0, y + 12.0), "font-weight=\"bold\"", &group.words);
        y += 20.0;
        for (peer, value) in &group.bars {
            let width = (SPAN * value / most).max(1.0);
            picture.label((LEFT - 8.0, y + 12.0), QUIET_END, peer.name());
            picture.bar((LEFT, y), (width, HEIGHT), colour(*peer));
            let weight = if *peer == Peer::Ferrule { "font-weight=\"bold\"" } else { QUIET };
            picture.label((LEFT + width + 6.0, y + 12.0), weight, &format!("{value:.places$}"));
            y += HEIGHT + 3.0;
        }
        y += 12.0;
    }
    if let Some(mark) = mark {
        let x = LEFT + SPAN * mark / most;
        picture.line((x, 44.0), (x, y - 8.0), "stroke=\"#24292f\" stroke-dasharray=\"3 3\"");
    }
    Some(picture.finish(y + 8.0))
}

/// One line through the shares of nginx's saturation.
struct Curve {
    peer: Peer,
    points: Vec<(usize, f64)>,
}

/// p50 and p99 over the share of nginx's saturation.
pub(crate) fn latency(results: &Results) -> Option<String> {
    const WIDTH: f64 = 860.0;
    let (_, rows) = results.tables.iter().find(|(case, _)| case.shape == Shape::Latency)?;
    let panels = [
        ("p50", curves(rows, |sample| sample.p50_micros)),
        ("p99", curves(rows, |sample| sample.p99_micros)),
    ];
    let values = || panels.iter().flat_map(|(_, curves)| curves).flat_map(|curve| &curve.points);
    let least = values().map(|(_, micros)| *micros).fold(f64::MAX, f64::min).max(1.0);
    let most = values().map(|(_, micros)| *micros).fold(0.0, f64::max);
    if most < least {
        return None;
    }
    let scale = Scale { low: least.log10().floor(), high: (most.log10() + 0.01).ceil() };
    let mut picture = Picture::new(WIDTH);
    let title = "Latency at the same rates (logarithmic, less is better)";
    picture.label((16.0, 28.0), TITLE, title);
    for ((name, curves), left) in panels.iter().zip([70.0, 490.0]) {
        panel(&mut picture, name, (left, curves), &scale);
    }
    let mut x = 70.0;
    let drawn = panels.first().map(|(_, curves)| curves.as_slice()).unwrap_or_default();
    for curve in drawn {
        picture.bar((x, 398.0), (14.0, 14.0), colour(curve.peer));
        picture.label((x + 20.0, 410.0), "", curve.peer.name());
        x += 120.0;
    }
    Some(picture.finish(428.0))
}

fn curves(rows: &[Row], of: fn(&Sample) -> f64) -> Vec<Curve> {
    let mut found: Vec<Curve> = Vec::new();
    for row in rows {
        let Some(micros) = row.median(of) else { continue };
        let at = found.iter().position(|curve| curve.peer == row.peer).unwrap_or_else(|| {
            found.push(Curve { peer: row.peer, points: Vec::new() });
            found.len() - 1
        });
        if let Some(curve) = found.get_mut(at) {
            curve.points.push((row.at, micros.max(1.0)));
        }
    }
    found
}

/// Powers of ten between which everything lies.
struct Scale {
    low: f64,
    high: f64,
}

const PANEL_TOP: f64 = 64.0;
const PANEL_HEIGHT: f64 = 270.0;
const PANEL_WIDTH: f64 = 340.0;

impl Scale {
    fn y(&self, micros: f64) -> f64 {
        let share = (micros.log10() - self.low) / (self.high - self.low).max(1.0);
        PANEL_TOP + PANEL_HEIGHT * (1.0 - share)
    }
}

/// Microseconds in the unit that keeps them short.
fn time(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.0} us"),
        ..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.0} s", micros / 1e6),
    }
}

/// The place of a share in percent.
fn x(left: f64, share: usize) -> f64 {
    left + PANEL_WIDTH * u32::try_from(share).map_or(0.0, f64::from) / 100.0
}

fn panel(picture: &mut Picture, name: &str, (left, curves): (f64, &[Curve]), scale: &Scale) {
    picture.label((left, PANEL_TOP - 12.0), "font-weight=\"bold\"", name);
    let mut power = scale.low;
    while power <= scale.high {
        let micros = 10_f64.powf(power);
        let y = scale.y(micros);
        picture.line((left, y), (left + PANEL_WIDTH, y), GRID);
        picture.label((left - 8.0, y + 4.0), QUIET_END, &time(micros));
        power += 1.0;
    }
    let bottom = PANEL_TOP + PANEL_HEIGHT;
    let mut shares: Vec<usize> = curves.iter().flat_map(|c| &c.points).map(|p| p.0).collect();
    shares.sort_unstable();
    shares.dedup();
    for share in shares {
        let x = x(left, share);
        picture.line((x, PANEL_TOP), (x, bottom), GRID);
        picture.label((x, bottom + 18.0), QUIET_MIDDLE, &format!("{share} %"));
    }
    let middle = left + PANEL_WIDTH / 2.0;
    picture.label((middle, bottom + 38.0), QUIET_MIDDLE, "of the rate that saturates nginx");
    for curve in curves {
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|(share, micros)| (x(left, *share), scale.y(*micros)))
            .collect();
        let text: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let colour = colour(curve.peer);
        picture.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
            text.join(" ")
        ));
        for (x, y) in points {
            picture.put(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{CASES, Case, SMALL};
    use crate::runs::Memory;

    fn row(peer: Peer, at: usize, micros: f64) -> Row {
        let mut row = Row::new(peer, peer.name().to_owned(), at);
        let (cpu_micros, p50_micros, p99_micros) = (micros, micros, micros * 10.0);
        row.samples.push(Sample { cpu_micros, p50_micros, p99_micros, ..Sample::default() });
        row
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let rows = vec![row(Peer::Nginx, 0, 30.0), row(Peer::Ferrule, 0, 15.0)];
        let results = Results { tables: vec![(SMALL, rows)], ..Results::default() };
        let svg = ratios(&results).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("width=\"560.0\"") && svg.contains("width=\"280.0\""), "{svg}");
        assert!(svg.contains(">1.00<") && svg.contains(">0.50<") && svg.contains("mTLS -> mTLS"));
        assert!(ratios(&Results::default()).is_none());
    }

    #[test]
    fn curves_have_a_point_for_each_share() {
        let case: Case = *CASES.iter().find(|case| case.name == "latency").unwrap();
        let rows = [30, 70]
            .into_iter()
            .flat_map(|share| [row(Peer::Nginx, share, 200.0), row(Peer::Ferrule, share, 100.0)]);
        let results = Results { tables: vec![(case, rows.collect())], ..Results::default() };
        let svg = latency(&results).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert_eq!(svg.matches("<circle").count(), 8);
        assert!(svg.contains(">70 %<") && svg.contains(">1 ms<"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn memory_has_a_bar_for_each_peer() {
        let memory_of = |peer, kib: f64| Memory { peer, at: vec![(0, 0.0), (100, 100.0 * kib)] };
        let all = vec![memory_of(Peer::Nginx, 33.0), memory_of(Peer::Ferrule, 7.5)];
        let svg = memory(&Results { memory: all, ..Results::default() }).unwrap();
        assert!(svg.contains(">33.0<") && svg.contains(">7.5<"));
    }
}
