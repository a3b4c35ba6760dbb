//! Reads the fixture files: blocks of hex, each under a `[name]`, `#` starts a comment line.

/// One block of a fixture file.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: &'static str,
    /// The line that begins with `cdb`, if any.
    pub(crate) cdb: Vec<u8>,
    /// All other lines.
    pub(crate) bytes: Vec<u8>,
}

/// Answers of Linux' target over tcm_loop: SAS TransportIDs.
pub(crate) const LIO_LOOP: &str = include_str!("../fixtures/lio-loop.hex");
/// Answers of Linux' target over iSCSI.
pub(crate) const LIO_ISCSI: &str = include_str!("../fixtures/lio-iscsi.hex");
/// Its sense data.
pub(crate) const LIO_SENSE: &str = include_str!("../fixtures/lio-sense.hex");
/// What sg_persist sends.
pub(crate) const SG_PERSIST_OUT: &str = include_str!("../fixtures/sg_persist-out.hex");

/// All blocks of a file.
pub(crate) fn blocks(file: &'static str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').expect("a name in brackets");
            blocks.push(Block {
                name,
                cdb: Vec::new(),
                bytes: Vec::new(),
            });
            continue;
        }
        let block = blocks
            .last_mut()
            .expect("a name before the first line of hex");
        match line.strip_prefix("cdb ") {
            Some(hex) => block.cdb.extend(parse_hex(hex)),
            None => block.bytes.extend(parse_hex(line)),
        }
    }
    assert!(!blocks.is_empty());
    blocks
}

/// The block of this name.
pub(crate) fn block(file: &'static str, name: &str) -> Block {
    let found = blocks(file).into_iter().find(|block| block.name == name);
    found.unwrap_or_else(|| panic!("no block [{name}]"))
}

/// Bytes in hex, separated by blanks.
pub(crate) fn parse_hex(text: &str) -> impl Iterator<Item = u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits"))
}
