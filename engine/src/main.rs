//! The `ferrule` binary: arguments, exit codes, and nothing else.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {}
