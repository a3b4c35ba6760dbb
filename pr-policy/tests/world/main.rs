//! The policy in a world of nodes, paths and faults: small histories, all of them.

use std::rc::Rc;

use pr_policy::world::search::{Bounds, Kinds, Sight, search};
use pr_policy::world::{Alphabet, Link, Setting, Wiring, World};
use scsi_pr::device_server::Profile;
use scsi_pr::{ReservationKey, ReservationType};

#[test]
fn every_short_history_without_faults() {
    for held in [1, 3, 5, 6] {
        let setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &[3, 2]);
        let alphabet = Alphabet {
            types: vec![ReservationType(held)],
            keys: vec![
                vec![ReservationKey(0xa), ReservationKey(0xaa)],
                vec![ReservationKey(0xb)],
            ],
            links: vec![vec![Link::Up, Link::Down], vec![]],
            most_away: vec![1, 0],
        };
        let bounds = Bounds {
            ops: 3,
            faults: 0,
            kinds: Kinds::default(),
            sight: Sight::Exact,
            most_violations: 1,
        };
        let found = search(World::new(Rc::new(setting)), &alphabet, bounds);
        for violation in &found.violations {
            panic!("type {held}: {violation}");
        }
        assert!(found.states > 50, "{found:?}");
    }
}
