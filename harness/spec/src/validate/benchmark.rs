//! Benchmarks: points in their order, metrics that are measured, bounds in the unit of what they bound.

use super::{Checker, DEFAULT_TIMEOUT, Names, Place, expected_one_of, is_dns_label};
use crate::{
    Spanned, Target,
    benchmark::{
        Benchmark, BenchmarkDocument, Command, Counted, Disturbance, FAILURES, Figure, Generator, Load, Measure,
        Metric, OfFloor, Planted, Point, Regression, Sampling, Threshold,
    },
    edit,
    fault::Fault,
    node::Node,
    quantity::Bound,
};

/// Most samples of a case.
const MOST_SAMPLES: u32 = 100_000;

/// Checks a benchmark that was decoded from `tree`; `whole` is the tree before its faulty parts were left out.
pub(crate) fn benchmark(document: &BenchmarkDocument, tree: &Node, whole: &Node, faults: &mut Vec<Fault>) {
    let test = document.spec.as_test();
    let mut checker = Checker {
        names: Names {
            checks: thresholds(whole),
            ..Names::default()
        },
        is_whole: std::ptr::eq(tree, whole),
        timeout: test.timeouts.test.map_or(DEFAULT_TIMEOUT, |span| span.0),
        test: &test,
        faults,
    };
    let spec = Place::of(tree).key("spec");
    checker.benchmark_header(document, &Place::of(tree));
    checker.timeouts(&test, &spec);
    checker.requirements(&test.requires, &spec.key("requires"));
    checker.load(&document.spec, &spec);
    checker.measures(&document.spec, &spec.key("measure"));
    checker.sampling(&document.spec, &spec.key("sampling"));
    checker.baseline(&document.spec, &spec);
    for (n, threshold) in document.spec.thresholds.iter().enumerate() {
        checker.threshold(threshold, &document.spec, &spec.key("thresholds").index(n));
    }
    for (n, planted) in document.spec.sabotage.iter().enumerate() {
        checker.planted(planted, &document.spec, &spec.key("sabotage").index(n));
    }
    checker.waivers(&test, &spec);
    checker.unique_ids(whole.get("spec"));
}

/// Ids of the thresholds of a document.
pub(crate) fn thresholds(document: &Node) -> Vec<String> {
    let list = document.get("spec").and_then(|spec| spec.get("thresholds"));
    let ids = list.map(Node::elements).unwrap_or_default().iter();
    ids.filter_map(|threshold| Some(threshold.get("id")?.text()?.to_owned()))
        .collect()
}

/// Most containers of a burst.
const MOST_AT_ONCE: u32 = 64;

/// Most containers that run beside samples.
const MOST_BESIDE: u32 = 500;

fn names(points: &[Point]) -> String {
    let names: Vec<&str> = points.iter().map(|point| point.name()).collect();
    names.join(", ")
}

/// What can be measured of a workload, in words.
fn measurable(load: &Load) -> String {
    let mut all = Vec::new();
    if !load.points().is_empty() {
        all.push(format!("`{{from: POINT, to: POINT}}` of {}", names(load.points())));
    }
    let rates = load.rates().iter();
    all.extend(rates.map(|rate| format!("`{{rate: {}}}`", rate.name())));
    all.extend(load.has_size().then(|| "`{size: resident}`".to_owned()));
    format!("expected {}", all.join(" or "))
}

fn is_by_iperf3(load: &Load) -> bool {
    matches!(load, Load::Network(network) if network.generator == Generator::Iperf3)
}

/// Most pods that are applied for a sample.
const MOST_PODS: u32 = 100;

/// Most Services beside the one that is changed.
const MOST_SERVICES: u32 = 1000;

/// What a bound may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Rate,
    Share,
}

impl Unit {
    fn takes(self, bound: Bound) -> bool {
        matches!(
            (self, bound),
            (Self::Time, Bound::Time(_)) | (Self::Rate, Bound::Number(_)) | (Self::Share, Bound::Percent(_))
        )
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Time => "expected a duration such as `250ms`",
            Self::Rate => "expected a number such as `6800`",
            Self::Share => "expected per cent such as `0%`",
        }
    }
}

impl Checker<'_> {
    fn benchmark_header(&mut self, document: &BenchmarkDocument, tree: &Place<'_>) {
        let name = &document.metadata.name;
        if !is_dns_label(name) {
            let extent = tree.key("metadata").key("name").extent;
            let fault = Fault::new(extent, format!("`{}` is not a DNS label", name.value));
            self.fault(
                fault.hint("expected at most 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit"),
            );
        }
        let spec = tree.key("spec");
        let benchmark = &document.spec;
        if benchmark.description.trim().is_empty() {
            let fault = Fault::new(spec.key("description").extent, "`description` is empty");
            self.fault(fault.hint("say in one sentence what is measured"));
        }
        if benchmark.targets.is_empty() && self.is_whole {
            let fault = Fault::new(spec.key("targets").extent, "`targets` is empty");
            self.fault(fault.hint("expected runtime or cluster"));
        }
        for (what, is_empty) in [
            ("measure", benchmark.measure.is_empty()),
            ("thresholds", benchmark.thresholds.is_empty()),
        ] {
            if is_empty && self.is_whole {
                let fault = Fault::new(spec.label(what), format!("`{what}` is empty"));
                self.fault(fault.hint("a benchmark that accepts every figure shows nothing"));
            }
        }
    }

    fn load(&mut self, benchmark: &Benchmark, spec: &Place<'_>) {
        let place = spec.key("workload");
        let wanted = benchmark.workload.value.target();
        if let Some(workload) = self.test.workloads.get(crate::benchmark::WORKLOAD) {
            self.workload(crate::benchmark::WORKLOAD, &workload.value, &place);
        }
        if let Load::Container(container) = &benchmark.workload.value
            && container.image != "plimsoll/probe"
            && !container.image.contains("${")
        {
            let extent = place.key("container").key("image").extent;
            let fault = Fault::new(extent, format!("`{}` cannot be measured", container.image));
            self.fault(fault.hint(
                "expected `plimsoll/probe`: a sample counts only if the probe in it attests that it is isolated",
            ));
        }
        if let Load::Bundle(bundle) = &benchmark.workload.value
            && bundle.path != "bundles/probe"
        {
            let extent = place.key("bundle").key("path").extent;
            let fault = Fault::new(extent, format!("`{}` cannot be measured", bundle.path));
            self.fault(
                fault.hint(
                    "expected `bundles/probe`: a sample counts only if the probe in it attests that it is isolated",
                ),
            );
        }
        self.counts(&benchmark.workload.value, &place);
        if !benchmark.targets.iter().any(|target| target.value == wanted) && !benchmark.targets.is_empty() {
            let (what, word) = match (&benchmark.workload.value, wanted) {
                (Load::Scheduling(_), _) => ("scheduling is measured on a cluster", "cluster"),
                (_, Target::Cluster) => ("this is measured on a cluster", "cluster"),
                _ => ("containers are measured on a runtime", "runtime"),
            };
            let fault = Fault::new(spec.key("targets").extent, what);
            self.fault(fault.hint(format!("expected `{word}` among the targets")));
        }
    }

    /// How many of something a workload asks for.
    fn counts(&mut self, load: &Load, place: &Place<'_>) {
        let (keys, count, range) = match load {
            Load::Pods(pods) => (["pods", "count"], pods.count, 1..=MOST_PODS),
            Load::Service(service) => (["service", "others"], service.others, 0..=MOST_SERVICES),
            _ => return,
        };
        if !range.contains(&count) {
            let extent = place.key(keys[0]).key(keys[1]).extent;
            let fault = Fault::new(extent, format!("{count} {} make no sense", keys[1]));
            self.fault(fault.hint(format!("expected {} to {}", range.start(), range.end())));
        }
    }

    fn measures(&mut self, benchmark: &Benchmark, place: &Place<'_>) {
        let load = &benchmark.workload.value;
        for (name, measure) in &benchmark.measure {
            let label = place.label(name);
            if !is_dns_label(&name.to_ascii_lowercase()) || name == FAILURES {
                let fault = Fault::new(label, format!("`{name}` cannot name a measure"));
                self.fault(fault.hint("expected letters, digits and `-`, but not `failures`"));
            }
            let place = place.key(name);
            match &measure.value {
                Measure {
                    from: Some(from),
                    to: Some(to),
                    rate: None,
                    size: None,
                } => self.time(load, from, to, &place),
                Measure {
                    from: None,
                    to: None,
                    rate: Some(rate),
                    size: None,
                } => {
                    if !load.rates().contains(&rate.value) {
                        let message = if load.is_of_runtime() {
                            "a container that starts schedules no pods".to_owned()
                        } else {
                            format!("this workload has no rate of {}", rate.value.name())
                        };
                        self.fault(Fault::new(place.label("rate"), message).hint(measurable(load)));
                    } else if rate.value != Counted::Bits && is_by_iperf3(load) {
                        let fault = Fault::new(place.label("rate"), "iperf3 sends, and does not ask");
                        self.fault(fault.hint("expected `{rate: bits}`"));
                    }
                }
                Measure {
                    from: None,
                    to: None,
                    rate: None,
                    size: Some(_),
                } => {
                    if !load.has_size() {
                        let fault = Fault::new(place.label("size"), "this leaves nothing behind that has a size");
                        self.fault(fault.hint(measurable(load)));
                    }
                }
                Measure { .. } if self.is_whole => {
                    let fault = Fault::new(label, format!("`{name}` is not one of a time, a rate and a size"));
                    self.fault(fault.hint("expected `from` and `to`, or `rate`, or `size`"));
                }
                Measure { .. } => {}
            }
        }
    }

    fn time(&mut self, load: &Load, from: &Spanned<Point>, to: &Spanned<Point>, place: &Place<'_>) {
        let points = load.points();
        let foreign = [("from", from), ("to", to)]
            .into_iter()
            .find(|(_, point)| !points.contains(&point.value));
        if let Some((key, point)) = foreign {
            let message = format!("this workload has no point `{}`", point.value.name());
            self.fault(Fault::new(place.key(key).extent, message).hint(measurable(load)));
        } else if is_by_iperf3(load) {
            let fault = Fault::new(place.key("from").extent, "iperf3 sends, and does not ask");
            self.fault(fault.hint("expected `{rate: bits}`"));
        } else if from.value >= to.value {
            let message = format!("`{}` does not come after `{}`", to.value.name(), from.value.name());
            let fault = Fault::new(place.key("to").extent, message);
            self.fault(fault.hint(format!("the order is {}", names(points))));
        }
    }

    fn sampling(&mut self, benchmark: &Benchmark, place: &Place<'_>) {
        let sampling = &benchmark.sampling;
        if !(1..=MOST_SAMPLES).contains(&sampling.samples) {
            let extent = place.key("samples").extent;
            let fault = Fault::new(extent, format!("{} samples make no sense", sampling.samples));
            self.fault(fault.hint(format!("expected 1 to {MOST_SAMPLES}")));
        }
        let is_scheduling = matches!(benchmark.workload.value, Load::Scheduling(_));
        if is_scheduling && sampling.floors.as_ref().is_some_and(|floors| !floors.is_empty()) {
            let fault = Fault::new(place.key("floors").extent, "scheduling has no floors");
            self.fault(fault.hint("they are what the kernel takes for a container"));
        }
        self.arrival(benchmark, place);
        let seconds = sampling.max_duration.0.as_secs();
        if sampling.max_duration.0.is_zero() || seconds > 6 * 3600 {
            let extent = place.key("maxDuration").extent;
            let fault = Fault::new(extent, format!("sampling for {} makes no sense", sampling.max_duration));
            self.fault(fault.hint("expected more than nothing and at most six hours"));
        }
    }

    fn arrival(&mut self, benchmark: &Benchmark, place: &Place<'_>) {
        let Sampling {
            arrival, background, ..
        } = &benchmark.sampling;
        let load = &benchmark.workload.value;
        let is_told = arrival.burst.is_some() || arrival.every.is_some();
        if !load.is_of_runtime() && (is_told || *background > 0) {
            let message = match load {
                Load::Scheduling(_) => "scheduling starts no containers",
                _ => "a cluster is not asked to start containers",
            };
            let fault = Fault::new(place.extent, message);
            self.fault(fault.hint("`arrival` and `background` are for containers"));
        }
        let arrival_place = place.key("arrival");
        if arrival.burst.is_some_and(|burst| !(2..=MOST_AT_ONCE).contains(&burst)) {
            let fault = Fault::new(arrival_place.key("burst").extent, "this is no burst");
            self.fault(fault.hint(format!("expected 2 to {MOST_AT_ONCE}")));
        }
        if arrival.bursts.is_some() && (arrival.burst.is_none() || arrival.every.is_none()) {
            let fault = Fault::new(
                arrival_place.label("bursts"),
                "bursts of what, and how often, is not told",
            );
            self.fault(fault.hint("expected `burst` and `every` beside it"));
        }
        let is_some = arrival.bursts.is_none_or(|bursts| bursts >= 2);
        if arrival.bursts.is_some() && !(is_some && arrival.of_a_round() <= MOST_AT_ONCE) {
            let fault = Fault::new(arrival_place.key("bursts").extent, "these are no bursts of a round");
            self.fault(fault.hint(format!(
                "expected 2 or more, of {MOST_AT_ONCE} containers in all at most"
            )));
        }
        if arrival.burst.is_some() && benchmark.lives() {
            let fault = Fault::new(
                arrival_place.extent,
                "of containers beside each other neither `exec` nor sizes are measured",
            );
            self.fault(fault.hint("measure them in a benchmark of its own"));
        }
        if arrival
            .every
            .is_some_and(|every| every.0.is_zero() || every.0.as_secs() > 60)
        {
            let fault = Fault::new(arrival_place.key("every").extent, "this is no distance between samples");
            self.fault(fault.hint("expected more than nothing and at most a minute"));
        }
        if *background > MOST_BESIDE {
            let fault = Fault::new(
                place.key("background").extent,
                format!("{background} containers are too many"),
            );
            self.fault(fault.hint(format!("expected at most {MOST_BESIDE}")));
        }
    }

    fn baseline(&mut self, benchmark: &Benchmark, spec: &Place<'_>) {
        let Some(baseline) = &benchmark.baseline else { return };
        let place = spec.key("baseline");
        if baseline.file.value.is_empty() || baseline.file.value.starts_with('/') {
            let extent = place.key("file").extent;
            let fault = Fault::new(extent, format!("baseline `{}` is not relative", baseline.file.value));
            self.fault(fault.hint("expected a file relative to the spec"));
        }
        if baseline.comparable_when.is_empty() && self.is_whole {
            let fault = Fault::new(place.key("comparableWhen").extent, "`comparableWhen` is empty");
            self.fault(fault.hint("name what must be as it was then, such as cpuModel and kernel"));
        }
    }

    fn threshold(&mut self, threshold: &Threshold, benchmark: &Benchmark, place: &Place<'_>) {
        let id = &threshold.id.value;
        let is_bounded = threshold.max.is_some() || threshold.min.is_some();
        if !is_bounded && threshold.regression.is_none() && threshold.of_floor.is_none() && self.is_whole {
            let fault = Fault::new(place.label("id"), format!("threshold `{id}` accepts every figure"));
            self.fault(fault.hint("it needs `max`, `min`, `ofFloor` or `regression`"));
        }
        let unit = self.metric(threshold, benchmark, place);
        for (key, bound) in [("max", threshold.max), ("min", threshold.min)] {
            if let (Some(bound), Some(unit)) = (bound, unit)
                && !unit.takes(bound)
            {
                let message = format!("`{bound}` is no bound of `{}`", threshold.metric.value);
                self.fault(Fault::new(place.key(key).extent, message).hint(unit.wanted()));
            }
        }
        if let Some(bound) = threshold.of_floor {
            self.of_floor(bound, unit, &place.key("ofFloor"));
        }
        if let Some(Regression { rel, confidence }) = threshold.regression {
            let place = place.key("regression");
            if unit == Some(Unit::Share) {
                let fault = Fault::new(place.extent, "`failures` have no regression");
                self.fault(fault.hint("expected `max`"));
            }
            if !(0.1..=1000.0).contains(&rel.0) {
                let fault = Fault::new(place.key("rel").extent, format!("a tolerance of {rel} makes no sense"));
                self.fault(fault.hint("expected 0.1% to 1000%"));
            }
            if !(0.5..1.0).contains(&confidence) {
                let extent = place.key("confidence").extent;
                let fault = Fault::new(extent, format!("a confidence of {confidence} makes no sense"));
                self.fault(fault.hint("expected 0.5 or more and less than 1, such as 0.95"));
            }
        }
    }

    fn of_floor(&mut self, bound: OfFloor, unit: Option<Unit>, place: &Place<'_>) {
        if unit == Some(Unit::Share) {
            let fault = Fault::new(place.extent, "`failures` have no floor");
            self.fault(fault.hint("expected `max`"));
        }
        let ends = [bound.min, bound.max];
        let is_sound = |end: &f64| end.is_finite() && *end > 0.0;
        let is_empty = matches!(ends, [Some(min), Some(max)] if min > max);
        if ends.iter().flatten().count() == 0 && self.is_whole {
            let fault = Fault::new(place.extent, "`ofFloor` accepts every multiple");
            self.fault(fault.hint("it needs `max` or `min`"));
        } else if is_empty || !ends.iter().flatten().all(is_sound) {
            let fault = Fault::new(place.extent, "no figure is such a multiple of its floor");
            self.fault(fault.hint("expected numbers above 0, `min` not above `max`"));
        }
    }

    /// The unit of a threshold's metric, if that is one.
    fn metric(&mut self, threshold: &Threshold, benchmark: &Benchmark, place: &Place<'_>) -> Option<Unit> {
        let written = threshold.metric.value.as_str();
        let extent = place.key("metric").extent;
        let figures = Figure::ALL.map(|(name, _)| name);
        let Some(about) = threshold.about() else {
            let names: Vec<String> = benchmark.measure.keys().map(|name| format!("{name}.p50")).collect();
            let fault = Fault::new(extent, format!("`{written}` is no metric")).hint(format!(
                "expected MEASURE.FIGURE, with {} as FIGURE",
                figures.join(", ")
            ));
            let known = names.iter().map(String::as_str).chain([FAILURES]);
            self.fault(fault.suggest(written, known));
            return None;
        };
        let Metric::Of(name, _) = about else {
            return Some(Unit::Share);
        };
        match benchmark.measure.get(name).map(|measure| &measure.value) {
            Some(measure) if measure.rate.is_some() || measure.size.is_some() => Some(Unit::Rate),
            Some(_) => Some(Unit::Time),
            None => {
                if self.is_whole {
                    let names: Vec<String> = benchmark.measure.keys().cloned().collect();
                    let fault = Fault::new(extent, format!("nothing is measured as `{name}`"))
                        .hint(expected_one_of(&names, "the spec measures nothing"))
                        .suggest(name, names.iter().map(String::as_str));
                    self.fault(fault);
                }
                None
            }
        }
    }

    fn planted(&mut self, planted: &Planted, benchmark: &Benchmark, place: &Place<'_>) {
        let id = &planted.id.value;
        if planted.set.is_empty() && planted.unset.is_empty() && planted.inject.is_none() && self.is_whole {
            let fault = Fault::new(place.key("id").extent, format!("sabotage `{id}` changes nothing"));
            self.fault(fault.hint("it needs `set`, `unset` or `inject`"));
        }
        if planted.must_fail.is_empty() && self.is_whole {
            let fault = Fault::new(place.key("mustFail").extent, "`mustFail` is empty");
            self.fault(fault.hint("name the thresholds that must see the fault"));
        }
        self.threshold_references(&planted.must_fail, &place.key("mustFail"));
        let paths = planted.set.keys().map(|path| (path, place.key("set").label(path)));
        let unset = planted.unset.iter().enumerate();
        let unset = unset.map(|(n, path)| (&path.value, place.key("unset").index(n).extent));
        for (path, extent) in paths.chain(unset) {
            let Ok(segments) = edit::segments(path) else {
                continue;
            };
            if !segments
                .first()
                .is_some_and(|first| Planted::CHANGES.contains(&first.as_str()))
            {
                let fault = Fault::new(extent, format!("sabotage `{id}` changes `{path}`"));
                self.fault(fault.hint(format!(
                    "expected a path below {}: what is measured and what is accepted stay as they are",
                    Planted::CHANGES.join(", ")
                )));
            }
        }
        if let Some(inject) = &planted.inject {
            self.disturbance(id, inject, benchmark, &place.key("inject"));
        }
    }

    fn disturbance(&mut self, id: &str, inject: &Disturbance, benchmark: &Benchmark, place: &Place<'_>) {
        let delay = match (inject.delay, &inject.at, &inject.runtime) {
            (Some(delay), Some(_), None) => Some(delay),
            (None, None, Some(_)) => None,
            _ if self.is_whole => {
                let fault = Fault::new(place.extent, format!("sabotage `{id}` is neither a delay nor a fault"));
                return self.fault(fault.hint("expected `delay` and `at`, or `runtime`"));
            }
            _ => return,
        };
        if !benchmark.workload.value.is_of_runtime() {
            let fault = Fault::new(place.extent, format!("sabotage `{id}` is one of a runtime"));
            return self.fault(fault.hint("a cluster has none; expected `set` or `unset`"));
        }
        if let Some(at) = &inject.at
            && matches!(at.value, Command::Exec | Command::Kill)
            && !benchmark.lives()
        {
            let fault = Fault::new(place.key("at").extent, format!("`{}` is not called", at.value.name()));
            self.fault(fault.hint("it is where something of `exec`, or a size, is measured"));
        }
        let is_some = match delay {
            Some(Bound::Time(time)) => !time.0.is_zero(),
            Some(Bound::Percent(share)) => share.0 > 0.0,
            Some(Bound::Number(_)) => false,
            None => true,
        };
        if let (Some(delay), false) = (delay, is_some) {
            let fault = Fault::new(place.key("delay").extent, format!("a delay of {delay} is none"));
            self.fault(fault.hint("expected a duration such as `5ms`, or a share of the command's time such as `25%`"));
        }
    }

    fn threshold_references(&mut self, ids: &[Spanned<String>], list: &Place<'_>) {
        for (n, id) in ids.iter().enumerate() {
            if !self.names.checks.contains(&id.value) {
                let fault = Fault::new(list.index(n).extent, format!("unknown threshold `{}`", id.value))
                    .hint(expected_one_of(&self.names.checks, "the spec has no thresholds"))
                    .suggest(&id.value, self.names.checks.iter().map(String::as_str));
                self.fault(fault);
            }
        }
    }

    /// Ids that stand twice, or are no names.
    fn unique_ids(&mut self, spec: Option<&Node>) {
        for (what, key) in [("threshold", "thresholds"), ("sabotage", "sabotage")] {
            let mut seen: Vec<(&str, u32)> = Vec::new();
            let list = spec.and_then(|spec| spec.get(key));
            for element in list.map(Node::elements).unwrap_or_default() {
                let Some(node) = element.get("id") else { continue };
                let Some(id) = node.text() else { continue };
                if let Some((_, line)) = seen.iter().find(|(known, _)| *known == id) {
                    let fault = Fault::new(node.extent, format!("duplicate {what} id `{id}`"));
                    self.fault(fault.hint(format!("it stands on line {line} already")));
                } else if !is_dns_label(id) {
                    let fault = Fault::new(node.extent, format!("{what} id `{id}` is not a DNS label"));
                    self.fault(fault.hint("expected a-z, 0-9 and `-`"));
                }
                seen.push((id, node.extent.at.line));
            }
        }
    }
}
