//! Those who wait, in the order in which they came.

use std::collections::VecDeque;

/// A queue whose members can leave from the middle.
#[derive(Debug)]
pub(crate) struct Line<T> {
    issued: u64,
    /// In the order of the tickets.
    waiting: VecDeque<(Ticket, T)>,
}

/// Names a member of a [`Line`]; never issued twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl<T> Line<T> {
    pub(crate) const fn new() -> Self {
        Line {
            issued: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Adds a member at the end.
    pub(crate) fn join(&mut self, member: T) -> Ticket {
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.waiting.push_back((ticket, member));
        ticket
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.waiting.front().map(|(_, member)| member)
    }

    /// Takes the first member out.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.waiting.pop_front().map(|(_, member)| member)
    }

    /// Takes a member out, wherever it stands; `None` if it is no longer in the line.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<T> {
        let index = self.find(ticket)?;
        self.waiting.remove(index).map(|(_, member)| member)
    }

    /// Takes the first member out that `suits`; the others keep their places.
    pub(crate) fn next_that(&mut self, mut suits: impl FnMut(&T) -> bool) -> Option<(Ticket, T)> {
        let mut members = self.waiting.iter();
        let index = members.position(|(_, member)| suits(member))?;
        self.waiting.remove(index)
    }

    /// Adds a member under a ticket of another line, at its place in the order of the tickets.
    pub(crate) fn join_as(&mut self, ticket: Ticket, member: T) {
        let index = self.waiting.partition_point(|(other, _)| *other < ticket);
        self.waiting.insert(index, (ticket, member));
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn contains(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all members out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.waiting.drain(..).map(|(_, member)| member).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, member)| member)
    }

    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
            .ok()
    }
}
