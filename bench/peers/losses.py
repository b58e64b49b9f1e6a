"""Losses of PyTorch, torchvision and timm and their gradients in float64, for crates/kernels/tests/expected/losses.txt.

    python losses.py > losses.txt

Logits and soft targets are the formula's values (crates/testkit/src/formula.rs); see `case` below.
"""
import torch
import torch.nn.functional as F
from timm.loss import AsymmetricLossMultiLabel, BinaryCrossEntropy
from torchvision.ops import sigmoid_focal_loss

from optimisers import uniform

# timm's asymmetric loss goes through float32; here it is to stay in float64.
torch.Tensor.float = torch.Tensor.double

IMAGES, CLASSES = 6, 5
LOGITS = 6 * uniform("logits", IMAGES * CLASSES).view(IMAGES, CLASSES)
SOFT = (0.5 + 0.5 * uniform("soft", IMAGES * CLASSES)).float().view(IMAGES, CLASSES)
# What the library gets is float32.
LOGITS = LOGITS.to(torch.float32).double()
SOFT = SOFT.to(torch.float32).double()
HARD = (uniform("hard", IMAGES * CLASSES).view(IMAGES, CLASSES) > 0.2).double()
LABELS = torch.tensor([0, 3, 3, 1, 4, 0])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0], dtype=torch.float64)
NUMBERS = 4 * uniform("numbers", IMAGES * CLASSES).view(IMAGES, CLASSES)
NUMBERS = NUMBERS.to(torch.float32).double()
TEACHER = 6 * uniform("teacher", IMAGES * CLASSES).view(IMAGES, CLASSES)
TEACHER = TEACHER.to(torch.float32).double()


def soft_labels():
    return SOFT / SOFT.sum(1, keepdim=True)


def focal_softmax(logits, gamma, weight=None):
    """Lin et al. 2017 with a softmax; PyTorch has none."""
    log_p = logits.log_softmax(1).gather(1, LABELS[:, None])[:, 0]
    loss = -((1 - log_p.exp()) ** gamma) * log_p
    if weight is None:
        return loss.mean()
    return (loss * weight[LABELS]).sum() / weight[LABELS].sum()


CASES = {
    "cross_entropy_weighted": lambda z: F.cross_entropy(z, LABELS, weight=WEIGHTS),
    "cross_entropy_weighted_smooth": lambda z: F.cross_entropy(z, LABELS, weight=WEIGHTS, label_smoothing=0.1),
    "cross_entropy_soft_weighted": lambda z: F.cross_entropy(z, soft_labels(), weight=WEIGHTS),
    "focal": lambda z: focal_softmax(z, 2.0),
    "focal_half": lambda z: focal_softmax(z, 0.5),
    "focal_weighted": lambda z: focal_softmax(z, 2.0, WEIGHTS),
    "binary": lambda z: F.binary_cross_entropy_with_logits(z, HARD),
    "binary_soft": lambda z: F.binary_cross_entropy_with_logits(z, SOFT),
    "binary_weighted": lambda z: F.binary_cross_entropy_with_logits(z, HARD, WEIGHTS, pos_weight=WEIGHTS.flip(0)),
    "binary_sum": lambda z: BinaryCrossEntropy(smoothing=0.0, sum_classes=True)(z, SOFT),
    "binary_labels_smooth": lambda z: BinaryCrossEntropy(smoothing=0.1)(z, LABELS),
    "binary_threshold": lambda z: BinaryCrossEntropy(smoothing=0.0, target_threshold=0.4)(z, SOFT),
    "binary_smooth_dense": lambda z: BinaryCrossEntropy(smoothing=0.1, smooth_dense=True)(z, HARD),
    "binary_focal": lambda z: sigmoid_focal_loss(z, HARD, alpha=0.25, gamma=2.0, reduction="mean"),
    "binary_focal_soft": lambda z: sigmoid_focal_loss(z, SOFT, alpha=-1, gamma=1.5, reduction="mean"),
    "asymmetric": lambda z: AsymmetricLossMultiLabel()(z, HARD),
    "asymmetric_soft": lambda z: AsymmetricLossMultiLabel(gamma_neg=2, gamma_pos=0.5, clip=0.1)(z, SOFT),
    "asymmetric_plain": lambda z: AsymmetricLossMultiLabel(gamma_neg=0, gamma_pos=0, clip=0)(z, HARD),
    "distillation": lambda z: 9 * F.kl_div(
        (z / 3).log_softmax(1), (TEACHER / 3).softmax(1), reduction="batchmean"),
    "mse": lambda z: F.mse_loss(z, NUMBERS),
    "l1": lambda z: F.l1_loss(z, NUMBERS),
    "huber": lambda z: F.huber_loss(z, NUMBERS, delta=1.5),
    "smooth_l1": lambda z: F.smooth_l1_loss(z, NUMBERS, beta=1.5),
}

if __name__ == "__main__":
    for name, case in CASES.items():
        logits = LOGITS.clone().requires_grad_()
        loss = case(logits)
        (gradient,) = torch.autograd.grad(loss, logits)
        print(name, *(f"{value:.9g}" for value in [loss.item(), *gradient.flatten().tolist()]))
