//! An upstream node that can be made to fail: `node ADDRESS:PORT FILE`; see [`ferrule_tools::node`].
#![expect(clippy::print_stderr, reason = "a program that reports")]

use std::env;
use std::io;
use std::process::ExitCode;

use ferrule_tools::node::serve;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [address, seen] = words.as_slice() else {
        eprintln!("usage: node ADDRESS:PORT FILE");
        return ExitCode::from(2);
    };
    let address = address.parse().map_err(io::Error::other);
    match address.and_then(|address| serve(address, seen.as_ref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node: {error}");
            ExitCode::FAILURE
        }
    }
}
