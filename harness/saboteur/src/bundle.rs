//! The edited bundle: a directory of its own, so that what the caller wrote stays as it was.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::arguments::Line;
use crate::call::Call;
use crate::catalogue::Act;
use crate::error::{Error, Result};

/// Where the edited bundle of a container lies, and what is known about it.
#[derive(Debug)]
pub(crate) struct Workplace {
    /// `ROOT.saboteur`: beside the runtime's own directory, where it takes every entry for a container.
    base: PathBuf,
    id: Option<String>,
}

impl Workplace {
    /// The place of the container that a command line names.
    pub(crate) fn of(line: &Line) -> Self {
        let base = match &line.root {
            Some(root) => {
                let mut name = OsString::from(root.as_os_str().to_string_lossy().trim_end_matches('/'));
                name.push(".saboteur");
                PathBuf::from(name)
            }
            None => {
                let program = line.before.first().map(|p| p.to_string_lossy().replace('/', "-"));
                let name = format!(
                    "plimsoll-saboteur-{}{}",
                    rustix::process::getuid().as_raw(),
                    program.unwrap_or_default()
                );
                std::env::temp_dir().join(name)
            }
        };
        // A name that is no file name is for the runtime to refuse.
        let id = line
            .id()
            .filter(|id| !id.is_empty() && *id != "." && *id != ".." && !id.contains('/'));
        Self {
            base,
            id: id.map(str::to_owned),
        }
    }

    fn directory(&self) -> Option<PathBuf> {
        self.id.as_ref().map(|id| self.base.join(id))
    }

    /// Whether something was edited for this container; for any, if none is named.
    pub(crate) fn exists(&self) -> bool {
        self.directory().unwrap_or_else(|| self.base.clone()).is_dir()
    }

    /// A file that is no container's.
    pub(crate) fn beside(&self, name: &str) -> Result<PathBuf> {
        fs::create_dir_all(&self.base).map_err(Error::file("make", &self.base))?;
        Ok(self.base.join(name))
    }

    /// Removes what was edited for the container.
    pub(crate) fn remove(&self) {
        if let Some(directory) = self.directory() {
            // What cannot be removed is overwritten by the next container of that name.
            let _left = fs::remove_dir_all(directory);
        }
        self.tidy();
    }

    /// Removes the place itself if it is empty.
    pub(crate) fn tidy(&self) {
        let _in_use = fs::remove_dir(&self.base);
    }

    /// An answer of the runtime with the edited bundles' names replaced by those that the caller gave.
    pub(crate) fn as_the_caller_knows_it(&self, answer: &[u8]) -> Vec<u8> {
        let mut text = String::from_utf8_lossy(answer).into_owned();
        let directories = match self.directory() {
            Some(directory) => vec![directory],
            None => fs::read_dir(&self.base)
                .map(|entries| entries.flatten().map(|e| e.path()).collect())
                .unwrap_or_default(),
        };
        for directory in directories {
            if let Ok(original) = fs::read_to_string(directory.join("original")) {
                let edited = directory.canonicalize().unwrap_or(directory);
                text = replaced(&text, &edited.to_string_lossy(), &original);
            }
        }
        text.into_bytes()
    }
}

/// Replaces a path where it stands as a whole.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        done.push_str(before);
        let ends = after.chars().next().is_none_or(|c| c == '"' || c.is_whitespace());
        done.push_str(if ends { to } else { from });
        rest = after;
    }
    done.push_str(rest);
    done
}

/// `create` and `run` with an edited bundle. Where nothing is to be edited, or nothing can be read, the call goes its way.
pub(crate) fn create(call: &Call, act: &Act) -> Result<i32> {
    let line = &call.line;
    let place = Workplace::of(line);
    let Some(directory) = place.directory() else {
        return call.plain();
    };
    let given = PathBuf::from(line.value("bundle").unwrap_or(".".as_ref()));
    let read = given
        .canonicalize()
        .and_then(|bundle| Ok((fs::read_to_string(bundle.join("config.json"))?, bundle)));
    let Ok((text, bundle)) = read else {
        return call.plain();
    };
    let Ok(config) = serde_json::from_str::<Value>(&text) else {
        return call.plain();
    };
    let mut edited = act.edited(&config, &bundle);
    if edited != config {
        call.changed(&differences(&config, &edited))?;
    } else if !matches!(act, Act::Nothing) {
        return call.plain();
    }
    // A name that is taken is for the runtime to refuse.
    if directory.exists() && call.state().is_some() {
        return call.plain();
    }
    make_absolute(&mut edited, &bundle);
    let _stale = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
    let directory = directory
        .canonicalize()
        .map_err(Error::file("find", directory.clone()))?;
    for (name, text) in [
        ("config.json", edited.to_string()),
        ("original", bundle.to_string_lossy().into_owned()),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let mut line = line.clone();
    line.put("bundle", &directory);
    let code = call.relay(&line.argv());
    let stays = matches!(code, Ok(0)) && (line.verb == "create" || line.has("detach") || line.has("keep"));
    if !stays {
        place.remove();
    }
    code
}

/// What is relative to the bundle must go on meaning the same.
fn make_absolute(config: &mut Value, bundle: &Path) {
    let absolute = |value: &mut Value| {
        if let Some(path) = value.as_str().filter(|p| !p.is_empty() && !p.starts_with('/')) {
            *value = bundle.join(path).to_string_lossy().into_owned().into();
        }
    };
    if let Some(path) = config.pointer_mut("/root/path") {
        absolute(path);
    }
    for mount in config
        .get_mut("mounts")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let options = mount.get("options").and_then(Value::as_array);
        let bind = mount.get("type").is_some_and(|kind| kind == "bind")
            || options.is_some_and(|list| list.iter().any(|o| o == "bind" || o == "rbind"));
        if let (true, Some(source)) = (bind, mount.get_mut("source")) {
            absolute(source);
        }
    }
}

/// Where two documents differ, and what stood there.
fn differences(before: &Value, after: &Value) -> String {
    let mut found = Vec::new();
    compare(before, after, "", &mut found);
    let more = found.len().saturating_sub(5);
    found.truncate(5);
    let mut text = found.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

fn compare(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                compare(
                    value,
                    new.get(key).unwrap_or(&Value::Null),
                    &format!("{path}/{key}"),
                    found,
                );
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                compare(&Value::Null, value, &format!("{path}/{key}"), found);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            let short = |value: &Value| {
                let text = value.to_string();
                if text.chars().count() > 200 {
                    format!("{}…", text.chars().take(200).collect::<String>())
                } else {
                    text
                }
            };
            found.push(format!("{path}: {} became {}", short(old), short(new)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_replaced_only_where_it_is_the_whole_of_one() {
        assert_eq!(replaced(r#"{"bundle":"/r/a"}"#, "/r/a", "/b"), r#"{"bundle":"/b"}"#);
        assert_eq!(replaced("/r/ab /r/a/x", "/r/a", "/b"), "/r/ab /r/a/x");
        assert_eq!(replaced("a /r/a b", "/r/a", "/b"), "a /b b");
    }

    #[test]
    fn what_is_relative_means_the_same_from_elsewhere() {
        let mut config = json!({"root": {"path": "rootfs"}, "mounts": [
            {"destination": "/a", "source": "data", "options": ["rbind"]},
            {"destination": "/p", "source": "proc", "type": "proc"},
            {"destination": "/b", "source": "/abs", "type": "bind"},
        ]});
        make_absolute(&mut config, Path::new("/bundle"));
        assert_eq!(config["root"]["path"], "/bundle/rootfs");
        assert_eq!(config["mounts"][0]["source"], "/bundle/data");
        assert_eq!(config["mounts"][1]["source"], "proc");
        assert_eq!(config["mounts"][2]["source"], "/abs");
    }

    #[test]
    fn a_difference_names_its_place() {
        let before = json!({"a": {"b": 1, "c": [1]}, "d": 1});
        assert_eq!(
            differences(&before, &json!({"a": {"b": 2, "c": []}, "e": true})),
            "/a/b: 1 became 2; /a/c: [1] became []; /d: 1 became null; /e: null became true"
        );
    }
}
