// SPDX-License-Identifier: GPL-2.0

//! The saved inputs of the fuzz targets, played without a fuzzer.

use std::fs;
use std::path::Path;
use tcmu_logic_fuzz::{control_parameters, ring_consumer};

/// Plays each input of a target; libFuzzer keeps one only if it reaches code that no other reaches.
fn play(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("the corpus can be listed").path();
        println!("{}", path.display());
        target(&fs::read(path).expect("an input can be read"));
        count += 1;
    }
    assert!(count >= 20, "{count} inputs");
}

#[test]
fn inputs_of_ring_consumer() {
    play("ring_consumer", ring_consumer);
}

#[test]
fn inputs_of_control_parameters() {
    play("control_parameters", control_parameters);
}
