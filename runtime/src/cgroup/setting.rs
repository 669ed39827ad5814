//! One thing that the configuration asks of one control file.

use std::borrow::Cow;

use rustix::io::Errno;

use super::directory::Directory;
use super::{Cgroup, Error, Hierarchy, Layout, Member, Reason, refused};

/// In which hierarchy a controller lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The v1 hierarchy with this index.
    V1(usize),
    /// The unified hierarchy.
    Unified,
}

/// Which controllers there are, and where.
#[derive(Debug)]
pub(super) struct Available {
    v1: Vec<Vec<String>>,
    unified: Option<Vec<String>>,
}

impl Available {
    pub(super) fn of_layout(layout: &Layout) -> Self {
        let names = |hierarchy: &Hierarchy| hierarchy.controllers.clone();
        Self {
            v1: layout.v1.iter().map(names).collect(),
            unified: layout.unified.as_ref().map(names),
        }
    }

    /// What is available to a cgroup that exists.
    pub(super) fn of_cgroup(cgroup: &Cgroup) -> Result<Self, Error> {
        let unified = match &cgroup.unified {
            Some(Member { path, .. }) => {
                let parent = Directory::open(path.parent().unwrap_or(path))?;
                Some(
                    parent
                        .read("cgroup.controllers")?
                        .split_whitespace()
                        .map(String::from)
                        .collect(),
                )
            }
            None => None,
        };
        Ok(Self {
            v1: cgroup.v1.iter().map(|member| member.controllers.clone()).collect(),
            unified,
        })
    }

    /// Where `controller` is, v1 first.
    pub(super) fn find(&self, controller: &str) -> Option<Place> {
        let has = |names: &Vec<String>| names.iter().any(|name| name == controller);
        if let Some(index) = self.v1.iter().position(has) {
            return Some(Place::V1(index));
        }
        // The v2 controller that does what the v1 controller does under another name.
        let name = if controller == "blkio" { "io" } else { controller };
        self.unified_has(name).then_some(Place::Unified)
    }

    /// Where `controller` is; that it is nowhere is an error of `field`.
    pub(super) fn place(&self, controller: &str, field: &str) -> Result<Place, Error> {
        self.find(controller)
            .ok_or_else(|| refused(field, Reason::NoController(controller.into())))
    }

    pub(super) fn unified_has(&self, controller: &str) -> bool {
        self.unified
            .as_ref()
            .is_some_and(|names| names.iter().any(|name| name == controller))
    }

    pub(super) fn has_unified(&self) -> bool {
        self.unified.is_some()
    }

    pub(super) fn has_v1(&self) -> bool {
        self.v1.iter().flatten().any(|name| !name.starts_with("name="))
    }
}

/// What to do if none of the files of a setting exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IfAbsent {
    /// It is an error.
    Refuse(Reason),
    /// What was asked for holds without it.
    Holds,
}

/// One value for one control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The path in `config.json`.
    pub(super) field: Cow<'static, str>,
    pub(super) place: Place,
    /// The controller that has to be switched on in the unified hierarchy; empty for core files.
    pub(super) controller: Cow<'static, str>,
    /// File and value; the first file that exists is written.
    pub(super) choices: Vec<(Cow<'static, str>, String)>,
    pub(super) if_absent: IfAbsent,
    /// Read the file back, and complain if the kernel ignored the value.
    pub(super) verify: bool,
}

impl Setting {
    pub(super) fn new(
        field: impl Into<Cow<'static, str>>,
        place: Place,
        controller: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        let file = file.into();
        Self {
            field: field.into(),
            place,
            controller: controller.into(),
            if_absent: IfAbsent::Refuse(Reason::NoFile(file.clone().into_owned())),
            choices: vec![(file, value.into())],
            verify: false,
        }
    }

    pub(super) fn or(mut self, file: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.choices.push((file.into(), value.into()));
        self
    }

    pub(super) fn if_absent(mut self, what: IfAbsent) -> Self {
        self.if_absent = what;
        self
    }

    pub(super) fn verified(mut self) -> Self {
        self.verify = true;
        self
    }

    fn apply(&self, directory: &Directory) -> Result<(), Error> {
        for (file, value) in &self.choices {
            match directory.write_raw(file, value) {
                Ok(()) if self.verify => return self.read_back(directory, file, value),
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(Error::Limit {
                        field: self.field.clone().into_owned(),
                        value: value.clone(),
                        path: directory.file(file),
                        source: errno.into(),
                    });
                }
            }
        }
        match &self.if_absent {
            IfAbsent::Refuse(reason) => Err(refused(self.field.clone(), reason.clone())),
            IfAbsent::Holds => Ok(()),
        }
    }

    fn read_back(&self, directory: &Directory, file: &str, value: &str) -> Result<(), Error> {
        let got = directory.read(file)?;
        if got.trim() == value {
            return Ok(());
        }
        let reason = Reason::NotEnforced {
            asked: value.into(),
            got: got.trim().into(),
        };
        Err(refused(self.field.clone(), reason))
    }
}

/// Writes all of `settings`.
///
/// Some values are only taken after others (a memory limit above the old limit of memory and swap, a period for which
/// the old quota is too much), so what is refused as invalid is tried once more at the end.
pub(super) fn apply(settings: &[Setting], cgroup: &Cgroup) -> Result<(), Error> {
    let mut postponed = Vec::new();
    for setting in settings {
        match setting.apply(member(cgroup, setting.place)?.directory()?) {
            Err(Error::Limit { source, .. }) if source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                postponed.push(setting);
            }
            done => done?,
        }
    }
    for setting in postponed {
        setting.apply(member(cgroup, setting.place)?.directory()?)?;
    }
    Ok(())
}

fn member(cgroup: &Cgroup, place: Place) -> Result<&Member, Error> {
    match place {
        Place::V1(index) => cgroup.v1.get(index).ok_or(Error::Absent {
            needed: "in a v1 hierarchy",
        }),
        Place::Unified => cgroup.unified.as_ref().ok_or(Error::Absent {
            needed: "in the unified hierarchy",
        }),
    }
}
