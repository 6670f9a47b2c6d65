//! Every way in which usual decoders read a path is known, or the path is refused.

use ferrule_engine::wire::error::WireError::{self, AmbiguousPath, DotSegment, ForbiddenEscape};
use ferrule_engine::wire::readings::{READINGS_MAX, Readings};
use ferrule_engine::wire::target::normalise_path;
use proptest::prelude::{Strategy, any, prop, proptest};
use proptest::sample::select;

/// All readings, the normal form first; `None` if the path is refused before anybody asks.
fn read(path: &[u8]) -> Option<Result<Vec<Vec<u8>>, WireError>> {
    let (mut normal, mut readings) = (Vec::new(), Readings::default());
    normalise_path(path, &mut normal).ok()?;
    Some(readings.read(path, &normal).map(|()| {
        let others = readings.others().map(<[u8]>::to_vec);
        core::iter::once(normal).chain(others).collect()
    }))
}

#[test]
fn each_trick_is_read_as_the_path_it_is_meant_for() {
    for path in [
        "/admin/x",
        "/admin%2fx",
        "/admin%2Fx",
        "/%2fadmin/x",
        "//admin/x",
        "//h/admin/x",
        "//h:80/admin//x",
        "/%2fh/admin/x",
        "/%5c%5ch%5cadmin/x",
        "///admin/x",
        "/admin//x",
        "/admin;a/x",
        "/admin;a=b;c/x;d",
        "/;/admin/x",
        "/;a;b//;c/admin/x",
        "/%3b/admin/x",
        "/admin%3Bx%2f/x",
        "/admin%5cx",
        "/%5Cadmin%5cx",
        "/admin%252fx",
        "/admin%25252Fx",
        "/%2561dmin/x",
        "/%25%36%31dmin/x",
        "/admin%255cx",
        "/admin%253b%252fx",
        "/admin/x%3fy",
        "/admin/x%23",
        "/admin/x%253F/z",
        "/admin%c0%afx",
        "/admin%C0%2fx/%c1%81",
        "/admin%e0%80%afx",
        "/admin%F0%80%80%AFx",
        "/admin%25c0%25afx",
    ] {
        let readings = read(path.as_bytes()).expect(path).expect(path);
        let wanted = if path.contains("%c1") { &b"/admin"[..] } else { b"/admin/x" };
        let found = readings.iter().any(|reading| reading.starts_with(wanted));
        assert!(found, "{path}: {:?}", readings.iter().map(|one| one.escape_ascii().to_string()));
    }
}

#[test]
fn most_paths_are_read_in_one_way() {
    for path in ["/", "/a/b.c", "/a%20b", "/%C3%A4", "/%61%2Eb", "/a-b_c~d!$&'()*+,=:@", "*"] {
        assert_eq!(read(path.as_bytes()).expect(path).expect(path).len(), 1, "{path}");
    }
    // Thai: three bytes that are no overlong form.
    assert_eq!(read(b"/%E0%B8%81").expect("legal").expect("one way").len(), 1);
    // Non-latin bytes that are not UTF-8 stand for themselves.
    assert_eq!(read(b"/caf%E9").expect("legal").expect("one way").len(), 1);
}

#[test]
fn what_some_decoder_resolves_or_cuts_off_is_refused() {
    let deep = format!("/%{}2f", "25".repeat(READINGS_MAX));
    let wide = format!("/{}", "a".repeat(20_000) + "%2f");
    for (path, error) in [
        ("/a/%252e%252e/b", DotSegment),
        ("/%252e%252e%252fadmin", DotSegment),
        ("/a%252f..%252fb", DotSegment),
        ("/a/.%252e;x/b", DotSegment),
        ("/a/..%253bx/b", DotSegment),
        ("/a/..%3fx", DotSegment),
        ("/a/%c0%ae%c0%ae/b", DotSegment),
        ("/a/%e0%80%ae/b", DotSegment),
        ("/a/.%255cb", DotSegment),
        ("/a%2500b", ForbiddenEscape),
        ("/a/.%2500./b", ForbiddenEscape),
        ("/a%c0%80b", ForbiddenEscape),
        (&deep, AmbiguousPath),
        (&wide, AmbiguousPath),
    ] {
        assert_eq!(read(path.as_bytes()), Some(Err(error)), "{}", path.get(..40).unwrap_or(path));
    }
    // And what has always been refused: in one reading of it.
    for path in ["/a/..;/b", "/%2e%2e;x/", "/..%2f", "/.%00.", "/a\\b"] {
        assert_eq!(read(path.as_bytes()), None, "{path}");
    }
}

/// What a decoder does in one step, written down without looking at ours.
fn step(path: &str, which: usize) -> String {
    let hex = |text: &str| u8::from_str_radix(text, 16).ok();
    match which % 6 {
        0 => {
            let (mut out, mut rest) = (String::new(), path);
            while let Some((before, behind)) = rest.split_once('%') {
                out.push_str(before);
                match behind.get(..2).and_then(hex) {
                    Some(byte) => {
                        out.push(char::from(byte));
                        rest = behind.get(2..).unwrap_or_default();
                    }
                    None => {
                        out.push('%');
                        rest = behind;
                    }
                }
            }
            out + rest
        }
        1 => {
            let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or(""));
            segments.collect::<Vec<_>>().join("/")
        }
        2 => path.replace('\\', "/"),
        3 => {
            let mut merged = path.to_owned();
            while merged.contains("//") {
                merged = merged.replace("//", "/");
            }
            merged
        }
        4 => path.split(['?', '#']).next().unwrap_or("").to_owned(),
        _ => {
            let rest = path.trim_start_matches('/');
            match rest.split_once('/') {
                _ if path.len() - rest.len() < 2 => path.to_owned(),
                Some((_, behind)) => format!("/{behind}"),
                None => "/".to_owned(),
            }
        }
    }
}

/// A decoded byte is a character of its own here.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

proptest! {
    /// Whatever a chain of decoders comes to is among the readings.
    #[test]
    fn every_chain_of_decoders_ends_at_a_reading(
        pieces in prop::collection::vec(select(vec![
            "/", "//", "a", "admin", "%2f", "%2F", ";", ";a", "%3b", "%5c", "%25", "%252f", "%61",
            "%3f", "x", "%2561", "253b", "5c", ".",
        ]), 0..9),
        steps in prop::collection::vec(any::<prop::sample::Index>().prop_map(|at| at.index(6)), 0..6),
    ) {
        let path = format!("/{}", pieces.concat());
        let Some(Ok(readings)) = read(path.as_bytes()) else { return Ok(()) };
        assert!(readings.len() <= READINGS_MAX);
        // The ambiguous escapes are what is left to others; the rest is decoded by everybody.
        let mut end = path.replace("%61", "a");
        for which in steps {
            end = step(&end, which);
            if end.is_empty() {
                break;
            }
            let upper = end.replace("%2f", "%2F").replace("%3b", "%3B").replace("%5c", "%5C");
            let upper = upper.replace("%3f", "%3F");
            let found = readings.iter().any(|one| *one == bytes(&end) || *one == bytes(&upper));
            assert!(found, "{path} as {end}: {readings:?}");
        }
    }
}
