// SPDX-License-Identifier: GPL-2.0

//! Templates of all sizes in all orders, beside the objects that were allocated with them.

use crate::plain::logic::private_size::PrivateSizes;

/// The sizes of each object of a kind, which are as large as the template says that was registered
/// at the time.
struct Objects {
    local: u32,
    remote: Vec<u32>,
    fcprqst: Vec<u32>,
}

fn all() -> impl Iterator<Item = PrivateSizes> {
    (0..27).map(|number| PrivateSizes {
        local: number % 3,
        remote: number / 3 % 3,
        fcprqst: number / 9,
    })
}

/// Four templates in turn.
pub(crate) fn every_order() -> usize {
    let mut taken = 0;
    for number in 0..27usize.pow(4) {
        let templates: Vec<PrivateSizes> = (0..4)
            .map(|place| {
                let which = number / 27usize.pow(place) % 27;
                all().nth(which).expect("there are so many")
            })
            .collect();
        let mut there_is = templates[0];
        let mut objects = Objects {
            local: there_is.local,
            remote: vec![there_is.remote],
            fcprqst: vec![there_is.fcprqst],
        };
        for &new in &templates[1..] {
            let fits = objects.local >= new.local
                && objects.remote.iter().all(|&size| size >= new.remote)
                && objects.fcprqst.iter().all(|&size| size >= new.fcprqst);
            let replaced = there_is.replace(new);
            assert_eq!(replaced.is_some(), fits, "G7: {new:?} after {there_is:?}");
            if let Some(sizes) = replaced {
                there_is = sizes;
                objects.remote.push(new.remote);
                objects.fcprqst.push(new.fcprqst);
                taken += 1;
            }
        }
    }
    taken
}

#[test]
fn templates_in_every_order() {
    assert!(every_order() > 27);
}
