//! What the test runners said: their closing lines, times per suite, and the slowest tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Tests named at the end for the time they take.
const SLOWEST: usize = 12;

/// `12.3 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Prints what the runners said last, and which tests they left out. False if libtest left one out
/// without a reason; for nextest, which does not print reasons, a lint holds them
/// (`ignore_without_reason`).
pub(crate) fn closing_lines(text: &str) -> bool {
    let mut reasons = true;
    for whole in text.lines() {
        let line = whole.trim();
        let summary = line.starts_with("Summary [");
        // Indented, it is what nextest shows of one test that failed.
        if summary || line.starts_with("Running ") || whole.starts_with("test result:") {
            println!("   {line}");
        }
        if line.starts_with("test ") && line.contains("... ignored") {
            println!("   {line}");
            reasons &= line.contains("... ignored, ");
        }
    }
    reasons
}

/// What the tests of one suite took together.
#[derive(Default)]
struct Suite {
    tests: usize,
    time: Duration,
}

/// One test, as nextest reports it.
struct Test<'a> {
    suite: &'a str,
    name: &'a str,
    time: Duration,
    passed: bool,
}

/// One test and what it took.
struct SlowTest {
    name: String,
    time: Duration,
}

/// The tests of all steps so far.
#[derive(Default)]
pub(crate) struct Suites {
    by_name: BTreeMap<String, Suite>,
    slowest: Vec<SlowTest>,
    /// Failed at the last try.
    failed: BTreeSet<String>,
    /// Failed, and passed when tried again.
    flaky: BTreeSet<String>,
}

impl Suites {
    /// Counts the tests in the log of `step`.
    pub(crate) fn count(&mut self, step: &str, log: &str) {
        for test in log.lines().filter_map(finished) {
            let suite = self.by_name.entry(format!("{step}: {}", test.suite)).or_default();
            suite.tests += 1;
            suite.time += test.time;
            let name = format!("{} {}", test.suite, test.name);
            let long = format!("{step}: {name}");
            match test.passed {
                true if self.failed.remove(&long) => {
                    self.flaky.insert(long);
                }
                true => {}
                false => {
                    self.failed.insert(long);
                }
            }
            self.slowest.push(SlowTest { name, time: test.time });
        }
        self.slowest.sort_by_key(|test| std::cmp::Reverse(test.time));
        self.slowest.truncate(SLOWEST);
    }

    /// Prints the times per suite, and the slowest tests.
    pub(crate) fn print(&self) {
        if self.by_name.is_empty() {
            return;
        }
        println!(
            "\ntimes per suite (tests run side by side, so these are more than the time it took):"
        );
        for (name, suite) in &self.by_name {
            println!("   {:>9}  {:>4} tests  {name}", seconds(suite.time), suite.tests);
        }
        println!("slowest tests:");
        for test in &self.slowest {
            println!("   {:>9}  {}", seconds(test.time), test.name);
        }
        for name in &self.flaky {
            println!("FLAKY, passed when tried again: {name}");
        }
        for name in &self.failed {
            println!("FAILED: {name}");
        }
    }
}

/// Reads `PASS [   0.012s] ( 12/800) ferrule-tests::journey reload::keeps::epoll`, before which
/// `TRY 2` may stand. Whatever nextest calls another end (`FAIL`, `TIMEOUT`, `SIGABRT`) is none.
fn finished(line: &str) -> Option<Test<'_>> {
    let line = line.trim();
    let line = line
        .strip_prefix("TRY ")
        .map_or(line, |tried| tried.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start());
    let (word, line) = line.split_once(' ')?;
    let passed = match word {
        "PASS" => true,
        "FAIL" | "TIMEOUT" | "ABORT" => false,
        other if other.starts_with("SIG") => false,
        _ => return None,
    };
    let (time, rest) = line.trim_start().strip_prefix('[')?.split_once("s]")?;
    let time = Duration::try_from_secs_f64(time.trim().parse().ok()?).ok()?;
    let rest = rest.trim_start();
    let named = match rest.strip_prefix('(') {
        Some(counted) => counted.split_once(") ")?.1,
        None => rest,
    };
    let (suite, name) = named.split_once(' ')?;
    Some(Test { suite, name, time, passed })
}

#[cfg(test)]
mod tests {
    use super::{Suites, finished};

    #[test]
    fn a_line_of_the_runner_is_read() {
        let line = "        PASS [   1.250s] (  7/800) ferrule-tests::journey reload::keeps::epoll";
        let test = finished(line).expect("a test");
        assert_eq!((test.suite, test.name), ("ferrule-tests::journey", "reload::keeps::epoll"));
        assert_eq!(test.time.as_millis(), 1_250);
        for other in ["", "PASS", "        SLOW [> 20.000s] a b", "   Compiling ring v0.17.14"] {
            assert!(finished(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_test_that_passes_at_another_try_is_told_apart() {
        let mut suites = Suites::default();
        let log = "  TRY 1 FAIL [ 0.2s] (\u{2500}) a::b once\n  TRY 1 SIGABRT [ 0.2s] (1/3) a::b never\n  \
                   TRY 2 PASS [ 0.1s] (2/3) a::b once\n  TRY 2 TIMEOUT [ 9.9s] (3/3) a::b never\n  \
                   TRY 2 FAIL [ 9.9s] (3/3) a::b never\n";
        suites.count("tests", log);
        assert_eq!(suites.flaky.iter().collect::<Vec<_>>(), ["tests: a::b once"]);
        assert_eq!(suites.failed.iter().collect::<Vec<_>>(), ["tests: a::b never"]);
    }

    #[test]
    fn a_suite_is_the_sum_of_its_tests() {
        let mut suites = Suites::default();
        suites.count(
            "tests",
            "PASS [ 1.000s] a::b one\nFAIL [ 2.000s] a::b two\nPASS [ 0.5s] c three",
        );
        let sums: Vec<_> =
            suites.by_name.values().map(|suite| (suite.tests, suite.time.as_millis())).collect();
        assert_eq!(sums, [(2, 3_000), (1, 500)]);
    }
}
