//! Every augmentation, once.

use residual_data::{
    AugMix, Augment, AutoAugment, ColorJitter, GaussianBlur, RandAugment, RandomAffine, RandomErasing,
    RandomResizedCrop, RandomRotation, Spread, ThreeAugment, TrivialAugmentWide,
};

pub(crate) fn erasing() -> RandomErasing {
    RandomErasing::default().with(|erasing| erasing.probability = 1.0)
}

/// Each augmentation, for images of three channels.
pub(crate) fn each() -> Vec<Augment> {
    let jitter = ColorJitter::default().with(|jitter| {
        let spread = Spread::Around(0.4);
        (jitter.brightness, jitter.contrast, jitter.saturation) = (spread, spread, spread);
        jitter.hue = Spread::Around(0.2);
    });
    let affine = RandomAffine::new(20.0).with(|affine| {
        affine.translate = [0.2, 0.3];
        affine.scale = [0.7, 1.3];
        affine.shear = [Spread::Around(10.0), Spread::Between([-3.0, 5.0])];
    });
    vec![
        Augment::RandomResizedCrop(RandomResizedCrop::new([9, 8])),
        Augment::PadCrop { padding: 3 },
        Augment::HorizontalFlip { probability: 0.5 },
        Augment::VerticalFlip { probability: 0.5 },
        Augment::RandomRotation(RandomRotation::new(30.0)),
        Augment::RandomAffine(affine),
        Augment::ColorJitter(jitter),
        Augment::RandomGrayscale { probability: 0.5 },
        Augment::GaussianBlur(GaussianBlur::default()),
        Augment::RandAugment(RandAugment::default()),
        Augment::TrivialAugmentWide(TrivialAugmentWide::default()),
        Augment::AutoAugment(AutoAugment::default()),
        Augment::AugMix(AugMix::default()),
        Augment::ThreeAugment(ThreeAugment::default()),
        Augment::RandomErasing(erasing()),
    ]
}
