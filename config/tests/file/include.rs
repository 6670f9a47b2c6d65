//! A configuration of several files reads as one, and every problem names the file that it is in.

#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ferrule_config::{Draft, Problems, read, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:80' }]\n";

/// A directory that is removed with the value.
struct Directory(PathBuf);

impl Directory {
    fn of(files: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ferrule-{}-{number}", std::process::id()));
        let directory = Self(path);
        for (name, text) in files {
            let file = directory.0.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        directory
    }

    fn read(&self) -> Result<Draft, Problems> {
        read(&self.0.join("ferrule.toml"), &|_| None)
    }

    /// All that is said about the files, without the directory.
    fn said(&self) -> Vec<String> {
        let problems = self.read().map_or_else(|problems| problems, |draft| draft.problems);
        let directory = format!("{}/", self.0.display());
        problems.lines().map(|line| line.replace(&directory, "")).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn route(uri: &str) -> String {
    format!("[[routes]]\nuri = '{uri}'\nupstream.nodes = {{ 'a:1' = 1 }}\n")
}

#[test]
fn lists_go_on_from_file_to_file_in_order() {
    let main = format!("include = ['last.toml', 'conf.d/*.toml']\n{LISTEN}{}", route("/main"));
    let directory = Directory::of(&[
        ("ferrule.toml", &main),
        ("conf.d/20-b.toml", &route("/b")),
        ("conf.d/10-a.toml", &route("/a")),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/30-c.toml~", "nonsense"),
        ("last.toml", &format!("[http]\nvia = 'x'\n{}", route("/last"))),
    ]);
    let draft = directory.read().unwrap();
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    let uris: Vec<String> =
        draft.config.routes.iter().map(|route| format!("{:?}", route.uris)).collect();
    for (uri, wanted) in uris.iter().zip(["/main", "/last", "/a", "/b"]) {
        assert!(uri.contains(wanted), "{uris:?}");
    }
    assert_eq!(uris.len(), 4);
    // One file that says the same is the same configuration.
    let one = format!(
        "{LISTEN}[http]\nvia = 'x'\n{}{}{}{}",
        route("/main"),
        route("/last"),
        route("/a"),
        route("/b")
    );
    let path = directory.0.join("ferrule.toml");
    let one = read_text(&path, one, &|_| None).unwrap().finish().unwrap();
    assert_eq!(draft.config.dump(), one.dump());
}

#[test]
fn a_problem_names_its_file_and_line() {
    let main = format!("{LISTEN}include = 'more.toml'\n{}", route("/main"));
    for more in ["\n\n[[routes]]\nurii = '/a'\n", "\n\n[[routes]]\nurii = '/a'"] {
        let directory = Directory::of(&[("ferrule.toml", &main), ("more.toml", more)]);
        let said = directory.said();
        assert!(
            said.iter().any(|line| line.starts_with("more.toml:4:1: error: routes[1].urii:")),
            "{said:#?}"
        );
        let shown = directory.read().map_or_else(|p| p, |draft| draft.problems).render_human();
        assert!(shown.contains("more.toml:4:1") && shown.contains("4 | urii = '/a'"), "{shown}");
        assert!(said.iter().all(|line| line.starts_with("more.toml")), "{said:#?}");
    }
}

#[test]
fn what_cannot_be_one_file_is_refused() {
    let twice = format!("include = 'more.toml'\n{LISTEN}[http]\nvia = 'x'\n");
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Files<'_>, &str); 10] = [
        (
            &twice,
            &[("more.toml", "a = 1\n[http]\n")],
            "more.toml:2:2: error: http: `http` stands in ferrule.toml:3 already",
        ),
        (
            "include = 'none.toml'\n",
            &[],
            "ferrule.toml:1:11: error: include: cannot read none.toml",
        ),
        (
            "include = ['a.toml', './a.toml']\n",
            &[("a.toml", "")],
            "include[1]: ./a.toml is included twice",
        ),
        ("include = 'ferrule.toml'\n", &[], "ferrule.toml is included twice"),
        (
            "include = 'a.toml'\n",
            &[("a.toml", "include = 'b.toml'\n")],
            "a.toml:1:1: error: include: an included file includes another",
        ),
        ("include = 'a.toml'\n", &[("a.toml", "x = \n")], "a.toml:1:"),
        ("include = 'none/*.toml'\n", &[], "the directory none cannot be read"),
        ("include = '*/a.toml'\n", &[("b/a.toml", "")], "a directory in `*/a.toml` is a pattern"),
        ("include = '[a.toml'\n", &[], "`[a.toml` is no pattern"),
        ("include = 'a.toml'\n", &[("a.toml/b", "")], "a.toml is a directory, not a regular file"),
    ];
    for (main, others, wanted) in cases {
        let mut files = vec![("ferrule.toml", main)];
        files.extend(others);
        let directory = Directory::of(&files);
        let said = directory.said();
        assert!(said.iter().any(|line| line.contains(wanted)), "{main}: {said:#?}");
        assert!(directory.read().and_then(Draft::finish).is_err(), "{main}");
    }
}

#[test]
fn an_escaped_key_includes_too() {
    let main = format!("\"incl\\u0075de\" = 'a.toml'\n{LISTEN}");
    let directory = Directory::of(&[("ferrule.toml", &main), ("a.toml", &route("/a"))]);
    assert_eq!(directory.read().unwrap().finish().unwrap().routes.len(), 1);
}

#[test]
fn a_pattern_without_a_file_is_told() {
    let main = format!("include = '*.tml'\n{LISTEN}{}", route("/a"));
    let said = Directory::of(&[("ferrule.toml", &main)]).said();
    let wanted = "ferrule.toml:1:11: warning: include: no file has such a name";
    assert!(said.iter().any(|line| line.starts_with(wanted)), "{said:#?}");
}

#[test]
fn a_text_without_files_includes_none() {
    let text = format!("include = 'a.toml'\n{LISTEN}");
    let read = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None);
    assert!(read.unwrap_err().to_string().contains("no file is read here"));
}

/// A directory that looks like a pattern.
#[test]
fn the_directory_of_the_main_file_is_taken_as_it_is() {
    let main = format!("include = ['*.conf', 'one.toml']\n{LISTEN}");
    let files = [("a.conf", route("/a")), ("one.toml", route("/b"))];
    let mut all = vec![("[prod]/ferrule.toml", main.as_str())];
    let names = files.each_ref().map(|(name, _)| format!("[prod]/{name}"));
    all.extend(names.iter().map(String::as_str).zip(files.iter().map(|(_, text)| text.as_str())));
    let directory = Directory::of(&all);
    let read = |path: &Path| read(path, &|_| None).unwrap().finish().unwrap().routes.len();
    assert_eq!(read(&directory.0.join("[prod]/ferrule.toml")), 2);
}

/// The key of one file is not the fault of another.
#[test]
fn an_open_file_is_named_by_itself() {
    let main = format!("include = 'a.toml'\n{LISTEN}");
    let ssl = "[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = '''-----BEGIN PRIVATE KEY-----\nSECRET\n\
               -----END PRIVATE KEY-----'''\n";
    let directory = Directory::of(&[("ferrule.toml", &main), ("a.toml", ssl)]);
    let open = |name: &str| {
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(directory.0.join(name), mode).unwrap();
        let said = directory.said();
        said.into_iter().filter(|line| line.contains("holds a private key")).collect::<Vec<_>>()
    };
    assert_eq!(open("ferrule.toml"), Vec::<String>::new());
    let said = open("a.toml");
    assert!(said.iter().any(|line| line.starts_with("a.toml:4:")), "{said:?}");
    assert!(said.iter().all(|line| !line.contains("SECRET")));
}

/// Each file of several is looked at for credentials.
#[test]
fn a_credential_of_a_later_file_is_told() {
    let route = |uri: &str| {
        format!(
            "[[routes]]\nuri = '{uri}'\nupstream.nodes = {{ 'a:1' = 1 }}\n\
             headers = {{ set = {{ Authorization = 'Bearer abcdefgh' }} }}\n"
        )
    };
    let main = format!("include = 'a.toml'\n{LISTEN}{}", route("/m"));
    let directory = Directory::of(&[("ferrule.toml", &main), ("a.toml", &route("/a"))]);
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(directory.0.join("a.toml"), mode).unwrap();
    let said = directory.said();
    let told: Vec<&String> = said.iter().filter(|line| line.contains("a fixed value")).collect();
    assert!(told.len() == 1 && told[0].starts_with("a.toml:4:"), "{said:#?}");
}
