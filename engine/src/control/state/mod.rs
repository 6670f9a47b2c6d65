//! State that the control threads share: the status of the process, and the pending commands.

pub(crate) mod certificates;
pub(crate) mod client_outlook;
pub mod commands;
pub(crate) mod config_diff;
pub(crate) mod connection_survey;
pub(crate) mod health;
pub(crate) mod log_level;
pub mod name_status;
pub(crate) mod node_totals;
pub(crate) mod pending_upgrade;
pub(crate) mod route_question;
pub(crate) mod status;
pub(crate) mod totals;
pub(crate) mod upgrades;
