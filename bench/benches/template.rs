//! Templates and log lines rendered into a reused buffer.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;

use criterion::Criterion;
use ferrule_bench::input;
use ferrule_config::Place;
use ferrule_config::model::{AccessFormat, AccessLog, LogFilter, LogTarget};
use ferrule_config::template::Variable;
use ferrule_engine::plan::Plan;
use ferrule_engine::plan::facts::{Facts, LogFacts};
use ferrule_engine::plan::template::Compiler;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut connection = input::Connection::new();
    let admission = connection.admit();
    // The last use of `rewrite` keeps the inputs one module for all benches.
    let mut out = Vec::with_capacity(4096);
    connection.rewrite(&admission, &mut out);
    let facts = connection.facts(&admission);
    for (name, variable) in [
        ("template/certificate", Variable::SslClientVerify),
        ("template/connection", Variable::RemoteAddr),
        ("template/field", Variable::Http("x_request_id".to_owned())),
    ] {
        let template = Compiler::default().compile(&input::variable(variable));
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                template.render_value(black_box(&facts), &mut out)
            });
        });
    }
    let log = LogFacts { status: 200, bytes_sent: 1234, request_ms: 3, ..LogFacts::default() };
    let facts = Facts { log: Some(&log), ..facts };
    for (name, format) in
        [("line/combined", AccessFormat::Combined), ("line/json", AccessFormat::Json)]
    {
        let mut config = input::config();
        config.log.access = Some(AccessLog {
            target: LogTarget::Stdout,
            place: Place::default(),
            format,
            format_place: Place::default(),
            filter: LogFilter::default(),
        });
        let line = Plan::build(&config).access_log.unwrap();
        let fixed = line.fixed_parts(&facts);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                line.render(black_box(&facts), Some(&fixed), &mut out);
            });
        });
    }
    criterion.final_summary();
}
