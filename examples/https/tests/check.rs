//! The server with clients of its own.
use std::process::Command;

#[test]
fn it_serves_its_own_clients() {
    let ran = Command::new(env!("CARGO_BIN_EXE_maypole-https"))
        .arg("--check")
        .output()
        .expect("the program can be run");
    let output = String::from_utf8(ran.stdout).expect("it prints text");
    let complaints = String::from_utf8(ran.stderr).expect("it prints text");
    assert_eq!((complaints.as_str(), ran.status.code()), ("", Some(0)));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 10, "{output}");
    assert_eq!(lines[0], "GET /page HTTP/1.1");
    assert!(lines[1].starts_with("by TLSv1_3 with TLS13_"), "{output}");
    assert!(lines[4].starts_with("by TLSv1_2 with TLS_"), "{output}");
    assert_eq!(
        lines[5..],
        [
            "request 2 of this connection",
            "100 at once have got 3 pages each",
            "one that trusts nobody: invalid peer certificate: UnknownIssuer",
            "one that speaks plainly gets 7 bytes, an alert",
            "connections: 105, requests: 304",
        ]
    );
}
