//! `ferrule man` and `ferrule completions`.

use std::fs;

use ferrule_tests::scratch;

use super::kit::run;

/// Every command has its page, and what reads pages finds no fault in them.
#[test]
fn the_pages_are_whole_and_without_warnings() {
    let scratch = scratch();
    run(scratch.path(), "$ferrule man $scratch/man");
    let pages = fs::read_dir(scratch.path().join("man")).expect("the directory that it made");
    let mut names: Vec<String> = pages
        .map(|page| page.expect("a page").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for wanted in [
        "ferrule.1",
        "ferrule-run.1",
        "ferrule-check.1",
        "ferrule-ctl.1",
        "ferrule-ctl-reload.1",
        "ferrule-explain.1",
        "ferrule-import-nginx.1",
        "ferrule-completions.1",
        "ferrule-man.1",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}: {names:?}");
    }
    // Hidden, for the documentation alone.
    assert!(!names.iter().any(|name| name.contains("reference")), "{names:?}");
    let said = run(
        scratch.path(),
        "for page in $scratch/man/*.1; do groff -man -ww -z -Tutf8 $page 2>&1; done",
    );
    assert_eq!(said, "");
    // clap_mangen breaks lines before paragraphs.
    let said = run(
        scratch.path(),
        "mandoc -T lint -W warning $scratch/man/*.1 | grep -v 'skipping paragraph macro: br' || true",
    );
    assert_eq!(said, "");
    // The foot of a page has its version in the one place, and a date that is none of this build in the other.
    let last = run(scratch.path(), "mandoc -T ascii $scratch/man/ferrule.1 | col -bx | tail -n 1");
    let version = concat!("ferrule ", env!("CARGO_PKG_VERSION"));
    assert!(last.starts_with(version) && last.contains(" 2026-11-30 "), "{last}");
    let one = run(scratch.path(), "$ferrule man");
    assert_eq!(
        one.trim_end(),
        fs::read_to_string(scratch.path().join("man/ferrule.1")).expect("it").trim_end()
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "touch $scratch/file; $ferrule man $scratch/file 2>&1 && exit 1 || echo \"code $?\"",
    );
    assert!(said.contains("the manual cannot be written: ") && said.contains("code 3"), "{said}");
}

/// bash completes as a user would have it: commands, their options, and the words of an option.
#[test]
fn bash_completes() {
    let scratch = scratch();
    run(scratch.path(), "$ferrule completions bash > $scratch/c.bash; bash -n $scratch/c.bash");
    let complete = |words: &[&str]| {
        let script = format!(
            "source '{}/c.bash'\ndeclare -F _ferrule > /dev/null\nCOMP_WORDS=(ferrule {})\n\
             COMP_CWORD={}\nCOMP_LINE=\"${{COMP_WORDS[*]}}\"\nCOMP_POINT=${{#COMP_LINE}}\n\
             _ferrule ferrule \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             echo \"${{COMPREPLY[@]}}\"\n",
            scratch.path().display(),
            words.join(" "),
            words.len(),
        );
        fs::write(scratch.path().join("ask.bash"), script).expect("a writable directory");
        run(scratch.path(), "bash --norc $scratch/ask.bash")
    };
    assert_eq!(complete(&["che"]).trim(), "check");
    let commands = complete(&["ctl", "re"]);
    assert!(commands.split_whitespace().any(|word| word == "reload"), "{commands}");
    let options = complete(&["check", "--str"]);
    assert_eq!(options.trim(), "--strict");
}

#[test]
fn other_shells_read_their_scripts() {
    let scratch = scratch();
    run(
        scratch.path(),
        "$ferrule completions zsh > $scratch/_ferrule; zsh -n $scratch/_ferrule
         $ferrule completions fish > $scratch/ferrule.fish; fish --no-execute $scratch/ferrule.fish
         fish -c \"source $scratch/ferrule.fish; complete -C 'ferrule che'\" | grep -q '^check'",
    );
    let said = run(scratch.path(), "$ferrule completions csh 2>&1 && exit 1 || echo \"code $?\"");
    assert!(said.contains("bash") && said.contains("code 2"), "{said}");
}
