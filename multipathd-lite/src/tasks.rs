//! What the loop has others do: whatever may wait for a device or for the kernel.

/// Something to be done, apart from the loop.
#[derive(Debug)]
pub enum Task {}
