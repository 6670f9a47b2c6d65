//! The Debian package, made of the binary that the tests run.
//!
//! `tests/package/clean-root PACKAGE` installs, runs, rotates, upgrades and purges it in a Debian of its own; that
//! takes root, the archive and a minute, so it is a test that is asked for. So is `tests/package/booted PACKAGE`, where a
//! real systemd runs the service.

use ferrule_tests::scratch;

use super::kit::run;

/// Everything is in its place, and lintian has no complaint that is not explained in the overrides.
#[test]
fn the_package_is_whole_and_lintian_is_content() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "deb=$(flock target/package.lock tools/package/deb --debug)
         dpkg-deb --info $deb
         dpkg-deb --contents $deb | awk '{print $1, $6}'
         lintian --allow-root --fail-on error,warning $deb",
    );
    for path in [
        "-rwxr-xr-x ./usr/bin/ferrule",
        "-rw-r----- ./etc/ferrule/ferrule.toml",
        "-rw-r--r-- ./etc/logrotate.d/ferrule",
        "-rw-r--r-- ./usr/lib/systemd/system/ferrule.service",
        "-rw-r--r-- ./usr/lib/sysusers.d/ferrule.conf",
        "-rw-r--r-- ./usr/lib/tmpfiles.d/ferrule.conf",
        "-rw-r--r-- ./usr/share/man/man1/ferrule-ctl.1.gz",
        "-rw-r--r-- ./usr/share/bash-completion/completions/ferrule",
        "-rw-r--r-- ./usr/share/zsh/vendor-completions/_ferrule",
        "-rw-r--r-- ./usr/share/fish/vendor_completions.d/ferrule.fish",
        "-rw-r--r-- ./usr/share/doc/ferrule/copyright",
    ] {
        assert!(said.lines().any(|line| line == path), "{path}\n{said}");
    }
    for line in ["conffiles", "postinst", "prerm", "postrm"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    // What the binary is linked with, found by dpkg-shlibdeps.
    assert!(said.contains("Depends: ") && said.contains("libc6 (>= "), "{said}");
}

/// The scripts of the package are read by the shell that runs them.
#[test]
fn the_maintainer_scripts_are_shell() {
    let scratch = scratch();
    run(
        scratch.path(),
        "for name in postinst prerm postrm; do dash -n tools/package/debian/$name; done
         bash -n tests/package/clean-root; bash -n tests/package/booted; bash -n tools/package/deb; bash -n tools/package/build
         bash -n tools/package/reproducible",
    );
}

#[test]
#[ignore = "needs root, the archive of Debian and a minute: --ignored clean_root"]
fn it_is_installed_and_purged_in_a_clean_root() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "deb=$(flock target/package.lock tools/package/deb --debug); cp $deb $scratch/ferrule.deb
         tests/package/clean-root $scratch/ferrule.deb",
    );
    assert!(said.contains("installed, run, rotated, upgraded, removed and purged"), "{said}");
}

#[test]
#[ignore = "needs root, the archive of Debian, systemd-nspawn and two minutes: --ignored systemd_runs_it"]
fn systemd_runs_it_upgrades_it_under_load_and_starts_it_again() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "deb=$(flock target/package.lock tools/package/deb --debug); cp $deb $scratch/ferrule.deb
         tests/package/booted $scratch/ferrule.deb",
    );
    assert!(
        said.contains("none lost") && said.contains("removed and purged under systemd"),
        "{said}"
    );
}
