//! What a container wrote is shown, and never works: not as markup, not as a command, not as a label.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use record::{Event, Verdict};
use reports::{CompareFormat, Format, Look, render};
use serde_json::Value;

/// A text that breaks out of each format if it is not escaped for it.
const EVIL: &str = "</script></pre></details><script>alert(1)</script> \"'><img src=x onerror=alert(2)> &lt; ]]> --> \
    \x1b[31m\0\r \u{202e} @everyone ```````\n::error::forged\n%0A::warning::forged too | `x` \\\" } 1\nforged 1";

/// Fields that somebody else fills: a container, a runtime, a kernel, or who wrote the spec.
const STRANGERS: [&str; 38] = [
    "area",
    "argv",
    "at",
    "because",
    "check",
    "cpu",
    "cpus",
    "description",
    "fault",
    "file",
    "from",
    "got",
    "host",
    "kernel",
    "known",
    "last",
    "message",
    "more",
    "name",
    "node",
    "outcome",
    "phase",
    "plimsoll",
    "plugin",
    "reason",
    "requirement",
    "seen",
    "stderr",
    "stdout",
    "subject",
    "test",
    "text",
    "to",
    "unit",
    "version",
    "want",
    "what",
    "why",
];

/// A record in which strangers wrote every text that strangers can write, ids of cases and checks among them.
fn hostile() -> Vec<Event> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/page.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cases = lines.iter().filter(|line| line["event"] == "case");
    let ids: Vec<String> = cases.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    let events = lines.into_iter().map(|mut line| {
        if line["event"] == "case" {
            for check in line["checks"].as_array_mut().unwrap() {
                let id = format!("{}{EVIL}", check["id"].as_str().unwrap());
                check["id"] = id.into();
            }
        }
        if line["event"] == "look" {
            let seen = std::mem::take(line["seen"].as_object_mut().unwrap());
            line["seen"] = seen
                .into_iter()
                .map(|(check, seen)| (format!("{check}{EVIL}"), seen))
                .collect();
        }
        spoil(&mut line, "", &ids);
        serde_json::from_value(line).unwrap()
    });
    let events: Vec<Event> = events.collect();
    let failures = events.iter().filter(|event| match event {
        Event::Verdict {
            verdict: Verdict::Fail { got, .. },
            ..
        } => got.ends_with(EVIL),
        _ => false,
    });
    assert_eq!(failures.count(), 5);
    events
}

fn spoil(value: &mut Value, key: &str, ids: &[String]) {
    match value {
        Value::String(text) if STRANGERS.contains(&key) || ids.contains(text) => text.push_str(EVIL),
        Value::Array(list) => list.iter_mut().for_each(|one| spoil(one, key, ids)),
        Value::Object(map) => {
            // The tags of enums stay what they are.
            let is_look = map.get("seen").is_some_and(Value::is_string)
                && !map.contains_key("verdict")
                && !map.contains_key("event");
            for (key, one) in map.iter_mut().filter(|(key, _)| !(is_look && *key == "seen")) {
                spoil(one, key, ids);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn rendered(format: Format) -> String {
    render(format, &hostile(), &Look::default()).unwrap()
}

#[test]
fn the_page_has_no_element_that_is_not_its_own() {
    let page = rendered(Format::Html);
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let markup = page
        .split_once("</style>")
        .unwrap()
        .1
        .rsplit_once("<script>")
        .unwrap()
        .0;
    assert!(
        !markup.contains("<img") && !markup.contains("<script"),
        "an element got in"
    );
    assert!(
        !page.contains(['\0', '\x1b', '\r', '\u{202e}']),
        "something works unseen"
    );
    // Every tag is one that the crate writes, with quoted values that hold no quote.
    let known = [
        "body",
        "a",
        "header",
        "h1",
        "em",
        "p",
        "nav",
        "ul",
        "li",
        "main",
        "section",
        "h2",
        "b",
        "svg",
        "rect",
        "title",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "form",
        "fieldset",
        "legend",
        "label",
        "input",
        "select",
        "option",
        "span",
        "button",
        "output",
        "details",
        "summary",
        "h3",
        "dl",
        "dt",
        "dd",
        "ol",
        "code",
        "pre",
        "figure",
        "figcaption",
        "small",
        "line",
        "text",
        "path",
        "head",
    ];
    for tag in markup.split('<').skip(1) {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        assert!(known.contains(&name.as_str()), "<{tag}");
        let inside = tag.split_once('>').unwrap().0;
        assert_eq!(inside.matches('"').count() % 2, 0, "<{tag}");
        let names: String = inside.split('"').step_by(2).collect();
        assert!(!names.contains(" on"), "<{tag}");
    }
    let policy = page.find("Content-Security-Policy").unwrap();
    assert!(
        policy < page.find("<style>").unwrap(),
        "the policy comes before what it is about"
    );
}

#[test]
fn no_line_of_annotations_is_forged() {
    let text = rendered(Format::GithubAnnotations);
    for line in text.lines() {
        let rest = line
            .strip_prefix("::error ")
            .or_else(|| line.strip_prefix("::warning "));
        let (properties, _) = rest.unwrap().split_once("::").unwrap();
        for property in properties.split(',') {
            let (name, value) = property.split_once('=').unwrap();
            assert!(["file", "line", "col", "title"].contains(&name), "{line}");
            assert!(!value.contains(':'), "{line}");
        }
    }
    assert!(text.contains("%25%30A") || text.contains("%250A::warning"), "{text}");
}

#[test]
fn markdown_keeps_strangers_in_code() {
    let text = rendered(Format::Markdown);
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks >= 3 && line.ends_with("text") => fence = line.strip_suffix("text"),
            None => {
                let outside = without_code(line);
                assert!(!outside.contains("<script") && !outside.contains("<img"), "{line}");
                assert!(!outside.contains("@everyone"), "{line}");
            }
        }
    }
    assert_eq!(fence, None);
    let compared = reports::compare(CompareFormat::Markdown, &hostile(), &Look::default())
        .unwrap()
        .text;
    for line in compared.lines() {
        assert!(!without_code(line).contains("<script"), "{line}");
    }
}

/// A line without its code spans (CommonMark 6.1: a span ends at a row of as many ticks as it began with) and `code`
/// elements.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let row = "`".repeat(ticks);
        out.push_str(&rest[..at]);
        let mut inside = &rest[at + ticks..];
        let mut end = None;
        let mut skipped = 0;
        while let Some(next) = inside.find(&row) {
            let found = inside[next..].len() - inside[next..].trim_start_matches('`').len();
            if found == ticks {
                end = Some(skipped + next + ticks);
                break;
            }
            skipped += next + found;
            inside = &inside[next + found..];
        }
        match end {
            Some(end) => rest = &rest[at + ticks + end..],
            None => {
                out.push_str(&row);
                rest = &rest[at + ticks..];
            }
        }
    }
    out.push_str(rest);
    match (out.find("<code>"), out.find("</code>")) {
        (Some(from), Some(to)) if from < to => {
            let inside = &out[from + 6..to];
            assert!(!inside.contains(['<', '>', '"']), "{line}");
            format!("{}{}", &out[..from], &out[to..])
        }
        _ => out,
    }
}

#[test]
fn documents_for_programs_stay_whole() {
    for format in [Format::Json, Format::Sarif] {
        let document: Value = serde_json::from_str(&rendered(format)).unwrap();
        assert!(document.is_object());
    }
    let metrics = rendered(Format::Prometheus);
    for line in metrics.lines() {
        assert!(line.starts_with("# ") || line.starts_with("plimsoll_"), "{line}");
    }
    quick_junit::Report::deserialize_from_str(&rendered(Format::Junit)).unwrap();
}
