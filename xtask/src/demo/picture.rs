//! The demo as a picture for the README.

use anstyle_svg::{Term, WIN10_CONSOLE};

/// The first scenes of a demo that was told in colour, as they look on a terminal.
#[must_use]
pub(super) fn draw(told: &str) -> String {
    let mut svg = Term::new()
        .palette(WIN10_CONSOLE)
        .render_svg(opening(told).trim_end());
    svg.push('\n');
    svg
}

/// Up to the scene that is too many: a scene begins with its number, in bold.
fn opening(told: &str) -> &str {
    let next = format!("\x1b[1m{}. ", SHOWN + 1);
    told.split_once(&next).map_or(told, |(opening, _)| opening)
}

/// The holder dies, RELEASE works, a change of the key works, the paths come back: what fits on
/// a page.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_first_scenes() {
        let told: String = (1..=7)
            .map(|scene| format!("\n\x1b[1m{scene}. A scene.\x1b[0m\n"))
            .collect();
        let opening = opening(&told);
        assert!(opening.contains("5. A scene.") && !opening.contains("6. A scene."));
    }
}
