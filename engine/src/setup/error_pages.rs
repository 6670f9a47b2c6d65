//! Reads the operator's error pages.
//!
//! In: the paths of a checked configuration. Out: [`ErrorPages`], and a problem for every file that
//! is missing, too large or no text. Read at load and at every reload, and kept in memory: a file
//! that vanishes while the gateway runs changes nothing until somebody reloads.

use ferrule_config::model::ErrorPage;
use ferrule_config::{Config, FileError, Problems, read_file};

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
    let read = read_file(&wanted.path, PAGE_BYTES_MAX).map_err(|error| match error {
        FileError::TooLarge(max) => {
            ("this page is too large".to_owned(), format!("at most {max} bytes"))
        }
        FileError::Io(_) | FileError::NotRegular(_) => {
            let help = "a file that the gateway may read; relative to this file";
            (error.to_string(), help.to_owned())
        }
    })?;
    let text = String::from_utf8(read.bytes).map_err(|_| {
        ("this page is not UTF-8".to_owned(), "it is announced as UTF-8: convert it".to_owned())
    })?;
    Page::new(wanted.media, &text).ok_or_else(|| {
        let help = format!("`$request_id` may stand in it {IDS_MAX} times");
        ("the request's id stands in this page too often".to_owned(), help)
    })
}
