"""Images as callers have them, and how they are handed to the native module."""

import os
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from ._errors import InputError

ImageLike = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, NDArray[Any], Any]
"""A path, the bytes of a file, pixels, normalised values, or a picture of Pillow."""

Images = Union[ImageLike, Sequence[ImageLike], Iterable[ImageLike]]
"""An image, or several."""


class Given(NamedTuple):
    """What was given: one item, several, or a stack."""

    one: Any = None
    several: Optional[List[Any]] = None
    pixels: Optional[NDArray[np.uint8]] = None
    tensor: Optional[NDArray[np.float32]] = None
    names: Optional[List[Optional[str]]] = None


def _array(image: Any) -> Optional[NDArray[Any]]:
    """The array that an object is, or has: of Pillow's pictures those modes that are pixels."""
    if isinstance(image, np.ndarray):
        return image
    mode, convert = getattr(image, "mode", None), getattr(image, "convert", None)
    if isinstance(mode, str) and callable(convert):
        if mode not in ("RGB", "L"):
            image = convert("L" if mode in ("1", "LA", "La") else "RGB")
        return np.asarray(image)
    if hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        return np.asarray(image)
    return None


def _checked(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype == np.uint8 or array.dtype == np.float32:
        return np.ascontiguousarray(array)
    raise InputError(
        f"{what} of {array.dtype}; expected uint8 pixels or float32 values that are normalised; help: "
        "`array.astype(numpy.uint8)` of pixels from 0 to 255"
    )


def _named(image: Any) -> Optional[str]:
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def item(image: ImageLike) -> Any:
    """An image as the native module takes it."""
    if isinstance(image, (str, bytes)):
        return image
    if isinstance(image, os.PathLike):
        return os.fspath(image)
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, tuple) and len(image) == 1:
        # Floats on the scale 0 to 1, [height, width, channels].
        return image
    array = _array(image)
    if array is None:
        raise InputError(
            f"an image of type {type(image).__name__}; expected a path, bytes, an array or a picture of Pillow"
        )
    if array.dtype == np.uint8 and array.ndim not in (2, 3) or array.dtype == np.float32 and array.ndim != 3:
        raise InputError(
            f"an image of shape {list(array.shape)}; expected [height, width, channels] of uint8 or "
            "[channels, height, width] of float32"
        )
    return _checked(array, "an image")


def given(images: Images) -> Given:
    """Sorts what was given: one image, several, or a stack of them."""
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike)):
        return Given(one=item(images), names=[_named(images)])
    array = _array(images)
    if array is not None and array.dtype != object and array.dtype.kind not in "US":
        return _of_array(array)
    if array is not None:
        images = array.ravel().tolist()
    try:
        several = list(images)
    except TypeError:
        raise InputError(
            f"images of type {type(images).__name__}; expected a path, bytes, an array, a picture of Pillow, or a "
            "list of them"
        ) from None
    return Given(several=[item(image) for image in several], names=[_named(image) for image in several])


def _of_array(array: NDArray[Any]) -> Given:
    if array.ndim == 4:
        stack = _checked(array, "a stack")
        return Given(pixels=stack) if stack.dtype == np.uint8 else Given(tensor=stack)
    return Given(one=item(array), names=[None])


def pixels_of(images: Any) -> Tuple[Optional[NDArray[np.uint8]], Optional[NDArray[np.float32]]]:
    """Pixels, or floats on the scale 0 to 1, of a stack ``[images, height, width, channels]`` to train on."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"images of shape {list(array.shape)}; expected [images, height, width, channels]")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array), None
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise InputError("floats outside 0 to 1; help: divide pixels from 0 to 255 by 255, or give them as uint8")
        return None, np.ascontiguousarray(array, dtype=np.float32)
    raise InputError(f"images of {array.dtype}; expected uint8 from 0 to 255, or floats from 0 to 1")
