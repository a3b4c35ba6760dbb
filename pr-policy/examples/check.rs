//! Walks through the histories of a small world and prints what it finds.

use std::rc::Rc;
use std::time::Instant;

use pr_policy::world::search::{Bounds, Kinds, Sight, search};
use pr_policy::world::{Alphabet, Link, Setting, Wiring, World};
use scsi_pr::device_server::Profile;
use scsi_pr::{ReservationKey, ReservationType};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u32| args.get(at).map_or(default, |a| a.parse().unwrap());
    let (ops, faults, kinds) = (number(0, 4), number(1, 0), number(2, 15));
    let types: Vec<u32> = match number(3, 0) {
        0 => vec![1, 3, 5, 6, 7, 8],
        t => vec![t],
    };
    let most = number(4, 1) as usize;
    for held in types {
        let start = Instant::now();
        let setting = Setting::new(Profile::strict(), Wiring::PortPerPath, &[3, 2]);
        let alphabet = Alphabet {
            types: vec![ReservationType(held as u8)],
            keys: vec![
                vec![ReservationKey(0xa), ReservationKey(0xaa)],
                vec![ReservationKey(0xb)],
            ],
            links: vec![vec![Link::Up, Link::Down], vec![]],
            most_away: vec![2, 0],
        };
        let bounds = Bounds {
            ops,
            faults,
            kinds: Kinds {
                mishaps: kinds & 1 != 0,
                links: kinds & 2 != 0,
                meddling: kinds & 4 != 0,
                crashes: kinds & 8 != 0,
            },
            sight: Sight::Exact,
            most_violations: most,
        };
        let found = search(World::new(Rc::new(setting)), &alphabet, bounds);
        println!(
            "type {held}: {} states, {} transitions, {} steps, depth {}, {} torn, {:?}",
            found.states,
            found.transitions,
            found.steps,
            found.depth,
            found.torn,
            start.elapsed()
        );
        for violation in &found.violations {
            println!("{violation}");
        }
    }
}
