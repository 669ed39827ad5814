//! What a container asks of cgroups, checked against a layout, and making it so.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use rustix::fs::Mode;
use rustix::io::Errno;

use super::devices::{Exceptions, Rules, filter};
use super::directory::{Directory, children};
use super::setting::{self, Available, Place, Setting};
use super::{Cgroup, Error, Member, Occupied, Reason, controller, refused};

const CGROUPS_PATH: &str = "linux.cgroupsPath";
const DEVICES: &str = "linux.resources.devices";

/// Controllers that a container's v2 cgroup gets if it can have them, because its statistics come from them.
const WANTED: [&str; 6] = ["cpu", "io", "memory", "pids", "cpuset", "hugetlb"];

/// The cgroup that a container is to have. Making a plan touches nothing.
#[derive(Debug)]
pub struct Plan {
    v1: Vec<Target>,
    unified: Option<Target>,
    settings: Vec<Setting>,
    devices: Option<(Place, DeviceRules)>,
    /// Nothing asks for a cgroup: where none can be made, the container does without.
    optional: bool,
    /// The unified hierarchy has all controllers, and they are switched on for their statistics.
    pure_v2: bool,
}

#[derive(Debug)]
struct Target {
    controllers: Vec<String>,
    mount: PathBuf,
    /// Relative to `mount`.
    path: PathBuf,
}

#[derive(Debug)]
pub(super) enum DeviceRules {
    V1(Exceptions),
    V2(Rules),
}

impl DeviceRules {
    pub(super) fn new(rules: Rules, place: Place) -> Result<Self, Error> {
        Ok(match place {
            Place::V1(_) => Self::V1(Exceptions::new(&rules)?),
            Place::Unified => Self::V2(rules),
        })
    }
}

impl Plan {
    /// Checks `resources` against `layout` and says where the cgroup `cgroups_path` of the container `id` is to be.
    ///
    /// An absolute path counts from the mount point of each hierarchy. A relative one, or without one the id, counts
    /// from the cgroup of this process; in the unified hierarchy from its parent, since a cgroup with processes cannot
    /// hand out controllers there.
    ///
    /// # Errors
    /// [`Error::Refused`] names the field that cannot be honoured here.
    pub fn new(
        layout: &super::Layout,
        cgroups_path: Option<&str>,
        id: &str,
        resources: Option<&LinuxResources>,
        rootless: bool,
    ) -> Result<Self, Error> {
        let cgroups_path = cgroups_path.filter(|path| !path.is_empty());
        let path = Path::new(cgroups_path.unwrap_or(id));
        let inner: PathBuf = path.strip_prefix("/").unwrap_or(path).components().collect();
        let plain = inner.components().all(|part| matches!(part, Component::Normal(_)));
        if inner.as_os_str().is_empty() || !plain {
            let reason = Reason::Malformed {
                value: path.display().to_string(),
                expected: "the path of a cgroup below the root",
            };
            return Err(refused(CGROUPS_PATH, reason));
        }
        let place = |own: &Path| {
            if path.is_absolute() {
                inner.clone()
            } else {
                own.join(&inner)
            }
        };
        let available = Available::of_layout(layout);
        let settings = match resources {
            Some(resources) => controller::settings(&available, resources)?,
            None => Vec::new(),
        };
        let configured = resources
            .and_then(|resources| resources.devices().as_deref())
            .unwrap_or_default();
        let rules = Rules::new(configured)?;
        let devices = match available
            .find("devices")
            .or(available.has_unified().then_some(Place::Unified))
        {
            // A user cannot make device nodes, and cannot load the filter.
            _ if rootless && configured.is_empty() => None,
            Some(Place::Unified) if rootless => return Err(refused(DEVICES, Reason::NeedsRoot)),
            Some(place) => Some((place, DeviceRules::new(rules, place)?)),
            None if configured.is_empty() => None,
            None => return Err(refused(DEVICES, Reason::NoController("devices".into()))),
        };
        let optional = settings.is_empty() && cgroups_path.is_none() && configured.is_empty() && rootless;
        if layout.is_empty() && cgroups_path.is_some() {
            return Err(refused(CGROUPS_PATH, Reason::NoController("cgroup".into())));
        }
        Ok(Self {
            v1: layout
                .v1
                .iter()
                .map(|hierarchy| Target {
                    controllers: hierarchy.controllers.clone(),
                    mount: hierarchy.mount.clone(),
                    path: place(&hierarchy.own),
                })
                .collect(),
            unified: layout.unified.as_ref().map(|hierarchy| Target {
                controllers: hierarchy.controllers.clone(),
                mount: hierarchy.mount.clone(),
                path: place(hierarchy.own.parent().unwrap_or(Path::new(""))),
            }),
            settings,
            devices,
            optional,
            pure_v2: !available.has_v1(),
        })
    }

    /// Makes the cgroup and writes its limits; what was made is removed again if that fails.
    ///
    /// # Errors
    /// [`Error::Occupied`] if there is a cgroup that is not empty or is frozen, [`Error::Limit`] and
    /// [`Error::Enable`] if the kernel refuses a limit, [`Error::Create`] if the cgroup cannot be made.
    pub fn create(&self) -> Result<Cgroup, Error> {
        let mut cgroup = Cgroup::default();
        match self.make(&mut cgroup) {
            Ok(()) => Ok(cgroup),
            Err(error) => {
                cgroup.undo();
                Err(error)
            }
        }
    }

    fn make(&self, cgroup: &mut Cgroup) -> Result<(), Error> {
        for target in &self.v1 {
            match self.make_directories(target) {
                Ok(member) => {
                    cgroup.v1.push(member);
                    if target.controllers.iter().any(|name| name == "cpuset") {
                        seed_cpuset(&target.mount, &target.path)?;
                    }
                }
                Err(Error::Create { source, .. }) if self.optional && is_denied(&source) => {}
                Err(error) => return Err(self.explained(error)),
            }
        }
        if let Some(target) = &self.unified {
            let needed = self.needed_controllers();
            let wanted = self.wanted_controllers(target);
            let path = target.mount.join(&target.path);
            let parent = path.parent().unwrap_or(&target.mount);
            // What is on before the cgroup is made has its files in it from the start: nearly always all of it.
            let ready = self.has_no_need_of(&needed) || are_on(&needed, &wanted, parent);
            match self.make_directories(target) {
                Ok(member) => {
                    cgroup.unified = Some(member);
                    if !ready {
                        enable(&needed, &wanted, &target.mount, parent)?;
                    }
                }
                // On a hybrid host the limits are elsewhere.
                Err(Error::Create { source, .. }) if is_denied(&source) && (self.optional || !self.needs_unified()) => {
                }
                Err(error) => return Err(self.explained(error)),
            }
        }
        if self.optional {
            return Ok(());
        }
        setting::apply(&self.settings, cgroup)?;
        match &self.devices {
            None => Ok(()),
            Some((place, rules)) => cgroup.write_devices(*place, rules, true),
        }
    }

    fn needs_unified(&self) -> bool {
        self.pure_v2
            || self.settings.iter().any(|setting| setting.place == Place::Unified)
            || matches!(self.devices, Some((Place::Unified, _)))
    }

    /// That a cgroup may not be made is told by the field that asked for one.
    fn explained(&self, error: Error) -> Error {
        match error {
            Error::Create { path, source } if is_denied(&source) => match self.settings.first() {
                Some(setting) => {
                    let parent = path.parent().unwrap_or(&path).to_path_buf();
                    refused(setting.field.clone(), Reason::NotDelegated(parent))
                }
                None => Error::Create { path, source },
            },
            other => other,
        }
    }

    fn make_directories(&self, target: &Target) -> Result<Member, Error> {
        let path = target.mount.join(&target.path);
        let made = make(&path, &target.mount)?;
        if made == 0 {
            refuse_occupied(&path)?;
        }
        Ok(Member {
            controllers: target.controllers.clone(),
            path,
            made,
            directory: OnceCell::new(),
        })
    }

    /// The controllers without which a setting cannot be made, and the first field that is one.
    fn needed_controllers(&self) -> BTreeMap<&str, &str> {
        let mut needed = BTreeMap::new();
        for setting in self.settings.iter().filter(|setting| setting.place == Place::Unified) {
            if !setting.controller.is_empty() {
                needed
                    .entry(setting.controller.as_ref())
                    .or_insert(setting.field.as_ref());
            }
        }
        needed
    }

    fn wanted_controllers(&self, target: &Target) -> Vec<&'static str> {
        let offered = |name: &&str| self.pure_v2 && target.controllers.iter().any(|offered| offered == name);
        WANTED.into_iter().filter(offered).collect()
    }

    fn has_no_need_of(&self, needed: &BTreeMap<&str, &str>) -> bool {
        !self.pure_v2 && needed.is_empty()
    }
}

impl Cgroup {
    /// Changes the limits to `resources`; what they do not name stays as it is.
    ///
    /// # Errors
    /// As [`Plan::new`] and [`Plan::create`]; with `checkBeforeUpdate` also [`Error::Refused`] for a memory limit below
    /// what is in use.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), Error> {
        let available = Available::of_cgroup(self)?;
        let resources = self.completed(resources)?;
        let settings = controller::settings(&available, &resources)?;
        self.check_usage(&resources)?;
        if let Some(member) = &self.unified {
            let mut needed = BTreeMap::new();
            for setting in settings.iter().filter(|setting| setting.place == Place::Unified) {
                if !setting.controller.is_empty() {
                    needed
                        .entry(setting.controller.as_ref())
                        .or_insert(setting.field.as_ref());
                }
            }
            if let Some(parent) = member.path.parent().filter(|parent| !are_on(&needed, &[], parent)) {
                enable(&needed, &[], top_of(parent), parent)?;
            }
        }
        setting::apply(&settings, self)?;
        let Some(configured) = resources.devices().as_deref() else {
            return Ok(());
        };
        let Some(place) = available
            .find("devices")
            .or(available.has_unified().then_some(Place::Unified))
        else {
            return Err(refused(DEVICES, Reason::NoController("devices".into())));
        };
        self.write_devices(place, &DeviceRules::new(Rules::new(configured)?, place)?, false)
    }

    /// v2 writes quota and period as one value, and swap apart from memory: the missing half is what the group has.
    fn completed(&self, resources: &LinuxResources) -> Result<LinuxResources, Error> {
        let mut resources = resources.clone();
        let Some(member) = &self.unified else {
            return Ok(resources);
        };
        if let Some(cpu) = resources.cpu().clone()
            && self.v1_member("cpu").is_none()
            && cpu.period().is_some_and(|period| period != 0)
            && cpu.quota().is_none_or(|quota| quota == 0)
        {
            let now = member.directory()?.read_if_there("cpu.max")?.unwrap_or_default();
            let quota = now
                .split_whitespace()
                .next()
                .and_then(|quota| quota.parse().ok())
                .unwrap_or(-1);
            let mut cpu = cpu;
            cpu.set_quota(Some(quota));
            resources.set_cpu(Some(cpu));
        }
        if let Some(mut memory) = *resources.memory()
            && self.v1_member("memory").is_none()
            && memory.swap().is_some_and(|swap| swap > 0)
            && memory.limit().is_none_or(|limit| limit == 0)
        {
            let now = member
                .directory()?
                .read_number("memory.max")?
                .and_then(|limit| i64::try_from(limit).ok());
            memory.set_limit(now);
            resources.set_memory(Some(memory));
        }
        Ok(resources)
    }

    fn check_usage(&self, resources: &LinuxResources) -> Result<(), Error> {
        let Some(memory) = resources
            .memory()
            .filter(|memory| memory.check_before_update() == Some(true))
        else {
            return Ok(());
        };
        let Some(limit) = memory.limit().filter(|&limit| limit > 0) else {
            return Ok(());
        };
        let usage = match (self.v1_member("memory"), &self.unified) {
            (Some(member), _) => member.directory()?.read_number("memory.usage_in_bytes")?,
            (None, Some(member)) => member.directory()?.read_number("memory.current")?,
            (None, None) => None,
        };
        match usage.and_then(|usage| i64::try_from(usage).ok()) {
            Some(usage) if usage >= limit => Err(refused("linux.resources.memory.limit", Reason::InUse { usage })),
            _ => Ok(()),
        }
    }

    fn write_devices(&self, place: Place, rules: &DeviceRules, new: bool) -> Result<(), Error> {
        match (place, rules) {
            (Place::V1(index), DeviceRules::V1(exceptions)) => {
                let Some(member) = self.v1.get(index) else {
                    return Ok(());
                };
                let directory = member.directory()?;
                if new && member.made > 0 {
                    exceptions.write_new(directory)
                } else {
                    exceptions.write_changes(directory)
                }
            }
            (_, DeviceRules::V2(rules)) => match &self.unified {
                Some(member) => filter::attach(rules, member.directory()?, new && member.made > 0),
                None => Err(Error::Absent {
                    needed: "in the unified hierarchy for the device filter",
                }),
            },
            (Place::Unified, DeviceRules::V1(_)) => Err(Error::Absent {
                needed: "in the v1 devices hierarchy",
            }),
        }
    }

    /// Removes what was made before something failed; that failure is the one to tell of.
    fn undo(&self) {
        for member in self.members() {
            let mut path = Some(member.path.as_path());
            for _ in 0..member.made {
                let Some(directory) = path else { break };
                if rustix::fs::rmdir(directory).is_err() {
                    break;
                }
                path = directory.parent();
            }
        }
    }
}

/// Makes `path` and what is missing above it, up to `mount`; says how many directories that were.
fn make(path: &Path, mount: &Path) -> Result<usize, Error> {
    let mode = Mode::from_raw_mode(0o755);
    let mut above = 0;
    // A parent may be removed, as the last container in it goes, between its making and that of its child.
    for _ in 0..16 {
        match rustix::fs::mkdir(path, mode) {
            Ok(()) => return Ok(above + 1),
            Err(Errno::EXIST) => return Ok(0),
            Err(Errno::NOENT) => {}
            Err(errno) => {
                return Err(Error::Create {
                    path: path.into(),
                    source: errno.into(),
                });
            }
        }
        match path
            .parent()
            .filter(|parent| parent.starts_with(mount) && *parent != mount)
        {
            Some(parent) => above = make(parent, mount)?,
            None => break,
        }
    }
    Err(Error::Create {
        path: path.into(),
        source: Errno::NOENT.into(),
    })
}

/// Refuses a cgroup that was there before, unless there is nothing in it and it runs.
fn refuse_occupied(path: &Path) -> Result<(), Error> {
    let occupied = |state| {
        Err(Error::Occupied {
            path: path.into(),
            state,
        })
    };
    let directory = Directory::open(path)?;
    if super::processes::any_below(path)? {
        return occupied(Occupied::Processes);
    }
    if !children(path)?.is_empty() {
        return occupied(Occupied::Children);
    }
    let frozen = directory
        .read_if_there("cgroup.freeze")?
        .is_some_and(|text| text.trim() == "1")
        || directory
            .read_if_there("freezer.state")?
            .is_some_and(|text| text.trim() != "THAWED");
    if frozen { occupied(Occupied::Frozen) } else { Ok(()) }
}

/// A v1 cpuset is made empty, and takes no process before it has cpus and memory nodes: those of its parent.
fn seed_cpuset(mount: &Path, path: &Path) -> Result<(), Error> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let mut parent = Directory::open(mount)?;
        let mut inherited = parent.read(file)?;
        for part in path.components() {
            let child = Directory::open(&parent.file("").join(part))?;
            let own = child.read(file)?;
            if own.trim().is_empty() {
                child.write(file, inherited.trim())?;
            } else {
                inherited = own;
            }
            parent = child;
        }
    }
    Ok(())
}

/// The root of the cgroup2 mount that `path` is in.
fn top_of(path: &Path) -> &Path {
    // Only the directory at the mount point lacks the files that every other cgroup has.
    path.ancestors()
        .take_while(|path| path.join("cgroup.controllers").exists())
        .last()
        .unwrap_or(path)
}

/// Whether all of these are on in what is made below `parent`.
fn are_on(needed: &BTreeMap<&str, &str>, wanted: &[&str], parent: &Path) -> bool {
    let enabled = Directory::open(parent).and_then(|parent| parent.read("cgroup.subtree_control"));
    let enabled = enabled.unwrap_or_default();
    let on = |name: &&str| enabled.split_whitespace().any(|enabled| enabled == *name);
    needed
        .keys()
        .copied()
        .chain(wanted.iter().copied())
        .all(|name| on(&name))
}

/// Switches on what is `needed` (by which field) and, as far as it can be had, `wanted`, from `top` to `parent`.
fn enable(needed: &BTreeMap<&str, &str>, wanted: &[&str], top: &Path, parent: &Path) -> Result<(), Error> {
    let mut path = top.to_path_buf();
    let mut below = parent.strip_prefix(top).unwrap_or(Path::new("")).components();
    loop {
        let directory = Directory::open(&path)?;
        let part = below.next();
        let enabled = directory.read("cgroup.subtree_control")?;
        let available = directory.read("cgroup.controllers")?;
        let on = |name: &&str| enabled.split_whitespace().any(|enabled| enabled == *name);
        let offered = |name: &&&str| available.split_whitespace().any(|offered| offered == **name);
        let unneeded = wanted.iter().filter(|name| !needed.contains_key(*name));
        let all = needed.keys().chain(unneeded.filter(offered)).copied();
        // The kernel says that a controller is on before its files are there; only to write waits for them.
        let missing: Vec<&str> = all.filter(|name| part.is_none() || !on(name)).collect();
        let together: String = missing.iter().map(|name| format!("+{name} ")).collect();
        if !missing.is_empty() && directory.write_raw("cgroup.subtree_control", together.trim()).is_err() {
            for name in missing {
                let Err(errno) = directory.write_raw("cgroup.subtree_control", &format!("+{name}")) else {
                    continue;
                };
                if let (Some(field), false) = (needed.get(name), on(&name)) {
                    return Err(Error::Enable {
                        field: (*field).into(),
                        controller: name.into(),
                        path: directory.file("cgroup.subtree_control"),
                        source: errno.into(),
                    });
                }
            }
        }
        match part {
            Some(part) => path.push(part),
            None => return Ok(()),
        }
    }
}

fn is_denied(source: &io::Error) -> bool {
    matches!(
        source.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}
