//! Throwaway certificates: `certs DIR [SERVER-NAME...]` writes an authority, a server and a client.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use ferrule_tools::pki::Authority;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let Some(dir) = words.next().filter(|word| !word.starts_with('-')) else {
        eprintln!("usage: certs DIR [SERVER-NAME...]   (localhost and 127.0.0.1 if none is given)");
        return ExitCode::FAILURE;
    };
    let dir = PathBuf::from(dir);
    let names: Vec<String> = words.collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        names.extend(["localhost", "127.0.0.1"]);
    }
    if let Err(error) = fs::create_dir_all(&dir) {
        eprintln!("{}: {error}", dir.display());
        return ExitCode::FAILURE;
    }
    let authority = Authority::new("Throwaway CA");
    if let Err(error) = fs::write(dir.join("ca.crt"), &authority.cert_pem) {
        eprintln!("{}: {error}", dir.display());
        return ExitCode::FAILURE;
    }
    authority.server(&names).write(&dir, "server");
    authority.client("client").write(&dir, "client");
    println!("{}: ca.crt, server.crt, server.key, client.crt, client.key", dir.display());
    ExitCode::SUCCESS
}
