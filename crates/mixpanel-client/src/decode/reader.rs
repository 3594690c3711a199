//! What the decoders of events and of profiles have in common: reading one text, and the books of
//! a batch.

use super::batch::{Reject, RejectReason};
use super::names::{NameTable, Reserved};
use super::object::{Slot, read_object};
use super::properties::{ColumnPlan, Properties};
use super::scan::{Malformed, Scanner, Value};
use super::text::decode;

/// Text beyond which no batch goes, as 32-bit offsets end at 2 GiB. Callers cut far earlier.
const MAX_BATCH_BYTES: usize = i32::MAX as usize;
/// What a row takes besides its text; above the length of an insert id that had to be made.
const ROW_BYTES: usize = 64;
/// What a property name takes when it is new.
const NAME_BYTES: usize = 256;

/// Reads texts, and remembers the names of their properties.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) names: NameTable,
    /// The properties of the text that was read last.
    pub(crate) slots: Vec<Slot>,
    pub(crate) scratch: Vec<u8>,
}

/// The two members of an object that make it an event or a profile.
#[derive(Debug)]
pub(crate) struct Members {
    /// What stands for the whole: its value, and the offsets of its text.
    pub(crate) head: Option<(Value, usize, usize)>,
    /// Where the properties are.
    pub(crate) properties: Found,
}

/// What a text has as its properties.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// JSON null.
    Null,
    /// A value that is no object.
    Other,
    /// An object, by its offsets.
    Object(usize, usize),
}

impl Reader {
    pub(crate) fn new(reserved: Reserved) -> Self {
        Self { names: NameTable::new(reserved), slots: Vec::new(), scratch: Vec::new() }
    }

    /// Reads and checks a whole text: what its first members of these two names are. Its properties
    /// are in `slots` afterwards. A text that is no object has neither.
    pub(crate) fn members(
        &mut self,
        text: &[u8],
        head: &[u8],
        properties: &[u8],
    ) -> Result<Members, RejectReason> {
        let mut scanner = Scanner::new(text);
        let members = match self.read_members(&mut scanner, head, properties) {
            Ok(members) if scanner.at_end() => members,
            _ if std::str::from_utf8(text).is_err() => return Err(RejectReason::NotUtf8),
            _ => return Err(RejectReason::NotJson),
        };
        if scanner.lone_surrogate() { Err(RejectReason::LoneSurrogate) } else { Ok(members) }
    }

    fn read_members(
        &mut self,
        scanner: &mut Scanner<'_>,
        head: &[u8],
        properties: &[u8],
    ) -> Result<Members, Malformed> {
        let mut found = Members { head: None, properties: Found::Missing };
        if scanner.peek() != b'{' {
            scanner.other_value(0)?;
            return Ok(found);
        }
        scanner.eat(b'{');
        if scanner.eat(b'}') {
            return Ok(found);
        }
        loop {
            let key = scanner.key()?;
            let mut member = scanner.bytes(key.start, key.end);
            if key.escaped {
                self.scratch.clear();
                decode(member, true, &mut self.scratch);
                member = b"";
            }
            let member = if key.escaped { &self.scratch[..] } else { member };
            let (is_head, is_properties) = (member == head, member == properties);
            let is_first = is_properties && matches!(found.properties, Found::Missing);
            if is_first && scanner.peek() == b'{' {
                let start = scanner.at();
                read_object(scanner, 1, &mut self.names, &mut self.scratch, &mut self.slots)?;
                found.properties = Found::Object(start, scanner.at());
            } else {
                let value = scanner.other_value(1)?;
                if is_head && found.head.is_none() {
                    found.head = Some(value);
                } else if is_first {
                    found.properties = if value.0 == Value::Null { Found::Null } else { Found::Other };
                }
            }
            if !scanner.another(b'}')? {
                return Ok(found);
            }
        }
    }

    /// Reads the text of a properties object; gives its offsets, white space aside.
    pub(crate) fn properties(&mut self, text: &[u8]) -> Result<(usize, usize), RejectReason> {
        if std::str::from_utf8(text).is_err() {
            return Err(RejectReason::NotUtf8);
        }
        let mut scanner = Scanner::new(text);
        if scanner.peek() != b'{' {
            return Err(RejectReason::NoProperties);
        }
        let start = scanner.at();
        read_object(&mut scanner, 1, &mut self.names, &mut self.scratch, &mut self.slots)
            .map_err(|Malformed| RejectReason::NotJson)?;
        let end = scanner.at();
        if !scanner.at_end() {
            return Err(RejectReason::NotJson);
        }
        if scanner.lone_surrogate() { Err(RejectReason::LoneSurrogate) } else { Ok((start, end)) }
    }
}

/// The books of a batch, apart from its columns.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) rejects: Vec<Reject>,
    pub(crate) lines: u64,
    /// About how much memory the batch takes.
    pub(crate) bytes: usize,
    next_plan: Option<ColumnPlan>,
}

impl Books {
    /// Whether a text of this length still fits.
    pub(crate) fn check_room(&self, text: &[u8]) -> Result<(), RejectReason> {
        let full = self.bytes.saturating_add(text.len()) > MAX_BATCH_BYTES - ROW_BYTES;
        if full { Err(RejectReason::TooLong) } else { Ok(()) }
    }

    /// Takes note of a text that became a row, or did not.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        outcome: Result<(), RejectReason>,
        line: u64,
        text: &[u8],
        beside: usize,
        new_names: usize,
    ) {
        self.bytes += new_names * NAME_BYTES;
        match outcome {
            Ok(()) => {
                self.lines += 1;
                self.bytes += text.len() + beside + ROW_BYTES;
            }
            Err(reason) => self.reject(line, reason, text),
        }
    }

    #[cold]
    pub(crate) fn reject(&mut self, line: u64, reason: RejectReason, head: &[u8]) {
        let reject = Reject::new(line, reason, head);
        self.lines += 1;
        self.bytes += reject.bytes.len() + ROW_BYTES;
        self.rejects.push(reject);
    }

    /// Sets which properties become columns: at once in a batch without rows, or else in the next.
    pub(crate) fn set_plan(
        &mut self,
        plan: ColumnPlan,
        rows: usize,
        properties: &mut Properties,
        names: &mut NameTable,
    ) {
        if rows == 0 {
            *properties = Properties::new(&plan, names);
        } else {
            self.next_plan = Some(plan);
        }
    }

    /// Takes rejects and the count of lines out, and starts the next batch.
    pub(crate) fn close(&mut self, properties: &mut Properties, names: &mut NameTable) -> (Vec<Reject>, u64) {
        if let Some(plan) = self.next_plan.take() {
            *properties = Properties::new(&plan, names);
        }
        self.bytes = 0;
        (std::mem::take(&mut self.rejects), std::mem::take(&mut self.lines))
    }
}
