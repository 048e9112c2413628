// SPDX-License-Identifier: GPL-2.0

//! A completion and the CM find at the same time that the connection does not work.

use loom::sync::Arc;
use loom::thread;

use crate::model::logic::failure::Failure;

#[test]
fn iscsi_is_told_once() {
    loom::model(|| {
        let failure = Arc::new(Failure::new());
        let others: Vec<_> = (0..2)
            .map(|_| {
                let failure = failure.clone();
                thread::spawn(move || failure.is_first())
            })
            .collect();
        let mut told = usize::from(failure.is_first());
        for other in others {
            told += usize::from(other.join().unwrap());
        }
        assert_eq!(told, 1);
        assert!(!failure.is_first());
    });
}
