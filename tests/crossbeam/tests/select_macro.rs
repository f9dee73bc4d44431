//! crossbeam-channel's `tests/select_macro.rs`, carried over by the rules in `build/rules.rs`.
#![allow(unused_imports, clippy::all)] // of what was replaced; not our code
#![forbid(unsafe_code)] // as in the original: `select!` is safe

include!(concat!(env!("OUT_DIR"), "/select_macro.rs"));
