//! Layouts of data sets as they are published and as people keep them.

mod support;

use residual_data::{Dataset, Split};
use support::{every_kind, images, open};

/// Reading of a layout, the same in a folder and in every archive.
fn read(paths: &[&str]) -> String {
    let place = tempfile::tempdir().unwrap();
    let text = |data: &Dataset| {
        let count = |split: &Split| format!("{split} {}", data.split(*split).unwrap().len());
        let notes = data.notes().iter().map(|note| format!("; {note}"));
        let splits: Vec<String> = data.splits().iter().map(count).collect();
        format!("{}: {}{}", data.classes.join(" "), splits.join(" "), notes.collect::<String>())
    };
    let all: Vec<String> = every_kind(place.path(), &images(paths))
        .iter()
        .map(|path| {
            open(path).map_or_else(
                |error| error.to_string().replace(&path.display().to_string(), "."),
                |data| text(&data),
            )
        })
        .collect();
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    all.into_iter().next().unwrap()
}

#[test]
fn layouts_of_published_sets() {
    let mut others = Vec::new();
    for (name, paths, wanted) in [
        (
            "Intel image classification, as packed for Kaggle",
            &[
                "seg_train/seg_train/sea/1.jpg",
                "seg_train/seg_train/street/2.jpg",
                "seg_test/seg_test/sea/3.jpg",
                "seg_test/seg_test/street/4.jpg",
                "seg_pred/seg_pred/5.jpg",
            ][..],
            "sea street: train 2 test 2; left out, beside the splits: seg_pred (1 image)",
        ),
        (
            "ImageNet",
            &[
                "ILSVRC/Annotations/CLS-LOC/train/n01/n01_1.xml",
                "ILSVRC/Data/CLS-LOC/train/n01/n01_1.JPEG",
                "ILSVRC/Data/CLS-LOC/train/n02/n02_1.JPEG",
                "ILSVRC/Data/CLS-LOC/val/n01/ILSVRC2012_val_1.JPEG",
                "ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_1.JPEG",
                "ILSVRC/ImageSets/CLS-LOC/train_cls.txt",
                "LOC_synset_mapping.txt",
            ],
            "n01 n02: train 2 val 1; left out 1 image in no class folder (ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_1.JPEG)",
        ),
        (
            "Imagenette",
            &[
                "imagenette2-160/train/n01440764/1.JPEG",
                "imagenette2-160/train/n02102040/2.JPEG",
                "imagenette2-160/val/n02102040/3.JPEG",
                "imagenette2-160/noisy_imagenette.csv",
                "imagenette2-160/.DS_Store",
            ],
            "n01440764 n02102040: train 2 val 1",
        ),
        (
            "Tiny ImageNet's training images",
            &[
                "tiny-imagenet-200/train/n01443537/images/1.JPEG",
                "tiny-imagenet-200/train/n01443537/n01443537_boxes.txt",
                "tiny-imagenet-200/train/n01629819/images/2.JPEG",
                "tiny-imagenet-200/train/n01629819/n01629819_boxes.txt",
                "tiny-imagenet-200/wnids.txt",
            ],
            "n01443537 n01629819: train 2; left out 2 files in class folders that are not named as images: 2 .txt \
             (tiny-imagenet-200/train/n01443537/n01443537_boxes.txt)",
        ),
        (
            "hymenoptera, packed on macOS",
            &[
                "hymenoptera_data/train/ants/1.jpg",
                "hymenoptera_data/train/bees/2.jpg",
                "hymenoptera_data/val/ants/3.jpg",
                "hymenoptera_data/val/bees/4.jpg",
                "hymenoptera_data/train/ants/.DS_Store",
                "__MACOSX/hymenoptera_data/train/ants/._1.jpg",
                "__MACOSX/._hymenoptera_data",
            ],
            "ants bees: train 2 val 2",
        ),
        (
            "chest X-rays, once more inside, as packed for Kaggle",
            &[
                "chest_xray/__MACOSX/chest_xray/train/NORMAL/._1.jpeg",
                "chest_xray/test/NORMAL/1.jpeg",
                "chest_xray/test/PNEUMONIA/2.jpeg",
                "chest_xray/train/NORMAL/3.jpeg",
                "chest_xray/train/PNEUMONIA/4.jpeg",
                "chest_xray/val/NORMAL/5.jpeg",
                "chest_xray/val/PNEUMONIA/6.jpeg",
            ],
            "NORMAL PNEUMONIA: train 2 val 2 test 2",
        ),
        (
            "Caltech 101",
            &[
                "101_ObjectCategories/BACKGROUND_Google/1.jpg",
                "101_ObjectCategories/BACKGROUND_Google/2.jpg",
                "101_ObjectCategories/accordion/1.jpg",
                "101_ObjectCategories/accordion/2.jpg",
            ],
            "BACKGROUND_Google accordion: train 2 val 2",
        ),
        (
            "EuroSAT",
            &["2750/Forest/1.jpg", "2750/Forest/2.jpg", "2750/River/1.jpg", "2750/River/2.jpg"],
            "Forest River: train 2 val 2",
        ),
        (
            "flower photos",
            &[
                "flower_photos/LICENSE.txt",
                "flower_photos/daisy/1.jpg",
                "flower_photos/daisy/2.jpg",
                "flower_photos/roses/1.jpg",
                "flower_photos/roses/2.jpg",
            ],
            "daisy roses: train 2 val 2",
        ),
        (
            "GTSRB, rearranged",
            &["GTSRB/Training/00000/1.png", "GTSRB/Training/00001/1.png", "GTSRB/Testing/00001/2.png"],
            "00000 00001: train 2 test 1",
        ),
        (
            "Office-31: a folder of each domain, of which the images are inside",
            &[
                "amazon/images/bike/1.jpg",
                "amazon/images/bike/2.jpg",
                "amazon/images/mug/1.jpg",
                "amazon/images/mug/2.jpg",
            ],
            "bike mug: train 2 val 2",
        ),
        (
            "Food-101 split by a script",
            &[
                "food/images/train/pie/1.jpg",
                "food/images/train/tart/1.jpg",
                "food/images/test/pie/2.jpg",
                "food/meta/classes.txt",
            ],
            "pie tart: train 2 test 1",
        ),
        (
            "Food-101 as it is: lists beside the images",
            &[
                "food-101/images/pie/1.jpg",
                "food-101/images/pie/2.jpg",
                "food-101/images/tart/1.jpg",
                "food-101/images/tart/2.jpg",
                "food-101/meta/train.txt",
                "food-101/README.txt",
            ],
            "pie tart: train 2 val 2",
        ),
        (
            "the pets of Oxford: no folders of classes",
            &["images/Abyssinian_1.jpg", "images/beagle_2.jpg", "annotations/list.txt"],
            ".: class folder `annotations` has no images, but 1 .txt; help: add some or remove the folder; or give the \
             list in it, annotations/list.txt, as the data, if it says the labels",
        ),
        (
            "test images of a contest, without labels",
            &["train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/4.jpg", "sample_submission.csv"],
            "cat dog: train 2; left out 2 images in no class folder (test/3.jpg)",
        ),
        (
            "test images of a contest, in one folder called after nothing",
            &["train/cat/1.jpg", "train/dog/2.jpg", "test/unknown/3.jpg", "test/unknown/4.jpg"],
            ".: class `test/unknown` is not among the known classes (cat, dog); help: name them as those, or leave them out",
        ),
        (
            "test images of a contest, in one more folder of that name",
            &["train/cat/1.jpg", "train/dog/2.jpg", "test/test/3.jpg", "test/test/4.jpg"],
            "cat dog: train 2; left out 2 images in no class folder (test/test/3.jpg)",
        ),
        (
            "a class that only the training images have",
            &["train/a/1.jpg", "train/b/2.jpg", "train/c/3.jpg", "valid/a/4.jpg", "valid/c/5.jpg"],
            "a b c: train 3 val 2",
        ),
        (
            "classes that only the test images have",
            &["train/a/1.jpg", "train/c/2.jpg", "test/b/3.jpg", "test/c/4.jpg", "test/d/5.jpg"],
            ".: 2 classes (test/b, test/d) are not among the known classes (a, c); help: name them as those, or leave them out",
        ),
    ] {
        let found = read(paths);
        if found != wanted {
            others.push(format!("{name}:\n  {found}\n  {wanted}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn every_word_for_a_split_in_any_case() {
    for (word, split) in [
        ("train", Split::Train),
        ("training", Split::Train),
        ("val", Split::Val),
        ("valid", Split::Val),
        ("validation", Split::Val),
        ("dev", Split::Val),
        ("test", Split::Test),
        ("testing", Split::Test),
    ] {
        let capital = word[..1].to_uppercase() + &word[1..];
        for name in
            [word.to_owned(), capital, word.to_uppercase(), format!("{word}_images"), format!("my_{word}")]
        {
            let other = match (split, name.starts_with("my_")) {
                (Split::Train, true) => "my_test",
                (Split::Train, false) => "test",
                (_, true) => "my_train",
                (_, false) => "train",
            };
            let paths = [(&name[..], "a/1.jpg"), (&name, "b/2.jpg"), (other, "a/3.jpg"), (other, "b/4.jpg")]
                .map(|(folder, rest)| format!("{folder}/{rest}"));
            let place = tempfile::tempdir().unwrap();
            support::write_folder(place.path(), &images(&paths.each_ref().map(String::as_str)));
            let data = open(place.path()).unwrap();
            assert_eq!(data.classes, ["a", "b"], "{name}");
            assert_eq!(data.split(split).unwrap().name(0), format!("{name}/a/1.jpg"));
        }
    }
}
