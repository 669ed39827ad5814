//! Images become roots, and bad ones become errors with advice.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use image::{Error, Image, PROBE, VERBS};
use tar::{Builder, EntryType, Header};

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(u64::from(rustix::process::getuid().as_raw()));
    header.set_gid(u64::from(rustix::process::getgid().as_raw()));
    header
}

/// Writes `name` as it is, also when it climbs, which the builder would refuse.
fn with_raw_name(mut header: Header, name: &str) -> Header {
    let field = &mut header.as_old_mut().name;
    field.fill(0);
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn archive(path: &Path, entries: &[(EntryType, &str, &str)]) -> std::io::Result<()> {
    let mut builder = Builder::new(File::create(path)?);
    for (kind, name, content) in entries {
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            let mut header = header(*kind, 0, 0o777);
            header.set_link_name_literal(content)?;
            builder.append(&with_raw_name(header, name), std::io::empty())?;
        } else {
            let header = header(*kind, content.len() as u64, 0o750);
            builder.append(&with_raw_name(header, name), content.as_bytes())?;
        }
    }
    builder.finish()
}

#[test]
fn probe_is_a_static_executable_of_less_than_a_mebibyte() {
    assert_eq!(&PROBE[..4], b"\x7fELF");
    assert!(PROBE.len() <= 1 << 20, "{} bytes", PROBE.len());
    // Program headers: 1 is a segment to load, 3 asks for an interpreter.
    let count = u16::from_le_bytes([PROBE[56], PROBE[57]]) as usize;
    let kinds: Vec<u8> = (0..count).map(|index| PROBE[64 + 56 * index]).collect();
    assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
}

#[test]
fn probe_image_holds_the_probe_and_a_link_for_each_verb() {
    let dir = tempfile::tempdir().unwrap();
    let root = Image::parse("plimsoll/probe").unwrap().unpack(dir.path()).unwrap();
    assert!(!root.shared);
    assert!(VERBS.contains(&"sleep") && VERBS.contains(&"report"), "{VERBS:?}");
    for verb in VERBS {
        assert_eq!(
            fs::read_link(dir.path().join("bin").join(verb)).unwrap(),
            Path::new("probe")
        );
    }
    for name in ["proc", "sys", "dev", "tmp", "etc", "run", "work"] {
        assert!(dir.path().join(name).is_dir(), "{name}");
    }
    assert_eq!(fs::metadata(dir.path().join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    let hello = Command::new(dir.path().join("usr/bin/hello"))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(
        (hello.status.code(), hello.stdout.as_slice()),
        (Some(0), b"hello\n".as_slice())
    );
    // A second unpacking over the first is the same.
    Image::Probe.unpack(dir.path()).unwrap();
}

#[test]
fn missing_and_unknown_images_come_with_advice() {
    let cases = [
        ("busybox:latest", "unknown image `busybox:latest`", "docker export"),
        (
            "dir:/nowhere/at/all",
            "failed to find image `dir:/nowhere/at/all`",
            "mkdir root",
        ),
        (
            "tar:/nowhere.tar",
            "failed to find image `tar:/nowhere.tar`",
            "image.tar",
        ),
        ("dir:/dev/null", "failed to find image `dir:/dev/null`", "directory"),
    ];
    for (name, message, hint) in cases {
        let error = Image::parse(name).unwrap_err();
        assert_eq!(error.to_string(), message);
        let advice = error.hint().unwrap();
        assert!(advice.contains(hint), "{advice}");
    }
}

#[test]
fn directory_is_used_where_it_is_and_as_somebody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let image = Image::parse(&format!("dir:{}", dir.path().display())).unwrap();
    let root = image.unpack(Path::new("/nowhere")).unwrap();
    assert_eq!((root.path, root.shared), (dir.path().canonicalize().unwrap(), true));
}

#[test]
fn archive_keeps_modes_links_and_contents_plain_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("a.tar");
    archive(
        &plain,
        &[
            (EntryType::Directory, "./", ""),
            (EntryType::Directory, "bin", ""),
            (EntryType::Regular, "bin/tool", "one"),
            (EntryType::Regular, "deep/below/file", "two"),
            (EntryType::Symlink, "link", "/etc/../bin/tool"),
            (EntryType::Link, "twin", "bin/tool"),
            (EntryType::Fifo, "pipe", ""),
        ],
    )
    .unwrap();
    let packed = dir.path().join("a.tar.gz");
    let mut encoder = flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
    encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
    encoder.finish().unwrap();
    for (index, path) in [plain, packed].iter().enumerate() {
        let root = dir.path().join(index.to_string());
        Image::parse(&format!("tar:{}", path.display()))
            .unwrap()
            .unpack(&root)
            .unwrap();
        assert_eq!(fs::read(root.join("bin/tool")).unwrap(), b"one");
        assert_eq!(fs::read(root.join("deep/below/file")).unwrap(), b"two");
        assert_eq!(
            fs::metadata(root.join("bin/tool")).unwrap().permissions().mode() & 0o7777,
            0o750
        );
        assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("/etc/../bin/tool"));
        assert_eq!(
            fs::metadata(root.join("twin")).unwrap().ino(),
            fs::metadata(root.join("bin/tool")).unwrap().ino()
        );
        assert!(std::os::unix::fs::FileTypeExt::is_fifo(
            &fs::metadata(root.join("pipe")).unwrap().file_type()
        ));
    }
}

#[test]
fn entries_that_lead_out_of_the_root_are_refused_and_write_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().to_owned();
    let cases: [&[(EntryType, &str, &str)]; 5] = [
        &[(EntryType::Regular, "../escaped", "x")],
        &[(EntryType::Regular, "a/../../escaped", "x")],
        &[
            (EntryType::Symlink, "door", &target),
            (EntryType::Regular, "door/escaped", "x"),
        ],
        &[
            (EntryType::Symlink, "door", &target),
            (EntryType::Directory, "door", ""),
        ],
        &[
            (EntryType::Symlink, "door", &target),
            (EntryType::Link, "twin", "door/secret"),
        ],
    ];
    fs::write(outside.path().join("secret"), "s").unwrap();
    for entries in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.tar");
        archive(&path, entries).unwrap();
        let error = Image::Tar(path).unpack(&dir.path().join("root")).unwrap_err();
        assert!(matches!(error, Error::Escape { .. }), "{entries:?}: {error}");
        assert!(!outside.path().join("escaped").exists() && !dir.path().join("escaped").exists());
    }
}

#[test]
fn absolute_names_stay_inside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abs.tar");
    archive(&path, &[(EntryType::Regular, "/plimsoll-absolute", "x")]).unwrap();
    Image::Tar(path).unpack(&dir.path().join("root")).unwrap();
    assert!(dir.path().join("root/plimsoll-absolute").exists() && !Path::new("/plimsoll-absolute").exists());
}

#[test]
fn archive_that_claims_more_than_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.tar");
    let huge = with_raw_name(header(EntryType::Regular, image::LARGEST + 1, 0o644), "huge");
    fs::write(&path, huge.as_bytes()).unwrap();
    let error = Image::Tar(path).unpack(&dir.path().join("root")).unwrap_err();
    assert!(matches!(error, Error::Large { .. }), "{error}");
}

#[test]
fn truncated_archive_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.tar");
    archive(&path, &[(EntryType::Regular, "file", "0123456789")]).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..515]).unwrap();
    let error = Image::Tar(path).unpack(&dir.path().join("root")).unwrap_err();
    assert!(error.to_string().contains("short.tar"), "{error}");
}

#[test]
fn bundle_holds_a_root_and_a_configuration_that_sleeps() {
    let dir = tempfile::tempdir().unwrap();
    image::probe_bundle(dir.path()).unwrap();
    assert!(dir.path().join("rootfs/bin/sleep").exists());
    let text = fs::read_to_string(dir.path().join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config, image::config());
    assert_eq!(config["process"]["args"], serde_json::json!(["sleep", "300"]));
    assert_eq!(config["linux"]["namespaces"].as_array().unwrap().len(), 6);
}
