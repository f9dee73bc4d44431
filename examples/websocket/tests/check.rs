//! The server with clients of its own.
use std::process::Command;

#[test]
fn it_serves_its_own_clients() {
    let ran = Command::new(env!("CARGO_BIN_EXE_maypole-websocket"))
        .arg("--check")
        .output()
        .expect("the program can be run");
    let output = String::from_utf8(ran.stdout).expect("it prints text");
    let complaints = String::from_utf8(ran.stderr).expect("it prints text");
    assert_eq!((complaints.as_str(), ran.status.code()), ("", Some(0)));
    assert_eq!(output, "100 clients got back their 2000 messages\n");
}
