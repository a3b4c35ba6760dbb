//! Sizes for people: `64M`, `1.0G`.

/// A number of sectors of 512 bytes; one digit behind the point below ten.
#[must_use]
pub fn shown(sectors: u64) -> String {
    let mut unit = 0;
    let mut kib_tenths = u128::from(sectors) * 10 / 2;
    while kib_tenths >= 10_240 && unit + 1 < UNITS.len() {
        kib_tenths /= 1024;
        unit += 1;
    }
    let letter = UNITS.get(unit).copied().unwrap_or('?');
    match kib_tenths {
        tenths @ 0..100 => format!("{}.{}{letter}", tenths / 10, tenths % 10),
        tenths => format!("{}{letter}", (tenths + 5) / 10),
    }
}

const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_fitting_units() {
        for (sectors, expected) in [
            (0, "0.0K"),
            (2, "1.0K"),
            (131_072, "64M"),
            (2_097_152, "1.0G"),
            (3_145_728, "1.5G"),
            (20_971_520, "10G"),
            (u64::MAX, "8192E"),
        ] {
            assert_eq!(shown(sectors), expected, "{sectors}");
        }
    }
}
