"""Wrong input of each kind: an exception of the package, with the text and the help of the command line."""

import numpy as np
import pytest

import residual_nets as rn


@pytest.mark.parametrize(
    "images, error, text",
    [
        (12, rn.InputError, "images of type int"),
        ([object()], rn.InputError, "an image of type object"),
        (None, rn.InputError, "NoneType"),
        (np.zeros((4, 4, 3)), rn.InputError, "float64; expected uint8"),
        (np.zeros((1, 4, 4, 3), np.int64), rn.InputError, "int64"),
        (np.zeros(7, np.uint8), rn.InputError, "shape"),
        (np.zeros((2, 2, 2, 2, 2), np.uint8), rn.InputError, "shape"),
        (np.zeros((32, 32), np.float32), rn.InputError, "channels, height, width"),
        (np.zeros((0, 4, 3), np.uint8), rn.ImageError, "0"),
        (np.zeros((5, 32, 32), np.float32), rn.ImageError, "3 channels"),
        (np.zeros((2, 5, 32, 32), np.float32), rn.ModelError, "image"),
        (np.full((3, 32, 32), np.nan, np.float32), rn.ImageError, "finite"),
        (b"no image", rn.ImageError, "image"),
        ("nowhere.jpg", rn.ImageError, "nowhere.jpg: cannot read"),
        (["nowhere.jpg"], rn.ImageError, "nowhere.jpg: cannot read"),
        ("/", rn.ImageError, "/"),
    ],
)
def test_images(classifier, images, error, text):
    with pytest.raises(error, match=text) as raised:
        classifier.predict(images)
    assert isinstance(raised.value, rn.ResidualError)
    assert "\n" not in str(raised.value)


def test_arguments(classifier, run, photographs):
    for wrong, text in [
        (lambda: classifier.predict(photographs, errors="ignore"), 'errors="ignore"'),
        (lambda: classifier.features(photographs[0], "stage9"), "stage9"),
        (lambda: classifier.explain(photographs[0], 10), "class 10"),
        (lambda: classifier.explain(photographs[0], "unicorn"), "unicorn"),
        (lambda: rn.Classifier(run.folder, threads=0), "threads: 0"),
        (lambda: rn.Classifier(run.folder, preprocess={"krop": 3}), "krop"),
        (lambda: rn.Classifier(run.model(), "small"), "has its network"),
        (lambda: rn.gradflow(), "nothing to probe"),
    ]:
        with pytest.raises(rn.InputError, match=text):
            wrong()
    assert issubclass(rn.InputError, ValueError)


def test_models(run, tmp_path):
    text = tmp_path / "weights.pth"
    text.write_text("hello")
    for wrong, text in [
        (lambda: rn.Classifier(tmp_path / "nothing.safetensors"), "nothing.safetensors"),
        (lambda: rn.Classifier(text), "weights.pth"),
        (lambda: rn.Classifier(run.folder, "resnet18"), "resnet18"),
        (lambda: rn.Classifier(run.folder, "resnet19"), "resnet18"),
        (lambda: rn.Model.from_tensors({"a": np.zeros(3)}), "residual network"),
        (lambda: rn.Model.from_tensors({"a": np.zeros(3)}, "small"), "stem"),
        (lambda: rn.Model.from_bytes(b"x"), ""),
        (lambda: rn.summary("resnet19"), "resnet18"),
        (lambda: rn.summary("resnet18", [3, 0, 0]), ""),
    ]:
        with pytest.raises(rn.ModelError, match=text):
            wrong()


def test_trainings(run, tmp_path):
    out = tmp_path / "run"
    images = np.zeros((6, 8, 8, 3), np.uint8)
    for wrong, error, text in [
        (lambda: rn.train("small", out=run.folder), rn.TrainingError, "run"),
        (lambda: rn.train("small", tmp_path / "nowhere", out=out), rn.TrainingError, "nowhere"),
        (lambda: rn.train("small", out=out, epoch=3), rn.InputError, "epoch"),
        (lambda: rn.train("small", out=out, epochs="three"), rn.InputError, "three"),
        (lambda: rn.train("small", out=out, epochs=0), rn.TrainingError, "epochs"),
        (lambda: rn.train("smal", out=out, epochs=1), rn.TrainingError, "smal"),
        (lambda: rn.train("small", out=out, recipe="nobodys"), rn.TrainingError, "nobodys"),
        (lambda: rn.train("small", (images, [0, 1]), out=out), rn.InputError, "2 labels for 6 images"),
        (lambda: rn.train("small", (images * 1.0 + 2, [0, 1] * 3), out=out), rn.InputError, "0 to 1"),
        (lambda: rn.train("small", (images[0], [0] * 8), out=out), rn.TrainingError, ""),
        (lambda: rn.train("small", out=out, validation=(images, [0] * 6)), rn.InputError, "validation"),
        (lambda: rn.resume(tmp_path / "nothing"), rn.TrainingError, "nothing"),
        (lambda: rn.finetune(run.folder, tmp_path / "nowhere", out=out), rn.TrainingError, "nowhere"),
        (lambda: rn.finetune(tmp_path / "nowhere", "sample", out=out), rn.ModelError, "nowhere"),
    ]:
        with pytest.raises(error, match=text):
            wrong()
        assert not out.exists()
