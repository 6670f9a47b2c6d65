//! A host in a file and one in a request are read alike, though two rooms read them.

use std::path::Path;

use ferrule_config::model::HostPattern;
use ferrule_engine::plan::HostBuf;
use ferrule_engine::wire::target::parse_authority;

/// What a file may say where a host is meant, and what clients may send.
const PIECES: [&str; 22] = [
    "a",
    "A",
    "test",
    "x-y",
    "x_y",
    "0",
    "1",
    "01",
    "255",
    "256",
    "772",
    "0x7f",
    "0X",
    "0xg",
    "1a",
    ".",
    ".",
    ".",
    "::ffff:1.2.3.4",
    "::1",
    "[",
    "]",
];

#[test]
fn what_a_file_takes_for_a_host_is_one_in_requests_too() {
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..3_000 {
        let mut host: String = (0..1 + below(7)).map(|_| PIECES[below(PIECES.len())]).collect();
        if below(3) == 0 {
            host = format!("[{host}]");
        }
        let text = format!(
            "[[listen]]\naddress = '127.0.0.1:1'\n[[routes]]\nuri = '/*'\nhost = '{host}'\n\
             upstream.nodes = {{ '127.0.0.1:1' = 1 }}\n"
        );
        let read = ferrule_config::read_text(Path::new("/f.toml"), text, &|_| None).unwrap();
        let taken = read.problems.is_empty();
        let sent = parse_authority(host.as_bytes());
        assert_eq!(taken, sent.is_ok(), "{host}: {}", read.problems);
        let Ok((name, None)) = sent else {
            bad += 1;
            continue;
        };
        let HostPattern::Exact(pattern) = &read.config.routes[0].hosts[0] else {
            panic!("{host} is a pattern")
        };
        let mut buf = HostBuf::default();
        buf.read(name);
        assert_eq!(buf.as_bytes(), pattern.as_bytes(), "{host}");
        good += 1;
    }
    assert!(good > 300 && bad > 300, "{good} and {bad}");
}
