//! Device numbers, the names the kernel itself uses for block devices.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A block device's number, written `8:16`.
///
/// In the kernel a major number has 12 and a minor number 20 bits (`MINORBITS` in
/// `include/linux/kdev_t.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The driver's number.
    pub major: u32,
    /// The number of the device among those of its driver.
    pub minor: u32,
}

impl DeviceNumber {
    /// A device number from its parts.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From the 64-bit form of `stat(2)` (`st_rdev`).
    pub fn from_rdev(rdev: u64) -> Self {
        Self {
            major: libc::major(rdev),
            minor: libc::minor(rdev),
        }
    }

    /// From the form used in device-mapper's structures (`huge_encode_dev()` of
    /// `include/linux/kdev_t.h`).
    #[allow(clippy::cast_possible_truncation, reason = "masked to 12 and 20 bits")]
    pub const fn from_kernel(dev: u64) -> Self {
        Self {
            major: ((dev & 0xf_ff00) >> 8) as u32,
            minor: ((dev & 0xff) | ((dev >> 12) & 0xf_ff00)) as u32,
        }
    }

    /// To the form used in device-mapper's structures; the inverse of
    /// [`from_kernel`](Self::from_kernel). `None` if a part has too many bits.
    pub const fn to_kernel(self) -> Option<u64> {
        if self.major > MAX_MAJOR || self.minor > MAX_MINOR {
            return None;
        }
        let (major, minor) = (self.major as u64, self.minor as u64);
        Some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for DeviceNumber {
    type Err = ParseDeviceNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text
            .split_once(':')
            .ok_or(ParseDeviceNumberError::NoColon)?;
        let part = |text: &str, max: u32| {
            if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(ParseDeviceNumberError::NotDigits);
            }
            let number = text.parse().map_err(ParseDeviceNumberError::Number)?;
            if number > max {
                Err(ParseDeviceNumberError::TooLarge { max })
            } else {
                Ok(number)
            }
        };
        Ok(Self {
            major: part(major, MAX_MAJOR)?,
            minor: part(minor, MAX_MINOR)?,
        })
    }
}

/// Why a text is not a device number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDeviceNumberError {
    /// There is no colon between two numbers.
    #[error("no colon, expected MAJOR:MINOR")]
    NoColon,
    /// A part has something else than decimal digits, such as a sign.
    #[error("expected decimal digits, as in MAJOR:MINOR")]
    NotDigits,
    /// A part is empty or has far too many digits.
    #[error("not a number, expected MAJOR:MINOR")]
    Number(#[source] ParseIntError),
    /// A part has more bits than the kernel gives it.
    #[error("number above the kernel's limit of {max}")]
    TooLarge {
        /// The largest number allowed there.
        max: u32,
    },
}

/// 12 bits (`include/linux/kdev_t.h`).
const MAX_MAJOR: u32 = (1 << 12) - 1;
/// 20 bits (`include/linux/kdev_t.h`).
const MAX_MINOR: u32 = (1 << 20) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
        for text in ["8:16", "0:0", "253:300", "4095:1048575"] {
            assert_eq!(text.parse::<DeviceNumber>().unwrap().to_string(), text);
        }
        for text in [
            "", ":", "8", "8:", ":8", "8:16:1", "-8:1", "+8:1", "8:1 ", "a:b",
        ] {
            text.parse::<DeviceNumber>().unwrap_err();
        }
        for text in ["4096:0", "0:1048576", "0:99999999999999999999"] {
            text.parse::<DeviceNumber>().unwrap_err();
        }
    }

    #[test]
    fn kernel_form_keeps_every_bit() {
        for major in [0, 1, 8, 253, 254, 255, 256, 4095] {
            for minor in [0, 1, 16, 255, 256, 257, 0xfffff] {
                let device = DeviceNumber::new(major, minor);
                assert_eq!(
                    DeviceNumber::from_kernel(device.to_kernel().unwrap()),
                    device
                );
                assert_eq!(DeviceNumber::from_rdev(libc::makedev(major, minor)), device);
            }
        }
        assert_eq!(DeviceNumber::new(253, 300).to_kernel(), Some(0x10_fd2c));
        assert_eq!(DeviceNumber::new(4096, 0).to_kernel(), None);
    }
}
