//! Findings as data.

use serde::Serialize;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Likely to cost accuracy or time.
    Warning,
    /// Does not run, or does not do what it seems to do.
    Fault,
}

/// Finding: what is wrong, where, and how to help it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Kind.
    pub kind: Kind,
    /// Severity.
    pub severity: Severity,
    /// A block's path, a tensor, a class, a file.
    pub place: String,
    /// Finding in words.
    pub found: String,
    /// Expectation in its place.
    pub expected: String,
    /// Remedy.
    pub help: String,
    /// Paper and section, or the rule that it rests on.
    pub source: &'static str,
}

impl Finding {
    /// Sets what was found.
    pub(crate) fn found(self, found: impl Into<String>) -> Self {
        Self { found: found.into(), ..self }
    }

    /// Sets what was expected.
    pub(crate) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    /// Sets the help.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }

    /// Sets the severity.
    pub(crate) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $severity:ident, $title:literal, $source:literal;)*) => {
        /// Kind of finding: everything that the doctor knows to look for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Kinds in the order of the examination.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Title in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// Paper and section, or the rule that the check rests on.
            pub fn source(self) -> &'static str {
                match self { $(Self::$kind => $source,)* }
            }

            /// Severity where the check does not say otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// The network cannot be built, for a reason without a kind of its own.
    Impossible, Fault, "a network that cannot be built", "arithmetic of shapes";
    /// Training refuses the network, for another reason than its shapes.
    Refused, Fault, "a network that training refuses", "the checks of `residual train`";
    /// Parameters, gradients and velocities are more than the memory that there is.
    TooLarge, Fault, "a network too large for this machine", "4 bytes a number, three numbers a parameter";
    /// Branch and shortcut do not have the same shape.
    ShapesDiffer, Fault, "branch and shortcut cannot be added", "He et al. 2015, section 3.2, equation 2";
    /// The block has a stride, its shortcut has not.
    ForgottenStride, Fault, "a shortcut that forgot the stride", "He et al. 2015, section 3.3";
    /// A convolution has a bias, and a batch norm takes it away again.
    ConvBias, Warning, "a convolution bias before a batch norm", "Ioffe and Szegedy 2015, section 3.2";
    /// The last norm of a branch does not begin at zero where depth asks for it, or not in every block.
    ZeroInit, Warning, "last batch norms that do not begin at zero", "Goyal et al. 2017, section 5.1";
    /// A plain block among residual ones.
    MissingShortcut, Warning, "a block without a shortcut", "He et al. 2015, section 4.1";
    /// A deep network without any shortcut.
    DeepPlain, Warning, "a deep network without shortcuts", "He et al. 2015, section 4.1, figure 6";
    /// Pre-activation blocks without a norm in the head, or post-activation ones after a bare stem.
    MissingNorm, Warning, "maps that reach a layer without norm and ReLU", "He et al. 2016, appendix";
    /// The last maps are so small that 3x3 convolutions see mostly padding.
    SmallMap, Warning, "images too small for the network's stride", "arithmetic: most taps of a 3x3 read padding";
    /// Mean or deviation on the scale 0 to 255.
    NormalisationScale, Fault, "mean and std on another scale than the pixels", "docs/spec.md: pixels are 0 to 1";
    /// Preprocessing gives another size than the network is meant for, or crops more than there is.
    PreprocessSize, Warning, "preprocessing that does not give the input's size", "docs/spec.md, preprocess";
    /// A checkpoint was trained with another preprocessing.
    PreprocessDiffers, Fault, "preprocessing that is not the checkpoint's", "docs/spec.md, preprocess";
    /// A checkpoint holds another network.
    NetworkDiffers, Fault, "a specification that is not the checkpoint's", "tensor names and shapes";
    /// A learning rate far above the published ones, or no warm-up where depth needs it.
    LearningRate, Warning, "a learning rate beyond the published ones", "Goyal et al. 2017, section 2.1; Smith and Topin 2018";
    /// Batch statistics of a few images.
    SmallBatch, Warning, "batch norm statistics of a small batch", "Wu and He 2018, figure 1";
    /// Tensors are missing, left over or of another shape.
    Tensors, Fault, "tensors that are not the network's", "tensor names and shapes";
    /// NaN or infinity in a tensor.
    NotFinite, Fault, "NaN or infinity in the weights", "IEEE 754";
    /// All filters are the same, or all weights zero.
    ConstantWeights, Fault, "filters that are all the same", "Goodfellow et al. 2016, section 8.4";
    /// A running variance that no variance can be.
    RunningVariance, Fault, "a running variance that cannot be", "Ioffe and Szegedy 2015, algorithm 2";
    /// Scales have moved, running statistics have not.
    UntouchedStatistics, Warning, "running statistics that never moved", "Ioffe and Szegedy 2015, algorithm 2";
    /// Channels that a ReLU never lets through.
    DeadChannels, Warning, "channels that no ReLU lets through", "Lu et al. 2019, dying ReLU";
    /// More classes than outputs, or others.
    LabelRange, Fault, "labels that the network has no output for", "cross-entropy is defined for labels below K";
    /// Fewer classes than outputs.
    UnusedOutputs, Warning, "outputs that no class stands for", "cross-entropy: never a target";
    /// A class without images in a split.
    EmptyClass, Warning, "a class without images", "nothing to learn from, nothing to judge by";
    /// Some classes have many times the images of others.
    Imbalance, Warning, "classes of very different size", "Buda et al. 2018";
    /// Image that is both trained on and judged by.
    Overlap, Warning, "images in both training and evaluation", "Barz and Denzler 2020";
    /// Image that is in two classes.
    TwoLabels, Warning, "one image under two labels", "Northcutt et al. 2021";
    /// An image that cannot be decoded.
    BadImage, Fault, "an image that cannot be read", "docs/images.md";
    /// Photographs whose pixels are to be turned to be seen as they were taken.
    TurnedPhotographs, Warning, "photographs that lie on their side", "EXIF 2.32, tag 274";
    /// Images of several sizes where no resize makes them one.
    MixedSizes, Fault, "images of different sizes", "a batch has one size";
    /// Normalised pixels are far from mean 0 and deviation 1.
    Normalisation, Warning, "normalisation that does not match the data", "LeCun et al. 1998, section 4.3";
    /// NaN or infinity inside the network.
    Activations, Fault, "NaN or infinity inside the network", "IEEE 754";
    /// The loss of a new network is far from guessing.
    InitialLoss, Warning, "a loss at initialisation far from ln K", "softmax of equal logits is 1/K";
    /// A trained network does worse than guessing, though it tells the classes apart.
    WorseThanGuessing, Warning, "a trained network that does worse than guessing", "uniform guesses cost ln K";
    /// A trained network that does worse than guessing and does not tell the classes apart.
    Undertrained, Warning, "a network that does not tell the classes apart", "uniform guesses cost ln K";
    /// Running statistics give much worse answers than the batch's.
    StaleStatistics, Warning, "running statistics that do not fit the data", "Ioffe and Szegedy 2015, section 3.1";
    /// The gradient grows from block to block on its way back.
    ExplodingGradient, Warning, "a gradient that explodes on its way back", "Yang et al. 2019";
    /// The gradient shrinks from block to block on its way back.
    VanishingGradient, Warning, "a gradient that vanishes on its way back", "He et al. 2016, section 2";
}

impl Kind {
    /// A finding of this kind.
    pub(crate) fn at(self, place: impl Into<String>) -> Finding {
        let (severity, source) = (self.severity(), self.source());
        let (found, expected, help) = Default::default();
        Finding { kind: self, severity, place: place.into(), found, expected, help, source }
    }
}
