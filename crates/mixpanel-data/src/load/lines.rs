//! A file as pieces of lines that an export could have: what the reading thread does.

use std::io::Read;

use bytes::Bytes;
use mixpanel_client::export::{Line, LineBlock, Lines, RejectReason};

use super::array::Elements;
use super::csv::{ENDLESS, Header, Records};
use super::fault::Fault;
use super::input::{Failure, Input};
use super::recognise::{Found, LoadFormat};
use super::records::{is_whole, write_export};

/// A piece has about so many bytes.
const PIECE: usize = 512 << 10;

/// Lines on their way to the decoder.
pub(super) enum Piece {
    /// As they are in the file.
    Lines(LineBlock),
    /// Cut out of it, or made from it.
    Cut(Cut),
}

/// Lines that were cut out of something or made from it, each with its number.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) text: Vec<u8>,
    lines: Vec<(u64, usize, Option<RejectReason>)>,
}

impl Cut {
    /// Adds a line; a refused one with the reason.
    pub(super) fn add(&mut self, number: u64, line: &[u8], refused: Option<RejectReason>) {
        self.text.extend_from_slice(line);
        self.close(number, refused);
    }

    /// Makes what was appended to the text a line.
    pub(super) fn close(&mut self, number: u64, refused: Option<RejectReason>) {
        self.lines.push((number, self.text.len(), refused));
    }

    /// The lines: number, text, and why it is refused if it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8], Option<RejectReason>)> {
        let ends = self.lines.iter();
        ends.scan(0, move |start, (number, end, refused)| {
            let line = &self.text[*start..*end];
            *start = *end;
            Some((*number, line, *refused))
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= PIECE
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.lines.len() * size_of::<(u64, usize, Option<RejectReason>)>()
    }
}

impl Piece {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Piece::Lines(block) => block.bytes() as usize,
            Piece::Cut(cut) => cut.bytes(),
        }
    }

    /// The lines, with their numbers.
    pub(super) fn lines(&self) -> Box<dyn Iterator<Item = (u64, &[u8], Option<RejectReason>)> + '_> {
        match self {
            Piece::Lines(block) => Box::new(block.lines().map(|(number, line)| match line {
                Line::Data(line) => (number, line, None),
                Line::Oversized { head, .. } => (number, head, Some(RejectReason::TooLong)),
            })),
            Piece::Cut(cut) => Box::new(cut.iter()),
        }
    }
}

/// Reads a file to its end, and hands out pieces. `send` says whether anybody still wants them.
pub(super) fn read(input: Input, found: &Found, send: &mut dyn FnMut(Piece) -> bool) -> Result<(), Fault> {
    match found {
        Found::Nothing => Ok(()),
        Found::Lines(format) => read_lines(input, *format, send),
        Found::Array(format) => read_array(input, *format, send),
        Found::Csv(header) => read_csv(input, header, send),
    }
}

/// Blocks that end with a line feed, whether the file does or not.
struct Ended {
    input: Input,
    last: u8,
    /// Whether the last line feed is not the file's.
    added: bool,
}

impl Iterator for Ended {
    type Item = mixpanel_client::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.added {
            return None;
        }
        match self.input.next() {
            Some(Ok(block)) => {
                self.last = block.last().copied().unwrap_or(self.last);
                Some(Ok(block))
            }
            None if self.last != b'\n' => {
                self.added = true;
                Some(Ok(Bytes::from_static(b"\n")))
            }
            other => other,
        }
    }
}

fn read_lines(input: Input, format: LoadFormat, send: &mut dyn FnMut(Piece) -> bool) -> Result<(), Fault> {
    let failure = input.failure();
    let mut lines = Lines::new(Ended { input, last: b'\n', added: false });
    loop {
        let block = match lines.next() {
            None => return Ok(()),
            Some(Ok(block)) => block,
            Some(Err(error)) => return Err(failure.of(&error, lines.lines_seen())),
        };
        if lines.get_ref().added {
            check_last(&block)?;
        }
        let piece = match format {
            LoadFormat::Records => Piece::Cut(of_records(Piece::Lines(block).lines())),
            _ => Piece::Lines(block),
        };
        if !send(piece) {
            return Err(Fault::Cancelled);
        }
    }
}

/// Checks the last line of a file that does not end with a line feed: it may be cut.
fn check_last(block: &LineBlock) -> Result<(), Fault> {
    match block.lines().last() {
        Some((number, Line::Data(line))) if !is_whole(line) => {
            Err(Fault::line(number, "the file stops in the middle of this line: it is cut"))
        }
        _ => Ok(()),
    }
}

/// Records as lines of an export. What is no record stays what it is: the decoder says why it is no
/// event.
fn of_records<'a>(lines: impl Iterator<Item = (u64, &'a [u8], Option<RejectReason>)>) -> Cut {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut cut = Cut::default();
    for (number, line, refused) in lines {
        let line = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if refused.is_none() && write_export(line, &mut cut.text) {
            cut.close(number, None);
        } else {
            cut.add(number, line, refused);
        }
    }
    cut
}

fn read_array(
    mut input: Input,
    format: LoadFormat,
    send: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), Fault> {
    let failure = input.failure();
    let mut elements = Elements::new();
    let mut cut = Cut::default();
    loop {
        let block = match input.next() {
            None => break,
            Some(Ok(block)) => block,
            Some(Err(error)) => return Err(failure.of(&error, 0)),
        };
        elements.take(&block, &mut cut)?;
        if cut.is_full() && !send(element_piece(std::mem::take(&mut cut), format)) {
            return Err(Fault::Cancelled);
        }
    }
    elements.end()?;
    if send(element_piece(cut, format)) { Ok(()) } else { Err(Fault::Cancelled) }
}

fn element_piece(cut: Cut, format: LoadFormat) -> Piece {
    match format {
        LoadFormat::Records => Piece::Cut(of_records(cut.iter())),
        _ => Piece::Cut(cut),
    }
}

fn read_csv(input: Input, header: &Header, send: &mut dyn FnMut(Piece) -> bool) -> Result<(), Fault> {
    let failure = input.failure();
    let input = Ended { input, last: b'\n', added: false };
    let mut records = Records::new(header, Bytewise { input, failure: &failure, rest: Bytes::new() });
    let mut cut = Cut::default();
    loop {
        match records.next(&mut cut.text) {
            Ok(Some((line, written))) => cut.close(line, written.err()),
            Ok(None) => break,
            Err(error) => return Err(of_io(error, records.line())),
        }
        if cut.is_full() && !send(Piece::Cut(std::mem::take(&mut cut))) {
            return Err(Fault::Cancelled);
        }
    }
    if send(Piece::Cut(cut)) { Ok(()) } else { Err(Fault::Cancelled) }
}

/// What stopped the reading of a CSV file.
fn of_io(error: std::io::Error, line: u64) -> Fault {
    match error.downcast::<Passed>() {
        Ok(Passed(fault)) => fault,
        Err(error) if error.to_string() == ENDLESS => Fault::line(line, ENDLESS),
        Err(error) => Fault::Read(error),
    }
}

/// A fault on its way through code that knows only errors of reading.
#[derive(Debug)]
struct Passed(Fault);

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the file cannot be read")
    }
}

impl std::error::Error for Passed {}

/// Blocks as something to read from.
struct Bytewise<'a> {
    input: Ended,
    failure: &'a Failure,
    rest: Bytes,
}

impl Read for Bytewise<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.input.next() {
                None => return Ok(0),
                Some(Ok(block)) => self.rest = block,
                Some(Err(error)) => {
                    return Err(std::io::Error::other(Passed(self.failure.of(&error, 0))));
                }
            }
        }
        let count = into.len().min(self.rest.len());
        into[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
