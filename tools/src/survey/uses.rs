//! Which file uses which: the graph of modules of a crate, and its circles.
//!
//! An edge goes to the file that declares what a path names, as far as the path tells: for
//! `crate::tls::keys::Key` that is `tls/keys.rs`, for `crate::tls::Key` it is `tls/mod.rs`, which may
//! only pass it on. Declaring a child with `mod` is no use of it.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ItemUse, Path, UseTree};

use super::source::Source;

/// Who uses whom.
pub(super) type Graph<Node> = BTreeMap<Node, BTreeSet<Node>>;

/// The modules of one crate, and those that each of them uses.
pub(super) type Uses = Graph<Vec<String>>;

/// The graph of one crate.
#[must_use]
pub(super) fn uses(sources: &[&Source]) -> Uses {
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).collect();
    let edges = |source: &&Source| {
        let mut paths = Paths::default();
        paths.visit_file(&source.syntax);
        let named = paths.found.iter().filter_map(|path| absolute(path, &source.module, &modules));
        let files = named.filter_map(|path| declared_in(&path, &modules));
        (source.module.clone(), files.filter(|other| *other != source.module).collect())
    };
    sources.iter().map(edges).collect()
}

/// The path from the crate's root; `None` for other crates and local names.
fn absolute(
    path: &[String],
    from: &[String],
    modules: &BTreeSet<Vec<String>>,
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([from, rest].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = from.get(..from.len().checked_sub(ups)?)?;
            Some([base, path.get(ups..)?].concat())
        }
        _ => {
            let below = [from, path].concat();
            modules.contains(below.get(..=from.len())?).then_some(below)
        }
    }
}

/// The longest beginning of the path that is a file.
fn declared_in(path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let beginnings = (1..=path.len()).rev().filter_map(|len| path.get(..len));
    beginnings.map(<[String]>::to_vec).find(|beginning| modules.contains(beginning))
}

#[derive(Default)]
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn expand(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                self.expand(&[before, &[path.ident.to_string()]].concat(), &path.tree);
            }
            UseTree::Name(name) => self.add(before, &name.ident.to_string()),
            UseTree::Rename(rename) => self.add(before, &rename.ident.to_string()),
            UseTree::Glob(_) => drop(self.found.insert(before.to_vec())),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.expand(before, tree));
            }
        }
    }

    fn add(&mut self, before: &[String], name: &str) {
        let own = (name != "self").then(|| name.to_owned());
        self.found.insert(before.iter().cloned().chain(own).collect());
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.expand(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.segments.len() > 1 {
            self.found.insert(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// Does the file name anything of this crate?
#[must_use]
pub(super) fn names_crate(source: &Source, krate: &str) -> bool {
    let mut paths = Paths::default();
    paths.visit_file(&source.syntax);
    paths.found.iter().any(|path| path.first().is_some_and(|first| first == krate))
}

/// The same graph without the edges that follow from others. It must have no circle.
#[must_use]
pub(super) fn direct<Node: Copy + Ord>(graph: &Graph<Node>) -> Graph<Node> {
    let only = |used: &BTreeSet<Node>| {
        let implied = |node: &Node| used.iter().any(|other| reached(graph, other).contains(node));
        used.iter().filter(|node| !implied(node)).copied().collect()
    };
    graph.iter().map(|(node, used)| (*node, only(used))).collect()
}

/// Sets of modules each of which reaches all others of its set.
#[must_use]
pub(super) fn circles(uses: &Uses) -> Vec<Vec<Vec<String>>> {
    let mut left: BTreeSet<&Vec<String>> = uses.keys().collect();
    let mut found = Vec::new();
    while let Some(start) = left.pop_first() {
        let forward = reached(uses, start);
        let circle: Vec<Vec<String>> = forward
            .iter()
            .filter(|other| reached(uses, other).contains(start))
            .map(|other| (*other).clone())
            .collect();
        for module in &circle {
            left.remove(module);
        }
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// What can be reached from here, in one step or more.
fn reached<'graph, Node: Ord>(graph: &'graph Graph<Node>, start: &Node) -> BTreeSet<&'graph Node> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Node> = graph.get(start).into_iter().flatten().collect();
    while let Some(node) = next.pop() {
        if reached.insert(node) {
            next.extend(graph.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn source(module: &str, text: &str) -> Source {
        Source {
            path: PathBuf::from(module),
            krate: "engine".to_owned(),
            module: module.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            text: text.to_owned(),
            syntax: syn::parse_str(text).unwrap(),
        }
    }

    fn found(sources: &[Source]) -> Vec<String> {
        let all: Vec<&Source> = sources.iter().collect();
        let join = |circle: &Vec<Vec<String>>| {
            circle.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" ")
        };
        circles(&uses(&all)).iter().map(join).collect()
    }

    #[test]
    fn a_circle_is_found_in_every_spelling() {
        for text in [
            "use crate::a::X;",
            "use crate::{a::X, b::Y};",
            "use super::a;",
            "use super::a::*;",
            "use crate::a as other;",
            "fn f() { crate::a::f() }",
            "fn f(_: super::a::X) {}",
        ] {
            let circle =
                [source("", "mod a; mod b;"), source("a", "use crate::b::Y;"), source("b", text)];
            assert_eq!(found(&circle), ["a b"], "{text}");
        }
    }

    #[test]
    fn a_parent_that_uses_its_child_and_is_used_by_it_is_a_circle() {
        let parent = source("a", "mod b; use b::X;");
        assert_eq!(found(&[parent, source("a/b", "use super::Y;")]), ["a a/b"]);
        let parent = source("a", "mod b; pub use self::b::X;");
        assert!(found(&[parent, source("a/b", "use crate::c::Y;"), source("c", "")]).is_empty());
    }

    #[test]
    fn an_edge_that_follows_from_others_is_left_out() {
        let graph: Graph<&str> =
            [("a", ["b", "c", "d"].into()), ("b", ["c"].into()), ("d", [].into())].into();
        let left: Graph<&str> =
            [("a", ["b", "d"].into()), ("b", ["c"].into()), ("d", [].into())].into();
        assert_eq!(direct(&graph), left);
    }

    #[test]
    fn other_crates_and_local_names_are_no_edges() {
        let one = source("a", "use std::b::X; use b::Y; fn f() { Local::new() }");
        assert!(found(&[one, source("b", "use crate::a::Z;")]).is_empty());
    }
}
