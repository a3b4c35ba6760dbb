//! dpkg's database of the guest, as if its packages had been installed one by one: so that our own
//! packages can be installed beside them by dpkg itself.

use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::lab::root::Root;
use crate::process;

/// Writes the database of these archives.
///
/// # Errors
/// If an archive cannot be read or a file not be written.
pub fn record(root: &Root, archives: &[impl AsRef<Path>]) -> Result {
    let mut status = String::new();
    for archive in archives {
        let control = read_control(archive.as_ref())?;
        let list = read_list(archive.as_ref())?;
        root.write(&format!("{DATABASE}/info/{}.list", stem(&control)), &list)?;
        status.push_str(&stanza(&control));
    }
    root.write(&format!("{DATABASE}/status"), &status)?;
    root.write(&format!("{DATABASE}/info/format"), "1\n")?;
    root.write(&format!("{DATABASE}/available"), "")?;
    root.write(&format!("{DATABASE}/updates/.keep"), "")?;
    // Maintainer scripts are looked for there before they run.
    root.write("var/log/dpkg.log", "")
}

/// Keeps a package's archive in the guest, which can so be unpacked once more.
///
/// # Errors
/// If there is no such package, or it cannot be copied.
pub fn keep(root: &Root, archives: &[impl AsRef<Path>], name: &str) -> Result {
    let is_meant = |archive: &&Path| {
        let file = archive.file_name().unwrap_or_default().to_string_lossy();
        file.split('_').next() == Some(name)
    };
    let mut archives = archives.iter().map(AsRef::as_ref);
    let archive = archives.find(is_meant);
    let archive = archive.ok_or_else(|| Error::unexpected(format!("no package {name}")))?;
    let to = root.path(&format!("var/cache/apt/archives/{name}.deb"));
    let folder = to.parent().unwrap_or(&to);
    std::fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
    std::fs::copy(archive, &to)
        .map(drop)
        .context(|| format!("cannot copy {}", archive.display()))
}

fn read_control(archive: &Path) -> Result<String> {
    process::output(process::tool("dpkg-deb").arg("--field").arg(archive))
}

/// The files as dpkg lists them: `/.` first, no slash at the end.
fn read_list(archive: &Path) -> Result<String> {
    let contents = process::output(process::tool("dpkg-deb").arg("--contents").arg(archive))?;
    Ok(contents.lines().filter_map(listed).collect())
}

/// A line of `dpkg-deb --contents`: mode, owner, size, date, time, then the name, and for a link
/// where it leads.
fn listed(line: &str) -> Option<String> {
    let at = line.find(" ./")?;
    let name = line.get(at + 2..)?;
    let name = name.split(" -> ").next()?.trim_end_matches('/');
    let name = if name.is_empty() { "/." } else { name };
    Some(format!("{name}\n"))
}

fn stanza(control: &str) -> String {
    let (name, rest) = control.split_once('\n').unwrap_or((control, ""));
    format!(
        "{name}\nStatus: install ok installed\n{}\n\n",
        rest.trim_end()
    )
}

/// What a package's files in the database are called: packages that may be there for several
/// architectures have theirs in the name.
fn stem(control: &str) -> String {
    let field = |name: &str| {
        let value = control.lines().find_map(|line| line.strip_prefix(name));
        value.map_or("", str::trim)
    };
    match (field("Package:"), field("Multi-Arch:")) {
        (name, "same") => format!("{name}:{}", field("Architecture:")),
        (name, _) => name.to_owned(),
    }
}

const DATABASE: &str = "var/lib/dpkg";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_as_dpkg_does() {
        let check = |line: &str, expected: &str| {
            assert_eq!(listed(line).as_deref(), Some(expected), "{line}");
        };
        check("drwxr-xr-x root/root  0 2023-01-01 00:00 ./", "/.\n");
        check(
            "drwxr-xr-x root/root  0 2023-01-01 00:00 ./sbin/",
            "/sbin\n",
        );
        check(
            "lrwxrwxrwx root/root  0 2023-01-01 00:00 ./lib/a.so -> a.so.1",
            "/lib/a.so\n",
        );
    }

    #[test]
    fn a_package_is_recorded_as_installed() {
        let control = "Package: libc6\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2\n";
        let expected = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n\
                        Multi-Arch: same\nVersion: 2\n\n";
        assert_eq!(stanza(control), expected);
        assert_eq!(stem(control), "libc6:amd64");
        assert_eq!(stem("Package: sed\nMulti-Arch: foreign\n"), "sed");
    }
}
