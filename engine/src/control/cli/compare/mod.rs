//! `ferrule import ... --compare URL`: asks the old gateway and the new one the same, and says where they differ.
//!
//! In: the folder that was made, where the old gateway listens, and perhaps an access log. Out: what differs, with what
//! is different on purpose apart. Only methods that change nothing are sent unless the command line says otherwise.

mod answer;
mod client;
mod fresh;
mod requests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::answer::{AnswerDifference, compare};
use self::client::{ClientPair, GatewayUrl, ask, tls_config};
use self::fresh::{FreshGateway, NewListener};
use self::requests::{PlayedRequest, RequestList};
use crate::control::process::clock;

/// The longest that a whole comparison may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The largest log.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// The largest configuration.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Words about the comparison, of every importer.
#[derive(clap::Args, Debug)]
pub(super) struct CompareArguments {
    /// Where the old gateway listens (https://host:port): play requests against it and the new one, and compare the
    /// answers. May be said for each of its ports.
    #[arg(long, value_name = "URL", requires = "output")]
    compare: Vec<String>,
    /// Where the new gateway listens, as often as --compare and in its order. Without it, it is started from the folder
    /// on free ports, and ended afterwards.
    #[arg(long, value_name = "URL", requires = "compare")]
    against: Vec<String>,
    /// Play the requests of this access log (combined format, or lines of `GET /path host`), and not one for each route.
    #[arg(long, value_name = "FILE", requires = "compare")]
    requests: Option<PathBuf>,
    /// The client's certificate for both gateways.
    #[arg(long, value_name = "FILE", requires_all = ["compare", "key"])]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Verify both gateways by these authorities; without it any certificate of theirs is taken.
    #[arg(long, value_name = "FILE", requires = "compare")]
    cacert: Option<PathBuf>,
    /// Play requests with every method, also those that may change something.
    #[arg(long, requires = "compare")]
    every_method: bool,
    /// How many requests are played at most.
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "compare")]
    most: usize,
}

/// What came of a comparison.
pub(super) struct Comparison {
    /// For people.
    pub(super) text: String,
    /// Nothing differs but what is meant to.
    pub(super) same: bool,
}

/// One line of the result.
struct PlayedDifference {
    tls: bool,
    request: PlayedRequest,
    difference: AnswerDifference,
}

impl CompareArguments {
    pub(super) const fn is_asked(&self) -> bool {
        !self.compare.is_empty()
    }

    /// Compares, with the configuration in `folder`.
    ///
    /// # Errors
    /// It cannot be compared: why.
    pub(super) fn run(&self, folder: &Path) -> Result<Comparison, String> {
        let old = urls(&self.compare)?;
        let pair = self.cert.as_deref().zip(self.key.as_deref());
        let tls =
            tls_config(pair.map(|(cert, key)| ClientPair { cert, key }), self.cacert.as_deref())?;
        let file = read(&folder.join("ferrule.toml"), FILE_BYTES_MAX)?;
        let configuration: toml::Table =
            toml::from_str(&file).map_err(|error| error.to_string())?;
        let list = match &self.requests {
            Some(log) => {
                RequestList::of_log(&read(log, LOG_BYTES_MAX)?, self.most, self.every_method)
            }
            None => RequestList::of_configuration(&configuration, self.most, self.every_method),
        };
        let fresh = if self.against.is_empty() {
            Some(FreshGateway::start(folder, &configuration)?)
        } else {
            None
        };
        let new = match &fresh {
            Some(fresh) => fresh.listeners.clone(),
            None => self.listeners_against(&old)?,
        };
        let end = clock::monotonic() + PATIENCE;
        let mut played = Vec::new();
        let mut late = 0_usize;
        for old in &old {
            let new = NewListener::of(&new, old)?;
            for request in &list.requests {
                if clock::monotonic() > end {
                    late = late.saturating_add(1);
                    continue;
                }
                let difference = compare(&ask(old, request, &tls), &ask(new, request, &tls));
                played.push(PlayedDifference {
                    tls: old.tls,
                    request: request.clone(),
                    difference,
                });
            }
        }
        Ok(result(&played, &list, late))
    }

    /// Those of the command line: as many as old ones in their order, or one of each kind.
    fn listeners_against(&self, old: &[GatewayUrl]) -> Result<Vec<NewListener>, String> {
        let new = urls(&self.against)?;
        let in_order = new.len() == old.len();
        let port = |at: usize| old.get(at).filter(|_| in_order).map(|old| old.port);
        let listeners = new.into_iter().enumerate();
        Ok(listeners.map(|(at, url)| NewListener { url, configured_port: port(at) }).collect())
    }
}

fn urls(texts: &[String]) -> Result<Vec<GatewayUrl>, String> {
    texts.iter().map(|text| GatewayUrl::parse(text)).collect()
}

fn read(path: &Path, limit: u64) -> Result<String, String> {
    let file = ferrule_config::read_file(path, limit);
    let file = file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    // A client may have written any byte into a log; such lines are no requests.
    Ok(String::from_utf8_lossy(&file.bytes).into_owned())
}

fn result(played: &[PlayedDifference], list: &RequestList, late: usize) -> Comparison {
    let mut lines = vec![String::from("Old gateway / new gateway:")];
    let mut differing = 0_usize;
    let mut intended = 0_usize;
    for PlayedDifference { tls, request, difference } in played {
        let scheme = if *tls { "https" } else { "http" };
        let host = if request.host.is_empty() { "-" } else { &request.host };
        let name = format!("{} {scheme}://{host}{}", request.method, request.target);
        differing = differing.saturating_add(usize::from(!difference.unexpected.is_empty()));
        intended = intended.saturating_add(usize::from(!difference.intended.is_empty()));
        for line in &difference.unexpected {
            lines.push(format!("  DIFFERENT {name}: {line}"));
        }
        for line in &difference.intended {
            lines.push(format!("  intended  {name}: {line}"));
        }
    }
    lines.push(format!(
        "{} requests: {differing} answered differently, {intended} differ on purpose",
        played.len()
    ));
    for (count, what) in [
        (list.unsafe_ones, "were left out, as their method may change something (--every-method)"),
        (list.unread, "lines are no request"),
        (list.surplus, "were left out: --most"),
        (late, "were left out, as the time was over"),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    // Nothing played proves nothing.
    let same = differing == 0 && late == 0 && !played.is_empty();
    Comparison { text: lines.join("\n"), same }
}
