//! Seeds that have failed once, each with what it found.

use super::run::Run;
use super::setting::Mode;

const CASES: &[(&str, Mode, u64)] = &[];

#[test]
fn what_failed_once_fails_no_more() {
    for (name, mode, seed) in CASES {
        let ended = Run::of(*mode, *seed, false);
        assert!(ended.violations.is_empty(), "{name}: {}", ended.describe(*seed, *mode));
    }
}
