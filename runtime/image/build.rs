//! Builds the probe, which must neither link libc nor share features with the rest, and embeds it.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = here.join("../..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = env::var("TARGET")?;
    for path in [
        "harness/probe/src",
        "harness/probe/build.rs",
        "harness/probe/Cargo.toml",
        "sys/src/lib.rs",
        "sys/src/freestanding.rs",
        "sys/src/freestanding",
        "sys/Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let built = out.join("probe");
    build(&workspace, &target, &built)?;
    let binary = built.join(&target).join("probe/probe");
    let verbs = verbs(&binary)?;
    let embedded = out.join("probe.elf");
    fs::copy(&binary, &embedded)?;

    let list: String = verbs.lines().map(|verb| format!("    {verb:?},\n")).collect();
    fs::write(
        out.join("embedded.rs"),
        format!(
            "/// The probe: a static executable for this machine, without libc.\n\
             pub const PROBE: &[u8] = include_bytes!({embedded:?});\n\n\
             /// The probe's verbs, as `probe --verbs` lists them.\n\
             pub const VERBS: &[&str] = &[\n{list}];\n"
        ),
    )?;
    Ok(())
}

/// `cargo build --profile probe -p probe` in a target directory of its own, free of what the outer build was told.
fn build(workspace: &Path, target: &str, built: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--package", "probe", "--profile", "probe"]);
    cargo
        .args([
            "--no-default-features",
            "--features",
            "freestanding",
            "--target",
            target,
            "--target-dir",
        ])
        .arg(built);
    if workspace.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_outer_build = [
            "CARGO_FEATURE_",
            "CARGO_CFG_",
            "CARGO_PKG_",
            "CARGO_PROFILE_",
            "CARGO_BUILD_",
            "DEP_",
        ]
        .iter()
        .any(|prefix| text.starts_with(prefix));
        let by_name = [
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_MAKEFLAGS",
            "MAKEFLAGS",
            "PROFILE",
            "TARGET",
            "HOST",
            "OPT_LEVEL",
            "DEBUG",
            "OUT_DIR",
            "NUM_JOBS",
            "RUSTC_LINKER",
            "LLVM_PROFILE_FILE",
        ]
        .contains(&text.as_ref());
        if of_outer_build || by_name {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("failed to build the probe: cargo {status}").into());
    }
    Ok(())
}

/// The verbs, asked of the binary itself.
fn verbs(binary: &Path) -> Result<String, Box<dyn Error>> {
    let answer = Command::new(binary).arg("--verbs").output()?;
    if !answer.status.success() || answer.stdout.is_empty() {
        return Err(format!(
            "`{} --verbs` ended with {} and told nothing",
            binary.display(),
            answer.status
        )
        .into());
    }
    Ok(String::from_utf8(answer.stdout)?)
}
