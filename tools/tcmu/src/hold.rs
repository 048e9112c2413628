// SPDX-License-Identifier: GPL-2.0
//! Rules about commands to come, and the commands that a rule has kept back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use crate::ring::Command;
use crate::scsi;

/// Which commands a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One operation code.
    Opcode(u8),
    /// READ of any length.
    Read,
    /// WRITE of any length.
    Write,
    /// Every command.
    All,
}

impl Selector {
    /// Whether a command with this operation code is meant.
    pub fn matches(self, opcode: u8) -> bool {
        match self {
            Self::Opcode(wanted) => wanted == opcode,
            Self::Read => scsi::is_read(opcode),
            Self::Write => scsi::is_write(opcode),
            Self::All => true,
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("opcode=").unwrap_or(text) {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "all" => Ok(Self::All),
            number => match parse_number(number).map(u8::try_from) {
                Some(Ok(opcode)) => Ok(Self::Opcode(opcode)),
                _ => Err(format!(
                    "{text:?} is none of opcode=NUMBER, read, write, all"
                )),
            },
        }
    }
}

/// A decimal number, or a hexadecimal one after `0x`.
pub fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // from_str_radix also takes a sign.
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if !text.starts_with('+') => text.parse().ok(),
        _ => None,
    }
}

/// Addresses of blocks, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lbas {
    first: u64,
    last: u64,
}

impl Lbas {
    /// Whether a command is a READ or a WRITE that begins here.
    fn matches(self, cdb: &[u8]) -> bool {
        scsi::first_block(cdb).is_some_and(|lba| (self.first..=self.last).contains(&lba))
    }

    /// `FIRST` or `FIRST-LAST`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_number(first)?, parse_number(last)?);
        (first <= last).then_some(Self { first, last })
    }
}

/// What a rule selects, how often, and after what delay:
/// `SELECTOR[,lba=FIRST[-LAST]][,count=N][,delay=MS[,jitter=MS]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Which commands.
    pub selector: Selector,
    /// Only READs and WRITEs that begin there: others may use the disk too.
    pub lbas: Option<Lbas>,
    /// Only the first so many, at least 1.
    pub count: Option<u64>,
    /// Milliseconds after which a command is let go.
    pub delay_ms: Option<u64>,
    /// Most milliseconds that are added to the delay at random.
    pub jitter_ms: Option<u64>,
}

/// Longest delay in milliseconds: a day.
const MAX_DELAY: u64 = 86_400_000;

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let selector = parts.next().unwrap_or_default().parse()?;
        let mut spec = Self {
            selector,
            lbas: None,
            count: None,
            delay_ms: None,
            jitter_ms: None,
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let number = parse_number(value);
            match (key, number) {
                ("lba", _) if spec.lbas.is_none() => {
                    let bad = || format!("{value:?} is no block address FIRST or FIRST-LAST");
                    spec.lbas = Some(Lbas::parse(value).ok_or_else(bad)?);
                }
                ("count", Some(1..)) if spec.count.is_none() => spec.count = number,
                ("delay", Some(..=MAX_DELAY)) if spec.delay_ms.is_none() => spec.delay_ms = number,
                ("jitter", Some(..=MAX_DELAY))
                    if spec.delay_ms.is_some() && spec.jitter_ms.is_none() =>
                {
                    spec.jitter_ms = number
                }
                _ => {
                    return Err(format!(
                    "{part:?} is none of lba=FIRST[-LAST], count=N, delay=MS and then jitter=MS \
                         (at most a day)"
                ))
                }
            }
        }
        Ok(spec)
    }
}

/// Rules with an action each; of those that match, the oldest counts.
#[derive(Debug)]
pub struct Rules<A> {
    rules: Vec<Rule<A>>,
}

#[derive(Debug)]
struct Rule<A> {
    selector: Selector,
    lbas: Option<Lbas>,
    /// `None`: no limit.
    left: Option<u64>,
    action: A,
}

impl<A: Copy> Rules<A> {
    /// No rules.
    pub const fn new() -> Self {
        Self { rules: Vec::new() }
    }

    /// Adds a rule for the commands that `spec` selects.
    pub fn add(&mut self, spec: &Spec, action: A) {
        self.rules.push(Rule {
            selector: spec.selector,
            lbas: spec.lbas,
            left: spec.count,
            action,
        });
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The action for a command, which counts as one of its rule's.
    pub fn apply(&mut self, cdb: &[u8]) -> Option<A> {
        let opcode = cdb.first().copied().unwrap_or_default();
        let at = self.rules.iter().position(|rule| {
            rule.selector.matches(opcode) && rule.lbas.is_none_or(|lbas| lbas.matches(cdb))
        })?;
        let rule = &mut self.rules[at];
        let action = rule.action;
        if let Some(left) = &mut rule.left {
            *left -= 1;
            if *left == 0 {
                self.rules.remove(at);
            }
        }
        Some(action)
    }
}

impl<A: Copy> Default for Rules<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// A command that is kept back.
#[derive(Debug)]
struct Held {
    command: Command,
    /// When to let it go, in nanoseconds of the engine's clock.
    deadline: Option<u64>,
}

/// The commands that are kept back, in the order in which they came.
///
/// # Invariants
///
/// `numbers` and `deadlines` name exactly the entries of `held`.
#[derive(Debug, Default)]
pub struct HeldCommands {
    held: BTreeMap<u64, Held>,
    numbers: HashMap<u16, u64>,
    deadlines: BTreeSet<(u64, u64)>,
    next_number: u64,
}

impl HeldCommands {
    /// Keeps a command, whose id no other held command has, until it is taken.
    pub fn insert(&mut self, command: Command, deadline: Option<u64>) {
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(command.id, number);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, number));
        }
        self.held.insert(number, Held { command, deadline });
    }

    /// Takes the command with this id out.
    pub fn take(&mut self, id: u16) -> Option<Command> {
        let number = self.numbers.remove(&id)?;
        let held = self.held.remove(&number)?;
        if let Some(deadline) = held.deadline {
            self.deadlines.remove(&(deadline, number));
        }
        Some(held.command)
    }

    /// Ids, oldest first.
    pub fn ids(&self) -> Vec<u16> {
        self.held.values().map(|held| held.command.id).collect()
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no command is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The earliest time at which a command is to be let go.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The id of a command whose time has come.
    pub fn expired(&self, now: u64) -> Option<u16> {
        let (deadline, number) = self.deadlines.first()?;
        let held = self.held.get(number).filter(|_| *deadline <= now)?;
        Some(held.command.id)
    }

    /// Forgets all commands.
    pub fn clear(&mut self) {
        self.held.clear();
        self.numbers.clear();
        self.deadlines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_parsed() {
        let spec = |selector, count, delay_ms| {
            Ok(Spec {
                selector,
                lbas: None,
                count,
                delay_ms,
                jitter_ms: None,
            })
        };
        assert_eq!(
            "all,delay=5,jitter=20".parse(),
            Ok(Spec {
                selector: Selector::All,
                lbas: None,
                count: None,
                delay_ms: Some(5),
                jitter_ms: Some(20),
            })
        );
        assert_eq!(
            "opcode=0x28".parse(),
            spec(Selector::Opcode(0x28), None, None)
        );
        assert_eq!(
            "0x2A,count=3".parse(),
            spec(Selector::Opcode(0x2a), Some(3), None)
        );
        assert_eq!(
            "read,delay=250".parse(),
            spec(Selector::Read, None, Some(250))
        );
        assert_eq!(
            "opcode=write,delay=0,count=1".parse(),
            spec(Selector::Write, Some(1), Some(0))
        );
        assert_eq!("all".parse(), spec(Selector::All, None, None));
        for (text, first, last) in [
            ("read,count=2,lba=7", 7, 7),
            ("read,lba=0x4000-0x4fff,count=2", 0x4000, 0x4fff),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Spec {
                    selector: Selector::Read,
                    lbas: Some(Lbas { first, last }),
                    count: Some(2),
                    delay_ms: None,
                    jitter_ms: None,
                })
            );
        }
    }

    #[test]
    fn bad_specs_are_refused() {
        for bad in [
            "",
            "opcode=",
            "opcode=256",
            "opcode=-1",
            "opcode=+1",
            "0x+1",
            "reads",
            "all,",
            "all,count=0",
            "all,count=",
            "all,count=-1",
            "all,count=x",
            "all,delay=-1",
            "all,delay=86400001",
            "all,count=1,count=2",
            "all,jitter=5",
            "all,jitter=5,delay=5",
            "all,delay=5,jitter=86400001",
            "all,other=1",
            "all,lba",
            "all,lba=",
            "all,lba=-1",
            "all,lba=1-",
            "all,lba=2-1",
            "all,lba=1-2-3",
            "all,lba=1,lba=1",
            "count=1",
        ] {
            assert!(bad.parse::<Spec>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_oldest_matching_rule_counts_and_wears_out() {
        let mut rules = Rules::new();
        rules.add(&"read,count=2".parse().unwrap(), 'a');
        rules.add(&"all".parse().unwrap(), 'b');
        let order: Vec<_> = [0x28, 0x2a, 0x88, 0x28, 0x00]
            .iter()
            .map(|op| rules.apply(&[*op]).unwrap())
            .collect();
        assert_eq!(order, ['a', 'b', 'a', 'b', 'b']);
        rules.clear();
        assert_eq!(rules.apply(&[0x28]), None);
    }

    #[test]
    fn a_rule_for_blocks_leaves_other_commands_alone() {
        let mut rules = Rules::new();
        rules.add(&"all,lba=0x100-0x1ff,count=2".parse().unwrap(), ());
        let read = |lba: u16| {
            let [high, low] = lba.to_be_bytes();
            [0x28, 0, 0, 0, high, low, 0, 0, 8, 0]
        };
        let mut held = |cdb: &[u8]| rules.apply(cdb).is_some();
        // Neighbours, a command without an address, and one that is too short for its address.
        assert!(!held(&read(0xff)) && !held(&read(0x200)));
        assert!(!held(&[0x12, 0, 0, 0, 0x01, 0, 0, 0, 8, 0]) && !held(&[0x28]));
        assert!(held(&read(0x100)) && held(&read(0x1ff)));
        assert!(!held(&read(0x100)), "only two");
    }

    fn command(id: u16) -> Command {
        Command {
            id,
            cdb: vec![0; 6],
            iovs: Vec::new(),
            bidi_iovs: Vec::new(),
        }
    }

    #[test]
    fn held_commands_keep_their_order_and_deadlines() {
        let mut held = HeldCommands::default();
        held.insert(command(9), None);
        held.insert(command(3), Some(200));
        held.insert(command(5), Some(100));
        assert_eq!(held.ids(), [9, 3, 5]);
        assert_eq!(held.next_deadline(), Some(100));
        assert_eq!((held.expired(99), held.expired(100)), (None, Some(5)));
        assert_eq!(held.take(5).map(|c| c.id), Some(5));
        assert_eq!(held.take(5), None);
        assert_eq!((held.next_deadline(), held.len()), (Some(200), 2));
        held.clear();
        assert!(held.is_empty() && held.next_deadline().is_none());
    }
}
