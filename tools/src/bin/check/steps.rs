//! The checks, in the order in which they run.

/// One check.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) command: &'static str,
    pub(crate) needs: Needs,
    pub(crate) when: When,
}

/// What has to be installed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Needs {
    Cargo,
    Subcommand(&'static str),
    Program(&'static str),
    /// A program that `tests/run` installs: where it is missing in CI, that is a failure.
    Installed(&'static str),
}

/// Which runs it belongs to.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum When {
    Always,
    Long,
}

const fn step(name: &'static str, command: &'static str) -> Step {
    Step { name, command, needs: Needs::Cargo, when: When::Always }
}

impl Step {
    const fn needing(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn long(mut self) -> Self {
        self.when = When::Long;
        self
    }
}

pub(crate) const STEPS: &[Step] = &[
    step("format", "cargo fmt --all -- --check"),
    step("core-is-pure", "cargo check -p ferrule-engine --no-default-features --lib --locked"),
    step("lints", "cargo clippy --workspace --all-targets --locked -- -D warnings"),
    step(
        "docs",
        "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --document-private-items --locked",
    ),
    step("binary", "cargo build -p ferrule-engine --bin ferrule --locked"),
    step("tests", "cargo nextest run --workspace --locked --profile check"),
    step("doc-tests", "cargo test --workspace --doc --locked"),
    // On one driver: the record layer does not know who drives it.
    step(
        "tests-without-fast-path",
        "FERRULE_TESTS_TLS_FAST_PATH=off cargo nextest run --workspace --locked --profile check \
         -E 'binary(journey) & test(::io_uring)'",
    ),
    step(
        "tests-without-fast-path-epoll",
        "FERRULE_TESTS_TLS_FAST_PATH=off cargo nextest run --workspace --locked --profile check \
         -E 'binary(journey) & test(::epoll)'",
    )
    .long(),
    step("benches-once", "cargo test -p ferrule-bench --benches --locked --no-fail-fast"),
    step("demo", "cargo demo --once"),
    step(
        "instructions",
        "cargo run --release -q -p ferrule-bench --bin instructions --locked",
    )
    .needing(Needs::Installed("valgrind")),
    step("unused-dependencies", "cargo machete").needing(Needs::Subcommand("machete")),
    step("licences-and-bans", "cargo deny check bans licenses sources")
        .needing(Needs::Subcommand("deny")),
    step("spelling", "typos").needing(Needs::Program("typos")),
    step(
        "records",
        "FERRULE_RECORDS=5000000 cargo test --release -p ferrule-tests --test tls --locked record",
    )
    .long(),
    step("release-binary", "cargo build --release -p ferrule-engine --locked").long(),
    step("release-tests", "cargo nextest run --release --workspace --locked --profile check").long(),
    step(
        "storm",
        "cargo build --release -q -p ferrule-engine --locked && cargo run --release -q -p ferrule-tools --bin storm",
    )
    .long(),
    step(
        "judge",
        "cargo test --release -p ferrule-tests --test peers --locked judge -- --ignored --nocapture",
    )
    .long(),
    step("compare", "cargo compare").long(),
    step(
        "fuzz",
        "for target in $(cargo fuzz list --fuzz-dir tests/fuzz); do RUSTC_BOOTSTRAP=1 cargo fuzz run \
         \"$target\" --fuzz-dir tests/fuzz -- -max_total_time=60; done",
    )
    .needing(Needs::Subcommand("fuzz"))
    .long(),
];
