//! Every seed of the fuzz target is also a case.

use std::path::Path;

use super::invariants;

#[test]
fn record_seeds_hold() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join("record");
    let mut count = 0;
    for entry in std::fs::read_dir(&seeds).expect("the seeds") {
        invariants::record(&std::fs::read(entry.expect("a seed").path()).expect("a seed"));
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", seeds.display());
}

#[test]
fn random_scripts_hold() {
    let mut random = super::random::Random::new(7);
    for _ in 0..400 {
        let mut script = Vec::new();
        for _ in 0..random.below(30) {
            let kind = *random.one_of(&[0, 1, 2, 3, 3, 20, 21, 22, 22, 23, 23, 23, 24]);
            let content = match kind {
                21 => vec![random.byte() % 3, *random.one_of(&[0, 10, 90])],
                22 => random
                    .one_of(&[vec![24, 0, 0, 1, 1], vec![24, 0], vec![4, 0, 0, 2, 9, 9]])
                    .clone(),
                _ => {
                    let count = random.below(40);
                    random.bytes(count)
                }
            };
            script.extend([kind, u8::try_from(content.len()).expect("short")]);
            script.extend(content);
        }
        invariants::record(&script);
    }
}
