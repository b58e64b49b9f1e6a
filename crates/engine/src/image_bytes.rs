//! Images that a network reads as bytes, without floats between the pixels and those.

use residual_kernels::{Cpu, Error as KernelError, Layout, int8, normalise};

use crate::graph::{Elements, Graph, INPUT, MapId};
use crate::op::affine;
use crate::quantised::MapScale;

/// Bytes of the images of a network whose stem computes with bytes.
#[derive(Debug)]
pub(crate) struct ImageBytes {
    /// The map of the bytes.
    pub(crate) map: MapId,
    pub(crate) scale: MapScale,
    /// The byte for each value of a pixel, by channel.
    pub(crate) tables: Vec<[u8; 256]>,
}

impl ImageBytes {
    /// The bytes of a graph's images; `None` where an operation reads the floats of the images.
    ///
    /// # Errors
    /// Those of the conversions, of which the tables are made: for a mean or deviation that is not one of every channel.
    pub(crate) fn of(
        cpu: &Cpu,
        graph: &Graph,
        mean: &[f32],
        std: &[f32],
    ) -> Result<Option<Self>, KernelError> {
        let mut readers = graph.nodes.iter().filter(|node| node.reads().any(|map| map == INPUT));
        let (Some(reader), None) = (readers.next(), readers.next()) else { return Ok(None) };
        let Elements::ImageBytes(scale) = graph.maps[reader.output].elements else { return Ok(None) };
        let channels = graph.maps[INPUT].channels;
        // One image, of a pixel for each value.
        let image: Vec<u8> = (0..=u8::MAX).flat_map(|value| vec![value; channels]).collect();
        let (from, to) = (Layout::planar(1, channels, 1, 256)?, int8::image_layout(1, [1, 256], 0)?);
        let mut floats = vec![0.0; from.len()];
        normalise(cpu, &image, mean, std, &mut floats, from)?;
        let mut bytes = vec![0.0; int8::floats_for(to.len())];
        int8::quantise_images(cpu, (&floats, from), to, &mut bytes, affine(scale))?;
        let pixels = int8::bytes(&bytes);
        let table = |channel: usize| std::array::from_fn(|value| pixels[4 * value + channel]);
        Ok(Some(Self { map: reader.output, scale, tables: (0..channels).map(table).collect() }))
    }
}
