//! The project's binaries run in the guest as they were built: static, by name from PATH.

use xtask::error::Result;
use xtask::guest::{Lab, run};

#[test]
fn the_projects_binaries_start() -> Result {
    let _lab = Lab::shared("binaries")?;
    for program in ["mpathpersist", "multipathd-lite"] {
        let code = run(program, ["--help"])?.code();
        // A program that cannot be loaded is 126 or 127, one that crashes above 128.
        assert!(code < 126, "{program} ended with {code}");
        let file = format!("/usr/local/bin/{program}");
        assert_eq!(run("which", [program])?.succeeded()?.stdout.trim(), file);
    }
    Ok(())
}
