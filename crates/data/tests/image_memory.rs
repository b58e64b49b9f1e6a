//! Memory that decoding takes: at most four times the image, and 64 MiB, whatever the file is.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::Path;

use residual_data::{Error, MAX_PIXELS, decode};

/// A field of `/proc/self/status`, in bytes.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// The most memory that decoding takes beyond what there is; `None` where the system does not start that count anew.
fn peak(bytes: &[u8]) -> Option<(usize, Result<residual_data::Image, Error>)> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS:");
    let result = decode(bytes, "x");
    Some((status("VmHWM:").saturating_sub(before), result))
}

/// A PNG of zeros.
fn png(width: u32, height: u32, colour: png::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    let row = vec![0; width as usize * colour.samples() * 2];
    (0..height).for_each(|_| stream.write_all(&row).unwrap());
    stream.finish().unwrap();
    drop(writer);
    bytes
}

/// A file with these tests' fixtures' coding that claims to be 4096 x 4096.
fn jpeg_of_4096(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg").join(name);
    let mut bytes = fs::read(path).unwrap();
    let frame = bytes.windows(2).position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0..=0xc2)).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x10, 0, 0x10, 0]);
    bytes
}

// One test: others at the same time would be counted.
#[test]
fn decoding_takes_no_more_than_is_said() {
    const MIB: usize = 1 << 20;
    let wide = png(1 << 20, 2, png::ColorType::Rgba);
    let tall = png(1, 1 << 20, png::ColorType::Rgba);
    let square = png(3000, 2000, png::ColorType::Rgba);
    for (bytes, pixels) in [(wide, 2 << 20), (tall, 1 << 20), (square, 6_000_000)] {
        let Some((peak, image)) = peak(&bytes) else {
            println!("skipped: the system does not count anew");
            return;
        };
        assert_eq!(image.unwrap().pixels().len(), 3 * pixels);
        // Pixels and values of three channels, and opacity.
        let image = (3 * (1 + 4) + 2) * pixels;
        assert!(peak < 2 * image + 64 * MIB, "{pixels} pixels: {} MiB", peak / MIB);
    }
    let big = png(8192, 8192, png::ColorType::Grayscale);
    let (taken, image) = peak(&big).unwrap();
    assert_eq!(image.unwrap().pixels().len(), MAX_PIXELS);
    assert!(taken < 2 * (1 + 4) * MAX_PIXELS + 64 * MIB, "{} MiB", taken / MIB);

    for name in
        ["ycc_1x1-1x1-1x1.jpg", "ycc_1x1-1x1-1x1_progressive.jpg", "cmyk_1x1-1x1-1x1-1x1_progressive.jpg"]
    {
        let (taken, image) = peak(&jpeg_of_4096(name)).unwrap();
        assert!(image.is_err());
        assert!(taken < 4 * 3 * 4096 * 4096 + 64 * MIB, "{name}: {} MiB", taken / MIB);
    }
}

#[test]
fn rows_that_are_too_long_are_refused_before_anything_is_read() {
    let mut bytes = png(1, 1, png::ColorType::Rgba);
    // IHDR: width and height at 16, its CRC at 29.
    bytes[16..24].copy_from_slice(&[4, 0, 0, 0, 0, 0, 0, 1]);
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let error = decode(&bytes, "x.png").unwrap_err();
    assert!(error.bad_image().is_some() && matches!(error, Error::ImageTooWide { width: 67_108_864, .. }));
    assert_eq!(
        error.to_string(),
        "x.png: rows of 67108864 pixels are longer than the 1048576 that an image may have"
    );
}
