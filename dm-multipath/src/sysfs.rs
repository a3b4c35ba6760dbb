//! Reading sysfs: small files, and the folders a device's folder is in.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The text of an attribute without the blanks around it; `None` if there is no such
/// attribute, the driver does not know its value, or the device is going away.
pub(crate) fn text(path: &Path) -> Option<String> {
    let text = required_text(path).ok()?;
    // What the kernel's printf makes of a null pointer.
    (!text.is_empty() && text != "(null)").then_some(text)
}

/// The text of an attribute that every such device has.
pub(crate) fn required_text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(path)?)
        .trim_matches(['\0', ' ', '\t', '\n'])
        .to_owned())
}

/// The bytes of an attribute.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut first = [0; USUAL];
    let length = loop {
        match file.read(&mut first) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    let mut bytes = first.get(..length).unwrap_or_default().to_vec();
    // What does not fill the room is all there is: the kernel gives as much as it can at once.
    if length == USUAL {
        file.take(MAX_ATTRIBUTE - USUAL as u64)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// A number in hexadecimal with `0x` before it, as ports' names are written.
pub(crate) fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The nearest folder that `path` is in and whose name is `prefix` and a number or address,
/// such as `host3` or `rport-3:0-1`.
pub(crate) fn ancestor<'a>(path: &'a Path, prefix: &str) -> Option<&'a Path> {
    path.ancestors().find(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(prefix))
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    })
}

/// The folder of a device in one of its classes, which lies in the device's own folder:
/// `…/host3` and `fc_host` give `…/host3/fc_host/host3`.
pub(crate) fn class_folder(device: &Path, class: &str) -> Option<PathBuf> {
    Some(device.join(class).join(device.file_name()?))
}

/// What is in a folder, the names sorted; not more than the first [`MAX_ENTRIES`] read.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .take(MAX_ENTRIES)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort_unstable();
    paths
}

/// Nearly all attributes are shorter. Some are read for each path every few seconds, so that a
/// second system call which says that this was the end would count.
const USUAL: usize = 128;
/// Pages of vital product data have a 16-bit length behind a head of 4 bytes; all other
/// attributes are at most a page of memory.
const MAX_ATTRIBUTE: u64 = 4 + 0xffff;
/// More than a port has phys or a machine has loopback targets.
const MAX_ENTRIES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_any_length_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attribute");
        for length in [0, 1, USUAL - 1, USUAL, USUAL + 1, 4 * USUAL] {
            let written: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            fs::write(&path, &written).unwrap();
            assert_eq!(bytes(&path).unwrap(), written);
        }
    }
}
