// SPDX-License-Identifier: GPL-2.0
//! The command line where no device is needed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn tcmud(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcmud"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_arguments_are_refused() {
    let serve = ["serve", "--device", "x", "--backing", "ram:1M"];
    let with = |more: &[&'static str]| [&serve[..], more].concat();
    for arguments in [
        vec![],
        vec!["serve"],
        vec!["serve", "--backing", "ram:1M"],
        vec!["serve", "--device", "x"],
        vec!["serve", "--device", "x", "--backing", "ram:0"],
        vec!["serve", "--device", "x", "--backing", "ram:-1"],
        with(&["--uio", "/dev/uio0"]),
        with(&["--block-size", "-1"]),
        with(&["--hold", "all,count=0"]),
        with(&["--on-tmr", "maybe"]),
        with(&["--wait", "-1"]),
        with(&["--reset-ring", "3"]),
        with(&["--unknown"]),
        vec!["ctl", "held"],
        vec!["ctl", "--control", "x"],
        vec!["events", "--reply", "yes"],
        vec!["events", "--set-features", "2"],
    ] {
        let output = tcmud(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_device_that_does_not_appear_is_an_error_in_time() {
    let start = Instant::now();
    let arguments = [
        "serve",
        "--device",
        "no-such-device",
        "--backing",
        "ram:1M",
        "--wait",
        "1",
    ];
    let output = tcmud(&arguments);
    let waited = start.elapsed();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no TCM user-space device \"no-such-device\""));
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert!(waited < Duration::from_secs(20), "{waited:?}");
}

#[test]
fn what_cannot_be_opened_is_an_error_before_waiting() {
    let missing = "/no/such/folder/file";
    let serve = [
        "serve",
        "--device",
        "no-such-device",
        "--wait",
        "600",
        "--backing",
    ];
    for arguments in [
        vec!["file:/no/such/folder/file"],
        vec!["ram:1M", "--log", missing],
        vec!["ram:1M", "--control", missing],
    ] {
        let output = tcmud(&[&serve[..], &arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).starts_with("tcmud: cannot "),
            "{}",
            stderr(&output)
        );
    }
}

/// Whether a process has a handler for this signal.
fn catches(process: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught >> (signal - 1) & 1 == 1
}

#[test]
fn a_signal_ends_the_wait() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcmud"))
        .args([
            "serve",
            "--device",
            "no-such-device",
            "--backing",
            "ram:1M",
            "--wait",
            "600",
        ])
        .spawn()
        .unwrap();
    // Before it has set up its handler the signal would end it.
    let limit = Instant::now() + Duration::from_secs(120);
    while !catches(child.id(), 15) {
        assert!(Instant::now() < limit, "no handler");
        std::thread::sleep(Duration::from_millis(10));
    }
    let killed = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Answers one request with `answer`.
fn answer_once(
    answer: &'static str,
) -> (tempfile::TempDir, String, std::thread::JoinHandle<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        line
    });
    (folder, path.to_str().unwrap().into(), thread)
}

#[test]
fn ctl_sends_its_words_and_exits_as_the_answer_says() {
    for (answer, code) in [
        ("ok 1 2\n", 0),
        ("error no\n", 1),
        ("okay\n", 1),
        ("ok", 1),
        ("", 1),
    ] {
        let (_folder, path, thread) = answer_once(answer);
        let output = tcmud(&["ctl", "--control", &path, "hold", "read,count=1"]);
        assert_eq!(thread.join().unwrap(), "hold read,count=1\n");
        assert_eq!(output.status.code(), Some(code), "{answer:?}");
        if answer.ends_with('\n') {
            assert_eq!(output.stdout, answer.as_bytes());
        }
    }
    let nobody = tcmud(&["ctl", "--control", "/no/such/socket", "held"]);
    assert_eq!(nobody.status.code(), Some(1));
}
