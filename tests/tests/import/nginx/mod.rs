//! `ferrule import nginx`: each configuration of `cases` runs in a real nginx and, imported, in Ferrule on each driver.
//!
//! A case begins with what is asked: `#? PORT WHO HOST PATH [HEADER...]` is a request that both answer alike,
//! `#! STATUS PORT WHO HOST PATH [HEADER...] -- REASON` one where Ferrule is safer and answers with this status. `#=`
//! names the header fields that have to be the same, to the upstream and to the client; `#code` is the exit code.

mod case;
mod page;
mod public;
mod scale;
mod stage;

use ferrule_tools::gateway::Driver;

use case::Case;
use stage::Stage;

fn compare(driver: Driver) {
    let stage = Stage::new();
    let cases = Case::all();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let faults: Vec<String> = cases.iter().flat_map(|case| stage.play(case, driver)).collect();
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn answers_are_nginxs_on_io_uring() {
    compare(Driver::IoUring);
}

#[test]
fn answers_are_nginxs_on_epoll() {
    compare(Driver::Epoll);
}

/// A runner that finds nothing is none: a listed difference that is not there is a fault.
#[test]
fn a_difference_that_is_not_there_is_noticed() {
    let stage = Stage::new();
    let text = "#code 2\n#! 418 plain none a.test / -- it is no teapot\n\
                server { listen 127.0.0.1:@plain@; server_name a.test; return 204; }\n";
    let faults = stage.play(&Case::read("wrong", text), Driver::Epoll);
    assert_eq!(faults.len(), 1, "{faults:?}");
}
