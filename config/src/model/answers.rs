//! What every answer and request is marked with, what our own answers look like, and how slow a
//! peer may be.

use std::path::PathBuf;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::request_id::RequestIdRule;
use crate::place::Place;

/// Names and pages.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// `http.error_pages`, in the order of the file.
    pub error_pages: Vec<ErrorPage>,
    /// `global_rules.request_id`
    pub request_id: Option<RequestIdRule>,
    /// `http.traceparent`
    pub traceparent: Traceparent,
}

/// A page of the operator's own.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// Where in the file.
    pub place: Place,
    /// Its key in the file, for problems: `http.error_pages.404`.
    pub field: String,
    /// Which answers it stands for.
    pub statuses: PageStatuses,
    /// The file.
    pub path: PathBuf,
    /// What it holds, by its extension.
    pub media: PageMedia,
}

/// Which answers a page stands for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PageStatuses {
    /// This one; 495, 496 and 497 are nginx's numbers for refused certificates and for plain HTTP
    /// on a TLS port, which are sent as 400.
    One(u16),
    /// Every status that starts with this digit, but for those three.
    Class(u8),
}

/// What a page holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PageMedia {
    /// `.html`, `.htm`
    Html,
    /// `.json`
    Json,
    /// `.txt`
    Plain,
    /// `.xml`
    Xml,
}

/// `http.traceparent`
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Traceparent {
    /// Not looked at: it passes like any other header.
    #[default]
    Off,
    /// A valid one passes, an invalid one does not.
    Pass,
    /// And where there is no valid one, a trace begins here.
    Begin,
}

/// How slow a peer may be, and how many connections it may hold. All zero: as it likes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pacing {
    /// `http.client_body_min_rate`: bytes a second.
    pub body_min_rate: u32,
    /// `http.send_min_rate`: bytes a second.
    pub send_min_rate: u32,
    /// `http.min_rate_grace`: how long a peer may be slower at no cost.
    pub grace: Duration,
    /// `http.connections_per_address`, all cores together; 0 is unlimited.
    pub connections_per_address: u32,
}
