//! crossbeam-channel's `tests/same_channel.rs`, carried over by the rules in `build/rules.rs`.
#![allow(unused_imports, clippy::all)] // of what was replaced; not our code

include!(concat!(env!("OUT_DIR"), "/same_channel.rs"));
