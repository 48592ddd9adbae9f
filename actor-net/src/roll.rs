//! A roll of members that come and go, each known by a small number.

use std::ops::{Index, IndexMut};

/// See the [module](self). A member costs no more than its entry.
#[derive(Debug)]
pub(crate) struct Roll<T> {
    entries: Vec<Entry<T>>,
    /// The first of the entries that are free, linked up.
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Entry<T> {
    Member(T),
    Free { next: Option<u32> },
}

impl<T> Roll<T> {
    /// Takes in a member, and gives the number that it has until it leaves.
    ///
    /// # Panics
    ///
    /// If there are 2^32 already.
    pub(crate) fn enter(&mut self, member: T) -> u32 {
        self.len += 1;
        match self.free {
            Some(index) => {
                let place = &mut self.entries[index as usize];
                if let Entry::Free { next } = *place {
                    self.free = next;
                }
                *place = Entry::Member(member);
                index
            }
            None => {
                self.entries.push(Entry::Member(member));
                u32::try_from(self.entries.len() - 1).expect("fewer members than 2^32")
            }
        }
    }

    /// Strikes a member off.
    ///
    /// # Panics
    ///
    /// If there is none of this number.
    pub(crate) fn leave(&mut self, index: u32) -> T {
        let free = Entry::Free { next: self.free };
        match std::mem::replace(&mut self.entries[index as usize], free) {
            Entry::Member(member) => {
                self.free = Some(index);
                self.len -= 1;
                member
            }
            Entry::Free { .. } => panic!("{index} has left already"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cfg(feature = "http")]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.entries.get_mut(index as usize) {
            Some(Entry::Member(member)) => Some(member),
            _ => None,
        }
    }

    /// All, with their numbers.
    #[cfg(feature = "http")]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let entries = (0..).zip(&mut self.entries);
        entries.filter_map(|(index, entry)| match entry {
            Entry::Member(member) => Some((index, member)),
            Entry::Free { .. } => None,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Member(member) => Some(member),
            Entry::Free { .. } => None,
        })
    }
}

impl<T> Default for Roll<T> {
    fn default() -> Self {
        Roll {
            entries: Vec::new(),
            free: None,
            len: 0,
        }
    }
}

impl<T> Index<u32> for Roll<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        match &self.entries[index as usize] {
            Entry::Member(member) => member,
            Entry::Free { .. } => panic!("{index} has left"),
        }
    }
}

impl<T> IndexMut<u32> for Roll<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        match &mut self.entries[index as usize] {
            Entry::Member(member) => member,
            Entry::Free { .. } => panic!("{index} has left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_members_keep_theirs() {
        let mut roll = Roll::default();
        let numbers: Vec<u32> = (0..4).map(|member| roll.enter(member)).collect();
        assert_eq!(roll.leave(numbers[1]), 1);
        assert_eq!(roll.leave(numbers[3]), 3);
        assert_eq!(roll.iter().copied().collect::<Vec<_>>(), [0, 2]);
        let again = [roll.enter(10), roll.enter(11)];
        assert_eq!(again, [numbers[3], numbers[1]]);
        assert_eq!(roll.enter(12), 4);
        roll[numbers[2]] = 20;
        assert_eq!(roll[numbers[2]], 20);
        assert_eq!(roll.len(), 5);
    }

    #[test]
    #[should_panic(expected = "left already")]
    fn nobody_leaves_twice() {
        let mut roll = Roll::default();
        let number = roll.enter(());
        roll.leave(number);
        roll.leave(number);
    }
}
