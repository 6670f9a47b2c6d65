//! `docs/http.md` says what every refusal and every fault of an upstream comes to.

use std::fs;

use ferrule_engine::exchange::{Refusal, ResponseFault};
use ferrule_tests::source_dir;

/// The cells of every table row that gives a word its status.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(source_dir().join("docs/http.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|line| {
        let cells = line.trim_end_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    })
    .filter(|cells| cells.len() == 4 && cells[1].parse::<u16>().is_ok())
    .collect()
}

#[test]
fn every_word_of_the_log_is_documented_with_its_status() {
    let rows = rows();
    let by_rule = |fault| matches!(fault, Refusal::BadResponse(ResponseFault::Wire(_)));
    let wanted: Vec<_> = Refusal::all().filter(|refusal| !by_rule(*refusal)).collect();
    for refusal in &wanted {
        let (word, status) = (refusal.word(), refusal.status().to_string());
        let after = if refusal.closes() { "closed" } else { "kept" };
        let row = rows.iter().find(|row| row[0] == word);
        let Some(row) = row else { panic!("`{word}` ({status}, {after}) is missing") };
        assert_eq!((row[1].as_str(), row[2].as_str()), (status.as_str(), after), "{row:?}");
        assert!(row[3].len() > 10, "{row:?}");
    }
    assert_eq!(rows.len(), wanted.len(), "a row for what is no more: {rows:?}");
}

/// The words that have no row of their own are made of those that have.
#[test]
fn a_rule_that_an_upstream_breaks_has_the_rules_word() {
    for refusal in Refusal::all() {
        if let Refusal::BadResponse(ResponseFault::Wire(error)) = refusal {
            assert_eq!(refusal.word(), format!("upstream-{}", Refusal::Malformed(error).word()));
            assert_eq!((refusal.status(), refusal.closes()), (502, false));
        }
    }
}
