"""Answers: of every kind of image, one and many, and the same bits as the command line's."""

import io
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import residual_nets as rn

Image = pytest.importorskip("PIL.Image")


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def normalised(classifier, images):
    preprocess = classifier.spec["preprocess"]
    mean, std = (np.array(preprocess[name], np.float32) for name in ("mean", "std"))
    values = (np.stack(images).astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def test_one_image_of_every_kind_has_one_answer(classifier, photographs):
    path = photographs[0]
    content = pathlib.Path(path).read_bytes()
    expected = classifier.predict(path)
    assert expected.label in classifier.classes and expected.file == path
    assert expected.probability == expected.top(1)[0][1] and len(expected.top(3)) == 3
    assert abs(expected.probabilities.sum() - 1) < 1e-9
    kinds = [pathlib.Path(path), content, bytearray(content), memoryview(content), pixels(path), Image.open(path)]
    for kind in kinds:
        assert_array_equal(classifier.predict(kind).logits, expected.logits)
    [tensor] = normalised(classifier, [pixels(path)])
    assert np.abs(classifier.predict(tensor).logits - expected.logits).max() < 1e-4


def test_many_images_are_answered_in_their_order(classifier, photographs):
    answers = classifier.predict(photographs)
    assert answers.logits.shape == (len(photographs), 10) and answers.logits.dtype == np.float32
    assert answers.files == photographs and len(answers) == len(list(answers)) == len(photographs)
    images = [pixels(path) for path in photographs]
    for others in (
        [pathlib.Path(path).read_bytes() for path in photographs],
        images,
        np.stack(images),
        [Image.open(path) for path in photographs],
        (path for path in photographs),
    ):
        assert_array_equal(classifier.predict(others).logits, answers.logits)
    assert answers[2].label == answers.labels[2] == classifier.classes[answers.indices[2]]
    assert [answer.label for answer in answers[-2:]] == answers.labels[-2:]
    tensors = classifier.predict(normalised(classifier, images))
    assert np.abs(tensors.logits - answers.logits).max() < 1e-4
    assert_array_equal(classifier.logits(normalised(classifier, images)), tensors.logits)
    assert len(classifier.predict([])) == 0 and classifier.embed([]).shape == (0, classifier.embedding_length)


def test_a_stack_of_other_sizes_is_resized_as_its_images_are(classifier):
    random = np.random.default_rng(0)
    stack = random.integers(0, 256, (5, 48, 40, 3)).astype(np.uint8)
    assert_array_equal(classifier.predict(stack).logits, classifier.predict(list(stack)).logits)
    assert_array_equal(classifier.embed(stack), classifier.embed(list(stack)))
    # Every other row: not contiguous.
    assert_array_equal(classifier.predict(stack[:, ::2]).logits, classifier.predict(stack[:, ::2].copy()).logits)
    grey = stack[0, :, :, 0]
    assert_array_equal(classifier.predict(grey).logits, classifier.predict(np.dstack([grey] * 3)).logits)


def test_modes_of_pillow(classifier, photographs):
    picture = Image.open(photographs[0]).convert("RGB")
    for mode in ("L", "P", "RGBA", "1", "CMYK"):
        changed = picture.convert(mode)
        expected = classifier.predict(np.asarray(changed.convert("L" if mode == "1" else "RGB")))
        assert_array_equal(classifier.predict(changed).logits, expected.logits)


def binary():
    named = os.environ.get("RESIDUAL_BIN")
    target = pathlib.Path(__file__).resolve().parents[3] / "target"
    places = [pathlib.Path(named)] if named else [target / "release/residual", target / "debug/residual"]
    return next((place for place in places if place.is_file()), None)


@pytest.mark.skipif(binary() is None, reason="no command line is built; RESIDUAL_BIN names one")
def test_the_bits_are_those_of_the_command_line(run, classifier, photographs):
    def logits(*images):
        command = [binary(), "predict", "--weights", run.folder, "--json", "--logits", *images]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return np.array([json.loads(line)["logits"] for line in lines], np.float32)

    assert_array_equal(classifier.predict(photographs).logits, logits(*photographs))
    assert_array_equal(classifier.predict(photographs[0]).logits, logits(photographs[0])[0])


def test_embeddings_features_and_maps(classifier, photographs):
    vectors = classifier.embed(photographs)
    assert vectors.shape == (len(photographs), classifier.embedding_length) and vectors.dtype == np.float32
    pooled = classifier.features(photographs[1], "head.pool")
    assert_array_equal(pooled.ravel(), classifier.embed(photographs[1]))
    maps = classifier.features(photographs[1], "stage3")
    assert maps.shape == (64, 8, 8)
    assert np.abs(maps.mean((1, 2)) - pooled.ravel()).max() < 1e-5
    found = classifier.explain(photographs[1])
    assert found.prediction.index == found.class_index and found.heat_map.shape == (8, 8)
    assert found.overlay.shape == (224, 224, 3) and found.overlay.dtype == np.uint8
    assert_array_equal(classifier.explain(photographs[1], found.class_index).heat_map, found.heat_map)
    assert classifier.explain(photographs[1], "cat").class_index == classifier.classes.index("cat")


def test_nothing_is_copied_of_what_lies_as_the_network_takes_it(classifier):
    tracemalloc = pytest.importorskip("tracemalloc")
    stack = np.zeros((4000, 32, 32, 3), np.uint8)
    tensor = np.zeros((1000, 3, 32, 32), np.float32)
    classifier.predict(stack[:32])
    resident = memory()
    tracemalloc.start()
    classifier.predict(stack)
    rows = classifier.logits(tensor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    grown = memory() - resident
    assert stack.nbytes == tensor.nbytes == 12_288_000
    assert peak < 2_000_000, "what NumPy and Python took"
    assert grown < 8_000_000, "what the process took"
    # The array is over the vector that was computed: it owns nothing, and what it stands on is no array.
    assert not rows.flags.owndata and rows.base is not None


def memory():
    """Peak of the resident memory of this process, in bytes."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the memory of a process is read from Linux")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def test_threads_ask_at_once(classifier, photographs):
    expected = classifier.predict(photographs).logits
    found = [None] * 4

    def ask(at):
        for _ in range(3):
            found[at] = classifier.predict(photographs).logits

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(found))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for logits in found:
        assert_array_equal(logits, expected)


def test_the_lock_is_released(classifier):
    """Another thread counts while a long answer is computed."""
    stack = np.zeros((4000, 32, 32, 3), np.uint8)
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted[0]
    classifier.predict(stack)
    during = counted[0] - before
    done.set()
    thread.join()
    assert during > 1000


def test_a_classifier_is_pickled_by_its_path(run, classifier, photographs, monkeypatch, tmp_path):
    again = pickle.dumps(rn.Classifier(run.folder, threads=1))
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(again)
    assert again.threads == 1
    assert_array_equal(again.predict(photographs).logits, classifier.predict(photographs).logits)
    with pytest.raises(TypeError, match="help: Model.save"):
        pickle.dumps(rn.Classifier(run.model()))


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_answers(classifier, photographs):
    expected = classifier.predict(photographs).logits
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            equal = np.array_equal(classifier.predict(photographs).logits, expected)
            os.write(writing, b"y" if equal else b"n")
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"y"
    os.close(reading)
    os.waitpid(child, 0)


def test_models(run, tmp_path, photographs):
    model = rn.Model.open(run.folder)
    assert model.name == "cifar_resnet8" and model.classes[3] == "cat" and model.has_head and model.temperature is None
    copy = rn.Model.from_tensors(model.tensors(), "cifar_resnet8", classes=model.classes)
    copy.save(tmp_path / "copy.safetensors")
    shutil.copy(pathlib.Path(run.folder) / "best.safetensors", tmp_path / "own.safetensors")
    content = (tmp_path / "own.safetensors").read_bytes()
    for again in (copy, rn.Model.open(tmp_path / "copy.safetensors"), rn.Model.from_bytes(content)):
        tensors = again.tensors()
        for path, values in model.tensors().items():
            assert_array_equal(tensors[path], values)
    changed = rn.Classifier(model, preprocess={"resize": {"exact": [24, 24]}, "crop": None})
    assert changed.spec["preprocess"]["resize"] == {"exact": [24, 24]}
    assert changed.features(photographs[0], "stem").shape == (16, 24, 24)


def test_broken_images_do_not_keep_the_others_from_their_answers(classifier, photographs, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pathlib.Path(photographs[0]).read_bytes()[:80])
    missing = tmp_path / "missing.jpg"
    answers = classifier.predict([photographs[0], broken, missing, photographs[1]], errors="keep")
    assert sorted(answers.errors) == [1, 2] and answers.labels[1] is None and answers.indices[2] == -1
    assert all(isinstance(error, rn.ImageError) for error in answers.errors.values())
    assert "missing.jpg: cannot read" in str(answers.errors[2]) and np.isnan(answers.logits[1]).all()
    assert_array_equal(answers.logits[[0, 3]], classifier.predict(photographs[:2]).logits)
    assert answers[1].label is None and answers[1].top() == [] and "none" in repr(answers[1])
    vectors, failed = classifier.embed_keeping([photographs[0], broken])
    assert list(failed) == [1] and np.isnan(vectors[1]).all() and not np.isnan(vectors[0]).any()
    with pytest.raises(rn.ImageError, match="broken.jpg"):
        classifier.predict([photographs[0], broken])


def test_pictures_from_memory(classifier, photographs):
    stream = io.BytesIO()
    Image.open(photographs[0]).save(stream, "PNG")
    assert_array_equal(classifier.predict(stream.getvalue()).logits, classifier.predict(pixels(photographs[0])).logits)
