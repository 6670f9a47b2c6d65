//! Configurations that APISIX refuses: `ferrule import` or `ferrule check` must refuse them, too.

use std::fs;
use std::path::Path;
use std::process::Command;

use ferrule_tests::scratch;
use ferrule_tools::process::ferrule_binary;
use serde_json::{Value, json};

use crate::case;
use crate::differences::Differences;
use crate::gateway::said;

/// Plays a file of refusals.
pub(crate) fn judge(file: &Path, accepted: &Differences, least: Option<usize>) {
    let text = fs::read_to_string(file).expect("a file of refusals");
    let dir = scratch();
    let (mut count, mut refused) = (0_usize, 0_usize);
    let (mut wrong, mut stale) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let value: Value = serde_json::from_str(line).expect("a refusal is one line of JSON");
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let name = case::name(text("file"), text("title"));
        count += 1;
        let place = dir.path().join(number.to_string());
        let taken = taken(&document(text("call"), text("body_json")), &place);
        match (taken, accepted.reason(&name)) {
            (None, None) => refused += 1,
            (None, Some(_)) => {
                refused += 1;
                stale.push(name);
            }
            (Some(_), Some(_)) => {}
            (Some(configuration), None) => {
                println!(
                    "\n=== accepted: {name}\n{} {}\n{configuration}",
                    text("call"),
                    text("body_json")
                );
                wrong.push(name);
            }
        }
    }
    assert!(count > 0, "there was nothing to judge");
    let percent = refused * 100 / count;
    println!("\n{refused} of {count} refused ({percent} %)");
    if let Some(least) = least {
        assert!(percent >= least, "{percent} % are refused, and {least} % must be");
        return;
    }
    assert!(wrong.is_empty(), "accepted, and not listed: {wrong:#?}");
    assert!(stale.is_empty(), "listed as accepted, and refused: {stale:?}");
}

/// What a call of the admin API would have configured, as a document.
fn document(call: &str, body: &str) -> String {
    let path = call.split_once(' ').map_or(call, |(_, path)| path);
    let path = path.trim_start_matches("/apisix/admin").trim_start_matches('/');
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let Ok(body) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    if path == "configs/validate" {
        return body.to_string();
    }
    let path = path.trim_start_matches("schema/validate/");
    match path.split_once('/') {
        Some(_) => json!({ path: body }).to_string(),
        None => json!({ path: [body] }).to_string(),
    }
}

/// The configuration that came of it; `None` if it is refused.
fn taken(document: &str, place: &Path) -> Option<String> {
    let source = place.with_extension("json");
    fs::write(&source, document).expect("a writable directory");
    let mut import = Command::new(ferrule_binary());
    let done = import
        .args(["import", "apisix"])
        .arg(&source)
        .arg("-o")
        .arg(place)
        .output()
        .expect("ferrule");
    match done.status.code() {
        Some(1) => return None,
        Some(0 | 2) => {}
        other => panic!("{other:?}: {document}\n{}", said(&done)),
    }
    let file = place.join("ferrule.toml");
    let done = Command::new(ferrule_binary()).arg("check").arg(&file).output().expect("ferrule");
    match done.status.code() {
        Some(1) => None,
        Some(0) => Some(fs::read_to_string(&file).expect("what was imported")),
        other => panic!("{other:?}: {document}\n{}", said(&done)),
    }
}
