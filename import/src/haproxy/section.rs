//! ProxySections of the file, and what proxies take from `defaults`.

use std::rc::Rc;

use crate::document::LIMITS;
use crate::report::Kind;
use crate::work::Work;

use super::words::ConfigLine;

/// A `frontend`, `backend` or `listen`.
#[derive(Debug)]
pub(super) struct ProxySection {
    pub(super) name: String,
    pub(super) head: ConfigLine,
    /// Its own lines, behind those of its `defaults`.
    pub(super) lines: Vec<ConfigLine>,
    pub(super) frontend: bool,
    pub(super) backend: bool,
}

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct ProxySections {
    pub(super) global: Vec<ConfigLine>,
    pub(super) proxies: Vec<ProxySection>,
    /// Lines that they have from their defaults.
    inherited: usize,
}

/// ProxySections that describe something else than traffic; a rule that needs one is refused by its own name.
const OTHERS: [&str; 14] = [
    "cache",
    "crt-store",
    "fcgi-app",
    "http-errors",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
    "acme",
];

/// What a line stands in.
enum SectionPlace {
    Nowhere,
    HaproxyGlobal,
    Defaults,
    Proxy,
    Other,
}

/// Defaults with their name.
struct NamedDefaults {
    name: String,
    lines: Vec<ConfigLine>,
}

/// Sorts lines into sections.
pub(super) fn read(lines: Vec<ConfigLine>, work: &Work) -> ProxySections {
    let mut sections = ProxySections::default();
    let mut defaults: Vec<NamedDefaults> = Vec::new();
    let mut place = SectionPlace::Nowhere;
    let mut owner: Rc<str> = Rc::from("file");
    for mut line in lines {
        let keyword = line.word(0).to_owned();
        let name = line.word(1).to_owned();
        let begins = match keyword.as_str() {
            "global" => Some(SectionPlace::HaproxyGlobal),
            "defaults" => Some(SectionPlace::Defaults),
            "frontend" | "backend" | "listen" => Some(SectionPlace::Proxy),
            other if OTHERS.contains(&other) => Some(SectionPlace::Other),
            _ => None,
        };
        if begins.is_some() {
            owner = Rc::from(format!("{keyword} {name}").trim_end());
        }
        line.owner = Rc::clone(&owner);
        if keyword.starts_with('.') {
            let message = format!(
                "`{keyword}` is not converted: write the lines that hold, without conditions"
            );
            line.refuse(work, 0, message);
            continue;
        }
        match begins {
            Some(SectionPlace::Defaults) => {
                place = SectionPlace::Defaults;
                let lines = from(&line, &defaults, 2, work).unwrap_or_default();
                if !sections.inherits(&line, lines.len(), work) {
                    break;
                }
                defaults.push(NamedDefaults { name, lines });
            }
            Some(SectionPlace::Proxy) => {
                place = SectionPlace::Proxy;
                if !begin(line, &defaults, &mut sections, work) {
                    break;
                }
            }
            Some(other) => {
                if matches!(other, SectionPlace::Other) {
                    line.say(work, Kind::Dropped, 0, "this section is not imported");
                }
                place = other;
            }
            None => match place {
                SectionPlace::HaproxyGlobal => sections.global.push(line),
                SectionPlace::Defaults => {
                    if let Some(last) = defaults.last_mut() {
                        last.lines.push(line);
                    }
                }
                SectionPlace::Proxy => {
                    if let Some(last) = sections.proxies.last_mut() {
                        last.lines.push(line);
                    }
                }
                SectionPlace::Other => {}
                SectionPlace::Nowhere => line.refuse(work, 0, "this line stands in no section"),
            },
        }
    }
    sections
}

/// The lines of the `defaults` that `from NAME` says, behind the word at `at`.
fn from(
    line: &ConfigLine,
    defaults: &[NamedDefaults],
    at: usize,
    work: &Work,
) -> Option<Vec<ConfigLine>> {
    if line.word(at).is_empty() {
        return None;
    }
    if line.word(at) != "from" {
        line.refuse(work, at, format!("{:?} is not understood here", line.word(at)));
        return None;
    }
    let wanted = line.word(at.saturating_add(1));
    let found = defaults.iter().rev().find(|defaults| defaults.name == wanted);
    if found.is_none() {
        line.refuse(work, at, format!("there is no `defaults {wanted}`"));
    }
    found.map(|found| found.lines.clone())
}

impl ProxySections {
    /// Counts the lines that sections have from their defaults; are they few enough?
    fn inherits(&mut self, head: &ConfigLine, lines: usize, work: &Work) -> bool {
        self.inherited = self.inherited.saturating_add(lines);
        let are_few = self.inherited <= LIMITS.nodes;
        if !are_few {
            let most = LIMITS.nodes;
            head.refuse(
                work,
                0,
                format!("sections take more than {most} lines from their defaults"),
            );
        }
        are_few
    }
}

/// Begins a section; false if there is no room for it.
fn begin(
    head: ConfigLine,
    defaults: &[NamedDefaults],
    sections: &mut ProxySections,
    work: &Work,
) -> bool {
    let name = head.word(1).to_owned();
    if name.is_empty() {
        head.refuse(work, 0, "this section needs a name");
    }
    let frontend = head.word(0) != "backend";
    let backend = head.word(0) != "frontend";
    let twice = sections.proxies.iter().any(|proxy| {
        proxy.name == name && ((proxy.frontend && frontend) || (proxy.backend && backend))
    });
    if twice {
        head.refuse(work, 1, format!("there are two sections of the name {name:?}"));
    }
    let lines = from(&head, defaults, 2, work)
        .or_else(|| defaults.last().map(|last| last.lines.clone()))
        .unwrap_or_default();
    if !sections.inherits(&head, lines.len(), work) {
        return false;
    }
    // What is said of an inherited line is said where it stands.
    sections.proxies.push(ProxySection { name, head, lines, frontend, backend });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_defaults_are_counted() {
        let work = Work::default();
        let lines = super::super::words::read("backend b", &|_| None, &work);
        let mut sections = ProxySections::default();
        assert!(sections.inherits(&lines[0], LIMITS.nodes, &work) && !work.log.refused());
        assert!(!sections.inherits(&lines[0], 1, &work) && work.log.refused());
    }
}
