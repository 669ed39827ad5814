//! How far a run is: a bar on a terminal, a line for each case elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use record::{Event, Verdict};

use crate::streams::Streams;

/// Tells on standard error what becomes of cases.
pub(crate) struct Progress {
    total: usize,
    done: usize,
    /// Worst verdict of each case that runs.
    running: BTreeMap<String, (u8, &'static str, bool)>,
    /// Those of them that are broken on purpose.
    broken: BTreeSet<String>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: usize, streams: &Streams) -> Self {
        let bar = streams.err_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            // A template of our own text: it parses.
            if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {pos}/{len} {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self {
            total,
            done: 0,
            running: BTreeMap::new(),
            broken: BTreeSet::new(),
            bar,
        }
    }

    pub(crate) fn tell(&mut self, event: &Event, streams: &mut Streams) {
        match event {
            Event::Case(header) => {
                if header.attempt > 1 {
                    self.total += 1;
                    if let Some(bar) = &self.bar {
                        bar.set_length(self.total as u64);
                    }
                }
                self.running.insert(header.id.clone(), (0, "pass", false));
                if header.broken_on_purpose() {
                    self.broken.insert(header.id.clone());
                }
                self.redraw();
            }
            Event::Verdict {
                case, verdict, known, ..
            } => {
                if let Some(worst) = self.running.get_mut(case) {
                    let (rank, word) = match (verdict, known) {
                        (Verdict::Fail { .. }, Some(_)) => (1, "known"),
                        (Verdict::Pass { .. }, Some(_)) => (3, "unexpected pass"),
                        _ => (verdict.rank(), verdict.word()),
                    };
                    worst.2 |= matches!(verdict, Verdict::Pass { .. });
                    if rank > worst.0 {
                        (worst.0, worst.1) = (rank, word);
                    }
                }
            }
            Event::CaseEnd { case, took, .. } => {
                let (rank, word, passed) = self.running.remove(case).unwrap_or((4, "error", false));
                // Skips among passes do not make a case skipped.
                let word = if word == "skip" && passed { "pass" } else { word };
                let (rank, word) = match (self.broken.remove(case), rank) {
                    (true, 3) => (0, "caught"),
                    (true, 0 | 1) => (0, "survived"),
                    _ => (rank, word),
                };
                self.done += 1;
                let line = format!("{}/{} {word:<12} {case} {took:.0}ms", self.done, self.total);
                match &self.bar {
                    Some(bar) => {
                        bar.set_position(self.done as u64);
                        if rank > 1 {
                            bar.println(line);
                        }
                        self.redraw();
                    }
                    None => streams.err(&line),
                }
            }
            Event::Run { .. }
            | Event::Spec { .. }
            | Event::Step { .. }
            | Event::Act { .. }
            | Event::Look { .. }
            | Event::Broken { .. }
            | Event::Unmet { .. }
            | Event::Evidence { .. }
            | Event::Proof(_)
            | Event::ProofScore(_)
            | Event::Drift(_)
            | Event::Vanished(_)
            | Event::Setting(_)
            | Event::Baseline(_)
            | Event::Sample(_)
            | Event::Floor(_)
            | Event::Figures(_)
            | Event::RunEnd { .. } => {}
        }
    }

    /// Takes the bar away, so that the report stands alone.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn redraw(&self) {
        if let Some(bar) = &self.bar {
            let names: Vec<&str> = self.running.keys().map(String::as_str).collect();
            bar.set_message(names.join(", "));
            bar.tick();
        }
    }
}
