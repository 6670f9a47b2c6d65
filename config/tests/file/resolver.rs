//! `[runtime.resolver]`, and nodes that are services.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

use std::path::Path;

use ferrule_config::model::{NodeAddress, Resolving};
use ferrule_config::{Config, read_text};

fn read(runtime: &str, node: &str) -> Result<Config, Vec<(String, String)>> {
    let text = format!(
        "runtime.resolver = {{ {runtime} }}\nlisten = [{{ address = '0.0.0.0:80' }}]\n\
         [[routes]]\nuri = '/*'\nupstream.nodes = {{ {node} = 1 }}\n"
    );
    let told = |problem: &ferrule_config::Problem| (problem.field.clone(), problem.message.clone());
    let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
        .map_err(|problems| problems.iter().map(told).collect::<Vec<_>>())?;
    let errors: Vec<_> = draft.problems.iter().map(told).collect();
    if errors.is_empty() { Ok(draft.config) } else { Err(errors) }
}

fn resolver(lines: &str) -> Resolving {
    read(lines, "'a:1'").unwrap().runtime.resolver
}

#[test]
fn servers_have_port_53_unless_they_say_otherwise() {
    let all = resolver("nameservers = ['10.0.0.2', '10.0.0.2:5353', 'fd00::2', '[fd00::3]']");
    let texts: Vec<_> = all.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.2:53", "10.0.0.2:5353", "[fd00::2]:53", "[fd00::3]:53"]);
    let Resolving { nameservers, min_ttl, max_ttl } = resolver("");
    assert_eq!((nameservers.len(), min_ttl.as_secs(), max_ttl.as_secs()), (0, 1, 300));
}

#[test]
fn every_mistake_is_told_by_field() {
    for (line, field, message) in [
        ("nameservers = ['dns.test']", "nameservers[0]", "not the address of a DNS server"),
        ("nameservers = ['10.0.0.2:0']", "nameservers[0]", "not the address of a DNS server"),
        ("nameservers = ['10.0.0.2', '10.0.0.2:53']", "nameservers[1]", "twice"),
        ("min_ttl = '10m'", "min_ttl", "longer than `max_ttl`"),
        ("max_ttl = '500ms'", "max_ttl", "longer than `max_ttl`"),
        ("min_ttl = '0s'", "min_ttl", "nothing"),
    ] {
        let errors = read(line, "'a:1'").unwrap_err();
        let [(found, text)] = &*errors else { panic!("{line}: {errors:?}") };
        assert_eq!(found, &format!("runtime.resolver.{field}"), "{line}");
        assert!(text.contains(message), "{line}: {text}");
    }
}

#[test]
fn a_service_has_no_port() {
    let address = |node: &str| read("", node).unwrap().upstreams[0].nodes[0].address.clone();
    let service = NodeAddress::Srv { name: "_http._tcp.pay.test".to_owned() };
    assert_eq!(address("'_http._TCP.pay.test'"), service);
    for host in ["_http._tcp.pay.test:80", "_http.pay.test", "_http._udp.pay.test", "_http._tcp"] {
        let found = address(&format!("'{host}'"));
        assert!(matches!(found, NodeAddress::Name { .. }), "{host}: {found:?}");
    }
}
