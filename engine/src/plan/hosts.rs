//! Host names in the one form that is compared, and what patterns of them lead to.
//!
//! In: a name as a client sent it, by SNI or in a Host. Out: a [`HostName`]; and from a [`HostMap`]
//! every entry whose pattern covers it, the most specific one first, with how it does. Server names
//! and routes are both looked up here, and differ only in what they make of a wildcard that
//! covers more than one label.

use core::ops::Deref;
use std::io::Write as _;

use ferrule_config::HostAddress;
use ferrule_config::model::HostPattern;
use hashbrown::HashMap;

/// A host name: lower case, without port and trailing dot, an IPv6 address as [`HostAddress`] has it; empty if there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostName<'a>(&'a [u8]);

/// Holds a [`HostName`]; reused, so it allocates only to grow.
#[derive(Clone, Debug, Default)]
pub struct HostBuf(Vec<u8>);

impl HostBuf {
    /// Reads a name as it was sent, without its port.
    pub fn read(&mut self, name: &[u8]) -> HostName<'_> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        self.0.clear();
        let address = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        match address.and_then(|text| HostAddress::read(str::from_utf8(text).ok()?)) {
            // An address has many spellings, and patterns are in this one.
            Some(address) => self.write_address(address),
            None => self.0.extend(name.iter().map(u8::to_ascii_lowercase)),
        }
        self.name()
    }

    fn write_address(&mut self, address: HostAddress) {
        let written = write!(self.0, "{address}");
        debug_assert!(written.is_ok(), "a buffer takes whatever is written");
    }

    /// Forgets the name.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// As bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The name that was read last.
    #[must_use]
    pub fn name(&self) -> HostName<'_> {
        HostName(&self.0)
    }
}

impl Deref for HostBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> HostName<'a> {
    /// Did the client name none (HTTP/1.0 without Host)?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What `*.` may stand in front of: for one label, for two, and so on.
    fn suffixes(self) -> impl Iterator<Item = (Cover, &'a [u8])> {
        let dots = memchr::memchr_iter(b'.', self.0).enumerate().filter(|(_, dot)| *dot > 0);
        dots.filter_map(move |(before, dot)| {
            let cover = if before == 0 { Cover::OneLabel } else { Cover::MoreLabels };
            Some((cover, self.0.get(dot + 1..)?))
        })
    }
}

/// How a pattern covers a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cover {
    /// The pattern is the name itself.
    Exact,
    /// A wildcard that stands for one label of it.
    OneLabel,
    /// A wildcard that stands for two labels of it or more.
    MoreLabels,
    /// The pattern `*`, which covers every name.
    Every,
}

type NameMap<V> = HashMap<Box<[u8]>, V, foldhash::fast::FixedState>;

/// What host patterns lead to.
#[derive(Debug)]
pub struct HostMap<V> {
    exact: NameMap<V>,
    /// By what follows `*.`.
    wildcard: NameMap<V>,
    every: Option<V>,
}

impl<V> Default for HostMap<V> {
    fn default() -> Self {
        Self { exact: NameMap::default(), wildcard: NameMap::default(), every: None }
    }
}

impl<V> HostMap<V> {
    /// The entry of a pattern, made if it is new.
    pub fn entry(&mut self, pattern: &HostPattern, new: impl FnOnce() -> V) -> &mut V {
        match pattern {
            HostPattern::Any => self.every.get_or_insert_with(new),
            HostPattern::Exact(name) => {
                self.exact.entry(name.as_bytes().into()).or_insert_with(new)
            }
            HostPattern::Wildcard(suffix) => {
                self.wildcard.entry(suffix.as_bytes().into()).or_insert_with(new)
            }
        }
    }

    /// The entry of a pattern, if there is one.
    pub(super) fn get_mut(&mut self, pattern: &HostPattern) -> Option<&mut V> {
        match pattern {
            HostPattern::Any => self.every.as_mut(),
            HostPattern::Exact(name) => self.exact.get_mut(name.as_bytes()),
            HostPattern::Wildcard(suffix) => self.wildcard.get_mut(suffix.as_bytes()),
        }
    }

    /// Every entry.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.exact.values_mut().chain(self.wildcard.values_mut()).chain(&mut self.every)
    }

    /// Every entry whose pattern covers the name, the most specific one first.
    #[inline]
    pub fn covering(&self, name: HostName<'_>) -> impl Iterator<Item = (Cover, &V)> {
        let exact = self.exact.get(name.0).map(|value| (Cover::Exact, value));
        // The suffixes get shorter from dot to dot: the first that is known is the longest.
        let none = self.wildcard.is_empty();
        let suffixes = name.suffixes().take_while(move |_| !none);
        let wildcard = suffixes
            .filter_map(|(cover, suffix)| self.wildcard.get(suffix).map(|value| (cover, value)));
        let every = self.every.as_ref().map(|value| (Cover::Every, value));
        exact.into_iter().chain(wildcard).chain(every)
    }
}
