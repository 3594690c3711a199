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

use super::natural::{Drawing, Picture, Series};
use super::{File, figure, glyphs};
use crate::error::Error;
use crate::output::Out;
use crate::ui::thousands;

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

/// More rows than these no file shows.
const MOST_ROWS: usize = 2_000;

/// Draws a picture into a file; gives what has to be told of this kind of file alone.
pub(super) fn file(drawing: &Drawing, kind: File, path: &Path) -> Result<Option<String>, Error> {
    let unwritable = |source| Error::Write { path: path.to_owned(), source };
    let failed = |error: String| unwritable(io::Error::other(error));
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| failed("the built-in font is damaged".to_owned()))?;
    let mut drawing = drawing.clone();
    drawing.notes.extend(cut_rows(&drawing.picture));
    // A viewer of SVG has fonts of its own; what a PNG lacks, it lacks for good.
    let told = if kind == File::Png { glyphs::spell(&mut drawing) } else { None };
    let told = told.or_else(|| cut_rows(&drawing.picture));
    let size = (SIZE.0, height(&drawing));
    let bytes = match kind {
        File::Png => png(&drawing, size, path)?,
        File::Svg => svg(&drawing, size).map_err(failed)?.into_bytes(),
        File::Html => page(&drawing.picture, &svg(&drawing, size).map_err(failed)?).into_bytes(),
    };
    let mut out = Out::file(path)?;
    out.write_all(&bytes).map_err(unwritable)?;
    out.finish().map_err(unwritable)?;
    Ok(told)
}

fn svg(drawing: &Drawing, size: (u32, u32)) -> Result<String, String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    paint(&root, drawing).map_err(|error| error.to_string())?;
    drop(root);
    Ok(svg)
}

/// The bytes of a PNG. The backend writes a file itself, by the ending of its name.
fn png(drawing: &Drawing, size: (u32, u32), path: &Path) -> Result<Vec<u8>, Error> {
    let unwritable = |source| Error::Write { path: path.to_owned(), source };
    let beside = path.with_extension(format!("{}.png", std::process::id()));
    let painted = {
        let root = BitMapBackend::new(&beside, size).into_drawing_area();
        paint(&root, drawing).map_err(|error| unwritable(io::Error::other(error.to_string())))
    };
    let bytes = painted.and_then(|()| fs::read(&beside).map_err(unwritable));
    let _ = fs::remove_file(&beside);
    bytes
}

/// What is told of rows that find no room in a file.
fn cut_rows(picture: &Picture) -> Option<String> {
    let (rows, what) = match picture {
        Picture::Lines { .. } => return None,
        Picture::Bars { bars, .. } => (bars.len(), "bars"),
        Picture::Heat { rows, .. } => (rows.len(), "rows"),
        Picture::Steps { steps, .. } => (steps.len(), "steps"),
    };
    (rows > MOST_ROWS).then(|| {
        let (shown, all) = (thousands(MOST_ROWS as u64), thousands(rows as u64));
        format!("the file shows the first {shown} of {all} {what}")
    })
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
        Picture::Lines { up: Some(up), .. } => up.clone(),
        Picture::Lines { series, .. } => {
            series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>().join(", ")
        }
        Picture::Bars { name, .. } | Picture::Heat { name, .. } => name.clone(),
        Picture::Steps { name, .. } => format!("Funnel: {name}"),
    }
}

const ROW: i32 = 28;
const TOP: i32 = 56;
/// The height of a note below the picture.
const NOTE: u32 = 22;

/// Lists take the room that their rows need, and notes a line each.
fn height(drawing: &Drawing) -> u32 {
    let notes = NOTE * u32::try_from(drawing.notes.len()).unwrap_or(0);
    let rows = match &drawing.picture {
        Picture::Lines { .. } => return SIZE.1 + notes,
        Picture::Bars { bars, .. } => bars.len(),
        Picture::Heat { rows, .. } => rows.len() + 1,
        Picture::Steps { steps, .. } => steps.len(),
    };
    u32::try_from(TOP + ROW * i32::try_from(rows.min(MOST_ROWS)).unwrap_or(2_000) + 24).unwrap_or(SIZE.1)
        + notes
}

type Area<'a, B> = DrawingArea<B, Shift>;
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn paint<B: DrawingBackend>(root: &Area<'_, B>, drawing: &Drawing) -> Drawn<B> {
    root.fill(&WHITE)?;
    let notes = NOTE * u32::try_from(drawing.notes.len()).unwrap_or(0);
    let (above, below) = root.split_vertically(root.dim_in_pixel().1.saturating_sub(notes));
    for (at, note) in (0..).zip(&drawing.notes) {
        let place = (16, NOTE as i32 * at + NOTE as i32 / 2 - 4);
        write(&below, note, place, style(13, RGBColor(90, 90, 90), HPos::Left))?;
    }
    figure_of(&above, &drawing.picture)?;
    root.present()
}

fn figure_of<B: DrawingBackend>(root: &Area<'_, B>, picture: &Picture) -> Drawn<B> {
    match picture {
        Picture::Lines { across, up, times, series } => {
            lines(root, (across, up.as_deref().unwrap_or_default()), times, series)?;
        }
        Picture::Bars { name, bars } => {
            let remarks = vec![String::new(); bars.len()];
            columns(root, name, bars, &remarks)?;
        }
        Picture::Steps { steps, .. } => {
            let first = steps.first().map_or(0.0, |(_, value)| *value);
            let share = |value: f64| {
                if first > 0.0 { format!("{:.1} %", 100.0 * value / first) } else { String::new() }
            };
            let remarks: Vec<String> = steps.iter().map(|(_, value)| share(*value)).collect();
            columns(root, &title(picture), steps, &remarks)?;
        }
        Picture::Heat { name, rows, columns, cells } => heat(root, name, rows, columns, cells)?,
    }
    Ok(())
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

fn lines<B: DrawingBackend>(
    root: &Area<'_, B>,
    (across, up): (&str, &str),
    times: &[String],
    series: &[Series],
) -> Drawn<B> {
    let known = || series.iter().flat_map(|series| &series.values).flatten().copied();
    let high = known().fold(0.0, f64::max);
    let low = known().fold(0.0, f64::min);
    let high = if high > low { high + (high - low) * 0.05 } else { low + 1.0 };
    let last = times.len().saturating_sub(1).max(1) as f64;
    let mut chart = ChartBuilder::on(root)
        .margin(16)
        .x_label_area_size(54)
        .y_label_area_size(92)
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
        .x_desc(across)
        .y_desc(up)
        .axis_desc_style((FONT, 15).into_font().color(&BLACK_TEXT))
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
    for (at, ((text, value), remark)) in bars.iter().zip(remarks).enumerate().take(MOST_ROWS) {
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
    title: &str,
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
    write(root, title, (16, 28), style(20, BLACK_TEXT, HPos::Left))?;
    for (at, name) in names.iter().enumerate() {
        let middle = (place(at) + cell / 2, TOP + ROW / 2);
        write(root, &fitted(name, cell), middle, style(13, BLACK_TEXT, HPos::Center))?;
    }
    for (row, (name, values)) in rows.iter().zip(cells).enumerate().take(MOST_ROWS) {
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

    fn pictures() -> Vec<Drawing> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let pictures = vec![
            Picture::Lines {
                across: "the day".into(),
                up: Some("figures".into()),
                times: names(&["2024-01-01", "2024-01-02", "2024-01-03"]),
                series: vec![
                    Series { name: "a <b>".into(), values: vec![Some(1.0), None, Some(3.0)] },
                    Series { name: "c".into(), values: vec![Some(-1.0), Some(2.0), Some(2.0)] },
                ],
            },
            Picture::Lines {
                across: "day".into(),
                up: None,
                times: names(&["2024-01-01"]),
                series: vec![Series { name: "one".into(), values: vec![Some(0.0)] }],
            },
            Picture::Bars { name: "n & m".into(), bars: vec![("Grüße".into(), 3.0), ("b".into(), 0.0)] },
            Picture::Heat {
                name: "share by cohort".into(),
                rows: names(&["2024-01-01"]),
                columns: names(&["day_0", "day_1"]),
                cells: vec![vec![Some(100.0), None]],
            },
            Picture::Steps { name: "users".into(), steps: vec![("View".into(), 10.0), ("Buy".into(), 2.5)] },
        ];
        pictures.into_iter().map(Drawing::new).collect()
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

    fn svg_of(drawing: &Drawing) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        file(drawing, File::Svg, &path).unwrap();
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn axes_have_titles_and_notes_stand_below() {
        let mut drawing = pictures().swap_remove(0);
        let plain = svg_of(&drawing);
        assert!(plain.contains("the day") && plain.contains("figures"), "{plain}");
        drawing.notes.push("the picture shows 8 of 17 lines".into());
        assert!(svg_of(&drawing).contains("the picture shows 8 of 17 lines"));
        let heat = svg_of(&pictures()[3]);
        assert!(heat.contains("share by cohort") && !heat.contains("Retention"), "{heat}");
    }

    #[test]
    fn a_gap_is_no_line() {
        let line = |values: &[Option<f64>]| {
            Drawing::new(Picture::Lines {
                across: "day".into(),
                up: None,
                times: (0..values.len()).map(|at| at.to_string()).collect(),
                series: vec![Series { name: "n".into(), values: values.to_vec() }],
            })
        };
        let stretches = |drawing: &Drawing| {
            let blue = "stroke=\"#0072B2\"";
            svg_of(drawing).lines().filter(|line| line.contains("<polyline") && line.contains(blue)).count()
        };
        let whole = stretches(&line(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(5.0)]));
        let broken = stretches(&line(&[Some(1.0), Some(2.0), None, Some(4.0), Some(5.0)]));
        assert_eq!(broken, whole + 1);
    }

    #[test]
    fn files_say_which_rows_they_lack() {
        let bars = (0..2_005).map(|n| (n.to_string(), 1.0)).collect();
        let drawing = Drawing::new(Picture::Bars { name: "n by user".into(), bars });
        let folder = tempfile::tempdir().unwrap();
        let told = file(&drawing, File::Svg, &folder.path().join("a.svg")).unwrap();
        assert_eq!(told.as_deref(), Some("the file shows the first 2,000 of 2,005 bars"));
    }

    #[test]
    fn signs_that_the_font_lacks_are_spelt_and_told() {
        let bars = vec![("Cart 🛒".to_owned(), 1.0), ("购买".to_owned(), 2.0), ("Grüße ✓".to_owned(), 3.0)];
        let mut drawing = Drawing::new(Picture::Bars { name: "n by event".into(), bars });
        let told = glyphs::spell(&mut drawing).unwrap();
        let Picture::Bars { bars, .. } = &drawing.picture else { panic!() };
        let names: Vec<&str> = bars.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Cart U+1F6D2", "U+8D2D U+4E70", "Grüße ✓"]);
        assert!(told.contains("🛒") && told.contains("SVG"), "{told}");
        assert_eq!(glyphs::spell(&mut drawing), None);
    }
}
