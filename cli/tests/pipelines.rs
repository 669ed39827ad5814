//! The pipelines for users in `ci/pipelines`: each is what its system takes, as far as that can be seen without one, and the
//! very commands in it run.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use spec::node::{self, Node};

const SPEC: &str = "
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: quick, labels: {area: lifecycle}}
spec:
  description: A container runs.
  targets: [runtime]
  timeouts: {test: 20s, step: 5s, teardown: 5s}
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, \"60\"], hostname: own}}
  steps:
  - start: [app]
    eventually: {within: 3s}
    expect:
    - {id: runs, on: app, state: running}
  - eventually: {within: 200ms}
    expect:
    - {id: its-name, on: app, report: {hostname: NAME}}
";

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/pipelines")
}

fn text(name: &str) -> String {
    fs::read_to_string(pipelines().join(name)).unwrap()
}

/// The document of a file.
fn yaml(name: &str) -> Value {
    let parsed = node::parse(&text(name));
    assert!(parsed.faults.is_empty(), "{name}: {:?}", parsed.faults);
    let [document] = parsed.documents.as_slice() else {
        panic!("{name} has {} documents", parsed.documents.len());
    };
    json(document)
}

fn json(node: &Node) -> Value {
    match &node.value {
        node::Value::Null => Value::Null,
        node::Value::Bool(yes) => (*yes).into(),
        node::Value::Integer(number) => (*number).into(),
        node::Value::Float(number) => (*number).into(),
        node::Value::Text(text) => text.as_str().into(),
        node::Value::List(list) => list.iter().map(json).collect(),
        node::Value::Map(map) => {
            let entries = map.iter().map(|entry| (entry.key.clone(), json(&entry.node)));
            Value::Object(entries.collect())
        }
    }
}

/// What stands between two marks, each time: `parts("a(b)c(d)", "(", ")")` are b and d.
fn parts<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(open) {
        let Some((inside, after)) = behind.split_once(close) else {
            break;
        };
        found.push(inside.trim());
        rest = after;
    }
    found
}

/// A place where a pipeline runs: with a spec that passes or one that fails.
struct Place(tempfile::TempDir);

impl Place {
    fn with(name: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("specs")).unwrap();
        fs::write(place.path("specs/quick.yaml"), SPEC.replace("NAME", name)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs a script as the pipeline does, and answers its exit code and output.
    fn run(&self, shell: &str, script: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let file = self.path("script");
        fs::write(&file, script).unwrap();
        let Output { status, stdout, stderr } = Command::new(shell)
            .arg(&file)
            .current_dir(self.0.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
        (status.code(), told)
    }

    /// Every one of these is there, and no empty file.
    fn has(&self, reports: &[&str]) {
        for name in reports {
            assert!(!self.read(name).is_empty(), "{name}");
        }
        let page = reports.iter().find(|name| name.ends_with(".html")).unwrap();
        assert!(self.read(page).ends_with("</html>\n"));
    }
}

/// Whether a container can be run here.
fn can_run() -> bool {
    let place = Place::with("own");
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["run", "specs"])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    if output.status.code() == Some(0) {
        return true;
    }
    eprintln!(
        "skipped: a container cannot be run here: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(!rustix::process::geteuid().is_root(), "root can");
    false
}

fn plimsoll() -> &'static str {
    env!("CARGO_BIN_EXE_plimsoll")
}

/// The shell finds no fault in a script.
fn is_shell(shell: &str, script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    fs::write(&file, script).unwrap();
    let output = Command::new(shell).arg("-n").arg(&file).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{script}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn texts<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|one| one[key].as_str().unwrap())
        .collect()
}

/// The step of the action by its name.
fn action_script(name: &str) -> String {
    let action = yaml("github/action.yml");
    let steps = action["runs"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

#[test]
fn the_action_of_github_refers_to_what_it_has() {
    let action = yaml("github/action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let inputs = action["inputs"].as_object().unwrap();
    for (name, input) in inputs {
        assert!(
            input["description"].is_string() && input["default"].is_string(),
            "{name}"
        );
    }
    let steps = action["runs"]["steps"].as_array().unwrap();
    let ids: Vec<&str> = steps.iter().filter_map(|step| step["id"].as_str()).collect();
    for expression in parts(&text("github/action.yml"), "${{", "}}") {
        let mut words = expression.split('.');
        match (words.next().unwrap(), words.next().unwrap()) {
            ("inputs", name) => assert!(inputs.contains_key(name), "{expression}"),
            ("steps", id) => assert!(ids.contains(&id), "{expression}"),
            ("runner", name) => assert!(["os", "arch", "temp"].contains(&name), "{expression}"),
            ("github", name) => assert!(
                ["action_path", "job", "run_id", "run_attempt"].contains(&name),
                "{expression}"
            ),
            other => panic!("{other:?}"),
        }
    }
    for step in steps {
        match (step["run"].as_str(), step["uses"].as_str()) {
            (Some(script), None) => {
                assert_eq!(step["shell"], "bash", "{step}");
                // An input in a script would be shell.
                assert!(!script.contains("${{"), "{script}");
                is_shell("bash", script);
            }
            (None, Some(uses)) => assert!(uses.starts_with("actions/") && uses.contains("@v"), "{uses}"),
            _ => panic!("neither run nor uses: {step}"),
        }
    }
    let workflow = yaml("github/workflow.yml");
    let used = &workflow["jobs"]["plimsoll"]["steps"][1];
    assert_eq!(used["uses"], "OWNER/plimsoll/ci/pipelines/github@REVISION");
    for name in used["with"].as_object().unwrap().keys() {
        assert!(inputs.contains_key(name), "{name}");
    }
}

#[test]
fn the_action_of_github_runs_and_tells() {
    if !can_run() {
        return;
    }
    let script = action_script("Run the specs");
    for (name, code) in [("own", 0), ("other", 1)] {
        let place = Place::with(name);
        let [summary, output, reports] = ["summary", "output", "reports"].map(|name| place.path(name));
        let environment = [
            ("PLIMSOLL", plimsoll()),
            ("SPECS", "specs"),
            ("ARGUMENTS", "--jobs\n1\n"),
            ("ROOT", "true"),
            ("REPORTS", reports.to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
        ];
        let (ended, told) = place.run("bash", &script, &environment);
        assert_eq!(ended, Some(code), "{told}");
        place.has(&[
            "reports/report.html",
            "reports/junit.xml",
            "reports/report.sarif",
            "reports/report.md",
            "reports/run.json",
        ]);
        let outputs = place.read("output");
        assert!(outputs.contains(&format!("exit-code={code}\n")), "{outputs}");
        assert!(place.read("summary").contains("### Plimsoll: "), "{told}");
        let annotations = told.matches("::error file=specs/quick.yaml,line=").count();
        assert_eq!(annotations, usize::try_from(code).unwrap(), "{told}");
        // The table stands where the runner takes no commands.
        let table = told
            .find("its-name")
            .unwrap_or_else(|| told.find("quick@bundled").unwrap());
        let token = parts(&told, "::stop-commands::", "\n")[0];
        assert!(
            token.len() == 32 && table < told.find(&format!("::{token}::")).unwrap(),
            "{told}"
        );
    }
}

#[test]
fn the_action_of_github_names_the_program_by_its_source() {
    let place = Place::with("own");
    let script = action_script("Name the program");
    let output = place.path("output");
    let named = |source: &Path, executable: &str| {
        fs::write(&output, "").unwrap();
        let environment = [
            ("EXECUTABLE", executable),
            ("SOURCE", source.to_str().unwrap()),
            ("FOLDER", "/f"),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
        ];
        let (code, told) = place.run("bash", &script, &environment);
        assert_eq!(code, Some(0), "{told}");
        place.read("output")
    };
    assert_eq!(named(place.0.path(), "/bin/it"), "path=/bin/it\n");
    let source = place.path("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("a.rs"), "1").unwrap();
    let first = named(&source, "");
    fs::write(source.join("notes.md"), "1").unwrap();
    assert_eq!(named(&source, ""), first);
    fs::write(source.join("a.rs"), "2").unwrap();
    let second = named(&source, "");
    assert!(
        second != first && second.starts_with("path=/f/plimsoll\nhash="),
        "{second}"
    );
}

#[test]
fn the_job_of_gitlab_runs_and_has_what_it_keeps() {
    let all = yaml("gitlab/plimsoll.yml");
    let job = &all[".plimsoll"];
    assert_eq!(all["plimsoll"]["extends"], ".plimsoll");
    let [script] = job["script"].as_array().unwrap().as_slice() else {
        panic!("one script");
    };
    let script = script.as_str().unwrap();
    is_shell("sh", script);
    let kept = job["artifacts"]["reports"].as_object().unwrap();
    assert!(kept.contains_key("junit") && kept.contains_key("metrics"));
    if !can_run() {
        return;
    }
    for (name, code) in [("own", 0), ("other", 1)] {
        let place = Place::with(name);
        let mut environment: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in job["variables"].as_object().unwrap() {
            environment.insert(name, value.as_str().unwrap());
        }
        environment.insert("PLIMSOLL", plimsoll());
        let environment: Vec<_> = environment.into_iter().collect();
        let (ended, told) = place.run("sh", script, &environment);
        assert_eq!(ended, Some(code), "{told}");
        place.has(&["plimsoll-reports/report.html"]);
        for file in kept.values() {
            place.has(&[file.as_str().unwrap(), "plimsoll-reports/report.html"]);
        }
    }
}

#[test]
fn the_task_of_tekton_runs_and_answers() {
    let task = yaml("tekton/task.yaml");
    assert_eq!(
        (&task["apiVersion"], &task["kind"]),
        (&"tekton.dev/v1".into(), &"Task".into())
    );
    let parameters = texts(&task["spec"]["params"], "name");
    let step = &task["spec"]["steps"][0];
    let script = step["script"].as_str().unwrap();
    assert!(
        script.starts_with("#!/bin/sh\n") && !script.contains("$(params"),
        "{script}"
    );
    is_shell("sh", script);
    for reference in parts(&text("tekton/task.yaml"), "$(params.", ")") {
        assert!(parameters.contains(&reference), "{reference}");
    }
    assert_eq!(texts(&task["spec"]["results"], "name"), ["exit-code"]);
    assert_eq!(
        texts(&step["env"], "name"),
        ["PLIMSOLL", "SPECS", "ARGUMENTS", "EXIT_CODE"]
    );
    if !can_run() {
        return;
    }
    for (name, code) in [("own", 0), ("other", 1)] {
        let place = Place::with(name);
        let result = place.path("result");
        let environment = [
            ("PLIMSOLL", plimsoll()),
            ("SPECS", "specs"),
            ("ARGUMENTS", ""),
            ("EXIT_CODE", result.to_str().unwrap()),
        ];
        let (ended, told) = place.run("sh", script, &environment);
        assert_eq!(ended, Some(code), "{told}");
        assert_eq!(place.read("result"), code.to_string());
        place.has(&["plimsoll-reports/report.html", "plimsoll-reports/report.md"]);
    }
}

#[test]
fn the_template_of_argo_runs() {
    let template = yaml("argo/workflow-template.yaml");
    assert_eq!(template["kind"], "WorkflowTemplate");
    let [template] = template["spec"]["templates"].as_array().unwrap().as_slice() else {
        panic!("one template");
    };
    let parameters = texts(&template["inputs"]["parameters"], "name");
    for reference in parts(&text("argo/workflow-template.yaml"), "{{inputs.parameters.", "}}") {
        assert!(parameters.contains(&reference), "{reference}");
    }
    let script = template["script"]["source"].as_str().unwrap();
    assert!(!script.contains("{{"), "{script}");
    is_shell("sh", script);
    let folder = template["outputs"]["artifacts"][0]["path"].as_str().unwrap();
    let below = folder
        .strip_prefix(template["script"]["workingDir"].as_str().unwrap())
        .unwrap();
    if !can_run() {
        return;
    }
    let place = Place::with("other");
    let environment = [("PLIMSOLL", plimsoll()), ("SPECS", "specs"), ("ARGUMENTS", "")];
    let (ended, told) = place.run("sh", script, &environment);
    assert_eq!(ended, Some(1), "{told}");
    place.has(&[&format!("{}/report.html", below.trim_start_matches('/'))]);
}

/// The unit with places that exist in a test.
fn unit(name: &str, place: &Place) -> String {
    text(&format!("systemd/{name}"))
        .replace("/usr/local/bin/plimsoll", plimsoll())
        .replace("/usr/local/share/plimsoll/specs", place.path("specs").to_str().unwrap())
        .replace(
            "/var/lib/prometheus/node-exporter",
            place.path("collector").to_str().unwrap(),
        )
        .replace("/var/lib/plimsoll", place.path("state").to_str().unwrap())
}

#[test]
fn systemd_takes_the_units() {
    let known = Command::new("systemd-analyze").arg("--version").output();
    if !known.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    }
    let place = Place::with("own");
    for name in ["plimsoll.service", "plimsoll.timer"] {
        fs::write(place.path(name), unit(name, &place)).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "./plimsoll.service", "./plimsoll.timer"])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // What it does not know it ignores, and says so.
    assert!(output.status.success() && !told.contains("plimsoll"), "{told}");
}

#[test]
fn the_service_runs_and_leaves_metrics() {
    let place = Place::with("other");
    let service = unit("plimsoll.service", &place);
    let value = |key: &str| -> Vec<&str> {
        let lines = service
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.collect()
    };
    let [command] = value("ExecStart")[..] else {
        panic!("one command: {service}");
    };
    let environment: Vec<(&str, &str)> = value("Environment")
        .iter()
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    if !can_run() {
        return;
    }
    for folder in ["state", "collector"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    let (ended, told) = place.run("sh", &format!("cd state\nexec {command}\n"), &environment);
    assert_eq!(ended, Some(1), "{told}");
    let metrics = place.read("collector/plimsoll.prom");
    assert!(metrics.contains("\nplimsoll_run_exit_code 1\n"), "{metrics}");
    place.has(&["state/report.html", "state/run.json"]);
    assert!(place.path("state/runs/0001/run.jsonl").is_file());
    assert!(place.path("state/history.db").is_file());
    // The rule by which records go names the folder where they are.
    let rule = unit("plimsoll.conf", &place);
    let rule = rule.lines().find(|line| !line.starts_with('#')).unwrap();
    let words: Vec<&str> = rule.split_whitespace().collect();
    assert_eq!(words[0], "e");
    assert!(Path::new(words[1]).is_dir(), "{rule}");
}
