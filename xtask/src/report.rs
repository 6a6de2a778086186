//! Counting what the runners say about themselves.

use std::fmt;

/// What came of one step's tests, or of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// A line for each test that was skipped: which, and why.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    pub(crate) fn passed(count: u64) -> Self {
        Self { passed: count, ..Self::default() }
    }

    pub(crate) fn failed() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self { skipped: vec![reason.into()], ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    pub(crate) fn ran_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The one line that closes a run.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
    }
}

/// Reads the output of `cargo test -- --show-output`, line by line.
///
/// A passed test that printed `SKIPPED: reason` did not test anything, so it counts as skipped.
#[derive(Default)]
pub(crate) struct CargoTest {
    tally: Tally,
    passed_in_name: u64,
    in_successes: bool,
    test: String,
}

impl CargoTest {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.tally.passed += count(result, "passed");
            self.tally.failed += count(result, "failed");
            self.in_successes = false;
        } else if let Some((test, reason)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ignored"))
        {
            self.tally.skipped.push(format!("{test}: ignored{reason}"));
        } else if line == "successes:" || line == "failures:" {
            self.in_successes = line == "successes:";
        } else if let Some(test) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            self.test = test.to_owned();
        } else if self.in_successes
            && !self.test.is_empty()
            && let Some(reason) = line.strip_prefix("SKIPPED: ")
        {
            // Once a test, however often it says so.
            let test = std::mem::take(&mut self.test);
            self.tally.skipped.push(format!("{test}: {reason}"));
            self.passed_in_name += 1;
        }
    }

    /// The tally, which a runner that failed without naming a failed test makes one worse.
    pub(crate) fn finish(mut self, success: bool) -> Tally {
        self.tally.passed = self.tally.passed.saturating_sub(self.passed_in_name);
        self.tally.failed = self.tally.failed.max(u64::from(!success));
        self.tally
    }
}

/// Reads the output of a detailed Pester run that closes with `N passed, N failed, N skipped`.
#[derive(Default)]
pub(crate) struct Pester {
    counts: Option<(u64, u64, u64)>,
    skipped: Vec<String>,
}

impl Pester {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(test) = line.trim_start().strip_prefix("[!] ") {
            self.skipped.push(test.to_owned());
        }
        let parts: Vec<&str> = line.split(", ").collect();
        if let [passed, failed, skipped] = parts.as_slice()
            && let (Some(passed), Some(failed), Some(skipped)) =
                (counted(passed, "passed"), counted(failed, "failed"), counted(skipped, "skipped"))
        {
            self.counts = Some((passed, failed, skipped));
        }
    }

    pub(crate) fn finish(self, success: bool) -> Tally {
        let Some((passed, failed, skipped)) = self.counts else {
            return Tally::failed();
        };
        let mut names = self.skipped;
        let unnamed = usize::try_from(skipped).unwrap_or(usize::MAX);
        names.resize_with(unnamed, || "a Pester test that did not say which it is".to_owned());
        Tally { passed, failed: failed.max(u64::from(!success)), skipped: names }
    }
}

/// The number before `what` in `ok. 5 passed; 0 failed; …`.
fn count(result: &str, what: &str) -> u64 {
    result.split(['.', ';']).find_map(|part| counted(part.trim(), what)).unwrap_or(0)
}

fn counted(text: &str, what: &str) -> Option<u64> {
    text.strip_suffix(what)?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo_test(output: &str, success: bool) -> Tally {
        let mut reader = CargoTest::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish(success)
    }

    #[test]
    fn results_of_all_test_programs_are_added() {
        let output = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(cargo_test(output, false), Tally { passed: 6, failed: 2, skipped: vec![] });
    }

    #[test]
    fn a_test_that_says_it_skipped_is_skipped_once_and_named() {
        let output = "test needs_valgrind ... ok\n\nsuccesses:\n\n---- needs_valgrind stdout ----\nSKIPPED: no valgrind\n\
                      SKIPPED: again\n\n\nsuccesses:\n    needs_valgrind\n\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        let expected = Tally { passed: 1, failed: 0, skipped: vec!["needs_valgrind: no valgrind".to_owned()] };
        assert_eq!(cargo_test(output, true), expected);
    }

    #[test]
    fn a_failed_test_that_says_it_skipped_stays_failed() {
        let output =
            "failures:\n\n---- broken stdout ----\nSKIPPED: no\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";
        assert_eq!(cargo_test(output, false), Tally::failed());
    }

    #[test]
    fn an_ignored_test_is_skipped_with_its_reason() {
        let output =
            "test slow ... ignored, takes an hour\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured\n";
        assert_eq!(cargo_test(output, true), Tally::skipped("slow: ignored, takes an hour"));
    }

    #[test]
    fn a_runner_that_died_is_a_failure() {
        assert_eq!(cargo_test("running 3 tests\n", false), Tally::failed());
    }

    #[test]
    fn pester_names_what_it_skipped() {
        let mut reader = Pester::default();
        for line in ["  [+] works 5ms", "  [!] needs a keyring 0ms", "1 passed, 0 failed, 2 skipped"] {
            reader.line(line);
        }
        let tally = reader.finish(true);
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 2 skipped");
        assert_eq!(tally.skipped.first().map(String::as_str), Some("needs a keyring 0ms"));
    }

    #[test]
    fn a_pester_run_without_a_closing_line_failed() {
        assert_eq!(Pester::default().finish(true), Tally::failed());
    }

    #[test]
    fn a_pester_run_that_exits_badly_failed_whatever_it_counted() {
        let mut reader = Pester::default();
        reader.line("3 passed, 0 failed, 0 skipped");
        assert_eq!(reader.finish(false).failed, 1);
    }
}
