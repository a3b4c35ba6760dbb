//! Damaged messages: no decoder panics on any, and what one still reads is a value that the
//! crate itself writes and reads again.

use scsi_pr::{
    BasicParameters, Capabilities, DecodeError, PrInCdb, PrOutCdb, ReadFullStatus, ReadKeys,
    ReadReservation, RegisterAndMoveParameters, Sense, TransportId,
};

use crate::fixtures::{LIO_ISCSI, LIO_LOOP, LIO_SENSE, SG_PERSIST_OUT, block, blocks};

/// Decodes; if that works, the value must survive another round. Counts the rounds.
fn round<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
    rounds: &mut usize,
) {
    if let Ok(value) = decode(bytes) {
        assert_eq!(
            decode(&encode(&value)).as_ref(),
            Ok(&value),
            "from {bytes:02x?}"
        );
        *rounds += 1;
    }
}

/// All decoders, whatever the bytes were meant to be.
fn decode_as_everything(bytes: &[u8], rounds: &mut usize) {
    round(
        bytes,
        PrInCdb::decode,
        |value| value.encode().to_vec(),
        rounds,
    );
    round(
        bytes,
        PrOutCdb::decode,
        |value| value.encode().to_vec(),
        rounds,
    );
    round(
        bytes,
        BasicParameters::decode,
        BasicParameters::encode,
        rounds,
    );
    round(
        bytes,
        RegisterAndMoveParameters::decode,
        RegisterAndMoveParameters::encode,
        rounds,
    );
    round(bytes, TransportId::decode, TransportId::encode, rounds);
    round(bytes, ReadKeys::decode, ReadKeys::encode, rounds);
    round(bytes, ReadKeys::decode_partial, ReadKeys::encode, rounds);
    round(
        bytes,
        ReadReservation::decode,
        ReadReservation::encode,
        rounds,
    );
    round(
        bytes,
        ReadReservation::decode_partial,
        ReadReservation::encode,
        rounds,
    );
    round(bytes, Capabilities::decode, Capabilities::encode, rounds);
    round(
        bytes,
        Capabilities::decode_partial,
        Capabilities::encode,
        rounds,
    );
    round(
        bytes,
        ReadFullStatus::decode,
        ReadFullStatus::encode,
        rounds,
    );
    round(
        bytes,
        ReadFullStatus::decode_partial,
        ReadFullStatus::encode,
        rounds,
    );
    round(bytes, Sense::decode, Sense::encode, rounds);
    round(bytes, Sense::decode_partial, Sense::encode, rounds);
}

/// Every message of every fixture.
fn messages() -> Vec<Vec<u8>> {
    let files = [LIO_LOOP, LIO_ISCSI, LIO_SENSE, SG_PERSIST_OUT];
    let blocks = files.into_iter().flat_map(blocks);
    let mut messages: Vec<_> = blocks.flat_map(|block| [block.cdb, block.bytes]).collect();
    messages.retain(|message| !message.is_empty());
    messages.sort();
    messages.dedup();
    assert!(messages.len() > 80, "{}", messages.len());
    messages
}

fn flip(mut message: Vec<u8>, masks: impl Iterator<Item = u8> + Clone, rounds: &mut usize) {
    for at in 0..message.len() {
        for mask in masks.clone() {
            message[at] ^= mask;
            decode_as_everything(&message, rounds);
            message[at] ^= mask;
        }
    }
}

/// Every other value of every byte, for one message of each kind.
#[test]
fn flipped_bytes() {
    let mut rounds = 0;
    for (file, name) in [
        (LIO_LOOP, "caps"),
        (LIO_LOOP, "three-keys"),
        (LIO_LOOP, "t5-resv"),
        (LIO_LOOP, "specipt-full"),
        (LIO_ISCSI, "preempt-abort-full"),
        (LIO_SENSE, "opcode"),
        (LIO_SENSE, "descriptor-opcode"),
        (SG_PERSIST_OUT, "reg-a1-aptpl"),
        (SG_PERSIST_OUT, "spec-fcp"),
        (SG_PERSIST_OUT, "spec-sbp"),
        (SG_PERSIST_OUT, "spec-iscsi-padded"),
        (SG_PERSIST_OUT, "spec-iscsi-port-a"),
        (SG_PERSIST_OUT, "move"),
    ] {
        let block = block(file, name);
        flip(block.cdb, 1..=u8::MAX, &mut rounds);
        flip(block.bytes, 1..=u8::MAX, &mut rounds);
    }
    assert!(rounds > 100_000, "{rounds}");
}

/// Every single bit of every captured message but the longest, which only repeat one descriptor.
#[test]
fn flipped_bits() {
    let mut rounds = 0;
    for message in messages()
        .into_iter()
        .filter(|message| message.len() <= 400)
    {
        flip(message, (0..8).map(|bit| 1 << bit), &mut rounds);
    }
    assert!(rounds > 50_000, "{rounds}");
}

/// Every truncation of every captured message, by every decoder.
#[test]
fn truncations() {
    let mut rounds = 0;
    for message in messages() {
        for length in 0..=message.len() {
            decode_as_everything(&message[..length], &mut rounds);
        }
    }
    assert!(rounds > 1000, "{rounds}");
}

/// Bytes out of thin air: xorshift with a fixed seed, biased towards small bytes so that length
/// fields are plausible.
#[test]
fn noise() {
    let mut state: u64 = 0x9e3779b97f4a7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    let mut rounds = 0;
    for _ in 0..20_000 {
        let [length, bytes @ ..] = next();
        let message: Vec<u8> = std::iter::repeat_with(&mut next)
            .flat_map(|[keep, value, ..]| [value & (keep >> 1 | keep << 1) & keep, bytes[0]])
            .take(usize::from(length))
            .collect();
        decode_as_everything(&message, &mut rounds);
    }
    assert!(rounds > 1000, "{rounds}");
}
