//! What holds in a block: a directive of its own, else that of the nearest block around it.

use super::tree::Directive;

/// A block and those around it, the outermost first.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    levels: Vec<&'a [Directive]>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(block: &'a [Directive]) -> Self {
        Self { levels: vec![block] }
    }

    /// The same with a block within.
    pub(super) fn within(&self, block: &'a [Directive]) -> Self {
        let mut levels = self.levels.clone();
        levels.push(block);
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
        let own = |level: &&'a [Directive]| -> Vec<&'a Directive> {
            level.iter().filter(|directive| names.contains(&directive.name.as_str())).collect()
        };
        self.levels.iter().rev().map(own).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// The same, of the blocks around this one alone.
    pub(super) fn outside(&self, name: &str) -> Vec<&'a Directive> {
        let levels = self.levels.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default();
        Self { levels }.all(name)
    }

    /// The innermost block.
    pub(super) fn own(&self) -> &'a [Directive] {
        self.levels.last().copied().unwrap_or_default()
    }
}
