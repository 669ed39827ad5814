//! Real containers of the runtime, each inside a guard of its own: private mount, pid, network, uts, ipc and cgroup
//! namespaces, the host's root read-only. Needs root, `unshare` and a static busybox; says so and returns where one is
//! missing.

#![expect(clippy::print_stdout, reason = "a test that is skipped says why")]
#![expect(clippy::unwrap_used, reason = "what the tests set up must work, or they are to stop")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// What a script in the guard said, and how it ended.
struct Said {
    output: String,
    code: i32,
}

impl Said {
    #[track_caller]
    fn has(&self, text: &str) -> &Said {
        assert!(self.output.contains(text), "`{text}` is not in:\n{}", self.output);
        self
    }

    #[track_caller]
    fn lacks(&self, text: &str) -> &Said {
        assert!(!self.output.contains(text), "`{text}` is in:\n{}", self.output);
        self
    }

    #[track_caller]
    fn ended_with(&self, code: i32) -> &Said {
        assert_eq!(self.code, code, "{}", self.output);
        self
    }
}

/// A directory with a root file system, and bundles that use it.
struct Place {
    dir: PathBuf,
    runtime: PathBuf,
}

impl Place {
    /// None, with a word why, where containers cannot be run.
    fn new(name: &str) -> Option<Place> {
        let missing = |what: &str| {
            println!("skipped: {what}");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return missing("needs root");
        }
        let Some(busybox) = ["/bin/busybox", "/usr/bin/busybox"]
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
        else {
            return missing("no busybox");
        };
        let test = std::env::current_exe().unwrap();
        let runtime = test.parent().unwrap().parent().unwrap().join("examples/plimsoll-oci");
        assert!(runtime.exists(), "{} is built with the tests", runtime.display());
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("rootfs/bin")).unwrap();
        std::fs::copy(busybox, dir.join("rootfs/bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "ls", "sleep", "id", "ps", "grep", "mount", "hostname", "true", "touch", "mkdir",
        ] {
            std::os::unix::fs::symlink("busybox", dir.join("rootfs/bin").join(applet)).unwrap();
        }
        Some(Place { dir, runtime })
    }

    /// What nobody else is called, on a host whose cgroups are shared by all.
    fn name(&self) -> String {
        format!("plimsoll-test-{}", self.dir.file_name().unwrap().display())
    }

    /// Writes a bundle: the configuration of `spec`, running a command, changed by `change`.
    fn bundle(&self, name: &str, command: &[&str], change: impl FnOnce(&mut Value)) -> &Place {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("config.json");
        let _ = std::fs::remove_file(&file);
        let made = Command::new(&self.runtime)
            .args(["spec", "--bundle"])
            .arg(&dir)
            .status()
            .unwrap();
        assert!(made.success());
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(command);
        config["process"].as_object_mut().unwrap().remove("rlimits");
        config["root"]["path"] = json!(self.dir.join("rootfs"));
        config["linux"]["cgroupsPath"] = json!(format!("/{}/{name}", self.name()));
        change(&mut config);
        std::fs::write(&file, config.to_string()).unwrap();
        self
    }

    /// Runs a shell script in a guard: `$oci` is the runtime, and the directory of the bundles is the current one.
    fn guarded(&self, script: &str) -> Said {
        let mut whole = String::from("exec 2>&1\nmount -t tmpfs tmpfs /run\n");
        let dir = self.dir.display();
        let _ = writeln!(
            whole,
            "mount --bind {dir} {dir}\nmount -o remount,ro,bind /\ncd {dir}\nname={}",
            self.name()
        );
        // The runtime's file on a writable mount: there its protection is its own work.
        let _ = writeln!(
            whole,
            "cp {} ./plimsoll-oci\noci=$PWD/plimsoll-oci",
            self.runtime.display()
        );
        whole.push_str(script);
        let output = Command::new("timeout")
            .args([
                "-k", "5", "60", "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup",
            ])
            .args([
                "--kill-child",
                "--mount-proc",
                "--propagation",
                "private",
                "sh",
                "-c",
                &whole,
            ])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Said {
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn user_namespace(config: &mut Value) {
    let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({ "type": "user" }));
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

#[test]
fn a_container_has_its_own_pids_host_name_network_and_root() {
    let Some(place) = Place::new("isolation") else { return };
    place.bundle(
        "b",
        &["sh", "-c", "ps; hostname; ls /sys/class/net; ls /; exit 7"],
        |_| {},
    );
    let said = place.guarded("echo host > /run/secret; $oci run -b b c");
    said.ended_with(7)
        .has("plimsoll")
        .has("    1 0 ")
        .has("\nlo\n")
        .lacks("secret")
        .lacks("eth0");
}

#[test]
fn the_life_of_a_container_is_told_by_its_state() {
    let Some(place) = Place::new("life") else { return };
    place.bundle("b", &["sleep", "60"], |c| {
        c["annotations"] = json!({ "org.example.a": "b c" })
    });
    let said = place.guarded(
        "$oci create -b b --pid-file pid c && $oci state c && $oci start c && $oci state c\n\
         [ \"$($oci state c | grep '\"pid\"' | tr -dc 0-9)\" = \"$(cat pid)\" ] && echo same pid\n\
         $oci start c; echo second start $?; $oci delete c; echo delete $?\n\
         $oci kill c KILL; while $oci state c | grep -q running; do :; done; $oci state c\n\
         $oci kill c TERM; echo kill $?; $oci delete c; echo delete $?; $oci state c; echo state $?",
    );
    said.has("\"status\": \"created\"")
        .has("\"status\": \"running\"")
        .has("\"status\": \"stopped\"");
    said.has("org.example.a")
        .has("b c")
        .has("same pid")
        .has("second start 1")
        .has("delete 1")
        .has("kill 1");
    said.has("delete 0").has("state 1").has("does not exist");
}

#[test]
fn of_two_that_want_a_name_one_gets_it() {
    let Some(place) = Place::new("race") else { return };
    place.bundle("b", &["sleep", "60"], |_| {});
    let said = place.guarded(
        "for i in 1 2 3 4 5 6; do $oci create -b b c > out.$i 2>&1 && echo won & done; wait\n\
         cat out.*; $oci state c | grep status; $oci delete -f c; ls -A /run/plimsoll-oci",
    );
    assert_eq!(said.output.matches("won").count(), 1, "{}", said.output);
    assert_eq!(said.output.matches("exists already").count(), 5, "{}", said.output);
    said.has("created");
}

#[test]
fn a_created_container_runs_nothing_before_it_is_started_and_reports_what_cannot_be_executed() {
    let Some(place) = Place::new("start") else { return };
    std::fs::write(place.dir.join("rootfs/bin/broken"), "no program").unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.dir.join("rootfs/bin/broken"), all).unwrap();
    place
        .bundle("b", &["/bin/broken"], |_| {})
        .bundle("m", &["missing"], |_| {});
    let said = place.guarded(
        "$oci create -b b c; echo create $?; $oci start c; echo start $?; $oci state c | grep status\n\
         $oci delete c; $oci create -b m m; echo create $?; $oci run -b m m; echo run $?; ls -A /run/plimsoll-oci",
    );
    said.has("create 0\n")
        .has("start 1")
        .has("process.args[0]: failed to execute `/bin/broken`")
        .has("stopped");
    said.has("executable file `missing` not found in $PATH")
        .has("create 1")
        .has("run 1");
}

#[test]
fn the_runtimes_file_cannot_be_written_through_a_container() {
    let Some(place) = Place::new("exe") else { return };
    place.bundle("b", &["sleep", "60"], |_| {});
    let said = place.guarded(
        "touch here && echo the place is writable\n\
         $oci create -b b c; pid=$($oci state c | grep '\"pid\"' | tr -dc 0-9)\n\
         exec 9< /proc/$pid/exe; $oci delete -f c; ( : >> /proc/self/fd/9 ) && echo written; cmp /proc/self/fd/9 $oci && echo same",
    );
    said.has("the place is writable")
        .has("Read-only file system")
        .lacks("written")
        .has("same");
}

#[test]
fn exec_joins_the_container_and_passes_its_code_on() {
    let Some(place) = Place::new("exec") else { return };
    place
        .bundle("b", &["sleep", "60"], |_| {})
        .bundle("u", &["sleep", "60"], user_namespace);
    let said = place.guarded(
        "for b in b u; do $oci run -d -b $b $b\n\
         $oci exec -e A=x --cwd /bin -u 1000:1001 $b sh -c 'echo $A $PWD; id; ps; exit 9'; echo code $?\n\
         $oci exec $b sh -c 'kill -TERM $$'; echo signal $?; $oci exec $b nothing; echo missing $?\n\
         $oci exec --cwd /proc/self/fd/3 $b true; echo cwd $?; $oci delete -f $b; done",
    );
    for text in [
        "x /bin",
        "uid=1000 gid=1001",
        "sleep 60",
        "code 9",
        "signal 143",
        "missing 1",
        "cwd 1",
    ] {
        assert_eq!(said.output.matches(text).count(), 2, "`{text}` in:\n{}", said.output);
    }
}

#[test]
fn hooks_run_in_order_and_where_they_should_with_the_state_on_standard_input() {
    let Some(place) = Place::new("hooks") else { return };
    std::fs::write(
        place.dir.join("hook"),
        "#!/bin/sh\necho \"$1 $(grep -o '\"status\":\"[a-z]*\"') $([ -e /run/mark ] && echo host)\" >> log\n",
    )
    .unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.dir.join("hook"), all).unwrap();
    let path = place.dir.join("hook");
    let change = |config: &mut Value| {
        let hook = |name: &str| json!([{ "path": path, "args": ["hook", name], "env": ["PATH=/usr/bin:/bin"] }]);
        config["hooks"] = json!({
            "prestart": hook("1 prestart"),
            "createRuntime": hook("2 createRuntime"),
            "poststart": hook("5 poststart"),
            "poststop": hook("6 poststop"),
            "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "cat; echo from inside"] }],
        });
    };
    place
        .bundle("b", &["true"], change)
        .bundle("slow", &["true"], |config| {
            config["hooks"] =
                json!({ "createRuntime": [{ "path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 1 }] });
        });
    let said = place.guarded(
        "touch /run/mark; for how in run create; do rm -f b/log log; $oci $how -b b c && { [ $how = run ] || \n\
         { $oci start c; while $oci state c | grep -q running; do :; done; $oci delete c; }; }; cat b/log; done\n\
         $oci run -b slow s; echo slow $?; $oci list -q",
    );
    let order = |text: &str| {
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| line.as_bytes().first().is_some_and(u8::is_ascii_digit))
            .collect();
        kept.join("\n")
    };
    let once = "1 prestart \"status\":\"creating\" host\n2 createRuntime \"status\":\"creating\" host\n\
                5 poststart \"status\":\"running\" host\n6 poststop \"status\":\"stopped\" host";
    assert_eq!(order(&said.output), format!("{once}\n{once}"), "{}", said.output);
    said.has("\"status\":\"created\"")
        .has("from inside")
        .has("was killed after its timeout of 1 s")
        .has("slow 1");
}

#[test]
fn links_at_proc_sys_and_dev_are_refused_and_touch_nothing_outside() {
    let Some(place) = Place::new("links") else { return };
    place.bundle("b", &["true"], |_| {}).bundle("n", &["true"], |config| {
        config["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|m| !m["destination"].as_str().unwrap().starts_with("/dev"));
    });
    let said = place.guarded(
        "mkdir outside; for name in proc sys dev; do rm -rf rootfs/proc rootfs/sys rootfs/dev\n\
         ln -s $PWD/outside rootfs/$name; for b in b n; do $oci run -b $b c; echo $name $b $?; done; done\n\
         ls -A outside | wc -l",
    );
    for text in [
        "proc b 1", "sys b 1", "dev b 1", "proc n 1", "sys n 1", "dev n 1", "\n0\n",
    ] {
        said.has(text);
    }
}

#[test]
fn masked_and_read_only_paths_hold_under_a_writable_root() {
    let Some(place) = Place::new("hidden") else { return };
    let script = "cat /secret/file; ls /secret; touch /closed/x; touch /open/x && echo open is open; cat /proc/keys";
    place.bundle("b", &["sh", "-c", script], |config| {
        config["root"]["readonly"] = json!(false);
        config["linux"]["maskedPaths"] = json!(["/secret", "/proc/keys", "/not/there"]);
        config["linux"]["readonlyPaths"] = json!(["/closed", "/not/there"]);
    });
    let said = place.guarded(
        "for d in secret closed open; do mkdir rootfs/$d; done; echo hush > rootfs/secret/file\n\
         $oci run -b b c",
    );
    said.lacks("hush")
        .has("can't open '/secret/file'")
        .has("touch: /closed/x: Read-only file system");
    said.has("open is open").ended_with(0);
}

#[test]
fn what_cannot_be_done_is_an_error_that_names_its_field() {
    let Some(place) = Place::new("fields") else { return };
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 15] = [
        ("process.cwd: `bin` is not absolute", |c| {
            c["process"]["cwd"] = json!("bin")
        }),
        ("process.cwd: failed to make `/proc/self/fd/3`", |c| {
            c["process"]["cwd"] = json!("/proc/self/fd/3")
        }),
        ("ociVersion: `one` is not a semantic version", |c| {
            c["ociVersion"] = json!("one")
        }),
        ("process.args: is empty", |c| c["process"]["args"] = json!([])),
        ("process.oomScoreAdj: 2000 is not within", |c| {
            c["process"]["oomScoreAdj"] = json!(2000)
        }),
        ("process.rlimits[0]: soft limit 9 is above", |c| {
            c["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 9, "hard": 8 }]);
        }),
        ("RLIMIT_NOTHING", |c| {
            c["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOTHING", "soft": 9, "hard": 9 }]);
        }),
        ("linux.namespaces[6].type: `pid` is there twice", |c| {
            c["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .push(json!({ "type": "pid" }));
        }),
        ("hostname: needs a uts namespace", |c| {
            c["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .retain(|n| n["type"] != "uts");
        }),
        (
            "linux.namespaces[1].path: `/proc/self/ns/ipc` is a namespace of kind ipc, not network",
            |c| {
                c["linux"]["namespaces"][1]["path"] = json!("/proc/self/ns/ipc");
            },
        ),
        ("mounts[7].destination: `/proc/sys` is inside /proc", |c| {
            let mount = json!({ "destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs" });
            c["mounts"].as_array_mut().unwrap().push(mount);
        }),
        ("mounts[7].options: failed to set `frobnicate`", |c| {
            let mount = json!({ "destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["frobnicate"] });
            c["mounts"].as_array_mut().unwrap().push(mount);
        }),
        ("linux.sysctl[\"kernel.pid_max\"]: is not part of a namespace", |c| {
            c["linux"]["sysctl"] = json!({ "kernel.pid_max": "100" });
        }),
        ("root.path: failed to open `/not/there`", |c| {
            c["root"]["path"] = json!("/not/there")
        }),
        ("linux.rootfsPropagation: `sideways`", |c| {
            c["linux"]["rootfsPropagation"] = json!("sideways")
        }),
    ];
    for (i, (_, change)) in cases.iter().enumerate() {
        place.bundle(&i.to_string(), &["true"], change);
    }
    let said = place.guarded(
        "i=0; while [ -d $i ]; do echo \"[$i]\"; $oci run -b $i c < /dev/null; echo code $?; i=$((i + 1)); done\n\
         echo left $($oci list -q) $(find /sys/fs/cgroup -name \"$name\" -type d)",
    );
    for (text, _) in cases {
        said.has(text);
    }
    assert_eq!(said.output.matches("code 1\n").count(), 15, "{}", said.output);
    assert!(said.output.ends_with("left\n"), "{}", said.output);
}

#[test]
fn what_is_unknown_and_need_not_be_understood_is_no_error() {
    let Some(place) = Place::new("unknown") else { return };
    place.bundle("b", &["true"], |config| {
        config["somethingNew"] = json!({ "deep": 1 });
        config["process"]["capabilities"]["bounding"] = json!(["CAP_KILL", "CAP_FLY"]);
        config["annotations"] = json!({ "org.example.unknown": "1" });
    });
    let said = place.guarded("$oci run -b b c");
    said.ended_with(0).has("unknown capability \"CAP_FLY\" is ignored");
}

/// What an ordinary user can have: a user namespace of one id, no device rules, no group for terminals.
fn ordinary(config: &mut Value) {
    let linux = &mut config["linux"];
    let namespaces = linux["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|n| n["type"] != "network");
    namespaces.push(json!({ "type": "user" }));
    linux.as_object_mut().unwrap().remove("resources");
    linux.as_object_mut().unwrap().remove("cgroupsPath");
    linux["uidMappings"] = json!([{ "containerID": 0, "hostID": 65534, "size": 1 }]);
    linux["gidMappings"] = linux["uidMappings"].clone();
    let mounts = config["mounts"].as_array_mut().unwrap();
    mounts.retain(|m| m["destination"] != "/sys/fs/cgroup" && m["destination"] != "/dev/pts");
}

#[test]
fn a_user_gets_a_container_in_a_user_namespace() {
    let Some(place) = Place::new("user") else { return };
    let command = ["sh", "-c", "id; cat /proc/self/uid_map; exit 3"];
    place.bundle("b", &command, ordinary);
    place.bundle("limited", &["true"], |config| {
        ordinary(config);
        config["linux"]["resources"] = json!({ "memory": { "limit": 33_554_432 } });
    });
    place.bundle("root", &["true"], |_| {});
    let said = place.guarded(
        "mkdir /run/user; chown 65534:65534 /run/user; user='setpriv --reuid 65534 --regid 65534 --clear-groups'\n\
         cp plimsoll-oci /run/oci; mkdir /run/b /run/root /run/limited rootfs/proc rootfs/sys rootfs/dev; cp -a rootfs /run/rootfs\n\
         for b in b root limited; do sed \"s|$PWD/rootfs|/run/rootfs|\" $b/config.json > /run/$b/config.json; done\n\
         chmod -R a+rX /run; cd /; $user /run/oci --root /run/user run -b /run/b $name; echo code $?\n\
         $user /run/oci --root /run/user run -b /run/root $name; echo code $?; ls -A /run/user\n\
         $user /run/oci --root /run/user run -b /run/limited $name; echo limited $?; ls -A /run/user",
    );
    said.has("uid=0 gid=0")
        .has("65534          1")
        .has("code 3")
        .has("code 1");
    said.has("linux.namespaces: an ordinary user needs a user namespace");
    // No subtree of the control groups was delegated to this user.
    said.has("linux.resources.memory.limit: this user may not make cgroups in")
        .has("limited 1");
}

#[test]
fn only_standard_descriptors_reach_the_program_unless_others_are_asked_for() {
    let Some(place) = Place::new("descriptors") else { return };
    place.bundle("b", &["sh", "-c", "cat <&3; cat <&4; echo end"], |_| {});
    let said = place.guarded(
        "echo three > three; echo four > four; exec 3< three 4< four\n\
         $oci run -b b a; echo; echo ---; $oci run --preserve-fds 1 -b b c; ls -A /run/plimsoll-oci",
    );
    let (without, with) = said.output.split_once("---").unwrap();
    assert!(
        !without.contains("three") && !without.contains("four"),
        "{}",
        said.output
    );
    assert!(with.contains("three") && !with.contains("four"), "{}", said.output);
}

#[test]
fn a_killed_runtime_leaves_a_container_that_can_be_deleted() {
    let Some(place) = Place::new("killed") else { return };
    place.bundle("b", &["sleep", "60"], |config| {
        config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sleep", "args": ["sleep", "60"] }] });
    });
    let said = place.guarded(
        "$oci create -b b c & while ! $oci state c 2> /dev/null | grep -q creating; do :; done\n\
         while [ ! -s /run/plimsoll-oci/c/state.json ]; do :; done; kill -9 $!; wait $!\n\
         while ! $oci state c | grep -q stopped; do :; done; $oci delete c; echo delete $?\n\
         echo left $($oci list -q) $(find /sys/fs/cgroup -name \"$name\" -type d)",
    );
    said.has("delete 0");
    assert!(said.output.ends_with("left\n"), "{}", said.output);
}
