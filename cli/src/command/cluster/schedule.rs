//! `plimsoll cluster schedule`: one workload of kube-scheduler's own benchmark, for whoever holds a clock beside it.

use std::time::Instant;

use scheduler::perf::{Measured, Row, Shrink};
use serde_json::json;

use crate::arguments::cluster::Schedule;
use crate::error::Error;
use crate::streams::Streams;

pub(super) fn schedule(asked: &Schedule, streams: &mut Streams) -> Result<u8, Error> {
    let Some(name) = &asked.workload else {
        let lines = Row::all().iter().map(|row| {
            let size = row.size(Shrink::No);
            format!(
                "{:<34} {:>6} nodes {:>6} pods  {:>5} pods/s demanded\n",
                row.name(),
                size.nodes,
                size.pods,
                row.demanded()
            )
        });
        streams.out(&lines.collect::<String>())?;
        return Ok(0);
    };
    let Some(row) = Row::find(name) else {
        return Err(Error::NoSuchWorkload(name.clone()));
    };
    let shrink = if asked.trial || cfg!(debug_assertions) {
        Shrink::Trial
    } else {
        Shrink::No
    };
    let size = row.size(shrink);
    let start = Instant::now();
    let mut told = Ok(());
    let Measured { pods, took, attempts } = row.run(shrink, &|| start.elapsed(), &mut || {
        told = streams.out(&format!("{}\n", json!({"began": row.name(), "nodes": size.nodes})));
    });
    told?;
    let line = json!({
        "pods": pods,
        "wanted": size.pods,
        "demanded": row.demanded(),
        "attempts": attempts,
        "seconds": took.as_secs_f64(),
    });
    streams.out(&format!("{line}\n"))?;
    Ok(0)
}
