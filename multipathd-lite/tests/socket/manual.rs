//! The manual page names what there is.

use mpath_state::config::Config;

const MANUAL: &str = include_str!("../../man/multipathd-lite.8");

#[test]
fn every_keyword_is_in_the_manual() {
    let shown = Config::default().to_string();
    let defaults = shown.split('}').next().unwrap_or_default();
    let keywords = defaults
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    let missing: Vec<_> = keywords
        .filter(|keyword| !MANUAL.contains(keyword))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
