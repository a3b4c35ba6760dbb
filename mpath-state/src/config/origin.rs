//! Where a value comes from, for whoever wonders why it is what it is.

use std::fmt;
use std::path::PathBuf;

/// A value in force and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    pub(super) const fn built_in(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting {
            value: change(self.value),
            origin: self.origin,
        }
    }

    pub(super) const fn is_of_map_or_overrides(&self) -> bool {
        matches!(
            &self.origin,
            Origin::File {
                section: Section::Multipath { .. } | Section::Overrides,
                ..
            }
        )
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is configured: it is built in.
    Default,
    /// A line of a file.
    File {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The section that the line is in.
        section: Section,
    },
}

/// A section of the configuration that can hold values for a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// `defaults`
    Defaults,
    /// `device` in `devices`, with its patterns
    Device {
        /// The pattern for the vendor.
        vendor: String,
        /// The pattern for the product.
        product: String,
    },
    /// `overrides`
    Overrides,
    /// `protocol` in `overrides`
    Protocol {
        /// The protocol it is for.
        protocol: String,
    },
    /// `multipath` in `multipaths`
    Multipath {
        /// The map it is for.
        wwid: String,
    },
}

/// `built in`, or `/etc/multipath.conf:3 (defaults)`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built in"),
            Self::File {
                file,
                line,
                section,
            } => {
                write!(f, "{}:{line} ({section})", file.display())
            }
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::Device { vendor, product } => write!(f, "device {vendor} {product}"),
            Self::Overrides => f.write_str("overrides"),
            Self::Protocol { protocol } => write!(f, "overrides, protocol {protocol}"),
            Self::Multipath { wwid } => write!(f, "multipath {wwid}"),
        }
    }
}
