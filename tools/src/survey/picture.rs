//! The picture of `docs/architecture.md`: the rooms of the engine, and who uses whom.
//!
//! Boxes and their places are listed here; the arrows come from the paths that the sources name. An arrow
//! that follows from others is left out, so that the picture stays readable. It has no background
//! and its grey lines show on white and on black.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::source::{Source, sources};
use super::uses::{Graph, direct, names_crate, uses};

const WIDTH: u32 = 860;
const HEIGHT: u32 = 900;
/// The room that `config` is drawn as: a crate of its own.
const CONFIG: &str = "config";
/// The storey of the shell's files that are in none of its folders.
const ENTRY: &str = "accept, worker, service";

/// One box.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    job: &'static str,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    fill: &'static str,
}

impl Place {
    const fn new(
        name: &'static str,
        job: &'static str,
        x: u32,
        y: u32,
        fill: &'static str,
    ) -> Self {
        Self { name, job, x, y, width: 320, height: 56, fill }
    }

    const fn sized(mut self, width: u32, height: u32) -> Self {
        self.width = width;
        self.height = height;
        self
    }

    const fn middle(&self) -> u32 {
        self.x + self.width / 2
    }

    const fn bottom(&self) -> u32 {
        self.y + self.height
    }
}

const CORE: &str = "#d8ecd4";
const SETTINGS: &str = "#f3e6c4";
const IO: &str = "#d3e3f5";
const STOREY: &str = "#eef5fc";

/// The rooms, from top to bottom.
const ROOMS: [Place; 12] = [
    Place::new("shell", "the data cores: sockets, buffers, time", 40, 20, IO).sized(370, 346),
    Place::new("control", "signals, reload, files, logs, metrics", 500, 310, IO),
    Place::new("setup", "a file becomes a generation, or its problems", 270, 426, SETTINGS),
    Place::new("tls", "rustls settings, keys, resumption", 20, 542, SETTINGS).sized(225, 56),
    Place::new("health", "which nodes are asked", 255, 542, SETTINGS).sized(175, 56),
    Place::new("limits", "how many requests go on", 440, 542, SETTINGS).sized(185, 56),
    Place::new("report", "an exchange becomes counters", 635, 542, SETTINGS).sized(215, 56),
    Place::new("exchange", "one request and its response, as decisions", 500, 628, CORE),
    Place::new("plan", "the configuration, compiled for lookup", 270, 714, CORE),
    Place::new("wire", "HTTP/1.1 as bytes", 40, 814, CORE).sized(240, 56),
    Place::new(CONFIG, "a file becomes checked values", 310, 814, SETTINGS).sized(240, 56),
    Place::new("identity", "a certificate: facts and verdict", 580, 814, CORE).sized(240, 56),
];

/// The storeys of the shell, from top to bottom.
const STOREYS: [Place; 5] = [
    Place::new(ENTRY, "bring connections and requests together", 60, 66, STOREY).sized(330, 44),
    Place::new("request", "one exchange: forward, relay, respond", 60, 126, STOREY).sized(330, 44),
    Place::new("client", "one client connection", 60, 186, STOREY).sized(330, 44),
    Place::new("state", "what one core holds", 60, 246, STOREY).sized(330, 44),
    Place::new("transport", "bytes, sockets, buffers, deadlines", 60, 306, STOREY).sized(330, 44),
];

/// The rooms of the engine as SVG.
///
/// # Panics
/// A source cannot be read, or names a room that has no place in the picture.
#[must_use]
pub fn picture(top: &Path) -> String {
    let sources = sources(top);
    let engine: Vec<&Source> = sources.iter().filter(|source| source.krate == "engine").collect();
    let mut svg = String::new();
    begin(&mut svg);
    boxes(&mut svg, &ROOMS);
    boxes(&mut svg, &STOREYS);
    arrows(&mut svg, &ROOMS, &graph(&engine, room));
    arrows(&mut svg, &STOREYS, &graph(&engine, storey));
    svg.push_str("</svg>\n");
    svg
}

/// The room of a module of the engine. Its root and the simulation are no rooms.
fn room(module: &[String]) -> Option<&'static str> {
    let first = module.first().filter(|first| *first != "simulation")?;
    let place = ROOMS.iter().find(|place| place.name == first);
    Some(place.unwrap_or_else(|| panic!("the room `{first}` is not in the picture")).name)
}

/// The storey of a module of the shell. Its root only starts the workers.
fn storey(module: &[String]) -> Option<&'static str> {
    let (_, below) = module.split_first().filter(|(first, _)| *first == "shell")?;
    let folder = below.first()?;
    Some(STOREYS.iter().find(|place| place.name == folder).map_or(ENTRY, |place| place.name))
}

/// Who uses whom, with modules put together to the parts that they are of.
fn graph(sources: &[&Source], part: fn(&[String]) -> Option<&'static str>) -> Graph<&'static str> {
    let mut graph = Graph::new();
    for (module, used) in uses(sources) {
        let Some(own) = part(&module) else { continue };
        let others = used.iter().filter_map(|other| part(other)).filter(|other| *other != own);
        graph.entry(own).or_default().extend(others);
    }
    for source in sources.iter().filter(|source| names_crate(source, "ferrule_config")) {
        if let Some(own) = part(&source.module).filter(|own| ROOMS.iter().any(|it| it.name == *own))
        {
            graph.entry(own).or_default().insert(CONFIG);
        }
    }
    direct(&graph)
}

fn begin(svg: &mut String) {
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">
<!-- Drawn from the sources by tools/src/bin/docs.rs. Do not edit. -->
<title>The rooms of the engine. An arrow says: uses.</title>
<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"11\" markerHeight=\"11\" \
         markerUnits=\"userSpaceOnUse\" \
         orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#7d8590\"/></marker></defs>
"
    );
}

fn boxes(svg: &mut String, places: &[Place]) {
    for Place { name, job, x, y, width, height, fill } in places {
        let text = x + 14;
        let (title, line) = (y + 20, y + 38);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{fill}\" \
             stroke=\"#7d8590\"/>\n\
             <text x=\"{text}\" y=\"{title}\" font-weight=\"bold\" fill=\"#1b1f24\">{name}</text>\n\
             <text x=\"{text}\" y=\"{line}\" fill=\"#1b1f24\">{job}</text>"
        );
    }
}

/// From the lower edge of the one that uses to the upper edge of the one that is used. Lines that meet at an
/// edge are spread along it.
fn arrows(svg: &mut String, places: &[Place], graph: &Graph<&'static str>) {
    let place: BTreeMap<&str, &Place> = places.iter().map(|place| (place.name, place)).collect();
    for (user, used) in graph {
        for other in used {
            let (from, to) = (place[user], place[other]);
            let start = toward(from, to.middle());
            let end = toward(to, from.middle());
            let _ = writeln!(
                svg,
                "<path d=\"M{start} {} {end} {}\" stroke=\"#7d8590\" stroke-width=\"2\" fill=\"none\" \
                 marker-end=\"url(#head)\"><title>{user} uses {other}</title></path>",
                from.bottom(),
                to.y
            );
        }
    }
}

/// A point of the edge, a third of the half width away from the middle, on the side of the other end.
const fn toward(place: &Place, other: u32) -> u32 {
    let aside = place.width / 6;
    if other > place.middle() {
        place.middle() + aside
    } else if other < place.middle() {
        place.middle() - aside
    } else {
        place.middle()
    }
}
