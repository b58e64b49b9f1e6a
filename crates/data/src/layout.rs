//! Classes and splits of a listing of paths.

use std::collections::{BTreeMap, BTreeSet};

use residual_files::unambiguous;

use crate::arrangement::{Child, Reading, children, reading};
use crate::file_names::by_file_name;
use crate::hold_out::HoldOut;
use crate::labelled_beside::label;
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::split_name::says_only_images;
use crate::{Error, Note, OpenOptions, Split};

/// Classes in order, each split's images with their labels, sorted by path, and what was noticed.
pub(crate) struct Arranged {
    pub(crate) classes: Vec<String>,
    pub(crate) splits: Vec<(Split, Vec<(InnerPath, usize)>)>,
    pub(crate) notes: Vec<Note>,
    /// True where a part of each class is held out for validation.
    pub(crate) held_out: bool,
}

/// Images by the names of their classes.
type Classes = BTreeMap<Vec<u8>, Vec<InnerPath>>;

/// Finds the classes and splits of a listing of image files.
pub(crate) fn arrange(listing: &Listing, options: &OpenOptions) -> Result<Arranged, Error> {
    let top = common_top(listing);
    let found = children(listing, &top);
    let arranged = reading(&found, &listing.origin).and_then(|reading| match reading {
        Reading::Splits(roots) => by_split(listing, &top, &found, &roots, options),
        Reading::Classes => by_class(listing, &top, &found, options),
    });
    let arranged = arranged.and_then(|arranged| match arranged.classes.is_empty() {
        true => Err(no_classes(listing)),
        false => Ok(arranged),
    });
    if arranged.as_ref().is_ok_and(|arranged| arranged.classes.len() > 1) {
        return arranged;
    }
    if listing.boxes().is_none()
        && listing.list_beside().is_none()
        && let Some(arranged) = by_file_name(listing, options)?
    {
        return Ok(arranged);
    }
    // A single class, or none: the labels are elsewhere.
    match (listing.boxes(), listing.list_beside(), arranged) {
        (Some(boxes), _, _) => Err(boxes),
        (None, Some(list), Err(error)) => Err(Error::ListBeside { error: Box::new(error), list }),
        (None, Some(list), Ok(mut arranged)) => {
            arranged.notes.push(Note::LabelsBeside { list });
            Ok(arranged)
        }
        (None, None, arranged) => arranged,
    }
}

/// Folders that everything is in and that are neither a split nor the only class. An empty folder beside is
/// passed by only where splits are inside, or where the other is called `images` or the like: it may be a class that
/// lacks its images.
fn common_top(listing: &Listing) -> InnerPath {
    let mut top = InnerPath::default();
    loop {
        let found = children(listing, &top);
        let loose = listing
            .images
            .range(&top..)
            .any(|(path, _)| path.is_within(&top) && path.depth() == top.depth() + 1);
        let mut full = found.iter().filter(|(_, child)| child.images() > 0);
        let (Some((name, child)), None, false) = (full.next(), full.next(), loose) else { return top };
        let is_split = child.split.as_ref().is_some_and(|split| split.decoration.is_empty());
        let inside = top.clone().joined(name);
        // `images` beside `annotations`.
        let holds_classes = child.direct == 0 && says_only_images(name);
        let beside = found.len() > 1 && !holds_classes && !leads_to_splits(listing, inside.clone());
        if is_split || child.deep == 0 || beside {
            return top;
        }
        top = inside;
    }
}

/// Test for splits in a folder, or in the only folder with images there, and so on.
fn leads_to_splits(listing: &Listing, mut folder: InnerPath) -> bool {
    loop {
        let found = children(listing, &folder);
        if matches!(reading(&found, ""), Ok(Reading::Splits(_))) {
            return true;
        }
        let mut full = found.iter().filter(|(_, child)| child.images() > 0);
        match (full.next(), full.next()) {
            (Some((name, child)), None) if child.deep > 0 => folder = folder.joined(name),
            _ => return false,
        }
    }
}

fn no_classes(listing: &Listing) -> Error {
    let found = match (listing.images.len(), listing.folders.len()) {
        (0, _) if !listing.runs.is_empty() => "nothing but folders of training runs".into(),
        (0, 0) => match kinds_of_others(listing, |_| true).as_slice() {
            [] => "no images and no folders".into(),
            kinds => {
                let kinds: Vec<String> =
                    kinds.iter().take(3).map(|(kind, count)| format!("{count} {kind}")).collect();
                format!("no images, but {}; unpack what is packed", kinds.join(", "))
            }
        },
        (0, folders) => format!("no images in {folders} folders"),
        (images, _) => format!("{images} images, none of them in a class folder"),
    };
    Error::NoClasses { path: listing.origin.clone(), found }
}

/// Images below `root`, by the class folder there; a folder without images is an error.
fn classes_below(listing: &Listing, root: &InnerPath) -> Result<Classes, Error> {
    let depth = root.depth();
    let mut classes = Classes::new();
    let inside = listing.images.range(root..).map(|(path, _)| path).take_while(|path| path.is_within(root));
    for path in inside.filter(|path| path.depth() >= depth + 2) {
        classes.entry(path.part(depth).unwrap_or_default().to_vec()).or_default().push(path.clone());
    }
    if classes.is_empty() {
        return Ok(classes);
    }
    let folders = listing.folders.range(root..).take_while(|path| path.is_within(root));
    for folder in folders.filter(|path| path.depth() == depth + 1) {
        if !classes.contains_key(folder.last()) {
            let class = folder.text();
            return Err(Error::EmptyClass {
                path: listing.origin.clone(),
                class,
                found: instead(listing, folder),
            });
        }
    }
    Ok(classes)
}

/// Content of an empty class folder in place of images, to be put behind the error.
fn instead(listing: &Listing, folder: &InnerPath) -> String {
    let kinds = kinds_of_others(listing, |path| path.is_within(folder));
    match kinds.first() {
        Some((kind, count)) => format!(", but {count} {kind}"),
        None => String::new(),
    }
}

/// Files of other kinds in chosen folders: how many of each ending, the most frequent first.
fn kinds_of_others(listing: &Listing, chosen: impl Fn(&InnerPath) -> bool) -> Vec<(String, usize)> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for ((_, kind), others) in listing.others.iter().filter(|((folder, _), _)| chosen(folder)) {
        *kinds.entry(kind).or_default() += others.count;
    }
    let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds
}

/// `SPLIT/CLASS/IMAGE`.
fn by_split(
    listing: &Listing,
    top: &InnerPath,
    found: &BTreeMap<Vec<u8>, Child>,
    roots: &[(Split, Vec<u8>)],
    options: &OpenOptions,
) -> Result<Arranged, Error> {
    let mut splits: BTreeMap<Split, Classes> = BTreeMap::new();
    let mut places = Vec::new();
    for (split, name) in roots {
        let root = split_root(listing, top.clone().joined(name));
        for (class, images) in classes_below(listing, &root)? {
            splits.entry(*split).or_default().entry(class).or_default().extend(images);
        }
        places.push(root);
    }
    let is_flat_split = |child: &Child| child.split.is_some() && child.deep == 0 && child.direct > 0;
    let mut unlabelled = take_unlabelled(&mut splits);
    for (name, child) in found.iter().filter(|(_, child)| is_flat_split(child)) {
        let Some(split) = child.split.as_ref().map(|name| name.split) else { continue };
        let folder = top.clone().joined(name);
        let images = listing.images.range(&folder..).map(|(path, _)| path);
        unlabelled
            .entry(split)
            .or_default()
            .extend(images.take_while(|path| path.is_within(&folder)).cloned());
    }
    let lists = label_by_lists(listing, &mut splits, &mut unlabelled, options);
    let unlabelled: BTreeSet<InnerPath> = unlabelled.into_values().flatten().collect();
    // The training images say which classes there are; without them, all that is there counts.
    let known: BTreeSet<&Vec<u8>> = match splits.get(&Split::Train) {
        Some(classes) => classes.keys().collect(),
        None => splits.values().flat_map(BTreeMap::keys).collect(),
    };
    let known: Vec<Vec<u8>> = known.into_iter().cloned().collect();
    let unknown = splits.iter().flat_map(|(split, classes)| classes.keys().map(move |class| (split, class)));
    let unknown: Vec<String> = unknown
        .filter(|(_, class)| known.binary_search(class).is_err())
        .map(|(split, class)| format!("{split}/{}", unambiguous(class)))
        .collect();
    let classes: Vec<String> = known.iter().map(|class| unambiguous(class)).collect();
    if !unknown.is_empty() {
        return Err(Error::UnknownClass { path: listing.origin.clone(), unknown, known: classes });
    }
    let is_root = |name: &[u8]| roots.iter().position(|(_, root)| root == name);
    let beside = found.iter().filter(|(name, child)| is_root(name).is_none() && !is_flat_split(child));
    let folders: Vec<_> = beside.map(|(name, child)| (unambiguous(name), child.images())).collect();
    let single = splits.get(&Split::Train).and_then(|classes| single_images(classes, &known));
    let mut notes = Vec::from_iter((!folders.is_empty()).then_some(Note::Beside { folders }));
    notes.extend((!lists.is_empty()).then_some(Note::ListsBeside { lists }));
    notes.extend(loose(listing, |path| {
        if unlabelled.contains(path) {
            return true;
        }
        let Some(name) = path.part(top.depth()).filter(|_| path.depth() > top.depth() + 1) else {
            return true;
        };
        match is_root(name).map(|place| &places[place]) {
            Some(root) => !path.is_within(root) || path.depth() < root.depth() + 2,
            None => false,
        }
    }));
    notes.extend(other_files(listing, |folder| {
        places.iter().any(|root| folder.is_within(root) && folder.depth() > root.depth())
    }));
    notes.extend(single);
    let place = |class: &Vec<u8>| known.binary_search(class).unwrap_or_default();
    let labelled = |classes: Classes| {
        let of_class = |(class, images): (Vec<u8>, Vec<InnerPath>)| {
            let label = place(&class);
            images.into_iter().map(move |path| (path, label))
        };
        let mut images: Vec<_> = classes.into_iter().flat_map(of_class).collect();
        images.sort();
        images
    };
    let splits = splits.into_iter().map(|(split, classes)| (split, labelled(classes))).collect();
    Ok(Arranged { classes, splits, notes, held_out: false })
}

/// Takes out what is no class of the evaluation images: folders that are called `images` or the like, and are no class of
/// training. Gives their images.
fn take_unlabelled(splits: &mut BTreeMap<Split, Classes>) -> BTreeMap<Split, Vec<InnerPath>> {
    let Some(known) = splits.get(&Split::Train).cloned() else { return BTreeMap::new() };
    let is_unlabelled = |class: &Vec<u8>| says_only_images(class) && !known.contains_key(class);
    let mut taken = BTreeMap::new();
    for (split, classes) in splits.iter_mut() {
        let (unlabelled, rest): (Classes, Classes) =
            std::mem::take(classes).into_iter().partition(|(class, _)| is_unlabelled(class));
        *classes = rest;
        taken.insert(*split, unlabelled.into_values().flatten().collect());
    }
    splits.retain(|_, classes| !classes.is_empty());
    taken
}

/// Gives evaluation images without class folders the classes of training that lists beside them say, and takes them out
/// of the unlabelled ones. Gives the lists.
fn label_by_lists(
    listing: &Listing,
    splits: &mut BTreeMap<Split, Classes>,
    unlabelled: &mut BTreeMap<Split, Vec<InnerPath>>,
    options: &OpenOptions,
) -> Vec<String> {
    let Some(train) = splits.get(&Split::Train) else { return Vec::new() };
    let known: Vec<Vec<u8>> = train.keys().cloned().collect();
    let names: Vec<String> = known.iter().map(|class| unambiguous(class)).collect();
    let mut lists = Vec::new();
    for (&split, images) in unlabelled.iter_mut().filter(|(split, _)| **split != Split::Train) {
        let Some(labelled) = label(listing, split, images, &names, options) else { continue };
        let found: BTreeSet<&InnerPath> = labelled.images.iter().map(|(_, path)| path).collect();
        images.retain(|path| !found.contains(path));
        for (class, path) in &labelled.images {
            let classes = splits.entry(split).or_default();
            classes.entry(known[*class].clone()).or_default().push(path.clone());
        }
        lists.push(labelled.list);
    }
    lists
}

/// The folder whose folders are classes: some archives put a split into one more folder of its name.
fn split_root(listing: &Listing, mut root: InnerPath) -> InnerPath {
    let named = crate::split_name::split_name(root.last());
    loop {
        let inside = children(listing, &root);
        let mut full = inside.iter().filter(|(_, child)| child.images() > 0);
        let (Some((name, child)), None) = (full.next(), full.next()) else { return root };
        let again = child.split.as_ref().zip(named.as_ref()).is_some_and(|(inner, outer)| {
            inner.split == outer.split
                && (inner.decoration.is_empty() || inner.decoration == outer.decoration)
        });
        // `test/test/1.jpg`: a contest's test images, which have no labels.
        let unlabelled = child.deep == 0 && named.as_ref().is_some_and(|name| name.split != Split::Train);
        if !again || (child.deep == 0 && !unlabelled) {
            return root;
        }
        root = root.joined(name);
        if unlabelled {
            return root;
        }
    }
}

/// `CLASS/IMAGE`: of each class, `holdout` of the images are for validation, drawn by `split_seed`.
fn by_class(
    listing: &Listing,
    top: &InnerPath,
    found: &BTreeMap<Vec<u8>, Child>,
    options: &OpenOptions,
) -> Result<Arranged, Error> {
    let classes = classes_below(listing, top)?;
    let known: Vec<Vec<u8>> = classes.keys().cloned().collect();
    let mut notes = Vec::new();
    if !classes.is_empty() {
        notes.extend(loose(listing, |path| path.depth() < top.depth() + 2 || !path.is_within(top)));
        notes.extend(other_files(listing, |folder| folder.is_within(top) && folder.depth() > top.depth()));
        let nested = found.iter().filter(|(_, child)| child.direct == 0 && child.inner.len() > 1);
        let nested: Vec<_> = nested.map(|(name, child)| (unambiguous(name), child.inner.len())).collect();
        notes.extend((!nested.is_empty()).then_some(Note::Nested { classes: nested }));
        notes.extend(single_images(&classes, &known));
    }
    let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for (label, images) in classes.into_values().enumerate() {
        let held_out = hold_out.of_class(label, images.len());
        for (path, held_out) in images.into_iter().zip(held_out) {
            let split = if held_out { &mut val } else { &mut train };
            split.push((path, label));
        }
    }
    let splits = [(Split::Train, train), (Split::Val, val)];
    let splits = splits.into_iter().filter(|(_, entries)| !entries.is_empty()).collect();
    let classes = known.iter().map(|class| unambiguous(class)).collect();
    Ok(Arranged { classes, splits, notes, held_out: true })
}

/// Images in no class folder.
fn loose(listing: &Listing, is_loose: impl Fn(&InnerPath) -> bool) -> Option<Note> {
    let mut loose = listing.images.keys().filter(|path| is_loose(path));
    let first = loose.next()?.to_string();
    Some(Note::Loose { count: 1 + loose.count(), first })
}

/// Files in class folders that are not named as images.
fn other_files(listing: &Listing, is_class: impl Fn(&InnerPath) -> bool) -> Option<Note> {
    let first =
        listing.others.iter().filter(|((folder, _), _)| is_class(folder)).map(|(_, others)| &others.first);
    let first = first.min()?.clone();
    Some(Note::OtherFiles { kinds: kinds_of_others(listing, is_class), first })
}

/// Classes of one image, where others have more.
fn single_images(classes: &Classes, known: &[Vec<u8>]) -> Option<Note> {
    let single = known.iter().filter(|class| classes.get(*class).is_some_and(|images| images.len() == 1));
    let single: Vec<String> = single.map(|class| unambiguous(class)).collect();
    (!single.is_empty() && single.len() < known.len()).then_some(Note::SingleImages { classes: single })
}
