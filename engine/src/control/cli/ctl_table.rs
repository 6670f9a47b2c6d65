//! What `ferrule ctl` shows: values of an answer, and tables of them.

use serde_json::Value;

/// A wider column is cut to this many characters.
const COLUMN_MAX: usize = 60;

/// The entries of a list of an answer.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value as it is shown: text without quotes.
pub(super) fn shown(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(other) => other.to_string(),
    }
}

/// What a certificate says must not move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { '?' } else { one }).collect()
}

/// Columns as wide as they need to be, up to a bound; nothing without rows.
pub(super) fn table(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![titles.iter().map(|title| (*title).to_owned()).collect()];
    lines.extend(rows);
    if lines.len() == 1 {
        return String::new();
    }
    let last = titles.len().saturating_sub(1);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN_MAX)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let mut out = String::from("\n");
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if column == last {
                out.push_str(cell);
            } else {
                let cut: String = cell.chars().take(*width).collect();
                out.push_str(&cut);
                out.extend(std::iter::repeat_n(' ', width + 2 - cut.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}

/// A number of seconds in the two largest units that it has.
pub(super) fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn tables_line_up_and_long_cells_are_cut() {
        let rows = [vec!["1".to_owned(), "x".repeat(80), "z".repeat(80)]];
        let text = table(&["A", "LONG", "LAST"], rows.into_iter());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("A  LONG{}LAST", " ".repeat(58)));
        assert_eq!(lines[2], format!("1  {}  {}", "x".repeat(60), "z".repeat(80)));
        assert_eq!(table(&["A"], std::iter::empty()), "");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable("CN=a\u{1b}[2J\nb"), "CN=a?[2J?b");
    }
}
