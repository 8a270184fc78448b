//! A small picture of an incident for mails: actual, expected and band, drawn straight into a PNG.
//!
//! A PNG beside the text, because many mail programs drop SVG. No fonts: the mail's text carries the numbers.

use super::trace::TracePoint;

/// Twice the size at which mails show it: sharp on fine screens.
const WIDTH: usize = 1120;
const HEIGHT: usize = 360;
const MARGIN: usize = 16;
/// Half the width of a dot.
const DOT: i32 = 5;

const WHITE: [u8; 3] = [255, 255, 255];
const BAND: [u8; 3] = [214, 228, 245];
const EXPECTED: [u8; 3] = [120, 150, 190];
const ACTUAL: [u8; 3] = [30, 41, 59];
const OUTSIDE: [u8; 3] = [220, 38, 38];
const AXIS: [u8; 3] = [203, 213, 225];

/// The picture's pixels, row by row.
struct Canvas(Vec<u8>);

/// A PNG of these windows, the incident's beginning marked; `None` when there is nothing to draw.
pub(super) fn png(points: &[TracePoint], opened_millis: i64) -> Option<Vec<u8>> {
    let values =
        points.iter().flat_map(|point| point.actual.into_iter().chain(point.band.into_iter().flatten()));
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if points.len() < 2 || low > high {
        return None;
    }
    let span = if high > low { high - low } else { 1.0 };
    let (inner_width, inner_height) = ((WIDTH - 2 * MARGIN) as f64, (HEIGHT - 2 * MARGIN) as f64);
    let x = |index: usize| MARGIN as f64 + index as f64 / (points.len() - 1) as f64 * inner_width;
    let y = |value: f64| (HEIGHT - MARGIN) as f64 - (value - low) / span * inner_height;
    let mut canvas = Canvas(WHITE.repeat(WIDTH * HEIGHT));
    for index in 1..points.len() {
        if let (Some(left), Some(right)) = (points[index - 1].band, points[index].band) {
            canvas.band((x(index - 1), x(index)), (y(left[1]), y(right[1])), (y(left[2]), y(right[2])));
        }
    }
    if let Some(opened) = points.iter().position(|point| point.start_millis >= opened_millis) {
        canvas.line((x(opened), MARGIN as f64), (x(opened), (HEIGHT - MARGIN) as f64), AXIS, 3);
    }
    for index in 1..points.len() {
        let (left, right) = (points[index - 1], points[index]);
        if let (Some(a), Some(b)) = (left.band, right.band) {
            canvas.line((x(index - 1), y(a[0])), (x(index), y(b[0])), EXPECTED, 2);
        }
        if let (Some(a), Some(b)) = (left.actual, right.actual) {
            canvas.line((x(index - 1), y(a)), (x(index), y(b)), ACTUAL, 4);
        }
    }
    for (index, point) in points.iter().enumerate() {
        if let (Some(value), Some([_, lower, upper])) = (point.actual, point.band)
            && !(lower..=upper).contains(&value)
        {
            canvas.dot((x(index), y(value)), OUTSIDE);
        }
    }
    canvas.encode()
}

impl Canvas {
    fn set(&mut self, x: f64, y: f64, color: [u8; 3]) {
        let (column, row) = (x.round() as usize, y.round() as usize);
        if column < WIDTH && row < HEIGHT {
            let at = (row * WIDTH + column) * 3;
            self.0[at..at + 3].copy_from_slice(&color);
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), color: [u8; 3], thick: usize) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=(steps as usize) {
            let part = step as f64 / steps;
            let (x, y) = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            for more in 0..thick {
                self.set(x, y + more as f64, color);
                self.set(x + more as f64, y, color);
            }
        }
    }

    /// Fills between two lower and two upper ends.
    fn band(&mut self, (left, right): (f64, f64), lower: (f64, f64), upper: (f64, f64)) {
        let columns = (right - left).ceil().max(1.0);
        for column in 0..=(columns as usize) {
            let part = column as f64 / columns;
            let (top, bottom) = (upper.0 + (upper.1 - upper.0) * part, lower.0 + (lower.1 - lower.0) * part);
            let x = left + (right - left) * part;
            self.line((x, top.min(bottom)), (x, top.max(bottom)), BAND, 1);
        }
    }

    fn dot(&mut self, (x, y): (f64, f64), color: [u8; 3]) {
        for dx in -DOT..=DOT {
            for dy in -DOT..=DOT {
                self.set(x + f64::from(dx), y + f64::from(dy), color);
            }
        }
    }

    fn encode(self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, WIDTH as u32, HEIGHT as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.0).ok()?;
        writer.finish().ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(index: i64, actual: Option<f64>) -> TracePoint {
        TracePoint { start_millis: index * 60_000, actual, band: Some([100.0, 90.0, 110.0]) }
    }

    #[test]
    fn a_drop_is_drawn_with_red_dots_and_gaps_are_left_open() {
        let points: Vec<_> = (0..30)
            .map(|index| point(index, (index != 10).then_some(if index < 20 { 100.0 } else { 40.0 })))
            .collect();
        let bytes = png(&points, 20 * 60_000).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let count = |color: [u8; 3]| pixels.chunks(3).filter(|pixel| *pixel == color).count();
        assert!(count(OUTSIDE) >= 10 * 100, "{} red", count(OUTSIDE));
        assert!(count(BAND) > 5_000 && count(ACTUAL) > 500);
        assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
    }

    #[test]
    fn nothing_to_draw_is_no_picture() {
        assert_eq!(png(&[], 0), None);
        assert_eq!(png(&[point(0, Some(1.0))], 0), None);
        let flat: Vec<_> =
            (0..3).map(|index| TracePoint { start_millis: index, actual: Some(5.0), band: None }).collect();
        assert!(png(&flat, 0).is_some());
    }
}
