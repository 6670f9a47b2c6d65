//! Which nodes of an upstream are asked: what is known of each, and what follows.
//!
//! In: what tries came to (`report`), what active checks found (`set_checked`), what an operator wants
//! (`set_admin`), and the time. Out: the [`Standing`] of each node, and the change that the log is to tell.
//! `node_places` says how many connections a node takes, and `waits` who waits for one of them. `breakers` keep an
//! upstream that fails from being asked for a route. `rules` says what counts; `place` how a node moves; `outliers`
//! compares nodes with each other, by what `tally` has counted on each core; `states` holds all nodes of a
//! generation. The cores share the states: each reads them with relaxed loads, and only what fails, or comes back,
//! writes. A core looks again only if [`NodeStates::epoch`] has moved or [`NodeStates::due_ms`] is over.

#[cfg(feature = "io")]
pub mod announce;
mod breaker;
mod breakers;
mod changes;
pub mod checks;
mod comparison;
mod events;
#[cfg(test)]
mod model;
mod node_health;
mod node_log;
mod node_places;
mod node_state;
mod outliers;
mod place;
mod rules;
mod standing;
mod states;
mod tally;
mod view;
mod waits;

pub use breaker::{BreakerChange, BreakerState};
pub use breakers::{Breakers, RouteBreaker};
pub use changes::{ChangeKind, NodeChanged};
pub use events::{EVENTS_KEPT, EventKind, NodeEvent, NodeEvents, NumberedEvent};
pub use node_health::{NodeHealth, NodeStatus};
pub use node_log::{NodeFailures, NodeLog, NodeTrouble};
pub use node_places::{NodePlace, NodePlaces};
pub use node_state::{NamedNode, NodeState};
pub use standing::{Admin, AdminOrder, Checked, Moment, PanicEdge, Reported, Standing, TryResult};
pub use states::{NodeStates, ProbeRequest};
pub use view::UpstreamView;
pub use waits::Waits;
