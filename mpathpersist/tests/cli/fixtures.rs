//! Files under `tests/fixtures`: what multipath-tools printed, and the bytes it printed it for.

/// What was printed, without the comment at the head of the file.
pub(crate) fn text(name: &str) -> String {
    body(&format!("{name}.txt"))
}

/// The bytes that the device had sent.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    body(&format!("{name}.hex"))
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn body(file: &str) -> String {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (head, body) = text.split_once('\n').unwrap();
    assert!(
        head.starts_with("# "),
        "{path} does not say where it comes from"
    );
    body.to_owned()
}
