//! Images in, batches out: folders, archives, decoding, augmentation, all deterministic.
