//! Seeds that have failed once, each with what it found.

use super::run::run_seed;
use super::setting::Mode;

const CASES: &[(&str, Mode, u64)] = &[
    ("an upload that takes longer than an answer may: 504", Mode::Plain, 10),
    ("the same, with other pauses", Mode::Plain, 69),
    ("a client that half closes is told that a cut body was whole", Mode::Plain, 12_971),
    ("a node that takes no upload has its cut answer taken for whole", Mode::Plain, 10_724),
    ("the same, with an answer that goes on", Mode::Plain, 17_661),
    (
        "an idle connection is ended, and a reset takes its end along",
        Mode::Tls { fast: true },
        4_021,
    ),
];

#[test]
fn what_failed_once_fails_no_more() {
    for (name, mode, seed) in CASES {
        let ended = run_seed(*mode, *seed, false);
        assert!(ended.violations.is_empty(), "{name}: {}", ended.describe(*seed, *mode));
    }
}
