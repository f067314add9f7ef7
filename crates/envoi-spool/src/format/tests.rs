#![allow(clippy::cast_possible_truncation, reason = "small test data")]

use proptest::prelude::*;

use super::*;

fn segment() -> SegmentHeader {
    SegmentHeader {
        features: 0,
        id: 7,
        base_seq: 41,
        created_ms: 1_800_000_000_000,
        salt: 0xDEAD_BEEF,
        uuid: [9; 16],
    }
}

#[test]
fn a_segment_header_is_read_from_either_copy() {
    let mut file = [segment().encode(), segment().encode()].concat();
    assert_eq!(SegmentHeader::decode_either(&file), Ok(segment()));
    file[..64].fill(0);
    assert_eq!(SegmentHeader::decode_either(&file), Ok(segment()));
    file[64..].fill(0);
    assert_eq!(SegmentHeader::decode_either(&file), Err(HeaderError::Damaged));
    assert_eq!(SegmentHeader::decode_either(&[]), Err(HeaderError::Damaged));
}

#[test]
fn a_newer_version_and_unknown_features_are_refused_by_name() {
    let mut bytes = segment().encode();
    bytes[8] = 2;
    let sum = crc(0, &bytes[..60]);
    bytes[60..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Version(2)));
    let features = SegmentHeader { features: 0x10, ..segment() }.encode();
    assert_eq!(SegmentHeader::decode(&features), Err(HeaderError::Features(0x10)));
}

fn frame(meta: &[u8], payload: &[u8], salt: u32, id: u64) -> Vec<u8> {
    let head = FrameHead {
        payload_len: payload.len() as u32,
        payload_crc: payload_crc(salt, [payload]),
        seq: 3,
        enqueued_ms: 12,
        meta_len: meta.len() as u16,
        kind: KIND_DATA,
        flags: 0,
    };
    let mut out = Vec::new();
    encode_head(&mut out, &head, meta, segment_salt(salt, id));
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
    assert_eq!(out.len() as u64, head.len_on_disk());
    out
}

#[test]
fn a_frame_of_another_spool_or_segment_does_not_validate() {
    let bytes = frame(b"meta", b"payload", 1, 1);
    assert!(FrameHead::decode(&bytes, segment_salt(1, 1)).is_some());
    assert!(FrameHead::decode(&bytes, segment_salt(2, 1)).is_none());
    assert!(FrameHead::decode(&bytes, segment_salt(1, 2)).is_none());
}

proptest! {
    #[test]
    fn frames_round_trip_and_any_flipped_header_bit_is_seen(
        meta in proptest::collection::vec(any::<u8>(), 0..200),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        salt: u32, id: u64, bit in 0_usize..8, at: proptest::sample::Index,
    ) {
        let mut bytes = frame(&meta, &payload, salt, id);
        let (head, seen) = FrameHead::decode(&bytes, segment_salt(salt, id)).unwrap();
        prop_assert_eq!(seen, &meta[..]);
        let start = head.payload_offset() as usize;
        prop_assert_eq!(&bytes[start..start + payload.len()], &payload[..]);
        prop_assert_eq!(head.payload_crc, payload_crc(salt, [&payload[..]]));
        bytes[at.index(start)] ^= 1 << bit;
        prop_assert!(FrameHead::decode(&bytes, segment_salt(salt, id)).is_none());
    }

    #[test]
    fn acks_round_trip_and_a_flipped_bit_is_seen(seq in 0_u64..1 << 56, kind in 1_u8..=8, at in 1_577_836_800_u64..5_000_000_000, salt: u32, bit in 0_usize..128) {
        let kind = [AckKind::Delivered, AckKind::Evicted, AckKind::Rejected, AckKind::Expired, AckKind::Corrupt, AckKind::Void, AckKind::Attempt, AckKind::Superseded][usize::from(kind) - 1];
        let entry = AckEntry { seq, kind, at };
        let mut bytes = entry.encode(salt);
        prop_assert_eq!(AckEntry::decode(&bytes, salt), Some(entry));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(AckEntry::decode(&bytes, salt), None);
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), salt: u32) {
        let _ = SegmentHeader::decode_either(&bytes);
        let _ = SpoolHeader::decode(&bytes);
        let _ = FrameHead::decode(&bytes, salt);
        let _ = AckEntry::decode(&bytes, salt);
    }
}

#[test]
fn the_spool_file_round_trips() {
    let header = SpoolHeader { features: 0, uuid: [3; 16], salt: 5, created_ms: 77 };
    assert_eq!(SpoolHeader::decode(&header.encode()), Ok(header));
    assert_eq!(SpoolHeader::decode(&header.encode()[..63]), Err(HeaderError::Damaged));
}
