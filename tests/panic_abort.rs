//! `panic = "abort"`: a package of its own is built with it, as a user's would be.
use std::path::Path;
use std::process::{Command, Output};

const MANIFEST: &str = r#"
[package]
name = "panic-abort"
version = "0.0.0"
edition = "2024"

[dependencies]
maypole = { path = "MAYPOLE" }

[profile.dev]
panic = "abort"

[[bin]]
name = "program"
path = "MAYPOLE/tests/panic_abort/program.rs"

[workspace]
"#;

/// Builds the program outside of this workspace, with the versions that are locked here.
fn build_and_run() -> Output {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic_abort");
    std::fs::create_dir_all(&package).unwrap();
    let manifest = MANIFEST.replace("MAYPOLE", home.to_str().unwrap());
    std::fs::write(package.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(home.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

#[test]
#[ignore = "builds the crate once more"]
fn a_program_that_cannot_unwind_works_but_for_kills() {
    let output = build_and_run();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ended well\n");
    assert_eq!(stderr, "");
}
