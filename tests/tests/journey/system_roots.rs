//! `ca = "system"`: where the operating system's roots are is what OpenSSL's variables say, and nothing
//! that lies there holds up or lets in anybody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ferrule_tests::{Authority, Driver, Setup, Upstream, echo, on_both_drivers, raw, scratch, tls};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { ca = "system", server_name = "up.test" }
"#;

/// In an environment of these; what waits for ever is ended.
fn setup(dir: &Path, driver: Driver, variables: &[String]) -> Setup {
    let launcher = ["timeout", "30", "env", "-u", "SSL_CERT_FILE", "-u", "SSL_CERT_DIR"];
    let words: Vec<&str> =
        launcher.into_iter().chain(variables.iter().map(String::as_str)).collect();
    Setup::new(dir, driver, CONFIG).under(&words)
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
}

#[test]
fn what_a_variable_names_is_read_by_the_rules_of_every_file() {
    let (scratch, authority) = (scratch(), Authority::new("root"));
    let dir = scratch.path();
    let at = |name: &str| dir.join(name);
    let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
    write("good", &authority.cert_pem);
    write("key", &authority.server(&["a.test"]).key_pem);
    write("empty", "");
    write("cut", authority.cert_pem.split_at(300).0);
    fifo(&at("fifo"));
    for full in ["mixed", "stuck"] {
        fs::create_dir(at(full)).expect("a directory");
        fifo(&at(full).join("fifo"));
        symlink(at("nowhere"), at(full).join("0a0b0c0d.0")).expect("a link");
        symlink(at(full), at(full).join("loop")).expect("a link");
    }
    symlink(at("good"), at("mixed").join("1a0b0c0d.0")).expect("a link");
    symlink(at("good"), at("mixed").join("1a0b0c0d.1")).expect("a link");
    write("mixed/cut", authority.cert_pem.split_at(300).0);
    for (variable, name, code, words) in [
        ("SSL_CERT_FILE", "good", 0, ""),
        ("SSL_CERT_FILE", "fifo", 1, "is a FIFO, not a regular file"),
        ("SSL_CERT_FILE", "mixed", 1, "is a directory, not a regular file"),
        ("SSL_CERT_FILE", "nowhere", 1, "cannot read"),
        ("SSL_CERT_FILE", "key", 1, "this block is no certificate of an authority"),
        ("SSL_CERT_FILE", "cut", 1, "this block has no end"),
        ("SSL_CERT_FILE", "empty", 1, "there is no certificate in"),
        ("SSL_CERT_DIR", "mixed", 0, "this block has no end"),
        ("SSL_CERT_DIR", "stuck", 1, "there is no CA to verify this upstream with"),
        ("SSL_CERT_DIR", "nowhere", 1, "cannot read"),
    ] {
        let named = at(name).display().to_string();
        let variables = [format!("{variable}={named}")];
        let (found, text) = setup(dir, Driver::Epoll, &variables).set("upstream", &1).check();
        let case = format!("{variable}={name}: {text}");
        assert_eq!(found == Some(0), code == 0, "{case}");
        assert_ne!(found, Some(124), "it waits for ever: {case}");
        assert!(text.contains(words), "{case}");
        let is_told =
            code == 0 || name == "stuck" || (text.contains(&named) && text.contains(variable));
        assert!(is_told, "{case}");
    }
}

on_both_drivers! {
    /// Who names roots of his own does not mean the system's beside them.
    fn an_upstream_is_held_to_the_roots_that_are_named(driver) {
        let (scratch, up, other) = (scratch(), Authority::new("up"), Authority::new("other"));
        let dir = scratch.path();
        fs::create_dir(dir.join("roots")).expect("a directory");
        fs::write(dir.join("other"), &other.cert_pem).expect("a file");
        fs::write(dir.join("roots/up"), &up.cert_pem).expect("a file");
        let upstream = Upstream::tls(tls::server(&up.server(&["up.test"]), None), echo());
        let file = format!("SSL_CERT_FILE={}", dir.join("other").display());
        let roots = format!("SSL_CERT_DIR={}", dir.join("roots").display());
        for (variables, status) in
            [(vec![file.clone()], 502), (vec![roots.clone()], 200), (vec![file, roots], 200)]
        {
            let gateway = setup(dir, driver, &variables).set("upstream", &upstream.port).start();
            let answer = raw::plain_get(gateway.port("front"), "x", "/");
            assert_eq!(answer.status(), status, "{variables:?}");
        }
    }
}
