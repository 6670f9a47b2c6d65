//! What is told about `api_breaker`: APISIX's rules, and a few that it lacks.

use std::path::Path;

use ferrule_config::model::CircuitBreaker;
use ferrule_config::{Draft, Problems, read_text};

fn draft(service: &str, route: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n\
         [[services]]\nid = 's'\nupstream_id = 'u'\n{service}\n\
         [[routes]]\nuri = '/*'\nservice_id = 's'\n{route}"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

fn breaker(draft: &Draft) -> Option<&CircuitBreaker> {
    draft.config.routes[0].breaker.as_ref()
}

const LEAST: &str = "api_breaker = { break_response_code = 502 }\n";

#[test]
fn defaults_are_apisix_s() {
    assert!(breaker(&draft("", "").unwrap()).is_none());
    let found = draft("", LEAST).unwrap();
    let found = breaker(&found).unwrap();
    assert_eq!((found.response.status, &found.response.body), (502, &None));
    assert_eq!((found.max_seconds, found.failures, found.successes), (300, 3, 3));
    assert_eq!((&*found.unhealthy_statuses, &*found.healthy_statuses), (&[500][..], &[200][..]));
}

#[test]
fn a_routes_breaker_replaces_its_services() {
    let of_service = draft(LEAST, "").unwrap();
    assert_eq!(breaker(&of_service).unwrap().response.status, 502);
    let own = "api_breaker = { break_response_code = 503, break_response_body = 'a \"b\" $c', \
               break_response_headers = { X-A = '1 $$2' }, max_breaker_sec = 3, \
               unhealthy = { http_statuses = [500, 599], failures = 1 }, \
               healthy = { http_statuses = [200, 499], successes = 1000 } }\n";
    let own = draft(LEAST, own).unwrap();
    let found = breaker(&own).unwrap();
    assert_eq!(found.response.status, 503);
    assert_eq!(found.response.headers[0].value, "1 $2");
    // The dump says the same.
    let dump = own.config.dump();
    let again = read_text(Path::new("/etc/ferrule.toml"), dump.clone(), &|_| None).unwrap();
    assert_eq!(breaker(&again), Some(found), "{dump}");
}

/// The first four are those of APISIX's own tests (`t/plugin/api-breaker.t`).
#[test]
fn a_breaker_that_makes_no_sense_is_told() {
    let mut wrong = Vec::new();
    for (keys, field, message) in [
        ("break_response_code = 199", "break_response_code", "out of range"),
        ("break_response_code = 200, max_breaker_sec = -1", "max_breaker_sec", "out of range"),
        (
            "break_response_code = 200, unhealthy = { http_statuses = [500, 603] }",
            "unhealthy.http_statuses",
            "out of range",
        ),
        (
            "break_response_code = 500, healthy = { http_statuses = [206, 206] }",
            "healthy.http_statuses",
            "twice",
        ),
        ("max_breaker_sec = 9", "break_response_code", "missing"),
        (
            "break_response_code = 500, healthy = { http_statuses = [] }",
            "healthy.http_statuses",
            "",
        ),
        (
            "break_response_code = 204, break_response_body = 'x'",
            "break_response_body",
            "has no body",
        ),
        (
            "break_response_code = 500, break_response_headers = { Content-Length = '9' }",
            "break_response_headers.Content-Length",
            "belongs to the gateway",
        ),
        (
            "break_response_code = 500, break_response_headers = { Date = 'now' }",
            "break_response_headers.Date",
            "belongs to the gateway",
        ),
        (
            "break_response_code = 500, break_response_headers = { X = '$remote_addr' }",
            "break_response_headers.X",
            "is not filled in",
        ),
        (
            "break_response_code = 500, break_response_headers = { X-A = '1', x-a = '2' }",
            "break_response_headers.x-a",
            "twice",
        ),
        (
            "break_response_code = 500, unhealthy = { failures = 0 }",
            "unhealthy.failures",
            "out of range",
        ),
    ] {
        let text = format!("api_breaker = {{ {keys} }}\n");
        let problems = draft("", &text).map_or_else(|problems| problems, |draft| draft.problems);
        let found: Vec<_> =
            problems.iter().map(|p| (p.field.as_str(), p.message.as_str())).collect();
        let field = format!("routes[0].api_breaker.{field}");
        let same =
            found.len() == 1 && found[0].0.starts_with(&field) && found[0].1.contains(message);
        if !same {
            wrong.push(format!("{text}{found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
