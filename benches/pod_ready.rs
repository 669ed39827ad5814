//! `cargo bench -p benches --bench pod_ready`: how long a pod takes from the request that creates it to the moment at which
//! a client reads that it is `Ready`, its image being there. One pod at a time, on a cluster of three nodes.
//!
//! Needs root. `PLIMSOLL` names the executable if it is not the release build beside this bench; `PLIMSOLL_BENCH_ROUNDS` is
//! how many pods there are (200).
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::executable::plimsoll;
use criterion::{Criterion, SamplingMode};
use harness::wait::{self, Waited};
use kubernetes::Client;
use serde_json::{Value, json};

/// The aim for the slowest of a hundred.
const AIM: Duration = Duration::from_millis(100);
/// From look to look. The client reads and does not watch, so that what is told late is late here, too.
const EVERY: Duration = Duration::from_millis(1);
/// How long a pod may take at all.
const PATIENCE: Duration = Duration::from_secs(10);
const PODS: &str = "/api/v1/namespaces/default/pods";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    if asked("--list") {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: pod_ready needs root: nodes run pods");
        return Ok(());
    }
    let trial = asked("--test") || !asked("--bench");
    let rounds: usize = match std::env::var("PLIMSOLL_BENCH_ROUNDS") {
        _ if trial => 2,
        Ok(rounds) => rounds.parse()?,
        Err(_) => 200,
    };
    let program = plimsoll()?;
    if trial && !program.exists() {
        println!("skipped: `{}` is not built", program.display());
        return Ok(());
    }
    let place = Path::new("/tmp").join(format!("plimsoll-pod-ready-{}", std::process::id()));
    fs_err::create_dir(&place)?;
    let cluster = |words: &[&str]| -> Result<(), Box<dyn Error>> {
        let mut command = Command::new(&program);
        command.arg("--state").arg(&place).arg("cluster").args(words);
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        ended
            .success()
            .then_some(())
            .ok_or_else(|| format!("cluster {words:?}: {ended}").into())
    };
    let samples = cluster(&["up"]).and_then(|()| {
        let samples = measure(&place.join("clusters/default/kubeconfig"), rounds);
        cluster(&["down"]).and(samples)
    });
    fs_err::remove_dir_all(&place)?;
    tell(samples?, trial);
    Ok(())
}

fn measure(kubeconfig: &Path, rounds: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let client = Client::open(kubeconfig, None, PATIENCE)?;
    let mut samples = Vec::with_capacity(rounds);
    // The first ones fill caches of the client and the nodes.
    for round in 0..rounds + 3 {
        let name = format!("pod-{round}");
        let container = json!({"name": "c", "image": "plimsoll/probe", "command": ["sleep", "300"]});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        });
        let path = format!("{PODS}/{name}");
        let began = Instant::now();
        client.post(PODS, &pod)?;
        wait(&client, &path, |pod| pod.is_some_and(is_ready))?;
        let took = began.elapsed();
        client.delete(&path, &json!({"gracePeriodSeconds": 0}))?;
        wait(&client, &path, |pod| pod.is_none())?;
        if round >= 3 {
            samples.push(took);
        }
    }
    Ok(samples)
}

fn wait(client: &Client, path: &str, holds: impl Fn(Option<&Value>) -> bool) -> Result<(), Box<dyn Error>> {
    let waited = wait::until(PATIENCE, EVERY, || match client.find(path) {
        Ok(found) if holds(found.as_ref()) => Ok(Ok(())),
        Ok(_) => Err("it is not as it should be"),
        Err(error) => Ok(Err(error)),
    });
    match waited {
        Waited::Done(done) => Ok(done?),
        Waited::TimedOut { elapsed, last } => Err(format!("{path} after {elapsed:?}: {last}").into()),
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.is_some_and(|all| all.iter().any(ready))
}

fn tell(mut samples: Vec<Duration>, trial: bool) {
    samples.sort();
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
    let of = |share: f64| format!("{:.1} ms", at(share).as_secs_f64() * 1000.0);
    println!(
        "{} pods: p50 {}, p90 {}, p99 {}, worst {}; aim for p99: {:?}{}",
        samples.len(),
        of(0.5),
        of(0.9),
        of(0.99),
        of(1.0),
        AIM,
        if trial { ", not judged by a trial" } else { "" }
    );
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("pod");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(samples.len().max(10));
    group
        .warm_up_time(Duration::from_nanos(1))
        .measurement_time(Duration::from_millis(1));
    let mut next = samples.iter().cycle();
    group.bench_function("apply to Ready", |bencher| {
        bencher.iter_custom(|many| {
            next.next()
                .map_or(Duration::ZERO, |took| *took * u32::try_from(many).unwrap_or(1))
        });
    });
    group.finish();
    criterion.final_summary();
}
