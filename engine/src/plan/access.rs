//! Who may take a route: the demands of the configuration, compiled.
//!
//! Lists are evaluated where an identity is made, once per connection; what is left for a request is
//! to look the answers up. A route asks for more than its server name, never for less.

use ferrule_config::model::{Route, Satisfy};

use super::client_lists::compile;
use super::demands::{AnswerTable, RouteDemands};
use super::forbidden::Forbidden;
use super::ids::index;
use super::template::Compiler;
use crate::identity::{ClientIdentity, Verdict};

/// Index of authorities that a route has of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustId(pub u32);

/// What a route demands of a client.
#[derive(Debug, Default)]
pub struct RouteAccess {
    required: bool,
    lists: Box<[usize]>,
    trust: Option<TrustId>,
    demands: Option<Box<RouteDemands>>,
}

impl RouteAccess {
    pub(super) fn build(route: &Route, compiler: &mut Compiler, answers: &mut AnswerTable) -> Self {
        let demands = RouteDemands::build(&route.clients, &route.refuse, compiler, answers);
        let (rules, wanted) = (&route.clients, compiler.wanted());
        let rigid = rules.iter().filter(|rule| rule.satisfy == Satisfy::All);
        let lists = rigid.map(|rule| &rule.lists).filter(|lists| !lists.is_empty());
        Self {
            demands,
            required: rules.iter().any(|rule| rule.required),
            lists: lists.map(|one| wanted.list(compile(one))).collect(),
            trust: rules.iter().rev().find_map(|rule| rule.trust).map(|at| TrustId(index(at))),
        }
    }

    /// The authorities that a client's chain has to be judged by here, if not those of its server
    /// name.
    #[must_use]
    pub const fn trust(&self) -> Option<TrustId> {
        self.trust
    }

    /// Is anything asked of a client or its request?
    #[must_use]
    pub fn demands(&self) -> bool {
        self.required || self.trust.is_some() || !self.lists.is_empty() || self.demands.is_some()
    }

    /// What a request is refused for besides its client's certificate.
    #[must_use]
    pub fn more(&self) -> Option<&RouteDemands> {
        self.demands.as_deref()
    }

    /// Is nobody served without a verified certificate?
    #[must_use]
    pub const fn requires_certificate(&self) -> bool {
        self.required
    }

    /// May this client take the route? `client` was judged by [`Self::trust`].
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, client: Option<&ClientIdentity>) -> Result<(), Forbidden> {
        if !self.required && self.lists.is_empty() {
            return Ok(());
        }
        let verdict = client.map_or(Verdict::None, |client| client.verdict);
        if self.required {
            match verdict {
                Verdict::None => return Err(Forbidden::CertificateRequired),
                Verdict::Failed(failure) => return Err(Forbidden::NotVerified(failure)),
                Verdict::Success => {}
            }
        }
        // On plain HTTP there is nobody to deny; an allow list has been refused above.
        let Some(client) = client else { return Ok(()) };
        self.lists.iter().try_for_each(|list| Forbidden::check(client.access(*list)))
    }
}
