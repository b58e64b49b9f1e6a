//! Parts of tables that are held in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use parquet::data_type::ByteArray;

use super::read::{BadPart, Values};
use crate::shards::WINDOW;

/// Bytes of parts that are held: the window in which an epoch is shuffled, and what workers that are behind still read of
/// the one before.
const LIMIT: u64 = WINDOW + WINDOW / 4;

/// Images, or paths of images, of a part.
pub(super) type Part = Result<Arc<Values<ByteArray>>, BadPart>;

/// Part of a column of a table, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) table: usize,
    pub(super) column: u8,
    pub(super) part: usize,
}

/// Parts that were used last.
#[derive(Debug)]
pub(super) struct Cache {
    held: Mutex<Held>,
    limit: u64,
}

#[derive(Debug, Default)]
struct Held {
    parts: HashMap<Key, Entry>,
    /// Number of times that a part was asked for.
    clock: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Entry {
    /// Filled by the first who asks; others wait for it.
    part: Arc<OnceLock<Part>>,
    used: u64,
    /// Bytes, once they are known.
    bytes: Option<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { held: Mutex::default(), limit: LIMIT }
    }
}

impl Cache {
    /// Part of this key, which `read` reads where it is not held: once, however many threads ask at a time.
    /// One that the system did not give is asked for again.
    pub(super) fn get(&self, key: Key, read: impl FnOnce() -> Result<Values<ByteArray>, BadPart>) -> Part {
        let cell = self.entry(key);
        let part = cell.get_or_init(|| read().map(Arc::new)).clone();
        if matches!(part, Err(BadPart::Unread(_))) {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = held.parts.remove(&key).and_then(|entry| entry.bytes);
            held.bytes -= gone.unwrap_or_default();
            return part;
        }
        self.account(key, part.as_ref().map_or(0, |values| values.bytes));
        part
    }

    fn entry(&self, key: Key) -> Arc<OnceLock<Part>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let used = held.clock;
        let entry =
            held.parts.entry(key).or_insert_with(|| Entry { part: Arc::default(), used, bytes: None });
        entry.used = used;
        entry.part.clone()
    }

    /// Counts the bytes of a part that was read, and lets go of those that were not used for longest.
    fn account(&self, key: Key, bytes: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = held.parts.get_mut(&key).filter(|entry| entry.bytes.is_none()) else { return };
        entry.bytes = Some(bytes);
        held.bytes += bytes;
        while held.bytes > self.limit {
            let others = held.parts.iter().filter(|(other, entry)| **other != key && entry.bytes.is_some());
            let Some((&oldest, _)) = others.min_by_key(|(_, entry)| entry.used) else { return };
            let gone = held.parts.remove(&oldest).and_then(|entry| entry.bytes);
            held.bytes -= gone.unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn values(bytes: u64) -> Result<Values<ByteArray>, BadPart> {
        Ok(Values { rows: vec![None], bytes })
    }

    fn key(part: usize) -> Key {
        Key { table: 0, column: 0, part }
    }

    #[test]
    fn parts_are_held_up_to_the_limit_and_the_oldest_go_first() {
        let cache = Cache { limit: 100, ..Cache::default() };
        let reads = AtomicUsize::new(0);
        let get = |part| {
            cache
                .get(key(part), || {
                    reads.fetch_add(1, Ordering::Relaxed);
                    values(40)
                })
                .unwrap();
            reads.load(Ordering::Relaxed)
        };
        assert_eq!([1, 2, 1, 3].map(get), [1, 2, 2, 3]);
        assert_eq!([1, 3, 2].map(get), [3, 3, 4], "2 was used before 1");
        assert_eq!(cache.held.lock().unwrap().bytes, 80);
        let part = cache.get(key(9), || Err("damaged".into()));
        assert_eq!(part.unwrap_err(), BadPart::Damaged("damaged".into()));
        assert!(cache.get(key(9), || values(1)).is_err(), "damage stays");
        assert!(cache.get(key(7), || Err(BadPart::Unread("disk".into()))).is_err());
        assert!(cache.get(key(7), || values(1)).is_ok(), "a disk may answer later");
        assert!(cache.get(key(8), || values(500)).is_ok(), "one part is always held");
    }

    #[test]
    fn a_part_is_read_once_by_many_threads() {
        let (cache, reads) = (Cache::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for part in 0..20 {
                        let read = || {
                            reads.fetch_add(1, Ordering::Relaxed);
                            values(7)
                        };
                        cache.get(key(part), read).unwrap();
                    }
                });
            }
        });
        assert_eq!(reads.load(Ordering::Relaxed), 20);
    }
}
