"""Trainings: callbacks, arrays, Ctrl-C that saves, and going on to the same bits."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from conftest import stack
from numpy.testing import assert_array_equal

import residual_nets as rn

SMALL = {"batch_size": 8, "threads": 2, "seed": 1}


def weights(folder, name="last.safetensors"):
    return rn.Model.open(pathlib.Path(folder) / name).tensors()


def assert_same(left, right):
    for path, values in weights(left).items():
        assert_array_equal(weights(right)[path], values)


def test_a_run_and_its_numbers(tmp_path):
    images, labels = stack(60)
    epochs, steps = [], []
    run = rn.train(
        "cifar_resnet8", (images, labels), out=tmp_path / "run", classes=["below", "above"], epochs=3,
        on_epoch=epochs.append, on_step=steps.append, **SMALL,
    )
    assert run.finished and not run.early and run.epochs == 3 and run.steps == len(steps) == 18
    assert [numbers["epoch"] for numbers in epochs] == [1, 2, 3]
    assert {"train_loss", "train_top1", "val_loss", "val_top1", "lr", "seconds", "step"} <= epochs[0].keys()
    assert all(isinstance(value, (int, float)) for value in epochs[0].values())
    assert steps[-1]["step"] == steps[-1]["total_steps"] == 18 and steps[0]["batch_loss"] > 0
    assert run.best["top1"] == max(numbers["val_top1"] for numbers in epochs) > 0.5
    classifier = run.classifier()
    assert classifier.classes == ["below", "above"] == run.classes
    answers = classifier.predict(images)
    assert set(answers.labels) <= {"below", "above"} and (answers.indices == labels).mean() > 0.5


def test_floats_and_pixels_train_alike(tmp_path):
    """Not to the bit: pixels are rounded when they are resized, floats are not."""
    images, labels = stack(40)
    below, above = stack(12, seed=5)
    losses = []
    for folder, scale in (("pixels", 1), ("floats", 255)):
        data, held_out = ((images, below) if scale == 1 else (images / scale, below / scale))
        rn.train(
            "cifar_resnet8", (data, labels), out=tmp_path / folder, validation=(held_out, above), epochs=1,
            on_step=lambda numbers: losses.append(numbers["batch_loss"]), **SMALL,
        )
    assert len(losses) == 10
    assert abs(losses[0] - losses[5]) < 0.02 * losses[0]


def test_other_tasks(tmp_path):
    images, _ = stack(40)
    bright = images.mean((1, 2, 3)) / 100
    run = rn.train(
        "cifar_resnet8", (images, np.stack([bright, -bright], 1)), out=tmp_path / "numbers", task="regression",
        classes=["light", "dark"], epochs=1, **SMALL,
    )
    answer = run.classifier().predict(images[0])
    assert list(answer.values) == ["light", "dark"] and answer.label is None and "light" in repr(answer)
    answers = run.classifier().predict(images)
    assert answers.values.shape == (40, 2) and answers.probabilities.shape == (40, 0) and answers.indices[0] == -1
    labels = np.stack([np.arange(40) % 2, np.arange(40) % 3 == 0], 1)
    run = rn.train("cifar_resnet8", (images, labels), out=tmp_path / "labels", task="multi-label", epochs=1, **SMALL)
    found = run.classifier()
    assert found.task == "multi-label" and 0 < found.threshold < 1
    answer = found.predict(images[0])
    assert answer.labels == [name for name, probability in answer.top(2) if probability >= found.threshold]


def test_a_callback_ends_a_run_and_resuming_gives_the_same_bits(tmp_path):
    images, labels = stack(40)
    whole = rn.train("cifar_resnet8", (images, labels), out=tmp_path / "whole", epochs=3, **SMALL)
    assert whole.finished
    run = rn.train(
        "cifar_resnet8", (images, labels), out=tmp_path / "parts", epochs=3,
        on_step=lambda numbers: numbers["step"] < 6, **SMALL,
    )
    assert not run.finished and run.steps == 6 and run.best is None
    again = rn.resume(tmp_path / "parts", data=(images, labels))
    assert again.finished and again.steps == whole.steps and again.best == whole.best
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_an_exception_of_a_callback_comes_out_and_the_run_is_saved(tmp_path):
    images, labels = stack(40)

    def fail(numbers):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        rn.train("cifar_resnet8", (images, labels), out=tmp_path / "run", epochs=2, on_epoch=fail, **SMALL)
    assert rn.resume(tmp_path / "run", data=(images, labels)).finished


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_saves_raises_and_can_be_resumed(tmp_path):
    program = textwrap.dedent(
        f"""
        import sys, residual_nets as rn
        try:
            rn.train("cifar_resnet8", "sample", out={str(tmp_path / "run")!r}, epochs=500, batch_size=64, threads=2,
                     on_step=lambda numbers: print(numbers["step"], flush=True))
        except KeyboardInterrupt as error:
            print("interrupted:", error)
            sys.exit(7)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == "5":
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 7, rest
    assert "everything is saved" in rest and "residual_nets.resume(" in rest
    seen = []

    def until_the_next_step(numbers):
        seen.append(numbers["step"])
        return False

    run = rn.resume(tmp_path / "run", on_step=until_the_next_step)
    assert not run.finished and len(seen) == 1 and seen[0] > 5


def test_finetuning(run, tmp_path):
    images, labels = stack(60)
    epochs = []
    tuned = rn.finetune(
        run.folder, (images, labels), out=tmp_path / "tuned", classes=["below", "above"], epochs=1, on_epoch=epochs.append,
        batch_size=16,
    )
    assert tuned.finished and tuned.head["top1"] > 0.5 and tuned.best["top1"] >= tuned.head["top1"]
    assert tuned.classes == ["below", "above"] and [numbers["epoch"] for numbers in epochs] == [0, 1]
    head = rn.finetune(rn.Model.open(run.folder), (images, labels), out=tmp_path / "head", head_only=True)
    assert head.epochs == 0
    before, after = run.model().tensors(), head.model().tensors()
    for name in before:
        if not name.startswith(("fc.", "linear.")):
            assert_array_equal(before[name], after[name])


def test_a_model_goes_on_as_another_run(run, tmp_path):
    images, labels = stack(40)
    again = rn.train(run.model(), (images, labels), out=tmp_path / "run", epochs=1, **SMALL)
    assert again.finished and len(again.classes) == 2


def test_studies_and_summaries(run):
    rows = rn.gradflow("cifar_resnet8", batch_size=16, seed=1)
    assert {row["kind"] for row in rows} == {"residual", "plain", "preact"}
    assert rows[0]["blocks"][0]["block"] == "stage1.block0" and rows[0]["loss"] > 0
    of_file = rn.gradflow(weights=pathlib.Path(run.folder) / "best.safetensors", batch_size=16)
    assert len(of_file) > 3
    found = rn.summary("resnet18")
    assert found["parameters"] == 11_689_512 and found["model"] == "resnet18" and found["output"] == [1000, 1, 1]
    assert [row["path"] for row in found["rows"]][:2] == ["stem", "stage1.block0"]
    assert rn.summary(run.model())["model"] == "cifar_resnet8"
    assert rn.summary("resnet18", [3, 64, 64])["macs"] < found["macs"]
    spec = run.model().spec
    assert rn.summary(spec)["parameters"] == rn.summary("cifar_resnet8")["parameters"]
