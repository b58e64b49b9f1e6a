//! Residuals beyond convolutional networks.
