//! The circuit breakers of all routes of one generation, shared by all cores.
//!
//! A reload takes over what is known of a route that stays, where its breaker says the same.

use std::collections::HashMap;
use std::sync::Arc;

use ferrule_config::model::CircuitBreaker;

use super::breaker::BreakerState;
use crate::plan::{Plan, RouteId};

/// The breaker of one route.
#[derive(Debug)]
pub struct RouteBreaker {
    /// The route's id.
    pub route: Box<str>,
    /// When it breaks.
    pub rules: CircuitBreaker,
    /// Shared with other generations that have the same breaker.
    pub state: Arc<BreakerState>,
}

/// Those of all routes.
#[derive(Debug, Default)]
pub struct Breakers {
    routes: Vec<Option<RouteBreaker>>,
}

impl Breakers {
    /// Those of this plan's routes; what `before` knows of the same breaker of a route goes on.
    #[must_use]
    pub fn of(plan: &Plan, before: &Self) -> Self {
        let known: HashMap<_, _> =
            before.each().map(|breaker| (&*breaker.route, breaker)).collect();
        let routes = plan.routes().iter().map(|route| {
            let rules = route.breaker.as_deref()?;
            let old = known.get(&*route.id).filter(|old| old.rules == *rules);
            let state = old.map_or_else(Arc::default, |old| Arc::clone(&old.state));
            Some(RouteBreaker { route: route.id.clone(), rules: rules.clone(), state })
        });
        Self { routes: routes.collect() }
    }

    /// That of a route, if it has one.
    #[must_use]
    pub fn get(&self, route: RouteId) -> Option<&RouteBreaker> {
        self.routes.get(route.0 as usize)?.as_ref()
    }

    /// All of them, in the order of the configuration.
    pub fn each(&self) -> impl Iterator<Item = &RouteBreaker> {
        self.routes.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::BreakResponse;

    use super::*;
    use crate::plan::fixture;

    #[test]
    fn a_state_goes_on_where_the_breaker_stays_the_same() {
        let mut config = fixture::config();
        config.routes.push(fixture::route(&[], &["/*"]));
        let breaker = CircuitBreaker {
            response: BreakResponse { status: 503, body: None, headers: Vec::new() },
            max_seconds: 300,
            unhealthy_statuses: vec![500],
            failures: 3,
            healthy_statuses: vec![200],
            successes: 3,
        };
        config.routes[0].breaker = Some(breaker.clone());
        let first = Breakers::of(&Plan::build(&config), &Breakers::default());
        assert_eq!(first.each().count(), 1);
        let rules = &first.get(RouteId(0)).unwrap().rules;
        let _ = first.get(RouteId(0)).unwrap().state.answered(rules, 500, || 7);
        let failures =
            |breakers: &Breakers| breakers.get(RouteId(0)).map(|breaker| breaker.state.failures());
        let second = Breakers::of(&Plan::build(&config), &first);
        assert_eq!((failures(&first), failures(&second)), (Some(1), Some(1)));
        config.routes[0].breaker = Some(CircuitBreaker { failures: 4, ..breaker });
        let third = Breakers::of(&Plan::build(&config), &second);
        assert_eq!(failures(&third), Some(0));
        config.routes[0].breaker = None;
        let none = Breakers::of(&Plan::build(&config), &third);
        assert!(none.get(RouteId(0)).is_none() && none.each().next().is_none());
    }
}
