//! What the test runners said: their closing lines, times per suite, and the slowest tests.

use std::collections::BTreeMap;
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
    for line in text.lines().map(str::trim) {
        let summary = line.starts_with("Summary [");
        if summary || line.starts_with("Running ") || line.starts_with("test result:") {
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
}

impl Suites {
    /// Counts the tests in the log of `step`.
    pub(crate) fn count(&mut self, step: &str, log: &str) {
        for test in log.lines().filter_map(finished) {
            let suite = self.by_name.entry(format!("{step}: {}", test.suite)).or_default();
            suite.tests += 1;
            suite.time += test.time;
            self.slowest
                .push(SlowTest { name: format!("{} {}", test.suite, test.name), time: test.time });
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
    }
}

/// Reads `PASS [   0.012s] ( 12/800) ferrule-tests::journey reload::keeps::epoll`.
fn finished(line: &str) -> Option<Test<'_>> {
    let line = line.trim();
    let line = line.strip_prefix("PASS").or_else(|| line.strip_prefix("FAIL"))?;
    let (time, rest) = line.trim_start().strip_prefix('[')?.split_once("s]")?;
    let time = Duration::try_from_secs_f64(time.trim().parse().ok()?).ok()?;
    let rest = rest.trim_start();
    let named = match rest.strip_prefix('(') {
        Some(counted) => counted.split_once(") ")?.1,
        None => rest,
    };
    let (suite, name) = named.split_once(' ')?;
    Some(Test { suite, name, time })
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
