//! The Linux kernel's view of multipath.
