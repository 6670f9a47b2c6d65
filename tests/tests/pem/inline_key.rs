//! A private key in the configuration itself is as secret as one in a file of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::stage::Stage;

#[test]
fn a_configuration_with_a_key_that_is_open_to_others_is_warned_of() {
    let stage = Stage::new();
    let file = stage.dir.path().join("open.toml");
    let config = |key: &str| {
        format!(
            "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\ncert = \
             \"leaf.pem\"\nkey = {key}\n[[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:9\" = \
             1 }}\n"
        )
    };
    let inline = config(&format!("\"\"\"\n{}\"\"\"", stage.key));
    let escaped = config(&format!("{:?}", stage.key));
    let unused = format!("{}# {}", config("\"key.pem\""), stage.key.replace('\n', "\n# "));
    let from_environment = config("\"${env:KEY}\"");
    let of_a_file = config("\"key.pem\"");
    let env = |name: &str| (name == "KEY").then(|| stage.key.clone());
    let warnings = |text: &str, mode: u32| -> Vec<String> {
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        let draft = ferrule_config::read(&file, &env).expect("TOML");
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        let shown = draft.problems.render_human();
        assert!(!shown.contains(stage.key.lines().nth(1).expect("a line")), "{shown}");
        draft.problems.warnings().map(|one| one.message.clone()).collect()
    };
    for text in [&inline, &escaped, &unused] {
        for (mode, what) in [
            (0o644, "can be read by others"),
            (0o640, "can be read by others"),
            (0o604, "can be read by others"),
            (0o620, "can be written by others"),
            (0o602, "can be written by others"),
            (0o666, "can be read and written by others"),
        ] {
            let found = warnings(text, mode);
            assert!(found.len() == 1 && found[0].contains(what), "{mode:o}: {found:?}");
        }
        assert!(warnings(text, 0o600).is_empty() && warnings(text, 0o400).is_empty());
    }
    for text in [&from_environment, &of_a_file] {
        assert!(warnings(text, 0o666).is_empty(), "no key is in the file");
    }
}
