//! The migration that `docs/migrate-nginx.md` tells, carried out with the configuration that stands there.

use std::fs;

use ferrule_tools::gateway::Driver;
use ferrule_tools::process::source_dir;

use crate::nginx::case::Case;
use crate::nginx::stage::Stage;

/// What is asked: both gateways answer alike, and the field is not the client's own anywhere but in nginx's `/admin/`.
const QUESTIONS: &str = "\
#= x-ssl-client-s-dn x-admin
#? tls client api.example.com / X-SSL-Client-S-DN:CN=ops
#? tls none api.example.com /
#? tls none api.example.com /healthz
#? tls client api.example.com /admin/
#? tls ops api.example.com /admin/
";

fn case() -> Case {
    let page = fs::read_to_string(source_dir().join("docs/migrate-nginx.md")).expect("the page");
    let block = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.expect("a configuration on the page");
    let inner = block.strip_prefix("events { }\nhttp {\n").expect("it begins with events and http");
    let inner = inner.trim_end().strip_suffix('}').expect("it ends with a brace");
    let inner = inner
        .replace("127.0.0.1:8443", "127.0.0.1:@tls@")
        .replace("127.0.0.1:8080", "127.0.0.1:@up@")
        .replace(" server.", " @dir@/server.")
        .replace(" ca.crt", " @dir@/ca.crt")
        .replace("\"CN=ops\"", "\"O=Acme,CN=ops\"");
    Case::read("page", &format!("{QUESTIONS}{inner}"))
}

#[test]
fn the_migration_on_the_page_works() {
    let stage = Stage::new();
    for driver in [Driver::IoUring, Driver::Epoll] {
        let faults = stage.play(&case(), driver);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
