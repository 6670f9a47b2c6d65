//! Every seed of the fuzz targets of importers is also a case.

mod invariants;

use std::fs;
use std::path::Path;

/// Runs every file of one target's seeds through its invariant.
fn each_seed(target: &str, invariant: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&seeds).expect("a directory of seeds") {
        invariant(&fs::read(entry.expect("a seed").path()).expect("a seed"));
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", seeds.display());
}

#[test]
fn seeds_of_nginx_hold() {
    each_seed("import_nginx", invariants::import_nginx);
}

#[test]
fn seeds_of_haproxy_hold() {
    each_seed("import_haproxy", invariants::import_haproxy);
}

#[test]
fn seeds_of_lists_of_haproxy_hold() {
    each_seed("import_crt_list", invariants::import_crt_list);
}

#[test]
fn seeds_of_apisix_hold() {
    each_seed("import_apisix", invariants::import_apisix);
}

#[test]
fn seeds_of_dumps_hold() {
    each_seed("import_dump", invariants::import_dump);
}

#[test]
fn seeds_of_manifests_hold() {
    each_seed("import_ingress", invariants::import_ingress);
}
