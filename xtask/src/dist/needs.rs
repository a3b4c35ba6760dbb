//! What a program needs of the system that it is installed on, read from its own bytes: the
//! packages of the libraries that it names, in the version whose symbols it uses.

/// The `Depends` of a package with this program; empty for a static one.
pub(super) fn depends(program: &[u8]) -> String {
    let mut needs = Vec::new();
    if contains(program, b"libc.so.6\0") {
        let version = glibc(program).map(|(major, minor)| format!(" (>= {major}.{minor})"));
        needs.push(format!("libc6{}", version.unwrap_or_default()));
    }
    if contains(program, b"libgcc_s.so.1\0") {
        needs.push("libgcc-s1".to_owned());
    }
    needs.join(", ")
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The newest of the versions that symbols are asked for in.
fn glibc(program: &[u8]) -> Option<(u32, u32)> {
    let starts = program.windows(PREFIX.len()).enumerate();
    let versions = starts
        .filter(|(_, window)| *window == PREFIX)
        .filter_map(|(at, _)| version(program.get(at + PREFIX.len()..)?));
    versions.max()
}

/// `2.34` and a NUL; there may be a third number.
fn version(bytes: &[u8]) -> Option<(u32, u32)> {
    let end = bytes.iter().take(16).position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

const PREFIX: &[u8] = b"GLIBC_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_counts() {
        let bytes =
            b"libgcc_s.so.1\0libc.so.6\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(depends(bytes), "libc6 (>= 2.34), libgcc-s1");
    }

    #[test]
    fn a_static_program_needs_nothing() {
        assert_eq!(depends(b"\x7fELF GNU C Library"), "");
    }

    #[test]
    fn this_test_needs_a_c_library() {
        let program = std::env::current_exe().and_then(std::fs::read);
        let needs = depends(&program.expect("it can be read"));
        assert!(needs.starts_with("libc6 (>= 2."), "{needs}");
    }
}
