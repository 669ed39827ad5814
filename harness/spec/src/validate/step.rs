//! Steps: what actions name, windows that fit into the time of the case, samples.

use std::time::Duration;

use super::{Checker, Place};
use crate::{
    Action, Spanned, Step, Window,
    fault::Fault,
    step::{OciVerb, Sample},
};

/// Names of signals, as signal(7) lists them.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

impl Checker<'_> {
    pub(super) fn step(&mut self, step: &Spanned<Step>, place: &Place<'_>) {
        self.requirements(&step.requires, &place.key("requires"));
        match &step.action {
            None => {}
            Some(Action::Start(names)) => {
                let list = place.key("start");
                if names.is_empty() && self.is_whole {
                    self.fault(Fault::new(list.extent, "`start` is empty").hint("name the workloads to start"));
                }
                for (n, name) in names.iter().enumerate() {
                    self.workload_reference(name, list.index(n).extent);
                }
            }
            Some(Action::Stop(stop)) => {
                let place = place.key("stop");
                self.started(&stop.on, place.key("on").extent);
                self.signal(stop.signal.as_deref(), &place);
                if stop.signal.is_some() && self.is_for_cluster() {
                    let fault = Fault::new(place.label("signal"), "a cluster chooses the signal");
                    self.fault(fault.hint("leave it out"));
                }
            }
            Some(Action::Exec(exec)) => {
                let place = place.key("exec");
                self.started(&exec.on, place.key("on").extent);
                self.arguments(&exec.args, &place);
                self.exec_in_pod(exec, &place);
                if let Some(cwd) = &exec.cwd {
                    self.absolute("working directory", cwd, place.key("cwd").extent);
                }
            }
            Some(Action::Signal(signal)) => {
                let place = place.key("signal");
                if !self.names.host_processes.contains(&signal.on.value) {
                    self.started(&signal.on, place.key("on").extent);
                }
                self.signal(Some(&signal.signal), &place);
            }
            Some(Action::Oci(oci)) => {
                let place = place.key("oci");
                self.workload_reference(&oci.on, place.key("on").extent);
                // Its signal is not looked at: what a runtime does with a wrong one can be the question.
                let misplaced = [
                    ("signal", oci.signal.is_some(), OciVerb::Kill),
                    ("all", oci.all, OciVerb::Kill),
                    ("force", oci.force, OciVerb::Delete),
                    ("resources", oci.resources.is_some(), OciVerb::Update),
                ];
                for (key, _, verb) in misplaced.iter().filter(|(_, given, verb)| *given && oci.op != *verb) {
                    let verb = format!("{verb:?}").to_lowercase();
                    let fault = Fault::new(place.label(key), format!("`{key}` belongs to `op: {verb}`"));
                    self.fault(fault);
                }
            }
            Some(Action::HostProcess(process)) => self.arguments(&process.args, &place.key("hostProcess")),
            Some(Action::Script(script)) if script.run.trim().is_empty() => {
                let fault = Fault::new(place.key("script").key("run").extent, "the script is empty");
                self.fault(fault.hint("leave the step out, or say what it does"));
            }
            Some(Action::Script(_)) => {}
            Some(
                action @ (Action::Delete(_)
                | Action::Apply(_)
                | Action::Patch(_)
                | Action::Scale(_)
                | Action::Evict(_)
                | Action::Cordon(_)
                | Action::Uncordon(_)
                | Action::Drain(_)
                | Action::Node(_)
                | Action::Mute(_)
                | Action::Unmute(_)),
            ) => self.cluster_action(action, place),
            Some(
                action @ (Action::Http(_) | Action::Dial(_) | Action::Resolve(_) | Action::Send(_) | Action::Reach(_)),
            ) => self.packets(action, step, place),
        }
        self.action_of_target(step, place);
        if let Some(sample) = &step.sample {
            self.sample(sample, &place.key("sample"));
        }
        self.window(step, place);
        for (n, check) in step.expect.iter().enumerate() {
            self.check(check, step, &place.key("expect").index(n));
        }
    }

    fn arguments(&mut self, args: &[String], place: &Place<'_>) {
        if args.is_empty() && self.is_whole {
            let fault = Fault::new(place.key("args").extent, "`args` is empty");
            self.fault(fault.hint("expected a program and its arguments"));
        }
    }

    fn signal(&mut self, signal: Option<&str>, place: &Place<'_>) {
        let Some(signal) = signal else { return };
        if !is_signal(signal) {
            let plain = signal.strip_prefix("SIG").unwrap_or(signal);
            let fault = Fault::new(place.key("signal").extent, format!("unknown signal `{signal}`"))
                .hint("expected a name such as `SIGTERM`, or a number");
            let fault = match crate::fault::closest(plain, SIGNALS) {
                Some(close) => fault.help(format!("did you mean `SIG{close}`?")),
                None => fault,
            };
            self.fault(fault);
        }
    }

    fn window(&mut self, step: &Step, place: &Place<'_>) {
        let (key, length_key, length, every) = match step.window {
            Window::Once => return,
            Window::Eventually { within, every } => ("eventually", "within", within, every),
            Window::Consistently { lasting, every } => ("consistently", "for", lasting, every),
        };
        let window = place.key(key);
        if length.0.is_zero() {
            let fault = Fault::new(window.key(length_key).extent, "the window is empty");
            self.fault(fault.hint("expected more than nothing"));
        }
        if every.0 < Duration::from_millis(1) {
            let fault = Fault::new(
                window.key("every").extent,
                format!("a look every {every} makes no sense"),
            );
            self.fault(fault.hint("expected at least 1ms"));
        } else if window.key("every").is_written() && every > length {
            let fault = Fault::new(
                window.key("every").extent,
                format!("`every` {every} is longer than the window"),
            );
            self.fault(fault.hint(format!("the window is {length}")));
        }
        if length.0 > self.timeout {
            let fault = Fault::new(
                window.key(length_key).extent,
                format!("a window of {length} is longer than the case may take"),
            );
            let limit = crate::Span(self.timeout);
            self.fault(
                fault
                    .hint(format!("the case has {limit}"))
                    .help("raise `timeouts.test`"),
            );
        }
        if step.expect.is_empty() && self.is_whole {
            let fault = Fault::new(place.label(key), format!("`{key}` without `expect` looks at nothing"));
            self.fault(fault.hint("leave it out, or say what must hold"));
        }
    }

    fn sample(&mut self, sample: &Sample, place: &Place<'_>) {
        self.started(&sample.on, place.key("on").extent);
        if let Some(other) = &sample.relative_to {
            self.started(other, place.key("relativeTo").extent);
        }
        if sample.count < 2 {
            let fault = Fault::new(
                place.key("count").extent,
                format!("{} samples show no spread", sample.count),
            );
            self.fault(fault.hint("expected at least 2"));
        }
        if sample.max_count.is_some_and(|most| most < sample.count) {
            let fault = Fault::new(place.key("maxCount").extent, "`maxCount` is less than `count`");
            self.fault(fault.hint(format!("expected at least {}", sample.count)));
        }
        if sample.window.0 < Duration::from_millis(1) {
            let fault = Fault::new(
                place.key("window").extent,
                format!("a window of {} makes no sense", sample.window),
            );
            self.fault(fault.hint("expected at least 1ms"));
        }
        let settle = sample.settle.unwrap_or_default().0;
        let needed = sample.window.0.saturating_mul(sample.count).saturating_add(settle);
        if needed > self.timeout {
            let shown = crate::Span(Duration::from_millis(needed.as_millis().try_into().unwrap_or(u64::MAX)));
            let fault = Fault::new(
                place.key("count").extent,
                format!("sampling takes {shown}, longer than the case may take"),
            );
            let limit = crate::Span(self.timeout);
            self.fault(
                fault
                    .hint(format!("the case has {limit}"))
                    .help("raise `timeouts.test`"),
            );
        }
    }
}

/// Whether a text is a signal: a name with or without `SIG`, `RTMIN+n`, or a number from 0 to 64.
pub(super) fn is_signal(text: &str) -> bool {
    let plain = text.strip_prefix("SIG").unwrap_or(text);
    text.contains("${")
        || SIGNALS.contains(&plain)
        || matches!(plain, "RTMIN" | "RTMAX" | "POLL" | "IOT")
        || plain
            .strip_prefix("RTMIN+")
            .or_else(|| plain.strip_prefix("RTMAX-"))
            .is_some_and(|n| n.parse::<u8>().is_ok())
        || text.parse::<u8>().is_ok_and(|number| number <= 64)
}
