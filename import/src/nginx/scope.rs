//! What holds in a block: a directive of its own, else that of the nearest block around it.

use std::collections::HashMap;
use std::rc::Rc;

use super::tree::Directive;

/// A block and those around it, the outermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    levels: Vec<Rc<Level<'a>>>,
}

/// A block, and its directives by their names: each location asks for many.
#[derive(Debug)]
struct Level<'a> {
    block: &'a [Directive],
    by_name: HashMap<&'a str, Vec<&'a Directive>>,
}

impl<'a> Level<'a> {
    fn new(block: &'a [Directive]) -> Rc<Self> {
        let mut by_name: HashMap<&str, Vec<&Directive>> = HashMap::new();
        for directive in block {
            by_name.entry(&directive.name).or_default().push(directive);
        }
        Rc::new(Self { block, by_name })
    }

    /// Those of these names, in the order of the file.
    fn all(&self, names: &[&str]) -> Vec<&'a Directive> {
        let found = names.iter().filter_map(|name| self.by_name.get(name));
        let mut all: Vec<&'a Directive> = found.flatten().copied().collect();
        if names.len() > 1 {
            // They stand in one block, so where they are in memory is where they are in the file.
            all.sort_by_key(|one| std::ptr::from_ref::<Directive>(one).addr());
        }
        all
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(block: &'a [Directive]) -> Self {
        Self { levels: vec![Level::new(block)] }
    }

    /// The same with a block within.
    pub(super) fn within(&self, block: &'a [Directive]) -> Self {
        let mut levels = self.levels.clone();
        levels.push(Level::new(block));
        Self { levels }
    }

    /// The directive that holds.
    pub(super) fn one(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).into_iter().next()
    }

    /// Its first argument.
    pub(super) fn word(&self, name: &str) -> Option<&'a str> {
        self.one(name).map(|directive| directive.arg(0))
    }

    /// Is it `on`?
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.word(name) == Some("on")
    }

    /// All directives of this name of the innermost block that has one: those further out are replaced, not added to.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        self.all_of(&[name])
    }

    /// The same of several names that make one list.
    pub(super) fn all_of(&self, names: &[&str]) -> Vec<&'a Directive> {
        let levels = self.levels.iter().rev();
        levels.map(|level| level.all(names)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The same, of the blocks around this one alone.
    pub(super) fn outside(&self, name: &str) -> Vec<&'a Directive> {
        let levels = self.levels.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default();
        Self { levels }.all(name)
    }

    /// The innermost block.
    pub(super) fn own(&self) -> &'a [Directive] {
        self.levels.last().map(|level| level.block).unwrap_or_default()
    }
}
