//! The states and what leads from one to another, as a picture: `docs/states.dot`, made from the
//! table of states. `INSTA_UPDATE=always cargo test -p pr-policy` draws it anew, and
//! `dot -Tsvg pr-policy/docs/states.dot` shows it.

use std::fmt::Write as _;

use crate::states;

#[test]
fn the_picture_shows_the_table() {
    let drawn = draw();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/states.dot");
        std::fs::write(file, &drawn).expect("the picture can be written");
        return;
    }
    let current = include_str!("../../docs/states.dot");
    assert_eq!(drawn, current, "INSTA_UPDATE=always draws it anew");
}

fn draw() -> String {
    let mut text = String::from(HEAD);
    for (from, to) in states::edges() {
        writeln!(text, "    {from} -> {to};").expect("text takes everything");
    }
    text + "}\n"
}

const HEAD: &str = "\
// States of a transaction, drawn from the table of states by tests/policy/graph.rs.
digraph states {
    rankdir = LR;
    node [shape = box, style = rounded, fontname = \"sans-serif\"];
    Surveying [penwidth = 2];
    Answering [penwidth = 2];
    Finished [shape = doublecircle];
    subgraph cluster_takeover {
        label = \"the map is suspended\";
        Taking; Recounting; Handing; Renewing; Validating; Retracting; Resuming;
        Borrowing;
    }
";
