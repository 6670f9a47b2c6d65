//! Reads the operator's error pages.
//!
//! In: the paths of a checked configuration. Out: [`ErrorPages`], and a problem for every file that
//! is missing, too large or no text. Read at load and at every reload, and kept in memory: a file
//! that vanishes while the gateway runs changes nothing until somebody reloads.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ferrule_config::model::ErrorPage;
use ferrule_config::{Config, Problems};

use crate::plan::error_pages::{ErrorPages, IDS_MAX, Page};

/// An error page larger than this is a mistake: it is sent to whoever asks for nothing.
const PAGE_BYTES_MAX: u64 = 64 * 1_024;

/// Reads all of them.
pub(super) fn load(config: &Config, problems: &mut Problems) -> ErrorPages {
    let mut pages = Vec::new();
    for wanted in &config.http.answers.error_pages {
        match read(wanted) {
            Ok(page) => pages.push((wanted.statuses, page)),
            Err((message, help)) => {
                let message = format!("{}: {message}", wanted.path.display());
                problems.push_at(wanted.place, wanted.field.clone(), message, Some(help));
            }
        }
    }
    ErrorPages::new(pages)
}

fn read(wanted: &ErrorPage) -> Result<Page, (String, String)> {
    let bytes = bounded(&wanted.path).map_err(|error| {
        (error.to_string(), "a file that the gateway may read; relative to this file".to_owned())
    })?;
    let too_large = u64::try_from(bytes.len()).is_ok_and(|len| len > PAGE_BYTES_MAX);
    if too_large {
        let help = format!("at most {PAGE_BYTES_MAX} bytes");
        return Err(("this page is too large".to_owned(), help));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        ("this page is not UTF-8".to_owned(), "it is announced as UTF-8: convert it".to_owned())
    })?;
    Page::new(wanted.media, &text).ok_or_else(|| {
        let help = format!("`$request_id` may stand in it {IDS_MAX} times");
        ("the request's id stands in this page too often".to_owned(), help)
    })
}

/// The file, or its beginning up to one byte more than a page may have.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("this is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(PAGE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
