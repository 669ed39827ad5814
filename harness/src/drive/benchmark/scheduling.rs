//! One run of a scheduling workload: pods onto simulated nodes, by the scheduler of the bundled cluster in a process of its
//! own. It says when it begins and when it has ended, and the harness reads the clock then. Who hears of the beginning late
//! would find the scheduler faster than it was: if the process itself tells a longer time, that one counts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use record::bench::Sample;
use serde_json::Value;
use spec::benchmark::Scheduling as Load;

use super::Sampler;
use crate::guard::Job;
use crate::wait;

/// Most time for one run, unless the spec tells.
const BOUND: Duration = Duration::from_secs(600);

/// A workload that is run again and again.
pub(super) struct Scheduling {
    program: String,
    words: Vec<String>,
    within: Duration,
}

impl Scheduling {
    /// The command line: that of the cluster, with another verb.
    ///
    /// # Errors
    /// A sentence, if the subject is no cluster of this program.
    pub(super) fn prepare(job: &Job, load: &Load) -> Result<Self, String> {
        match job.subject.argv.as_slice() {
            [program, verb, serve] if verb == "cluster" && serve == "serve" => Ok(Self {
                program: program.clone(),
                words: vec![verb.clone(), "schedule".into(), load.workload.clone()],
                within: job.case.spec.timeouts.step.map_or(BOUND, |step| step.0),
            }),
            other => Err(format!("`{}` has no scheduler of its own to measure", other.join(" "))),
        }
    }

    fn run(&self, sample: &mut Sample) -> Result<(), String> {
        let called = format!("{} {}", self.program, self.words.join(" "));
        let failed = |error: io::Error| format!("failed to run `{called}`: {error}");
        let mut child = Command::new(&self.program)
            .args(&self.words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let told = self.listen(&mut child, sample);
        // Whoever was heard to the end is ending; whoever was not must not run beside the next sample.
        if told.is_err() {
            let _gone = child.kill();
        }
        let output = child.wait_with_output().map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stderr);
        match told {
            Ok(()) if output.status.success() => Ok(()),
            Ok(()) => Err(format!("`{called}` ended with {}: {}", output.status, said.trim())),
            Err(why) => Err(format!("`{called}` {why}: {}", said.trim())),
        }
    }

    fn listen(&self, child: &mut Child, sample: &mut Sample) -> Result<(), String> {
        let stdout = child.stdout.take().ok_or("has no standard output")?;
        let mut lines = Lines {
            from: stdout.into(),
            rest: Vec::new(),
            within: self.within,
            until: Instant::now() + self.within,
        };
        let (began, line) = lines.next()?;
        if line["began"].is_null() {
            return Err(format!("said `{line}` before it began"));
        }
        let (ended, line) = lines.next()?;
        let number = |name: &str| {
            let number = line[name].as_f64().filter(|number| *number > 0.0);
            number.ok_or_else(|| format!("did not say how many {name} there were: `{line}`"))
        };
        let (placed, wanted, demanded) = (number("pods")?, number("wanted")?, number("demanded")?);
        let told = number("seconds")?;
        if placed < wanted {
            return Err(format!("placed {placed} of {wanted} pods"));
        }
        let heard = ended.duration_since(began).as_secs_f64();
        let rate = placed / heard.max(told);
        sample.rates.insert("pods".into(), rate);
        sample.rates.insert("gates".into(), rate / demanded);
        Ok(())
    }
}

impl Sampler for Scheduling {
    fn take(&mut self) -> Sample {
        let mut sample = Sample::default();
        sample.failure = self.run(&mut sample).err();
        sample
    }
}

/// Lines of JSON, each with the moment at which it could be read.
struct Lines {
    from: OwnedFd,
    rest: Vec<u8>,
    within: Duration,
    until: Instant,
}

impl Lines {
    fn next(&mut self) -> Result<(Instant, Value), String> {
        let mut part = [0; 1024];
        let mut at = Instant::now();
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let value = serde_json::from_slice(&line);
                return Ok((
                    at,
                    value.map_err(|error| format!("said something that is no JSON: {error}"))?,
                ));
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if !wait::readable(&[self.from.as_fd()], Some(left))[0] && left.is_zero() {
                return Err(format!("did not end within {:?}", self.within));
            }
            at = Instant::now();
            match rustix::io::read(&self.from, &mut part) {
                Ok(0) => return Err("ended early".into()),
                Ok(count) => self.rest.extend_from_slice(&part[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("cannot be heard: {error}")),
            }
        }
    }
}
