//! Prints the figures of the house: files, functions, circles, tuples and names, as Markdown.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use ferrule_tools::process::source_dir;
use ferrule_tools::survey::survey;

fn main() {
    print!("{}", survey(&source_dir()));
}
