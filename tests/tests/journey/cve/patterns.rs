//! Patterns that a configuration holds against what a client asks for.

use std::time::Duration;

use ferrule_tests::{Dial, Reloaded, now, on_both_drivers, raw};

use super::World;

/// A name that needs a certificate, but for paths that this pattern takes.
fn exempt(pattern: &str) -> String {
    format!(
        "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n\
         [[ssls]]\nsni = \"closed.test\"\ncert = \"server.crt\"\nkey = \"server.key\"\n\
         client = {{ ca = \"clients.crt\", skip_mtls_uri_regex = ['{pattern}'] }}\n\
         [[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n"
    )
}

fn status(world: &World, path: &str) -> u16 {
    let mut raw = Dial::new(Some("closed.test")).connect(world.front()).expect("a handshake");
    raw::get(&mut raw, "closed.test", path).status()
}

on_both_drivers! {
    /// nginx's PCRE goes back and tries again, and its captures were written where there was no room.
    /// Here a pattern takes as many steps as the path has bytes, whatever it is, and captures nothing.
    fn cve_2026_42533_a_pattern_takes_as_long_as_the_path(driver) {
        let world = World::with(driver, &exempt("^/((a+)+)+$"));
        let long = format!("/{}", "a".repeat(6_000));
        let start = now();
        assert_eq!(status(&world, &format!("{long}!")), 400);
        assert_eq!(status(&world, &long), 200);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    /// nginx's rewrite counted the escapes of a capture in one pass and wrote them in another. Here the
    /// path is held against a pattern as it is, and passed on as it came.
    fn cve_2026_42945_escapes_are_the_same_for_pattern_and_upstream(driver) {
        let world = World::with(driver, &exempt("^/(pub)(lic)?(/[a-z+ ]*)?$"));
        for (path, wanted) in [
            ("/public/a", 200),
            ("/pub", 200),
            ("/public/a%2b%20b", 200),
            ("/%70ublic", 200),
            ("/publicx", 400),
            ("/x?/public", 400),
            ("/public%2fa", 400),
            ("/public/%41", 400),
        ] {
            let before = world.upstream.seen().len();
            assert_eq!(status(&world, path), wanted, "{path}");
            let seen = world.upstream.seen();
            assert_eq!(seen.len() - before, usize::from(wanted == 200), "{path}");
            if let Some(last) = seen.last().filter(|_| wanted == 200) {
                assert!(last.message.head.raw.starts_with(&format!("GET {path} ")), "{path}");
            }
        }
    }

    /// What only going back could decide is refused at load, and the former patterns stay.
    fn cve_2026_9256_what_needs_to_go_back_is_no_pattern(driver) {
        let mut world = World::with(driver, &exempt("^/open$"));
        for pattern in ["^/(a)\\1$", "^/(?=a)", "^/(?!a)", "(?<=a)b", "^/(?>a+)$"] {
            assert_eq!(world.gateway.reload(&exempt(pattern)), Reloaded::Refused, "{pattern}");
            assert_eq!((status(&world, "/open"), status(&world, "/aa")), (200, 400), "{pattern}");
        }
    }
}
