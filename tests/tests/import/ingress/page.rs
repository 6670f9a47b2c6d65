//! `docs/migrate-ingress-nginx.md`, told from its start to its end by its own commands.

use std::fs;

use ferrule_tests::{Upstream, echo, free_port, on_both_drivers, scratch, shell, source_dir};
use ferrule_tools::process::ferrule_binary;

use crate::kit::start;

/// Blocks of the page of this language, without their fences.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match &mut open {
            Some(text) if line == "```" => {
                found.extend(Some(std::mem::take(text)).filter(|text| !text.is_empty()));
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
                continue;
            }
            None if line == format!("```{language}") => {
                open = Some(String::new());
                continue;
            }
            None => {}
        }
        if line == "```" {
            open = None;
        }
    }
    found
}

on_both_drivers! {
    fn the_page_is_true(driver) {
        let page = fs::read_to_string(source_dir().join("docs/migrate-ingress-nginx.md")).expect("the page");
        let dir = scratch();
        let at = dir.path();
        let yaml = blocks(&page, "yaml");
        fs::write(at.join("shop.yaml"), yaml.first().expect("a manifest")).expect("a file");
        let service = Upstream::plain(echo());
        let scripts = blocks(&page, "sh");
        let [certificates, made, asked, ..] = scripts.as_slice() else { panic!("three scripts: {scripts:?}") };
        shell(at, certificates);
        let path = format!("export PATH={}:$PATH\n", ferrule_binary().parent().expect("a folder").display());
        shell(at, &format!("{path}{made}"));
        let (plain, tls) = (free_port(), free_port());
        let _gateway = start(&at.join("ferrule"), driver, |text| {
            text.replace("0.0.0.0:80\"", &format!("127.0.0.1:{plain}\""))
                .replace("0.0.0.0:443\"", &format!("127.0.0.1:{tls}\""))
                .replace("\"app.shop.svc.cluster.local\"\nport = 8080", &format!("\"127.0.0.1\"\nport = {}", service.port))
                .replace("host = \"app.shop.svc.cluster.local\"", "host = \"127.0.0.1\"")
                .replace("port = 8080", &format!("port = {}", service.port))
        });
        let answer = shell(at, &asked.replace(":443:127.0.0.1", &format!(":443:127.0.0.1:{tls}")));
        for line in ["ssl-client-verify: SUCCESS", "ssl-client-subject-dn: CN=alice", "400"] {
            assert!(answer.contains(line), "{line}: {answer}");
        }
    }
}
