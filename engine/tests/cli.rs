//! The command line of the built binary: what it prints where, and its exit codes.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn ferrule(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ferrule"))
        .args(arguments)
        .env("FERRULE_TEST_NAME", "from.environment.test")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with two certificates that openssl made, and a configuration that uses the first.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["one", "two"] {
            let output = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-days", "30", "-subj", &format!("/O=Acme/CN={name}.test")])
                .args(["-addext", &format!("subjectAltName=DNS:{name}.test")])
                .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
                .current_dir(place.folder.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
        }
        place
    }

    fn config(&self, text: &str) -> PathBuf {
        let file = self.folder.path().join("ferrule.toml");
        std::fs::write(&file, text).unwrap();
        file
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const GOOD: &str = r#"
[[listen]]
address = "127.0.0.1:9443"
tls = true

[[ssls]]
id = "front"
snis = ["one.test", "*.one.test"]
cert = "one.crt"
key = "one.key"
client.ca = "two.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:9" = 1 }
"#;

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in [&[][..], &["-t"], &["run"], &["check"], &["bogus"], &["run", "-c"]] {
        assert_eq!(code(&ferrule(arguments)), 2, "{arguments:?}");
    }
}

/// What users of other proxies type is answered with what to type here.
#[test]
fn a_wrong_command_line_is_answered_with_a_right_one() {
    let place = Place::new();
    let file = place.config(GOOD);
    let file = text(&file);
    for (arguments, tip) in [
        (&[file][..], "`ferrule run "),
        (&["ferrule.yaml"], "`ferrule check ferrule.yaml` only checks it"),
        (&["-f", file], "`-c FILE` names the configuration"),
        (&["-s", "reload"], "`ferrule ctl reload --wait`"),
        (&["reload"], "`ferrule ctl reload --wait`"),
        (&["validate", file], "`ferrule check FILE`"),
        (&["start"], "`ferrule run FILE`"),
        (&["-T"], "`ferrule dump FILE`"),
        (&["run", file, "-c", file], "cannot be used with"),
        (&["check", file, file], "unexpected argument"),
        (&["-c", file, "--strict"], "-t"),
        (&["-c", file, "--format", "json"], "-t"),
        (&["-c", file, "check", file], "cannot be used with"),
        (&["-t"], "--config <FILE>"),
        (&["check"], "--config <FILE>"),
        (&["chekc", file], "'check'"),
    ] {
        let output = ferrule(arguments);
        let shown = stderr(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {shown}");
        assert!(shown.contains(tip), "{arguments:?}: {shown}");
    }
    let help = stdout(&ferrule(&["--help"]));
    for words in ["-c, --config <FILE>", "-t\n", "--strict", "check", "run"] {
        assert!(help.contains(words), "{words} in {help}");
    }
}

/// The same file, however it is named.
#[test]
fn a_file_is_named_with_or_without_an_option() {
    let place = Place::new();
    let good = place.config(GOOD);
    let good = text(&good);
    for command in ["check", "dump"] {
        for arguments in
            [&[command, good][..], &[command, "-c", good], &[command, "--config", good]]
        {
            assert_eq!(code(&ferrule(arguments)), 0, "{arguments:?}");
        }
    }
    let broken = place.config("listen = 1\n");
    let broken = text(&broken);
    for arguments in
        [&["run", broken][..], &["-c", broken], &["--config", broken], &["-t", "-c", broken]]
    {
        let output = ferrule(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("[[listen]]"), "{}", stderr(&output));
    }
}

/// With `--strict` a warning is as good as an error; what a file that is good says stays.
#[test]
fn a_strict_check_refuses_what_is_warned_about() {
    let place = Place::new();
    let quiet = GOOD.replace("one.key", "quiet.key").replace("client.ca = \"two.crt\"\n", "");
    let folder = place.folder.path();
    std::fs::copy(folder.join("one.key"), folder.join("quiet.key")).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.join("quiet.key"), private).unwrap();
    let quiet = quiet.replace("\"one.test\", \"*.one.test\"", "\"one.test\"");
    let noisy = quiet.replace("uri = \"/*\"", "uri = \"/a/:id\"");
    for (config, warned) in [(&quiet, false), (&noisy, true)] {
        let file = place.config(config);
        let file = text(&file);
        assert_eq!(code(&ferrule(&["check", file])), 0);
        for arguments in [&["check", "--strict", file][..], &["-t", "--strict", "-c", file]] {
            let output = ferrule(arguments);
            let shown = format!("{}{}", stdout(&output), stderr(&output));
            assert_eq!(code(&output), i32::from(warned), "{shown}");
            assert_eq!(shown.contains("refused for its warnings"), warned, "{shown}");
        }
        let output = ferrule(&["check", "--strict", "--format", "json", file]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((code(&output), &answer["ok"]), (i32::from(warned), &Value::Bool(!warned)));
        assert!(answer["summary"].is_object(), "{answer}");
    }
}

#[test]
fn the_version_names_drivers_and_libraries() {
    let output = ferrule(&["--version"]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0);
    assert!(text.starts_with(&format!("ferrule {}\n", env!("CARGO_PKG_VERSION"))), "{text}");
    for word in ["io_uring: ", "epoll: available", "rustls 0.23", "ring 0.17"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn a_good_file_is_summed_up() {
    let place = Place::new();
    let file = place.config(GOOD);
    for arguments in [&["check", "-c", text(&file)][..], &["-t", "-c", text(&file)]] {
        let output = ferrule(arguments);
        let shown = stdout(&output);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        for words in [
            "ferrule.toml: ok",
            "127.0.0.1:9443 TLS",
            "one.test, *.one.test; client certificates: on",
            "server of front: CN=one.test,O=Acme, ",
            "client CA of front: CN=two.test,O=Acme, ",
            " days left (",
            "routes: 1",
        ] {
            assert!(shown.contains(words), "{words} in {shown}");
        }
    }
}

#[test]
fn a_good_file_as_json() {
    let place = Place::new();
    let output = ferrule(&["check", "-c", text(&place.config(GOOD)), "--format", "json"]);
    assert_eq!(code(&output), 0);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["summary"]["certificates"][0]["subject"], "CN=one.test,O=Acme");
    let days = answer["summary"]["certificates"][0]["days_left"].as_i64().unwrap();
    assert!((29..=30).contains(&days), "{days}");
    assert_eq!(answer["summary"]["servers"][0]["verify"], "on");
    assert_eq!(answer["summary"]["routes"], 1);
}

/// The file's own mistakes and those of its certificates come in one run.
#[test]
fn every_problem_is_shown_at_once() {
    let place = Place::new();
    let wrong = GOOD.replace("one.key", "two.key").replace("uri = ", "urii = ");
    let file = place.config(&wrong);
    let output = ferrule(&["check", "-c", text(&file)]);
    let shown = stderr(&output);
    assert_eq!((code(&output), stdout(&output).as_str()), (1, ""));
    assert!(shown.contains("ferrule.toml:10:"), "the key's line in {shown}");
    assert!(shown.contains("urii"), "the unknown field in {shown}");
    let output = ferrule(&["check", "-c", text(&file), "--format", "json"]);
    assert_eq!(code(&output), 1);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert!(answer["problems"].as_array().unwrap().len() >= 2, "{answer}");
}

#[test]
fn a_missing_file_is_refused_by_every_command() {
    for command in ["run", "check", "dump"] {
        let output = ferrule(&[command, "-c", "/no/such/ferrule.toml"]);
        assert_eq!(code(&output), 1, "{command}");
        assert!(stderr(&output).contains("/no/such/ferrule.toml"), "{}", stderr(&output));
    }
}

#[test]
fn a_dump_shows_what_is_in_force_but_no_key() {
    let place = Place::new();
    let key = std::fs::read_to_string(place.folder.path().join("one.key")).unwrap();
    let inline = GOOD
        .replace("key = \"one.key\"", &format!("key = '''\n{key}'''"))
        .replace("\"*.one.test\"", "\"${env:FERRULE_TEST_NAME}\"");
    let output = ferrule(&["dump", "-c", text(&place.config(&inline))]);
    let shown = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(shown.contains("from.environment.test"), "{shown}");
    let secret = key.lines().nth(1).unwrap();
    assert!(!shown.contains(secret), "the key in {shown}");
}

#[test]
fn the_schema_is_json_and_the_reference_markdown() {
    let output = ferrule(&["schema"]);
    assert_eq!(code(&output), 0);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.is_object());
    let output = ferrule(&["reference"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("# "), "{}", stdout(&output));
}

#[test]
fn an_address_in_use_keeps_it_from_starting() {
    let place = Place::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let file = place.config(&GOOD.replace("127.0.0.1:9443", &address));
    let output = ferrule(&["run", "-c", text(&file)]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&format!("cannot listen on {address}")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_log_that_cannot_be_opened_keeps_it_from_starting() {
    let place = Place::new();
    let log = "[log]\naccess = { path = \"no/such/folder/access.log\" }\n";
    let file = place.config(&format!("{log}{}", GOOD.replace(":9443", ":0")));
    for command in ["run", "check"] {
        let output = ferrule(&[command, "-c", text(&file)]);
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("log.access.path"), "{}", stderr(&output));
    }
}
