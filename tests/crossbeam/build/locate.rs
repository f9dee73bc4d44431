//! Where cargo keeps the source of a package that this one depends on.
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The directory of `package`, which must be a dependency of this one, so that it is there.
///
/// Cargo is asked about a package of its own making that depends on nothing else: asked about this
/// workspace it would want every package of it, downloaded or not.
pub fn source_of(package: &str, version: &str) -> PathBuf {
    let asking = PathBuf::from(variable("OUT_DIR")).join("locate");
    write(
        &asking.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"locate\"\nedition = \"2021\"\n[workspace]\n\
             [dependencies]\n{package} = \"{version}\"\n"
        ),
    );
    write(&asking.join("src/lib.rs"), "");
    // The versions that this build uses: others may not be there.
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let lock = here.ancestors().map(|at| at.join("Cargo.lock"));
    if let Some(lock) = lock.into_iter().find(|lock| lock.exists()) {
        write(&asking.join("Cargo.lock"), &super::read(&lock));
    }

    // From here, so that cargo reads the same configuration as for this build.
    let answer = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version=1", "--offline"])
        .arg("--filter-platform")
        .arg(variable("HOST"))
        .arg("--manifest-path")
        .arg(asking.join("Cargo.toml"))
        .current_dir(&here)
        .output()
        .expect("cargo runs");
    let complaint = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "cargo metadata: {complaint}");
    let answer: serde_json::Value =
        serde_json::from_slice(&answer.stdout).expect("cargo metadata is JSON");
    let packages = answer["packages"].as_array().expect("a list of packages");
    let found = packages.iter().find(|found| found["name"] == package);
    let manifest = found.and_then(|found| found["manifest_path"].as_str());
    let manifest = Path::new(manifest.expect("the package is a dependency"));
    manifest
        .parent()
        .expect("a manifest is in a directory")
        .to_path_buf()
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"))
}

fn write(path: &Path, text: &str) {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
