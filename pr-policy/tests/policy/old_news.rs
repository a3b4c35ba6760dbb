//! Unit attentions wait until a path is asked, and may tell of long ago.
//!
//! Key 0xa is to be ours, and so are the ports 1, 2, …, one for each path. The first path does not
//! say whether it has registered; the second one does, and is told that registrations were
//! preempted.

use insta::assert_snapshot;

use crate::narrate::register_ignore;
use crate::traces::Traces;

const SILENT: &[&str] = &["lost | dead", "preempted good good", "good"];
const NOBODY: &[(u64, u64, u8)] = &[];
const TWO: &[(u64, u64, u8)] = &[(2, 0xa, 0), (3, 0xa, 0)];

#[test]
fn registering() {
    let traces = Traces::of(register_ignore(0xa))
        .with("all that has changed is ours", SILENT, |world| {
            world.registrants(&[NOBODY, TWO]).generations(&[7, 10])
        })
        .with("somebody else was at work", SILENT, |world| {
            world
                .registrants(&[NOBODY, TWO, TWO, NOBODY])
                .generations(&[7, 11])
        });
    assert_snapshot!(traces.text);
}
