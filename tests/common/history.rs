//! Histories of what several clients have asked of accounts at a time, and whether they make sense.
//!
//! What is looked for is an order of all that has happened at one account in which each operation lies between its
//! beginning and its end, and saw what those before it had left: linearizability, after Herlihy and Wing. The search is
//! that of Wing and Gong with Lowe's memory of where it has been: complete, so a history without such an order is
//! told from one with it. Accounts are independent of each other, so each can be looked at alone.

use std::collections::{BTreeSet, HashSet};

/// What one operation did to one account, or would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Adds so much; the balance behind it, if it was told.
    Add { amount: u64, balance: Option<u64> },
    /// Takes so much, which was there; the balance behind it, if it was told.
    Take { amount: u64, balance: Option<u64> },
    /// Would have taken so much, and found only this.
    Refused { amount: u64, balance: u64 },
    /// Found this.
    Read { balance: u64 },
}

/// An operation at one account. Times are of one clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) effect: Effect,
    pub(crate) begun: u64,
    /// Nothing if it is not known whether it has happened, or will.
    pub(crate) ended: Option<u64>,
}

impl Effect {
    /// The balance behind it, if it can happen where the balance is `before`.
    fn apply(self, before: u64) -> Option<u64> {
        let told =
            |after: u64, told: Option<u64>| (told.unwrap_or(after) == after).then_some(after);
        match self {
            Effect::Add { amount, balance } => told(before + amount, balance),
            Effect::Take { amount, balance } => told(before.checked_sub(amount)?, balance),
            Effect::Refused { amount, balance } => {
                (balance == before && before < amount).then_some(before)
            }
            Effect::Read { balance } => (balance == before).then_some(before),
        }
    }
}

/// An order of the operations at an account that begins with nothing: all that have ended are in it, and of the
/// others those that must have happened. Nothing if there is none.
pub(crate) fn linearize(operations: &[Operation]) -> Option<Vec<Operation>> {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|operation| operation.begun);
    let mut dice = fastrand::Rng::with_seed(1);
    Search {
        open: (0..operations.len()).collect(),
        missing: operations.iter().filter(|one| one.ended.is_some()).count(),
        keys: operations.iter().map(|_| dice.u128(..)).collect(),
        operations,
        order: Vec::new(),
        balance: 0,
        position: 0,
        seen: HashSet::new(),
    }
    .run()
}

struct Search {
    /// By their beginnings.
    operations: Vec<Operation>,
    /// Those that are not in the order.
    open: BTreeSet<usize>,
    /// How many of these have ended.
    missing: usize,
    /// The order so far, and the balance before each.
    order: Vec<(usize, u64)>,
    balance: u64,
    /// Stands for what is in the order, whichever way round: the keys of all, by exclusive or.
    position: u128,
    keys: Vec<u128>,
    /// Where the search has been. What is in the order gives the balance as well.
    seen: HashSet<u128>,
}

impl Search {
    fn run(mut self) -> Option<Vec<Operation>> {
        let mut tried = None;
        while self.missing > 0 {
            match self.next(tried) {
                Some((place, then)) => {
                    self.order.push((place, self.balance));
                    self.balance = then;
                    self.turn(place);
                    self.open.remove(&place);
                    let is_new = self.seen.insert(self.position);
                    tried = if is_new { None } else { self.take_back() };
                }
                None => tried = Some(self.take_back()?),
            }
        }
        let order = self.order.iter();
        Some(order.map(|(place, _)| self.operations[*place]).collect())
    }

    fn turn(&mut self, place: usize) {
        self.position ^= self.keys[place];
        if self.operations[place].ended.is_some() {
            self.missing = match self.open.contains(&place) {
                true => self.missing - 1,
                false => self.missing + 1,
            };
        }
    }

    /// The last one is not to be the next.
    fn take_back(&mut self) -> Option<usize> {
        let (place, before) = self.order.pop()?;
        self.balance = before;
        self.turn(place);
        self.open.insert(place);
        Some(place)
    }

    /// The next one behind `tried` that can happen: one that has begun before any that is open has ended.
    fn next(&self, tried: Option<usize>) -> Option<(usize, u64)> {
        let mut first_end = u64::MAX;
        for place in &self.open {
            let operation = &self.operations[*place];
            if operation.begun > first_end {
                return None;
            }
            first_end = first_end.min(operation.ended.unwrap_or(u64::MAX));
            if tried.is_none_or(|tried| *place > tried)
                && let Some(then) = operation.effect.apply(self.balance)
            {
                return Some((*place, then));
            }
        }
        None
    }
}
