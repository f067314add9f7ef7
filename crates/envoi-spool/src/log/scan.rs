//! What is in a segment: one pass, bounded memory, every step forward (OC-5).

use std::io;

use super::types::{MAX_SEGMENT, Seq};
use super::window::Window;
use crate::format::{
    DATA_OFFSET, FRAME_HEAD_LEN, FRAME_MAGIC, FrameHead, HeaderError, SegmentHeader, payload_crc,
    segment_salt,
};
use crate::fs::FsFile;

/// How good a frame is; its header is always intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The payload was not looked at.
    Unchecked,
    Good,
    BadPayload,
    /// The file ends before the payload does.
    Torn,
}

impl State {
    pub(crate) const fn is_lost(self) -> bool {
        matches!(self, Self::BadPayload | Self::Torn)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) head: FrameHead,
    pub(crate) meta: Box<[u8]>,
    pub(crate) state: State,
}

impl Frame {
    fn payload_at(&self) -> u64 {
        self.at + self.head.payload_offset()
    }

    pub(crate) fn end(&self) -> u64 {
        self.at + self.head.len_on_disk()
    }
}

/// What comes after the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    Clean,
    /// Zeros from here on.
    Unused(u64),
    /// From here on something that is no frame.
    Torn(u64),
}

#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) header: Result<SegmentHeader, HeaderError>,
    pub(crate) len: u64,
    /// In the order of the file.
    pub(crate) frames: Vec<Frame>,
    /// Ranges that hold no readable record, the torn tail left out.
    pub(crate) damage: Vec<(u64, u64)>,
    pub(crate) tail: Tail,
    /// The device failed; what is behind that point was not looked at.
    pub(crate) failed: Option<io::Error>,
}

/// Reads the head of a segment.
pub(crate) fn header<F: FsFile>(file: &F, len: u64) -> io::Result<Result<SegmentHeader, HeaderError>> {
    let mut window = Window::new(file, len);
    window.stride(u64::MAX);
    let bytes = window.get(0, 2 * crate::format::SEGMENT_HEADER_LEN)?;
    Ok(SegmentHeader::decode_either(bytes))
}

/// Scans segment `id`. `check` looks at every payload, too; else only at those next to damage.
pub(crate) fn scan<F: FsFile>(file: &F, len: u64, id: u64, salt: u32, check: bool) -> Scan {
    let mut scan = Scan {
        header: Err(HeaderError::Damaged),
        len,
        frames: Vec::new(),
        damage: Vec::new(),
        tail: Tail::Clean,
        failed: None,
    };
    match header(file, len) {
        Ok(header) => scan.header = header,
        Err(error) => {
            scan.failed = Some(error);
            return scan;
        }
    }
    let mut pass = Pass { window: Window::new(file, len), salt, seed: segment_salt(salt, id), check };
    if let Err(error) = pass.run(&mut scan) {
        scan.failed = Some(error);
    }
    scan
}

struct Pass<'a, F> {
    window: Window<'a, F>,
    salt: u32,
    seed: u32,
    check: bool,
}

impl<F: FsFile> Pass<'_, F> {
    fn run(&mut self, scan: &mut Scan) -> io::Result<()> {
        let len = self.window.len();
        // With both headers gone the frames may have moved, too.
        let mut pos = if scan.header.is_ok() { DATA_OFFSET } else { 0 };
        // The last payload is always looked at: if bytes are missing in it, it may cover what comes behind it.
        while pos < len || scan.frames.last().is_some_and(|last| last.state == State::Unchecked) {
            if let Some(mut frame) = self.frame(pos)? {
                if frame.payload_at() + u64::from(frame.head.payload_len) > len {
                    frame.state = State::Torn;
                } else if self.check {
                    frame.state = self.payload(&frame)?;
                }
                self.window.stride(frame.head.len_on_disk());
                pos = frame.end();
                let lost = frame.state.is_lost();
                scan.frames.push(frame);
                if !lost || (pos < len && self.frame(pos)?.is_some()) {
                    if let Some(frame) = scan.frames.last().filter(|_| lost) {
                        scan.damage.push((frame.at, pos));
                    }
                    continue;
                }
            }
            // No frame where one should be, or a bad one with nothing sound behind it. If the last payload is bad, bytes
            // may be missing in it, and then the next frame begins before this point.
            let mut from = pos;
            if let Some(last) = scan.frames.last().filter(|last| last.end() == pos) {
                let state = if last.state == State::Unchecked { self.payload(last)? } else { last.state };
                if state.is_lost() {
                    from = last.payload_at();
                }
                if let Some(last) = scan.frames.last_mut() {
                    last.state = state;
                }
            }
            let begin = match scan.frames.last() {
                Some(last) if last.end() == pos && last.state.is_lost() => last.at,
                _ => pos,
            };
            match self.search(from)? {
                Some(next) => {
                    scan.damage.push((begin, next));
                    pos = next;
                }
                None => {
                    if begin < pos {
                        scan.damage.push((begin, pos.min(len)));
                    }
                    scan.tail = self.tail(pos)?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The frame at `at`, if there is one.
    fn frame(&mut self, at: u64) -> io::Result<Option<Frame>> {
        let Some(peek) = FrameHead::peek(self.window.get(at, FRAME_HEAD_LEN)?) else { return Ok(None) };
        if u64::from(peek.payload_len) > MAX_SEGMENT || peek.seq == 0 || peek.seq > Seq::MAX.0 {
            return Ok(None);
        }
        let bytes = self.window.get(at, FRAME_HEAD_LEN + usize::from(peek.meta_len))?;
        Ok(FrameHead::decode(bytes, self.seed).and_then(|(head, meta)| {
            // The index has 32 bits for an offset.
            let frame = Frame { at, head, meta: meta.into(), state: State::Unchecked };
            (frame.end() <= u64::from(u32::MAX)).then_some(frame)
        }))
    }

    fn payload(&mut self, frame: &Frame) -> io::Result<State> {
        let (mut at, mut left) = (frame.payload_at(), frame.head.payload_len as usize);
        let mut sum = self.salt;
        while left > 0 {
            let bytes = self.window.run(at, 1)?;
            let bytes = &bytes[..bytes.len().min(left)];
            if bytes.is_empty() {
                return Ok(State::Torn);
            }
            sum = payload_crc(sum, [bytes]);
            at += bytes.len() as u64;
            left -= bytes.len();
        }
        Ok(if sum == frame.head.payload_crc { State::Good } else { State::BadPayload })
    }

    /// The next frame at any byte from `at` on.
    fn search(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        let magic = FRAME_MAGIC.to_le_bytes();
        loop {
            let bytes = self.window.run(at, FRAME_HEAD_LEN)?;
            if bytes.len() < FRAME_HEAD_LEN {
                return Ok(None);
            }
            match bytes.windows(magic.len()).position(|window| window == magic) {
                Some(found) => {
                    at += found as u64;
                    if self.frame(at)?.is_some() {
                        return Ok(Some(at));
                    }
                    at += 1;
                }
                None => at += (bytes.len() - (magic.len() - 1)) as u64,
            }
        }
    }

    fn tail(&mut self, from: u64) -> io::Result<Tail> {
        let mut at = from;
        while at < self.window.len() {
            let bytes = self.window.run(at, 1)?;
            if bytes.is_empty() {
                break;
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(Tail::Torn(from));
            }
            at += bytes.len() as u64;
        }
        Ok(if from < self.window.len() { Tail::Unused(from) } else { Tail::Clean })
    }
}
