//! The `ferrule` binary: arguments, exit codes, and nothing else.

use std::process::ExitCode;
use std::sync::Arc;

use ferrule_engine::control::cli::arguments::{self, Invocation};
use ferrule_engine::control::process::terminal;
use ferrule_engine::control::run::boot::Boot;
use ferrule_engine::control::run::leaked_sockets;
use ferrule_engine::control::run::signals::CaughtSignals;
use ferrule_engine::control::run::supervisor::Cores;
use ferrule_engine::setup::CoreLink;
use ferrule_engine::shell::{self, Settings, Workers};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let runs = arguments::is_run_command(std::env::args_os());
    if runs {
        // Before anything of this process is open.
        leaked_sockets::close();
    }
    // Nothing else comes before this, the command line included: the default answer to a signal is death.
    let signals = runs.then(CaughtSignals::catch);
    let file = match arguments::execute(std::env::args_os()) {
        Invocation::Run(file) => file,
        Invocation::Done(code) => return code,
    };
    let signals = match signals.unwrap_or_else(CaughtSignals::catch) {
        Ok(signals) => signals,
        Err(error) => return terminal::cannot_start(&error),
    };
    let mut boot = match Boot::prepare_with(&file, signals) {
        Ok(boot) => boot,
        Err(code) => return code,
    };
    let settings = Settings {
        io_driver: boot.runtime().io_driver,
        ring_entries: boot.runtime().ring_entries,
        cores: boot.cores().to_vec(),
        max_connections_per_core: boot.max_connections_per_core(),
        tls_fast_path: boot.runtime().tls_fast_path,
        buffer_bytes_per_core: boot.buffer_bytes_per_core(),
    };
    let links = boot.links().to_vec();
    let logs = boot.take_logs();
    let workers = match shell::start(&settings, links.clone(), logs) {
        Ok(workers) => workers,
        Err(error) => return boot.fail(&error),
    };
    let running = RunningCores { links, workers };
    let code = boot.run(&running);
    // Threads that did not end in time end with the process; waiting for them could last for ever.
    if running.workers.all_ended() {
        running.workers.join();
    }
    code
}

/// The data cores as control sees them.
struct RunningCores {
    links: Vec<Arc<CoreLink>>,
    workers: Workers,
}

impl Cores for RunningCores {
    fn links(&self) -> &[Arc<CoreLink>] {
        &self.links
    }

    fn all_ended(&self) -> bool {
        self.workers.all_ended()
    }

    fn any_ended(&self) -> bool {
        self.workers.any_ended()
    }
}
