//! What an importer has said of the configuration, as the page shows it: lines of text.
//!
//! In: the file of `metrics.import_report`. Out: its first lines, cut if they are long. Nothing in them is understood;
//! the page makes text of them.

use std::path::Path;

use serde_json::{Value, json};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// Lines that are shown, characters of each, and bytes of all of them.
const LINES_MAX: usize = 2_000;
const LINE_CHARS_MAX: usize = 500;
const SHOWN_BYTES_MAX: usize = 256 * 1_024;

/// The report in this file, or why there is none to show.
pub(super) fn report(file: Option<&Path>) -> Value {
    let Some(path) = file else { return json!({}) };
    let name = path.display().to_string();
    match ferrule_config::read_file(path, FILE_BYTES_MAX) {
        Ok(read) => {
            let text = String::from_utf8_lossy(&read.bytes);
            let all = text.lines().count();
            let lines = first_lines(&text);
            json!({
                "file": name,
                "modified": read.modified,
                "left_out": all - lines.len(),
                "lines": lines,
            })
        }
        Err(error) => json!({ "file": name, "error": error.to_string() }),
    }
}

fn first_lines(text: &str) -> Vec<String> {
    let mut left = SHOWN_BYTES_MAX;
    let cut = text.lines().take(LINES_MAX).map(|line| {
        let mut shown: String = line.chars().take(LINE_CHARS_MAX).collect();
        if shown.len() < line.len() {
            shown.push_str("...");
        }
        shown
    });
    cut.take_while(|line| {
        left = left.saturating_sub(line.len() + 1);
        left > 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_any_size_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("import.txt");
        assert_eq!(report(None), json!({}));
        assert!(report(Some(&file))["error"].is_string(), "it is not there");
        std::fs::write(&file, b"one\n<b>\xff\n").unwrap();
        let shown = report(Some(&file));
        assert_eq!(shown["lines"], json!(["one", "<b>\u{fffd}"]));
        assert_eq!(shown["left_out"], 0);
        std::fs::write(&file, format!("{}\n", "\u{e9}".repeat(600)).repeat(3_000)).unwrap();
        let shown = report(Some(&file));
        let lines = shown["lines"].as_array().unwrap();
        assert_eq!(lines[0].as_str().unwrap().chars().count(), LINE_CHARS_MAX + 3);
        assert!(shown.to_string().len() < SHOWN_BYTES_MAX * 2, "{}", shown.to_string().len());
        assert_eq!(shown["left_out"], 3_000 - lines.len());
    }
}
