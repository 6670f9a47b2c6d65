//! An outcome for machines.

use serde_json::{Value, json};

use super::outcome::Outcome;

impl Outcome {
    /// All of it, latencies in microseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let times = &self.latency;
        let curve: Vec<Value> =
            times.curve().map(|(percent, us)| json!({ "percent": percent, "us": us })).collect();
        json!({
            "requests": self.answered,
            "errors": self.failures(),
            "errors_by_kind": self.failed,
            "connections": self.connections,
            "full_handshakes": self.full,
            "resumed_handshakes": self.resumed,
            "held": self.held,
            "alive": self.alive,
            "seconds": self.elapsed.as_secs_f64(),
            "bytes": self.bytes,
            "latency_us": {
                "p50": times.at(5_000),
                "p90": times.at(9_000),
                "p99": times.at(9_900),
                "p999": times.at(9_990),
                "max": times.max(),
            },
            "percentiles": curve,
        })
    }
}
