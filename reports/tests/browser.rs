//! The page in a real browser, headless, if there is one: its own script runs under its own policy, and filters.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reports::{Format, Look, Run, render};
use serde_json::Value;

const NAMES: [&str; 5] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let found = all.find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: none of {} is on the path", NAMES.join(", "));
    }
    found
}

/// A page on disk, with a profile of the browser's own beside it.
struct Opened {
    folder: PathBuf,
}

impl Opened {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    /// What the page looks like when its scripts have run.
    fn document(&self, browser: &Path, page: &str) -> String {
        let file = self.folder.join("page.html");
        fs::write(&file, page).unwrap();
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--disable-background-networking",
                "--no-first-run",
                "--virtual-time-budget=5000",
            ])
            .arg(format!("--user-data-dir={}", self.folder.join("profile").display()))
            .arg("--dump-dom")
            .arg(format!("file://{}", file.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let document = String::from_utf8(output.stdout).unwrap();
        assert!(
            document.contains("</html>"),
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        document
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Somebody else's folder, and nothing rests on it.
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

fn fixture() -> Vec<record::Event> {
    let text = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/page.jsonl")).unwrap();
    record::read(text.as_slice()).unwrap()
}

#[test]
fn the_script_runs_under_the_policy_of_the_page() {
    let Some(browser) = browser() else { return };
    let events = fixture();
    let page = render(Format::Html, &events, &Look::default()).unwrap();
    let checks = Run::of(&events).unwrap().outcomes().count();
    let document = Opened::new("policy").document(&browser, &page);
    // The form is hidden until the script shows it, and only the script counts.
    assert!(
        document.contains(&format!("{checks} of {checks} checks</output>")),
        "{document}"
    );
    assert_eq!(document.matches("<script").count(), 1);
    assert_eq!(document.matches("<img").count(), 0);
    assert_eq!(document.matches("<li class=\"check ").count(), checks);
}

#[test]
fn filters_show_what_was_asked_for() {
    let Some(browser) = browser() else { return };
    let events = fixture();
    let run = Run::of(&events).unwrap();
    let page = render(Format::Html, &events, &Look::default()).unwrap();
    // The policy forbids the script that drives the page, as it should.
    let policy = page.find("<meta http-equiv").unwrap();
    let end = policy + page[policy..].find('>').unwrap() + 1;
    let driven = format!("{}{}", &page[..policy], &page[end..]).replace(
        "</body>",
        r#"<pre id="result"></pre><script>
        const form = document.getElementById("filter");
        const shown = () => Array.from(document.querySelectorAll(".case:not([hidden]) .check:not([hidden])"))
            .map((check) => check.closest(".case").querySelector(".name").textContent + " " + check.querySelector(".name").textContent);
        const asked = (change) => {
            form.reset();
            change(form.elements);
            form.dispatchEvent(new Event("input", {bubbles: true}));
            return shown();
        };
        const result = {
            all: asked(() => {}),
            failed: asked((elements) => elements.word.forEach((box) => { box.checked = box.value === "FAIL"; })),
            policy: asked((elements) => { elements.area.value = "policy"; }),
            runc: asked((elements) => { elements.subject.value = "runc"; }),
            text: asked((elements) => { elements.text.value = "PID-isolation nothing"; }),
            two: asked((elements) => { elements.text.value = "quota Throttled"; }),
        };
        form.elements.shut.click();
        result.open = document.querySelectorAll(".case[open]").length;
        document.getElementById("result").textContent = JSON.stringify(result);
        </script></body>"#,
    );
    let document = Opened::new("filters").document(&browser, &driven);
    let result = document.split("<pre id=\"result\">").nth(1).unwrap();
    let result = result.split("</pre>").next().unwrap();
    let result: Value = serde_json::from_str(&result.replace("&gt;", ">").replace("&amp;", "&")).unwrap();
    let wanted = |wanted: &dyn Fn(&reports::Case<'_>, &reports::Outcome<'_>) -> bool| -> Value {
        let all = run.outcomes().filter(|(case, outcome)| wanted(case, outcome));
        all.map(|(case, outcome)| Value::from(format!("{} {}", case.header.id, outcome.id)))
            .collect()
    };
    assert_eq!(result["all"], wanted(&|_, _| true));
    assert_eq!(result["failed"], wanted(&|_, outcome| outcome.word().text() == "FAIL"));
    assert_eq!(result["policy"], wanted(&|case, _| case.area() == "policy"));
    assert_eq!(result["runc"], wanted(&|case, _| case.header.subject == "runc"));
    assert_eq!(result["text"], Value::Array(Vec::new()));
    assert_eq!(result["two"], wanted(&|_, outcome| outcome.id == "throttled"));
    // Closing closes what is shown: one case, and those that failed stay open.
    let red = run
        .cases
        .iter()
        .filter(|case| case.outcomes.iter().any(|outcome| run.is_red(outcome)));
    let closed = usize::from(run.cases.iter().any(|case| {
        case.outcomes.iter().any(|outcome| outcome.id == "throttled") && case.outcomes.iter().any(|o| run.is_red(o))
    }));
    assert_eq!(result["open"], red.count() - closed);
}
