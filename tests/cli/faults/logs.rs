//! A gigabyte of log, without a newline and with arbitrary bytes: it is stored byte
//! for byte, with no more than 32 MiB of additional memory.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
};

use crate::binary::Served;

const HALF: usize = 1 << 29;
/// The size of the pieces that are compared.
const PIECE: usize = 1 << 20;
const MORE_MEMORY: u64 = 32 * 1024;

/// The peak memory of a process, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Reads the output of two concurrent commands, checks that both are the same, and
/// returns the number of bytes.
fn compare(mut one: Command, mut other: Command) -> usize {
    let mut children = [&mut one, &mut other].map(|command| {
        let command = command.stdout(Stdio::piped());
        command.spawn().unwrap()
    });
    let [mut one, mut other] = children
        .each_mut()
        .map(|child| child.stdout.take().unwrap());
    let mut size = 0;
    loop {
        let (left, right) = (piece(&mut one), piece(&mut other));
        // `assert_eq` would print megabytes.
        assert!(
            left == right,
            "they differ between {size} and {}",
            size + PIECE
        );
        if left.is_empty() {
            break;
        }
        size += left.len();
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    size
}

fn piece(source: &mut impl Read) -> Vec<u8> {
    let mut piece = Vec::with_capacity(PIECE);
    source.take(PIECE as u64).read_to_end(&mut piece).unwrap();
    piece
}

#[test]
fn a_gigabyte_of_log_is_stored_byte_for_byte_in_little_memory() {
    let served = Served::start(&["--max-stage-log", "2GiB"]);
    let at_start = peak(served.process.id());
    // Half of it one line; the rest repeats a megabyte of random bytes.
    let random = served.path("random");
    let noise: Vec<u8> = (0..1 << 20).map(|_| rand::random()).collect();
    fs::write(&random, noise).unwrap();
    let script = format!(
        "head -c {HALF} /dev/zero; for i in $(seq {}); do cat {}; done",
        HALF >> 20,
        random.display()
    );
    served.create("big", &script);
    let id = served.trigger("big");
    served.run(&["job", "watch", &id]).ok();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]);
    let log = served.command(&["job", "log", &id, "s", "--raw"]);
    assert_eq!(compare(log, shell), 2 * HALF);
    let more = peak(served.process.id()).saturating_sub(at_start);
    assert!(more <= MORE_MEMORY, "{more} KiB more than at the start");
}
