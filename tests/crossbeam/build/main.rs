//! Takes the tests of crossbeam-channel from where cargo keeps its source and carries them over.
//!
//! Nothing of them is kept here: each file is rewritten into `OUT_DIR`, line by line, so that a
//! line number in a failure is that of crossbeam's own file.
use std::path::{Path, PathBuf};
use std::{env, fs};

mod locate;
mod rewrite;
mod rules;

fn main() {
    println!("cargo::rerun-if-changed=build");
    let tests = locate::source_of("crossbeam-channel", "=0.5.17").join("tests");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut used = rewrite::Used::default();
    for (file, count) in rules::FILES {
        let from = tests.join(file).with_extension("rs");
        let original = read(&from);
        let (text, found) = rewrite::rewrite(file, &original, &mut used);
        assert_eq!(found, *count, "the number of tests in {}", from.display());
        let to = output.join(file).with_extension("rs");
        fs::write(&to, text).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }
    used.check();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
