//! Finds the compressed kernel proper in an x86 boot image (bzImage), by the header that the
//! kernel's Documentation/arch/x86/boot.rst describes.

/// The compressed ELF file in it; four bytes of its length follow the compressed stream.
#[must_use]
pub fn payload(image: &[u8]) -> Option<&[u8]> {
    if image.get(HEADER_MAGIC..HEADER_MAGIC + 4)? != b"HdrS" {
        return None;
    }
    // Sectors of 512 bytes of real-mode code, not counting the boot sector.
    let real_mode = (usize::from(*image.get(SETUP_SECTORS)?) + 1) * 512;
    let start = real_mode + read_u32(image, PAYLOAD_OFFSET)?;
    image.get(start..start + read_u32(image, PAYLOAD_LENGTH)?)
}

fn read_u32(image: &[u8], offset: usize) -> Option<usize> {
    let bytes = image.get(offset..offset + 4)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

const SETUP_SECTORS: usize = 0x1f1;
const HEADER_MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

#[cfg(test)]
mod tests {
    use super::*;

    /// One sector of real-mode code behind the boot sector, then "ab", then a payload.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[SETUP_SECTORS] = 1;
        image[HEADER_MAGIC..HEADER_MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 2;
        image[PAYLOAD_LENGTH] = 7;
        image.extend_from_slice(b"abPAYLOADxyz");
        image
    }

    #[test]
    fn the_payload_is_where_the_header_says() {
        assert_eq!(payload(&image()), Some(&b"PAYLOAD"[..]));
    }

    #[test]
    fn what_is_cut_or_something_else_has_none() {
        assert_eq!(payload(&image()[..1030]), None);
        assert_eq!(payload(b"short"), None);
        let mut other = image();
        other[HEADER_MAGIC] = 0;
        assert_eq!(payload(&other), None);
    }
}
