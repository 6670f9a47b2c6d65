//! `[metrics]` and `[admin]`: where the process is watched, and told what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::place::Place;

/// `[metrics]`
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where in the file their address is.
    pub place: Place,
    /// Where they can be fetched.
    pub listen: SocketAddr,
    /// Under which path.
    pub path: String,
    /// Where the status page is; `None` shows none.
    pub status_path: Option<String>,
    /// What an importer has printed, for the status page; `None` shows none.
    pub import_report: Option<PathBuf>,
    /// Names that `Host` may have, beside `localhost` and every IP address; lower case.
    pub hosts: Vec<String>,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where in the file the socket is named.
    pub place: Place,
    /// The Unix socket behind `ferrule ctl`.
    pub socket: PathBuf,
}
