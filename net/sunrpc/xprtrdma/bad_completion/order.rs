// SPDX-License-Identifier: GPL-2.0

//! Which bad completion is made, and when.

use core::str;

use kernel::prelude::*;

use crate::probes::{
    Completion,
    Context, //
};

/// What is wrong with a completion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The Send has just completed.
    Duplicate,
    /// The Send has completed, and so has one after it.
    Stale,
    /// The Send has its context, but is not posted yet.
    Unposted,
    /// No connection has such a context.
    Unknown,
}

const KINDS: [(&str, Kind); 4] = [
    ("duplicate", Kind::Duplicate),
    ("stale", Kind::Stale),
    ("unposted", Kind::Unposted),
    ("unknown", Kind::Unknown),
];

/// What is to be made.
pub(crate) struct Order {
    kind: Kind,
    /// Completions before it is made.
    after: u32,
    /// How often it is made, in a row.
    times: u32,
}

impl Order {
    /// Reads `KIND AFTER TIMES`, or `none`. `EINVAL`: it is neither.
    pub(crate) fn parse(text: &[u8]) -> Result<Option<Self>> {
        let text = str::from_utf8(text).map_err(|_| EINVAL)?;
        let mut words = text.split_ascii_whitespace();
        let name = words.next().ok_or(EINVAL)?;
        if name == "none" {
            return words.next().map_or(Ok(None), |_| Err(EINVAL));
        }
        let (_, kind) = KINDS.iter().find(|kind| kind.0 == name).ok_or(EINVAL)?;
        let mut number = || -> Result<u32> {
            let word = words.next().ok_or(EINVAL)?;
            word.parse().map_err(|_| EINVAL)
        };
        let order = Self {
            kind: *kind,
            after: number()?,
            times: number()?,
        };
        if order.times == 0 || words.next().is_some() {
            return Err(EINVAL);
        }
        Ok(Some(order))
    }
}

/// Whether a completion has been made up for the context that is held.
pub(crate) enum Taken {
    /// Nobody has looked at it.
    Not,
    /// It is being made.
    Now,
    /// It has been, or it will not be.
    Over,
}

/// A context that is held for [`Kind::Unposted`].
enum Held {
    None,
    /// Nobody has looked at it.
    Offered(Context),
    /// Its completion is being made.
    Taken,
}

/// The order, and how far it has got.
pub(crate) struct State {
    order: Option<Order>,
    /// The context of a Send that has completed, for [`Kind::Stale`].
    old: Option<Context>,
    held: Held,
    made: u32,
}

impl State {
    /// No order.
    pub(crate) fn new() -> Self {
        Self {
            order: None,
            old: None,
            held: Held::None,
            made: 0,
        }
    }

    /// From now on `order` is to be done.
    pub(crate) fn order(&mut self, order: Option<Order>) {
        self.order = order;
        self.old = None;
    }

    /// The name of what is to be made.
    pub(crate) fn ordered(&self) -> &'static str {
        self.order.as_ref().map_or("none", |order| {
            KINDS
                .iter()
                .find(|kind| kind.1 == order.kind)
                .map_or("?", |kind| kind.0)
        })
    }

    /// How many bad completions there were.
    pub(crate) fn number(&self) -> u32 {
        self.made
    }

    /// A Send has completed. The context whose completion is to be made up now, and how often; the
    /// order is done with that.
    pub(crate) fn completed(&mut self, completion: &Completion<'_>) -> Option<(Context, u32)> {
        let order = self.order.as_mut()?;
        if !completion.is_good() {
            return None;
        }
        if order.after > 0 {
            order.after -= 1;
            return None;
        }
        let (kind, times) = (order.kind, order.times);
        let context = match kind {
            Kind::Duplicate => completion.context(),
            Kind::Unknown => Context::unknown(),
            Kind::Stale => {
                let old = self.old.replace(completion.context());
                // If the ring has come around to it already, another one has to do.
                old.filter(|old| completion.is_of_queue(old) && completion.is_free(old))?
            }
            Kind::Unposted => match self.held {
                Held::Offered(context) if completion.is_of_queue(&context) => {
                    self.held = Held::Taken;
                    context
                }
                _ => return None,
            },
        };
        self.order = None;
        self.old = None;
        Some((context, times))
    }

    /// Bad completions were made.
    pub(crate) fn made(&mut self, times: u32) {
        self.made = self.made.wrapping_add(times);
        if matches!(self.held, Held::Taken) {
            self.held = Held::None;
        }
    }

    /// A Send is about to be posted in `context`. True: it must not be until
    /// [`State::withdraw()`] says so.
    pub(crate) fn offer(&mut self, context: Context) -> bool {
        let wanted = self
            .order
            .as_ref()
            .is_some_and(|order| order.kind == Kind::Unposted && order.after == 0);
        let wanted = wanted && matches!(self.held, Held::None);
        if wanted {
            self.held = Held::Offered(context);
        }
        wanted
    }

    /// What has become of what was offered. If `must`, it is taken back unless it was taken.
    pub(crate) fn withdraw(&mut self, must: bool) -> Taken {
        match self.held {
            Held::None => Taken::Over,
            Held::Taken => Taken::Now,
            Held::Offered(_) if must || self.order.is_none() => {
                self.held = Held::None;
                Taken::Over
            }
            Held::Offered(_) => Taken::Not,
        }
    }
}
