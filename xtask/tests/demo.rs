//! `cargo xtask demo`, word for word, with the real program.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::path::Path;

use xtask::demo;
use xtask::guest::demo::Color;

fn told(color: Color) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let programs = demo::build(workspace).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    demo::tell(&programs, folder.path(), color, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// It says the same on every machine: no times, no places. The README shows a part of it.
#[test]
fn the_demo() {
    let told = told(Color::Off);
    let readme = include_str!("../../README.md");
    let (_, shown) = readme.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(told.contains(shown), "not in the demo:\n{shown}");
    insta::assert_snapshot!(told);
}

#[test]
fn the_picture_of_the_readme_is_the_demo() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let drawn = std::fs::read_to_string(workspace.join(demo::PICTURE)).unwrap();
    let is_current = demo::picture(workspace).unwrap() == drawn;
    assert!(is_current, "draw it anew: cargo xtask demo --picture");
}

#[test]
fn colours_change_nothing_but_colours() {
    let mut plain = String::new();
    let colored = told(Color::On);
    let mut rest = colored.as_str();
    while let Some((text, escape)) = rest.split_once('\u{1b}') {
        plain += text;
        rest = escape.split_once('m').unwrap().1;
    }
    plain += rest;
    assert_ne!(plain, colored);
    assert_eq!(plain, told(Color::Off));
}
