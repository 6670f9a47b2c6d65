//! Choosing a node: 1,000 upstreams of 100 nodes, asked in a scattered order so that no state is warm by chance.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use ferrule_bench::input;
use ferrule_config::model::{BalanceMethod, NodeAddress};
use ferrule_engine::exchange::balance::{Balancer, NodeChoice, Tried};
use ferrule_engine::plan::NodePlan;
use ferrule_engine::plan::balance::BalancePlan;
use ferrule_engine::plan::template::Compiler;

const UPSTREAMS: usize = 1_000;
const NODES: u32 = 100;

fn plan(method: BalanceMethod, weight: impl Fn(u32) -> u32) -> BalancePlan {
    let mut upstream = input::upstream();
    let first = upstream.nodes.remove(0);
    for at in 0..NODES {
        let address = NodeAddress::Ip((at.to_be_bytes(), 80).into());
        let node = ferrule_config::model::Node { address, weight: weight(at), ..first.clone() };
        upstream.nodes.push(node);
    }
    upstream.balance.method = method;
    let scheme = upstream.scheme;
    let nodes: Vec<_> = upstream
        .nodes
        .iter()
        .map(|node| NodePlan::build(&node.address, node.weight, scheme))
        .collect();
    BalancePlan::build(&upstream, &nodes, &mut Compiler::default())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("balance");
    let equal = |_| 1;
    let unequal = |at| 1 + at * 37 % 101;
    for (name, plan) in [
        ("roundrobin", plan(BalanceMethod::RoundRobin, equal)),
        ("roundrobin-long-order", plan(BalanceMethod::RoundRobin, unequal)),
        ("least_conn", plan(BalanceMethod::LeastConn, unequal)),
        ("ewma", plan(BalanceMethod::Ewma, unequal)),
        ("random", plan(BalanceMethod::Random, unequal)),
        ("chash", plan(BalanceMethod::Chash, equal)),
    ] {
        let mut balancers: Vec<_> =
            (0..UPSTREAMS).map(|seed| Balancer::new(&plan, seed as u64)).collect();
        let mut at = 0_usize;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 7_919;
                let hash = Some((at as u64).wrapping_mul(2_654_435_761));
                let choice = NodeChoice { tried: &Tried::default(), hash, now: Duration::ZERO };
                black_box(balancers[at % UPSTREAMS].next(&choice))
            });
        });
    }
    group.bench_function("build-1000", |bencher| {
        let plan = plan(BalanceMethod::RoundRobin, equal);
        bencher.iter(|| (0..1_000).map(|seed| Balancer::new(&plan, seed)).collect::<Vec<_>>());
    });
    // 1,000 of them are what a reload of as many upstreams builds; 64 KB each.
    group.bench_function("ring-of-100", |bencher| {
        bencher.iter(|| plan(BalanceMethod::Chash, equal));
    });
    group.finish();
    criterion.final_summary();
}
