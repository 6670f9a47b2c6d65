//! Expressions of PCRE's, as Ferrule reads them.

use super::job::Job;
use super::tree::Directive;
use crate::pcre;

impl Job<'_> {
    /// An expression that matches here what it matches in nginx; refused if it may match something else. It may hold
    /// a secret, so it is not shown.
    pub(super) fn expression<'t>(&self, directive: &Directive, text: &'t str) -> Option<&'t str> {
        if let Some(message) = pcre::differs(text) {
            self.refuse(directive, message);
            return None;
        }
        Some(text)
    }
}
