//! Opening of shards: all are walked, some at a time, and their samples put one behind the other.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use residual_files::{Budget, escaped};

use super::sample::Rule;
use super::store::{Shard, ShardStore};
use super::walk::{Samples, Walking, list};
use crate::shards::{Content, Faults, FilePool, Found, Labels, class_names};
use crate::shared_file::SharedFile;
use crate::{Error, Note, OpenOptions};

/// The most shards that are walked at a time: a walk waits for the disk.
const AT_A_TIME: usize = 8;

/// Opens shards of WebDataset.
///
/// # Errors
/// Those of the first shard that has one: a damaged archive, [`Error::Sample`]; [`Error::OverMemory`].
pub(crate) fn open(found: Found, options: &OpenOptions) -> Result<Content, Error> {
    let budget = Mutex::new(Budget::new(options.memory_limit));
    let rule = Rule::new(&options.columns).for_task(options.task);
    let walking = Walking { rule, skip_bad: options.skip_bad, budget: &budget, origin: &found.origin };
    let listed = walk_all(&found, &walking);
    let mut labels = Labels::default();
    let mut faults = Faults::new(options.skip_bad);
    let (mut shards, mut places, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for (file, samples) in found.files.iter().zip(listed) {
        let samples = samples?;
        let shown = escaped(&file.path).to_string();
        labels.extend(&samples.labels, || shown.clone())?;
        faults.extend(samples.faults);
        places.extend(samples.places);
        splits.resize(places.len(), file.split);
        let too_many = || Error::OverMemory { path: found.origin.clone(), limit: options.memory_limit };
        let end = u32::try_from(places.len()).map_err(|_| too_many())?;
        let (modified, names) = (samples.modified, samples.names);
        shards.push(Shard { name: file.name.clone(), shown, modified, end, names });
    }
    let paths: Vec<PathBuf> = found.files.iter().map(|file| file.path.clone()).collect();
    let folders: Vec<PathBuf> =
        paths.first().and_then(|path| path.parent()).map(Path::to_owned).into_iter().collect();
    let store = Arc::new(ShardStore { shards, files: FilePool::new(paths), places });
    let mut notes = found.notes;
    notes.extend(faults.note());
    let columns = vec![options.columns.label.clone().unwrap_or_else(|| "label".to_owned())];
    let mut content = Content { origin: found.origin, store, labels, splits, classes: None, columns, notes };
    match options.task.is_single_label() {
        true => name_classes(&mut content, &folders)?,
        false => content.labels.answer(options.task, &content.columns, &content.origin)?,
    }
    Ok(content)
}

/// Walks all shards; what each gave, in their order.
fn walk_all(found: &Found, walking: &Walking) -> Vec<Result<Samples, Error>> {
    let results: Vec<OnceLock<Result<Samples, Error>>> =
        found.files.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((file, result)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            found.files.get(number).zip(results.get(number))
        } {
            let shown = escaped(&file.path).to_string();
            let samples = SharedFile::open(&file.path).and_then(|open| list(&open, &shown, walking));
            // The first that fails is the one to be told of; those behind it need not be walked.
            if samples.is_err() {
                next.store(found.files.len(), Ordering::Relaxed);
            }
            let _ = result.set(samples);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..found.files.len().min(AT_A_TIME) {
            scope.spawn(work);
        }
        work();
    });
    let mut results: Vec<_> = results.into_iter().map_while(OnceLock::into_inner).collect();
    if let Some(failed) = results.iter().position(Result::is_err) {
        results.swap(0, failed);
    }
    results
}

/// Puts names in the place of labels that are numbers, where a file beside the shards has them.
fn name_classes(content: &mut Content, folders: &[PathBuf]) -> Result<(), Error> {
    let texts = content.labels.texts();
    let numbers: Option<Vec<i64>> = texts.iter().map(|text| text.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else { return Ok(()) };
    let Some((names, file)) = class_names(folders)? else { return Ok(()) };
    let name = |&number: &i64| usize::try_from(number).ok().and_then(|number| names.get(number));
    let named: Option<Vec<String>> = numbers.iter().map(|number| name(number).cloned()).collect();
    let Some(named) = named else {
        let place = numbers.iter().position(|number| name(number).is_none()).unwrap_or_default();
        let first = content.labels.of.iter().position(|&label| label as usize == place).unwrap_or_default();
        let reason =
            format!("the label {} is beyond the {} names of {}", numbers[place], names.len(), escaped(&file));
        return Err(Error::Sample { file: content.store.file(first as u32), reason });
    };
    content.labels.set_texts(named);
    content.classes = Some(names);
    content.notes.push(Note::ClassNames { file: escaped(&file).to_string() });
    Ok(())
}
