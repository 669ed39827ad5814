//! `linux.resources.unified`: files of cgroup v2 by name.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::setting::{Available, Place, Setting};
use super::super::{Error, Reason, refused};

pub(super) fn settings(
    available: &Available,
    files: &HashMap<String, String>,
    all: &mut Vec<Setting>,
) -> Result<(), Error> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    for (file, value) in files {
        let field = format!("linux.resources.unified.{file}");
        let controller = match file.split_once('.') {
            Some((controller, rest)) if !controller.is_empty() && !rest.is_empty() && !file.contains('/') => controller,
            _ => {
                let reason = Reason::Malformed {
                    value: file.clone(),
                    expected: "a file name like `memory.high`",
                };
                return Err(refused(field, reason));
            }
        };
        if !available.has_unified() {
            return Err(refused(field, Reason::V2Only));
        }
        let core = controller == "cgroup";
        if !core && !available.unified_has(controller) {
            return Err(refused(field, Reason::NotUnified(controller.into())));
        }
        let mut setting = Setting::new(field, Place::Unified, "", file.clone(), value.clone());
        if !core {
            setting.controller = Cow::Owned(controller.into());
        }
        all.push(setting);
    }
    Ok(())
}
