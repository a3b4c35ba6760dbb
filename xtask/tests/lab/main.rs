//! The scenarios: tests that run inside the lab's guest, on the real kernel, by `cargo xtask lab`.

#[test]
fn the_guest_is_there() {
    assert!(
        std::path::Path::new("/run/mpath-lab").is_dir(),
        "run me by `cargo xtask lab`"
    );
}
