//! Plots cost over size. Both axes are logarithmic: a line with slope 1 is a cost that grows
//! linearly with the stored data.

use plotters::prelude::*;

use super::Group;

const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

pub(super) fn draw(group: &Group) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (760, 420)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let costs = || group.series.iter().flat_map(|series| &series.points);
    let least = costs().map(|cost| cost.cpu).fold(f64::INFINITY, f64::min);
    let most = costs().map(|cost| cost.cpu).fold(0.0, f64::max);
    let sizes = || group.sizes.iter().map(|size| *size as f64);
    let (first, last) = (sizes().next().unwrap(), sizes().next_back().unwrap());
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (first..last * 1.05).log_scale(),
            (least / 2.0..most * 2.0).log_scale(),
        )
        .unwrap();
    chart
        .configure_mesh()
        .x_desc(group.grows)
        .y_desc("µs of processor time per operation")
        .draw()
        .unwrap();
    for (series, colour) in group.series.iter().zip(COLOURS.iter().cycle()) {
        let points = sizes().zip(series.points.iter().map(|cost| cost.cpu));
        let line = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let drawn = chart.draw_series(line).unwrap().label(series.what);
        drawn.legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
        .unwrap();
    area.present().unwrap();
    drop(chart);
    drop(area);
    svg
}
