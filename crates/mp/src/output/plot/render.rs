//! Pictures as files, drawn by `plotters`: SVG, a page around it, PNG.
//!
//! The font is in the program, so that a machine without fonts draws the same.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use super::natural::{Picture, Series};
use super::{File, figure};
use crate::error::Error;
use crate::output::Out;

const SIZE: (u32, u32) = (960, 540);
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which people with colour blindness can tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(160, 120, 0),
];

/// Draws a picture into a file.
pub(super) fn file(picture: &Picture, kind: File, path: &Path) -> Result<(), Error> {
    let unwritable = |source| Error::Write { path: path.to_owned(), source };
    let drawn = |error: String| unwritable(io::Error::other(error));
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| drawn("the built-in font is damaged".to_owned()))?;
    let size = (SIZE.0, height(picture));
    if kind == File::Png {
        // The backend writes the file itself, by the ending of its name.
        let beside = path.with_extension(format!("{}.png", std::process::id()));
        let result = {
            let root = BitMapBackend::new(&beside, size).into_drawing_area();
            paint(&root, picture).map_err(|error| drawn(error.to_string()))
        };
        let result = result.and_then(|()| fs::rename(&beside, path).map_err(unwritable));
        if result.is_err() {
            let _ = fs::remove_file(&beside);
        }
        return result;
    }
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&root, picture).map_err(|error| drawn(error.to_string()))?;
    }
    let text = if kind == File::Html { page(picture, &svg) } else { svg };
    let mut out = Out::file(path).map_err(unwritable)?;
    out.write_all(text.as_bytes()).map_err(unwritable)?;
    out.finish().map_err(unwritable)
}

/// A page that needs nothing but itself.
fn page(picture: &Picture, svg: &str) -> String {
    let title = escaped(&title(picture));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{margin:2rem auto;max-width:60rem;font-family:sans-serif}}svg{{max-width:100%;height:auto}}</style>\n\
         <h1>{title}</h1>\n{svg}\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn title(picture: &Picture) -> String {
    match picture {
        Picture::Lines { series, .. } => {
            series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>().join(", ")
        }
        Picture::Bars { name, .. } => name.clone(),
        Picture::Heat { .. } => "Retention".to_owned(),
        Picture::Steps { name, .. } => format!("Funnel: {name}"),
    }
}

const ROW: i32 = 28;
const TOP: i32 = 56;

/// Lists take the room that their rows need.
fn height(picture: &Picture) -> u32 {
    let rows = match picture {
        Picture::Lines { .. } => return SIZE.1,
        Picture::Bars { bars, .. } => bars.len(),
        Picture::Heat { rows, .. } => rows.len() + 1,
        Picture::Steps { steps, .. } => steps.len(),
    };
    u32::try_from(TOP + ROW * i32::try_from(rows.min(2_000)).unwrap_or(2_000) + 24).unwrap_or(SIZE.1)
}

type Area<'a, B> = DrawingArea<B, Shift>;
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn paint<B: DrawingBackend>(root: &Area<'_, B>, picture: &Picture) -> Drawn<B> {
    root.fill(&WHITE)?;
    match picture {
        Picture::Lines { times, series } => lines(root, times, series)?,
        Picture::Bars { name, bars } => {
            let remarks = vec![String::new(); bars.len()];
            columns(root, name, bars, &remarks)?;
        }
        Picture::Steps { name, steps } => {
            let first = steps.first().map_or(0.0, |(_, value)| *value);
            let share = |value: f64| {
                if first > 0.0 { format!("{:.1} %", 100.0 * value / first) } else { String::new() }
            };
            let remarks: Vec<String> = steps.iter().map(|(_, value)| share(*value)).collect();
            columns(root, &title(picture), steps, &remarks)?;
            let _ = name;
        }
        Picture::Heat { rows, columns, cells, .. } => heat(root, rows, columns, cells)?,
    }
    root.present()
}

fn style(size: i32, colour: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(horizontal, VPos::Center))
}

fn write<B: DrawingBackend>(
    root: &Area<'_, B>,
    text: &str,
    at: (i32, i32),
    style: TextStyle<'static>,
) -> Drawn<B> {
    root.draw(&Text::new(text.to_owned(), at, style))
}

/// Text that is cut to about so many pixels.
fn fitted(text: &str, pixels: i32) -> String {
    crate::output::width::cut(text, usize::try_from(pixels / 8).unwrap_or(1).max(2))
}

const BLACK_TEXT: RGBColor = RGBColor(30, 30, 30);

fn lines<B: DrawingBackend>(root: &Area<'_, B>, times: &[String], series: &[Series]) -> Drawn<B> {
    let known = || series.iter().flat_map(|series| &series.values).flatten().copied();
    let high = known().fold(0.0, f64::max);
    let low = known().fold(0.0, f64::min);
    let high = if high > low { high + (high - low) * 0.05 } else { low + 1.0 };
    let last = times.len().saturating_sub(1).max(1) as f64;
    let mut chart = ChartBuilder::on(root)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..last, low..high)?;
    let named = |x: &f64| {
        let near = x.round();
        if (x - near).abs() > 0.01 {
            return String::new();
        }
        times.get(near as usize).cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(times.len().clamp(2, 8))
        .x_label_formatter(&named)
        .y_label_formatter(&|y: &f64| figure(*y))
        .label_style((FONT, 14).into_font().color(&BLACK_TEXT))
        .draw()?;
    for (at, one) in series.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        for (part, points) in parts(&one.values).into_iter().enumerate() {
            let alone = points.len() == 1;
            let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
            if part == 0 {
                drawn
                    .label(one.name.clone())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
            if alone {
                chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
            }
        }
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font((FONT, 14).into_font().color(&BLACK_TEXT))
        .position(SeriesLabelPosition::UpperLeft)
        .draw()
}

/// Stretches without a gap.
fn parts(values: &[Option<f64>]) -> Vec<Vec<(f64, f64)>> {
    let mut parts = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, parts.last_mut()) {
            (Some(value), Some(part)) => part.push((at as f64, *value)),
            (None, Some(part)) if !part.is_empty() => parts.push(Vec::new()),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn columns<B: DrawingBackend>(
    root: &Area<'_, B>,
    name: &str,
    bars: &[(String, f64)],
    remarks: &[String],
) -> Drawn<B> {
    let wide = i32::try_from(root.dim_in_pixel().0).unwrap_or(960);
    let (label, figures) = (230, 190);
    let room = wide - label - figures - 32;
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    write(root, name, (16, 28), style(20, BLACK_TEXT, HPos::Left))?;
    for (at, ((text, value), remark)) in bars.iter().zip(remarks).enumerate().take(2_000) {
        let y = TOP + ROW * i32::try_from(at).unwrap_or(0);
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        let long = (share * f64::from(room)).round() as i32;
        write(root, &fitted(text, label - 24), (label, y + ROW / 2), style(14, BLACK_TEXT, HPos::Right))?;
        root.draw(&Rectangle::new(
            [(label + 8, y + 3), (label + 8 + long, y + ROW - 3)],
            COLOURS[0].filled(),
        ))?;
        let shown = format!("{} {remark}", figure(*value));
        write(root, shown.trim_end(), (label + 16 + long, y + ROW / 2), style(14, BLACK_TEXT, HPos::Left))?;
    }
    Ok(())
}

fn heat<B: DrawingBackend>(
    root: &Area<'_, B>,
    rows: &[String],
    names: &[String],
    cells: &[Vec<Option<f64>>],
) -> Drawn<B> {
    let wide = i32::try_from(root.dim_in_pixel().0).unwrap_or(960);
    let label = 180;
    let count = i32::try_from(names.len().max(1)).unwrap_or(1);
    let cell = ((wide - label - 32) / count).clamp(1, 110);
    let most = cells.iter().flatten().flatten().copied().fold(0.0, f64::max);
    let place = |at: usize| label + 8 + cell * i32::try_from(at).unwrap_or(0);
    write(root, "Retention", (16, 28), style(20, BLACK_TEXT, HPos::Left))?;
    for (at, name) in names.iter().enumerate() {
        let middle = (place(at) + cell / 2, TOP + ROW / 2);
        write(root, &fitted(name, cell), middle, style(13, BLACK_TEXT, HPos::Center))?;
    }
    for (row, (name, values)) in rows.iter().zip(cells).enumerate().take(2_000) {
        let y = TOP + ROW * (1 + i32::try_from(row).unwrap_or(0));
        write(root, &fitted(name, label - 16), (label, y + ROW / 2), style(14, BLACK_TEXT, HPos::Right))?;
        for (at, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let level = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
            let toward = |light: u8, dark: u8| {
                (f64::from(light) + (f64::from(dark) - f64::from(light)) * level).round() as u8
            };
            let ground = RGBColor(toward(240, 8), toward(246, 69), toward(252, 132));
            let x = place(at);
            root.draw(&Rectangle::new([(x + 1, y + 1), (x + cell - 1, y + ROW - 1)], ground.filled()))?;
            let ink = if level > 0.55 { WHITE } else { BLACK_TEXT };
            write(
                root,
                &fitted(&figure(*value), cell),
                (x + cell / 2, y + ROW / 2),
                style(13, ink, HPos::Center),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> Vec<Picture> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        vec![
            Picture::Lines {
                times: names(&["2024-01-01", "2024-01-02", "2024-01-03"]),
                series: vec![
                    Series { name: "a <b>".into(), values: vec![Some(1.0), None, Some(3.0)] },
                    Series { name: "c".into(), values: vec![Some(-1.0), Some(2.0), Some(2.0)] },
                ],
            },
            Picture::Lines {
                times: names(&["2024-01-01"]),
                series: vec![Series { name: "one".into(), values: vec![Some(0.0)] }],
            },
            Picture::Bars { name: "n & m".into(), bars: vec![("Grüße".into(), 3.0), ("b".into(), 0.0)] },
            Picture::Heat {
                rows: names(&["2024-01-01"]),
                columns: names(&["day_0", "day_1"]),
                cells: vec![vec![Some(100.0), None]],
                left_out: None,
            },
            Picture::Steps { name: "users".into(), steps: vec![("View".into(), 10.0), ("Buy".into(), 2.5)] },
        ]
    }

    #[test]
    fn every_picture_becomes_every_file() {
        let folder = tempfile::tempdir().unwrap();
        for (at, picture) in pictures().iter().enumerate() {
            for (kind, ending) in [(File::Svg, "svg"), (File::Html, "html"), (File::Png, "png")] {
                let path = folder.path().join(format!("{at}.{ending}"));
                file(picture, kind, &path).unwrap();
                let bytes = fs::read(&path).unwrap();
                match kind {
                    File::Png => {
                        assert!(bytes.starts_with(b"\x89PNG\r\n"));
                        // A picture without text and lines would be far smaller.
                        assert!(bytes.len() > 2_000, "{} bytes", bytes.len());
                    }
                    _ => {
                        let text = String::from_utf8(bytes).unwrap();
                        assert!(text.contains("<svg") && text.contains("</svg>"), "{text}");
                        assert!(!text.contains("<b>"), "names are escaped: {text}");
                    }
                }
            }
        }
        // Nothing is left beside them.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), pictures().len() * 3);
    }
}
