//! The states and what leads from one to another, as pictures made from the tables:
//! `docs/states.dot` of a transaction, `docs/path_return.dot` of a path that comes back.
//! `INSTA_UPDATE=always cargo test -p pr-policy` draws them anew, and
//! `dot -Tsvg pr-policy/docs/states.dot` shows one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::{returns, states};

#[test]
fn the_picture_shows_the_table() {
    let drawn = draw(HEAD, &states::edges());
    check("states.dot", &drawn, include_str!("../../docs/states.dot"));
}

#[test]
fn the_picture_of_a_return_shows_its_table() {
    let drawn = draw(RETURN_HEAD, &returns::edges());
    let current = include_str!("../../docs/path_return.dot");
    check("path_return.dot", &drawn, current);
}

fn check(name: &str, drawn: &str, current: &str) {
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/");
        std::fs::write(format!("{folder}{name}"), drawn).expect("the picture can be written");
        return;
    }
    assert_eq!(drawn, current, "INSTA_UPDATE=always draws it anew");
}

fn draw(head: &str, edges: &BTreeSet<(&'static str, &'static str)>) -> String {
    let mut text = String::from(head);
    for (from, to) in edges {
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

const RETURN_HEAD: &str = "\
// Steps of a path that comes back, drawn from the table of steps by tests/policy/graph.rs.
digraph path_return {
    rankdir = LR;
    node [shape = box, style = rounded, fontname = \"sans-serif\"];
    Validating [penwidth = 2];
    Vouching [penwidth = 2];
    Leaving [penwidth = 2];
    Ended [shape = doublecircle];
";
